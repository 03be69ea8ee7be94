"""Dates written as text: in one way for a whole column, declared or proved, never guessed."""

from typing import Any, Literal

import narwhals.stable.v2 as nw

from shelfwise.cells import DATE
from shelfwise.errors import InputError

Order = Literal["day-first", "month-first"]
WRITTEN = "_written"
"""What the column was before, where it was text."""
_PARTS = "^[0-9]{1,2}[-./][0-9]{1,2}[-./][0-9]{4}$"


def days(frame: Any, name: str, declared: Order | None = None) -> Any:
    """The frame with the column as dates; text that is no date becomes null.

    2026-01-31 is understood as it stands. 31.01.2026 and 01/31/2026 are told apart by the
    column itself: some first number above 12 proves day-first, some second one
    month-first. Raises InputError where neither or both are proved and nothing is
    declared. A time of day is cut off. The text stays beside it, in `WRITTEN`.
    """
    dtype = frame.collect_schema()[name]
    if dtype != nw.String:
        day = nw.col(name)
        if isinstance(frame, nw.DataFrame) and getattr(dtype, "time_zone", None):
            day = day.dt.replace_time_zone(None)  # The day that the clock there showed.
        return frame.with_columns(**{name: day.cast(nw.Date)})
    # What follows the day: a time, with T or a blank before it.
    day = nw.col(name).str.strip_chars().str.replace_all("[T ].*$", "")
    frame = frame.with_columns(_day=day, **{WRITTEN: nw.col(name)})
    three = nw.col("_day").str.contains(_PARTS).fill_null(False)
    first = nw.col("_day").str.replace_all("[-./].*$", "")
    second = nw.col("_day").str.replace_all("^[0-9]{1,2}[-./]", "").str.replace_all("[-./].*$", "")
    year = nw.col("_day").str.replace_all("^.*[-./]", "")
    parts = frame.with_columns(
        _first=nw.when(three).then(first), _second=nw.when(three).then(second), _year=year
    )
    largest = parts.select(
        first=nw.col("_first").cast(nw.Int64).max(), second=nw.col("_second").cast(nw.Int64).max()
    )
    found = largest.collect(backend="polars") if isinstance(largest, nw.LazyFrame) else largest
    order = _proved(name, *found.rows()[0], declared=declared)
    if order is None:
        iso = nw.col("_day")
    else:
        month, day_of = ("_second", "_first") if order == "day-first" else ("_first", "_second")
        written = nw.concat_str(
            [nw.col("_year"), nw.col(month).str.zfill(2), nw.col(day_of).str.zfill(2)],
            separator="-",
        )
        iso = nw.when(three).then(written).otherwise(nw.col("_day"))
    parts = parts.with_columns(_iso=iso)
    fine = nw.col("_iso").str.contains(DATE).fill_null(False)
    parts = parts.with_columns(_iso=nw.when(fine).then(nw.col("_iso")))
    dated = parts.with_columns(**{name: nw.col("_iso").str.to_date(format="%Y-%m-%d")})
    return dated.drop("_day", "_first", "_second", "_year", "_iso")


def _proved(name: str, first: Any, second: Any, *, declared: Order | None) -> Order | None:
    """The order of day and month; None where no date has three such parts."""
    first, second = (getattr(v, "as_py", lambda v=v: v)() for v in (first, second))
    if first is None or second is None:
        return None
    proofs: list[Order] = []
    if first > 12:
        proofs.append("day-first")
    if second > 12:
        proofs.append("month-first")
    if len(proofs) == 2:
        raise InputError(
            f"Column {name} has dates with the day first and dates with the month first.",
            "Write all of them as 2026-01-31.",
        )
    if declared and proofs and proofs[0] != declared:
        raise InputError(
            f"Column {name} is declared {declared}, but its dates are {proofs[0]}: "
            f"a number above 12 stands {'first' if proofs[0] == 'day-first' else 'second'}.",
            "Declare it as it is, or leave the declaration out.",
        )
    if not (proofs or declared):
        raise InputError(
            f"Nobody can tell day and month apart in column {name}: no number is above 12.",
            'Declare them: dates="day-first" or "month-first", --dates day-first.',
        )
    return declared or proofs[0]
