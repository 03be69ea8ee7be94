"""Whole columns of typed values: packed into series, and judged at a look."""

import itertools
import math
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.cells import UNPRINTABLE, as_date
from shelfwise.columns import Column

Values = list[Any] | pl.Series


def packed(values: list[Any], *, typed: bool) -> Values:
    """A series where all values are of one type, so that each comes back as it came.

    A series of floats would hide integers: there the types are looked at even after
    `typed` decoding, which has let in nothing else that a series would change.
    """
    if not typed:
        # A series is not strict with numpy's values, which convert themselves.
        types = set(map(type, values)) - {type(None)}
        if len(types) != 1 or not types <= {str, bool, int, float}:
            return values
    try:
        series = pl.Series(values, strict=True)
    except (TypeError, ValueError, OverflowError):
        return values
    if typed and series.dtype == pl.Float64 and len(set(map(type, values)) - {type(None)}) > 1:
        return values
    return series if series.dtype in (pl.String, pl.Boolean, pl.Int64, pl.Float64) else values


def joined(parts: list[Values]) -> Values:
    """One column of its parts: a series where all of them are of one type."""
    if len(parts) == 1:
        return parts[0]
    kinds = {part.dtype if isinstance(part, pl.Series) else None for part in parts}
    if len(kinds) == 1 and None not in kinds:
        return pl.concat(parts)  # type: ignore[type-var]  # all are series
    lists = (part.to_list() if isinstance(part, pl.Series) else part for part in parts)
    return list(itertools.chain.from_iterable(lists))


def numbers(values: Values, column: Column, *, typed: bool = False) -> NDArray[np.float64] | None:
    """The column as float64 with NaN for what is missing; None where a value breaks its limits."""
    if isinstance(values, pl.Series):
        if not values.dtype.is_numeric():
            return None
        array = values.cast(pl.Float64).fill_null(math.nan).to_numpy()
    elif not typed and not set(map(type, values)) <= {int, float, type(None)}:
        return None
    else:
        try:
            array = np.array(values, np.float64)  # None becomes NaN
        except OverflowError:
            return None
    low = column.low if column.low is not None else -math.inf
    high = column.high if column.high is not None else math.inf
    # NaN passes where it is ours for "missing"; a NaN of the caller's in a list counts so too.
    judged = array if column.besides is None else array[array != column.besides]
    if not len(judged):
        return array
    least, most = np.fmin.reduce(judged), np.fmax.reduce(judged)
    if least < low or most > high or (column.required and not (least >= low)):
        return None
    return None if column.required and np.isnan(array).any() else array


def fine(values: Values, column: Column, *, escaped: bool = True) -> bool:
    """True where no date, flag, id or text breaks the contract; without `escaped` no control
    character can stand in a text."""
    if column.kind == "date":
        return all(value is None or as_date(value) for value in values)
    if isinstance(values, pl.Series):
        return _fine_series(values, column, escaped)
    types = set(map(type, values))
    if column.kind == "boolean":
        return types <= {bool, type(None)}
    if column.kind == "id" and types == {int}:
        return bool(min(values) >= -(2**63) and max(values) < 2**63)
    if type(None) in types and not column.required:
        values = [value for value in values if value is not None]
        types.discard(type(None))
    return types <= {str} and _fine_text(values, column, escaped)


def _fine_text(values: list[str], column: Column, escaped: bool) -> bool:
    if max(map(len, values), default=0) > column.max_length:
        return False
    if column.required and ("" in values or any(map(str.isspace, values))):
        return False
    # One search over all: joining costs less than a call per value.
    return not escaped or UNPRINTABLE.search("".join(values)) is None


def _fine_series(values: pl.Series, column: Column, escaped: bool) -> bool:
    """The same for a series, whose type and nulls need just one look."""
    if column.kind == "boolean" or values.dtype != pl.String:
        return values.dtype == {"boolean": pl.Boolean, "id": pl.Int64}.get(column.kind) and not (
            column.required and values.has_nulls()
        )
    text = values.str
    if column.required and (values.has_nulls() or text.strip_chars().str.len_bytes().min() == 0):
        return False
    if (text.len_chars() > column.max_length).any():
        return False
    return not escaped or not text.contains(r"[\x00-\x1f]").any()


def distinct(ids: Values, locations: Values | None) -> int:
    """How many different products there are, or products at locations."""
    if locations is None:
        return ids.n_unique() if isinstance(ids, pl.Series) else len(set(ids))
    # A product without a location stands in one place more.
    return len(set(zip(ids, (place or "" for place in locations), strict=True)))
