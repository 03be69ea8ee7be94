"""Formulas of a user's own: arithmetic and nothing else, the same on arrays and expressions."""

import math
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shelfwise
from kinds import Engine
from shelfwise.formula import evaluate, names
from shelfwise.profile import Profile

REFUSED = {
    "attribute": "price.real",
    "dunder": "price.__class__.__mro__",
    "call of a builtin": "open(price)",
    "call of eval": "eval(price)",
    "import": "__import__(price)",
    "call of a call": "abs(price)(price)",
    "method": "price.sum()",
    "comprehension": "[x for x in price]",
    "generator": "sum(x for x in price)",
    "lambda": "lambda: price",
    "string": "'price'",
    "f-string": "f'{price}'",
    "bytes": "b'1' + price",
    "None": "price + None",
    "true": "price + True",
    "complex": "price + 1j",
    "ellipsis": "price + ...",
    "list": "[price]",
    "tuple": "price, stock",
    "dict": "{1: price}",
    "subscript": "price[0]",
    "power": "price ** 2",
    "floor division": "price // 2",
    "modulo": "price % 2",
    "matrix product": "price @ stock",
    "bit shift": "price << 2",
    "bit and": "price & stock",
    "comparison": "price > stock",
    "boolean": "price and stock",
    "not": "not price",
    "invert": "~price",
    "if": "price if stock else 1",
    "walrus": "(price := 3)",
    "statement": "import os",
    "assignment": "price = 1",
    "two statements": "price; stock",
    "await": "await price",
    "yield": "(yield price)",
    "star": "max(*price)",
    "keyword": "max(price, b=stock)",
    "too few": "max(price)",
    "too many": "sqrt(price, stock)",
    "no arguments": "abs()",
    "unknown function": "exp(price)",
    "function without a call": "price * min",
    "function alone": "sqrt",
    "empty": "",
    "blank": "   ",
    "half": "price *",
    "unbalanced": "(price",
    "null byte": "price\0",
    "comment only": "# price",
    "newline": "price\n+ stock",
    "too long": "price" + " + price" * 100,
    "deep": "(" * 240 + "price" + ")" * 240,
    "infinite constant": "price * 1e400",
    "huge integer": "price * " + "9" * 400,
}


@pytest.mark.parametrize("formula", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_arithmetic_is_refused(formula: str) -> None:
    with pytest.raises(shelfwise.ProfileError):
        names(formula)


def test_a_refusal_quotes_the_formula_and_shows_a_right_one() -> None:
    with pytest.raises(shelfwise.ProfileError) as caught:
        names("price.real")
    assert "'price.real'" in caught.value.message
    assert "price * units_sold" in caught.value.hint
    assert caught.value.code == "invalid_profile"


def test_a_huge_formula_is_not_repeated_in_the_error() -> None:
    with pytest.raises(shelfwise.ProfileError) as caught:
        names("price+" * 10_000 + "price")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("price", {"price"}),
        ("price * units_sold", {"price", "units_sold"}),
        ("max(price, abs(stock)) / 2", {"price", "stock"}),
        ("1 + 2", set()),
    ],
)
def test_names_are_the_columns_read(formula: str, expected: set[str]) -> None:
    assert names(formula) == expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("a + b * 2", 11.0),
        ("(a + b) * 2", 16.0),
        ("a - b - 1", 1.0),
        ("a / b", 5 / 3),
        ("a / 0", 0.0),
        ("a / (b - 3)", 0.0),
        ("a / -2", 0.0),
        ("0 / a", 0.0),
        ("-a", -5.0),
        ("--a", 5.0),
        ("min(a, b)", 3.0),
        ("max(a, b)", 5.0),
        ("max(a, 7.5)", 7.5),
        ("abs(b - a)", 2.0),
        ("sqrt(a + 4)", 3.0),
        ("sqrt(-a)", 0.0),
        ("log1p(a)", math.log(6)),
        ("log1p(-a)", -math.log(6)),
        ("1.5e1 * a", 75.0),
    ],
)
def test_values_are_those_of_arithmetic(formula: str, expected: float) -> None:
    columns = {"a": np.array([5.0]), "b": np.array([3.0])}
    assert np.broadcast_to(evaluate(formula, columns), 1)[0] == pytest.approx(expected, abs=1e-15)


leaves = st.sampled_from(["a", "b", "c", "2", "0.1", "0", "1e6"])


def combine(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: "({} {} {})".format(*t))
    two = st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
        lambda t: "{}({}, {})".format(*t)
    )
    one = st.tuples(st.sampled_from(["abs", "sqrt"]), inner).map(lambda t: "{}({})".format(*t))
    return binary | two | one | inner.map(lambda text: f"-{text}")


formulas = st.recursive(leaves, combine, max_leaves=12).map(lambda text: f"({text}) + 0 * a")
values = st.lists(
    st.tuples(*[st.sampled_from([0.0, 1.0, 3.7, 1e-9]) | st.floats(0, 1e9)] * 3),
    min_size=1, max_size=8,
)  # fmt: skip


@given(formula=formulas, rows=values)
@settings(max_examples=120)
def test_arrays_and_expressions_give_the_same_bits(
    formula: str, rows: list[tuple[float, ...]]
) -> None:
    columns = {name: [row[i] for row in rows] for i, name in enumerate("abc")}
    with np.errstate(over="ignore", invalid="ignore"):
        on_arrays = evaluate(formula, {n: np.array(v) for n, v in columns.items()})
    expression = evaluate(formula, {n: nw.col(n) for n in columns})
    frame = nw.from_native(pl.DataFrame(columns), eager_only=True)
    on_frames = frame.select(value=expression)["value"].to_numpy()
    np.testing.assert_array_equal(on_frames, on_arrays)


@pytest.mark.parametrize(
    "formula",
    ["a * max(1, 2)", "min(max(1, 2), a)", "min(a, max(1, 2))", "sqrt(4) / a + abs(0 - 1)"],
)
def test_constants_may_stand_anywhere_in_a_formula(formula: str) -> None:
    on_arrays = evaluate(formula, {"a": np.array([5.0, 1.0])})
    frame = nw.from_native(pl.DataFrame({"a": [5.0, 1.0]}), eager_only=True)
    on_frames = frame.select(value=evaluate(formula, {"a": nw.col("a")}))["value"].to_list()
    assert on_frames == on_arrays.tolist()


OWN = "sqrt(units_sold) * max(price - 2, 0) / (stock + 1) - min(stock, 3)"


def test_an_own_formula_gives_the_same_bits_on_every_engine(frame: Engine) -> None:
    rows = [
        {"product_id": i, "name": "x", "price": 0.5 + i % 9, "units_sold": float(i * 7 % 40),
         "stock": float(i % 6)}
        for i in range(60)
    ]  # fmt: skip
    profile = Profile.from_dict({"name": "own", "terms": {"own": 1.0}, "metrics": {"own": OWN}})
    got = frame.column(shelfwise.analyze(frame(rows), profile=profile).products, "own")
    expected = [
        math.sqrt(row["units_sold"]) * max(row["price"] - 2, 0.0) / (row["stock"] + 1)
        - min(row["stock"], 3)
        for row in rows
    ]
    assert got == expected


def rows_for(n: int) -> list[dict[str, Any]]:
    return [{"product_id": i, "name": "x", "price": 1e12 - i, "units_sold": 1.0, "stock": 1.0}
            for i in range(n)]  # fmt: skip


def test_an_own_metric_that_overflows_is_an_error_and_no_nan() -> None:
    profile = Profile.from_dict(
        {"name": "big", "terms": {"big": 1.0}, "metrics": {"big": "*".join(["price"] * 30)}}
    )
    with pytest.raises(shelfwise.ShelfwiseError, match="big"):
        shelfwise.analyze(rows_for(4), profile=profile)
