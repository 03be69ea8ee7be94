"""JSON and lists of dicts: rows of typed values, checked strictly, kept as they came.

The fast way decodes straight into structs that have exactly the keys of the first row,
and looks at whole columns. Only when something is wrong are rows examined one by one.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shelfwise.cells import (
    UNPRINTABLE,
    OnError,
    Rejection,
    as_date,
    complaint,
    duplicate_reason,
    has_decimal_comma,
    refuse,
    refuse_currencies,
    repaired,
)
from shelfwise.columns import COLUMN, REQUIRED, Column, contract
from shelfwise.errors import InputError, Problem, RejectedRowsError, TooLargeError, UnreadableError

MAX_KEYS = 64
KEPT_REJECTED = 100_000
"""Reasons kept in memory; all are counted."""
PLAIN_KEY = re.compile(r"[ -!#-\[\]-~]+")
"""Keys that a struct can have: printable ASCII without quote and backslash."""
BOM = b"\xef\xbb\xbf"
_PRESENT = {"id": int | str, "text": str, "number": int | float, "boolean": bool, "date": str}


@dataclass(slots=True)
class Records:
    """Checked rows by column: `given` as they came, `numbers` as float64 (NaN: missing).

    `unknown` counts keys that the contract does not have; `extra` holds their values
    where they were asked for.
    """

    given: dict[str, list[Any]]
    numbers: dict[str, NDArray[np.float64]]
    height: int
    unknown: dict[str, int] = field(default_factory=dict)
    extra: dict[str, list[Any]] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)
    rejected_rows: int = 0
    repaired: dict[str, int] = field(default_factory=dict)


class Huge:
    """A number of the body that no float64 holds; it fits no column and says so."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text if len(self.text) <= 40 else f"{self.text[:40]}…"


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
    rows = _decode_fast(body)
    if rows is not None and rows:
        _limit(len(rows), max_rows)
        keys = rows[0].__struct_encode_fields__
        height = len(rows)
        columns = _columns(rows, dict(zip(keys, rows[0].__struct_fields__, strict=True)))
        del rows  # A million structs are a hundred megabytes.
        records = _fast(columns, height, needs, zero_price, keep_extra, decoded=body)
        if records is not None:
            return records
    return read_rows(
        _decode_slowly(body, max_rows),
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


def _limit(count: int, max_rows: int | None) -> None:
    if max_rows is not None and count > max_rows:
        raise TooLargeError(
            f"{count:,} rows are more than the {max_rows:,} that one request may have.",
            "Send fewer rows, or raise SHELFWISE_MAX_ROWS.",
        )


@lru_cache(maxsize=64)
def _decoder(keys: tuple[str, ...]) -> msgspec.json.Decoder[list[Any]]:
    names = {key if key in REQUIRED else f"f{i}": key for i, key in enumerate(keys)}
    fields: list[tuple[str, Any]] = []
    for name, key in names.items():
        if key not in COLUMN:
            fields.append((name, Any))
        elif COLUMN[key].required:
            fields.append((name, _PRESENT[COLUMN[key].kind]))
        else:
            fields.append((name, _PRESENT[COLUMN[key].kind] | None))
    row: Any = msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(list[row])


def _columns(rows: list[Any], fields: Mapping[str, str]) -> dict[str, list[Any]]:
    """Structs to lists; attributes named in the code are read twice as fast."""
    known = {
        "product_id": lambda: [row.product_id for row in rows],
        "name": lambda: [row.name for row in rows],
        "price": lambda: [row.price for row in rows],
        "units_sold": lambda: [row.units_sold for row in rows],
        "stock": lambda: [row.stock for row in rows],
    }
    return {
        key: known[key]() if key in known else list(map(attrgetter(field), rows))
        for key, field in fields.items()
    }


def _decode_fast(body: bytes) -> list[Any] | None:
    """Structs with the keys of the first row, or None where the rows differ or are wrong."""
    start = body.find(b"{", 0, 256)
    if start < 0:
        return None
    head = body[start : start + 65_536].decode("utf-8", errors="replace")
    try:
        first, _ = json.JSONDecoder().raw_decode(head)
    except (ValueError, RecursionError):
        return None
    if not isinstance(first, dict) or not 0 < len(first) <= MAX_KEYS:
        return None
    if not all(PLAIN_KEY.fullmatch(key) for key in first):
        return None
    try:
        return _decoder(tuple(first)).decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _fast(
    columns: dict[str, list[Any]],
    height: int,
    needs: frozenset[str],
    zero_price: str,
    keep: bool,
    stock_optional: bool = False,
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
    numbers = {}
    for name, column in wanted.items():
        if column.kind == "number":
            values = _numbers(columns[name], column, typed=typed)
            if values is None:
                return None
            numbers[name] = values
        elif not _fine(columns[name], column, escaped=escaped):
            return None
    identity = [columns[n] for n in ("product_id", "location") if n in columns]
    if _distinct(identity) != height:
        return None
    if "currency" in columns:
        refuse_currencies(set(columns["currency"]))
    unknown = [key for key in columns if key not in wanted]
    return Records(
        given={name: columns[name] for name in wanted},
        numbers=numbers,
        height=height,
        unknown=dict.fromkeys(unknown, height),
        extra={key: columns[key] for key in unknown} if keep else {},
    )


def _numbers(
    values: list[Any], column: Column, *, typed: bool = False
) -> NDArray[np.float64] | None:
    if not typed and not set(map(type, values)) <= {int, float, type(None)}:
        return None
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


def _fine(values: list[Any], column: Column, *, escaped: bool = True) -> bool:
    types = set(map(type, values))
    if column.kind == "id":
        if types == {int}:
            return bool(min(values) >= -(2**63) and max(values) < 2**63)
        return types == {str} and _fine_text(values, column, escaped)
    if column.kind == "text":
        if type(None) in types and not column.required:
            values = [value for value in values if value is not None]
            types.discard(type(None))
        return types <= {str} and _fine_text(values, column, escaped)
    if column.kind == "boolean":
        return types <= {bool, type(None)}
    return all(value is None or as_date(value) for value in values)


def _fine_text(values: list[str], column: Column, escaped: bool) -> bool:
    if max(map(len, values), default=0) > column.max_length:
        return False
    if column.required and ("" in values or any(map(str.isspace, values))):
        return False
    # One search over all: joining costs less than a call per value.
    return not escaped or UNPRINTABLE.search("".join(values)) is None


def _distinct(identity: list[list[Any]]) -> int:
    return len(set(identity[0])) if len(identity) == 1 else len(set(zip(*identity, strict=True)))


def _decode_slowly(body: bytes, max_rows: int | None) -> list[Any]:
    """Plain Python rows; numbers that no float64 holds become Huge."""
    if max_rows is not None and body.count(b",") >= max_rows:
        _count_first(body, max_rows)
    try:
        raw = msgspec.json.decode(body, type=list[msgspec.Raw])
    except msgspec.ValidationError as error:
        _refuse_unless_json(body)
        raise RejectedRowsError(
            "The body is not an array of products.",
            'Send [{"product_id": 1, "name": "...", "price": 9.9, "units_sold": 5, "stock": 2}].',
            (Problem("", "expected an array of objects"),),
        ) from error
    except RecursionError as error:
        raise UnreadableError("The JSON is nested too deeply.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableError(f"The body is not JSON: {_reason(error, body)}.") from error
    _limit(len(raw), max_rows)
    decoder = msgspec.json.Decoder(float_hook=_float)
    rows = []
    for part in raw:
        try:
            rows.append(decoder.decode(part))
        except msgspec.ValidationError:
            rows.append(_decode_row(part))
        except RecursionError as error:
            raise UnreadableError("The JSON is nested too deeply.") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableError(f"The body is not JSON: {_reason(error, body)}.") from error
    return rows


class _Object(msgspec.Struct, gc=False):
    """Any object, its keys passed over: the cheapest way to count rows."""


def _count_first(body: bytes, max_rows: int) -> None:
    """TooLargeError before rows that are too many take memory one by one."""
    try:
        _limit(len(msgspec.json.decode(body, type=list[_Object])), max_rows)
    except msgspec.ValidationError as error:
        few = body.count(b",") < 8 * max_rows  # The parser that follows may take them all.
        if not few and (found := re.search(r"\$\[([0-9]+)\]", str(error))):
            rejection = Rejection(int(found[1]), "", None, "a product must be an object")
            raise refuse([rejection], 1) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # What is wrong is said by the parser that follows.


def _refuse_unless_json(body: bytes) -> None:
    """UnreadableError where the body, whose first value is no array, goes wrong later on."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if not isinstance(error, msgspec.ValidationError):
            lines = " Lines of JSON are not an array." if body.count(b"\n{") else ""
            raise UnreadableError(
                f"The body is not JSON: {_reason(error, body)}.{lines}"
            ) from error
    except RecursionError as error:
        raise UnreadableError("The JSON is nested too deeply.") from error


def _reason(error: Exception, body: bytes) -> str:
    if isinstance(error, UnicodeDecodeError):
        return _bad_utf8(body)
    if "truncated" in str(error):
        return f"it ends too early (byte {len(body)})"
    reason = str(error).removeprefix("JSON is malformed: ")
    if found := re.fullmatch(r"trailing characters \(byte ([0-9]+)\)", reason):
        # The parser counts one byte too far here.
        return f"trailing characters (byte {int(found[1]) - 1})"
    return reason


def _bad_utf8(body: bytes) -> str:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"invalid UTF-8 (byte {error.start})"
    return "invalid UTF-8"


def _float(text: str) -> float | Huge:
    value = float(text)
    return value if math.isfinite(value) else Huge(text)


def _decode_row(part: msgspec.Raw) -> Any:
    """A row with an integer of more digits than a parser takes: value by value."""
    try:
        fields = msgspec.json.decode(part, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return Huge(bytes(part).decode())
    row = {}
    for key, raw in fields.items():
        try:
            row[key] = msgspec.json.Decoder(float_hook=_float).decode(raw)
        except msgspec.ValidationError:
            row[key] = Huge(bytes(raw).decode())
    return row


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


def rows_of(body: bytes, *, lines: bool = False) -> list[Any]:
    """The rows of a JSON array, or of one object a line, as Python values."""
    if lines:
        parts = (line for line in body.removeprefix(BOM).split(b"\n") if line.strip())
        body = b"[" + b",".join(parts) + b"]"
    return _decode_slowly(body.removeprefix(BOM), None)
