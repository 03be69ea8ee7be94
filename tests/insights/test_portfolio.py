"""The portfolio: classes, cells, quadrants, stages of life, bands, and what to take out."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import shelfwise
from shelfwise.demo import Shop, make_shop
from shelfwise.errors import InputError, NotFoundError
from shelfwise.insights import Evidence, Section
from shelfwise.insights.assortment import (
    abc,
    band_cuts,
    bands,
    concentrated,
    relative_share,
    weekly_cv,
)
from shelfwise.insights.delisting import DelistingPolicy, delisting
from shelfwise.insights.portfolio import COLUMNS, PortfolioPolicy, portfolio
from shelfwise.insights.roles import CELLS, LIFECYCLE, QUADRANTS


def product(n: int, units: float, price: float = 1.0, stock: float = 5, **more: Any) -> dict:
    return {"product_id": n, "name": f"Tea {n}", "price": price, "units_sold": units,
            "stock": stock, **more}  # fmt: skip


def of(section: Section, ids: list[Any]) -> pl.DataFrame:
    return section.rows.filter(pl.col("product_id").is_in([str(one) for one in ids]))


@pytest.mark.parametrize(
    ("values", "classes"),
    [((90, 5, 5), "ABB"), ((80, 15, 5), "ABC"), ((7,), "A"), ((4, 4, 4), "AAA"),
     ((80, 15, 5, 0, -3), "ABCNN"), ((0, 0), "NN")],
)  # fmt: skip
def test_classes_are_those_of_the_method(values: tuple[float, ...], classes: str) -> None:
    assert "".join(abc(np.array(values, dtype=float))) == classes


def test_an_unknown_value_has_no_class() -> None:
    assert abc(np.array([10.0, np.nan])).to_list() == ["A", None]


def test_concentration_has_the_check_values() -> None:
    assert concentrated(np.array([30.0, 30, 20, 20]))["hhi"] == pytest.approx(0.26, abs=1e-12)
    assert concentrated(np.array([30.0, 30, 20, 20]))["effective_number"] == pytest.approx(1 / 0.26)
    assert concentrated(np.array([1.0, 2, 3, 4, 10]))["gini"] == pytest.approx(0.4, abs=1e-12)
    assert concentrated(np.zeros(3))["hhi"] is None


def test_weekly_variation_needs_eight_weeks_and_sales() -> None:
    units = np.array([[2.0, 4] * 4 + [100], [2.0, 4] * 4 + [100], [0.0] * 9, [3.0] * 9])
    counts = np.ones((4, 9), dtype=bool)
    counts[0, 8] = False
    counts[1, 7:] = False
    weeks, cv = weekly_cv(units, counts)
    assert weeks.tolist() == [8, 7, 9, 9]
    assert cv[0] == pytest.approx(1 / 3)
    assert np.isnan(cv[1])
    assert np.isnan(cv[2])
    assert cv[3] == 0


def test_share_is_against_the_strongest_other_of_the_category() -> None:
    revenue = np.array([60.0, 30, 10, 50, 50, 8, 5, 0])
    category = pl.Series(["tea", "tea", "tea", "pot", "pot", "cup", None, "jar"])
    found = relative_share(revenue, category)
    assert found[:5].round(6).tolist() == [2.0, 0.5, 0.166667, 1.0, 1.0]
    assert np.isnan(found[5:]).all()
    assert np.isnan(relative_share(np.array([5.0, -2]), pl.Series(["a", "a"])))[0]


def test_bands_are_terciles_within_a_category() -> None:
    price = np.array([1.0, 2, 3, 10, 20, 30, 30, 5, 5, 5, 7, 8])
    category = pl.Series(["a"] * 3 + ["b"] * 4 + ["c"] * 3 + ["d"] * 2)
    found = bands(price, category).to_list()
    assert found[:3] == ["low", "middle", "high"]
    assert found[3:7] == ["low", "low", "high", "high"]
    assert found[7:10] == ["middle"] * 3
    assert found[10:] == [None, None]
    cuts = band_cuts(price, category).row(0)
    assert cuts == ("a", pytest.approx(1 + 2 / 3), pytest.approx(2 + 1 / 3))


def weeks_of(**series: list[float]) -> list[dict[str, Any]]:
    first = dt.date(2024, 1, 1)
    return [
        {"product_id": name, "week": first + dt.timedelta(weeks=n), "units": units}
        for name, values in series.items()
        for n, units in enumerate(values)
    ]


def test_cells_join_class_and_variation_and_say_a_policy() -> None:
    even, swings, wild = [10.0] * 30, [4.0, 16.0, 10.0] * 10, [0.0, 0, 0, 0, 60] * 6
    weeks = weeks_of(a=even, b=swings, c=wild)
    rows = [dict(product(0, sum(v)), product_id=name)
            for name, v in (("a", even), ("b", swings), ("c", wild))]  # fmt: skip
    rows.append(dict(product(0, 0), product_id="d"))
    section = portfolio(shelfwise.analyze(rows), weeks=weeks, as_of=dt.date(2024, 7, 28))
    found = dict(section.rows.select("product_id", "xyz").iter_rows())
    assert found == {"a": "X", "b": "X", "c": "Z", "d": None}
    assert section.rows["cell"].to_list() == ["AX", "AX", "AZ", "N"]
    assert section.rows["policy"].to_list()[3] == CELLS["N"]
    tighter = PortfolioPolicy(x_cut=0.1, y_cut=0.5)
    again = portfolio(shelfwise.analyze(rows), tighter, weeks=weeks)
    assert again.rows["xyz"].to_list() == ["X", "Y", "Z", None]
    assert again.summary["cut_offs"]["X"] == 0.1
    assert {c["cell"] for c in again.summary["cells"]} == {"AX", "AY", "AZ", "N"}


def test_every_cell_has_its_sentence() -> None:
    assert set(CELLS) == {f"{a}{x}" for a in "ABC" for x in "XYZ"} | {"N"}
    words = " ".join(CELLS.values())
    # One word, one rule: these two are said by the inventory alone.
    assert "reorder" not in words
    assert "clear" not in words


def trend(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"product_id": ["1", "2"], "reason": [None, None]} | columns)


def mapped(low: float, high: float, revenue: tuple[float, float], **policy: Any) -> list[Any]:
    """The quadrants of two products of one category, of which the first grows so much."""
    growth = float(np.sqrt((1 + low) * (1 + high)) - 1)
    made = trend(growth=[growth, None], growth_low=[low, None], growth_high=[high, None],
                 trend=["none", "too_short"], weeks=[120, 20])  # fmt: skip
    rows = [product(n, units, category="tea") for n, units in zip((1, 2), revenue, strict=True)]
    found = portfolio(shelfwise.analyze(rows), PortfolioPolicy(**policy), given={"trends": made})
    return found.rows["quadrant"].to_list()


def test_quadrants_need_a_sure_growth() -> None:
    assert mapped(0.1, 0.4, (9, 3)) == ["star", None]
    assert mapped(0.1, 0.4, (3, 9)) == ["question_mark", None]
    assert mapped(-0.4, -0.1, (9, 3)) == ["cash_cow", None]
    assert mapped(-0.4, -0.1, (3, 9)) == ["dog", None]
    assert mapped(-0.2, 0.3, (9, 3)) == ["borderline", None]
    assert mapped(0.1, 0.4, (9, 3), growth_cut=0.3) == ["borderline", None]
    assert mapped(0.1, 0.4, (9, 3), share_cut=4) == ["question_mark", None]


def test_the_probability_of_growth_is_that_of_its_interval() -> None:
    # One standard error of log growth above the cut: Phi(1) = 0.841345.
    low, high = np.expm1(0.1 - 1.959964 * 0.1), np.expm1(0.1 + 1.959964 * 0.1)
    made = trend(growth=[float(np.expm1(0.1)), None], growth_low=[float(low), None],
                 growth_high=[float(high), None], trend=["none", None],
                 weeks=[200, 200])  # fmt: skip
    rows = [product(1, 9, category="tea"), product(2, 3, category="tea")]
    found = portfolio(shelfwise.analyze(rows), given={"trends": made}).rows
    assert found["p_growing"][0] == pytest.approx(0.841345, abs=1e-6)
    assert found["quadrant"][0] == "star"


def test_without_dates_the_map_is_refused_and_says_what_it_needs() -> None:
    section = portfolio(shelfwise.analyze([product(n, 10 * n, category="t") for n in (1, 2, 3)]))
    for name in ("xyz", "growth", "quadrant", "p_growing"):
        assert section.rows[name].null_count() == 3
    needs = {w.what: w.needs for w in section.withheld}
    assert needs["growth-share map"] == "order lines"
    assert needs["margin"] == "unit_cost"
    assert section.rows["relative_share"].null_count() == 0
    assert set(section.rows["lifecycle"]) == {"undetermined"}


def test_a_launch_date_tells_an_introduction_without_order_lines() -> None:
    rows = [product(1, 10, launch_date="2026-02-01"), product(2, 10, launch_date="2024-02-01"),
            product(3, 9, discontinued=True)]  # fmt: skip
    section = portfolio(shelfwise.analyze(rows), as_of=dt.date(2026, 3, 1))
    assert section.rows["lifecycle"].to_list() == ["introduction", "undetermined", "end_of_life"]
    assert section.rows["lifecycle_reason"].to_list() == [
        "on sale for 4 weeks", None, "declared discontinued",
    ]  # fmt: skip


def test_a_product_that_earns_little_and_loses_money_is_delisted() -> None:
    rows = [product(n, 1000, unit_cost=0.5) for n in (1, 2, 3)]
    rows += [product(4, 20, unit_cost=1.5), product(5, 20, unit_cost=0.5),
             product(6, 20, unit_cost=1.5, stock=0), product(7, 20, unit_cost=1.5,
             discontinued=True), product(8, 900, unit_cost=1.5)]  # fmt: skip
    section = portfolio(shelfwise.analyze(rows))
    (out,) = section.decisions.to_dicts()
    assert out["product_id"] == "4"
    assert out["action"] == "delist"
    assert out["money"] == 7.5
    assert out["money_basis"] == "cost"
    assert "loses 10.00 in the period: raise its price or take it out" in out["reason"]
    assert "class C" in out["reason"]
    # The last of its kind stays: nobody would find anything in its place.
    alone = [*rows[:3], dict(rows[3], category="only")]
    assert portfolio(shelfwise.analyze(alone)).decisions.is_empty()


def test_the_simulator_adds_up_what_goes_and_what_comes_back() -> None:
    rows = [product(n, 10 * n, 2.0, unit_cost=1.5, category="tea" if n < 3 else "pot")
            for n in (1, 2, 3)]  # fmt: skip
    analysis = shelfwise.analyze(rows, period=30)
    both = DelistingPolicy(products=("1", "2"))
    found = delisting(analysis, both).summary
    assert found == {
        "products": 2, "products_left": 1, "revenue_at_risk": 60.0, "margin_at_risk": 15.0,
        "units_at_risk": 30.0, "revenue_kept": 0.0, "margin_kept": 0.0, "units_kept": 0.0,
        "margin_known_of": 2, "stock_units": 10.0, "stock_freed": 15.0,
        "stock_freed_at_cost": 15.0, "stock_known_of": 2, "categories_emptied": ["tea"],
        "period_days": 30,
    }  # fmt: skip
    assert delisting(analysis).summary["products"] == 0
    assert delisting(analysis).assumptions == ()


def test_what_others_take_over_is_yours_to_assume_and_said_beside_the_figures() -> None:
    rows = [product(n, 10 * n, 2.0, unit_cost=1.5, on_order=4) for n in (1, 2, 3)]
    analysis = shelfwise.analyze(rows, period=30)
    third = DelistingPolicy(products=("1", "2"), transfer=0.25)
    found = delisting(analysis, third)
    for name, whole in (("revenue", 60.0), ("margin", 15.0), ("units", 30.0)):
        assert found.summary[f"{name}_at_risk"] == whole * 0.75
        assert found.summary[f"{name}_kept"] == whole * 0.25
        at_risk, kept = (found.rows[f"{name}_{end}"].sum() for end in ("at_risk", "kept"))
        assert at_risk + kept == whole
    assert found.assumptions == (
        "25% of the sales of a delisted product go to other products: assumed, not estimated.",
        "What other products take over is counted at the price and the margin of the product "
        "that goes.",
        "Revenue, margin and units are those of the period of 30 days: the next one is taken to "
        "be like it.",
        "Stock freed is what lies there at cost; sold off cheaply it brings less.",
        "8 units are on order, and not counted: cancel the order, or there is more to sell off.",
    )
    # Where nothing is said here, the setting of the portfolio counts.
    same = DelistingPolicy(products=("1", "2"), portfolio=PortfolioPolicy(transfer=0.25))
    assert delisting(analysis, same).rows.equals(found.rows)


def test_products_that_nobody_scored_are_named() -> None:
    analysis = shelfwise.analyze([product(n, 10 * n) for n in (1, 2, 3)])
    with pytest.raises(NotFoundError, match=r"`products` names '8', '9': not among the 3 products"):
        delisting(analysis, DelistingPolicy(products=("9", "1", "8")))
    many = tuple(f"x{n}" for n in range(7))
    with pytest.raises(NotFoundError, match="'x4' and 2 more: not among"):
        delisting(analysis, DelistingPolicy(products=many))
    with pytest.raises(InputError, match="products"):
        delisting(analysis, DelistingPolicy(products=()))
    with pytest.raises(InputError, match="transfer is 2"):
        delisting(analysis, DelistingPolicy(transfer=2))


def test_what_nobody_knows_of_a_delisting_is_withheld() -> None:
    rows = [{"product_id": n, "name": f"Tea {n}", "price": 1.0, "units_sold": 5} for n in (1, 2)]
    found = delisting(shelfwise.analyze(rows), DelistingPolicy(products=("1",)))
    told = {name: found.summary[name] for name in ("margin_at_risk", "stock_freed", "stock_units")}
    assert set(told.values()) == {None}
    assert {one.what: one.needs for one in found.withheld} == {
        "margin": "unit_cost", "stock freed": "stock",
    }  # fmt: skip


def test_stock_without_cost_is_counted_at_price_and_says_so() -> None:
    rows = [product(1, 10, 3.0, unit_cost=2.0), product(2, 10, 3.0, unit_cost=None)]
    section = portfolio(shelfwise.analyze(rows))
    assert section.rows["stock_freed"].to_list() == [10.0, 15.0]
    assert section.rows["stock_basis"].to_list() == ["cost", "price"]
    assert section.rows["margin"].to_list() == [10.0, None]
    found = delisting(shelfwise.analyze(rows), DelistingPolicy(products=("1", "2")))
    summary = found.summary
    assert (summary["margin_at_risk"], summary["margin_known_of"]) == (10.0, 1)
    assert summary["stock_freed_at_cost"] == 10.0
    assert "Stock of 1 product is at price: unit_cost is not known." in found.assumptions


def test_classes_may_be_of_another_measure() -> None:
    rows = [product(1, 100, 10.0, unit_cost=9.9), product(2, 10, 10.0, unit_cost=1.0)]
    analysis = shelfwise.analyze(rows)
    assert portfolio(analysis).rows["abc"].to_list() == ["A", "B"]
    by_margin = portfolio(analysis, PortfolioPolicy(measure="gross_margin"))
    assert by_margin.rows["abc"].to_list() == ["B", "A"]
    assert by_margin.summary["told"] == "1 of 2 products holds 90% of gross_margin"
    with pytest.raises(InputError, match="Give unit_cost"):
        portfolio(shelfwise.analyze([product(1, 5)]), PortfolioPolicy(measure="gross_margin"))


@pytest.mark.parametrize(
    "settings", [{"certainty": 0.3}, {"transfer": 1.5}, {"x_cut": 2.0}, {"measure": "profit"}]
)
def test_a_wrong_setting_is_named(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        portfolio(shelfwise.analyze([product(1, 5)]), PortfolioPolicy(**settings))


def test_products_in_order_and_columns_as_declared() -> None:
    section = portfolio(shelfwise.analyze([product(n, 5) for n in (3, 1, 2)]))
    assert section.rows["product_id"].to_list() == ["3", "1", "2"]
    assert section.rows.columns == [c.name for c in COLUMNS]


@pytest.fixture(scope="module")
def shop() -> Shop:
    return make_shop()


@pytest.fixture(scope="module")
def whole(shop: Shop) -> Evidence:
    sold = shelfwise.from_sales(shop.order_lines, catalog=shop.products, stock=shop.products)
    return Evidence.of(shelfwise.analyze(sold))


def test_the_planted_products_have_their_stage_of_life(shop: Shop, whole: Evidence) -> None:
    section = portfolio(whole)
    stages = {"rising": "growth", "falling": "decline", "dead": "end_of_life",
              "discontinued": "end_of_life", "new": "introduction",
              "hidden_gem": "introduction"}  # fmt: skip
    for story, stage in stages.items():
        assert set(of(section, shop.planted[story])["lifecycle"]) == {stage}, story
    assert set(section.rows["lifecycle"]) <= set(LIFECYCLE)
    assert set(section.rows["quadrant"].drop_nulls()) <= set(QUADRANTS)
    assert section.summary["concentration_by_category"][0]["category"] == "Garden"


def test_dead_products_are_delisted_and_the_good_ones_stay(shop: Shop, whole: Evidence) -> None:
    section = portfolio(whole)
    dead = of(section, shop.planted["dead"])
    assert set(dead["action"]) == {"delist"}
    assert all("not sold for so long" in reason for reason in dead["reason"])
    for story in ("rising", "sold_out", "new", "discontinued", "hidden_gem", "outlier"):
        assert of(section, shop.planted[story])["action"].null_count() == len(shop.planted[story])
    assert section.decisions["reason"].null_count() == 0
    simulated = delisting(whole)
    assert simulated.summary["products"] == section.decisions.height
    assert simulated.summary["stock_freed"] == pytest.approx(section.decisions["money"].sum())


def test_discontinued_products_of_a_real_company_are_at_their_end(
    test_data: Callable[[str], Path],
) -> None:
    known = pl.read_csv(test_data("northwind/products.csv"))
    units = pl.read_csv(test_data("northwind/order_details.csv")).group_by("product_id").agg(
        units_sold=pl.col("quantity").sum()
    )  # fmt: skip
    rows = known.join(units, on="product_id").select(
        "product_id", "units_sold", name="product_name", price="unit_price",
        stock="units_in_stock", category=pl.col("category_id").cast(pl.String),
        discontinued=pl.col("discontinued") == 1,
    )  # fmt: skip
    section = portfolio(shelfwise.analyze(rows))
    ended = of(section, rows.filter("discontinued")["product_id"].to_list())
    assert ended.height > 0
    assert set(ended["lifecycle"]) == {"end_of_life"}
    assert ended["action"].null_count() == ended.height
