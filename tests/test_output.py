"""Results that go to tables of databases and to stores: PostgreSQL and an S3 for real."""

import gzip
import io
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

import shelfwise
from shelfwise import cli, tables
from shelfwise.engines import databases, frames, output
from shelfwise.errors import InputError, NotFoundError, OutputError, UnsupportedError

SHOP = pl.DataFrame(
    {
        "product_id": ["007", "08", "9", "10"],
        "name": ["Lämp", "=Mug", 'a,b "c"', "Mat"],
        "price": [19.99, 9.5, 3.0, 4.0],
        "units_sold": [150, 40, 7, -1],
        "stock": [50, 160, 0, 3],
    }
)
LINES = pl.DataFrame(
    {
        "product_id": ["a", "a", "b", "c"],
        "date": ["2026-01-05", "2026-01-07", "2026-01-09", "2026-02-01"],
        "quantity": [3, -1, 2, 4],
        "unit_price": [2.5, 2.5, 9.0, 1.0],
    }
)


@pytest.fixture
def analysis() -> shelfwise.Analysis:
    return shelfwise.analyze(SHOP, on_error="skip")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: str | Path) -> Any:
        return CliRunner().invoke(cli.app, list(map(str, arguments)), catch_exceptions=False)

    return invoke


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a table that is not there, in a database that is empty."""
    if request.param == "postgresql":
        pytest.importorskip("adbc_driver_postgresql")
        psycopg = pytest.importorskip("psycopg")
        server = request.getfixturevalue("postgresql")
        name = f"o{time.time_ns()}"
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return str(server.url.replace("/postgres", f"/{name}")) + "/scored"
    pytest.importorskip("adbc_driver_sqlite")
    return f"{request.param}:///{tmp_path}/our%20shop.db/scored"


def read(url: str, suffix: str = "") -> pl.DataFrame:
    rows: pl.DataFrame = databases.read_table(url + suffix).pl()
    return rows


def test_three_tables_hold_a_run(table: str, analysis: shelfwise.Analysis) -> None:
    run = tables.write(analysis, table, "error")
    scored, rejected, quality = (read(table, suffix) for suffix in ("", "_rejected", "_quality"))
    assert scored["run_id"].to_list() == [run.run_id] * 3
    assert scored["as_of"].cast(pl.String).to_list() == [str(run.as_of)] * 3
    given = analysis.products
    assert scored.columns == ["run_id", "as_of", *given.columns]
    assert_frame_equal(scored.select(given.columns), given, check_dtypes=False)
    assert rejected.select("column", "value").rows() == [("units_sold", "-1")]
    assert quality.height == 0
    assert quality.columns == ["run_id", "as_of", *tables.QUALITY]


def test_runs_stand_below_one_another_or_take_the_place(
    table: str, analysis: shelfwise.Analysis
) -> None:
    first = tables.write(analysis, table, "append")
    second = tables.write(analysis, table, "append")
    assert set(read(table)["run_id"]) == {first.run_id, second.run_id}
    assert read(table).height == 6
    with pytest.raises(OutputError, match="there already") as refused:
        tables.write(analysis, table, "error")
    assert "--mode" in str(refused.value.hint)
    assert "s3cret" not in str(refused.value)
    third = tables.write(analysis, table, "overwrite")
    assert set(read(table)["run_id"]) == {third.run_id}
    assert read(table, "_rejected").height == 1


def test_all_tables_are_written_or_none(table: str, analysis: shelfwise.Analysis) -> None:
    databases.write_tables({"": pl.DataFrame({"product_id": ["x"], "mine": [1]})}, table)
    with pytest.raises(OutputError, match=r"has other columns: it lacks .*run_id.*beside mine"):
        tables.write(analysis, table, "append")
    assert read(table).rows() == [("x", 1)]
    for suffix in ("_rejected", "_quality"):
        with pytest.raises(shelfwise.ShelfwiseError):
            read(table, suffix)


def test_columns_in_another_order_find_their_place(table: str) -> None:
    databases.write_tables({"": pl.DataFrame({"a": ["x"], "b": ["y"]})}, table)
    databases.write_tables({"": pl.DataFrame({"b": ["v"], "a": ["u"]})}, table, "append")
    assert sorted(read(table).select("a", "b").rows()) == [("u", "v"), ("x", "y")]


@pytest.mark.parametrize(
    ("there", "more", "together"),
    [
        ([1, 2], [3.0], [1, 2, 3]),
        ([1.5], [2], [1.5, 2]),
        ([1, 2], [None], [1, 2, None]),
        ([1, 2], [3.5], "cannot be written"),
        ([0.5], [2**53 + 1], "cannot be written"),
        ([7], ["007"], "not text"),
        (["007"], [7], "not numbers"),
        ([True], ["yes"], "not text"),
        (["x"], [date(2026, 1, 31)], "not dates"),
    ],
)
def test_rows_come_to_a_table_as_they_are_or_not_at_all(
    table: str, there: list[Any], more: list[Any], together: list[Any] | str
) -> None:
    databases.write_tables({"": pl.DataFrame({"a": there})}, table)
    new = {"": pl.DataFrame({"a": more})}
    if table.startswith("sqlite") and together in ("cannot be written", "not dates"):
        pytest.skip("SQLite keeps both kinds of numbers in a column, and dates as text")
    if isinstance(together, list):
        databases.write_tables(new, table, "append")
        assert read(table)["a"].to_list() == together
        return
    with pytest.raises(OutputError, match=together):
        databases.write_tables(new, table, "append")
    assert read(table)["a"].to_list() == there


def test_a_number_too_large_for_a_database_is_refused(table: str) -> None:
    large = {"": pl.DataFrame({"a": [2**63 + 5]}, schema={"a": pl.UInt64})}
    if table.startswith("duckdb"):
        databases.write_tables(large, table)
        assert read(table)["a"].to_list() == [2**63 + 5]
        return
    with pytest.raises(OutputError, match="not in range"):
        databases.write_tables(large, table)


def test_what_a_database_holds_is_analyzed_into_the_same_one(table: str) -> None:
    products = table.replace("scored", "given")  # A name that our own statements use.
    databases.write_tables({"": SHOP.head(3)}, products)
    analysis = shelfwise.analyze(products, engine="duckdb")
    tables.write(analysis, table, "error")
    assert read(table).height == 3
    assert analysis.products.count("*").fetchall() == [(3,)]  # It is read again.
    lines = table.replace("scored", "lines")
    databases.write_tables({"": LINES}, lines)
    tables.write(shelfwise.analyze(shelfwise.from_sales(lines)), table, "overwrite")
    assert read(table)["product_id"].sort().to_list() == ["a", "b", "c"]


def test_a_table_made_meanwhile_is_not_replaced(
    table: str, analysis: shelfwise.Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    if table.startswith("duckdb"):
        pytest.skip("DuckDB lets one program write at a time")
    tables.write(analysis, table, "error")
    monkeypatch.setattr(databases, "_columns", lambda *_: {})  # Looked before the other was done.
    for mode in ("append", "error"):
        with pytest.raises(OutputError, match="cannot be written"):
            tables.write(analysis, table, mode)  # type: ignore[arg-type]
    assert read(table).height == 3


def test_a_name_that_postgresql_would_cut_is_refused(analysis: shelfwise.Analysis) -> None:
    with pytest.raises(InputError, match="longer than 63 bytes"):
        tables.write(analysis, f"postgresql://me@127.0.0.1:1/shop/{'x' * 60}", "error")


def test_a_schema_is_used(table: str, analysis: shelfwise.Analysis) -> None:
    if table.startswith("sqlite"):
        table = table.replace("/scored", "/main.scored")  # The only one of SQLite.
        tables.write(analysis, table, "error")
        tables.write(analysis, table, "append")
        assert read(table).height == 6
        return
    if table.startswith("postgresql"):
        import psycopg

        with psycopg.connect(table.rpartition("/")[0], autocommit=True) as connection:
            connection.execute("CREATE SCHEMA gold")
    place = table.replace("/scored", "/gold.scored")
    tables.write(analysis, place, "error")
    tables.write(analysis, place, "append")
    assert read(place).height == 6
    with pytest.raises(shelfwise.ShelfwiseError):
        read(table)


def test_a_relation_larger_than_a_batch_is_streamed(table: str) -> None:
    rows = duckdb.sql("SELECT i AS product_id, 'P' || i AS name, i % 2 = 0 AS even, "
                      "date '2026-01-01' AS day, i::UINTEGER AS rank, i::DECIMAL(12, 2) AS price, "
                      "NULL::VARCHAR AS nothing FROM range(250000) AS numbers(i)")  # fmt: skip
    databases.write_tables({"": rows}, table)
    counted = read(table)
    assert counted.height == 250_000
    assert counted["product_id"].sum() == 249_999 * 125_000
    assert counted["name"].n_unique() == 250_000


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("sqlite:///none/of/this/shop.db/scored", NotFoundError),
        ("duckdb:///none/of/this/shop.db/scored", NotFoundError),
        ("postgresql://me:s3cret@127.0.0.1:1/shop/scored", OutputError),
        ("sqlite:///scored", InputError),
        ("sqlite://folder/shop.db/scored", InputError),
        ("duckdb://folder/shop.db/scored", InputError),
        ("postgresql://me:s3/cret@127.0.0.1/shop/scored", InputError),
    ],
)
def test_places_that_cannot_be_written_say_why(
    url: str, error: type[Exception], analysis: shelfwise.Analysis
) -> None:
    with pytest.raises(error) as caught:
        tables.write(analysis, url, "append")
    assert "s3" not in str(caught.value)


def test_a_file_that_is_no_database_is_left_alone(
    tmp_path: Path, analysis: shelfwise.Analysis
) -> None:
    (tmp_path / "shop.db").write_text("a,b\n1,2\n" * 200)
    for scheme in ("sqlite", "duckdb"):
        with pytest.raises(OutputError, match="cannot be written"):
            tables.write(analysis, f"{scheme}:///{tmp_path}/shop.db/scored", "overwrite")
    assert (tmp_path / "shop.db").read_text() == "a,b\n1,2\n" * 200


def test_the_command_line_writes_tables(
    tmp_path: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    LINES.write_csv("lines.csv")
    url = "sqlite:///shop.db/scored?what=else"
    for _ in range(2):
        ended = call("analyze", "--sales", "lines.csv", "-o", url, "--mode", "append",
                     "--as-of", "2026-02-28")  # fmt: skip
        assert ended.exit_code == 0, ended.output
    with sqlite3.connect("shop.db") as database:
        days = database.execute("SELECT as_of, count(*) FROM scored GROUP BY as_of").fetchall()
        found = database.execute("SELECT DISTINCT finding FROM scored_quality").fetchall()
    database.close()
    assert "stands in scored, scored_rejected and scored_quality" in " ".join(ended.stderr.split())
    assert days == [("2026-02-28", 6)]
    assert ("returned",) in found
    weekly = call("trends", "lines.csv", "-o", "duckdb:///w.duckdb/trends", "--mode", "overwrite")
    assert weekly.exit_code == 0, weekly.output
    assert read("duckdb:///w.duckdb/trends")["product_id"].sort().to_list() == ["a", "b", "c"]


def test_rows_on_standard_output_have_the_report_beside_them(
    tmp_path: Path, call: Callable[..., Any]
) -> None:
    LINES.write_csv(tmp_path / "lines.csv")
    ended = call("analyze", "--sales", tmp_path / "lines.csv", "-o", "-", "--format", "csv")
    assert len(ended.stdout.splitlines()) == 4
    assert "4 order lines, 2026-01-05 to 2026-02-01: 4 counted" in ended.stderr
    assert "returned: 1 lines" in ended.stderr


COMMANDS = (["analyze"], ["trends"], ["decide", "portfolio"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_table_that_is_there_is_refused_before_anything_is_read(
    table: str, command: list[str], call: Callable[..., Any]
) -> None:
    suffix = "_quality" if command == ["analyze"] else ""  # Each of its tables counts.
    databases.write_tables({suffix: LINES}, table)
    with pytest.raises(OutputError, match="there already"):
        call(*command, "none.csv", "-o", table)
    for mode in ("overwrite", "append") if command != ["analyze"] else ("overwrite",):
        with pytest.raises(NotFoundError, match=r"none\.csv"):
            call(*command, "none.csv", "-o", table, "--mode", mode)
    assert read(table, suffix).height == 4


def test_a_table_that_cannot_take_the_rows_is_refused_before_anything_is_read(
    table: str, call: Callable[..., Any]
) -> None:
    databases.write_tables({"": LINES}, table)
    with pytest.raises(OutputError, match="has no as_of and no run_id"):
        call("analyze", "none.csv", "-o", table, "--mode", "append")
    if table.startswith("postgresql"):
        with pytest.raises(OutputError, match="there is no such schema"):
            call("analyze", "none.csv", "-o", table.replace("/scored", "/gold.scored"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("target", "error", "told"),
    [
        ("none/of/this.csv", NotFoundError, "There is no folder"),
        (".", UnsupportedError, "no ending"),
        ("folder.csv", OutputError, "is a folder"),
        ("sqlite:///none/shop.db/scored", NotFoundError, "There is no folder"),
        ("duckdb:///none/shop.db/scored", NotFoundError, "There is no folder"),
        ("sqlite:///text.db/scored", OutputError, "cannot be written"),
        ("duckdb:///text.db/scored", OutputError, "cannot be written"),
        ("postgresql://me:s3cret@127.0.0.1:1/shop/scored", OutputError, "cannot be written"),
        ("file:///none/of/this.csv", NotFoundError, "There is no"),
    ],
)
def test_a_place_that_is_not_there_is_refused_before_anything_is_read(
    command: list[str], target: str, error: type[Exception], told: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., Any],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "text.db").write_text("no database" * 1000)
    with pytest.raises(error, match=told) as caught:
        call(*command, "none.csv", "-o", target)
    assert "s3cret" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.csv", "text.db"]


def test_a_folder_that_is_read_only_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    sqlite3.connect("shop.db").close()
    Path("shop.db").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)  # Who may do everything runs tests too.
    for target in ("out.csv", "sqlite:///shop.db/scored", "duckdb:///new.db/scored"):
        with pytest.raises(OutputError, match="cannot be written"):
            call("analyze", "none.csv", "-o", target)


@pytest.mark.parametrize("command", [["analyze", "--sales"], ["trends"], ["decide", "portfolio"]])
@pytest.mark.parametrize(
    "source", ["here/lines.csv", "here", "here/*.csv", "./here/../here/*s.csv"]
)
def test_what_is_read_is_not_written_over(
    command: list[str], source: str, tmp_path: Path, call: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    LINES.write_csv("here/lines.csv")
    with pytest.raises(OutputError, match=r"lines\.csv is read itself"):
        call(*command, source, "-o", "here/lines.csv")
    assert pl.read_csv("here/lines.csv").height == 4


def test_what_stands_beside_what_is_read_is_written(
    tmp_path: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    LINES.write_csv("lines-1.csv")
    for source in ("lines-1.csv", "lines-*.csv"):
        assert call("analyze", "--sales", source, "-o", "scored.csv").exit_code == 0


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
@pytest.mark.parametrize("ending", [".tsv", ".tsv.gz"])
def test_a_file_that_ends_in_tsv_has_tabs(
    engine: str, ending: str, tmp_path: Path, call: Callable[..., Any]
) -> None:
    SHOP.head(3).write_parquet(tmp_path / "shop.parquet")
    target = tmp_path / f"out{ending}"
    ended = call("analyze", tmp_path / "shop.parquet", "-o", target, "--engine", engine)
    assert ended.exit_code == 0, ended.output
    found = pl.read_csv(target, separator="\t", infer_schema=False).sort("product_id")
    assert found["name"].to_list() == SHOP.head(3)["name"].to_list()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--profile", "none.toml"], "none.toml"),
        (["--model", "none.json"], "none.json"),
        (["--save-model", "model.pkl"], "no known ending"),
    ],
)
def test_what_scoring_needs_is_looked_for_before_lines_are_counted(
    arguments: list[str], told: str, call: Callable[..., Any]
) -> None:
    with pytest.raises(shelfwise.ShelfwiseError, match=told):
        call("analyze", "--sales", "none.csv", *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "sqlite:///shop.db/scored", "--format", "csv"],
        ["-o", "scored.csv", "--mode", "append"],
        ["-o", "sqlite:///shop.db/scored", "--mode", "replace"],
        ["--as-of", "2026-02-28"],
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments: list[str], call: Callable[..., Any]
) -> None:
    assert call("analyze", "shop.csv", *arguments).exit_code == 2


READERS = {"csv": pl.read_csv, "ndjson": pl.read_ndjson, "parquet": pl.read_parquet,
           "arrow": pl.read_ipc}  # fmt: skip


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("rows", [0, 250_000])
def test_rows_of_an_engine_are_the_same_on_standard_output_and_in_a_file(
    kind: str, rows: int, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    if kind == "ndjson" and not rows:
        pytest.skip("NDJSON without rows is empty")
    query = ("SELECT i AS product_id, 'a,\"' || i AS name, i / 3 AS price, NULL::DOUBLE AS stock, "
             f"i % 2 = 0 AS even FROM range({rows}) AS numbers(i)")  # fmt: skip
    relation = frames.connected(ordered=True).sql(query)
    output.write(relation, str(tmp_path / "rows"), kind)
    output.write(relation, "-", kind)
    sent = capfdbinary.readouterr().out
    wanted = relation.pl()
    for place in (sent, (tmp_path / "rows").read_bytes()):
        found = READERS[kind](io.BytesIO(place)).sort("product_id")
        assert_frame_equal(found, wanted, check_dtypes=False)


@pytest.mark.parametrize("kind", ["csv", "ndjson", "json"])
@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_a_file_that_ends_in_gz_is_packed(
    kind: str, engine: str, tmp_path: Path, call: Callable[..., Any]
) -> None:
    SHOP.head(3).write_parquet(tmp_path / "shop.parquet")
    for ending in ("", ".gz"):
        target = tmp_path / f"out.{kind}{ending}"
        ended = call("analyze", tmp_path / "shop.parquet", "-o", target, "--engine", engine)
        assert ended.exit_code == 0, ended.output
    plain, packed = ((tmp_path / f"out.{kind}{ending}").read_bytes() for ending in ("", ".gz"))
    assert len(gzip.decompress(packed).splitlines()) == len(plain.splitlines())
    if kind != "json":
        assert shelfwise.analyze(tmp_path / f"out.{kind}.gz").products.height == 3


def test_rows_that_cannot_all_be_made_are_not_sent(capfdbinary: Any) -> None:
    relation = duckdb.sql("SELECT if(i < 150000, i, error('no')) AS x FROM range(200000) t(i)")
    for kind in READERS:
        with pytest.raises(OutputError, match="Standard output cannot be written"):
            output.write(relation, "-", kind)
    assert capfdbinary.readouterr().out == b""


STREAMED = """
import resource, sys
from shelfwise.engines import frames, output

def most():  # megabytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

query = "SELECT i, i / 3 AS a, random() AS b, random() AS c, 'name ' || i AS n FROM range({}) t(i)"
output.write(frames.connected().sql(query.format(1000)), *sys.argv[1:])
before = most()
output.write(frames.connected().sql(query.format(6_000_000)), *sys.argv[1:])
print(most() - before, file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "kind"),
    [("-", "csv"), ("-", "ndjson"), ("-", "parquet"), ("rows", "csv"), ("rows", "ndjson"),
     ("rows", "arrow"), ("/dev/null", "arrow")],
)  # fmt: skip
def test_rows_of_an_engine_are_streamed(target: str, kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STREAMED, target, kind]
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
    # The rows take 270 MB in memory, and more as text.
    assert float(done.stderr.splitlines()[-1]) < 220
