"""Inventory: the right action for each case, with numbers, dates and words that can be checked."""

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats
from stock import LAMP, MONDAY, evidence, shop

import shelfwise
from shelfwise.errors import InputError
from shelfwise.insights import Evidence, InventoryPolicy, Section
from shelfwise.insights.inventory import COLUMNS, inventory

Data = Callable[[str], Path]


def lamp(known: Evidence, policy: InventoryPolicy | None = None, **given: Any) -> dict[str, Any]:
    return inventory(known, policy or InventoryPolicy(), **given).rows.row(0, named=True)


# The generated shop: every planted case by name.


@pytest.fixture(scope="module")
def found() -> Section:
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    return inventory(shop()[1])


def planted(found: Section, kind: str) -> pl.DataFrame:
    ids = [str(one) for one in shop()[0].planted[kind]]
    return found.rows.filter(pl.col("product_id").is_in(ids))


@pytest.mark.parametrize(
    ("kind", "action", "name", "says"),
    [
        ("sold_out", "reorder", "Trekbadger Ultralight Head Torch 200 lm", "sold out; sells about"),
        ("dead", "clear", "Giggleforge Junior Train Set 40 pcs", "not sold since Wed 21 May 2025"),
        ("overstocked", "clear", "Pinewhistle Trail Tent 4 Person", "lasts"),
        ("new", "watch", "Brambleknob Rustic Stand Mixer 6 l", "too early to judge"),
        ("discontinued", "run_out", "Gustnook Weekend Head Torch 400 lm",
         "discontinued: order no more"),
    ],
)  # fmt: skip
def test_a_planted_case_is_found_by_name_with_the_right_action(
    found: Section, kind: str, action: str, name: str, says: str
) -> None:
    rows = planted(found, kind)
    if kind == "sold_out":
        rows = rows.filter(pl.col("on_order") == 0)
    assert rows.height >= 6
    assert set(rows["action"]) == {action}
    assert rows["reason"].str.contains(says, literal=True).any()
    assert says in rows.filter(name=name)["reason"].item()


def test_the_sold_out_star_is_ordered_today_since_it_is_surely_missing(found: Section) -> None:
    scored = shop()[1].products.select("product_id", "performance_tier", "pack_size")
    star = planted(found, "sold_out").join(scored, on="product_id").filter(
        pl.col("performance_tier") == "High", pl.col("on_order") == 0
    ).sort("money", descending=True).row(0, named=True)  # fmt: skip
    assert star["name"] == "折りたたみキャンプチェア"
    assert star["stockout_risk"] > 0.999
    assert star["date"] == star["order_by"] == dt.date(2026, 10, 31)
    assert star["amount"] == star["packs"] * star["pack_size"] >= star["reorder_point"]
    assert star["money_basis"] == "margin"
    assert star["demand_basis"] == "13 weeks before sold out"


def test_what_is_sold_out_and_on_order_is_not_ordered_twice(found: Section) -> None:
    rows = planted(found, "sold_out").filter(pl.col("on_order") > 0)
    assert rows.height == 6
    assert (rows["on_order"] >= rows["reorder_point"]).all()
    assert rows["action"].null_count() == 6
    assert rows["reason"].str.contains("on order are enough: see that they come").all()


def test_a_discontinued_product_is_never_ordered(found: Section) -> None:
    rows = planted(found, "discontinued")
    assert rows["order_quantity"].null_count() == rows["order_by"].null_count() == rows.height
    assert (rows["stock"] == 0).any()


def test_overstock_is_what_was_planted_and_little_else(found: Section) -> None:
    cleared = found.rows.filter(action="clear")
    wanted = {str(n) for kind in ("dead", "overstocked") for n in shop()[0].planted[kind]}
    money = cleared.filter(pl.col("product_id").is_in(list(wanted)))["money"].sum()
    assert wanted <= set(cleared["product_id"])
    assert money > 0.95 * cleared["money"].sum()
    assert not cleared.filter(pl.col("dead") & (pl.col("overstock_units") > 0)).height


def test_an_order_is_called_for_exactly_where_the_risk_is_too_high(found: Section) -> None:
    rows = found.rows
    low = (rows["stock"] + rows["on_order"] < rows["reorder_point"]).fill_null(False)
    risky = (rows["stockout_risk"] > 1 - rows["service_level"]).fill_null(False)
    assert low.to_list() == risky.to_list()
    ordered = rows.filter(action="reorder")
    assert 50 < ordered.height < 250
    assert set(ordered["product_id"]) <= set(rows.filter(low)["product_id"])
    given = shop()[1].products.select("product_id", "pack_size", "min_order_qty")
    ordered = ordered.join(given, on="product_id")
    assert (ordered["order_quantity"] % ordered["pack_size"] == 0).all()
    assert (ordered["order_quantity"] >= ordered["min_order_qty"]).all()
    assert (ordered["order_quantity"] + ordered["stock"] + ordered["on_order"]
            >= ordered["reorder_point"]).all()  # fmt: skip


def test_order_by_is_the_last_day_that_keeps_the_service_level(found: Section) -> None:
    known = shop()[1]
    given = known.products.select("product_id", "lead_time_days", "lead_time_sd")
    rows = found.rows.filter(pl.col("action") == "reorder", pl.col("demand_basis") == "forecast")
    rows = rows.join(given, on="product_id").join(
        known.forecasts.select("product_id", "error_sd"), on="product_id"
    )

    def risk(row: dict[str, Any], days: int) -> float:
        rate, span = 7 * row["daily_demand"], (row["lead_time_days"] + days) / 7
        variance = row["error_sd"] ** 2 * span * (1 + 0.05 * span)
        variance += (rate * row["lead_time_sd"] / 7) ** 2
        mean, at = rate * span, row["stock"] + row["on_order"]
        if variance <= mean:
            return float(stats.poisson.sf(at, mean))
        return float(stats.nbinom.sf(at, mean**2 / (variance - mean), mean / variance))

    waits = 0
    for row in rows.iter_rows(named=True):
        days = (row["order_by"] - known.as_of).days
        accepted = 1 - row["service_level"] + 1e-12
        assert 0 <= days < 7
        assert risk(row, days + 1) > accepted
        assert days == 0 or risk(row, days) <= accepted
        waits += days > 0
    assert waits > 5


# One product, by hand.


def test_every_number_of_one_product_is_the_formula() -> None:
    row = lamp(evidence([10.0] * 52, sd=6.0, lead_time_sd=3.5, on_order=4, stock=20))
    span, mean = 3.0, 30.0
    variance = span * 36 * (1 + 0.05 * span) + (10 * 0.5) ** 2
    r, p = mean**2 / (variance - mean), mean / variance
    point = stats.nbinom.ppf(0.98, r, p)
    assert row["daily_demand"] == pytest.approx(10 / 7)
    assert row["demand_basis"] == "forecast"
    assert row["days_of_supply"] == pytest.approx(14.0)
    assert row["runs_out"] == MONDAY + dt.timedelta(days=52 * 7 + 14)
    assert row["lead_time_demand"] == pytest.approx(mean)
    assert row["service_level"] == 0.98
    assert row["reorder_point"] == point
    assert row["safety_stock"] == pytest.approx(point - mean)
    assert row["cycle_service"] == pytest.approx(float(stats.nbinom.cdf(point, r, p)))
    assert row["stockout_risk"] == pytest.approx(float(stats.nbinom.sf(24, r, p)))
    k = np.arange(3000)
    mass = stats.nbinom.pmf(k, r, p)
    short = [float((mass * np.maximum(k - at, 0)).sum()) for at in (point, point + 10, 24)]
    assert row["fill_rate"] == pytest.approx(1 - (short[0] - short[1]) / 10)
    assert row["money"] == pytest.approx(short[2] * (20 - 12))
    assert row["order_quantity"] == row["amount"] == max(point - 24, 10)
    assert row["order_money"] == row["order_quantity"] * 12
    assert row["stock_money"] == 240
    assert row["sell_through"] == pytest.approx(520 / 540)
    assert row["stock_turn"] == pytest.approx(520 / 20 * 365 / 364)
    assert row["gmroi"] == pytest.approx(520 * 8 / 240 * 365 / 364)
    assert row["same_weeks_last_year"] == 130


@pytest.mark.parametrize(("grade", "level"), [("A", 0.98), ("B", 0.95), ("C", 0.9), ("N", 0.9)])
def test_the_service_level_is_that_of_the_class(grade: str, level: float) -> None:
    assert lamp(evidence([10.0] * 52, abc_class=grade))["service_level"] == level


def test_the_service_level_by_cost_weighs_margin_against_keeping() -> None:
    policy = InventoryPolicy(service="cost", review_days=28, holding_share=0.5)
    keeping = 12 * 0.5 * 28 / 365
    row = lamp(evidence([10.0] * 52), policy)
    assert row["service_level"] == pytest.approx(8 / (8 + keeping))
    # What is sold below its cost is not held for safety; without a cost the class counts.
    assert lamp(evidence([10.0] * 52, unit_cost=25.0), policy)["service_level"] == 0.5
    assert lamp(evidence([10.0] * 52, unit_cost=None), policy)["service_level"] == 0.98


def test_an_order_holds_packs_the_minimum_and_what_an_order_costs() -> None:
    known = [10.0] * 52
    plain = lamp(evidence(known, stock=30))
    assert plain["packs"] is None
    need = plain["order_quantity"]
    packed = lamp(evidence(known, stock=30, pack_size=12))
    assert packed["order_quantity"] == 12 * math.ceil(need / 12) == 12 * packed["packs"]
    assert f"order {packed['order_quantity']:.0f} ({packed['packs']:.0f} pack" in packed["reason"]
    least = lamp(evidence(known, stock=30, pack_size=12, min_order_qty=100))
    assert least["order_quantity"] == 108
    assert "the minimum order is 100" in least["reason"]
    economic = math.sqrt(2 * 30 * 10 * 365 / 7 / (12 * 0.25))
    costly = lamp(evidence(known, stock=30), InventoryPolicy(order_cost=30))
    assert costly["order_quantity"] in (math.floor(economic), math.ceil(economic))


def test_what_is_on_order_counts() -> None:
    assert lamp(evidence([10.0] * 52, stock=10))["action"] == "reorder"
    row = lamp(evidence([10.0] * 52, stock=10, on_order=60))
    assert row["action"] is None
    assert row["order_quantity"] is None


def test_a_reason_is_a_sentence_with_its_dates() -> None:
    row = lamp(evidence([10.0] * 52, stock=38, pack_size=6, lead_time_days=14))
    # 38 units at 10 a week from Monday 30 December 2024 on.
    assert row["reason"].startswith("runs out about Sat 25 Jan 2025; order 12 (2 packs) by ")
    assert row["reason"].endswith("it takes 14 days to arrive")
    late = lamp(evidence([10.0] * 52, stock=3))
    assert "today" in late["reason"]
    assert "it may be gone before that (100%)" in late["reason"]


def test_without_a_lead_time_the_order_is_withheld_but_an_empty_shelf_is_plain() -> None:
    section = inventory(evidence([10.0] * 52, lead_time_days=None))
    row = section.rows.row(0, named=True)
    assert (row["reorder_point"], row["stockout_risk"], row["action"]) == (None, None, None)
    assert row["reason"] == "withheld: its lead time is not known"
    assert row["days_of_supply"] is not None
    assert any("lead_time_days" in one.needs for one in section.withheld)
    empty = lamp(evidence([10.0] * 52, lead_time_days=None, stock=0))
    assert (empty["action"], empty["amount"]) == ("reorder", None)
    assert "how much is withheld" in empty["reason"]


def test_a_lead_time_of_the_policy_is_an_assumption() -> None:
    section = inventory(
        evidence([10.0] * 52, lead_time_days=None), InventoryPolicy(lead_time_days=14)
    )
    known = inventory(evidence([10.0] * 52))
    assert section.rows["reorder_point"].item() == known.rows["reorder_point"].item()
    assert "1 product is taken to arrive after 14 days." in section.assumptions
    assert any("taken to be on time" in one for one in section.assumptions)


def test_an_unsteady_lead_time_asks_for_more_safety() -> None:
    steady, unsteady = (lamp(evidence([10.0] * 52, lead_time_sd=sd)) for sd in (0.0, 10.0))
    assert unsteady["safety_stock"] > steady["safety_stock"] > 0


# Too much, dead, asleep.


def test_overstock_is_what_13_weeks_hardly_sell() -> None:
    row = lamp(evidence([10.0] * 52, stock=400, sd=3.0))
    variance = 13 * 9 * (1 + 0.05 * 13)
    most = float(stats.nbinom.ppf(0.95, 130**2 / (variance - 130), 130 / variance))
    assert row["action"] == "clear"
    assert row["amount"] == row["overstock_units"] == 400 - most
    assert row["money"] == row["overstock_money"] == (400 - most) * 12
    assert row["money_basis"] == "cost"
    assert row["confidence"] >= 0.95


def test_a_long_lead_time_is_no_overstock() -> None:
    assert lamp(evidence([10.0] * 52, stock=400))["action"] == "clear"
    far = evidence([10.0] * 52, stock=400, lead_time_days=224)
    row = lamp(far)
    assert row["reorder_point"] < 400 < row["reorder_point"] + 10
    assert (row["action"], row["overstock_units"]) == (None, 0)


def test_no_product_is_both_too_much_and_to_be_ordered() -> None:
    policy = InventoryPolicy(overstock_level=0.5, overstock_days=7)
    for stock in range(0, 80, 3):
        row = lamp(evidence([10.0] * 52, stock=stock), policy)
        assert not (row["overstock_units"] > 0 and row["order_quantity"] is not None)


def test_money_is_at_price_where_the_cost_is_not_known_and_says_so() -> None:
    section = inventory(evidence([10.0] * 52, stock=400, unit_cost=None))
    row = section.rows.row(0, named=True)
    assert (row["stock_money"], row["stock_basis"], row["money_basis"]) == (8000, "price", "price")
    assert (row["gmroi"], row["stock_turn"]) == (None, None)
    assert any(one.needs == "unit_cost" for one in section.withheld)
    assert section.summary["valued_at_price"] == 1


def test_dead_stock_was_sold_and_is_silent_longer_than_chance_allows() -> None:
    row = lamp(evidence([3.0] * 60 + [0.0] * 40, rate=0.1, stock=25))
    assert (row["dead"], row["action"], row["amount"], row["money"]) == (True, "clear", 25, 300)
    assert row["reason"].startswith("not sold since Sun 23 Feb (281 days)")
    assert row["overstock_units"] == 0
    assert not lamp(evidence([3.0] * 60 + [0.0] * 20, rate=0.1))["dead"]


def test_a_slow_product_is_not_dead_for_a_silence_it_often_has() -> None:
    slow = [1.0 if n % 20 == 0 else 0.0 for n in range(200)]
    assert not lamp(evidence(slow, rate=0.05))["dead"]
    # 27 weeks are more than 180 days, and P(no sale that long) is a quarter.
    assert not lamp(evidence(slow[:181] + [0.0] * 27, rate=0.05))["dead"]
    assert lamp(evidence(slow[:181] + [0.0] * 70, rate=0.05))["dead"]


def test_stock_never_sold_is_dead_and_weeks_out_of_stock_are_no_silence() -> None:
    known = evidence([0.0] * 52, rate=0.0)
    row = lamp(known)
    assert row["dead"]
    assert row["reason"] == "never sold in 364 days; 100 in stock"
    weeks = [3.0] * 60 + [0.0] * 40
    assert not lamp(evidence(weeks, rate=0.1, out=range(60, 100)))["dead"]


def test_what_is_sold_out_since_long_is_not_ordered_blindly() -> None:
    row = lamp(evidence([3.0] * 60 + [0.0] * 40, rate=2.0, stock=0))
    assert row["action"] is None
    assert row["reason"].startswith("none in stock; not sold since")
    assert "whether it would still sell is not known" in row["reason"]


def test_the_demand_of_what_is_sold_out_is_that_before() -> None:
    weeks = [10.0] * 60 + [0.0] * 6
    low = lamp(evidence(weeks, rate=2.0, stock=5))
    row = lamp(evidence(weeks, rate=2.0, stock=0))
    assert low["daily_demand"] == pytest.approx(2 / 7)
    assert row["daily_demand"] == pytest.approx(10 / 7)
    assert (row["demand_basis"], row["action"]) == ("13 weeks before sold out", "reorder")


def test_without_a_forecast_the_last_13_weeks_count() -> None:
    known = evidence([90.0] * 40 + [6.0] * 12 + [19.0])
    bare = Evidence(known.products, known.as_of, known.period_days, known.weeks,
                    {"forecast": known.forecasts.clear()})  # fmt: skip
    section = inventory(bare)
    row = section.rows.row(0, named=True)
    assert row["daily_demand"] == pytest.approx((6 * 12 + 19) / 13 / 7)
    assert row["demand_basis"] == "last 13 weeks"
    assert "The demand of 1 product is the mean of the last 13 weeks." in section.assumptions


# New, discontinued.


def test_a_new_product_is_watched_whatever_its_stock() -> None:
    launched = MONDAY + dt.timedelta(days=52 * 7 - 30)
    for stock in (0, 5, 5000):
        row = lamp(evidence([0.0] * 48 + [10.0] * 4, launch_date=launched, stock=stock, rate=10))
        assert (row["action"], row["amount"]) == ("watch", None)
        assert row["order_quantity"] is None
        assert row["date"] == launched + dt.timedelta(days=91)
    old = lamp(evidence([10.0] * 52, launch_date=MONDAY, stock=5))
    assert old["action"] == "reorder"


def test_a_first_sale_makes_a_product_new_unless_it_sells_that_seldom() -> None:
    assert lamp(evidence([0.0] * 48 + [10.0] * 4, rate=10))["action"] == "watch"
    seldom = [0.0] * 12 + [1.0] + [0.0] * 9 + [1.0]
    assert lamp(evidence(seldom, rate=0.1, stock=1))["action"] != "watch"


@pytest.mark.parametrize("stock", [0, 5, 5000])
def test_a_discontinued_product_runs_out(stock: float) -> None:
    row = lamp(evidence([10.0] * 52, stock=stock, discontinued=True, on_order=7))
    assert (row["action"], row["amount"], row["order_quantity"]) == ("run_out", stock, None)
    assert row["reason"].startswith("discontinued: order no more")
    assert "7 more are on order: cancel them if you can" in row["reason"]


# Lost sales, receipts, season.


def test_lost_sales_are_the_rate_in_stock_over_the_weeks_out_of_stock() -> None:
    weeks = [10.0] * 40 + [4.0, 0.0] + [10.0] * 10
    row = lamp(evidence(weeks, out=[40, 41]))
    assert row["lost_units"] == pytest.approx(2 * 10 - 4)
    assert row["lost_money"] == pytest.approx(16 * 8)
    section = inventory(evidence(weeks))
    assert section.rows["lost_units"].item() is None
    assert any(one.what == "lost sales" for one in section.withheld)


def test_lost_sales_need_21_days_in_stock() -> None:
    assert lamp(evidence([10.0] * 5, out=[0, 1, 2]))["lost_units"] is None
    assert lamp(evidence([10.0, 10.0, 0.0, 0.0, 10.0], out=[2, 3]))["lost_units"] == 20


def test_the_second_sell_through_is_of_what_was_received_in_the_period() -> None:
    known = evidence([10.0] * 52)
    receipts = [
        {"supplier": "Lumo", "product_id": product, "ordered": known.as_of - dt.timedelta(days=600),
         "received": known.as_of - dt.timedelta(days=days), "ordered_quantity": 400,
         "received_quantity": units}
        for product, days, units in ((1, 3, 400), (1, 300, 250), (1, 500, 1000), (2, 1, 9))
    ]  # fmt: skip
    told = inventory(known, receipts=receipts).assumptions
    assert "1 receipt that cannot be used is left out." in told
    assert lamp(known, receipts=receipts)["sell_through_received"] == pytest.approx(520 / 650)
    section = inventory(known)
    assert section.rows["sell_through_received"].item() is None
    assert any(one.needs == "receipts" for one in section.withheld)


def test_the_reason_names_the_season_that_a_level_forecast_does_not_know() -> None:
    season = [5.0] * 4 + [40.0] * 9 + [5.0] * 43
    row = lamp(evidence(season, rate=5.0, stock=8))
    assert row["same_weeks_last_year"] == 9 * 40 + 4 * 5
    assert "the coming 13 weeks sold 380 a year ago, 65 are expected" in row["reason"]
    assert "a year ago" not in lamp(evidence([5.0] * 60, stock=8))["reason"]


# A snapshot.

SNAPSHOT = [
    {"product_id": 1, "name": "Lamp", "price": 20.0, "units_sold": 150, "stock": 30},
    {"product_id": 2, "name": "Mug", "price": 5.0, "units_sold": 4, "stock": 90},
    {"product_id": 3, "name": "Pot", "price": 9.0, "units_sold": 20, "stock": 60},
    {"product_id": 4, "name": "Jug", "price": 9.0, "units_sold": 50, "stock": 0,
     "discontinued": True},
]  # fmt: skip
DATED = ("runs_out", "reorder_point", "stockout_risk", "order_quantity", "order_by",
         "overstock_units", "dead", "lost_units", "date", "confidence")  # fmt: skip


def test_a_snapshot_has_two_rules_named_as_such_and_the_rest_is_withheld() -> None:
    section = inventory(shelfwise.analyze(SNAPSHOT))
    actions = dict(section.rows.select("name", "action").iter_rows())
    assert actions == {"Lamp": "reorder", "Mug": "clear", "Pot": None, "Jug": "run_out"}
    told = section.rows.filter(pl.col("action").is_in(["reorder", "clear"]))
    assert told["reason"].str.starts_with("rule for a snapshot, without dates: ").all()
    for name in (*DATED, "days_of_supply", "stock_turn", "gmroi", "daily_demand"):
        assert section.rows[name].null_count() == 4, name
    assert section.rows.filter(name="Lamp")["amount"].item() is None
    assert section.rows.filter(name="Mug")["amount"].item() == 90 - 4 * 4
    words = "\n".join(map(str, section.withheld))
    assert "order lines with dates" in words
    assert "period_days" in words


def flagged(section: Section) -> int:
    return int(section.rows["action"].is_in(["reorder", "clear"]).sum())


def test_a_rule_that_fits_most_products_of_a_snapshot_is_withheld_and_says_so() -> None:
    def of(low: int, empty: int, much: int, fine: int) -> Section:
        stocks = [5] * low + [0] * empty + [900] * much + [40] * fine
        return inventory(shelfwise.analyze([
            {"product_id": n, "name": f"P{n}", "price": 5.0, "units_sold": 20, "stock": stock}
            for n, stock in enumerate(stocks)
        ]))  # fmt: skip

    assert flagged(of(3, 2, 5, 10)) == 10
    low = of(8, 2, 1, 9)
    assert dict(low.rows["action"].drop_nulls().value_counts().iter_rows()) == {
        "reorder": 2, "clear": 1}  # fmt: skip
    assert set(low.rows.filter(action="reorder")["stock"]) == {0}
    (told,) = (one for one in low.withheld if one.what == "reorder")
    assert told.why.startswith("8 of 20 products sell out within the period at their rate, too")
    assert told.why.endswith("only what is sold out is flagged")
    assert "a shorter period" in told.needs
    silent = low.rows.filter(pl.col("stock") == 5)
    assert silent["action"].null_count() == 8
    assert silent["reason"].str.starts_with("withheld: the rule for a snapshot").all()
    much = of(2, 1, 12, 5)
    assert set(much.rows["action"].drop_nulls()) == {"reorder"}
    (told,) = (one for one in much.withheld if one.what == "clear")
    assert told.why.startswith("12 of 20 products have more than four periods of stock")
    assert flagged(of(0, 20, 0, 0)) == 0


@pytest.mark.parametrize("days", [30, 91, 365])
def test_a_snapshot_of_real_catalogues_flags_at_most_half(days: int, test_data: Data) -> None:
    orders = pl.read_csv(test_data("northwind/orders.csv")).select("order_id", "order_date")
    sold = pl.read_csv(test_data("northwind/order_details.csv")).join(orders, on="order_id")
    day = pl.col("order_date").str.slice(0, 10).str.to_date()
    sold = sold.filter(day > day.max() - pl.duration(days=days)).group_by("product_id").agg(
        units_sold=pl.col("quantity").sum())  # fmt: skip
    products = pl.read_csv(test_data("northwind/products.csv")).join(
        sold, on="product_id", how="left"
    ).select("product_id", name="product_name", price="unit_price", stock="units_in_stock",
             units_sold=pl.col("units_sold").fill_null(0))  # fmt: skip
    northwind = inventory(shelfwise.analyze(products, period=days))
    assert 0 < flagged(northwind) <= 38
    assert any(one.what == "reorder" for one in northwind.withheld)
    empty = northwind.rows.filter(pl.col("stock") == 0)
    assert empty.height == 5
    assert set(empty["action"]) == {"reorder"}

    folder = test_data("adventureworks")
    held = pl.read_csv(folder / "oltp_product_inventory.csv").group_by("ProductID").agg(
        stock=pl.col("Quantity").sum())  # fmt: skip
    held = held.join(pl.read_csv(folder / "oltp_product.csv"), on="ProductID").select(
        "stock", ProductSKU="ProductNumber")  # fmt: skip
    lines = pl.concat(pl.read_csv(folder / f"AdventureWorks_Sales_{year}.csv")
                      for year in (2017, 2018, 2019))  # fmt: skip
    day = pl.col("OrderDate").str.to_date("%m/%d/%Y")
    units = lines.filter(day > day.max() - pl.duration(days=days)).group_by("ProductKey").agg(
        units_sold=pl.col("OrderQuantity").sum())  # fmt: skip
    bikes = pl.read_csv(folder / "AdventureWorks_Products.csv").join(held, on="ProductSKU").join(
        units, on="ProductKey", how="left"
    ).select("stock", product_id="ProductKey", name="ProductName", price="ProductPrice",
             units_sold=pl.col("units_sold").fill_null(0))  # fmt: skip
    works = inventory(shelfwise.analyze(bikes, period=days))
    assert works.rows.height == 223
    assert 0 < flagged(works) <= 111


def test_a_snapshot_of_a_known_period_has_cover_and_turns_but_no_dates() -> None:
    rows = [dict(one, unit_cost=2.0) for one in SNAPSHOT]
    section = inventory(shelfwise.analyze(rows, period=90))
    lamp = section.rows.row(0, named=True)
    assert lamp["days_of_supply"] == pytest.approx(30 / (150 / 90))
    assert lamp["stock_turn"] == pytest.approx(150 / 30 * 365 / 90)
    assert lamp["demand_basis"] == "period"
    for name in DATED:
        assert section.rows[name].null_count() == 4, name


def test_a_snapshot_watches_what_was_launched_lately() -> None:
    today = dt.date(2026, 3, 1)
    rows = [dict(one, launch_date=today - dt.timedelta(days=20)) for one in SNAPSHOT]
    section = inventory(shelfwise.analyze(rows), as_of=today)
    assert section.rows["action"].to_list() == ["watch", "watch", "watch", "run_out"]


def test_without_stock_nothing_is_decided() -> None:
    rows = [{k: v for k, v in one.items() if k != "stock"} for one in SNAPSHOT[:3]]
    section = inventory(shelfwise.analyze(rows))
    assert section.rows["action"].null_count() == 3
    assert any(one.needs == "a column stock" for one in section.withheld)
    known = evidence([10.0] * 52)
    row = lamp(Evidence(known.products.drop("stock"), known.as_of, 364, known.weeks, known.given))
    assert (row["action"], row["reason"]) == (None, "withheld: its stock is not known")
    assert row["reorder_point"] is not None


# The form.


@pytest.mark.parametrize(
    ("setting", "says"),
    [({"service_a": 1.5}, "service_a"), ({"review_days": -1}, "review_days"),
     ({"service": "tier"}, "service"), ({"holding_share": 0}, "holding_share")],
)  # fmt: skip
def test_a_setting_outside_its_limits_is_refused_by_name(
    setting: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        inventory(evidence([10.0] * 52), InventoryPolicy(**setting))


def test_every_number_has_a_formula_and_every_row_the_declared_columns() -> None:
    section = inventory(evidence([10.0] * 52))
    assert section.rows.columns == [column.name for column in COLUMNS]
    given = {"stock", "on_order", "dead_money", "same_weeks_last_year"}
    decision = {"amount", "money", "confidence"}
    for column in COLUMNS:
        assert column.meaning
        if column.kind == pl.Float64 and column.name not in given | decision:
            assert column.formula, column.name


def test_a_single_product_and_a_shop_of_none_have_an_answer() -> None:
    nobody = evidence([10.0] * 52)
    empty = Evidence(nobody.products.clear(), nobody.as_of, 364.0, nobody.weeks, nobody.given)
    assert inventory(empty).rows.height == 0
    assert lamp(evidence([0.0] * 30, rate=0.0, stock=0))["action"] is None


def test_many_products_never_get_a_contradiction() -> None:
    """Random products, bounds of every kind; what must hold of all of them."""
    rng = np.random.default_rng(5)
    count = 1_500
    ids = [str(n) for n in range(count)]
    weeks = rng.poisson(rng.gamma(0.4, 8, count)[:, None], (count, 60)) * (
        np.arange(60) >= rng.choice([0, 0, 0, 55], count)[:, None]
    ) * (np.arange(60) < rng.choice([60, 60, 57, 25], count)[:, None])  # fmt: skip
    at, week = np.nonzero(weeks)
    rows = pl.DataFrame({"product_id": np.array(ids)[at], "units": weeks[at, week].astype(float),
                         "week": [MONDAY + dt.timedelta(weeks=int(n)) for n in week]})  # fmt: skip
    some = rng.random((5, count)) < 0.8
    products = pl.DataFrame({
        "product_id": ids, "name": ids, "price": rng.uniform(1, 90, count),
        "unit_cost": np.where(some[0], rng.uniform(0, 90, count), np.nan),
        "units_sold": weeks.sum(axis=1).astype(float), "revenue": weeks.sum(axis=1) * 1.0,
        "stock": np.floor(rng.gamma(0.4, 60, count)) * some[4],
        "on_order": np.where(some[1], np.floor(rng.gamma(0.3, 20, count)), np.nan),
        "lead_time_days": np.where(some[2], rng.uniform(0, 90, count), np.nan),
        "lead_time_sd": np.where(some[3], rng.uniform(0, 20, count), np.nan),
        "pack_size": rng.choice([1.0, 6.0, 0.5, np.nan], count),
        "min_order_qty": rng.choice([0.0, 24.0, np.nan], count),
        "discontinued": rng.random(count) < 0.1,
        "abc_class": rng.choice(["A", "B", "C", "N"], count),
    }).with_columns(pl.col(pl.Float64).fill_nan(None))  # fmt: skip
    known = Evidence(products, MONDAY + dt.timedelta(weeks=60), 420.0, shelfwise.weekly(rows),
                     {"forecast": pl.DataFrame(schema={"product_id": pl.String,
                      "units_per_week": pl.Float64, "error_sd": pl.Float64})})  # fmt: skip
    for policy in (InventoryPolicy(), InventoryPolicy(service="cost", order_cost=9, review_days=0)):
        given = products.select(leaves="discontinued", pack=pl.col("pack_size").fill_null(1),
                                least="min_order_qty")  # fmt: skip
        rows = inventory(known, policy).rows.hstack(given)
        assert set(rows["action"]) == {"reorder", "clear", "watch", "run_out", None}
        assert rows.filter("leaves")["action"].unique().to_list() == ["run_out"]
        ordered = rows.filter(action="reorder").drop_nulls("amount")
        assert ordered.height > 100
        packs = ordered["amount"] / ordered["pack"]
        assert packs.to_numpy() == pytest.approx(packs.round(0).to_numpy(), abs=1e-6)
        assert (ordered["amount"] >= ordered["least"].fill_null(0)).all()
        assert (ordered["amount"] > 0).all()
        assert not ordered.filter(pl.col("date") < known.as_of).height
        assert rows.filter(pl.col("action") != "reorder")["order_quantity"].null_count() == (
            rows.filter(pl.col("action") != "reorder").height
        )
        assert rows.drop_nulls("action")["reason"].null_count() == 0
        for name in ("stockout_risk", "cycle_service", "fill_rate", "confidence", "sell_through"):
            assert rows[name].drop_nulls().is_between(0, 1).all(), name
        numbers = rows.select(pl.col(pl.Float64))
        assert not any(numbers[n].drop_nulls().is_infinite().any() for n in numbers.columns)


def test_the_lamp_is_a_product_of_the_contract() -> None:
    assert inventory(evidence([10.0] * 52)).rows["name"].to_list() == [LAMP["name"]]
