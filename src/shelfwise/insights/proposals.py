"""What is proposed for the stock, as people have answered it: figures and lists for any surface."""

from typing import Any

import polars as pl

UNANSWERED = {"verdict": pl.String, "verdict_amount": pl.Float64}
"""What the rows of a run that is kept have beside their section's."""


def proposed(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of the inventory with the quantity and cost that people's answers leave, and weeks.

    `quantity` is what somebody has accepted instead of `amount`; `cost` follows it; `weeks` is
    how long the stock lasts. Rows of an analysis that nobody could answer yet are taken too.
    """
    there = rows.collect_schema().names()
    absent = [pl.lit(None, kind).alias(n) for n, kind in UNANSWERED.items() if n not in there]
    quantity = pl.coalesce("verdict_amount", "amount")
    return rows.with_columns(absent).with_columns(
        quantity=quantity,
        cost=pl.col("order_money") * (quantity / pl.col("amount")),
        weeks=pl.col("days_of_supply") / 7,
    )


def left(action: str) -> pl.Expr:
    """The rows of an action that nobody has dismissed."""
    return (pl.col("action") == action) & (pl.col("verdict").ne_missing("dismissed"))


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
        weeks=pl.col("weeks").filter(pl.col("stock") > 0).median(),
        covered=pl.col("weeks").filter(pl.col("stock") > 0).count(),
        dead=pl.col("dead_money").sum(),
        dead_known=pl.col("dead_money").is_not_null().any(),
        soonest=pl.col("date").filter(reorder).min(),
    ).collect()  # fmt: skip
    return found.to_dicts()[0]
