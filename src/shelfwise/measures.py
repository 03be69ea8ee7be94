"""Any measure of scored products: its ABC classes and its concentration, also within groups."""

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from shelfwise.errors import InputError, excerpt
from shelfwise.metrics import METRIC
from shelfwise.pipeline.table import Arrays, Frame, Table
from shelfwise.pipeline.totals import ABC, abc_class, abc_cuts, concentration
from shelfwise.source import series

if TYPE_CHECKING:
    from shelfwise.analysis import Analysis


def concentrated(analysis: "Analysis", measure: str, within: str | None) -> Any:
    """What `Analysis.concentration` gives."""
    if within is None:
        return concentration(_with_measure(analysis, measure), measure)
    groups = _measured(analysis, measure, within).partition_by(within, maintain_order=True)
    rows = [
        {within: group[within][0]} | concentration(_arrays(group, measure), measure)
        for group in groups
    ]
    return pl.DataFrame(rows, infer_schema_length=None).sort(within, nulls_last=True)


def classed(analysis: "Analysis", measure: str, within: str | None) -> pl.DataFrame:
    """What `Analysis.abc` gives."""
    found = _measured(analysis, measure, within)
    groups = found.partition_by(within, maintain_order=True) if within else [found]
    coded = []
    for group in groups:
        table = _arrays(group, measure)
        codes = abc_class(table.columns[measure], abc_cuts(table, measure))
        coded.append(group.with_columns(_abc=pl.Series(codes, dtype=pl.Int64)))
    found = pl.concat(coded)
    sold = analysis.source.sold
    if sold and sold.set_aside.height and not within and measure in ("revenue", "units_sold"):
        # What returns have eaten up is not scored, but it has its class: N.
        values = "net_revenue" if measure == "revenue" else measure
        aside = sold.set_aside.select("product_id", pl.col(values).alias(measure), _abc=0)
        found = pl.concat([found, aside], how="vertical_relaxed")
    labels = pl.col("_abc").replace_strict(ABC, return_dtype=pl.String)
    kept = found.select(*([within] if within else []), "product_id", measure, abc_class=labels)
    first = [within, measure] if within else [measure]
    return kept.sort(first, descending=[*([False] if within else []), True], nulls_last=True)


def _measured(analysis: "Analysis", measure: str, within: str | None) -> pl.DataFrame:
    """product_id, the measure, and the column to group by where one is asked for."""
    table = _with_measure(analysis, measure)
    names = ["product_id", *([within] if within else [])]
    if isinstance(table, Frame):
        known = analysis.source.names
    else:
        frame = analysis.source.frame
        known = tuple(analysis.source.given if frame is None else frame.columns)
    if within is not None and (within not in known or within in ("product_id", measure)):
        raise InputError(
            f"There is no column {excerpt(within)} to group by.",
            f"The data has {', '.join(map(str, known[:30]))}.",
        )
    if isinstance(table, Frame):
        given = [nw.col(f"given {name}").alias(name) for name in names]
        selected = table.frame.select(*given, measure).collect(backend="polars")
        return selected.to_native()  # type: ignore[no-any-return]  # Narwhals says Any
    rows = range(table.height)
    inputs = [series(name, analysis.given(name, rows)) for name in names]
    return pl.DataFrame([*inputs, pl.Series(measure, np.asarray(table.columns[measure]))])


def _with_measure(analysis: "Analysis", measure: str) -> Table:
    """The scored table, with a metric that the profile did not need, where it can be."""
    table = analysis.table
    if measure not in table.columns and measure in METRIC:
        metric = METRIC[measure]
        if metric.formula(set(table.columns)) is not None:
            table = table.with_columns({measure: metric.evaluate(table.columns)})
    if measure not in table.columns or measure.startswith(("_", "given ")):
        raise InputError(f"These products have no measure {excerpt(measure)}.")
    return table


def _arrays(frame: pl.DataFrame, measure: str) -> Arrays:
    return Arrays({measure: frame[measure].to_numpy()})
