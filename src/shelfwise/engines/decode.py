"""JSON text to rows: structs with the keys of the first row, or plain values one by one.

msgspec parses; what it cannot hold (a number beyond float64) becomes Huge, and what is no
JSON is refused with the byte where it goes wrong.
"""

import json
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from shelfwise.cells import Rejection, refuse
from shelfwise.columns import COLUMN, REQUIRED
from shelfwise.errors import Problem, RejectedRowsError, TooManyRowsError, UnreadableError

MAX_KEYS = 64
PLAIN_KEY = re.compile(r"[ -!#-\[\]-~]+")
"""Keys that a struct can have: printable ASCII without quote and backslash."""
BOM = b"\xef\xbb\xbf"
PART_BYTES = 2**20
"""Bytes of rows that are structs at the same time; each takes three times as much as its text."""
_BETWEEN = re.compile(rb"\}[ \t\r\n]*+,[ \t\r\n]*+(?=\{)")
_PRESENT = {"id": int | str, "text": str, "number": int | float, "boolean": bool, "date": str}


class Huge:
    """A number of the body that no float64 holds; it fits no column and says so."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text if len(self.text) <= 40 else f"{self.text[:40]}…"


def first_keys(body: bytes) -> tuple[str, ...] | None:
    """The keys of the first row, where a struct can have them."""
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
    return tuple(first) if all(PLAIN_KEY.fullmatch(key) for key in first) else None


def structs(body: bytes, keys: tuple[str, ...]) -> Iterator[list[Any]]:
    """Structs with these keys, a part of the body after the other.

    Raises MsgspecError, UnicodeDecodeError or RecursionError where a row differs or is wrong.
    """
    decoder, text, start = _decoder(keys), memoryview(body), 0
    while len(body) - start > PART_BYTES and (cut := _BETWEEN.search(body, start + PART_BYTES)):
        part = b"".join((b"[" if start else b"", text[start : cut.start() + 1], b"]"))
        try:
            yield decoder.decode(part)  # No name: it would keep the rows while the next are made.
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            break  # Perhaps the cut went through a text, or a list in a row: the rest is one part.
        start = cut.end()
    yield decoder.decode(b"".join((b"[", text[start:])) if start else body)


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


def refuse_beyond(count: int, max_rows: int | None) -> None:
    if max_rows is not None and count > max_rows:
        raise TooManyRowsError(count, max_rows)


def plain_rows(body: bytes, max_rows: int | None) -> list[Any]:
    """Plain Python rows; numbers that no float64 holds become Huge."""
    if max_rows is not None and body.count(b",") >= max_rows:
        _count_first(body, max_rows)
    try:
        raw = msgspec.json.decode(body, type=list[msgspec.Raw])
    except msgspec.ValidationError as error:
        _refuse_unless_json(body)
        raise _no_array() from error
    except RecursionError as error:
        raise UnreadableError("The JSON is nested too deeply.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableError(f"The body is not JSON: {_reason(error, body)}.") from error
    refuse_beyond(len(raw), max_rows)
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


def _no_array() -> RejectedRowsError:
    return RejectedRowsError(
        "The body is not an array of products.",
        'Send [{"product_id": 1, "name": "...", "price": 9.9, "units_sold": 5, "stock": 2}].',
        (Problem("", "expected an array of objects"),),
    )


class _Object(msgspec.Struct, gc=False):
    """Any object, its keys passed over: the cheapest way to count rows."""


def _count_first(body: bytes, max_rows: int) -> None:
    """TooManyRowsError before rows that are too many take memory one by one."""
    try:
        refuse_beyond(len(msgspec.json.decode(body, type=list[_Object])), max_rows)
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


def rows_of(body: bytes, *, lines: bool = False) -> list[Any]:
    """The rows of a JSON array, or of one object a line, as Python values."""
    if lines:
        parts = (line for line in body.removeprefix(BOM).split(b"\n") if line.strip())
        body = b"[" + b",".join(parts) + b"]"
    return plain_rows(body.removeprefix(BOM), None)


_SIGN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)
"""A whole text, or what stands between values of JSON; a quote alone begins a text cut off."""


def first_rows(begun: bytes, count: int, *, whole: bool) -> list[Any]:
    """Up to `count` rows of a JSON array of which this is the beginning, or the `whole`.

    Of a beginning only the rows that end in it count.
    """
    begun, depth, rows, end = begun.removeprefix(BOM), 0, 0, 0
    if not whole and not begun.lstrip(b" \t\r\n").startswith(b"["):
        raise _no_array()
    for sign in _SIGN.finditer(begun):
        if sign[0] in b"[{":
            depth += 1
        elif sign[0] in b"]}":
            depth -= 1
        elif sign[0] == b"," and depth == 1:
            rows, end = rows + 1, sign.start()
            if rows == count:
                break
        elif sign[0] == b'"':
            break
    if rows < count and whole:
        return plain_rows(begun, None)
    if not rows:
        size = f"{len(begun):,} bytes"
        raise UnreadableError(f"No product ends within the first {size} of the JSON.")
    return plain_rows(begun[:end] + b"]", None)
