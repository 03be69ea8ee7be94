"""The lists: the planted cases by name, each rule by itself, and what goes to other programs."""

import csv
import datetime as dt
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import optimize, stats
from stock import shop

import shelfwise
from shelfwise.errors import InputError
from shelfwise.insights import CampaignPolicy, Evidence, MarketingPolicy, Section
from shelfwise.insights.campaign import campaign
from shelfwise.insights.inventory import inventory
from shelfwise.insights.lists import LABELS, list_of, merchant_labels, to_csv
from shelfwise.insights.marketing import LISTS, marketing
from shelfwise.insights.sellthrough import moments, posterior

# The generated shop.


@pytest.fixture(scope="module")
def found() -> Section:
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    return marketing(shop()[1])


def planted(found: Section, kind: str) -> pl.DataFrame:
    ids = [str(one) for one in shop()[0].planted[kind]]
    return found.rows.filter(pl.col("product_id").is_in(ids))


def test_the_hidden_gem_is_found_by_name(found: Section) -> None:
    (row,) = planted(found, "hidden_gem").to_dicts()
    assert row["name"] == "Dandelgrove Cottage Garden Hose 15 m"
    assert row["action"] == "promote"
    assert row["reason"] == (
        "sells 99% of what it has, surely more than 96%; its category 92%; yet 94% of its "
        "category earn more; wait for the 48 on order; stock lasts 1 day, a campaign takes 14"
    )
    assert row["confidence"] > 0.99


@pytest.mark.parametrize(
    ("kind", "action"),
    [("dead", "clear"), ("overstocked", "clear"), ("sold_out", "do_not_promote")],
)
def test_the_planted_cases_are_in_the_right_list(found: Section, kind: str, action: str) -> None:
    rows = planted(found, kind)
    assert rows.height == 12
    assert set(rows["action"]) == {action}


def test_what_is_featured_is_high_lasts_does_not_fall_and_loses_nothing(found: Section) -> None:
    rows = found.rows.filter(action="feature")
    assert rows.height > 20
    assert set(rows["performance_tier"]) == {"High"}
    assert (rows["days_of_supply"] >= 14).all()
    assert (rows["stockout_risk"] < 0.2).all()
    assert not rows["trend"].is_in(["falling", "indicative_falling"]).any()
    assert (rows["money"] > 0).all()
    for kind in ("falling", "below_cost", "sold_out", "discontinued"):
        assert "feature" not in set(planted(found, kind)["action"]), kind


def test_clear_comes_from_inventory_alone(found: Section) -> None:
    stock = inventory(shop()[1]).rows.filter(action="clear")
    mine = found.rows.filter(action="clear")
    for name in ("product_id", "amount", "money", "money_basis", "confidence", "reason"):
        assert mine[name].to_list() == stock[name].to_list()


def test_every_row_of_the_shop_says_why(found: Section) -> None:
    assert found.rows["reason"].null_count() == 0
    assert found.withheld == ()
    assert found.summary == dict(
        sorted(found.decisions.group_by("action").len().iter_rows(),
               key=lambda one: list(LISTS).index(one[0]))
    )  # fmt: skip


# Each rule by itself.

AS_OF = dt.date(2026, 10, 31)


def evidence(rows: list[dict[str, Any]], **shelf: list[Any]) -> Evidence:
    """Products, and what `inventory` found for them, the same for all where it is not given."""
    usual = {"price": 10.0, "unit_cost": 6.0, "units_sold": 50.0, "stock": 50.0, "on_order": 0.0,
             "category": "teas", "performance_tier": "Medium"}  # fmt: skip
    products = [{"product_id": str(n), "name": f"Tea {n}", **usual, **row}
                for n, row in enumerate(rows)]  # fmt: skip
    frame = pl.DataFrame(products, infer_schema_length=None, strict=False)
    frame = frame.with_columns(revenue=pl.col("price") * pl.col("units_sold"))
    known = {
        "days_of_supply": 60.0, "stockout_risk": 0.05, "daily_demand": 2.0, "dead": False,
        "action": None, "amount": None, "money": None, "money_basis": None, "confidence": None,
        "reason": None,
    }  # fmt: skip
    columns = {name: shelf.get(name, [one] * len(rows)) for name, one in known.items()}
    texts = dict.fromkeys(("action", "money_basis", "reason"), pl.String)
    numbers = dict.fromkeys(
        ("amount", "money", "confidence", "days_of_supply", "stockout_risk"), pl.Float64
    )
    sold, left = frame["units_sold"], frame["stock"]
    stock = pl.DataFrame(
        {"product_id": frame["product_id"], "sell_through": sold / (sold + left), **columns},
        schema_overrides=texts | numbers,
    )
    return Evidence(frame, AS_OF, 90.0, given={"inventory": stock})


def one(known: Evidence, policy: MarketingPolicy | None = None) -> dict[str, Any]:
    return marketing(known, policy or MarketingPolicy()).rows.row(0, named=True)


HIGH = {"performance_tier": "High"}


def test_a_high_product_with_stock_is_featured_with_what_it_will_sell() -> None:
    row = one(evidence([HIGH]))
    assert row["action"] == "feature"
    assert row["amount"] == 28
    assert row["money"] == pytest.approx(28 * 4)
    assert row["money_basis"] == "margin"
    assert row["confidence"] == pytest.approx(0.95)
    assert row["reason"] == (
        "High tier; 5% risk of running out before an order arrives; stock lasts 60 days, "
        "a campaign takes 14; no confirmed fall of its sales"
    )


def test_a_short_stock_or_a_risk_keeps_a_product_out_of_campaigns() -> None:
    brief = one(evidence([HIGH | {"stock": 20.0}], days_of_supply=[10.0]))
    assert brief["action"] == "do_not_promote"
    assert brief["reason"] == "stock lasts 10 days, a campaign takes 14"
    assert (brief["amount"], brief["money"]) == (8, 32)
    assert brief["confidence"] is None
    risky = one(evidence([HIGH], stockout_risk=[0.2]))
    assert risky["action"] == "do_not_promote"
    assert risky["reason"] == "20% risk of running out before an order arrives"
    assert risky["confidence"] == 0.2
    sold_out = one(evidence([HIGH | {"stock": 0.0}], days_of_supply=[0.0], stockout_risk=[1.0]))
    assert sold_out["reason"] == "sold out"
    assert sold_out["confidence"] == 1
    longer = one(evidence([HIGH]), MarketingPolicy(days=61))
    assert longer["action"] == "do_not_promote"
    assert one(evidence([HIGH], stockout_risk=[0.2]), MarketingPolicy(most_risk=0.3))["action"] == (
        "feature"
    )


def test_what_inventory_clears_is_cleared_before_anything_else() -> None:
    row = one(
        evidence([HIGH], action=["clear"], amount=[30.0], money=[180.0], money_basis=["cost"],
                 confidence=[0.95], reason=["30 are too many"])
    )  # fmt: skip
    assert row["action"] == "clear"
    assert (row["amount"], row["money"], row["money_basis"]) == (30, 180, "cost")
    assert row["reason"] == "30 are too many"


def test_a_falling_or_losing_or_discontinued_product_is_not_featured() -> None:
    known = evidence([HIGH])
    fallen = pl.DataFrame({"product_id": ["0"], "trend": ["falling"]})
    fell = replace(known, given={**known.given, "trends": fallen})
    assert one(fell)["action"] is None
    assert one(fell)["reason"] == "not featured: High tier, but its sales fall"
    losing = one(evidence([HIGH | {"unit_cost": 11.5}]))
    assert losing["action"] is None
    assert losing["reason"] == "not featured: each unit loses 1.50"
    leaving = one(evidence([HIGH], action=["run_out"]))
    assert (leaving["action"], leaving["reason"]) == (None, "in no list: it is discontinued")


def test_unknown_risk_or_stock_withholds_and_says_so() -> None:
    made = marketing(evidence([HIGH], stockout_risk=[None]))
    assert made.rows["action"][0] is None
    assert made.rows["reason"][0].startswith("withheld: High tier")
    assert [one.what for one in made.withheld] == ["feature"]
    bare = marketing(evidence([HIGH | {"stock": None}], stockout_risk=[None],
                              days_of_supply=[None]))  # fmt: skip
    assert bare.rows["reason"][0] == "withheld: its stock is not known"
    assert [one.what for one in bare.withheld] == ["all lists"]
    snapshot = shelfwise.analyze([
        {"product_id": n, "name": f"Mug {n}", "price": 9, "units_sold": n, "stock": 5}
        for n in range(6)
    ])  # fmt: skip
    told = marketing(snapshot)
    assert [one.what for one in told.withheld] == ["feature", "do_not_promote"]
    assert all(one.needs for one in told.withheld)


GEM = {"units_sold": 95.0, "stock": 5.0, "price": 2.0, "unit_cost": 1.0}


def test_a_gem_sells_through_well_and_earns_little() -> None:
    row = one(evidence([GEM, *9 * [{}]]))
    assert row["action"] == "promote"
    assert row["sell_through"] == 0.95
    assert row["category_sell_through"] < row["sell_through_low"] < row["likely_sell_through"] < 1
    assert row["revenue_place"] == 0.9
    rich = one(evidence([GEM | {"price": 20.0, "unit_cost": 1.0}, *9 * [{}]]))
    assert rich["action"] is None
    dead = one(evidence([GEM, *9 * [{}]], dead=[True, *9 * [False]]))
    assert dead["action"] is None
    leaving = one(evidence([GEM, *9 * [{}]], action=["run_out", *9 * [None]]))
    assert leaving["action"] is None


def test_a_gem_with_little_stock_is_ordered_first_and_still_a_gem() -> None:
    short = [3.0, *9 * [60.0]]
    row = one(evidence([GEM, *9 * [{}]], days_of_supply=short))
    assert row["action"] == "promote"
    assert "; order first; stock lasts 3 days, a campaign takes 14" in row["reason"]
    coming = one(evidence([GEM | {"on_order": 40.0}, *9 * [{}]], days_of_supply=short))
    assert "; wait for the 40 on order; stock lasts 3 days" in coming["reason"]


def test_few_units_make_no_gem_however_good_they_look() -> None:
    lucky = {"units_sold": 3.0, "stock": 0.5, "price": 2.0, "unit_cost": 1.0}
    row = one(evidence([lucky, *9 * [{"units_sold": 40.0}], *9 * [{"units_sold": 60.0}]]))
    assert row["sell_through"] > 0.85
    assert row["likely_sell_through"] < 0.7
    assert row["action"] is None


def test_an_empty_shelf_is_no_gem_and_moves_no_category() -> None:
    others = [{"units_sold": float(n), "stock": 60.0 - n} for n in range(20, 40)]
    with_empty = marketing(evidence([{"stock": 0.0, "units_sold": 500.0, "price": 0.1}, *others]))
    without = marketing(evidence(others))
    assert with_empty.rows["likely_sell_through"][0] is None
    assert with_empty.rows["action"][0] != "promote"
    assert with_empty.rows["category_sell_through"][1] == without.rows["category_sell_through"][0]


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(InputError, match="most_risk is 2"):
        marketing(evidence([HIGH]), MarketingPolicy(most_risk=2.0))


# Shrinkage.


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    truth = rng.beta(4, 3, 8_000)
    total = rng.integers(2, 200, 8_000)
    sold = rng.binomial(total, truth).astype(float)
    likely = posterior(sold, total - sold, pl.Series(["one"] * 8_000), 0.9)
    assert (truth > likely.low).mean() == pytest.approx(0.95, abs=0.01)
    assert np.mean((likely.mean - truth) ** 2) < 0.8 * np.mean((sold / total - truth) ** 2)
    assert likely.above[truth > 4 / 7].mean() > 0.8
    assert likely.centre[0] == pytest.approx(4 / 7, abs=0.01)


def test_the_moments_agree_with_maximum_likelihood() -> None:
    rng = np.random.default_rng(12)
    for a, b in ((2.0, 5.0), (30.0, 10.0), (0.8, 0.6)):
        total = rng.integers(3, 400, 3_000)
        sold = rng.binomial(total, rng.beta(a, b, 3_000))

        def unlikely(logs: Any, sold: Any = sold, total: Any = total) -> float:
            return -float(stats.betabinom.logpmf(sold, total, *np.exp(logs)).sum())

        best = np.exp(optimize.minimize(unlikely, [0.0, 0.0], method="Nelder-Mead").x)
        mean, alike = moments(sold.astype(float), total.astype(float), np.zeros(3_000, int), 1)
        assert mean[0] == pytest.approx(best[0] / best.sum(), rel=0.02)
        assert 1 / alike[0] - 1 == pytest.approx(best.sum(), rel=0.15)


def test_equal_products_give_hardly_a_gem_by_chance() -> None:
    rng = np.random.default_rng(13)
    total = rng.integers(20, 400, 2_000)
    sold = rng.binomial(total, 0.6)
    prices = rng.uniform(7, 9, 2_000)
    rows = [{"units_sold": float(x), "stock": float(max(n - x, 1)), "price": float(prices[at]),
             "category": f"c{at % 20}"}
            for at, (x, n) in enumerate(zip(sold, total, strict=True))]  # fmt: skip
    made = marketing(evidence(rows))
    assert made.summary["promote"] <= 0.005 * len(rows)


def test_small_categories_are_drawn_to_all_products() -> None:
    rng = np.random.default_rng(14)
    sold = np.r_[rng.binomial(100, rng.beta(8, 4, 60)), 10, 12].astype(float)
    names = pl.Series([*60 * ["large"], "small", None])
    likely = posterior(sold, 100 - sold, names, 0.9)
    assert likely.centre[60] == likely.centre[61]
    assert likely.centre[60] == pytest.approx(0.66, abs=0.03)


@pytest.mark.parametrize("sold", [0.0, 7.0])
def test_shares_that_are_all_alike_are_no_fault(sold: float) -> None:
    likely = posterior(np.full(6, sold), np.full(6, 3.0), pl.Series(["x"] * 6), 0.9)
    assert np.isfinite(likely.mean).all()
    assert likely.mean == pytest.approx(np.full(6, sold / (sold + 3)), abs=1e-6)
    assert not (likely.low > likely.centre).any()
    nothing = posterior(np.full(6, np.nan), np.full(6, 3.0), pl.Series(["x"] * 6), 0.9)
    assert np.isnan(nothing.mean).all()


# What goes to other programs.


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_a_list_is_csv_with_ids_as_text_and_no_formula() -> None:
    rows = [{"product_id": "007", "name": "=cmd()"}, {"product_id": "-3", "name": "@x"},
            {"product_id": "1e5", "name": "Ω \"mug\", large"}]  # fmt: skip
    made = marketing(evidence([HIGH | row for row in rows]))
    told = read(to_csv(list_of(made, "feature")))
    assert {row["product_id"]: row["name"] for row in told} == {
        "007": "'=cmd()", "'-3": "'@x", "1e5": 'Ω "mug", large'}  # fmt: skip
    assert all(row["reason"].startswith("High tier") for row in told)
    assert read(to_csv(list_of(made, "clear"))) == []
    with pytest.raises(InputError, match="list is 'nonsense'"):
        list_of(made, "nonsense")


def test_merchant_labels_keep_ids_as_they_are() -> None:
    rows = [HIGH | {"product_id": "007"}, {"product_id": "-3", "stock": 4.0},
            {"product_id": "x" * 51}, {"product_id": "9", "stock": None}]  # fmt: skip
    known = evidence(rows, days_of_supply=[60.0, 2.0, 60.0, None])
    rising = pl.DataFrame({"product_id": ["007", "9"], "trend": ["rising", "none"]})
    known = replace(known, given={**known.given, "trends": rising})
    labels = merchant_labels(marketing(known))
    assert labels.columns == ["id", *LABELS]
    assert read(to_csv(labels, raw=True)) == [
        {"id": "007", "custom_label_0": "feature", "custom_label_1": "tier_high",
         "custom_label_2": "stock_enough", "custom_label_3": "rising", "custom_label_4": ""},
        {"id": "-3", "custom_label_0": "do_not_promote", "custom_label_1": "tier_medium",
         "custom_label_2": "stock_short", "custom_label_3": "", "custom_label_4": ""},
        {"id": "9", "custom_label_0": "", "custom_label_1": "tier_medium", "custom_label_2": "",
         "custom_label_3": "", "custom_label_4": ""},
    ]  # fmt: skip


def test_merchant_labels_of_the_shop_are_few_and_short(found: Section) -> None:
    made = campaign(shop()[1], CampaignPolicy(most_products=10))
    labels = merchant_labels(found, made)
    assert labels.height == 500
    assert labels["custom_label_4"].drop_nulls().len() == made.summary["products"] > 0
    gem = str(shop()[0].planted["hidden_gem"][0])
    assert labels.filter(id=gem)["custom_label_0"].to_list() == ["hidden_gem"]
    for name in LABELS:
        assert labels[name].n_unique() <= 20
        assert (labels[name].drop_nulls().str.len_chars() <= 100).all()
    mine = list_of(made, "promote")
    assert mine["rests_on"].null_count() == 0
    assert mine["money"].is_sorted(descending=True)


# Real data.


def test_adventureworks_has_lists_and_a_campaign_on_an_assumption(
    test_data: Callable[[str], Path],
) -> None:
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    folder = test_data("adventureworks")
    read = {name: pl.read_csv(folder / f"{name}.csv") for name in (
        "AdventureWorks_Products", "oltp_product", "oltp_product_inventory")}  # fmt: skip
    held = read["oltp_product_inventory"].group_by("ProductID").agg(stock=pl.col("Quantity").sum())
    held = (
        read["oltp_product"].join(held, on="ProductID").select("stock", ProductSKU="ProductNumber")
    )
    catalogue = read["AdventureWorks_Products"].join(held, on="ProductSKU").select(
        "stock", product_id="ProductKey", name="ProductName", price="ProductPrice",
        unit_cost="ProductCost", category="ProductSubcategoryKey",
    )  # fmt: skip
    sales = pl.concat(pl.read_csv(folder / f"AdventureWorks_Sales_{year}.csv")
                      for year in (2017, 2018, 2019))  # fmt: skip
    lines = sales.join(catalogue, left_on="ProductKey", right_on="product_id").select(
        product_id="ProductKey", date="OrderDate", quantity="OrderQuantity", unit_price="price"
    )
    sold = shelfwise.from_sales(lines, catalog=catalogue, dates="month-first")
    known = Evidence.of(shelfwise.analyze(sold))
    lists = marketing(known)
    assert lists.rows["reason"].null_count() == 0
    assert [one.what for one in lists.withheld] == ["feature"], "there are no lead times"
    rack = lists.rows.filter(name="Hitch Rack - 4-Bike").row(0, named=True)
    assert (rack["action"], rack["reason"]) == ("do_not_promote", "sold out")
    assert lists.summary["clear"] >= 92, "what never sold is dead"
    # Every price was the same all years: no elasticity can be known.
    assert campaign(known).withheld[0].needs.startswith("order lines with three changes of price")
    assumed = campaign(known, CampaignPolicy(assumed_uplift=1.5, budget=3_000.0))
    assert 0 < assumed.summary["cost"] <= 3_000
    assert set(assumed.decisions["rests_on"]) == {"assumed uplift"}
    assert assumed.summary["profit_with_assumed_uplift"] == pytest.approx(assumed.summary["profit"])
    assert assumed.summary["gap"] < 1e-4
