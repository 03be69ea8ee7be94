"""JSON and lists of dicts: rows of typed values, checked strictly, kept as they came.

Whole columns are looked at, as they come out of structs that have exactly the keys of the
first row. Only when something is wrong are rows examined one by one.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shelfwise.cells import (
    OnError,
    Rejection,
    complaint,
    duplicate_reason,
    has_decimal_comma,
    refuse,
    refuse_currencies,
    repaired,
)
from shelfwise.columns import COLUMN, REQUIRED, contract
from shelfwise.engines import columnwise
from shelfwise.engines.columnwise import Values
from shelfwise.engines.decode import (
    BOM,
    MAX_KEYS,
    PART_BYTES,
    first_keys,
    plain_rows,
    refuse_beyond,
    structs,
)
from shelfwise.errors import InputError, Problem, RejectedRowsError

KEPT_REJECTED = 100_000
"""Reasons kept in memory; all are counted."""
COLUMNAR_ROWS = 2_000
"""From so many rows on, a column of one type is a series: quicker to check and to answer."""


@dataclass(slots=True)
class Records:
    """Checked rows by column: `given` as they came, `numbers` as float64 (NaN: missing).

    A column of many values of one type is a series, any other a list.

    `unknown` counts keys that the contract does not have; `extra` holds their values
    where they were asked for.
    """

    given: Mapping[str, Values]
    numbers: dict[str, NDArray[np.float64]]
    height: int
    unknown: dict[str, int] = field(default_factory=dict)
    extra: Mapping[str, Values] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)
    rejected_rows: int = 0
    repaired: dict[str, int] = field(default_factory=dict)


def read_json(
    body: bytes,
    *,
    needs: frozenset[str] = frozenset(),
    zero_price: str = "refuse",
    on_error: OnError = "reject",
    max_rows: int | None = None,
    keep_extra: bool = False,
) -> Records:
    """A JSON array of products.

    Raises UnreadableError with the offset for what is not JSON, RejectedRowsError for
    rows that break the contract, TooLargeError above `max_rows`. A key that stands twice
    in an object counts with its last value.
    """
    body = body.removeprefix(BOM)
    if keys := first_keys(body):
        unknown = [key for key in keys if key not in COLUMN]
        used = [key for key in keys if keep_extra or key in COLUMN]
        if found := _typed(body, keys, used, max_rows):
            records = _fast(*found, needs, zero_price, keep_extra, unknown=unknown, decoded=body)
            if records is not None:
                return records
    return read_rows(
        plain_rows(body, max_rows),
        needs=needs,
        zero_price=zero_price,
        on_error=on_error,
        keep_extra=keep_extra,
    )


def read_rows(
    rows: Sequence[Any],
    *,
    needs: frozenset[str] = frozenset(),
    zero_price: str = "refuse",
    on_error: OnError = "reject",
    keep_extra: bool = False,
    stock_optional: bool = False,
) -> Records:
    """A list of dicts, with JSON's types or Python's and numpy's."""
    if not rows:
        raise RejectedRowsError(
            "There are no rows.", "Give at least one product.", (Problem("", "no rows"),)
        )
    if isinstance(rows[0], dict) and all(
        isinstance(r, dict) and len(r) == len(rows[0]) for r in rows
    ):
        try:
            columns = {key: [row[key] for row in rows] for key in rows[0]}
        except KeyError:
            columns = {}
        if columns and len(columns) <= MAX_KEYS:
            records = _fast(columns, len(rows), needs, zero_price, keep_extra, stock_optional)
            if records is not None:
                return records
    return _examine(rows, needs, zero_price, on_error, keep_extra, stock_optional)


def _typed(
    body: bytes, keys: tuple[str, ...], used: Sequence[str], max_rows: int | None
) -> tuple[dict[str, Values], int] | None:
    """The used columns of rows that have just these keys, and the height; None where rows differ.

    Of a long body a part is structs at a time, and is packed into series before the next:
    a million structs are 250 megabytes.
    """
    parts: list[dict[str, Values]] = []
    height = 0
    try:
        for rows in structs(body, keys):
            height += len(rows)
            if rows and (max_rows is None or height <= max_rows):
                columns = _columns(rows, keys, used)
                if len(body) > PART_BYTES:
                    for name in used:
                        columns[name] = columnwise.packed(columns[name], typed=name in COLUMN)
                parts.append(columns)
            del rows
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    refuse_beyond(height, max_rows)
    return {n: columnwise.joined([p.pop(n) for p in parts]) for n in used if height}, height


def _columns(rows: list[Any], keys: Sequence[str], used: Sequence[str]) -> dict[str, Any]:
    """Structs to lists; attributes named in the code are read twice as fast."""
    known: dict[str, Callable[[], list[Any]]] = {
        "product_id": lambda: [row.product_id for row in rows],
        "name": lambda: [row.name for row in rows],
        "price": lambda: [row.price for row in rows],
        "units_sold": lambda: [row.units_sold for row in rows],
        "stock": lambda: [row.stock for row in rows],
    }
    fields = dict(zip(keys, rows[0].__struct_fields__, strict=True))
    return {
        key: known[key]() if key in known else list(map(attrgetter(fields[key]), rows))
        for key in used
    }


def _fast(
    columns: Mapping[str, Values],
    height: int,
    needs: frozenset[str],
    zero_price: str,
    keep: bool,
    stock_optional: bool = False,
    unknown: Sequence[str] = (),
    decoded: bytes | None = None,
) -> Records | None:
    """Whole columns at once; None where anything is wrong, to be examined row by row.

    `decoded` is the body that typed structs came from: their types need no second look,
    and without a backslash in it no text can hold a control character.
    """
    typed, escaped = decoded is not None, decoded is None or b"\\" in decoded
    asked = {*REQUIRED, *needs} - ({"stock"} if stock_optional else set())
    if not asked <= columns.keys():
        return None
    wanted = contract(columns.keys(), needs, zero_price)
    unknown = unknown or [key for key in columns if key not in wanted]
    packed = {n: columns[n] for n in (*wanted, *(unknown if keep else ()))}
    if height >= COLUMNAR_ROWS:
        for name, given in packed.items():
            if isinstance(given, list):
                packed[name] = columnwise.packed(given, typed=typed and name in wanted)
    numbers = {}
    for name, column in wanted.items():
        if column.kind == "number":
            values = columnwise.numbers(packed[name], column, typed=typed)
            if values is None:
                return None
            numbers[name] = values
        elif not columnwise.fine(packed[name], column, escaped=escaped):
            return None
    if columnwise.distinct(packed["product_id"], packed.get("location")) != height:
        return None
    if "currency" in packed:
        refuse_currencies(set(packed["currency"]))
    return Records(
        given={name: packed[name] for name in wanted},
        numbers=numbers,
        height=height,
        unknown=dict.fromkeys(unknown, height),
        extra={key: packed[key] for key in unknown} if keep else {},
    )


def _examine(
    rows: Sequence[Any],
    needs: frozenset[str],
    zero_price: str,
    on_error: OnError,
    keep: bool,
    stock_optional: bool = False,
    keep_rejected: int = KEPT_REJECTED,
) -> Records:
    """Row by row, collecting every problem; good rows are kept where `on_error` allows."""
    keys = dict.fromkeys(key for row in rows if isinstance(row, dict) for key in row)
    asked = {*REQUIRED, *needs} - ({"stock"} if stock_optional else set())
    known = [name for name in COLUMN if name in keys or name in asked]
    wanted = contract(known, needs, zero_price)
    unknown = Counter(
        key for row in rows if isinstance(row, dict) for key in row if key not in COLUMN
    )
    if len(unknown) > MAX_KEYS:
        raise InputError(
            f"The rows have {len(unknown):,} different unknown keys.",
            f"Send at most {MAX_KEYS} beside those of the contract.",
        )
    rejected: list[Rejection] = []
    count = 0
    commas = {n for n in wanted if on_error == "repair" and _has_decimal_commas(rows, n)}
    mended: Counter[str] = Counter()
    good: list[tuple[int, dict[str, Any]]] = []
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            if len(rejected) < keep_rejected:
                rejected.append(Rejection(index, "", row, "a product must be an object"))
            count += 1
            continue
        values = {name: _python(row.get(name)) for name in wanted}
        if on_error == "repair":
            for name, column in wanted.items():
                put_right = repaired(column, values[name], decimal_comma=name in commas)
                if put_right is not values[name]:
                    if name == "stock" and put_right == 0 and _below_zero(values[name]):
                        values["_oversold"] = 1
                    values[name] = put_right
                    mended[name] += 1
        problems = [
            Rejection(index, name, values[name], reason)
            for name, column in wanted.items()
            if (reason := complaint(column, values[name]))
        ]
        count += len(problems)
        if len(rejected) < keep_rejected:
            rejected += problems
        if not problems:
            good.append((index, values))
    good, twice = _without_duplicates(good, "location" in wanted)
    count += len(twice)
    rejected = sorted([*rejected, *twice], key=lambda rejection: rejection.row or 0)
    rejected = rejected[:keep_rejected]
    if count and (on_error == "reject" or not good):
        raise refuse(rejected, count)
    if not good:
        raise InputError("There are no rows.", "Give at least one product.")
    given = {name: [values[name] for _, values in good] for name in wanted}
    if "currency" in given:
        refuse_currencies(set(given["currency"]))
    numbers = {
        name: np.array([math.nan if v is None else v for v in given[name]], np.float64)
        for name, column in wanted.items()
        if column.kind == "number"
    }
    if any("_oversold" in values for _, values in good):
        numbers["_oversold"] = np.array([float(v.get("_oversold", 0)) for _, v in good])
    return Records(
        given=given,
        numbers=numbers,
        height=len(good),
        unknown=dict(unknown),
        extra={key: [rows[i].get(key) for i, _ in good] for key in unknown} if keep else {},
        rejected=rejected,
        rejected_rows=len(rows) - len(good),
        repaired=dict(mended),
    )


def _python(value: Any) -> Any:
    """A plain value: numpy's scalars become Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _has_decimal_commas(rows: Sequence[Any], name: str) -> bool:
    """True where some text of the column can only be a number with a decimal comma."""
    texts = (row.get(name) for row in rows if isinstance(row, dict))
    return any(isinstance(text, str) and has_decimal_comma(text) for text in texts)


def _identity(product_id: Any) -> str:
    return str(int(product_id)) if isinstance(product_id, float) else str(product_id)


def _below_zero(value: Any) -> bool:
    number = repaired(COLUMN["price"], value)
    return isinstance(number, int | float) and number < 0


def _without_duplicates(
    good: list[tuple[int, dict[str, Any]]], by_location: bool
) -> tuple[list[tuple[int, dict[str, Any]]], list[Rejection]]:
    """Rows whose product stands once; 1 and "1" are the same product."""
    places: dict[tuple[str, Any], list[int]] = {}
    identities = [
        (_identity(values["product_id"]), (values["location"] or "") if by_location else None)
        for _, values in good
    ]
    for identity, (index, _) in zip(identities, good, strict=True):
        places.setdefault(identity, []).append(index)
    rejected = [
        Rejection(
            index,
            "product_id",
            values["product_id"],
            duplicate_reason(identity if by_location else identity[:1], places[identity]),
        )
        for identity, (index, values) in zip(identities, good, strict=True)
        if len(places[identity]) > 1
    ]
    once = [
        pair for identity, pair in zip(identities, good, strict=True) if len(places[identity]) == 1
    ]
    return once, rejected


def renamed(renaming: Mapping[str, str], rows: Sequence[Any]) -> list[Any]:
    """Rows with their keys renamed {theirs: ours}; what is no dict stays as it is."""
    return [
        {renaming.get(key, key): value for key, value in row.items()}
        if isinstance(row, dict)
        else row
        for row in rows
    ]
