"""One cell: is it right, what is wrong with it in words, and can it be put right.

JSON rows are judged here value by value. Frames are searched by expressions, which use the
same patterns, and only their bad rows come here for the words.
"""

import datetime as dt
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from shelfwise.columns import Column
from shelfwise.errors import InputError, Problem, RejectedRowsError, excerpt

AMBIGUITY = " (thousand or decimal point?)"
OnError = Literal["reject", "skip", "repair"]

LISTED = 50
"""Problems that an error lists; all are counted."""

CONTROL = re.compile(r"[\x00-\x1f]")
UNPRINTABLE = re.compile(r"[\x00-\x1f\ud800-\udfff]")
"""Control characters, and halves of characters that only Python strings can hold."""
# Blanks beyond ASCII stand here as themselves: engines write their escapes differently.
BLANKS = "\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
EMPTY_OR_CONTROL = rf"[\x00-\x1f]|^[\s{BLANKS}]*$"
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_SIGN = rf"(?:[\s{BLANKS}$€£¥₹₽₩₺]|EUR|USD|GBP|CHF|kr|zł)"
SIGNS = rf"^{_SIGN}+|{_SIGN}+$"
GROUPED = rf"^[+-]?[1-9][0-9]{{0,2}}(?:[\s{BLANKS}][0-9]{{3}})+(?:[.,][0-9]+)?$"
INNER_BLANKS = rf"[\s{BLANKS}]"
"""Signs stand at the ends of a number; blanks between groups of three digits only."""
COMMA_THOUSANDS = (
    r"^[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+\.[0-9]+$|^[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3}){2,}$"
)
POINT_THOUSANDS = (
    r"^[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]+$|^[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}$"
)
COMMA_DECIMALS = r"^[+-]?[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})$|^[+-]?0,[0-9]+$"
AMBIGUOUS_POINT = r"^[+-]?[1-9][0-9]{0,2}\.[0-9]{3}$"
"""In a column with decimal commas this may be a thousand."""
"""Unmistakable ways to write a number; `1,234` is none, it may be a thousand or 1.234."""
TRUE = {"true": True, "yes": True, "y": True, "1": True, "t": True}
FALSE = {"false": False, "no": False, "n": False, "0": False, "f": False, "": False}
_DAYS = (
    "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_LEAP = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29"
DATE = rf"^\s*(?:{_DAYS}|{_LEAP})(?:[T ]00:00(?::00(?:\.0+)?)?)?\s*$"
"""A day that exists, written 2026-01-31; the midnight that some programs add is no harm."""


def complaint(column: Column, value: object, *, text_is_fine: bool = False) -> str | None:
    """What is wrong with one value of a column, or None.

    With `text_is_fine` (CSV, text columns of a frame) "12.5" counts as a number,
    "2026-01-31" as a date and "true" as a boolean; JSON must say what it means.

    >>> from shelfwise.columns import COLUMN
    >>> complaint(COLUMN["stock"], -3)
    'stock is -3; it must be 0 or more'
    >>> complaint(COLUMN["price"], "12") is None
    False
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return f"{column.name} is missing" if column.required else None
    if column.kind == "number":
        return _number_complaint(column, value, text_is_fine)
    if column.kind in ("id", "text"):
        return _text_complaint(column, value)
    if column.kind == "boolean":
        fine = isinstance(value, bool) or (
            text_is_fine and str(value).strip().lower() in TRUE | FALSE
        )
        return None if fine else f"{column.name} is {excerpt(value)}; it must be true or false"
    return None if as_date(value) else f"{column.name} is {excerpt(value)}; write it as 2026-01-31"


def _number_complaint(column: Column, value: object, text_is_fine: bool) -> str | None:
    if isinstance(value, str) and text_is_fine and NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        if isinstance(value, str):
            return f"{column.name} is the text {excerpt(value)}; it must be a number"
        return f"{column.name} is {excerpt(value)}; it must be a number"
    if column.low is not None and value < column.low and value != column.besides:
        least = "0" if column.low == 0 else f"{column.low:.15g}"
        return f"{column.name} is {_shown(value)}; it must be {least} or more"
    if column.high is not None and value > column.high:
        return f"{column.name} is {_shown(value)}; it must be {column.high:.15g} or less"
    return None


def _shown(value: float) -> str:
    return f"{value:.15g}" if isinstance(value, float) or abs(value) < 10**20 else "a huge integer"


def _text_complaint(column: Column, value: object) -> str | None:
    if column.kind == "id" and isinstance(value, float) and value.is_integer():
        value = int(value)  # In JSON 7.0 is the integer 7.
    if column.kind == "id" and isinstance(value, int) and not isinstance(value, bool):
        fine = -(2**63) <= value < 2**63
        return None if fine else f"{column.name} is an integer beyond 64 bits; send it as text"
    if not isinstance(value, str):
        kinds = "an integer or text" if column.kind == "id" else "text"
        return f"{column.name} is {excerpt(value)}; it must be {kinds}"
    if column.required and not value.strip():
        return f"{column.name} is empty"
    if len(value) > column.max_length:
        return f"{column.name} has {len(value)} characters; at most {column.max_length} are allowed"
    if found := UNPRINTABLE.search(value):
        return f"{column.name} has the control character U+{ord(found.group()):04X}"
    return None


def as_date(value: object) -> dt.date | None:
    """The date that a value stands for: a date, or text such as 2026-01-31; else None."""
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    if not isinstance(value, str) or not re.search(DATE, value):
        return None
    try:
        return dt.date.fromisoformat(value.strip()[:10])
    except ValueError:
        return None


def as_boolean(value: object) -> bool:
    """The truth that an accepted value stands for."""
    return value if isinstance(value, bool) else TRUE.get(str(value).strip().lower(), False)


def has_decimal_comma(text: str) -> bool:
    """True for text that can only be a number with a decimal comma."""
    bare = _bare(text)
    comma = re.search(COMMA_DECIMALS, bare) or re.search(POINT_THOUSANDS, bare)
    return bool(comma) and "," in bare


def repaired(column: Column, value: object, *, decimal_comma: bool = False) -> object:
    """The value with what is certainly meant put right; else the value as it came.

    Numeric text becomes a number, also with a currency sign, blanks or unmistakable
    separators: `$4.50 `, `1,234.50`, `1.234,56`, `0,5`. `1,234` stays text, because it
    may be one thousand or one and a bit; so does `1.234` where the column has a
    `decimal_comma` elsewhere. Stock below 0 becomes 0.

    >>> from shelfwise.columns import COLUMN
    >>> repaired(COLUMN["price"], "1.234,56 €"), repaired(COLUMN["price"], "1,234")
    (1234.56, '1,234')
    """
    if column.kind == "number":
        if isinstance(value, str):
            value = _number(value, decimal_comma)
        if column.name == "stock" and isinstance(value, int | float) and value < 0:
            return 0
        return value
    if column.kind == "text" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if column.kind == "boolean" and not isinstance(value, bool):
        text = str(value).strip().lower()
        return TRUE.get(text, FALSE.get(text, value))
    if column.kind == "text" and isinstance(value, str) and not column.required:
        return CONTROL.sub(" ", value)
    return value


def _bare(text: str) -> str:
    bare = re.sub(SIGNS, "", text)
    return re.sub(INNER_BLANKS, "", bare) if re.search(GROUPED, bare) else bare


def _number(text: str, decimal_comma: bool) -> object:
    bare = _bare(text)
    if not bare:
        return None
    if decimal_comma and re.search(AMBIGUOUS_POINT, bare):
        return text + AMBIGUITY
    if re.search(COMMA_THOUSANDS, bare):
        bare = bare.replace(",", "")
    elif re.search(POINT_THOUSANDS, bare):
        bare = bare.replace(".", "").replace(",", ".")
    elif re.search(COMMA_DECIMALS, bare):
        bare = bare.replace(",", ".")
    if not NUMBER.fullmatch(bare):
        return text
    number = float(bare)
    return int(number) if re.fullmatch(r"[+-]?[0-9]{1,15}", bare) else number


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was not scored, and why; `row` counts from 0 (None on a lazy engine)."""

    row: int | None
    column: str
    value: Any
    reason: str

    @property
    def pointer(self) -> str:
        """Where it stands, as a JSON pointer."""
        return f"/{'' if self.row is None else self.row}/{self.column}".rstrip("/")


def refuse(rejected: list[Rejection], count: int) -> RejectedRowsError:
    """The error that lists the first problems and counts all."""
    problems = tuple(Problem(r.pointer, r.reason) for r in rejected[:LISTED])
    first = "" if not problems else f" First: {problems[0].pointer}: {problems[0].detail}."
    return RejectedRowsError(
        f"{count:,} problem{'s' if count > 1 else ''} in the rows.{first}",
        "Mend them, or choose on_error=skip (--on-error skip) or repair.",
        problems,
        count,
    )


def duplicate_reason(identity: tuple[Any, ...], rows: list[Any]) -> str:
    """Why a product that stands more than once is refused."""
    where = f" at {excerpt(identity[1])}" if len(identity) > 1 else ""
    shown = ", ".join(str(row) for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
    places = f" (rows {shown})" if rows and rows[0] is not None else ""
    return f"product_id {excerpt(identity[0])}{where} stands {len(rows)} times{places}"


def refuse_currencies(found: set[Any]) -> None:
    """InputError where amounts are in more than one currency."""
    found = {currency for currency in found if currency}
    if len(found) > 1:
        raise InputError(
            f"The products mix currencies: {', '.join(excerpt(f, 10) for f in sorted(found)[:5])}.",
            "Convert the money to one currency, or analyze each currency by itself.",
        )
