"""Evidence and sections: what decisions rest on, and the form that they have."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

import shelfwise
from shelfwise.errors import InputError
from shelfwise.insights import Evidence, Section, Withheld
from shelfwise.insights.decisions import DECISION, PRODUCT, Quantity, table

PRODUCTS = [
    {"product_id": 1, "name": "Lamp", "price": 20.0, "units_sold": 9, "stock": 1,
     "unit_cost": 12.5, "discontinued": True},
    {"product_id": 2, "name": "Mug", "price": 5.0, "units_sold": 2, "stock": 8, "unit_cost": None,
     "discontinued": None},
    {"product_id": 3, "name": "Pot", "price": 9.0, "units_sold": 4, "stock": 6, "unit_cost": 3.0,
     "discontinued": False},
]  # fmt: skip
LINES = [
    {"product_id": product, "date": str(dt.date(2026, 1, 5) + dt.timedelta(days=day)),
     "quantity": product, "unit_price": 4.0}
    for product in (2, 3)
    for day in range(0, 70, 7)
]  # fmt: skip


def test_evidence_of_products_knows_no_time() -> None:
    evidence = Evidence.of(shelfwise.analyze(PRODUCTS), as_of=dt.date(2026, 3, 1))
    assert evidence.ids == ["1", "2", "3"]
    assert evidence.weeks is None
    assert evidence.trends is None
    assert evidence.forecasts is None
    assert evidence.elasticities is None
    assert evidence.of_products(None, "trend").to_dicts() == 3 * [{"trend": None}]
    assert evidence.period_days is None
    assert evidence.units.shape == (3, 0)
    assert np.isnan(evidence.number("unit_cost")).tolist() == [False, True, False]
    assert np.isnan(evidence.number("lead_time_days")).all()
    assert evidence.truth("discontinued").tolist() == [True, False, False]
    assert evidence.has("unit_cost")
    assert not evidence.has("supplier")
    assert evidence.text("supplier").to_list() == [None] * 3


def test_the_period_of_an_analysis_is_found() -> None:
    analysis = shelfwise.analyze(PRODUCTS, period=90)
    assert Evidence.of(analysis).period_days == pytest.approx(90)
    assert Evidence.of(analysis, period_days=30).period_days == 30


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_order_lines_bring_their_weeks_and_their_day(engine: str) -> None:
    sold = shelfwise.from_sales(LINES, catalog=[dict(p, price=9.0) for p in PRODUCTS])
    analysis = shelfwise.analyze(sold, engine=engine)  # type: ignore[arg-type]
    evidence = Evidence.of(analysis)
    assert evidence.as_of == dt.date(2026, 3, 9)
    assert evidence.period_days == 64
    assert sorted(evidence.ids) == ["1", "2", "3"]
    weekly = dict(zip(evidence.ids, evidence.units.mean(axis=1).tolist(), strict=True))
    assert weekly == {"1": 0.0, "2": 2.0, "3": 3.0}
    assert evidence.trends is not None
    joined = evidence.of_products(evidence.trends, "trend")
    assert dict(zip(evidence.ids, joined["trend"], strict=True))["2"] == "too_short"


def test_tables_that_are_made_already_are_taken() -> None:
    made = pl.DataFrame({"product_id": ["3", "1"], "trend": ["rising", "flat"]})
    evidence = Evidence.of(shelfwise.analyze(PRODUCTS), given={"trends": made})
    assert evidence.trends is made
    assert evidence.of_products(made, "trend")["trend"].to_list() == ["flat", None, "rising"]
    assert Evidence.of(evidence) is evidence


def test_a_product_in_several_places_is_refused() -> None:
    rows = [dict(PRODUCTS[0], location=place) for place in ("north", "south")]
    with pytest.raises(InputError, match="Product '1' stands in 2 rows"):
        Evidence.of(shelfwise.analyze([*rows, *PRODUCTS[1:]]))


def test_a_table_has_the_declared_columns() -> None:
    columns = (Quantity("a", "units", "A number."), Quantity("b", "", "A word.", kind=pl.String))
    made = table(columns, {"b": ["x", "y"], "a": np.array([1.0, np.nan])})
    assert made.schema == {"a": pl.Float64, "b": pl.String}
    assert made.rows() == [(1.0, "x"), (None, "y")]
    assert table(columns, {"a": [1]}).rows() == [(1.0, None)]
    with pytest.raises(ValueError, match="not declared: c"):
        table(columns, {"a": [1], "c": [2]})


def test_the_decisions_of_a_section_are_its_rows_with_an_action_most_money_first() -> None:
    columns = PRODUCT + DECISION
    values = {"product_id": ["1", "2", "3"], "action": ["reorder", None, "clear"],
              "money": [5.0, 99.0, 7.0]}  # fmt: skip
    section = Section(
        "inventory", columns, table(columns, values),
        withheld=(Withheld("orders", "no lead time is known", "lead_time_days"),),
    )  # fmt: skip
    assert section.decisions["product_id"].to_list() == ["3", "1"]
    assert "reorder: 1" in repr(section)
    assert "It needs lead_time_days." in repr(section)
    told = section.to_dict()
    assert told["withheld"][0]["needs"] == "lead_time_days"
    assert len(told["rows"]) == 3
