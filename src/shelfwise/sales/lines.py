"""from_sales(): order lines opened, checked, and counted into products by the rules."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from shelfwise.cells import Rejection, refuse_currencies
from shelfwise.columns import LINES
from shelfwise.engines.failures import Stamp, failures, stamp, unchanged
from shelfwise.engines.frames import Engine
from shelfwise.errors import InputError, excerpt
from shelfwise.pipeline.aggregate import aggregate, marked, marks_of
from shelfwise.pipeline.check import refuse_kinds
from shelfwise.pipeline.dates import Order, days
from shelfwise.quality import EXAMPLES, OUTSIDE, Finding, Quality
from shelfwise.rules import Mark, Rules
from shelfwise.sales.products import identified, left_out, named, to_score, with_last_price
from shelfwise.sales.reading import (
    LINE,
    collected,
    contract_of,
    held,
    opened,
    readable,
    refuse_above,
)
from shelfwise.sales.rollup import BY

MAX_REJECTED = 0.01
MOST_DAYS = 36_600
DOUBTFUL = 0.25
"""A default that leaves out more lines than this share is asked about, not believed."""

Day = dt.date | str
Period = tuple[Day | None, Day | None] | None


@dataclass(frozen=True, slots=True)
class Sold:
    """Products counted from order lines; `analyze` takes it like a frame.

    `products` has a row for each product that can be scored, and for each one of the
    catalogue that was never sold. `set_aside` has those that were sold but cannot be
    scored (product_id, units_sold, net_revenue, reason); `quality` says what the rules
    touched; `period` is the first and last day. The products are a Polars frame; where
    Spark counted more than 300,000 of them they stay there, in a frame of Spark.
    """

    products: Any
    quality: Quality
    period: tuple[dt.date, dt.date]
    set_aside: pl.DataFrame
    by: str = "product_id"
    lines: Any = field(default=None, repr=False)
    """The lines that count, where they are: product_id, date, quantity, revenue, customer."""
    read_from: tuple[Any, Stamp] = field(default=(None, {}), repr=False)
    """The place that the lines were read from, and its files as they were then."""
    _keeper: Any = field(default=None, repr=False)

    @property
    def not_scored(self) -> int:
        """How many products were sold and have nothing left to score."""
        found = [f.products for f in self.quality.findings if f.name == "nothing_left"]
        return sum(found)


def from_sales(
    lines: Any,
    *,
    catalog: Any = None,
    stock: Any = None,
    rules: Rules | None = None,
    period: Period = None,
    columns: Mapping[str, str] | None = None,
    dates: Order | None = None,
    max_rejected: float = MAX_REJECTED,
    by: str = "product_id",
    find_duplicates: bool = False,
    last_price: bool = False,
    engine: Engine | None = None,
) -> Sold:
    """Count order lines into the products that `analyze` scores.

    Units and revenue are net of returns and credit notes. A product's price is its net
    revenue over its net units, or the catalogue's where it was never sold.

    Args:
        lines: A frame, a list of dicts, or the path of a file, a folder, or a pattern of
            files of one kind. One row an order line: product_id, date, quantity, and
            unit_price or line_total; see `shelfwise.columns.LINES`.
        catalog: Products with their name, and price, unit_cost, category and so on.
        stock: product_id and stock; several rows of a product add up.
        rules: What counts; `Rules()` by default, `Rules.none()` counts every line.
        period: (first day, last day), either of them None; lines of other days are
            left out.
        columns: Your names for ours, {"Artikel": "product_id"}.
        dates: "day-first" or "month-first", where the dates themselves do not tell.
        max_rejected: The share of lines that may be unreadable before all is refused.
        by: What a row is: "product_id"; "location", a product in a location; or what
            products are added up to: "parent_id", "brand", "category", "supplier".
        find_duplicates: Report lines that stand more than once; they count all the same,
            since two equal sales are no error. It takes another pass.
        last_price: Keep beside the price what was paid for a unit on the last day that
            the product was sold (the most, where it differed). It takes another pass.
        engine: "spark" counts there, where a text may also name a table. Else a path is
            counted by DuckDB, a frame by what holds it.

    Raises:
        InputError: Columns are missing, or dates cannot be told apart.
        RejectedRowsError: More lines than `max_rejected` cannot be read.
        EngineError: DuckDB or Spark could not finish.

    Example:
        >>> sold = from_sales([
        ...     {"product_id": 7, "date": "2026-01-05", "quantity": 3, "unit_price": 20.0},
        ...     {"product_id": 7, "date": "2026-01-09", "quantity": -1, "unit_price": 20.0},
        ... ], catalog=[{"product_id": 7, "name": "Lamp"}])
        >>> sold.products.select("product_id", "units_sold", "net_revenue", "price").row(0)
        ('7', 2.0, 40.0, 20.0)
        >>> sold.quality["returned"].lines
        1
    """
    with failures(lines), unchanged(lines):
        before = stamp(lines)
        frame = opened(lines, columns, LINES, engine)
        found = _counted(frame, catalog, stock, rules or Rules(), period, dates, max_rejected, by,
            find_duplicates, last_price,
        )  # fmt: skip
        return replace(found, read_from=(lines if before else None, before))


def _counted(
    frame: Any,
    catalog: Any,
    stock: Any,
    rules: Rules,
    period: Period,
    dates: Order | None,
    max_rejected: float,
    by: str,
    find_duplicates: bool,
    last_price: bool,
) -> Sold:
    """What `from_sales` does with lines that are open."""
    names = frame.collect_schema().names()
    _refuse_unknown(by, names)
    contract = contract_of(names)
    refuse_kinds(contract, frame.collect_schema())
    frame = days(frame, "date", dates)
    marks = [*_outside(period), *marks_of(names, rules)]
    found = readable(frame, contract, [mark for mark in marks if mark.of == "line"], rules)
    total, unreadable, problems = found.total, found.unreadable, found.problems
    refuse_above(max_rejected, total, unreadable, problems)
    of_lines = found.marks
    marks = [mark for mark in marks if mark.of == "product" or mark in of_lines]
    frame = marked(found.lines, rules, of_lines)
    keys = ["product_id"]
    if by == "location":
        keys.append("location")
        # What is sold nowhere in particular is a place of its own: nulls would not join.
        frame = frame.with_columns(location=nw.col("location").fill_null(""))
    counted, keeper = held(aggregate(frame, of_lines, keys))
    counted, more, unnamed = identified(counted)
    unreadable, problems = unreadable + more, [*problems, *unnamed]
    refuse_above(max_rejected, total, unreadable, problems)
    for mark in marks:
        if mark.of == "product":
            counted = left_out(counted, mark, rules, of_lines)
    if "currency" in names:
        ends = counted.filter(nw.col("lines") > 0).select(
            low=nw.col("_other_currency").min(), high=nw.col("currency").max()
        )
        refuse_currencies(set(collected(ends).row(0)))
    quality = _quality(frame, counted, marks, total, unreadable, problems)
    _doubt(quality, rules)
    if quality.first is None or quality.last is None:
        raise InputError("No line counts.", f"All {total:,} were left out:\n{quality}")
    counted = named(frame, counted)
    if last_price:
        counted = with_last_price(frame, counted)
    products, set_aside, findings = to_score(counted, catalog, stock, by)
    if find_duplicates:
        columns = [name for name in LINE if name in names]
        findings += _duplicates(frame.select(*columns, _money=nw.col("revenue")), columns)
    first, last = first_and_last(period)
    first = first or dt.date.fromisoformat(quality.first)
    last = last or dt.date.fromisoformat(quality.last)
    refuse_centuries(first, last)
    return Sold(
        products.to_native(),
        replace(quality, findings=(*quality.findings, *findings)),
        (first, last),
        set_aside,
        by,
        _that_count(frame),
        _keeper=keeper,
    )


def _that_count(frame: Any) -> Any:
    """The lines that count; nothing is computed before somebody asks."""
    lines = frame.lazy() if isinstance(frame, nw.DataFrame) else frame
    names = lines.collect_schema().names()
    columns = [n for n in ("product_id", "date", "quantity", "revenue", "customer") if n in names]
    text = nw.col("product_id").cast(nw.String).str.strip_chars()
    lines = lines.filter(nw.col("_counts") == 1).select(*columns)
    return lines.with_columns(product_id=text)


def _duplicates(lines: Any, names: Sequence[str]) -> list[Finding]:
    """Lines that agree in every column of these with an earlier one; `_money` is their revenue."""
    repeated = lines.group_by(*names).agg(_n=nw.len(), _money=nw.col("_money").max())
    repeated = repeated.filter(nw.col("_n") > 1).with_columns(_more=nw.col("_n") - 1)
    repeated = repeated.with_columns(
        _units=nw.col("quantity") * nw.col("_more"), _money=nw.col("_money") * nw.col("_more")
    )
    more, products, units, revenue = collected(
        repeated.select(
            more=nw.col("_more").sum(), products=nw.col("product_id").n_unique(),
            units=nw.col("_units").sum(), revenue=nw.col("_money").sum(),
        )
    ).row(0)  # fmt: skip
    if not more:
        return []
    some = repeated.sort("_n", *names[:2], descending=[True, False, False]).head(EXAMPLES)
    examples = collected(some.rename({"_n": "times"}).drop("_more", "_units", "_money"))
    return [
        Finding("duplicate", "counted", "Lines that stand more than once, all but the first.",
                int(more), int(products), float(units), float(revenue),
                examples=tuple(map(_plain, examples.rows(named=True))))
    ]  # fmt: skip


def _refuse_unknown(by: str, names: Sequence[str]) -> None:
    if by not in BY:
        raise InputError(f"by is {excerpt(by)}.", f"It is one of {', '.join(BY)}.")
    if by == "location" and by not in names:
        raise InputError("The lines have no location.", "Map a column to it, or leave `by` out.")


def _doubt(quality: Quality, rules: Rules) -> None:
    """InputError where a default takes a good part of the lines for something else.

    Order numbers such as A1001 may be bookkeeping in one shop and all orders of another.
    """
    for found in quality.findings:
        setting = {"adjustment": "adjustments", "not_a_product": "not_products"}.get(found.name)
        default = setting is not None and getattr(rules, setting) == getattr(Rules(), setting)
        if setting and default and found.lines > DOUBTFUL * quality.lines:
            raise InputError(
                f"{found.lines / quality.lines:.0%} of the lines would be left out as "
                f"{found.name.replace('_', ' ')}, such as {found.examples[0]}.",
                f"Say what they are: set the rule {setting} (Rules({setting}=...), --rules).",
            )


def _outside(period: Period) -> list[Mark]:
    first, last = first_and_last(period)
    if first is None and last is None:
        return []
    before = nw.col("date") < first if first else nw.lit(False)
    after = nw.col("date") > last if last else nw.lit(False)
    when = " or ".join(
        [*([f"before {first}"] if first else []), *([f"after {last}"] if last else [])]
    )
    return [
        Mark(OUTSIDE, "left out", f"Sold {when}.", frozenset({"date"}),
             lambda _: before | after)
    ]  # fmt: skip


def refuse_centuries(first: dt.date, last: dt.date) -> None:
    """InputError where one wrong date would make a history of centuries."""
    if (last - first).days >= MOST_DAYS:
        raise InputError(
            f"The rows run from {first} to {last}: more than a hundred years.",
            "Mend the date, or give the period (--from, --to).",
        )


def first_and_last(period: Period) -> tuple[dt.date | None, dt.date | None]:
    """The ends of a period, None where it is open."""
    try:
        first, last = (
            day if day is None or type(day) is dt.date else dt.date.fromisoformat(day)  # type: ignore[arg-type]
            for day in period or (None, None)
        )
    except (ValueError, TypeError) as error:
        raise InputError(
            f"The period {excerpt(period)} cannot be read.", 'Give ("2026-01-01", "2026-03-31").'
        ) from error
    if first and last and first > last:
        raise InputError(f"The period ends on {last}, before it begins on {first}.")
    return first, last


def _quality(
    frame: Any,
    counted: Any,
    marks: Sequence[Mark],
    total: int,
    unreadable: int,
    problems: Sequence[Rejection],
) -> Quality:
    """The report from the sums of the products, and some lines of each kind to look at."""
    schema = counted.collect_schema()
    totals = {n: nw.col(n).sum() for n, dtype in schema.items() if dtype.is_numeric()}
    totals |= {"first_sale": nw.col("first_sale").min(), "last_sale": nw.col("last_sale").max()}
    for mark in marks:
        on = nw.when(nw.col(f"_lines_{mark.name}") > 0).then(1).otherwise(0)
        totals[f"_products_{mark.name}"] = on.sum()
    sums = collected(counted.select(**totals)).row(0, named=True)
    findings = []
    if unreadable:
        examples = tuple(
            {"line": p.row, "column": p.column, "value": p.value, "reason": p.reason}
            for p in problems[:EXAMPLES]
        )
        findings.append(
            Finding("unreadable", "left out", "Lines that break the contract.", unreadable,
                    examples=examples)
        )  # fmt: skip
    shown = [name for name in LINE if name in frame.collect_schema().names()]
    for mark in marks:
        lines = int(sums[f"_lines_{mark.name}"])
        if lines:
            if mark.of == "line":
                one_of = nw.col(f"_is_{mark.name}") == 1
            else:
                by = f"_lines_{mark.name}"
                most = counted.filter(nw.col(by) > 0).select(by, "product_id")
                most = most.sort(by, "product_id", descending=[True, False]).head(EXAMPLES)
                ids = collected(most)["product_id"].to_list()
                text = nw.col("product_id").cast(nw.String).str.strip_chars()
                one_of = text.is_in(ids) & (nw.col("_counts") == 1)
            some = frame.filter(one_of).select(*shown).head(EXAMPLES)
            findings.append(
                Finding(
                    mark.name,
                    mark.action,
                    mark.meaning,
                    lines,
                    products=int(sums[f"_products_{mark.name}"]),
                    units=float(sums[f"_units_{mark.name}"]),
                    revenue=float(sums[f"_revenue_{mark.name}"]),
                    examples=tuple(map(_plain, collected(some).rows(named=True))),
                )
            )
    in_all = int(sums["lines"])
    first, last = sums["first_sale"], sums["last_sale"]
    return Quality(
        lines=total,
        counted=in_all,
        left_out=total - unreadable - in_all,
        unreadable=unreadable,
        first=None if first is None else str(first),
        last=None if last is None else str(last),
        net_units=float(sums["units_sold"]),
        net_revenue=float(sums["net_revenue"]),
        gross_units=float(sums["gross_units"]),
        gross_revenue=float(sums["gross_revenue"]),
        findings=tuple(findings),
    )


def _plain(line: dict[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, dt.date) else v for k, v in line.items()}
