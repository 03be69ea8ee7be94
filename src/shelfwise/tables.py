"""An analysis as tables for a warehouse: products, rejected rows, the quality report.

Each row carries the run that made it (`run_id`) and the day it speaks of (`as_of`), so
that runs can stand one below the other in the same tables.
"""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import narwhals.stable.v2 as nw
import polars as pl

from shelfwise.analysis import Analysis
from shelfwise.engines import databases, spark
from shelfwise.engines.failures import failures
from shelfwise.errors import InputError

REJECTED = {
    "row": ("the row's number, counted from 0; null where the engine numbers no rows", pl.Int64),
    "column": ("the column that breaks the contract", pl.String),
    "value": ("what it holds, as text", pl.String),
    "reason": ("what is wrong with it", pl.String),
}
QUALITY = {
    "finding": ("what was found; `all_lines` and `counted` are the sums of the whole", pl.String),
    "action": ("left out, counted, or told", pl.String),
    "meaning": ("the rule in a sentence", pl.String),
    "lines": ("how many order lines it touched", pl.Int64),
    "products": ("how many products", pl.Int64),
    "units": ("their units, signs kept", pl.Float64),
    "revenue": ("their revenue, signs kept", pl.Float64),
    "examples": ("up to three of them, as a JSON array", pl.String),
}
"""Columns of the tables beside the products, after run_id and as_of: meaning and type."""
KEYS = ("run_id", "as_of")
"""Columns that each table begins with."""
SUFFIXES = ("_quality", "_rejected", "")
"""What comes after the name of each table, in the order in which they are written."""


@dataclass(frozen=True, slots=True)
class Run:
    """What keys the rows of one analysis."""

    run_id: str
    as_of: dt.date

    @classmethod
    def of(cls, analysis: Analysis, as_of: dt.date | None = None) -> "Run":
        """A new run; it speaks of the last day of the order lines, or else of today."""
        sold = analysis.source.sold
        return cls(uuid.uuid4().hex, as_of or (sold.period[1] if sold else dt.date.today()))


def quality(analysis: Analysis) -> pl.DataFrame:
    """The data-quality report, by the columns of QUALITY; empty where products came as such."""
    report = analysis.quality
    rows: list[tuple[Any, ...]] = []
    if report:
        rows = [
            ("all_lines", "told", f"All order lines; {report.first} to {report.last} were "
             "counted.", report.lines, 0, None, None, "[]"),
            ("counted", "counted", "Lines that count, net of returns.", report.counted,
             analysis.table.height, report.net_units, report.net_revenue, "[]"),
        ]  # fmt: skip
        rows += [
            (f.name, f.action, f.meaning, f.lines, f.products, f.units, f.revenue,
             msgspec.json.encode(f.examples, enc_hook=str).decode())
            for f in report.findings
        ]  # fmt: skip
    return pl.DataFrame(rows, schema=_types(QUALITY), orient="row")


def write(
    analysis: Analysis, target: str, mode: databases.Mode, as_of: dt.date | None = None
) -> Run:
    """Write the tables `target`, `target_rejected` and `target_quality`.

    Args:
        analysis: What is written.
        target: A table of Spark, [[catalog.]schema.]table, or the URL of one of PostgreSQL,
            SQLite or DuckDB.
        mode: For tables that are there: "error", "overwrite" or "append".
        as_of: The day that the rows speak of.

    A database gets all three or none. On Spark the products come last: a run that stands in
    them is whole.
    """
    run = Run.of(analysis, as_of)
    with failures(target):
        frames = (quality(analysis), analysis.rejected, analysis.products)
    keyed = {name: _keyed(frame, run) for name, frame in zip(SUFFIXES, frames, strict=True)}
    write_all = databases.write_tables if databases.is_table(target) else spark.write_tables
    with failures(target):
        write_all(keyed, target, mode)
    return run


def _keyed(frame: Any, run: Run) -> Any:
    rows = nw.from_native(frame)
    names = rows.collect_schema().names()
    if taken := [name for name in names if name.casefold() in KEYS]:
        raise InputError(
            f"The products have a column {taken[0]} of their own, which the tables need.",
            "Rename it or leave it out.",
        )
    keyed = rows.with_columns(run_id=nw.lit(run.run_id), as_of=nw.lit(run.as_of))
    return keyed.select(*KEYS, *names).to_native()


def _types(columns: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    return {name: kind for name, (_, kind) in columns.items()}
