"""ABC classes, concentration, effective weights, and the summary of a catalogue."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shelfwise
from kinds import Engine
from reference import abc, effective_weights, gini, hhi, judge
from shelfwise.errors import InputError
from shelfwise.pipeline.table import Arrays
from shelfwise.pipeline.totals import ABC, abc_class, abc_cuts, concentration


def rows_of(revenue: list[float]) -> list[dict[str, Any]]:
    return [
        {"product_id": i, "name": f"P{i}", "price": 1.0, "units_sold": 1.0, "stock": 1.0,
         "net_revenue": float(value)}
        for i, value in enumerate(revenue)
    ]  # fmt: skip


WORKED = {
    (90, 5, 5): "ABB",
    (80, 15, 5): "ABC",
    (7,): "A",
    (3, 3, 3, 3): "AAAA",
    (60, 30, 10): "AAB",
    (100, 0, -4): "ANN",
    (0, 0): "NN",
    (-1, -2): "NN",
    (0.8, 0.15, 0.05): "ABC",
}


@pytest.mark.parametrize(("revenue", "expected"), WORKED.items(), ids=str)
def test_abc_classes_of_the_worked_examples(revenue: tuple[float, ...], expected: str) -> None:
    assert classes_of(list(revenue)) == list(expected)
    assert abc(revenue) == list(expected)


@pytest.mark.parametrize("revenue", [(80, 15, 5), (100, 0, -4), (-1, -2)], ids=str)
def test_abc_classes_are_the_same_on_every_engine(
    frame: Engine, revenue: tuple[float, ...]
) -> None:
    products = shelfwise.analyze(frame(rows_of(list(revenue)))).products
    assert frame.column(products, "abc_class") == list(WORKED[revenue])


def classes_of(revenue: list[float]) -> list[str]:
    table = Arrays({"revenue": np.array(revenue)})
    codes = abc_class(table.columns["revenue"], abc_cuts(table))
    return [ABC[int(code)] for code in codes]


@given(st.lists(st.sampled_from([0.0, -3.0, 1.0, 5.0, 80.0]) | st.floats(-1e9, 1e9), min_size=1))
@settings(max_examples=150)
def test_abc_classes_equal_the_judge(revenue: list[float]) -> None:
    assert classes_of(revenue) == abc(revenue)


def test_the_classes_of_another_measure_are_its_own() -> None:
    table = Arrays({"revenue": np.array([1.0, 9.0]), "units": np.array([90.0, 5.0])})
    codes = abc_class(table.columns["units"], abc_cuts(table, "units"))
    assert [ABC[int(code)] for code in codes] == ["A", "B"]


def test_concentration_of_the_worked_examples() -> None:
    def of(*values: float) -> dict[str, Any]:
        return concentration(Arrays({"revenue": np.array(values, float)}))

    assert of(30, 30, 20, 20)["hhi"] == pytest.approx(0.26, abs=1e-12)
    assert of(30, 30, 20, 20)["effective_number"] == pytest.approx(1 / 0.26, abs=1e-9)
    assert of(1, 2, 3, 4, 10)["gini"] == pytest.approx(0.4, abs=1e-12)
    assert of(5)["gini"] == 0
    assert of(0, 0, 8)["gini"] == pytest.approx(2 / 3, abs=1e-12)


@given(st.lists(st.sampled_from([0.0, 1.0, 7.0]) | st.floats(-1e6, 1e9), min_size=1, max_size=40))
@settings(max_examples=100)
def test_concentration_equals_the_judge(revenue: list[float]) -> None:
    got = concentration(Arrays({"revenue": np.array(revenue)}))
    if hhi(revenue) is None:
        assert (got["hhi"], got["gini"]) == (None, None)
    else:
        assert got["hhi"] == pytest.approx(hhi(revenue), rel=1e-9)
        assert got["gini"] == pytest.approx(gini(revenue), abs=1e-9)
        best = sorted((value for value in revenue if value > 0), reverse=True)
        assert got["top_share"] == pytest.approx(sum(best[: got["top"]]) / sum(best), rel=1e-9)


def test_concentration_is_the_same_on_every_engine(frame: Engine) -> None:
    rows = rows_of([float(1.3**i) for i in range(40)] + [0.0, -5.0, 7.0, 7.0])
    revenue = [row["net_revenue"] for row in rows]
    got = shelfwise.analyze(frame(rows)).concentration()
    assert got["hhi"] == pytest.approx(hhi(revenue), abs=1e-12)
    assert got["gini"] == pytest.approx(gini(revenue), abs=1e-12)
    assert got["effective_number"] == pytest.approx(1 / hhi(revenue), rel=1e-9)
    earners = [value for value, found in zip(revenue, abc(revenue), strict=True) if found == "A"]
    assert got["top"] == len(earners)
    assert got["top_share"] == pytest.approx(
        sum(earners) / sum(value for value in revenue if value > 0), rel=1e-12
    )


def test_nothing_earned_has_no_concentration(frame: Engine) -> None:
    got = shelfwise.analyze(frame(rows_of([0.0, 0.0, -1.0]))).concentration()
    assert (got["hhi"], got["gini"], got["effective_number"], got["top_share"]) == (None,) * 4
    assert got["top"] == 0


def test_concentration_of_units_can_be_asked_for() -> None:
    rows = [row | {"units_sold": float(i)} for i, row in enumerate(rows_of([5] * 5))]
    got = shelfwise.analyze(rows).concentration("units_sold")
    assert got["gini"] == pytest.approx(gini([0, 1, 2, 3, 4]), abs=1e-12)


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(shelfwise.InputError, match="no measure 'profit'"):
        shelfwise.analyze(rows_of([1, 2])).concentration("profit")


catalogues = st.lists(
    st.tuples(st.floats(0.01, 1e4), st.integers(0, 500), st.integers(0, 500)),
    min_size=3, max_size=40,
)  # fmt: skip


@given(catalogues)
@settings(max_examples=40)
def test_effective_weights_add_up_to_one(found: list[tuple[float, int, int]]) -> None:
    rows = [
        {"product_id": i, "name": "x", "price": price, "units_sold": units, "stock": stock}
        for i, (price, units, stock) in enumerate(found)
    ]
    judged = judge(rows)
    got = shelfwise.analyze(rows).summary["effective_weights"]
    expected = effective_weights(judged.normalized, judged.weights)
    spread = max(judged.scores) - min(judged.scores)
    if spread > 1e-3:
        assert got == pytest.approx(expected, abs=1e-6)
        assert math.fsum(got.values()) == pytest.approx(1, abs=1e-9)
    if spread == 0:
        assert set(got.values()) == {None}


def test_equal_scores_have_no_effective_weights(frame: Engine) -> None:
    summary = shelfwise.analyze(frame(rows_of([5, 5, 5]))).summary
    assert summary["effective_weights"] == {
        "revenue": None, "stock_ratio": None, "sales_velocity": None,
    }  # fmt: skip


def test_the_summary_adds_up(frame: Engine) -> None:
    rows = rows_of([float(i * i % 23) for i in range(30)])
    summary = shelfwise.analyze(frame(rows)).summary
    judged = judge(rows)
    assert summary["products"] == 30
    assert summary["avg_score"] == pytest.approx(math.fsum(judged.scores) / 30, abs=1e-12)
    assert summary["total_revenue"] == sum(row["net_revenue"] for row in rows)
    assert sum(summary["tiers"].values()) == sum(summary["clusters"].values()) == 30
    assert summary["tiers"] == {t: judged.tiers.count(t) for t in ("High", "Medium", "Low")}
    best = max(range(30), key=lambda i: (judged.scores[i], rows[i]["net_revenue"], -i))
    assert summary["top_product"] == f"P{best}"


def test_of_equal_scores_the_first_with_most_revenue_is_on_top(frame: Engine) -> None:
    rows = rows_of([1.0, 5.0, 5.0])
    profile = shelfwise.Profile.from_dict({"name": "flat", "terms": {"stock_ratio": 1.0}})
    assert shelfwise.analyze(frame(rows), profile=profile).summary["top_product"] == "P1"


def test_any_measure_can_be_classed(frame: Engine) -> None:
    rows = [
        {"product_id": n, "name": f"P{n}", "price": 10.0, "units_sold": units, "stock": 1,
         "unit_cost": cost}
        for n, (units, cost) in enumerate([(80, 9.0), (15, 1.0), (5, 1.0), (0, 1.0)])
    ]  # fmt: skip
    analysis = shelfwise.analyze(frame(rows))
    assert analysis.abc("units_sold")["abc_class"].to_list() == ["A", "B", "C", "N"]
    margin = analysis.abc("gross_margin")
    assert margin["product_id"].to_list() == [1, 0, 2, 3]
    assert margin["gross_margin"].to_list() == [135.0, 80.0, 45.0, 0.0]
    with pytest.raises(shelfwise.InputError):
        analysis.abc("name")


def test_classes_and_concentration_within_a_group_are_those_of_the_group_alone(
    frame: Engine,
) -> None:
    values = [80.0, 15, 5, 90, 5, 5, 0, 30]
    rows = [
        row | {"category": place}
        for row, place in zip(rows_of(values), [*"aaabbbb", None], strict=True)
    ]
    analysis = shelfwise.analyze(frame(rows))
    classes = analysis.abc(within="category")
    assert classes.columns == ["category", "product_id", "revenue", "abc_class"]
    for place, expected in (("a", "ABC"), ("b", "ABBN"), (None, "A")):
        mine = classes.filter(pl.col("category").eq_missing(place))
        assert "".join(mine["abc_class"]) == expected
    spread = analysis.concentration(within="category")
    assert spread["category"].to_list() == ["a", "b", None]
    alone = shelfwise.analyze(frame(rows[:3])).concentration()
    assert {"category": "a"} | {
        name: pytest.approx(value, rel=1e-12) for name, value in alone.items()
    } == spread.row(0, named=True)
    with pytest.raises(InputError, match="no column 'brand' to group by"):
        analysis.abc(within="brand")
