"""A metric's formula as text, evaluated on columns.

The columns are numpy arrays or Narwhals expressions: the same text gives the same bits
on both, so a metric is written once and its documentation is its definition.
Only arithmetic is understood: names, numbers, + - * /, parentheses and min, max, abs,
sqrt, log1p. A formula from a user's file can therefore do nothing but compute.
"""

import ast
import math
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from shelfwise.errors import ProfileError, excerpt

Values = Any
"""A numpy array, a Narwhals expression, or a number."""


def where(condition: Values, yes: Values, no: Values) -> Values:
    """`yes` where the condition holds, else `no`; both are evaluated."""
    if isinstance(condition, bool):
        return yes if condition else no
    if isinstance(condition, nw.Expr):
        return nw.when(condition).then(_literal(yes)).otherwise(_literal(no))
    return np.where(condition, yes, no)


def ratio(above: Values, below: Values) -> Values:
    """above / below, and 0 where `below` is not above 0.

    The guard is needed on every engine: one bare 0/0 turns a whole column into NaN there.
    """
    fine = below > 0
    return where(fine, above / where(fine, below, 1.0), 0.0)


def minimum(a: Values, b: Values) -> Values:
    """The smaller of two values, row by row."""
    if isinstance(a, nw.Expr):
        return nw.min_horizontal(a, b)
    return np.minimum(a, b)


def floor(value: Values) -> Values:
    """The largest whole number not above the value."""
    if isinstance(value, nw.Expr):
        # From 2^53 on every float is whole; Spark's floor gives integers, which overflow.
        return nw.when(value.abs() < 2.0**53).then(value.floor()).otherwise(value)
    return np.floor(value)


def clip(value: Values, low: float, high: float) -> Values:
    """The value, held between two numbers."""
    return value.clip(low, high) if isinstance(value, nw.Expr) else np.clip(value, low, high)


def log1p(value: Values) -> Values:
    """sign(value) log(1 + |value|): defined for losses too."""
    size = absolute(value) + 1.0
    log = size.log() if isinstance(size, nw.Expr) else np.log(size)
    return where(value < 0, 0.0 - log, log)


def missing(value: Values) -> Values:
    """True where there is no value; arrays mark it by NaN, frames by null."""
    return value.is_null() if isinstance(value, nw.Expr) else np.isnan(value)


def absolute(value: Values) -> Values:
    """The value without its sign."""
    return value.abs() if isinstance(value, nw.Expr) else np.abs(value)


def _literal(value: Values) -> Values:
    return nw.lit(value) if isinstance(value, float | int | bool | str) else value


def _sqrt(value: Values) -> Values:
    positive = where(value > 0, value, 0.0)
    return positive.sqrt() if isinstance(positive, nw.Expr) else np.sqrt(positive)


_FUNCTIONS: dict[str, tuple[int, Callable[..., Values]]] = {
    "min": (2, lambda a, b: where(a < b, a, b)),
    "max": (2, lambda a, b: where(a > b, a, b)),
    "abs": (1, absolute),
    "sqrt": (1, _sqrt),
    "log1p": (1, log1p),
}
_OPERATORS: dict[type[ast.operator], Callable[[Values, Values], Values]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: ratio,
}


def evaluate(formula: str, columns: Mapping[str, Values]) -> Values:
    """The formula's value on columns; `a / b` is 0 where b is not above 0.

    >>> evaluate("units_sold / (stock + units_sold)",
    ...          {"units_sold": np.array([150.0, 0.0]), "stock": np.array([50.0, 0.0])})
    array([0.75, 0.  ])
    """
    return _evaluate(_parse(formula), columns)


@lru_cache(maxsize=256)
def names(formula: str) -> frozenset[str]:
    """The columns that a formula reads; ProfileError when it cannot be understood."""
    return frozenset(_names(_parse(formula)))


@lru_cache(maxsize=256)
def _parse(formula: str) -> ast.expr:
    if len(formula) > 500:
        raise ProfileError(f"The formula {excerpt(formula)} has more than 500 characters.")
    try:
        tree = ast.parse(formula, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise _refused(formula, "it is not an arithmetic expression") from error
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and not _is_number(node.value):
            raise _refused(formula, "it has a constant that is no finite number")
        if isinstance(node, ast.Name) and node.id in _FUNCTIONS and id(node) not in called:
            raise _refused(formula, f"{node.id} is a function and needs its arguments")
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            arity, _ = _FUNCTIONS.get(name, (0, None))
            if not arity or len(node.args) != arity or node.keywords:
                raise _refused(formula, f"known functions: {', '.join(_FUNCTIONS)}")
        elif not isinstance(
            node,
            ast.BinOp | ast.UnaryOp | ast.Name | ast.Constant | ast.Load | ast.operator | ast.USub,
        ) or (isinstance(node, ast.operator) and type(node) not in _OPERATORS):
            raise _refused(formula, "only + - * / and known functions are understood")
    return tree


def _is_number(value: object) -> bool:
    if type(value) not in (int, float):
        return False
    try:
        return math.isfinite(float(value))  # type: ignore[arg-type]  # int or float, just seen
    except OverflowError:
        return False


def _refused(formula: str, why: str) -> ProfileError:
    return ProfileError(
        f"The formula {excerpt(formula)} is refused: {why}.",
        'Write it like "price * units_sold".',
    )


def _evaluate(node: ast.expr, columns: Mapping[str, Values]) -> Values:
    match node:
        case ast.Name(id=name):
            return columns[name]
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]  # _parse let numbers through only
        case ast.BinOp(left=left, op=op, right=right):
            above, below = _evaluate(left, columns), _evaluate(right, columns)
            if isinstance(op, ast.Div) and isinstance(below, float):
                return above * (1.0 / below) if below > 0 else above * 0.0
            return _OPERATORS[type(op)](above, below)
        case ast.UnaryOp(operand=operand):
            return 0.0 - _evaluate(operand, columns)
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name][1](*(_evaluate(arg, columns) for arg in args))
    raise AssertionError(f"_parse let {ast.dump(node)} through")


def _names(node: ast.expr) -> Iterator[str]:
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and child.id not in _FUNCTIONS:
            yield child.id
