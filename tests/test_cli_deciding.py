"""shelfwise decide, compare and decision: what they print, write, keep and refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import shelfwise
from kinds import bargains, sold
from shelfwise import cli
from shelfwise.cli import deciding
from shelfwise.errors import InputError, NotFoundError, RejectedRowsError
from shelfwise.insights.sections import QUESTIONS
from shelfwise.store import Store

LINES, CATALOG = sold()
STOCKED = [
    row | {"unit_cost": 4.0, "lead_time_days": 14, "stock": 0 if n % 3 == 0 else 40 if n % 3 == 1
           else 90_000, "supplier": f"S{n % 4}"}
    for n, row in enumerate(CATALOG)
]  # fmt: skip


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    pl.DataFrame(LINES).write_parquet("lines.parquet")
    pl.DataFrame(STOCKED).write_csv("catalog.csv")

    def invoke(*arguments: str | Path) -> Any:
        return CliRunner().invoke(cli.app, list(map(str, arguments)), catch_exceptions=False)

    return invoke


SALES = ("--sales", "lines.parquet", "--catalog", "catalog.csv", "--stock", "catalog.csv")


@pytest.fixture
def run(call: Callable[..., Any]) -> str:
    """A run that is kept; its id."""
    assert call("analyze", *SALES, "--save", "-o", "scored.csv").exit_code == 0
    with Store() as store:
        return store.runs.get("latest").id


def test_decisions_are_shown_with_reasons_and_what_is_not_told(call: Callable[..., Any]) -> None:
    shown = call("decide", "inventory", *SALES)
    assert shown.exit_code == 0, shown.output
    for word in ("What to reorder, and what to clear?", "reorder", "clear", "Why"):
        assert word in shown.output
    assert "Not told: lost sales" in shown.output
    assert "Assumed: " in shown.output
    # What to order and what to clear stand apart, each under its name.
    first, _, second = shown.output.partition("\nClear: ")
    assert "\nReorder: " in first
    assert "Order more of it." in first
    assert "too many" not in first
    assert "too many" in second
    assert "today, it takes" not in second


def test_decisions_are_written_in_every_format(call: Callable[..., Any]) -> None:
    written = call("decide", "inventory", *SALES, "-o", "orders.csv")
    assert written.exit_code == 0, written.output
    rows = pl.read_csv("orders.csv", infer_schema=False)
    assert {"reorder", "clear"} <= set(rows["action"])
    every = call("decide", "inventory", *SALES, "--all", "--format", "json")
    told = json.loads(every.stdout)
    assert told["section"] == "inventory"
    assert len(told["rows"]) == len(CATALOG)
    assert told["withheld"][0]["needs"]
    assert call("decide", "inventory", *SALES, "-o", "sqlite:///d.db/orders").exit_code == 0


def test_settings_come_from_a_file_and_from_options(call: Callable[..., Any]) -> None:
    Path("policy.toml").write_text("review_days = 28\nservice_a = 0.9\n")

    def amount(*more: str) -> float:
        told = json.loads(call("decide", "inventory", *SALES, "--format", "json", *more).stdout)
        return float(sum(r["amount"] for r in told["rows"] if r["action"] == "reorder"))

    assert amount("--policy", "policy.toml") > amount()
    assert amount("--policy", "policy.toml", "--set", "review_days=7") < amount(
        "--policy", "policy.toml"
    )


@pytest.mark.parametrize(
    ("section", "settings", "column", "more"),
    [
        ("inventory", ["review_days=28"], "amount", True),
        ("inventory", ["lead_time_sd=30"], "safety_stock", True),
        ("inventory", ["service=cost", "holding_share=5"], "service_level", False),
        ("inventory", ["service_a=0.6", "service_b=0.6", "service_c=0.6"], "reorder_point", False),
        ("inventory", ["order_cost=5000"], "amount", True),
        ("orders", ["inventory.review_days=28"], "amount", True),
        ("orders", ["cash=2000"], "amount", False),
        ("orders", ["min_order_value=9"], "supplier_minimum", True),
        ("marketing", ["inventory.lead_time_sd=60"], "stockout_risk", None),
        ("suppliers", ["inventory.overstock_days=300"], "overstock_money", False),
    ],
)
def test_each_setting_of_stock_and_orders_is_reached(
    section: str, settings: list[str], column: str, more: bool | None, call: Callable[..., Any]
) -> None:
    def total(*settings: str) -> float:
        given = [part for one in settings for part in ("--set", one)]
        done = call("decide", section, *SALES, "--all", "--format", "json", *given)
        assert done.exit_code == 0, done.output
        return float(sum(row.get(column) or 0 for row in json.loads(done.stdout)["rows"]))

    plain, other = total(), total(*settings)
    assert other != plain
    assert more in (None, other > plain)


def test_lists_and_pairs_are_settings_too(call: Callable[..., Any]) -> None:
    pl.DataFrame(bargains(LINES, {102, 105, 108})).write_parquet("lines.parquet")
    pl.DataFrame(STOCKED).with_columns(
        category=pl.when(pl.col("product_id") < 107).then(pl.lit("Tea, green"))
        .otherwise(pl.lit("Pots"))
    ).write_csv("catalog.csv")  # fmt: skip

    def rows(*settings: str) -> dict[str, dict[str, Any]]:
        given = [part for one in settings for part in ("--set", one)]
        done = call("decide", "campaign", *SALES, "--all", "--format", "json", *given)
        assert done.exit_code == 0, done.output
        return {row["product_id"]: row for row in json.loads(done.stdout)["rows"]}

    plain = {name for name, row in rows().items() if row["action"]}
    assert {"105", "108"} <= plain
    for setting in ("exclude=105", "exclude=105,108", "exclude=105, 108"):
        found = rows(setting)
        out = {name for name, row in found.items() if row["left_out"] == "left out by you"}
        assert out == set(setting.partition("=")[2].replace(" ", "").split(","))
    shut = rows('exclude_categories="Tea, green"')
    assert shut["105"]["left_out"] == "category Tea, green left out by you"
    assert shut["108"]["action"] == "promote"
    last = max(line["date"] for line in LINES)
    rested = rows(f"promoted=105={last},108={last}")
    assert all(rested[one]["left_out"].startswith("promoted until") for one in ("105", "108"))
    capped = rows('category_caps="Tea, green=0",Pots=1')
    assert [row["category"] for row in capped.values() if row["action"]] == ["Pots"]
    assert rows("category_caps.Pots=1", "exclude=105")["105"]["action"] is None
    small = rows("discounts=0.05,0.1", "most_products=null")
    assert {row["discount"] for row in small.values()} <= {None, 0.05, 0.1}
    Path("policy.toml").write_text('exclude = ["105"]\n')
    both = call("decide", "campaign", *SALES, "--all", "--format", "json", "--policy",
                "policy.toml", "--set", "exclude=108")  # fmt: skip
    out = {row["product_id"]: row["left_out"] for row in json.loads(both.stdout)["rows"]}
    assert out["108"] == "left out by you"
    assert out["105"] != "left out by you"


def test_a_delisting_says_what_goes_and_what_comes_back(call: Callable[..., Any], run: str) -> None:
    some = ("--set", "products=101,102")
    shown = call("decide", "delisting", *SALES, *some, "--set", "transfer=0.3")
    assert shown.exit_code == 0, shown.output
    for told in ("What goes, and what comes back", "Revenue at risk: ", "Margin kept: ",
                 "Units at risk: ", "Stock freed: ",
                 "Assumed: 30% of the sales of a delisted product"):  # fmt: skip
        assert told in shown.output
    kept = call("decide", "delisting", "--run", "latest", *some, "--format", "json")
    found = json.loads(kept.stdout)
    assert [row["product_id"] for row in found["rows"]] == ["101", "102"]
    bought = [line for line in LINES if line["product_id"] in (101, 102)]
    revenue = sum(line["quantity"] * line["unit_price"] for line in bought)
    units = sum(line["quantity"] for line in bought)
    assert found["summary"]["revenue_at_risk"] == pytest.approx(revenue)
    assert found["summary"]["units_at_risk"] == units
    assert found["summary"]["margin_at_risk"] == pytest.approx(revenue - 4 * units)
    stock = sum(row["stock"] for row in STOCKED if row["product_id"] in (101, 102))
    assert found["summary"]["stock_units"] == stock
    assert found["summary"]["stock_freed"] == stock * 4
    assert found["summary"]["categories_emptied"] == []
    written = call("decide", "delisting", "--run", "latest", *some, "-o", "out.csv")
    assert written.exit_code == 0
    assert pl.read_csv("out.csv").height == 2
    for place in (SALES, ("--run", "latest")):
        with pytest.raises(NotFoundError, match="`products` names '9', 'no': not among"):
            call("decide", "delisting", *place, "--set", "products=no,101,9")


def test_a_delisting_proposes_what_the_kept_portfolio_does(
    call: Callable[..., Any], run: str
) -> None:
    def told(section: str, *settings: str) -> Any:
        return json.loads(call("decide", section, "--run", "latest", "--all", "--format", "json",
                               *settings).stdout)  # fmt: skip

    proposed = told("portfolio", "--set", "transfer=0.5")["rows"]
    found = told("delisting")
    assert [row["product_id"] for row in found["rows"]] == [
        row["product_id"] for row in proposed if row["action"] == "delist"
    ]
    assert found["rows"]
    assert found["assumptions"][0].startswith("50% of the sales")


def test_days_out_of_stock_tell_what_was_lost(call: Callable[..., Any]) -> None:
    days = sorted({line["date"] for line in LINES})[-4:-1]
    out = [{"product_id": 100, "date": day} for day in days]
    pl.DataFrame(out).write_csv("out.csv")
    pl.DataFrame([line for line in LINES if line["product_id"] != 100 or line["date"] not in days]
                 ).write_parquet("lines.parquet")  # fmt: skip
    told = call("decide", "inventory", *SALES, "--out-of-stock", "out.csv", "--all",
                "--format", "json")  # fmt: skip
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    rows = {row["product_id"]: row for row in found["rows"]}
    year = [line["quantity"] for line in LINES if line["product_id"] == 100][-52:]
    assert rows["100"]["lost_units"] == pytest.approx(3 * sum(year) / 52, rel=0.1)
    assert rows["101"]["lost_units"] == 0
    assert not [one for one in found["withheld"] if one["what"] == "lost sales"]
    assert found["summary"]["lost_money"] > 0
    refused = call("decide", "orders", *SALES, "--out-of-stock", "out.csv")
    assert refused.exit_code == 2
    pl.DataFrame(STOCKED_PRODUCTS).write_csv("products.csv")
    with pytest.raises(InputError, match="go with order lines"):
        call("decide", "inventory", "products.csv", "--out-of-stock", "out.csv")


def test_packs_and_minimum_orders_come_with_the_products(call: Callable[..., Any]) -> None:
    pl.DataFrame(STOCKED).with_columns(pack_size=12, min_order_qty=5000).write_csv("catalog.csv")
    told = call("decide", "inventory", *SALES, "--format", "json")
    ordered = [row for row in json.loads(told.stdout)["rows"] if row["action"] == "reorder"]
    assert ordered
    assert {row["amount"] for row in ordered} == {5004}
    assert all("(417 packs)" in row["reason"] for row in ordered)


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (["--set", "revew_days=7"], InputError, "There is no setting 'revew_days'"),
        (["--set", "review_days=often"], InputError, "review_days"),
        (["--set", "review_days=-3"], InputError, "review_days"),
        (["--set", "inventory.review_days=7"], InputError, "There is no setting 'inventory'"),
        (["--policy", "none.toml"], NotFoundError, "none.toml"),
        (["--policy", "catalog.csv"], InputError, "no TOML"),
    ],
)
def test_settings_that_are_wrong_are_named(
    arguments: list[str], error: type[Exception], told: str, call: Callable[..., Any]
) -> None:
    with pytest.raises(error, match=told):
        call("decide", "inventory", *SALES, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["weather", "catalog.csv"],
        ["changes", "catalog.csv"],
        ["inventory"],
        ["inventory", "catalog.csv", "--run", "latest"],
        ["inventory", "catalog.csv", "--stock", "catalog.csv"],
        ["portfolio", "catalog.csv", "--receipts", "catalog.csv"],
        ["inventory", "catalog.csv", "--set", "review_days"],
        ["inventory", "catalog.csv", "--set", "review_days=7", "--set", "review_days=14"],
        ["campaign", "catalog.csv", "--set", "exclude=1,,2"],
        ["campaign", "catalog.csv", "--set", 'exclude="1'],
        ["campaign", "catalog.csv", "--set", "promoted=1"],
        ["inventory", "catalog.csv", "--as-of", "today"],
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: list[str], call: Callable[..., Any]
) -> None:
    assert call("decide", *arguments).exit_code == 2


def test_what_somebody_dismissed_is_left_out_of_this_and_the_next_run(
    call: Callable[..., Any], run: str
) -> None:
    def proposed(*more: str) -> list[dict[str, Any]]:
        written = call("decide", "inventory", "--run", "latest", "--format", "json", *more)
        rows: list[dict[str, Any]] = json.loads(written.stdout)["rows"]
        return rows

    first = next(row for row in proposed() if row["action"] == "clear")["product_id"]
    answered = call("decision", "dismiss", first, "clear", "--reason", "Christmas is coming")
    assert answered.exit_code == 0, answered.output
    assert first not in {row["product_id"] for row in proposed() if row["action"] == "clear"}
    assert call("analyze", *SALES, "--save", "-o", "scored.csv").exit_code == 0
    assert first not in {row["product_id"] for row in proposed() if row["action"] == "clear"}
    kept = {row["product_id"]: row for row in proposed("--all")}
    assert kept[first]["verdict"] == "dismissed"
    assert kept[first]["verdict_reason"] == "Christmas is coming"
    assert (
        "1 proposal is dismissed; --all shows it."
        in call("decide", "inventory", "--run", "latest").output
    )
    assert "Christmas is coming" in call("decision", "list").output
    again = call("decision", "accept", first, "clear", "--reason", "after all")
    assert again.exit_code == 0
    assert first in {row["product_id"] for row in proposed() if row["action"] == "clear"}


def test_labels_have_the_discounts_of_the_campaign(call: Callable[..., Any], run: str) -> None:
    pl.DataFrame(bargains(LINES, {102, 105, 108})).write_parquet("lines.parquet")
    assert call("analyze", *SALES, "--save", "-o", "scored.csv").exit_code == 0
    few = ("--set", "most_products=2")
    told = call("decide", "campaign", *SALES, *few, "--labels", "feed.csv", "--format", "json")
    assert told.exit_code == 0, told.output
    offered = {row["product_id"]: row["discount"] for row in json.loads(told.stdout)["rows"]}
    feed = pl.read_csv("feed.csv", infer_schema=False).drop_nulls("custom_label_4")
    assert len(offered) == 2
    assert dict(feed.select("id", "custom_label_4").iter_rows()) == {
        product: f"off_{round(100 * off)}" for product, off in offered.items()
    }
    # Of a run that is kept the feed of the lists has the campaign too, but for what is dismissed.
    assert call("decide", "campaign", "--run", "latest", *few, "-o", "c.csv").exit_code == 0
    one = min(offered)
    assert call("decision", "dismiss", one, "promote", "--reason", "no").exit_code == 0
    assert call("decide", "marketing", "--run", "latest", "--labels", "f.csv").exit_code == 0
    kept = pl.read_csv("f.csv", infer_schema=False).drop_nulls("custom_label_4")
    assert set(kept["id"]) == set(offered) - {one}


def test_labels_for_google_are_written(call: Callable[..., Any]) -> None:
    written = call("decide", "marketing", *SALES, "--labels", "feed.csv", "-o", "lists.csv")
    assert written.exit_code == 0, written.output
    feed = pl.read_csv("feed.csv", infer_schema=False)
    assert feed.columns == ["id", *(f"custom_label_{n}" for n in range(5))]
    assert feed.height == len(CATALOG)
    assert call("decide", "inventory", *SALES, "--labels", "feed.csv").exit_code == 2


def test_two_runs_are_compared(call: Callable[..., Any], run: str) -> None:
    pl.DataFrame([line | {"unit_price": line["unit_price"] * 2} if line["product_id"] == 101
                  else line for line in LINES]).write_parquet("lines.parquet")  # fmt: skip
    assert call("analyze", *SALES, "--save", "-o", "scored.csv").exit_code == 0
    written = call("compare", run[:14], "latest", "--all", "--format", "json")
    assert written.exit_code == 0, written.output
    told = json.loads(written.stdout)
    rows = {row["product_id"]: row for row in told["rows"]}
    assert rows["101"]["price"] == pytest.approx(rows["101"]["revenue_before"])
    assert told["summary"]["revenue"]["price"] == pytest.approx(rows["101"]["price"])
    assert call("compare", run, "latest").exit_code == 0
    with pytest.raises(InputError, match="compared with itself"):
        call("compare", "latest", "latest")


def test_the_command_line_asks_all_questions() -> None:
    assert [n for n, q in QUESTIONS.items() if not q.compares] == list(deciding.SECTIONS)


def test_the_library_asks_the_same_questions() -> None:
    from shelfwise.insights import InventoryPolicy, decide

    analysis = shelfwise.analyze(STOCKED_PRODUCTS, period=30)
    plain = decide(analysis, "inventory", {"review_days": 7})
    assert plain.rows.equals(decide(analysis, "inventory", InventoryPolicy(review_days=7)).rows)
    with pytest.raises(InputError, match="no section 'changes'"):
        decide(analysis, "changes")


STOCKED_PRODUCTS = [
    {"product_id": n, "name": f"P{n}", "price": 10.0 + n, "units_sold": 7 * n, "stock": 9}
    for n in range(8)
]


def test_good_rows_of_order_lines_are_decided_beside_bad_ones(call: Callable[..., Any]) -> None:
    rows = pl.read_csv("catalog.csv")
    bad = pl.when(pl.col("product_id") == rows["product_id"][0]).then(-5).otherwise("stock")
    rows.with_columns(stock=bad).write_csv("catalog.csv")
    with pytest.raises(RejectedRowsError, match="-5"):
        call("decide", "inventory", *SALES)
    assert call("decide", "inventory", *SALES, "--on-error", "skip").exit_code == 0
