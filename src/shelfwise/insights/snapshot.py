"""The two rules that stand in for a snapshot: products whose sales have no dates.

How often they fit depends on the period, which a snapshot hardly knows: in two years nearly
everything sells more than its stock, in two weeks nearly nothing does. A rule that fits most
products tells nothing of any of them, and is withheld.
"""

import polars as pl

from shelfwise.insights.decisions import Withheld
from shelfwise.insights.evidence import Evidence
from shelfwise.insights.stock_policy import InventoryPolicy
from shelfwise.insights.wording import joined, number

PERIODS = 4
"""A snapshot has too much from so many periods of stock on."""
MOST = 0.5
"""The rules flag no larger share of the products than this."""
FEWEST = 10
"""Of fewer products a large share may be chance: both rules are applied."""
RULE = "rule for a snapshot, without dates: "
TOO_LITTLE = "sells out within the period at its rate"
TOO_MUCH = "more than four periods of stock"


def snapshot(frame: pl.DataFrame, known: Evidence, policy: InventoryPolicy) -> pl.DataFrame:
    """The columns of the decision; `fits` names the rule that fits, also where it is withheld."""
    position, sold = pl.col("stock") + pl.col("on_order"), pl.col("sold")
    surplus = pl.col("stock") - PERIODS * sold
    frame = frame.with_columns(young=_young(known, policy)).with_columns(
        fits=pl.when("leaving").then(pl.lit("run_out"))
        .when("young").then(pl.lit("watch"))
        .when((pl.col("stock") > 0) & (surplus > 0)).then(pl.lit("clear"))
        .when((sold > 0) & (position <= 0)).then(pl.lit("sold_out"))
        .when((sold > 0) & (position < sold)).then(pl.lit("reorder"))
    )  # fmt: skip
    silent = _silent(frame)
    frame = frame.with_columns(
        action=pl.when(pl.col("fits").is_in(silent).not_()).then(
            pl.col("fits").replace("sold_out", "reorder"))
    )  # fmt: skip
    too_little = pl.format(
        RULE + TOO_LITTLE + ": {} sold, {} in stock and on order", number(sold), number(position)
    )
    too_much = pl.format(
        RULE + TOO_MUCH + ": {} sold, {} in stock", number(sold), number(pl.col("stock"))
    )
    leave = joined(pl.lit("discontinued: order no more"),
                    pl.format("{} left", number(pl.col("stock"))))  # fmt: skip
    most = "withheld: the rule for a snapshot fits too many products to tell anything: "
    rule = pl.when(pl.col("fits") == "clear").then(pl.lit(TOO_MUCH)).otherwise(pl.lit(TOO_LITTLE))
    action = pl.col("action")
    return frame.select(
        "action", "fits",
        pl.when(action == "clear").then(surplus).when(action == "run_out").then("stock")
        .alias("amount"),
        pl.when(action == "reorder").then((sold - position) * pl.col("earns"))
        .when(action == "clear").then(surplus * pl.col("worth"))
        .when(action.is_not_null()).then("stock_money").alias("money"),
        pl.when(action == "reorder").then("earns_basis")
        .when(action.is_not_null()).then("stock_basis").alias("money_basis"),
        pl.when(action == "run_out").then(leave)
        .when(action == "watch").then(pl.lit("new: too early to judge"))
        .when(action == "clear").then(too_much)
        .when(action == "reorder").then(too_little)
        .when(pl.col("stock").is_null()).then(pl.lit("withheld: its stock is not known"))
        .when(pl.col("fits").is_not_null()).then(pl.format(most + "{}", rule))
        .alias("reason"),
    )  # fmt: skip


def _young(known: Evidence, policy: InventoryPolicy) -> pl.Series:
    """Which products were launched a short time ago."""
    if not known.has("launch_date"):
        return pl.Series("young", [False] * known.height)
    days = known.products["launch_date"].cast(pl.Date, strict=False).alias("launched")
    age = (pl.lit(known.as_of) - days).dt.total_days()
    return pl.select(young=(age < policy.new_days).fill_null(False))["young"]


def _silent(frame: pl.DataFrame) -> list[str]:
    """The rules that are withheld: the one that fits most, until no more than half are flagged.

    What is sold out goes last of those to reorder: that it is missing is plain.
    """
    judged = frame.filter(~pl.col("leaving") & ~pl.col("young") & pl.col("stock").is_not_null())
    counts = dict(judged["fits"].drop_nulls().value_counts().iter_rows())
    silent: list[str] = []
    while judged.height >= FEWEST and sum(counts.values()) > MOST * judged.height:
        empty, low = counts.get("sold_out", 0), counts.get("reorder", 0)
        rule = "clear" if counts.get("clear", 0) > empty + low else "reorder" if low else "sold_out"
        silent.append(rule)
        del counts[rule]
    return silent


def unsaid(fits: pl.Series, action: pl.Series) -> list[Withheld]:
    """Which rules were withheld, and what would tell more than they do."""
    muted = fits.filter(action.is_null() & fits.is_not_null())
    counts = dict(muted.value_counts().iter_rows())
    told = []
    if "clear" in counts:
        told.append(
            Withheld(
                "clear",
                f"{counts['clear']:,} of {len(fits):,} products have more than four periods of "
                "stock, too many for the rule to tell them apart",
                "order lines with dates (from_sales), or units_sold of a longer period",
            )
        )
    if low := counts.get("reorder", 0) + counts.get("sold_out", 0):
        only = "" if "sold_out" in counts else "; only what is sold out is flagged"
        told.append(
            Withheld(
                "reorder",
                f"{low:,} of {len(fits):,} products sell out within the period at their rate, too "
                f"many for the rule to tell them apart{only}",
                "order lines with dates (from_sales), or units_sold of a shorter period",
            )
        )
    return told
