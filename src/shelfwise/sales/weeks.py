"""weekly(): units and revenue of each product, week by week, summed where the lines are.

A week runs from Monday to Sunday, and a week without a row sold nothing. Weeks at the ends
that the lines do not cover whole are left out, so that they do not look like a fall.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.columns import COLUMN, MONEY, UNITS, Column, plain
from shelfwise.engines import frames
from shelfwise.engines.failures import failures, refuse_changed
from shelfwise.engines.frames import Engine
from shelfwise.errors import InputError, NoWeekError
from shelfwise.pipeline.check import explain, is_bad, number_of, refuse_kinds, truth_of
from shelfwise.pipeline.dates import Order, days
from shelfwise.sales.lines import (
    MAX_REJECTED,
    Period,
    Sold,
    first_and_last,
    from_sales,
    refuse_centuries,
)
from shelfwise.sales.masks import masked
from shelfwise.sales.reading import LINE, collected, named_columns, opened

PART = 20_000
"""Products whose weeks are in memory together, where each is looked at alone."""
USUAL = 0.5
"""A day of the week is one of trade where something was sold on it in this share of the weeks."""

IN_WEEKS = (
    LINE["product_id"],
    Column("week", "date", "Any day of the week.", "everything", required=True),
    Column("units", "number", "Units sold in the week.", "everything", required=True, low=0,
           high=UNITS, aliases=("units_sold", "quantity", "sales")),
    Column("revenue", "number", "What they brought in.", "prices", low=-MONEY * UNITS,
           high=MONEY * UNITS, aliases=("net_revenue",)),
    LINE["name"],
    COLUMN["category"],
    Column("in_stock", "boolean", "Whether it could be bought all week.", "masks"),
)  # fmt: skip
"""The contract of rows that are weeks already."""


@dataclass(frozen=True, slots=True)
class Weekly:
    """Units sold a week, by product.

    `frame` has product_id, week (0 for the one that begins on `first`, a Monday), units
    (net of returns, at least 0), revenue, and where the customers are known `others`: the
    units without the one customer whose purchases changed most. It is a lazy Narwhals
    frame over sums that are in memory, or on the engine that made them. `products` has
    product_id, name and category of each product, in order of its id; `masked` the weeks in
    which a product could not be bought.
    """

    frame: Any
    first: dt.date
    weeks: int
    products: pl.DataFrame
    masked: pl.DataFrame | None = None
    _keeper: Any = None

    @property
    def in_memory(self) -> bool:
        """Whether the sums are in memory, not on an engine."""
        return bool(self.frame.implementation.is_polars())

    @property
    def values(self) -> list[str]:
        """What is summed up by week: units, revenue, and others where customers are known."""
        return [n for n in self.frame.collect_schema().names() if n not in ("product_id", "week")]

    def parts(self) -> list[list[str]]:
        """The ids in order, in parts whose weeks may be in memory together; one at least."""
        ids = self.products["product_id"].to_list()
        return [ids[at : at + PART] for at in range(0, len(ids), PART)] or [[]]

    def matrix(
        self, ids: list[str] | None = None, value: str = "units"
    ) -> tuple[list[str], NDArray[np.float64]]:
        """The ids in order, and a row of `weeks` numbers for each; 0 where nothing was sold."""
        ids = self.products["product_id"].to_list() if ids is None else ids
        places = pl.DataFrame({"product_id": ids}, schema={"product_id": pl.String})
        rows = self.frame
        if len(ids) < self.products.height:
            rows = rows.join(frames.near(places, rows), on="product_id", how="semi")
        found = collected(rows.select("product_id", "week", value))
        found = found.join(places.with_row_index("_place"), on="product_id")
        values = np.zeros((len(ids), self.weeks))
        values[found["_place"].to_numpy(), found["week"].to_numpy()] = found[value].to_numpy()
        return ids, values

    def mask(self, ids: list[str]) -> NDArray[np.bool_]:
        """Which weeks of which of these products were out of stock."""
        hidden = np.zeros((len(ids), self.weeks), dtype=bool)
        if self.masked is not None:
            places = pl.DataFrame({"product_id": ids}, schema={"product_id": pl.String})
            found = self.masked.join(places.with_row_index("_place"), on="product_id")
            hidden[found["_place"].to_numpy(), found["week"].to_numpy()] = True
        return hidden

    def monday(self, week: int) -> dt.date:
        """The first day of a week."""
        return self.first + dt.timedelta(weeks=week)


def weekly(source: Any, *, out_of_stock: Any = None, **options: Any) -> Weekly:
    """Sum order lines up by product and week, net of returns.

    Args:
        source: What `from_sales` counted or takes, or rows that are weeks already
            (product_id, week, units, and revenue, name, category, in_stock if known).
        out_of_stock: product_id and date of days on which a product could not be bought;
            a week with such a day is masked: nobody knows what it would have sold.
        options: Of `from_sales`, for order lines: catalog, columns, rules, period, ...

    Returns:
        Weekly; its frame stays on DuckDB or Spark where the lines are there.

    Raises:
        InputError: There is no whole week, or columns are missing.

    Example:
        >>> sold = weekly([
        ...     {"product_id": 7, "date": day, "quantity": 2, "unit_price": 5.0}
        ...     for day in ("2026-01-05", "2026-01-11", "2026-01-14", "2026-01-18")
        ... ])
        >>> sold.first, sold.weeks
        (datetime.date(2026, 1, 5), 2)
        >>> sold.matrix()[1]
        array([[4., 4.]])
    """
    if options and isinstance(source, Weekly | Sold):
        raise InputError("The lines are counted already.", "Give the options where they were.")
    if isinstance(source, Weekly):
        return masked(source, out_of_stock)
    if not isinstance(source, Sold):
        with failures(source):
            names = _names(source, options.get("engine"))
            if "week" in names and "date" not in names:
                return masked(_of_weeks(source, **options), out_of_stock)
        source = from_sales(source, **options)
    with failures(source.products):
        refuse_changed(*source.read_from)
        found = masked(_summed(source), out_of_stock)
        refuse_changed(*source.read_from)
        return found


def _names(source: Any, engine: Any) -> list[str]:
    """The names of the columns, plain, before anything is read."""
    if isinstance(source, str | Path):
        return [plain(name) for name in named_columns(source, engine)]
    if isinstance(source, Sequence):
        first = source[0] if source else None
        return [plain(str(name)) for name in first] if isinstance(first, Mapping) else []
    if isinstance(source, pl.LazyFrame) or hasattr(source, "collect_schema"):
        return [plain(name) for name in source.collect_schema()]
    found: Any = getattr(source, "column_names", None) or getattr(source, "columns", ())
    return [plain(str(name)) for name in found]


def _summed(sold: Sold) -> Weekly:
    if sold.by != "product_id" or sold.lines is None:
        raise InputError(
            f"The lines were added up by {sold.by}.", "Weeks are those of products: leave out by."
        )
    products = collected(nw.from_native(sold.products))
    scored = frames.near(products.select("product_id"), sold.lines)
    lines = sold.lines.join(scored, on="product_id", how="semi")
    daily = collected(lines.group_by("date").agg(n=nw.len())).sort("date")
    first, weeks = whole_weeks(daily["date"].to_list(), sold.period)
    week = (day_number("date") - first.toordinal()) // 7
    inside = lines.with_columns(week=week).filter(nw.col("week") >= 0, nw.col("week") < weeks)
    sums = {"units": nw.col("quantity").sum(), "revenue": nw.col("revenue").sum()}
    keeper = keeper_of(inside)
    if "customer" in inside.collect_schema().names():
        inside = _without_one(inside, weeks, keeper)
        sums["others"] = nw.col("_others").sum()
    frame = inside.group_by("product_id", "week").agg(**sums)
    # A week with more returned than sold had no demand, not a negative one.
    floored = {n: nw.when(nw.col(n) > 0).then(nw.col(n)).otherwise(0.0) for n in sums}
    frame = frame.with_columns(**{n: floored[n] for n in ("units", "others") if n in sums})
    frame = keeper.compute_once(frame)
    return Weekly(frame, first, weeks, _about(products), None, keeper)


def _without_one(lines: Any, weeks: int, keeper: Any) -> Any:
    """The lines with `_others`: their quantity, 0 for the customer who changed most.

    How much a customer changed: the sum of units x (week - the middle week), in size.
    """
    named = lines.with_columns(
        _who=nw.col("customer").cast(nw.String).fill_null(""),
        _pull=nw.col("quantity") * (nw.col("week") - (weeks - 1) / 2),
    )
    pulls = named.group_by("product_id", "_who").agg(_pull=nw.col("_pull").sum().abs())
    pulls = keeper.compute_once(pulls.filter(nw.col("_who") != ""))
    most = pulls.group_by("product_id").agg(_most=nw.col("_pull").max())
    one = pulls.join(most, on="product_id").filter(nw.col("_pull") == nw.col("_most"))
    one = one.group_by("product_id").agg(_one=nw.col("_who").min())
    named = named.join(one, on="product_id", how="left")
    same = (nw.col("_who") == nw.col("_one")).fill_null(False)
    return named.with_columns(_others=nw.when(same).then(0.0).otherwise(nw.col("quantity")))


class _Memory:
    """What keeps sums in memory; engines have keepers of their own."""

    def compute_once(self, frame: Any) -> Any:
        """The rows, computed now."""
        return nw.from_native(collected(frame).lazy())


def keeper_of(frame: Any) -> Any:
    """What computes sums once, where they are: each later pass reads them, not the lines.

    On Spark they are kept as long as it lives.
    """
    lazy = isinstance(frame, nw.LazyFrame) and not frame.implementation.is_polars()
    return frames.keeper(frame) if lazy else _Memory()


def _about(products: pl.DataFrame) -> pl.DataFrame:
    """product_id, name and category of each product, in order of its id."""
    told = pl.col("name", "category").cast(pl.String).str.strip_chars().replace("", None)
    texts = pl.DataFrame(schema={"name": pl.String, "category": pl.String})
    products = pl.concat([products, texts], how="diagonal_relaxed").with_columns(told)
    return products.select(
        pl.col("product_id").cast(pl.String),
        pl.col("name").fill_null(pl.col("product_id").cast(pl.String)),
        "category",
    ).sort("product_id")


def day_number(name: str) -> Any:
    """A date as days since the first day of year 1 (`date.toordinal`), on every engine."""
    past = nw.col(name).dt.year().cast(nw.Int64) - 1
    of_year = nw.col(name).dt.ordinal_day().cast(nw.Int64)
    return past * 365 + past // 4 - past // 100 + past // 400 + of_year


def whole_weeks(traded: list[dt.date], period: tuple[dt.date, dt.date]) -> tuple[dt.date, int]:
    """The first Monday, and how many weeks from there the days cover whole.

    A week at an end is whole if every day of the week on which the shop usually trades
    lies within the period: a shop that is closed on Sundays has a whole week by Saturday.

    >>> days = [dt.date(2026, 1, 7) + dt.timedelta(n) for n in range(30)]
    >>> whole_weeks(days, (days[0], days[-1]))
    (datetime.date(2026, 1, 12), 3)
    """
    first, last = period
    monday = first - dt.timedelta(first.weekday())
    count = (last - monday).days // 7 + 1
    seen = np.zeros((count, 7), dtype=bool)
    for day in traded:
        place = (day - monday).days
        if 0 <= place < 7 * count:
            seen[place // 7, place % 7] = True
    usual = np.flatnonzero(seen.mean(axis=0) >= USUAL) if count else np.arange(0)
    opens, closes = (int(usual[0]), int(usual[-1])) if usual.size else (0, 6)
    if first.weekday() > opens:
        monday += dt.timedelta(weeks=1)
    ends = last - dt.timedelta(last.weekday()) + dt.timedelta(weeks=1)
    if last.weekday() < closes:
        ends -= dt.timedelta(weeks=1)
    weeks = (ends - monday).days // 7
    if weeks < 1:
        raise NoWeekError(
            f"The lines run from {first} to {last}: there is no whole week in that.",
            "Weeks run from Monday to Sunday; give more lines.",
        )
    return monday, weeks


def _of_weeks(
    source: Any,
    *,
    columns: Mapping[str, str] | None = None,
    engine: Engine | None = None,
    period: Period = None,
    dates: Order | None = None,
    max_rejected: float = MAX_REJECTED,
    **of_lines: Any,
) -> Weekly:
    """Rows that are weeks already, checked; several rows of a product and week add up."""
    meant = [name for name, given in of_lines.items() if given is not None]
    meant += ["max_rejected"] if max_rejected != MAX_REJECTED else []
    if meant:
        raise InputError(
            f"Rows of weeks take no {meant[0]}: that is for order lines.",
            "Leave it out; name and category may stand in the rows, and each row must be good.",
        )
    frame = opened(source, columns, IN_WEEKS, engine)
    names = frame.collect_schema().names()
    missing = [column.name for column in IN_WEEKS if column.required and column.name not in names]
    if missing:
        raise InputError(
            f"Missing column: {', '.join(missing)}.", "Rows of weeks have product_id, week, units."
        )
    frame = _checked(frame, {c.name: c for c in IN_WEEKS if c.name in names}, dates)
    first_day, last_day = first_and_last(period)
    if first_day:
        frame = frame.filter(nw.col("week") >= first_day)
    if last_day:
        frame = frame.filter(nw.col("week") <= last_day)
    ends = collected(frame.select(low=nw.col("week").min(), high=nw.col("week").max())).row(0)
    if ends[0] is None:
        raise InputError("There are no weeks.", "Give at least one row, and a period that has one.")
    refuse_centuries(*ends)
    first = ends[0] - dt.timedelta(ends[0].weekday())
    weeks = (ends[1] - first).days // 7 + 1
    frame = frame.with_columns(week=(day_number("week") - first.toordinal()) // 7)
    sums = [nw.col(name).sum() for name in ("units", "revenue") if name in names]
    summed = frame.group_by("product_id", "week").agg(*sums)
    texts = [n for n in ("name", "category") if n in names]
    about = collected(frame.group_by("product_id").agg(*(nw.col(n).max() for n in texts)))
    masked = None
    if "in_stock" in names:
        out = frame.filter(~nw.col("in_stock")).select("product_id", "week")
        masked = collected(out).unique()
    keeper = keeper_of(summed)
    return Weekly(keeper.compute_once(summed), first, weeks, _about(about), masked, keeper)


def _checked(frame: Any, contract: dict[str, Column], dates: Order | None) -> Any:
    """Rows of weeks with numbers, dates and truths; InputError names the first bad one."""
    if isinstance(frame, nw.DataFrame):
        frame = frame.with_row_index("_row")
    refuse_kinds(contract, frame.collect_schema())
    frame = days(frame, "week", dates)
    schema = frame.collect_schema()
    judged = {n: column for n, column in contract.items() if column.kind != "text"}
    bad = nw.lit(False)
    for name, column in judged.items():
        bad = bad | is_bad(column, schema[name])
    some = explain(frame.with_columns(_bad=bad), judged, schema, most=1)
    if some:
        place = "A row" if some[0].row is None else f"Row {some[0].row + 1}"
        raise InputError(
            f"{place} cannot be read: {some[0].reason}.",
            "Each has a product, the date of a day in its week, and units from 0 up.",
        )
    text = nw.col("product_id").cast(nw.String).str.strip_chars()
    typed: dict[str, Any] = {
        n: number_of(n, schema[n]) for n in ("units", "revenue") if n in contract
    }
    if "in_stock" in contract:
        typed["in_stock"] = truth_of("in_stock", schema["in_stock"])
    return frame.with_columns(product_id=text, **typed)
