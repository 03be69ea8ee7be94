"""The score: worked values, edges, and contributions that add up to the last bit."""

import math
from typing import Any

import duckdb
import polars as pl
import pytest

import shelfwise
from kinds import Engine
from reference import effective_weights, judge, quantile
from shelfwise.profile import Profile

METRICS = ("revenue", "stock_ratio", "sales_velocity")


def product(
    i: int, price: float = 10.0, units: float = 5.0, stock: float = 5.0, **more: Any
) -> dict[str, Any]:
    return {"product_id": i, "name": f"P{i}", "price": price, "units_sold": units,
            "stock": stock, **more}  # fmt: skip


RANGE = [product(i, 1.0 + i % 7, float(i * i % 31), float(i % 5)) for i in range(40)]


def test_the_worked_example_comes_out(frame: Engine) -> None:
    rows = [product(1, 199.99, 150, 50), product(2, 9.5, 40, 160)]
    got = frame.read(shelfwise.analyze(frame(rows)).products)[0]
    assert got["revenue"] == pytest.approx(29998.5, abs=1e-9)
    assert got["stock_ratio"] == 0.75
    assert got["sales_velocity"] == pytest.approx(0.7500375018750938, abs=1e-15)


def test_whole_numbers_are_scored_like_any_others(frame: Engine) -> None:
    rows = [product(i, 1 + i % 7, i * i % 31, i % 5) for i in range(40)]
    got = frame.read(shelfwise.analyze(frame(rows)).products)
    assert [row["performance_score"] for row in got] == judge(rows).scores
    assert [row["abc_class"] for row in got] == judge(rows).abc


def test_whole_numbers_beyond_64_bits_of_revenue_do_not_overflow(frame: Engine) -> None:
    rows = [product(i, 10**12, 10**15 - i, 10**15) for i in range(6)]
    got = frame.read(shelfwise.analyze(frame(rows)).products)
    assert [row["revenue"] for row in got] == [1e12 * (10**15 - i) for i in range(6)]
    assert [row["performance_tier"] for row in got] == judge(rows).tiers


def test_small_integer_types_do_not_overflow() -> None:
    given = pl.DataFrame({"product_id": [1, 2], "name": ["a", "b"], "price": [100, 120],
                          "units_sold": [100, 90], "stock": [120, 100]})  # fmt: skip
    small = given.with_columns(pl.col("price", "units_sold", "stock").cast(pl.Int8))
    for source in (small, small.to_arrow(), duckdb.connect().from_arrow(small)):
        found = shelfwise.analyze(source)
        assert found.summary["total_revenue"] == 20_800
    assert found.products.pl().sort("product_id")["stock_ratio"].to_list() == [100 / 220, 90 / 190]


def test_contributions_add_up_to_the_score_bit_by_bit(frame: Engine) -> None:
    for row in frame.read(shelfwise.analyze(frame(RANGE)).products):
        first, second, third = (row[f"contribution_{m}"] for m in METRICS)
        assert first + second + third == row["performance_score"]


def test_best_in_everything_scores_100_and_worst_0() -> None:
    rows = [product(1, 10, 9, 1), product(2, 10, 5, 5), product(3, 10, 0, 9)]
    got = shelfwise.analyze(rows).products["performance_score"].to_list()
    assert (got[0], got[2]) == (100.0, 0.0)
    assert 0 < got[1] < 100


def test_a_single_product_scores_zero(frame: Engine) -> None:
    analysis = shelfwise.analyze(frame([product(1)]))
    assert frame.column(analysis.products, "performance_score") == [0.0]
    assert "relative_scores" in {warning.code for warning in analysis.warnings}


def test_product_without_sales_scores_zero(frame: Engine) -> None:
    rows = [product(1, units=0), product(2, units=3), product(3, units=7)]
    got = frame.read(shelfwise.analyze(frame(rows)).products)[0]
    assert got["performance_score"] == 0.0
    assert got["flags"] == "no_sales"


def test_a_constant_metric_counts_zero_and_is_named() -> None:
    rows = [product(i, price=4.0, units=0.0 + i, stock=0.0) for i in range(1, 7)]
    analysis = shelfwise.analyze(rows)
    assert set(analysis.products["contribution_stock_ratio"].to_list()) == {0.0}
    messages = [w.message for w in analysis.warnings if w.code == "constant_metric"]
    assert len(messages) == 1
    assert "stock_ratio" in messages[0]


def test_flags_say_what_is_special(frame: Engine) -> None:
    rows = [
        product(1, units=5, stock=5), product(2, units=5, stock=0),
        product(3, units=0, stock=5), product(4, units=0, stock=0),
    ]  # fmt: skip
    got = frame.column(shelfwise.analyze(frame(rows)).products, "flags")
    assert got == ["", "sold_out", "no_sales", "no_sales never_stocked"]


def test_neither_stock_nor_sales_is_a_ratio_of_zero(frame: Engine) -> None:
    rows = [product(1, units=0, stock=0), product(2, units=5, stock=0), product(3)]
    got = frame.column(shelfwise.analyze(frame(rows)).products, "stock_ratio")
    assert got == [0.0, 1.0, 0.5]


def test_net_revenue_takes_the_place_of_price_times_units(frame: Engine) -> None:
    rows = [
        product(1, net_revenue=31.5),
        product(2, net_revenue=None),
        product(3, net_revenue=-2.0),
    ]
    got = frame.column(shelfwise.analyze(frame(rows)).products, "revenue")
    assert got == [31.5, 50.0, -2.0]


def test_gross_margin_takes_net_revenue_where_it_is_known(frame: Engine) -> None:
    rows = [
        product(1, unit_cost=6.0, net_revenue=31.5), product(2, unit_cost=6.0, net_revenue=None),
    ]  # fmt: skip
    products = shelfwise.analyze(frame(rows), profile="margin").products
    assert frame.column(products, "gross_margin") == [1.5, 20.0]


def test_the_margin_profile_asks_for_the_cost(frame: Engine) -> None:
    with pytest.raises(shelfwise.InputError, match="Missing column: unit_cost"):
        shelfwise.analyze(frame(RANGE), profile="margin")
    rows = [product(1, unit_cost=None), product(2, unit_cost=1.0)]
    for source in (rows, frame(rows)):
        with pytest.raises(shelfwise.RejectedRowsError, match="unit_cost is missing"):
            shelfwise.analyze(source, profile="margin")


ZERO_PRICE = Profile.from_dict(
    {"name": "free", "zero_price": "allow",
     "terms": {"revenue": 0.5, "stock_ratio": 0.3, "sales_velocity": 0.2}}
)  # fmt: skip


def test_a_price_of_zero_is_refused_by_default(frame: Engine) -> None:
    with pytest.raises(shelfwise.RejectedRowsError, match="price is 0"):
        shelfwise.analyze(frame([product(1, price=0.0), product(2)]))


def test_a_price_of_zero_takes_the_smallest_velocity_where_allowed(frame: Engine) -> None:
    rows = [product(1, 0.0, 9), product(2, 10, 5), product(3, 10, 20)]
    got = frame.read(shelfwise.analyze(frame(rows), profile=ZERO_PRICE).products)
    assert [row["sales_velocity"] for row in got] == [0.5, 0.5, 2.0]
    assert [row["flags"] for row in got] == ["zero_price", "", ""]


def test_prices_that_are_all_zero_make_no_nan(frame: Engine) -> None:
    rows = [product(1, 0.0, 9), product(2, 0.0, 5), product(3, 0.0, 0)]
    got = frame.read(shelfwise.analyze(frame(rows), profile=ZERO_PRICE).products)
    assert [row["sales_velocity"] for row in got] == [0.0, 0.0, 0.0]
    assert all(math.isfinite(row["performance_score"]) for row in got)


def test_without_stock_weights_become_five_and_two_sevenths(frame: Engine) -> None:
    rows = [{k: v for k, v in row.items() if k != "stock"} for row in RANGE]
    analysis = shelfwise.analyze(frame(rows))
    assert [s.metric for s in analysis.model.scales] == ["revenue", "sales_velocity"]
    assert [s.weight for s in analysis.model.scales] == pytest.approx([5 / 7, 2 / 7], abs=1e-15)
    assert analysis.model.withheld == ("stock_ratio",)
    assert "stock_ratio" not in frame.read(analysis.products)[0]
    assert "no_stock" in {warning.code for warning in analysis.warnings}


def test_robust_holds_values_to_their_5_and_95_percent_quantiles(frame: Engine) -> None:
    analysis = shelfwise.analyze(frame(RANGE), profile="robust")
    revenue = [row["price"] * row["units_sold"] for row in RANGE]
    scale = analysis.model.scales[0]
    assert (scale.low, scale.high) == (quantile(revenue, 0.05), quantile(revenue, 0.95))
    parts = frame.column(analysis.products, "contribution_revenue")
    for value, part in zip(revenue, parts, strict=True):
        expected = (min(max(value, scale.low), scale.high) - scale.low) / (scale.high - scale.low)
        assert part == pytest.approx(50 * expected, abs=1e-9)


def test_an_outlier_presses_the_others_together_unless_robust() -> None:
    rows = [product(i, 10.0, float(i)) for i in range(1, 40)] + [product(40, 10.0, 1e6)]
    for profile, least in (("standard", 0), ("robust", 40)):
        got = shelfwise.analyze(rows, profile=profile).products["contribution_revenue"][38]
        assert (got > least) is True
        assert (got < 1) is (profile == "standard")


def test_scores_do_not_depend_on_the_unit_of_money() -> None:
    cents = [row | {"price": row["price"] * 100} for row in RANGE]
    euros, in_cents = (shelfwise.analyze(rows).products for rows in (RANGE, cents))
    assert euros["performance_score"].to_list() == pytest.approx(
        in_cents["performance_score"].to_list(), abs=1e-9
    )


def test_one_more_unit_never_lowers_the_score_against_the_same_model() -> None:
    model = shelfwise.analyze(RANGE).model
    before = shelfwise.analyze(RANGE, model=model).products["performance_score"]
    more = [row | {"units_sold": row["units_sold"] + 1} for row in RANGE]
    after = shelfwise.analyze(more, model=model).products["performance_score"]
    assert ((after - before) >= 0).all()
    assert (after > before).any()


def test_effective_weights_equal_the_judge_and_add_up_to_one(frame: Engine) -> None:
    judged = judge(RANGE)
    expected = effective_weights(judged.normalized, judged.weights)
    got = shelfwise.analyze(frame(RANGE)).summary["effective_weights"]
    assert got == pytest.approx(expected, abs=1e-9)
    assert math.fsum(got.values()) == pytest.approx(1, abs=1e-12)
