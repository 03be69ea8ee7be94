"""What is proposed for the stock, as people have answered it: figures and lists for any surface."""

import datetime as dt
from typing import Any

import polars as pl

UNANSWERED = {"verdict": pl.String, "verdict_amount": pl.Float64}
"""What the rows of a run that is kept have beside their section's."""


def proposed(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of the inventory as `as_answered`, with the weeks that the stock lasts."""
    return as_answered(rows).with_columns(weeks=pl.col("days_of_supply") / 7)


def as_answered(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of a proposal with the quantity and cost that people's answers leave.

    `quantity` is what somebody has accepted instead of `amount`; `cost` follows it. Rows of
    an analysis that nobody could answer yet are taken too.
    """
    there = rows.collect_schema().names()
    absent = [pl.lit(None, kind).alias(n) for n, kind in UNANSWERED.items() if n not in there]
    quantity = pl.coalesce("verdict_amount", "amount")
    return rows.with_columns(absent).with_columns(
        quantity=quantity, cost=pl.col("order_money") * (quantity / pl.col("amount"))
    )


def left(action: str) -> pl.Expr:
    """The rows of an action that nobody has dismissed."""
    return (pl.col("action") == action) & (pl.col("verdict").ne_missing("dismissed"))


def next_order(rows: pl.LazyFrame, day: dt.date) -> dict[str, Any] | None:
    """The product that is to be ordered first after a day: name and order_by."""
    later = rows.filter(pl.col("order_by") > day).select("name", "order_by")
    found = later.sort("order_by", "name").head(1).collect()
    return found.row(0, named=True) if found.height else None


def figures(rows: pl.LazyFrame) -> dict[str, Any]:
    """The few figures of the whole, of rows that `proposed` gave."""
    reorder, clear = left("reorder"), left("clear")
    found = rows.select(
        reorder=reorder.sum(),
        cost=pl.col("cost").filter(reorder).sum(),
        priced=pl.col("cost").filter(reorder).is_not_null().sum(),
        at_stake=pl.col("money").filter(reorder).sum(),
        staked=pl.col("money").filter(reorder).is_not_null().sum(),
        clear=clear.sum(),
        stuck=pl.col("money").filter(clear).sum(),
        stock_money=pl.col("stock_money").sum(),
        at_price=((pl.col("stock_basis") == "price") & (pl.col("stock") > 0)).sum(),
        stocked=(pl.col("stock") > 0).sum(),
        known=pl.col("stock").is_not_null().sum(),
        weeks=pl.col("weeks").filter(pl.col("stock") > 0).median(),
        covered=pl.col("weeks").filter(pl.col("stock") > 0).count(),
        dead=pl.col("dead_money").sum(),
        dead_known=pl.col("dead_money").is_not_null().any(),
        soonest=pl.col("date").filter(reorder).min(),
    ).collect()  # fmt: skip
    return found.to_dicts()[0]
