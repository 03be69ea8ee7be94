"""/v1/runs: what was saved comes back, page by page, filtered, in every format."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from flask.testing import FlaskClient
from openpyxl import load_workbook

import shelfwise
from doors import PATH, ClientDoor, Door
from kinds import shop
from shelfwise.settings import load_settings
from shelfwise.store import Store


def post(door: Door, rows: Any, query: str = "", **headers: str) -> Any:
    return door(json.dumps(rows).encode(), path=PATH + query, headers=headers)


def get(door: Door, path: str, **headers: str) -> Any:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return door(path=path, method="GET", headers={"Content-Type": None} | given)


@pytest.fixture
def kept_door(database_url: str, tmp_path: Path, client_of: Callable[..., FlaskClient]) -> Door:
    """The application on a store of its own, on SQLite and on PostgreSQL."""
    return ClientDoor(client_of(data_dir=tmp_path / "kept", database_url=database_url))


@pytest.fixture
def saved(kept_door: Door) -> tuple[Door, str, Any]:
    """A door, the id of the run that was saved through it, and the answer that saved it."""
    answer = post(kept_door, shop(30), "?save=1&label=First")
    document = answer.ok()
    assert answer.headers["location"] == f"/v1/runs/{document['run_id']}"
    return kept_door, document["run_id"], document


def test_nothing_is_kept_unless_asked_for(kept_door: Door) -> None:
    assert "run_id" not in post(kept_door, shop(30)).ok()
    assert get(kept_door, "/v1/runs").ok() == {"data": [], "next": None}
    get(kept_door, "/v1/runs/latest").problem(404)
    assert "label goes with" in post(kept_door, shop(30), "?label=x").problem(422)["detail"]


def test_a_saved_run_is_found_under_its_id_and_as_the_latest(
    saved: tuple[Door, str, Any],
) -> None:
    door, run_id, document = saved
    run = get(door, f"/v1/runs/{run_id}").ok()
    assert run == get(door, "/v1/runs/latest").ok()
    assert run["label"] == "First"
    assert run["origin"] == "api"
    assert run["model"] == document["model"]
    assert run["warnings"] == document["warnings"]
    assert run["summary"]["tiers"] == document["summary"]["tiers"]


@pytest.mark.parametrize("query", ["", "explain=1", "precision=full", "explain=1&precision=full"])
def test_the_products_of_a_run_are_those_of_its_answer(
    saved: tuple[Door, str, Any], query: str
) -> None:
    door, run_id, _ = saved
    first = post(door, shop(30), f"?{query}").ok()["data"]
    pages = get(door, f"/v1/runs/{run_id}/products.json?limit=1000&{query}".rstrip("&")).ok()
    assert pages["next"] is None
    assert pages["data"] == sorted(first, key=lambda row: (row["rank"], row["product_id"]))


def test_grouped_and_metered_products_come_back(saved: tuple[Door, str, Any]) -> None:
    door, _, _ = saved
    answer = post(door, shop(30), "?save=1&period_days=30").ok()
    rows = get(door, "/v1/runs/latest/products.json?limit=1000").ok()["data"]
    assert sorted(rows, key=lambda r: r["product_id"]) == answer["data"]


def test_pages_follow_each_other_and_miss_nothing(saved: tuple[Door, str, Any]) -> None:
    door, run_id, _ = saved
    for query in ("", "sort=name", "sort=-units_sold", "category=Garden", "search=product%201"):
        whole = get(door, f"/v1/runs/{run_id}/products.json?limit=1000&{query}").ok()["data"]
        assert whole
        found, path = [], f"/v1/runs/{run_id}/products.json?limit=4&{query}"
        while path:
            answer = get(door, path)
            found += answer.ok()["data"]
            link = answer.headers.get("link", "")
            assert bool(link) is (answer.json()["next"] is not None)
            path = link.partition(">")[0].removeprefix("<")
        assert found == whole


FILTERS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "tier=High": lambda r: r["performance_tier"] == "High",
    "cluster=Low": lambda r: r["cluster"] == "Low",
    "abc_class=A": lambda r: r["abc_class"] == "A",
    "category=Kitchen&tier=Medium": lambda r: (
        (r["category"], r["performance_tier"]) == ("Kitchen", "Medium")
    ),
    "product_id=7": lambda r: r["product_id"] == 7,
    "search=PRODUCT%2007": lambda r: r["name"] == "Product 07",
    "search=%25": lambda r: False,
    "search=.*": lambda r: False,
    "flag=no_sales": lambda r: "no_sales" in r["flags"],
}


@pytest.mark.parametrize("query", FILTERS)
def test_filters_leave_what_they_say(saved: tuple[Door, str, Any], query: str) -> None:
    door, run_id, _ = saved
    address = f"/v1/runs/{run_id}/products.json?limit=1000&explain=1"
    rows = get(door, address).ok()["data"]
    assert get(door, f"{address}&{query}").ok()["data"] == [r for r in rows if FILTERS[query](r)]


@pytest.mark.parametrize(
    "query",
    ["supplier=x", "sort=nothing", "limit=0", "limit=1001", "limit=x", "after=-1", "flag=none",
     "tier=Nothing", "search=a%00b", "nope=1", "limit=1&limit=2", "sort=", "precision=all"],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(saved: tuple[Door, str, Any], query: str) -> None:
    door, run_id, _ = saved
    get(door, f"/v1/runs/{run_id}/products.json?{query}").problem(422)


def test_every_format_has_the_same_products(saved: tuple[Door, str, Any]) -> None:
    door, run_id, _ = saved
    address = f"/v1/runs/{run_id}/products"
    parquet = pl.read_parquet(get(door, f"{address}.parquet").body)
    assert parquet.height == 30
    assert pl.read_ipc_stream(get(door, f"{address}.arrow").body).equals(parquet)
    lines = [json.loads(line) for line in get(door, f"{address}.ndjson").body.splitlines()]
    assert lines == parquet.to_dicts()
    answer = get(door, f"{address}.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="20')
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [row["product_id"] for row in rows] == [str(v) for v in parquet["product_id"]]
    assert [float(row["performance_score"]) for row in rows] == parquet[
        "performance_score"
    ].to_list()
    sheet = load_workbook(io.BytesIO(get(door, f"{address}.xlsx").body)).active
    assert sheet is not None
    table = list(sheet.values)
    assert list(table[0]) == parquet.columns
    assert [row[0] for row in table[1:]] == parquet["product_id"].to_list()
    for kind in ("csv", "ndjson", "parquet", "arrow", "xlsx"):
        assert get(door, f"{address}.{kind}?category=Garden&sort=name&limit=3").status == 200
    few = pl.read_parquet(get(door, f"{address}.parquet?category=Garden&sort=-name").body)
    assert few["name"].to_list() == sorted(few["name"], reverse=True)
    get(door, f"{address}.exe").problem(404)


HOSTILE = ["=cmd|' /C calc'!A0", "  +1+1", "-2+3", "@SUM(A1)", "\t=1", "<script>alert(1)</script>",
           "' OR 1=1--", "http://evil.example", "plain"]  # fmt: skip


def test_hostile_names_stay_text(kept_door: Door) -> None:
    names = [name.replace("\t", " ") for name in HOSTILE]
    rows = [row | {"name": name} for row, name in zip(shop(9), names, strict=True)]
    run = post(kept_door, rows, "?save=1").ok()["run_id"]
    address = f"/v1/runs/{run}/products"
    body = get(kept_door, f"{address}.csv").body.decode()
    found = {row["name"] for row in csv.DictReader(io.StringIO(body))}
    assert found == {f"'{n}" if n.lstrip()[0] in "=+-@" else n for n in names}
    raw = get(kept_door, f"{address}.csv?raw=1").body.decode()
    assert {row["name"] for row in csv.DictReader(io.StringIO(raw))} == set(names)
    sheet = load_workbook(io.BytesIO(get(kept_door, f"{address}.xlsx").body)).active
    assert sheet is not None
    cells = [row[1] for row in list(sheet.iter_rows())[1:]]
    assert {cell.value for cell in cells} == set(names)
    assert {cell.data_type for cell in cells} == {"s"}
    assert not any(cell.hyperlink for cell in cells)
    values = {row["name"] for row in get(kept_door, f"{address}.json").ok()["data"]}
    assert values == set(names)


def test_numbers_too_long_for_a_sheet_stay_whole(kept_door: Door) -> None:
    rows = [row | {"product_id": 2**62 + row["product_id"]} for row in shop(3)]
    run = post(kept_door, rows, "?save=1").ok()["run_id"]
    sheet = load_workbook(io.BytesIO(get(kept_door, f"/v1/runs/{run}/products.xlsx").body)).active
    assert sheet is not None
    assert {row[0] for row in list(sheet.values)[1:]} == {str(2**62 + i) for i in (1, 2, 3)}


def test_a_client_that_has_it_gets_304(saved: tuple[Door, str, Any]) -> None:
    door, run_id, _ = saved
    products = f"/v1/runs/{run_id}/products"
    for path in (f"/v1/runs/{run_id}", f"{products}.json", "/v1/runs", f"{products}.csv",
                 "/v1/runs/latest/products.parquet"):  # fmt: skip
        first = get(door, path)
        again = get(door, path, If_None_Match=first.headers["etag"])
        assert (again.status, again.body) == (304, b"")
        assert get(door, path, If_None_Match='"other"').status == 200
    whole, part = f"{products}.json", f"{products}.json?limit=2"
    assert get(door, whole).headers["etag"] != get(door, part).headers["etag"]


def test_runs_are_pinned_and_deleted(saved: tuple[Door, str, Any]) -> None:
    door, run_id, _ = saved
    path = f"/v1/runs/{run_id}"
    assert door(b'{"pinned": true}', path=path, method="PATCH").ok()["pinned"] is True
    assert "pinned" in get(door, path).ok()
    door(path=path, method="DELETE").problem(422)
    assert door(b'{"pinned": false}', path=path, method="PATCH").ok()["pinned"] is False
    assert door(path=path, method="DELETE").status == 204
    get(door, path).problem(404)
    door(path=path, method="DELETE").problem(404)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"[]", 422), (b"{}", 422), (b'{"pinned": 1}', 422),
     (b'{"pinned": true, "id": "x"}', 422), (b"[" * 100_000, 413), (b"[" * 60_000, 400),
     (b"\xff", 400)],
)  # fmt: skip
def test_changes_that_do_not_fit_are_refused(
    saved: tuple[Door, str, Any], body: bytes, status: int
) -> None:
    door, run_id, _ = saved
    found = door(body, path=f"/v1/runs/{run_id}", method="PATCH")
    assert found.status in (status, 422)
    found.problem(found.status)


@pytest.mark.parametrize(
    "run_id", ["..", "%2e%2e", "a%00b", "x" * 65, "a/b", "a b", "%2e%2e%2fetc", "' OR 1=1--"]
)
def test_ids_that_are_none_are_not_found(kept_door: Door, run_id: str) -> None:
    for path in (f"/v1/runs/{run_id}", f"/v1/runs/{run_id}/products.csv", f"/v1/models/{run_id}"):
        assert get(kept_door, path.replace(" ", "%20")).status in (404, 405, 308)


def test_rejected_rows_are_listed(kept_door: Door) -> None:
    rows = [*shop(5), {"product_id": 9, "name": "Bad", "price": -1, "units_sold": 1, "stock": 1}]
    run = post(kept_door, rows, "?save=1&on_error=skip").ok()["run_id"]
    found = get(kept_door, f"/v1/runs/{run}/rejected").ok()
    assert [row["column"] for row in found["data"]] == ["price"]


def test_a_request_with_a_key_is_done_once(kept_door: Door) -> None:
    key = {"Idempotency-Key": "order-17"}
    first = post(kept_door, shop(30), "?save=1", **key)
    again = post(kept_door, shop(30), "?save=1", **key)
    assert again.body == first.body
    assert len(get(kept_door, "/v1/runs").ok()["data"]) == 1
    other = post(kept_door, shop(5), "?save=1", **key).problem(422)
    assert other["type"].endswith("idempotency_key_reused")
    post(kept_door, shop(30), "?save=1", **{"Idempotency-Key": "order-18"}).ok()
    assert len(get(kept_door, "/v1/runs").ok()["data"]) == 2
    for bad in ("", "x" * 256, "a b"):
        post(kept_door, shop(30), "?save=1", **{"Idempotency-Key": bad}).problem(422)


def test_a_failed_request_frees_its_key(kept_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    from shelfwise.errors import OutputError
    from shelfwise.store.results import Results

    key = {"Idempotency-Key": "k"}

    def full(*_: object) -> None:
        raise OutputError("There is no room.")

    with monkeypatch.context() as patched:
        patched.setattr(Results, "publish", full)
        post(kept_door, shop(30), "?save=1", **key).problem(507)
    assert post(kept_door, shop(30), "?save=1", **key).ok()["run_id"]


def test_a_request_at_work_is_not_started_again(
    kept_door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shelfwise.store.runs import Runs

    saving, inner = Runs.save, []

    def slow(self: Any, *given: Any, **options: Any) -> Any:
        if not inner:
            inner.append(None)
            inner.append(post(kept_door, shop(30), "?save=1", **{"Idempotency-Key": "k"}))
        return saving(self, *given, **options)

    monkeypatch.setattr(Runs, "save", slow)
    post(kept_door, shop(30), "?save=1", **{"Idempotency-Key": "k"}).ok()
    document = inner[1].problem(409)
    assert document["type"].endswith("still_running")
    assert inner[1].headers["retry-after"] == "1"


def test_runs_saved_on_the_command_line_and_in_python_are_there(
    tmp_path: Path, client_of: Callable[..., FlaskClient]
) -> None:
    with Store(load_settings({}, data_dir=tmp_path)) as store:
        run = store.runs.save(shelfwise.analyze(shop(30)))
    door = ClientDoor(client_of(data_dir=tmp_path))
    assert get(door, "/v1/runs/latest").ok()["id"] == run.id
    assert len(get(door, "/v1/runs/latest/products.json").ok()["data"]) == 30


def test_a_store_that_is_away_answers_503_while_scoring_goes_on(
    client_of: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    url = "postgresql://me:hush-hush@127.0.0.1:1/x"
    door = ClientDoor(client_of(database_url=url, data_dir=tmp_path))
    for path in ("/v1/runs", "/readyz", "/v1/models/shop"):
        answer = get(door, path)
        assert "hush" not in json.dumps(answer.problem(503))
        assert answer.headers["retry-after"] == "5"
    assert get(door, "/livez").status == 200
    assert post(door, shop(30)).ok()["status"] == "success"
    post(door, shop(30), "?save=1").problem(503)


def test_a_page_far_beyond_the_end_is_empty(saved: tuple[Door, str, Any]) -> None:
    door, run_id, _ = saved
    path = f"/v1/runs/{run_id}/products.json?after=2000000000"
    assert get(door, path).ok() == {"data": [], "next": None}
    get(door, path.replace("2000000000", "10000000000")).problem(422)


def test_columns_that_differ_in_an_apostrophe_alone_are_written(kept_door: Door) -> None:
    body = "product_id,name,price,units_sold,stock,=x,'=x\n1,a,2,3,4,5,6\n2,b,3,4,5,6,7\n"
    answer = kept_door(body.encode(), path=f"{PATH}?save=1", headers={"Content-Type": "text/csv"})
    run = answer.ok()["run_id"]
    head = get(kept_door, f"/v1/runs/{run}/products.csv").body.split(b"\n")[0].decode()
    assert len(set(head.split(","))) == len(head.split(","))


def test_a_repeated_request_keeps_the_model_of_its_run(kept_door: Door) -> None:
    def ask(method: str, path: str, body: Any) -> Any:
        return kept_door(json.dumps(body).encode(), path=path, method=method)

    for n in (20, 60):
        post(kept_door, shop(n), "?save=1").ok()
        ask("POST", "/v1/models", {"name": "shop", "run": "latest"})
    key = {"Idempotency-Key": "k"}
    first = post(kept_door, shop(5), "?save=1&model=shop", **key)
    ask("PUT", "/v1/models/shop/aliases/current", {"version": 2})
    assert post(kept_door, shop(5), "?save=1&model=shop", **key).body == first.body


def test_pages_of_other_sites_may_not_send_requests(kept_door: Door) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"},
                    {"Origin": "null"}):  # fmt: skip
        assert post(kept_door, shop(3), **headers).problem(403)["type"].endswith("cross_site")
    assert post(kept_door, shop(3), Origin="http://localhost", Host="localhost").status == 200
