"""One cell at a time: what is wrong with it in words, and what is put right."""

import datetime as dt
import math
from typing import Any

import hypothesis.strategies as st
import narwhals.stable.v2 as nw
import numpy as np
import pytest
from hypothesis import Phase, example, given, settings

import shelfwise
from kinds import ENGINES, Engine
from shelfwise.cells import LISTED, complaint, has_decimal_comma, repaired
from shelfwise.columns import COLUMN, REQUIRED, contract
from shelfwise.errors import excerpt
from shelfwise.pipeline.check import check

FINE = [
    ("price", 199.99), ("price", 1), ("price", 1e-6), ("price", 1e12),
    ("units_sold", 0), ("units_sold", 3.7), ("units_sold", 1e15),
    ("stock", 0), ("net_revenue", -1e27), ("net_revenue", None), ("unit_cost", math.nan),
    ("product_id", 7), ("product_id", "007"), ("product_id", -(2**63)), ("product_id", "x" * 255),
    ("name", "Lämpchen 灯 🪔"), ("name", "n" * 1000), ("category", None), ("category", ""),
    ("discontinued", True), ("discontinued", None),
    ("launch_date", "2024-02-29"), ("launch_date", dt.date(2024, 2, 29)),
    ("launch_date", dt.datetime(2024, 2, 29, 8)), ("launch_date", None), ("currency", "EUR"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "value"), FINE)
def test_a_right_value_has_no_complaint(column: str, value: object) -> None:
    assert complaint(COLUMN[column], value) is None


WRONG = [
    ("price", None, "price is missing"),
    ("price", math.nan, "price is missing"),
    ("price", "12", "price is the text '12'; it must be a number"),
    ("price", True, "price is True; it must be a number"),
    ("price", [1], "price is an array; it must be a number"),
    ("price", 0, "price is 0; it must be 1e-06 or more"),
    ("price", -1.5, "price is -1.5; it must be 1e-06 or more"),
    ("price", 1e13, "price is 10000000000000; it must be 1000000000000 or less"),
    ("price", math.inf, "price is inf; it must be 1000000000000 or less"),
    ("price", -math.inf, "price is -inf; it must be 1e-06 or more"),
    ("units_sold", -0.5, "units_sold is -0.5; it must be 0 or more"),
    ("units_sold", 10**30, "units_sold is a huge integer; it must be 1e+15 or less"),
    ("stock", -3, "stock is -3; it must be 0 or more"),
    ("product_id", None, "product_id is missing"),
    ("product_id", "", "product_id is empty"),
    ("product_id", "  ", "product_id is empty"),
    ("product_id", 1.5, "product_id is 1.5; it must be an integer or text"),
    ("product_id", True, "product_id is True; it must be an integer or text"),
    ("product_id", 2**63, "product_id is an integer beyond 64 bits; send it as text"),
    ("product_id", "x" * 256, "product_id has 256 characters; at most 255 are allowed"),
    ("name", 7, "name is 7; it must be text"),
    ("name", "a\x00b", "name has the control character U+0000"),
    ("name", "a\nb", "name has the control character U+000A"),
    ("name", "n" * 1001, "name has 1001 characters; at most 1000 are allowed"),
    ("currency", "EURO", "currency has 4 characters; at most 3 are allowed"),
    ("discontinued", "yes", "discontinued is 'yes'; it must be true or false"),
    ("discontinued", 1, "discontinued is 1; it must be true or false"),
    ("launch_date", "31.1.2026", "launch_date is '31.1.2026'; write it as 2026-01-31"),
    ("launch_date", "2026-02-30", "launch_date is '2026-02-30'; write it as 2026-01-31"),
    ("launch_date", 20260131, "launch_date is 20260131; write it as 2026-01-31"),
]


@pytest.mark.parametrize(("column", "value", "expected"), WRONG)
def test_a_complaint_says_what_is_wrong(column: str, value: object, expected: str) -> None:
    assert complaint(COLUMN[column], value) == expected


@pytest.mark.parametrize(
    ("column", "value"),
    [("price", " 12.5 "), ("price", "1e3"), ("price", "+.5"), ("discontinued", "No"),
     ("discontinued", "1"), ("launch_date", "2026-01-31")],
)  # fmt: skip
def test_text_may_say_a_value_where_there_is_only_text(column: str, value: str) -> None:
    assert complaint(COLUMN[column], value, text_is_fine=True) is None


@pytest.mark.parametrize(
    "text", ["1,5", "1 000", "0x10", "nan", "inf", "1_000", "--1", "١٢", "１２"]
)
def test_text_that_is_no_plain_number_is_refused(text: str) -> None:
    found = complaint(COLUMN["price"], text, text_is_fine=True)
    assert found == f"price is the text {text!r}; it must be a number"


REPAIRED = [
    ("price", "199.99", 199.99),
    ("price", "$4.50 ", 4.5),
    ("price", "1,234.50", 1234.5),
    ("price", "1.234,56", 1234.56),
    ("price", "1.234,56 €", 1234.56),
    ("price", "EUR 1,234,567.8", 1234567.8),
    ("price", "1.234.567", 1234567),
    ("price", "1,234,567", 1234567),
    ("price", "0,5", 0.5),
    ("price", "0,500", 0.5),
    ("price", "12,3456", 12.3456),
    ("price", "3\u202f000", 3000),
    ("price", "1 000\u00a0kr", 1000),
    ("price", "12,50 zł", 12.5),
    ("price", "1,234", "1,234"),
    ("price", "1.234", 1.234),
    ("price", "about 5", "about 5"),
    ("price", "5 or 6", "5 or 6"),
    ("price", "1,23,4", "1,23,4"),
    ("price", "", None),
    ("price", " - ", " - "),
    ("price", "-5", -5),
    ("price", True, True),
    ("units_sold", "7", 7),
    ("units_sold", -7, -7),
    ("stock", -3, 0),
    ("stock", "-3", 0),
    ("stock", "-0,5", 0),
    ("stock", 4, 4),
    ("category", 5, "5"),
    ("category", "a\tb", "a b"),
    ("name", "a\tb", "a\tb"),
    ("discontinued", "Yes", True),
    ("discontinued", 0, False),
    ("discontinued", "perhaps", "perhaps"),
    ("launch_date", "31.1.2026", "31.1.2026"),
]


@pytest.mark.parametrize(("column", "value", "expected"), REPAIRED)
def test_what_is_certainly_meant_is_put_right(column: str, value: object, expected: object) -> None:
    got = repaired(COLUMN[column], value)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize("value", [5, 5.5, "x", None, True])
def test_repairing_twice_changes_nothing_more(value: Any) -> None:
    for column in COLUMN.values():
        once = repaired(column, value)
        assert repaired(column, once) == once


def test_an_excerpt_never_repeats_a_huge_value() -> None:
    assert len(excerpt("a" * 10**7)) < 70
    assert excerpt("short") == "'short'"
    assert len(excerpt(["a" * 1000])) < 70


# Numbers as people write them, and near misses of the patterns.
characters = st.sampled_from([*"0123456789", *"0123456789", *".,,..+-eE $€'", "\u00a0", "\u202f",
                              "\t", "\u2009", "EUR", "kr", "x", "٣", "５"])  # fmt: skip
written = st.lists(characters, max_size=10).map("".join)
groups = st.tuples(
    st.sampled_from(["", "-", "+", "$", "€ ", " "]),
    st.integers(0, 9999).map(str),
    st.lists(st.tuples(st.sampled_from(",."), st.sampled_from(["000", "500", "25", "1", "1234"]))
             .map("".join), max_size=3).map("".join),
    st.sampled_from(["", " ", " €", "kr", "\n", "e3", " EUR"]),
).map("".join)  # fmt: skip
EXAMPLES = [text for column, text, _ in REPAIRED if column == "price" and isinstance(text, str)]


def row(i: int, **given: str) -> dict[str, Any]:
    return {"product_id": i, "name": "x", "price": "5", "units_sold": "5", "stock": "5"} | given


@pytest.mark.parametrize(
    "engine", [e for e in ENGINES if e.name != "polars-lazy"], ids=lambda engine: engine.name
)
@given(texts=st.lists(written | groups, min_size=1, max_size=40))
@example(texts=EXAMPLES)
@settings(max_examples=8, phases=[Phase.explicit, Phase.generate])
def test_expressions_repair_what_python_repairs(engine: Engine, texts: list[str]) -> None:
    comma = any(map(has_decimal_comma, texts))
    rows, expected = [row(0)], {0: (5.0, 5.0)}
    for i, text in enumerate(texts):
        for name, number in (("price", 2 * i + 1), ("stock", 2 * i + 2)):
            rows.append(row(number, **{name: text}))
            value = repaired(COLUMN[name], text, decimal_comma=comma)
            if complaint(COLUMN[name], value) is None:
                found = float(value)  # type: ignore[arg-type]  # no complaint: a number
                expected[number] = (found, 5.0) if name == "price" else (5.0, found)
    wanted = contract(REQUIRED, frozenset(), "refuse")
    checked = check(nw.from_native(engine(rows)), wanted, "repair").frame.lazy()
    kept = checked.collect(backend="polars").select("product_id", "price", "stock").rows()
    got = {number: (price, stock) for number, price, stock in kept}
    differing = {
        (number, texts[(number - 1) // 2])
        for number in got.keys() | expected.keys()
        if got.get(number) != expected.get(number)
    }
    assert not differing


def test_numpy_numbers_in_a_list_are_numbers() -> None:
    rows = [
        {"product_id": np.int64(i), "name": "x", "price": np.float32(2.5),
         "units_sold": np.int32(i), "stock": np.float64(3)}
        for i in range(1, 4)
    ]  # fmt: skip
    products = shelfwise.analyze(rows).products
    assert products["revenue"].to_list() == [2.5, 5.0, 7.5]


def test_an_error_lists_some_problems_and_counts_all() -> None:
    rows = [{"product_id": i, "name": "x", "price": -1, "units_sold": 1, "stock": 1}
            for i in range(LISTED + 30)]  # fmt: skip
    with pytest.raises(shelfwise.RejectedRowsError) as caught:
        shelfwise.analyze(rows)
    assert len(caught.value.problems) == LISTED
    assert caught.value.count == LISTED + 30
