"""Rows against the contract: good rows go on, bad ones are set aside with their reasons.

Expressions find the bad rows on any engine; only those are then looked at one by one, by
the same rules in words (`cells.complaint`) that judge a JSON request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import narwhals.stable.v2 as nw

from shelfwise import cells as c
from shelfwise.cells import (
    OnError,
    Rejection,
    complaint,
    duplicate_reason,
    refuse,
    refuse_currencies,
)
from shelfwise.columns import Column
from shelfwise.errors import InputError, excerpt
from shelfwise.formula import floor
from shelfwise.pipeline.dates import WRITTEN

AnyFrame = Any
"""A Narwhals DataFrame or LazyFrame: the same expressions serve both."""

EXAMINED = 300_000
"""Bad rows looked at one by one; the others are counted only."""


@dataclass(slots=True)
class Checked:
    """Good rows, typed, with what was set aside and what was repaired (column -> count).

    In-memory rows keep their number in `_row`.
    """

    frame: AnyFrame
    height: int
    rejected: list[Rejection] = field(default_factory=list)
    rejected_rows: int = 0
    repaired: dict[str, int] = field(default_factory=dict)


def check(frame: AnyFrame, contract: Mapping[str, Column], on_error: OnError) -> Checked:
    """Set aside the rows that break the contract; type the columns that keep it.

    With "reject" any bad row raises RejectedRowsError; with "skip" the rest goes on; with
    "repair" what is certainly meant is put right first. A product that stands twice is
    set aside each time: nobody can tell which row is right.
    """
    eager = isinstance(frame, nw.DataFrame)
    schema = frame.collect_schema()
    if eager:
        frame = frame.with_row_index("_row")
    refuse_kinds(contract, schema)
    repaired: dict[str, int] = {}
    if on_error == "repair":
        frame, repaired = _repair(frame, contract, schema)
        schema = frame.collect_schema()
    bad = nw.lit(False)
    for name, column in contract.items():
        bad = bad | is_bad(column, schema[name])
    frame = frame.with_columns(_bad=bad)
    identity = ["product_id"]
    if "location" in contract:
        # A product without a location is one place more: nulls would not join.
        frame = frame.with_columns(_place=nw.col("location").cast(nw.String).fill_null(""))
        identity.append("_place")
    counts = _row(
        frame.select(
            n=nw.len(),
            bad=nw.when(nw.col("_bad")).then(1).otherwise(0).sum(),
            ids=nw.when(~nw.col("_bad")).then(nw.col("product_id")).n_unique()
            if len(identity) == 1
            else nw.lit(-1),
        )
    )
    total, bad_rows = int(counts["n"]), int(counts["bad"] or 0)
    if total == 0:
        raise InputError("There are no rows.", "Give at least one product.")
    rejected: list[Rejection] = []
    if bad_rows:
        rejected = explain(frame, contract, schema)
        frame = frame.filter(~nw.col("_bad"))
    # Nulls count as one more distinct value where rows were set aside.
    if counts["ids"] < total - bad_rows + (1 if bad_rows else 0):
        frame, twice = _without_duplicates(frame, identity)
        rejected += twice
    height = int(_row(frame.select(n=nw.len()))["n"]) if rejected else total
    rejected_rows = total - height
    if rejected and on_error == "reject":
        raise refuse(rejected, max(len(rejected), rejected_rows))
    if height == 0:
        raise refuse(rejected, max(len(rejected), rejected_rows))
    refuse_mixed_currency(frame, contract)
    frame = _typed(frame.drop("_bad", *identity[1:]), contract, schema)
    return Checked(frame, height, rejected, rejected_rows, repaired)


def _row(frame: AnyFrame) -> dict[str, Any]:
    collected = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    row = collected.rows(named=True)[0]
    return {key: value.as_py() if hasattr(value, "as_py") else value for key, value in row.items()}


def refuse_kinds(contract: Mapping[str, Column], schema: Mapping[str, Any]) -> None:
    for name, column in contract.items():
        dtype = schema[name]
        fits = {
            "number": dtype.is_numeric() or dtype == nw.String,
            "id": dtype.is_integer() or dtype == nw.String,
            "text": dtype.is_numeric() or dtype in (nw.String, nw.Categorical, nw.Enum),
            "boolean": dtype in (nw.Boolean, nw.String) or dtype.is_integer(),
            "date": dtype in (nw.Date, nw.Datetime, nw.String),
        }[column.kind]
        if not fits and dtype != nw.Unknown:
            raise InputError(
                f"Column {name} has the type {dtype}; it must be {_KINDS[column.kind]}.",
                "Convert the column, or map another one to this name.",
            )


_KINDS = {
    "number": "numbers",
    "id": "integers or text",
    "text": "text",
    "boolean": "true or false",
    "date": "dates",
}


def number_of(name: str, dtype: Any) -> nw.Expr:
    """The column as float64, null where it is no number."""
    value = nw.col(name)
    if dtype == nw.String:
        text = value.str.strip_chars()
        fits = text.str.contains(f"^(?:{c.NUMBER.pattern})$")
        return nw.when(fits).then(text).cast(nw.Float64)
    if dtype.is_integer():
        return value.cast(nw.Float64)
    value = value.cast(nw.Float64)
    return nw.when(~value.is_nan()).then(value)


def truth_of(name: str, dtype: Any) -> nw.Expr:
    """The column as true and false, null where it is absent."""
    value = nw.col(name)
    if dtype == nw.String:
        text = value.str.strip_chars().str.to_lowercase()
        return nw.when(text != "").then(text.is_in([*c.TRUE]))
    return value if dtype == nw.Boolean else value != 0


def _absent(column: Column, dtype: Any) -> nw.Expr:
    value = nw.col(column.name)
    if dtype == nw.String and column.required and column.kind in ("id", "text"):
        return value.is_null()
    if dtype == nw.String:
        return value.is_null() | (value.str.strip_chars() == "")
    return number_of(column.name, dtype).is_null() if dtype.is_float() else value.is_null()


def is_bad(column: Column, dtype: Any) -> nw.Expr:
    """True where `complaint` has something to say of the value."""
    bad = _bad_value(column, dtype).fill_null(True)
    if column.required and column.kind == "number":
        return bad  # What is absent is no number.
    absent = _absent(column, dtype).fill_null(True)
    return (absent | bad) if column.required else (~absent & bad)


def _bad_value(column: Column, dtype: Any) -> nw.Expr:
    value = nw.col(column.name)
    if column.kind == "number":
        # NaN is within no range, though some engines hold it for the largest number.
        number = number_of(column.name, dtype) if dtype == nw.String else value.cast(nw.Float64)
        inside = number <= (column.high if column.high is not None else float("inf"))
        inside = inside & (number >= (column.low if column.low is not None else float("-inf")))
        if column.besides is not None:
            inside = inside | (number == column.besides)
        # Text that is no number: comparing it gives null on some engines, false on others.
        return ~inside.fill_null(False)
    if column.kind in ("id", "text"):
        if dtype != nw.String:
            return value.is_null()
        # Blank and control characters by one pattern: a second pass over names costs seconds.
        wrong = c.EMPTY_OR_CONTROL if column.required else c.CONTROL.pattern
        return (value.str.len_chars() > column.max_length) | value.str.contains(wrong)
    if column.kind == "boolean" and dtype == nw.String:
        return ~value.str.strip_chars().str.to_lowercase().is_in([*c.TRUE, *c.FALSE])
    if column.kind == "date" and dtype == nw.String:
        return ~value.str.contains(c.DATE)
    return value.is_null()


def explain(
    frame: AnyFrame,
    contract: Mapping[str, Column],
    schema: Mapping[str, Any],
    most: int = EXAMINED,
) -> list[Rejection]:
    """Why each row marked `_bad` is bad, in the words that JSON requests get too."""
    there = frame.collect_schema().names()
    names = [*contract, *(name for name in ("_row", WRITTEN) if name in there)]
    rows = frame.filter(nw.col("_bad")).select(*names).head(most)
    collected = rows.collect(backend="polars") if isinstance(rows, nw.LazyFrame) else rows
    found = []
    for row in collected.iter_rows(named=True):
        number = row.get("_row")
        for name, column in contract.items():
            value = _plain(row[name], column, schema[name])
            if column.kind == "date" and value is None:
                value = _plain(row.get(WRITTEN), column, schema[name])
            reason = complaint(column, value, text_is_fine=True)
            if reason:
                row_number = None if number is None else int(number)
                found.append(Rejection(row_number, name, _shown(value), reason))
    return found


def _plain(value: Any, column: Column, dtype: Any) -> Any:
    value = value.as_py() if hasattr(value, "as_py") else value
    if isinstance(value, str) and not value.strip():
        return None if column.kind != "text" or not column.required else value
    if value is None or value != value:  # NaN, NaT
        return None
    if column.kind == "text" and not isinstance(value, str):
        return str(value)
    if column.kind == "boolean" and dtype.is_integer():
        return bool(value) if value in (0, 1) else value
    return value.item() if hasattr(value, "item") else value


def _shown(value: Any) -> Any:
    return value if not isinstance(value, str) or len(value) <= 100 else excerpt(value)


def _without_duplicates(frame: AnyFrame, identity: list[str]) -> tuple[AnyFrame, list[Rejection]]:
    counted = frame.group_by(*identity).agg(_n=nw.len()).filter(nw.col("_n") > 1)
    twice = counted.collect(backend="polars") if isinstance(counted, nw.LazyFrame) else counted
    if len(twice) == 0:
        return frame, []
    wanted = ["_row", *identity] if isinstance(frame, nw.DataFrame) else identity
    repeated = frame.join(counted.select(*identity), on=identity, how="semi").select(*wanted)
    repeated = repeated.head(EXAMINED)
    rows = repeated.collect(backend="polars") if isinstance(repeated, nw.LazyFrame) else repeated
    places: dict[Any, list[int | None]] = {}
    for row in rows.rows():
        values = [v.as_py() if hasattr(v, "as_py") else v for v in row]
        number = int(values.pop(0)) if "_row" in wanted else None
        places.setdefault(tuple(values), []).append(number)
    rejected = [
        Rejection(row, "product_id", identity_[0], duplicate_reason(identity_, numbers))
        for identity_, numbers in places.items()
        for row in numbers
    ]
    rejected.sort(key=lambda r: -1 if r.row is None else r.row)
    return frame.join(counted.select(*identity), on=identity, how="anti"), rejected


def refuse_mixed_currency(frame: AnyFrame, contract: Mapping[str, Column]) -> None:
    if "currency" in contract:
        given = frame.select("currency").filter(
            ~nw.col("currency").is_null(),
            nw.col("currency").cast(nw.String).str.strip_chars() != "",
        )
        ends = _row(given.select(low=nw.col("currency").min(), high=nw.col("currency").max()))
        refuse_currencies({ends["low"], ends["high"]})


def _repair(
    frame: AnyFrame, contract: Mapping[str, Column], schema: Mapping[str, Any]
) -> tuple[AnyFrame, dict[str, int]]:
    """What `cells.repaired` does to one value, as expressions; with counts."""
    mended: dict[str, nw.Expr] = {}
    changed: dict[str, nw.Expr] = {}
    for name, column in contract.items():
        if column.kind == "number" and schema[name] == nw.String:
            mended[name] = _mended(nw.col(name), _has_decimal_commas(frame, name))
            changed[name] = (mended[name] != nw.col(name).str.strip_chars()).fill_null(False)
        if column.kind == "text" and not column.required and schema[name] == nw.String:
            mended[name] = nw.col(name).str.replace_all(c.CONTROL.pattern, " ")
            changed[name] = (mended[name] != nw.col(name)).fill_null(False)
    marks = {f"_mended_{name}": mark for name, mark in changed.items()}
    frame = frame.with_columns(**marks, **mended) if mended else frame
    if "stock" in contract:
        dtype = schema["stock"]
        below = (number_of("stock", dtype) < 0).fill_null(False)
        frame = frame.with_columns(_oversold=nw.when(below).then(1).otherwise(0))
        nothing = nw.lit("0" if dtype == nw.String else 0).cast(dtype)
        oversold = nw.col("_oversold") == 1
        frame = frame.with_columns(
            stock=nw.when(oversold).then(nothing).otherwise(nw.col("stock")),
            _mended_stock=oversold | nw.col("_mended_stock") if "stock" in mended else oversold,
        )
    names = [name for name in contract if name in mended or name == "stock"]
    if not names:
        return frame, {}
    sums = {n: nw.when(nw.col(f"_mended_{n}")).then(1).otherwise(0).sum() for n in names}
    found = {n: int(count or 0) for n, count in _row(frame.select(**sums)).items()}
    frame = frame.drop(*(f"_mended_{n}" for n in names))
    return frame, {n: count for n, count in found.items() if count}


def _bare(text: nw.Expr) -> nw.Expr:
    bare = text.str.replace_all(c.SIGNS, "")
    without_blanks = bare.str.replace_all(c.INNER_BLANKS, "")
    return nw.when(bare.str.contains(c.GROUPED)).then(without_blanks).otherwise(bare)


def _has_decimal_commas(frame: AnyFrame, name: str) -> bool:
    bare = _bare(nw.col(name))
    comma = bare.str.contains(c.COMMA_DECIMALS) | bare.str.contains(c.POINT_THOUSANDS)
    comma = (comma & bare.str.contains(",", literal=True)).fill_null(False)
    return bool(_row(frame.select(n=nw.when(comma).then(1).otherwise(0).sum()))["n"])


def _mended(text: nw.Expr, decimal_comma: bool) -> nw.Expr:
    bare = _bare(text)
    without_commas = bare.str.replace_all(",", "", literal=True)
    point = bare.str.replace_all(".", "", literal=True).str.replace_all(",", ".", literal=True)
    comma = bare.str.replace_all(",", ".", literal=True)
    by_pattern = {
        c.COMMA_DECIMALS: comma, c.POINT_THOUSANDS: point, c.COMMA_THOUSANDS: without_commas
    }  # fmt: skip
    mended = bare
    for pattern, reading in by_pattern.items():
        mended = nw.when(bare.str.contains(pattern)).then(reading).otherwise(mended)
    if decimal_comma:
        unsure = nw.concat_str([text, nw.lit(c.AMBIGUITY)])
        mended = nw.when(bare.str.contains(c.AMBIGUOUS_POINT)).then(unsure).otherwise(mended)
    return mended


def _typed(frame: AnyFrame, contract: Mapping[str, Column], schema: Mapping[str, Any]) -> AnyFrame:
    """Text numbers become numbers, whole ones integers; truths become booleans."""
    texts = [n for n, col in contract.items() if col.kind == "number" and schema[n] == nw.String]
    if texts:
        frame = frame.with_columns(**{n: number_of(n, nw.String) for n in texts})
        # Beyond 2^53 a float holds no exact whole number: such a column stays as it is.
        fractions = {
            n: ((nw.col(n) != floor(nw.col(n))) | (nw.col(n).abs() > 2.0**53)).any() for n in texts
        }
        fraction = _row(frame.select(**fractions))
        whole = [n for n in texts if not fraction[n]]
        if whole:
            frame = frame.with_columns(**{n: nw.col(n).cast(nw.Int64) for n in whole})
    truths: dict[str, nw.Expr] = {}
    for name, column in contract.items():
        if column.kind == "boolean" and schema[name] != nw.Boolean:
            truths[name] = truth_of(name, schema[name])
        if column.kind == "text" and schema[name].is_numeric():
            truths[name] = nw.col(name).cast(nw.String)
    return frame.with_columns(**truths) if truths else frame
