"""Order lines, trends, forecasts and elasticities over HTTP, with a real server and worker."""

import json
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from test_v1_jobs import CSV, HOMES, over, send, upload, written
from test_v1_runs import get

import shelfwise
from doors import DATABASES, LiveDoor, database_of, serving
from kinds import shop, sold

LINES, CATALOG = sold()


@pytest.fixture(scope="module", params=DATABASES)
def working(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveDoor]:
    """A server with a worker, which may read the folder `open`."""
    home = tmp_path_factory.mktemp("derived")
    (home / "open").mkdir()
    pl.DataFrame(LINES).write_parquet(home / "open" / "lines.parquet")
    pl.DataFrame(CATALOG).write_csv(home / "open" / "catalog.csv")
    variables = {
        "SHELFWISE_SOURCES": str(home / "open"), "SHELFWISE_DATABASE_URL": database_of(request),
    }  # fmt: skip
    with serving(home, "--worker", **variables) as door:
        HOMES[door.url] = home / "open"
        yield door


@pytest.fixture(scope="module")
def run(working: LiveDoor) -> str:
    """A run of uploaded order lines."""
    lines = upload(working, written(LINES, "write_csv"), CSV).json()["id"]
    catalog = upload(working, written(CATALOG, "write_csv"), CSV).json()["id"]
    asked = {"source": {"upload": lines}, "sales": {"catalog": {"upload": catalog}}}
    job = over(working, send(working, "POST", "/v1/runs", asked))
    assert job["state"] == "succeeded", job
    assert job["what"] == "analysis"
    return str(job["run_id"])


def made(door: LiveDoor, run: str, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    job = over(door, send(door, "POST", f"/v1/runs/{run}/{kind}", body))
    assert (job["state"], job["what"], job["run_id"]) == ("succeeded", kind, run), job
    return job


def test_uploaded_lines_become_a_run(working: LiveDoor, run: str) -> None:
    found = get(working, f"/v1/runs/{run}").ok()
    assert found["products"] == 12
    assert found["quality"]["lines"] == len(LINES)
    assert found["as_of"] == str(max(line["date"] for line in LINES))
    rows = get(working, f"/v1/runs/{run}/products.json").ok()["data"]
    here = shelfwise.analyze(shelfwise.from_sales(LINES, catalog=CATALOG)).to_dict()
    assert {r["product_id"]: r["performance_score"] for r in rows} == {
        r["product_id"]: r["performance_score"] for r in here["data"]
    }


def test_trends_are_made_and_join_the_products(working: LiveDoor) -> None:
    home = HOMES[working.url]
    asked = {"source": {"place": str(home / "lines.parquet")},
             "sales": {"catalog": {"place": str(home / "catalog.csv")}}}  # fmt: skip
    run = str(over(working, send(working, "POST", "/v1/runs", asked))["run_id"])
    before = get(working, f"/v1/runs/{run}/products.json")
    assert "trend" not in before.ok()["data"][0]
    made(working, run, "trends", {})
    after = get(working, f"/v1/runs/{run}/products.json")
    assert after.headers["etag"] != before.headers["etag"]
    told = {int(row["product_id"]): row["trend"] for row in after.ok()["data"]}
    assert [told[100 + n] for n in range(8)] == ["rising"] * 4 + ["falling"] * 4
    rising = get(working, f"/v1/runs/{run}/products.json?trend=rising&sort=-growth").ok()["data"]
    assert {row["category"] for row in rising} == {"Up"}
    assert rising == sorted(rising, key=lambda row: -row["growth"])
    sheet = get(working, f"/v1/runs/{run}/products.csv?trend=falling").body.decode()
    assert "growth_low" in sheet.splitlines()[0]
    assert len(sheet.splitlines()) == 5
    names = [row["name"] for row in get(working, f"/v1/runs/{run}/derived").ok()["data"]]
    assert {"category_trends", "trends"} <= set(names)


@pytest.mark.parametrize("kind", ["json", "csv", "ndjson", "parquet", "arrow", "xlsx"])
def test_a_table_comes_in_every_format(working: LiveDoor, run: str, kind: str) -> None:
    made(working, run, "trends", {})
    found = get(working, f"/v1/runs/{run}/category_trends.{kind}")
    assert found.status == 200
    assert found.body
    if kind == "json":
        rows = found.ok()["data"]
        assert {row["category"]: row["trend"] for row in rows}["Up"] == "rising"
        one = get(working, f"/v1/runs/{run}/trends.json?product_id=101").ok()["data"]
        assert [row["name"] for row in one] == ["Product 01"]
    elif kind == "csv":
        assert len(found.body.decode().splitlines()) == 4
        etag = found.headers["etag"]
        again = working(b"", path=f"/v1/runs/{run}/category_trends.csv", method="GET",
                        headers={"If-None-Match": etag})  # fmt: skip
        assert again.status == 304


def test_weeks_out_of_stock_are_left_out(working: LiveDoor, run: str) -> None:
    days = [{"product_id": 100, "date": f"2022-{month:02}-05"} for month in range(2, 10)]
    given = upload(working, written(days, "write_csv"), CSV).json()["id"]
    made(working, run, "trends", {"out_of_stock": {"upload": given}})
    tables = {one["name"]: one for one in get(working, f"/v1/runs/{run}/derived").ok()["data"]}
    assert tables["trends"]["about"] == {"weeks_out_of_stock": 8}


def test_a_forecast_and_elasticities_are_made(working: LiveDoor, run: str) -> None:
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    made(working, run, "forecast", {"horizon": 6})
    made(working, run, "elasticity", {})
    row = get(working, f"/v1/runs/{run}/products.json?limit=1").ok()["data"][0]
    assert row["forecast_weeks"] == 6
    assert row["forecast_q5"] < row["forecast_expected"] < row["forecast_q95"]
    assert row["elasticity_low"] < row["elasticity"] < row["elasticity_high"]
    assert row["elasticity_warning"].startswith("An association")
    rows = get(working, f"/v1/runs/{run}/forecast.json").ok()["data"]
    assert {one["horizon"] for one in rows} == {6}


def test_a_place_that_is_open_is_counted_with_every_option(working: LiveDoor) -> None:
    home = HOMES[working.url]
    asked = {
        "source": {"place": str(home / "lines.parquet")},
        "label": "2023",
        "sales": {
            "catalog": {"place": str(home / "catalog.csv")},
            "from": "2023-01-01", "to": "2023-12-31", "by": "category", "last_price": False,
            "max_rejected": 0.05, "find_duplicates": True, "dates": "day-first",
            "rules": {"net_credit_notes": False, "not_products": ["POST"]},
        },
    }  # fmt: skip
    job = over(working, send(working, "POST", "/v1/runs", asked))
    assert job["state"] == "succeeded", job
    found = get(working, f"/v1/runs/{job['run_id']}").ok()
    assert (found["products"], found["as_of"]) == (3, "2023-12-31")
    refused = send(working, "POST", f"/v1/runs/{job['run_id']}/trends", {})
    assert refused.status == 422
    assert "order lines by product" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("sales", "because"),
    [
        ({"by": "colour"}, "sales.by is"),
        ({"from": "2023-02-30"}, "sales.from is 2023-02-30: there is no such day"),
        ({"rules": {"credit_notes": "("}}, "credit_notes"),
        ({"rules": {"colour": True}}, "colour"),
        ({"max_rejected": 2}, "max_rejected"),
        ({"from": "2023-02-03", "to": "2023-02-01"}, "after sales.to"),
        ({"catalog": {}}, "sales.catalog.upload or sales.catalog.place"),
        ({"stock": {"place": "/etc/passwd"}}, "may not be read"),
    ],
)
def test_bad_options_are_refused_at_once(
    working: LiveDoor, sales: dict[str, Any], because: str
) -> None:
    place = {"place": str(HOMES[working.url] / "lines.parquet")}
    refused = send(working, "POST", "/v1/runs", {"source": place, "sales": sales})
    assert refused.status == 422
    assert because in refused.json()["detail"]


def test_lines_that_cannot_be_counted_fail_the_job_and_say_why(working: LiveDoor) -> None:
    bad = [{"product_id": 1, "date": "2026-01-05", "quantity": "many", "unit_price": 2.0}] * 3
    given = upload(working, written(bad, "write_csv"), CSV).json()["id"]
    asked = {"source": {"upload": given}, "sales": {}}
    job = over(working, send(working, "POST", "/v1/runs", asked))
    assert job["state"] == "failed"
    assert job["error"]["errors"][0]["pointer"].endswith("/quantity")


def test_a_run_of_products_has_no_trends(working: LiveDoor) -> None:
    kept = working(json.dumps(shop()).encode(), path="/product-analysis?save=1").json()["run_id"]
    refused = send(working, "POST", f"/v1/runs/{kept}/forecast", {})
    assert refused.status == 422
    assert "POST /v1/runs" in refused.json()["detail"]
    for path in ("trends.json", "products.json?trend=rising", "products.csv?trend=rising"):
        missing = get(working, f"/v1/runs/{kept}/{path}")
        assert missing.status == 404, path
        assert f"POST /v1/runs/{kept}/trends" in missing.json()["detail"]
    sorted_by = get(working, f"/v1/runs/{kept}/products.json?sort=-growth")
    assert sorted_by.status == 422


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("forecast", {"horizon": 0}, 422),
        ("forecast", {"horizon": 200}, 422),
        ("trends", {"horizon": 4}, 422),
        ("trends", {"out_of_stock": {"upload": "nothing"}}, 404),
        ("colours", {}, 404),
    ],
)
def test_what_does_not_fit_is_refused(
    working: LiveDoor, run: str, path: str, body: dict[str, Any], status: int
) -> None:
    assert send(working, "POST", f"/v1/runs/{run}/{path}", body).status == status
    assert send(working, "POST", "/v1/runs/unknown/trends", {}).status == 404


def test_the_same_key_starts_one_job(working: LiveDoor, run: str) -> None:
    first, again = (
        send(working, "POST", f"/v1/runs/{run}/trends", {}, Idempotency_Key="once")
        for _ in range(2)
    )
    assert first.json()["id"] == again.json()["id"]
    other = send(working, "POST", f"/v1/runs/{run}/elasticity", {}, Idempotency_Key="once")
    assert other.status == 422
    over(working, first)


def test_a_key_is_worth_the_same_when_the_latest_run_is_another(
    working: LiveDoor, run: str
) -> None:
    def ask() -> Any:
        return send(working, "POST", "/v1/runs/latest/trends", {}, Idempotency_Key="latest")

    place = {"place": str(HOMES[working.url] / "lines.parquet")}
    over(working, send(working, "POST", "/v1/runs", {"source": place, "sales": {}}))
    first = ask()
    over(working, first)
    working(json.dumps(shop()).encode(), path="/product-analysis?save=1")
    again = ask()
    assert again.status == 202
    assert again.json()["id"] == first.json()["id"]


def test_an_empty_filter_leaves_nothing(working: LiveDoor, run: str) -> None:
    made(working, run, "trends", {})
    for name in ("category", "product_id"):
        assert get(working, f"/v1/runs/{run}/trends.json?{name}=").ok()["data"] == []
    refused = get(working, f"/v1/runs/{run}/category_trends.json?product_id=1")
    assert (refused.status, "no column product_id" in refused.json()["detail"]) == (422, True)


def test_a_schedule_reads_places_only(working: LiveDoor) -> None:
    place = {"place": str(HOMES[working.url] / "lines.parquet")}
    kept = upload(working, written(CATALOG, "write_csv"), CSV).json()["id"]
    for sales in ({"catalog": {"upload": kept}}, {"stock": {"upload": kept}}):
        asked = {"name": "weekly", "cron": "0 6 * * 1", "run": {"source": place, "sales": sales}}
        refused = send(working, "POST", "/v1/schedules", asked)
        assert refused.status == 422
        assert "reads places" in refused.json()["detail"]


def test_lines_without_a_column_of_ours_fail_the_job_and_say_so(working: LiveDoor) -> None:
    given = upload(working, b"a,b\n1,2\n", CSV).json()["id"]
    job = over(working, send(working, "POST", "/v1/runs",
                             {"source": {"upload": given}, "sales": {}}))  # fmt: skip
    assert job["error"]["code"] == "invalid_input"
    assert "No column is known here: 'a', 'b'" in job["error"]["detail"]


def test_a_preview_of_order_lines_knows_their_columns(working: LiveDoor) -> None:
    rows = [{"Artikel": 1, "Invoice Date": "2026-01-05", "qty": 2, "Price": 3.0},
            {"Artikel": 2, "Invoice Date": "2026-01-06", "qty": "x", "Price": 3.0}]  # fmt: skip
    body = "\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)])
    kept = working(body.encode(), path="/v1/uploads?lines=1", headers={"Content-Type": CSV})
    shown = kept.json()
    taken = {column["name"]: column["taken_as"] for column in shown["columns"]}
    assert taken == {"Artikel": None, "Invoice Date": "date", "qty": "quantity",
                     "Price": "unit_price"}  # fmt: skip
    assert shown["missing"] == ["product_id"]
    named = body.replace("Artikel", "SKU").encode()
    kept = working(named, path="/v1/uploads?lines=1", headers={"Content-Type": CSV})
    assert [problem["pointer"] for problem in kept.json()["problems"]] == ["/1/quantity"]
    as_products = get(working, f"/v1/uploads/{kept.json()['id']}").ok()
    assert "stock" in as_products["missing"]
