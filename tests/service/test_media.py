"""Bodies and answers other than JSON: the same scores, and no file that can do harm."""

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient

import shelfwise
from doors import PATH, Answer, ClientDoor, Door
from kinds import shop
from shelfwise.service import media

FRAME = pl.DataFrame(shop(40))
CSV, NDJSON = "text/csv", "application/x-ndjson"
PARQUET, ARROW = "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILE = "application/vnd.apache.arrow.file"


def written(frame: pl.DataFrame, how: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    getattr(frame, how)(buffer, **options)
    return buffer.getvalue()


def arrow(frame: pl.DataFrame, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    table = frame.to_arrow()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as out:
        out.write_table(table)
    return sink.getvalue().to_pybytes()


BODIES = {
    "csv": (CSV, written(FRAME, "write_csv")),
    "csv with other names": (f"{CSV}; charset=utf-8", written(
        FRAME.rename({"product_id": "SKU", "units_sold": "Qty sold"}), "write_csv",
        separator=";", include_bom=True)),
    "ndjson": (NDJSON, written(FRAME, "write_ndjson")),
    "parquet": (PARQUET, written(FRAME, "write_parquet")),
    "parquet, zstd": (PARQUET, written(FRAME, "write_parquet", compression="zstd")),
    "arrow": (ARROW, arrow(FRAME)),
    "arrow of polars": (ARROW, written(FRAME, "write_ipc_stream")),
    "arrow file": (FILE, written(FRAME, "write_ipc")),
}  # fmt: skip


def ask(door: Door, body: bytes, kind: str, query: str = "", accept: str | None = None) -> Answer:
    return door(body, path=PATH + query, headers={"Content-Type": kind, "Accept": accept})


@pytest.mark.parametrize("name", BODIES)
def test_every_medium_gets_the_same_scores(door: Door, name: str) -> None:
    kind, body = BODIES[name]
    answer = ask(door, body, kind).ok()
    expected = shelfwise.analyze(shop(40)).to_dict()
    scores = [(str(r["product_id"]), r["performance_score"], r["rank"]) for r in answer["data"]]
    assert scores == [
        (str(r["product_id"]), r["performance_score"], r["rank"]) for r in expected["data"]
    ]
    assert answer["summary"]["tiers"] == expected["summary"]["tiers"]
    assert answer["data"][0]["category"] == "Kitchen"


def test_the_answer_is_written_as_accept_says(door: Door) -> None:
    expected = shelfwise.analyze(shop(40)).products
    body = json.dumps(shop(40)).encode()
    for accept, reader in (
        (PARQUET, pl.read_parquet),
        (ARROW, pl.read_ipc_stream),
        (f"{PARQUET};q=0.9, text/html", pl.read_parquet),
    ):
        answer = ask(door, body, "application/json", accept=accept)
        assert answer.status == 200
        found = reader(io.BytesIO(answer.body))
        assert found.equals(expected.select(found.columns))
    table = ask(door, body, "application/json", accept=CSV)
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert pl.read_csv(table.body)["rank"].to_list() == expected["rank"].to_list()
    for accept in ("*/*", "application/*", "application/json, */*;q=0.1", None):
        assert ask(door, body, "application/json", accept=accept).ok()["status"] == "success"
    refused = ask(door, body, "application/json", accept="image/png")
    assert "text/csv" in refused.headers["accept"]
    refused.problem(406)


def test_what_a_dry_run_says_of_a_table(door: Door) -> None:
    found = ask(door, BODIES["csv"][1], CSV, "?dry_run=1").ok()
    assert (found["status"], found["products"]) == ("valid", 40)
    odd = written(FRAME, "write_csv", separator="\t")
    codes = [w["code"] for w in ask(door, odd, CSV, "?dry_run=1").ok()["warnings"]]
    assert codes == ["csv_read_as"]


def test_bad_rows_of_a_table_are_named(door: Door) -> None:
    bad = FRAME.with_columns(price=pl.when(pl.col("product_id") == 3).then(-1.0).otherwise("price"))
    for how, kind in (("write_csv", CSV), ("write_parquet", PARQUET), ("write_ndjson", NDJSON)):
        found = ask(door, written(bad, how), kind).problem(422)
        assert [error["pointer"] for error in found["errors"]] == ["/2/price"]
        skipped = ask(door, written(bad, how), kind, "?on_error=skip").ok()
        assert (len(skipped["data"]), skipped["summary"]["skipped"]) == (39, 1)


def bloated(rows: int) -> bytes:
    """A small Parquet file with a text of a megabyte in each row."""
    text = pa.array(["x" * 1_000_000] * rows)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"name": text}), sink, compression="zstd", use_dictionary=False)
    return sink.getvalue().to_pybytes()


def many_rows(rows: int) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"product_id": pa.nulls(rows, pa.int64())}), sink)
    return sink.getvalue().to_pybytes()


REFUSED = {
    "empty csv": (CSV, b"", 400),
    "csv of a header": (CSV, b"product_id,name,price,units_sold,stock\n", 422),
    "ragged csv": (CSV, b"product_id,name,price,units_sold,stock\n1,a,2,3,4,5,6\n", 422),
    "utf-16 csv": (CSV, "product_id,name".encode("utf-16"), 400),
    "an open quote": (CSV, b'product_id,name,price,units_sold,stock\n1,"a,2,3,4\n', 422),
    "no letters": (CSV, b"product_id,name,price,units_sold,stock\n1,\x81\xff,2,3,4\n", 400),
    "csv without our columns": (CSV, b"a,b\n1,2\n", 422),
    "a column twice": (CSV, b"name,name\n1,2\n", 400),
    "json as ndjson": (NDJSON, b"[{}]", 422),
    "broken ndjson": (NDJSON, b'{"a": 1}\n{', 400),
    "no parquet": (PARQUET, b"nonsense", 422),
    "empty parquet": (PARQUET, b"", 422),
    "corrupt footer": (PARQUET, BODIES["parquet"][1][:-20] + b"x" * 12 + b"\x00\x00\x00\x00PAR1",
                       422),
    "footer of absurd length": (PARQUET, b"PAR1" + b"\xff\xff\xff\x7fPAR1", 422),
    "cut parquet": (PARQUET, BODIES["parquet"][1][:300], 422),
    "damaged pages": (PARQUET, BODIES["parquet"][1][:60] + b"\xff" * 200
                      + BODIES["parquet"][1][260:], 422),
    "too many rows": (PARQUET, many_rows(1_000_000), 413),
    "parquet bomb": (PARQUET, bloated(60), 413),
    "nested": (PARQUET, written(FRAME.with_columns(name=pl.concat_list("name")), "write_parquet"),
               422),
    "wrong types": (PARQUET, written(FRAME.with_columns(price=pl.lit("dear")), "write_parquet"),
                    422),
    "no arrow": (ARROW, b"nonsense", 422),
    "empty arrow": (ARROW, b"", 422),
    "cut arrow": (ARROW, BODIES["arrow"][1][:700], 422),
    "compressed arrow": (ARROW, arrow(FRAME, compression="zstd"), 415),
    "compressed arrow file": (FILE, written(FRAME, "write_ipc", compression="lz4"), 415),
    "arrow of absurd length": (ARROW, struct.pack("<Ii", 0xFFFFFFFF, 2**31 - 1) + b"x" * 64, 422),
    "arrow that points beyond": (ARROW, struct.pack("<Ii", 0xFFFFFFFF, 64) + b"\xfe" * 64, 422),
    "too many rows of csv": (CSV, b"product_id\n" + b"1\n" * 4_000, 413),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_do_not_fit_are_refused(door: Door, name: str) -> None:
    kind, body, status = REFUSED[name]
    document = ask(door, body, kind).problem(status)
    assert len(document["detail"]) < 700
    assert ask(door, BODIES["csv"][1], CSV).status == 200  # It goes on.


HEAD = "product_id,name,price,units_sold,stock\n"
CAFE = f"{HEAD}1,Café,2,3,4\n2,Thé,3,4,5\n"


def test_a_row_of_csv_that_does_not_fit_is_named_by_its_line(door: Door) -> None:
    ragged = f'{HEAD}1,"two\nlines",2,3,4\n2,b,3,4,5,6\n'.encode()
    assert "6 cells in line 4, and 5 in its header" in ask(door, ragged, CSV).problem(422)["detail"]
    opened = f'{HEAD}1,a,2,3,4\n2,"b,3,4,5\n3,c,4,5,6\n'.encode()
    assert "from line 3 on" in ask(door, opened, CSV).problem(422)["detail"]


def test_letters_of_csv_are_found_or_declared(door: Door) -> None:
    found = ask(door, CAFE.encode("cp1252"), CSV).ok()
    assert found["data"][0]["name"] == "Café"
    (told,) = [one for one in found["warnings"] if one["code"] == "csv_read_as"]
    assert "Windows-1252" in told["message"]
    for charset in ("iso-8859-1", "Windows-1252", "latin1"):
        # What is declared counts, also where the bytes would be UTF-8 as well.
        declared = ask(door, CAFE.encode("utf-8"), f"{CSV}; charset={charset}").ok()
        assert declared["data"][0]["name"] == "CafÃ©"
        assert ask(door, CAFE.encode("cp1252"), f"{CSV};charset={charset}").ok()["data"][1][
            "name"] == "Thé"  # fmt: skip
    ask(door, CAFE.encode("utf-16"), f"{CSV}; charset=utf-16").problem(415)
    undefined = f"{HEAD}1,".encode() + b"\x81,2,3,4\n"
    assert (
        "no letter" in ask(door, undefined, f"{CSV}; charset=windows-1252").problem(400)["detail"]
    )


def test_damaged_files_never_end_the_server(door: Door) -> None:
    """A byte changed at each of many places: refused or scored, never a failure of ours."""
    for name in ("parquet", "arrow", "arrow file"):
        kind, body = BODIES[name]
        for place in range(0, len(body), max(1, len(body) // 60)):
            changed = body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :]
            status = ask(door, changed, kind).status
            assert status in (200, 400, 413, 415, 422), (name, place, status)


def test_a_text_too_long_for_a_cell_is_refused_not_cut(door: Door) -> None:
    body = json.dumps([row | {"note": "x" * 40_000} for row in shop(2)]).encode()
    answer = ask(door, body, "application/json", "?extra=keep", accept=XLSX)
    assert "40,000" in answer.problem(413)["detail"]


def test_what_is_too_large_for_its_medium_does_not_become_a_job(
    client_of: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    roomy = ClientDoor(client_of(data_dir=tmp_path, max_body_bytes=1_000_000))
    body = json.dumps([row | {"note": "x" * 40_000} for row in shop(2)]).encode()
    ask(roomy, body, "application/json", "?extra=keep", accept=XLSX).problem(413)
    ask(roomy, bloated(60), PARQUET).problem(413)


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet", "arrow"])
@pytest.mark.parametrize("limit", [None, 1, 3, 50])
def test_stretches_of_a_file_are_one_file(kind: str, limit: int | None) -> None:
    frame = pl.DataFrame({"=id": range(40), "name": ["=1+1", "a"] * 20, "none": [None] * 40})
    frame = frame.with_columns(pl.col("none").cast(pl.Float64))

    def work(part: pl.LazyFrame) -> pl.LazyFrame:
        return part.filter(pl.col("=id") % 3 > 0)

    whole, rows = work(frame.lazy()).collect(), media.Stretches(frame.lazy(), work, size=7)
    found = b"".join(media.write(rows.head(limit) if limit else rows, kind, raw=True))
    readers = {"csv": pl.read_csv, "ndjson": pl.read_ndjson, "parquet": pl.read_parquet,
               "arrow": pl.read_ipc_stream}  # fmt: skip
    read = readers[kind](io.BytesIO(found), **({"schema": whole.schema} if kind == "csv" else {}))  # type: ignore[operator]
    assert read.to_dicts() == whole.head(limit or 40).to_dicts()
    none = media.Stretches(frame.lazy(), lambda part: part.filter(pl.col("=id") < 0))
    assert b"".join(media.write(none, "csv")) == b"'=id,name,none\n"
    assert pl.read_parquet(b"".join(media.write(none, "parquet"))).schema == frame.schema
