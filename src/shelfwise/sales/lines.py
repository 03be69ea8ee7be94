"""from_sales(): order lines opened, checked, and counted into products by the rules."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from shelfwise.cells import Rejection, refuse_currencies
from shelfwise.columns import LINES
from shelfwise.errors import InputError, excerpt
from shelfwise.pipeline.aggregate import aggregate, marked, marks_of, valued
from shelfwise.pipeline.dates import Order, days
from shelfwise.quality import EXAMPLES, Finding, Quality
from shelfwise.rules import Mark, Rules
from shelfwise.sales.products import identified, left_out, named, to_score
from shelfwise.sales.reading import (
    LINE,
    collected,
    contract_of,
    opened,
    readable,
    refuse_above,
)

MAX_REJECTED = 0.01
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
    touched; `period` is the first and last day.
    """

    products: pl.DataFrame
    quality: Quality
    period: tuple[dt.date, dt.date]
    set_aside: pl.DataFrame


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

    Raises:
        InputError: Columns are missing, or dates cannot be told apart.
        RejectedRowsError: More lines than `max_rejected` cannot be read.

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
    rules = rules or Rules()
    frame = opened(lines, columns, LINES)
    names = frame.collect_schema().names()
    contract = contract_of(names)
    frame = days(frame, "date", dates)
    frame, total, unreadable, problems = readable(frame, contract)
    refuse_above(max_rejected, total, unreadable, problems)
    marks = [*_outside(period), *marks_of(names, rules)]
    of_lines = [mark for mark in marks if mark.of == "line"]
    frame = marked(valued(frame), rules, of_lines)
    counted = collected(aggregate(frame, of_lines, ["product_id"]))
    counted, more, unnamed = identified(counted)
    unreadable, problems = unreadable + more, [*problems, *unnamed]
    refuse_above(max_rejected, total, unreadable, problems)
    for mark in marks:
        if mark.of == "product":
            counted = left_out(counted, mark, rules, of_lines)
    if "currency" in names:
        refuse_currencies({*counted["currency"], *counted["_other_currency"]})
    quality = _quality(frame, counted, marks, total, unreadable, problems)
    _doubt(quality, rules)
    if quality.first is None or quality.last is None:
        raise InputError("No line counts.", f"All {total:,} were left out:\n{quality}")
    counted = named(frame, counted)
    products, set_aside, findings = to_score(counted, catalog, stock)
    first, last = _period(period)
    first = first or dt.date.fromisoformat(quality.first)
    last = last or dt.date.fromisoformat(quality.last)
    return Sold(
        products,
        replace(quality, findings=(*quality.findings, *findings)),
        (first, last),
        set_aside,
    )


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
    first, last = _period(period)
    if first is None and last is None:
        return []
    before = nw.col("date") < first if first else nw.lit(False)
    after = nw.col("date") > last if last else nw.lit(False)
    when = " or ".join(
        [*([f"before {first}"] if first else []), *([f"after {last}"] if last else [])]
    )
    return [
        Mark("outside_the_period", "left out", f"Sold {when}.", frozenset({"date"}),
             lambda _: before | after)
    ]  # fmt: skip


def _period(period: Period) -> tuple[dt.date | None, dt.date | None]:
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
    counted: pl.DataFrame,
    marks: Sequence[Mark],
    total: int,
    unreadable: int,
    problems: Sequence[Rejection],
) -> Quality:
    """The report from the sums of the products, and some lines of each kind to look at."""
    sums = {
        name: counted[name].sum() for name in counted.columns if counted[name].dtype.is_numeric()
    }
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
            touched = counted.filter(pl.col(f"_lines_{mark.name}") > 0)
            if mark.of == "line":
                one_of = nw.col(f"_is_{mark.name}") == 1
            else:
                most = touched.sort(f"_lines_{mark.name}", "product_id", descending=[True, False])
                ids = most["product_id"].head(EXAMPLES).to_list()
                text = nw.col("product_id").cast(nw.String).str.strip_chars()
                one_of = text.is_in(ids) & (nw.col("_counts") == 1)
            some = frame.filter(one_of).select(*shown).head(EXAMPLES)
            findings.append(
                Finding(
                    mark.name,
                    mark.action,
                    mark.meaning,
                    lines,
                    products=touched.height,
                    units=float(sums[f"_units_{mark.name}"]),
                    revenue=float(sums[f"_revenue_{mark.name}"]),
                    examples=tuple(map(_plain, collected(some).rows(named=True))),
                )
            )
    in_all = int(sums["lines"])
    first, last = counted["first_sale"].min(), counted["last_sale"].max()
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
