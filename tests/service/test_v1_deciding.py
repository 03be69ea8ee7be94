"""Decisions of kept runs over HTTP, with a real server and worker; answers are remembered."""

import json
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from test_v1_jobs import CSV, over, send, upload, written
from test_v1_runs import get

from doors import DATABASES, LiveDoor, database_of, serving
from kinds import bargains, sold
from shelfwise.insights.sections import QUESTIONS

LINES, CATALOG = sold()
STOCKED = [
    row | {"unit_cost": 4.0, "lead_time_days": 14, "supplier": f"S{n % 4}",
           "stock": 0 if n % 3 == 0 else 40 if n % 3 == 1 else 90_000}
    for n, row in enumerate(CATALOG)
]  # fmt: skip


@pytest.fixture(scope="module", params=DATABASES)
def working(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveDoor]:
    home = tmp_path_factory.mktemp("deciding")
    with serving(home, "--worker", SHELFWISE_DATABASE_URL=database_of(request)) as door:
        yield door


def analyzed(door: LiveDoor, lines: list[dict[str, Any]]) -> str:
    """A run of uploaded order lines with a catalogue and stock."""
    places = [upload(door, written(rows, "write_csv"), CSV).json()["id"]
              for rows in (lines, STOCKED)]  # fmt: skip
    known = {"upload": places[1]}
    asked = {"source": {"upload": places[0]}, "sales": {"catalog": known, "stock": known}}
    job = over(door, send(door, "POST", "/v1/runs", asked))
    assert job["state"] == "succeeded", job
    return str(job["run_id"])


@pytest.fixture(scope="module")
def run(working: LiveDoor) -> str:
    return analyzed(working, LINES)


def decided(door: LiveDoor, run: str, section: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    job = over(door, send(door, "POST", f"/v1/runs/{run}/{section}", body))
    assert (job["state"], job["what"], job["run_id"]) == ("succeeded", section, run), job
    rows: list[dict[str, Any]] = get(door, f"/v1/runs/{run}/{section}.json").ok()["data"]
    return rows


@pytest.mark.parametrize("section", [n for n, q in QUESTIONS.items() if not q.compares])
def test_every_section_is_decided_with_its_columns(
    section: str, working: LiveDoor, run: str
) -> None:
    rows = decided(working, run, section, {})
    names = [column.name for column in QUESTIONS[section].columns]
    assert list(rows[0])[: len(names)] == names
    about = {one["name"]: one["about"] for one in get(working, f"/v1/runs/{run}/derived").ok()[
        "data"]}[section]  # fmt: skip
    assert about["section"] == section
    assert {"withheld", "assumptions", "summary", "policy"} <= set(about)
    sheet = get(working, f"/v1/runs/{run}/{section}.csv").body.decode().splitlines()
    assert sheet[0].split(",")[: len(names)] == names


def test_inventory_joins_the_products_and_is_filtered(working: LiveDoor, run: str) -> None:
    decided(working, run, "inventory", {"policy": {"review_days": 14}})
    reorder = get(working, f"/v1/runs/{run}/inventory.json?action=reorder&sort=-money").ok()["data"]
    assert reorder
    assert all(row["reason"] and row["amount"] > 0 and row["date"] for row in reorder)
    products = get(working, f"/v1/runs/{run}/products.json").ok()["data"]
    shown = {row["product_id"]: row["action"] for row in products}
    assert {row["product_id"] for row in reorder} == {
        product for product, action in shown.items() if action == "reorder"
    }


def test_an_answer_is_shown_there_and_in_the_next_run(working: LiveDoor, run: str) -> None:
    clear = next(r for r in decided(working, run, "inventory", {}) if r["action"] == "clear")
    before = get(working, f"/v1/runs/{run}/inventory.json")
    said = send(working, "POST", "/v1/decisions", {
        "product_id": clear["product_id"], "action": "clear", "verdict": "dismissed",
        "reason": "Christmas is coming", "run_id": run,
    })  # fmt: skip
    assert said.status == 201, said.body
    after = get(working, f"/v1/runs/{run}/inventory.json?verdict=dismissed")
    assert [row["product_id"] for row in after.ok()["data"]] == [clear["product_id"]]
    again = get(working, f"/v1/runs/{run}/inventory.json")
    assert again.headers["etag"] != before.headers["etag"]
    later = analyzed(working, LINES)
    rows = decided(working, later, "inventory", {})
    told = {row["product_id"]: row["verdict"] for row in rows}
    assert told[clear["product_id"]] == "dismissed"


def test_labels_have_the_lists_and_the_discounts_of_a_campaign(working: LiveDoor) -> None:
    run = analyzed(working, bargains(LINES, {102, 105, 108}))
    assert get(working, f"/v1/runs/{run}/labels.csv").status == 404
    decided(working, run, "marketing", {})
    rows = decided(working, run, "campaign", {"policy": {"most_products": 2}})
    offered = {r["product_id"]: r["discount"] for r in rows if r["action"] == "promote"}
    assert len(offered) == 2
    answer = get(working, f"/v1/runs/{run}/labels.csv")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/csv")
    feed = pl.read_csv(answer.body, infer_schema=False)
    assert feed.columns == ["id", *(f"custom_label_{n}" for n in range(5))]
    assert feed.height == len(CATALOG)
    labels = dict(feed.drop_nulls("custom_label_4").select("id", "custom_label_4").iter_rows())
    assert labels == {product: f"off_{round(100 * off)}" for product, off in offered.items()}
    cleared = feed.filter(custom_label_0="clear")["id"].to_list()
    lists = get(working, f"/v1/runs/{run}/marketing.json?action=clear").ok()["data"]
    assert sorted(cleared) == sorted(row["product_id"] for row in lists
                                     if row["verdict"] != "dismissed")  # fmt: skip


def test_settings_of_stock_count_in_every_section_that_rests_on_it(
    working: LiveDoor, run: str
) -> None:
    settings = {"review_days": 60, "lead_time_sd": 30, "service": "cost", "holding_share": 5}
    plain = {row["product_id"]: row for row in decided(working, run, "inventory", {})}
    rows = decided(working, run, "inventory", {"policy": settings})
    for name in ("lead_time_demand", "service_level", "safety_stock"):
        assert {row[name] for row in rows} != {row[name] for row in plain.values()}, name
    # Orders are those of the inventory that was seen, or of settings of their own.
    seen = {row["product_id"]: row["order_quantity"] for row in rows if row["action"] == "reorder"}
    ordered = decided(working, run, "orders", {})
    assert {row["product_id"]: row["order_quantity"] for row in ordered} == seen
    own = {"cash": 1_000, "min_order_value": 10, "inventory": {"review_days": 7}}
    few = decided(working, run, "orders", {"policy": own})
    assert {row["product_id"]: row["order_quantity"] for row in few} == {
        product: row["order_quantity"]
        for product, row in plain.items()
        if row["action"] == "reorder"
    }
    assert 0 < sum(row["order_money"] for row in few if row["action"]) <= 1_000
    assert {row["supplier_minimum"] for row in few} == {10}


def about(door: LiveDoor, run: str, section: str) -> dict[str, Any]:
    """What stands beside the rows of a section."""
    made = get(door, f"/v1/runs/{run}/derived").ok()["data"]
    told: dict[str, Any] = {one["name"]: one["about"] for one in made}[section]
    return told


def test_days_out_of_stock_tell_what_was_lost(working: LiveDoor) -> None:
    days = sorted({line["date"] for line in LINES})[-4:-1]
    seen = [line for line in LINES if line["product_id"] != 101 or line["date"] not in days]
    run = analyzed(working, seen)
    plain = {row["product_id"]: row for row in decided(working, run, "inventory", {})}
    assert {row["lost_units"] for row in plain.values()} == {None}
    needs = {one["what"]: one["needs"] for one in about(working, run, "inventory")["withheld"]}
    assert "out of stock" in needs["lost sales"]
    out = written([{"product_id": 101, "date": day} for day in days], "write_csv")
    given = {"out_of_stock": {"upload": upload(working, out, CSV).json()["id"]}}
    rows = {row["product_id"]: row for row in decided(working, run, "inventory", given)}
    year = [line["quantity"] for line in LINES if line["product_id"] == 101][-52:]
    assert rows["101"]["lost_units"] == pytest.approx(3 * sum(year) / 52, rel=0.1)
    assert rows["102"]["lost_units"] == 0
    told = about(working, run, "inventory")
    assert "lost sales" not in {one["what"] for one in told["withheld"]}
    assert told["summary"]["lost_money"] == pytest.approx(rows["101"]["lost_money"])
    nobody = written([{"product_id": "none", "date": days[0]}], "write_csv")
    wrong = {"out_of_stock": {"upload": upload(working, nobody, CSV).json()["id"]}}
    job = over(working, send(working, "POST", f"/v1/runs/{run}/inventory", wrong))
    assert job["state"] == "failed"
    assert "none" in json.dumps(job)


def test_a_delisting_says_what_goes_and_what_comes_back(working: LiveDoor, run: str) -> None:
    some = {"policy": {"products": ["101", "102"], "transfer": 0.25}}
    rows = decided(working, run, "delisting", some)
    assert [row["product_id"] for row in rows] == ["101", "102"]
    bought = [line for line in LINES if line["product_id"] in (101, 102)]
    revenue = sum(line["quantity"] * line["unit_price"] for line in bought)
    stock = sum(row["stock"] for row in STOCKED if row["product_id"] in (101, 102))
    told = about(working, run, "delisting")
    assert told["summary"]["revenue_at_risk"] == pytest.approx(0.75 * revenue)
    assert told["summary"]["revenue_kept"] == pytest.approx(0.25 * revenue)
    assert told["summary"]["stock_freed"] == 4 * stock
    assert told["assumptions"][0].startswith("25% of the sales of a delisted product")
    sheet = get(working, f"/v1/runs/{run}/delisting.csv").body.decode().splitlines()
    assert len(sheet) == 3
    wrong = {"policy": {"products": ["no", "101", "nor"]}}
    refused = send(working, "POST", f"/v1/runs/{run}/delisting", wrong)
    assert refused.status == 404
    assert "`products` names 'no', 'nor': not among the 12 products" in refused.body.decode()
    # Without names it is about what the portfolio of the run proposes.
    proposed = decided(working, run, "portfolio", {"policy": {"transfer": 0.5}})
    found = decided(working, run, "delisting", {})
    assert [row["product_id"] for row in found] == [
        row["product_id"] for row in proposed if row["action"] == "delist"
    ]
    assert about(working, run, "delisting")["assumptions"][0].startswith("50% of")


def test_lists_of_a_campaign_are_settings_over_http(working: LiveDoor) -> None:
    run = analyzed(working, bargains(LINES, {102, 105, 108}))
    last = max(line["date"] for line in LINES).isoformat()

    def of(**policy: Any) -> dict[str, dict[str, Any]]:
        rows = decided(working, run, "campaign", {"policy": policy})
        return {row["product_id"]: row for row in rows}

    assert {of()[one]["action"] for one in ("105", "108")} == {"promote"}
    assert of(exclude=["105"])["105"]["left_out"] == "left out by you"
    found = of(promoted={"105": last}, exclude_categories=["Level"], discounts=[0.05])
    assert found["105"]["left_out"].startswith("promoted until")
    assert found["108"]["left_out"] == "category Level left out by you"
    capped = of(category_caps={"Level": 0})
    assert capped["105"]["action"] == "promote"
    assert capped["108"]["action"] is None


def test_two_runs_are_compared(working: LiveDoor, run: str) -> None:
    dearer = [line | {"unit_price": line["unit_price"] * 2} if line["product_id"] == 101 else line
              for line in LINES]  # fmt: skip
    later = analyzed(working, dearer)
    rows = decided(working, later, "changes", {"since": run})
    one = {row["product_id"]: row for row in rows}["101"]
    assert one["price"] == pytest.approx(one["revenue_before"])
    job = over(working, send(working, "POST", f"/v1/runs/{later}/changes", {"since": later}))
    assert job["state"] == "failed"
    assert "compared with itself" in json.dumps(job)


@pytest.mark.parametrize(
    ("section", "body", "status", "told"),
    [
        ("inventory", {"policy": {"review_days": "often"}}, 422, "review_days"),
        ("inventory", {"policy": {"revew_days": 7}}, 422, "revew_days"),
        ("portfolio", {"receipts": {"upload": "a"}}, 422, "receipts"),
        ("changes", {}, 422, "since"),
        ("suppliers", {"receipts": {"upload": "none"}}, 404, "none"),
        ("weather", {}, 404, ""),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_done(
    section: str, body: dict[str, Any], status: int, told: str, working: LiveDoor, run: str
) -> None:
    refused = send(working, "POST", f"/v1/runs/{run}/{section}", body)
    assert refused.status == status
    assert told in refused.body.decode()


def test_products_without_order_lines_are_decided_too(working: LiveDoor) -> None:
    rows = [{"product_id": n, "name": f"P{n}", "price": 5.0, "units_sold": 10 * n, "stock": 30}
            for n in range(1, 9)]  # fmt: skip
    given = upload(working, written(rows, "write_csv"), CSV).json()["id"]
    asked = {"source": {"upload": given}, "period_days": 30}
    run = str(over(working, send(working, "POST", "/v1/runs", asked))["run_id"])
    decided(working, run, "inventory", {})
    about = get(working, f"/v1/runs/{run}/derived").ok()["data"][0]["about"]
    assert any("order" in one["what"] for one in about["withheld"])
    assert pl.DataFrame(about["withheld"]).columns == ["what", "why", "needs"]
