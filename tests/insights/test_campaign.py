"""The campaign: its figures against plain arithmetic, its limits, and what it rests on."""

import datetime as dt
import itertools
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from stock import shop

import shelfwise
from shelfwise.errors import InputError
from shelfwise.insights import CampaignPolicy, Evidence, Section
from shelfwise.insights.campaign import COLUMNS, campaign
from shelfwise.sales import weekly

AS_OF = dt.date(2026, 3, 31)


def evidence(
    rows: list[dict[str, Any]], elasticity: dict[str, float] | None = None, **more: Any
) -> Evidence:
    """Products with sales of 30 days, and elasticities with a deviation of 0.5."""
    usual = {"price": 10.0, "units_sold": 60.0, "stock": 500.0, "unit_cost": 3.0, "on_order": 0.0,
             "category": "teas"}  # fmt: skip
    products = [{"product_id": str(n), "name": f"Tea {n}", **usual, **row}
                for n, row in enumerate(rows)]  # fmt: skip
    slopes = elasticity or {}
    given = pl.DataFrame(
        {"product_id": list(slopes), "elasticity": list(slopes.values())},
        schema={"product_id": pl.String, "elasticity": pl.Float64},
    ).with_columns(low=pl.col("elasticity") - 0.5 * 1.6448536269514722,
                   high=pl.col("elasticity") + 0.5 * 1.6448536269514722)  # fmt: skip
    frame = pl.DataFrame(products, strict=False, infer_schema_length=None)
    frame = frame.with_columns(revenue=pl.col("price") * pl.col("units_sold"))
    return Evidence(frame, AS_OF, 30.0, given={"elasticity": given}, **more)


def rows_of(section: Section) -> dict[str, dict[str, Any]]:
    return {row["product_id"]: row for row in section.rows.to_dicts()}


def test_the_figures_are_those_of_the_formula() -> None:
    known = evidence([{"on_order": 5.0}, {"stock": 20.0, "on_order": 12.0}], {"0": -2.0, "1": -3.0})
    policy = CampaignPolicy(days=15, discounts=(0.2,), fixed_cost=4.0)
    found = rows_of(campaign(known, policy))
    base = 2.0 * 15
    for product, slope, there in (("0", -2.0, 505.0), ("1", -3.0, 32.0)):
        row = found[product]
        units = min(base * 0.8**slope, there)
        assert row["available"] == there
        assert row["base_units"] == pytest.approx(base)
        if row["discount"] is None:
            profit = units * (8 - 3) - base * 7 - 4
            assert profit < 0
            assert row["left_out"] == "no discount adds margin"
            continue
        assert row["campaign_price"] == pytest.approx(8)
        assert row["campaign_units"] == pytest.approx(units)
        assert row["cost"] == pytest.approx(units * 2 + 4)
        assert row["profit"] == pytest.approx(units * 5 - base * 7 - 4)
        assert row["rests_on"] == "elasticity"
        assert row["action"] == "promote"
        assert (row["amount"], row["money"]) == (row["campaign_units"], row["profit"])
        assert row["date"] == dt.date(2026, 4, 1)
    assert found["0"]["action"] == "promote"
    assert found["1"]["action"] is None
    assert found["0"]["reason"].startswith(
        "20% off, 8.00 instead of 10.00: sells about 46.9 instead of 30 in 15 days and adds 20.37"
    )


def test_the_campaign_is_the_best_of_all_that_are_possible() -> None:
    rng = np.random.default_rng(5)
    for _ in range(40):
        count = int(rng.integers(2, 6))
        rows = [{"unit_cost": round(float(rng.uniform(1, 6)), 2), "category": str(rng.integers(2)),
                 "units_sold": float(rng.integers(5, 200)), "stock": float(rng.integers(5, 300))}
                for _ in range(count)]  # fmt: skip
        slopes = {str(n): float(rng.normal(-3.5, 1)) for n in range(count) if rng.random() < 0.7}
        policy = CampaignPolicy(
            days=10, discounts=(0.1, 0.25), assumed_uplift=1.5, fixed_cost=1.0,
            budget=float(rng.uniform(5, 400)), most_products=int(rng.integers(1, 4)),
            category_caps={"0": 1} if any(row["category"] == "0" for row in rows) else {},
            margin_floor=0.3,
        )  # fmt: skip
        made = campaign(evidence(rows, slopes), policy)
        assert made.summary["profit"] == pytest.approx(best(rows, slopes, policy), abs=1e-6)
        assert made.summary["gap"] == pytest.approx(0, abs=1e-8)


def best(rows: list[dict[str, Any]], slopes: dict[str, float], policy: CampaignPolicy) -> float:
    """The most that any allowed set of products and discounts adds, each tried."""
    choices = []
    assert policy.assumed_uplift is not None
    assert policy.budget is not None
    assert policy.most_products is not None
    usual = np.log(1 + policy.assumed_uplift) / np.log(1 - max(policy.discounts))
    for n, row in enumerate(rows):
        options = [(0.0, 0.0, 0)]
        base = row["units_sold"] / 30 * policy.days
        for off in policy.discounts:
            units = min(base * (1 - off) ** slopes.get(str(n), usual), row["stock"])
            now = 10 * (1 - off)
            if (now - row["unit_cost"]) / now >= policy.margin_floor:
                profit = units * (now - row["unit_cost"]) - base * (10 - row["unit_cost"]) - 1
                options.append((profit, units * 10 * off + 1, 1))
        choices.append(options)
    most = 0.0
    for tried in itertools.product(*choices):
        profit, cost, count = (sum(one[at] for one in tried) for at in range(3))
        zeros = sum(one[2] for one, row in zip(tried, rows, strict=True) if row["category"] == "0")
        capped = zeros <= policy.category_caps.get("0", 99)
        if cost <= policy.budget and count <= policy.most_products and capped:
            most = max(most, profit)
    return most


def test_an_assumed_uplift_stands_beside_every_figure_that_rests_on_it() -> None:
    known = evidence([{}, {}], {"0": -4.0})
    made = campaign(known, CampaignPolicy(discounts=(0.1, 0.3), assumed_uplift=1.2))
    mine, estimated = (rows_of(made)[product] for product in ("1", "0"))
    assert mine["rests_on"] == "assumed uplift"
    assert mine["money_basis"] == "margin, with an assumed uplift"
    assert mine["reason"].endswith("rests on your assumption that 30% off sells 120% more")
    assert mine["confidence"] is None
    assert estimated["rests_on"] == "elasticity"
    assert estimated["money_basis"] == "margin"
    assert estimated["reason"].endswith("rests on its elasticity of -4.0, an association")
    assert made.summary["profit_with_assumed_uplift"] == pytest.approx(mine["profit"])
    assert any("1 of 2 products in the campaign rests on that" in one for one in made.assumptions)
    assert any("62%" in one for one in made.assumptions)


def test_the_assumed_uplift_is_that_of_the_largest_discount_and_others_follow_its_curve() -> None:
    policy = CampaignPolicy(days=30, discounts=(0.1, 0.3), assumed_uplift=2.0)
    cheap = campaign(evidence([{"unit_cost": 1.0}]), policy).rows.row(0, named=True)
    assert cheap["discount"] == 0.3
    assert cheap["campaign_units"] == pytest.approx(60 * 3)
    dear = evidence([{"unit_cost": 6.0}])
    found = campaign(dear, policy).rows.row(0, named=True)
    assert found["discount"] == 0.1
    assert found["campaign_units"] == pytest.approx(60 * 3 ** (np.log(0.9) / np.log(0.7)))


def test_without_elasticity_and_uplift_or_without_cost_there_are_only_the_rule_lists() -> None:
    made = campaign(evidence([{}, {}]))
    assert made.decisions.is_empty()
    assert made.withheld[0].what == "campaign"
    assert "no elasticity" in made.withheld[0].why
    assert "assumed_uplift" in made.withheld[0].needs
    assert "marketing" in made.withheld[0].needs
    assert set(made.rows["left_out"]) == {"no elasticity is known, and no uplift is assumed"}
    assert made.summary == {}
    assert made.assumptions == ()

    costless = campaign(evidence([{"unit_cost": None}]), CampaignPolicy(assumed_uplift=1.0))
    assert "no unit cost" in costless.withheld[0].why
    assert costless.rows["left_out"][0] == "its unit_cost is not known"

    nothing = campaign(evidence([{"stock": None}]), CampaignPolicy(assumed_uplift=1.0))
    assert nothing.withheld[0].why == "no stock is known"
    undated = replace(evidence([{}]), period_days=None)
    assert "no demand" in campaign(undated, CampaignPolicy(assumed_uplift=1.0)).withheld[0].why
    everything = CampaignPolicy(assumed_uplift=1.0, exclude_categories=("teas",))
    assert "category teas left out by you" in campaign(evidence([{}]), everything).withheld[0].why


def test_each_product_that_is_left_out_says_why() -> None:
    rows: list[dict[str, Any]] = [
        {}, {}, {"category": "cups"}, {"unit_cost": None}, {"stock": 0.0}, {"unit_cost": 9.5}, {},
        {"category": None},
    ]  # fmt: skip
    policy = CampaignPolicy(
        assumed_uplift=2.0, exclude=("1",), exclude_categories=("cups",), most_products=1,
        promoted={"6": AS_OF - dt.timedelta(days=10)}, discounts=(0.2,),
    )  # fmt: skip
    found = rows_of(campaign(evidence(rows), policy))
    said = {product: row["left_out"] for product, row in found.items()}
    assert said == {
        "0": None,
        "1": "left out by you",
        "2": "category cups left out by you",
        "3": "its unit_cost is not known",
        "4": "nothing in stock or on order",
        "5": "below the margin floor of 0% at every discount",
        "6": "promoted until 21 Mar 2026",
        "7": "others add more within the limits",
    }


def test_lists_that_name_nobody_are_said_to() -> None:
    policy = CampaignPolicy(assumed_uplift=2.0, exclude=("1", "x", "old"),
                            promoted={"y": AS_OF})  # fmt: skip
    found = campaign(evidence([{}, {}]), policy)
    assert found.assumptions[:2] == (
        "exclude names 2 products not among those scored: 'old', 'x'.",
        "promoted names 1 product not among those scored: 'y'.",
    )
    usual = campaign(evidence([{}, {}]), CampaignPolicy(assumed_uplift=2.0, exclude=("1",)))
    assert usual.assumptions == found.assumptions[2:]


def test_a_promotion_is_forgotten_after_the_days_of_rest() -> None:
    known = evidence([{}, {}])
    first = AS_OF + dt.timedelta(days=1)
    policy = CampaignPolicy(assumed_uplift=2.0, rest_days=20, promoted={
        "0": first - dt.timedelta(days=20), "1": first - dt.timedelta(days=21)})  # fmt: skip
    found = rows_of(campaign(known, policy))
    assert found["0"]["action"] is None
    assert found["1"]["action"] == "promote"
    later = msgspec.structs.replace(policy, start=first + dt.timedelta(days=1))
    assert rows_of(campaign(known, later))["0"]["action"] == "promote"


def test_a_week_of_low_prices_counts_as_a_promotion() -> None:
    monday = dt.date(2025, 12, 1)
    prices = {"0": {14: 8.0}, "1": {8: 8.0}, "2": {14: 9.5}, "3": {}}
    weeks = [{"product_id": product, "week": monday + dt.timedelta(weeks=n), "units": 14.0,
              "revenue": 14.0 * low.get(n, 10.0)}
             for product, low in prices.items() for n in range(17)]  # fmt: skip
    known = evidence([{}, {}, {}, {}])
    known = replace(known, weeks=weekly(weeks), as_of=monday + dt.timedelta(weeks=17))
    demand = pl.DataFrame({"product_id": list("0123"), "stock": 500.0, "on_order": 0.0,
                           "daily_demand": 2.0})  # fmt: skip
    known = replace(known, given={**known.given, "inventory": demand})
    found = rows_of(campaign(known, CampaignPolicy(assumed_uplift=2.0, rest_days=28)))
    assert found["0"]["left_out"] == (
        "promoted already, it seems: 20% below its usual price in the week of 9 Mar 2026"
    )
    assert [found[n]["action"] for n in "123"] == 3 * ["promote"]


def test_the_limits_of_categories_count_and_money_are_kept() -> None:
    rows = [{"category": "teas" if n % 2 else "cups", "unit_cost": 2 + 0.1 * n} for n in range(20)]
    policy = CampaignPolicy(assumed_uplift=2.0, most_products=9, category_cap=4,
                            category_caps={"cups": 3}, budget=2_000.0)  # fmt: skip
    made = campaign(evidence(rows), policy)
    counts = dict(made.decisions.group_by("category").len().iter_rows())
    assert counts == {"teas": 4, "cups": 3}
    assert made.summary["cost"] <= 2_000
    assert made.summary["products"] == 7
    assert made.summary["cost"] == pytest.approx(made.decisions["cost"].sum())
    assert made.summary["profit"] == pytest.approx(made.decisions["profit"].sum())


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (CampaignPolicy(days=0), "days is 0"),
        (CampaignPolicy(discounts=(0.2, 1.5)), "discounts"),
        (CampaignPolicy(discounts=()), "discounts"),
        (CampaignPolicy(budget=-1.0), "budget is -1.0"),
        (CampaignPolicy(assumed_uplift=-0.5), "assumed_uplift is -0.5"),
        (CampaignPolicy(category_caps={"cups": -1}), "category_caps"),
        (CampaignPolicy(category_caps={"mugs": 1}), "category_caps names 'mugs'"),
        (CampaignPolicy(exclude_categories=("mugs",)), "exclude_categories names 'mugs'"),
    ],
)
def test_a_wrong_setting_is_named(policy: CampaignPolicy, says: str) -> None:
    with pytest.raises(InputError) as error:
        campaign(evidence([{"category": "cups"}]), policy)
    assert says in error.value.message
    assert error.value.hint


def test_the_confidence_is_how_often_a_drawn_elasticity_adds_margin() -> None:
    known = evidence([{"unit_cost": 4.0}], {"0": -3.2})
    row = campaign(known, CampaignPolicy(discounts=(0.2,), fixed_cost=10.0)).rows.row(0, named=True)
    drawn = np.random.default_rng(1).normal(-3.2, 0.5, 200_000)
    base = 2 * 14
    profit = np.minimum(base * 0.8**drawn, 500) * (8 - 4) - base * (10 - 4) - 10
    assert row["confidence"] == pytest.approx((profit > 0).mean(), abs=0.004)
    assert 0.5 < row["confidence"] < 0.99


def test_the_columns_say_their_formulas() -> None:
    assert campaign(evidence([{}])).rows.columns == [column.name for column in COLUMNS]
    for name in ("campaign_units", "cost", "profit", "campaign_price", "base_units"):
        assert next(column for column in COLUMNS if column.name == name).formula


def test_a_campaign_of_the_generated_shop() -> None:
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    made, known = shop()
    policy = CampaignPolicy(budget=500.0, category_cap=4, most_products=20, days=28)
    found = campaign(known, policy)
    assert 5 <= found.summary["products"] <= 20
    assert found.summary["cost"] <= 500
    assert found.summary["profit"] > 0
    assert found.summary["gap"] < 1e-4
    assert found.decisions["category"].value_counts()["count"].max() <= 4
    ids = {kind: {str(one) for one in made.planted[kind]} for kind in ("below_cost", "sold_out")}
    inside = set(found.decisions["product_id"])
    assert not inside & ids["below_cost"]
    assert (found.decisions["available"] > 0).all()
    assert found.rows.filter(pl.col("action").is_null())["left_out"].null_count() == 0
    elastic = found.rows.filter(rests_on="elasticity").height
    assert elastic == found.summary["products"]


def test_order_lines_without_anything_else_give_a_campaign_or_say_what_is_missing() -> None:
    lines = [{"product_id": 1, "date": str(dt.date(2026, 1, 5) + dt.timedelta(days=day)),
              "quantity": 2, "unit_price": 4.0} for day in range(70)]  # fmt: skip
    made = campaign(shelfwise.analyze(shelfwise.from_sales(lines)))
    assert made.withheld[0].needs.startswith("unit_cost")
