"""What several sections share: columns, and how they say what is left out or not told."""

import datetime as dt
from typing import Any

import polars as pl

from shelfwise.formats import Formats
from shelfwise.insights.proposals import figures, proposed
from shelfwise.reports.material import Answer, Material
from shelfwise.reports.report import NAMED, TIER, Column, Notes
from shelfwise.texts import text

MOVED, FINDINGS = 20, 12
"""How many rows of a list are shown."""
NAME = Column(text("report.col.name"), NAMED, wide=3)
CATEGORY = Column(text("report.col.category"))
SUPPLIER = Column(text("report.col.supplier"), NAMED, wide=1)
TIERED = Column(text("report.col.tier"), TIER)


def stock_answer(m: Material) -> tuple[dict[str, Any], pl.LazyFrame]:
    rows = proposed(m.answers["inventory"].rows.lazy())
    return figures(rows), rows


def withheld(found: Answer) -> Notes | None:
    """What is not told, and what it needs."""
    lines = tuple((f"{one['what'][:1].upper()}{one['what'][1:]}: {one['why']}.",
                   text("report.needs", needs=one["needs"])) for one in found.withheld)  # fmt: skip
    return Notes(lines) if lines else None


def left_out(m: Material, of: int, shown: int) -> str:
    return text("report.first", n=shown, all=m.formats.count(of)) if of > shown else ""


def part(f: Formats, value: float, digits: int = 0) -> str:
    """A share in a sentence: what would be written as 0% is less than something.

    >>> part(Formats(), 0.004), part(Formats(), 0.0004, 1), part(Formats(), 0.31)
    ('less than 1%', 'less than 0.1%', '31%')
    """
    least = 0.01 / 10**digits
    if 0 < value < least / 2:
        return text("report.less", share=f.share(least, digits))
    return f.share(value, digits)


def has(products: pl.DataFrame, name: str) -> bool:
    return name in products.columns and products[name].null_count() < products.height


def date_of(value: str) -> dt.date:
    return dt.date.fromisoformat(value[:10])
