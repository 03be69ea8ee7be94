"""Weeks in which a product could not be bought: nobody knows what they would have sold."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import polars as pl

from shelfwise.columns import Column
from shelfwise.engines.failures import failures
from shelfwise.errors import InputError, excerpt
from shelfwise.pipeline.check import refuse_kinds
from shelfwise.pipeline.dates import days
from shelfwise.sales.reading import LINE, collected, opened

if TYPE_CHECKING:
    from shelfwise.sales.weeks import Weekly

OUT_OF_STOCK = (
    LINE["product_id"],
    Column("date", "date", "A day without stock.", "masks", required=True, aliases=("day",)),
)
"""The contract of days on which products could not be bought."""


def masked(weeks: "Weekly", out_of_stock: Any) -> "Weekly":
    """The weeks with days out of stock masked, beside those that were masked before."""
    if out_of_stock is None:
        return weeks
    found = _weeks_out(out_of_stock, weeks)
    known = weeks.masked
    return replace(weeks, masked=found if known is None else pl.concat([known, found]).unique())


def _weeks_out(source: Any, within: "Weekly") -> pl.DataFrame:
    """The weeks of products with a day out of stock; days before and after are left out."""
    with failures(source):
        frame = opened(source, None, OUT_OF_STOCK)
        schema = frame.collect_schema()
        missing = {column.name for column in OUT_OF_STOCK} - set(schema.names())
        if missing:
            raise InputError(
                f"The days out of stock have no column {min(missing)}.",
                "They have product_id and date.",
            )
        refuse_kinds({column.name: column for column in OUT_OF_STOCK}, schema)
        text = nw.col("product_id").cast(nw.String).str.strip_chars()
        given = frame.with_columns(product_id=text, _given=nw.col("date").cast(nw.String))
        found = collected(days(given, "date"))
    unknown = ~pl.col("product_id").is_in(within.products["product_id"].to_list())
    wrong = found.filter(pl.col("date").is_null() | unknown.fill_null(True)).head(1)
    if wrong.height:
        row = wrong.row(0, named=True)
        raise InputError(
            f"A day out of stock cannot be used: product {excerpt(row['product_id'] or '')}, date "
            f"{excerpt(row['_given'] or '')}.",
            "Each row has the id of a product that was sold, and a date such as 2026-03-31.",
        )
    week = (pl.col("date") - pl.lit(within.first)).dt.total_days() // 7
    inside = found.select("product_id", week.alias("week"))
    return inside.filter(pl.col("week").is_between(0, within.weeks - 1)).unique()
