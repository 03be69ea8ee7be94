"""The part that each product plays: its cell, its quadrant, its stage of life, and its end."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.insights import shelf
from shelfwise.insights.assortment import (
    abc,
    lifecycle,
    relative_share,
    weekly_cv,
)
from shelfwise.insights.decisions import Withheld
from shelfwise.insights.evidence import Evidence, Floats
from shelfwise.insights.inventory import stocked
from shelfwise.insights.stock_policy import InventoryPolicy
from shelfwise.insights.wording import counted, money

if TYPE_CHECKING:
    from shelfwise.insights.portfolio import PortfolioPolicy

CELLS = {
    "AX": "Sells much, evenly: never be without it; order by rule, often, in small lots.",
    "AY": "Sells much, with swings: forecast it, and raise safety stock before its peaks.",
    "AZ": "Sells much, unsteadily: decide each order by hand, and agree on short lead times.",
    "BX": "Sells fairly, evenly: order by rule, at fixed intervals.",
    "BY": "Sells fairly, with swings: order by forecast, and look at it once a month.",
    "BZ": "Sells fairly, unsteadily: keep little stock, and let customers wait rather than it.",
    "CX": "Sells little, evenly: order rarely, in large lots, by rule.",
    "CY": "Sells little, with swings: keep little stock, and look at it once a season.",
    "CZ": "Sells little, unsteadily: order on demand only, or take it out.",
    "N": "Sells nothing: find out why before any money goes into it.",
}
"""The policy of each cell of ABC and XYZ; N has earned nothing."""

QUADRANTS = {
    "star": "Grows, and leads its category.",
    "question_mark": "Grows, and does not lead its category.",
    "cash_cow": "Shrinks, and leads its category.",
    "dog": "Shrinks, and does not lead its category.",
    "borderline": "Whether it grows or shrinks is not sure enough for a quadrant.",
}
"""The internal growth-share map: a product against the others of its category."""

LIFECYCLE = {
    "introduction": "On sale for a short time.",
    "growth": "Rising, confirmed.",
    "mature": "Two years or more of flat sales.",
    "decline": "Falling, confirmed.",
    "end_of_life": "Dead stock, or declared discontinued.",
    "undetermined": "Nothing of that is sure.",
}
"""The stages of a product's life."""


def demand(
    known: Evidence, policy: "PortfolioPolicy", classes: pl.Series, withheld: list[Withheld]
) -> dict[str, Any]:
    """XYZ, and what the cell asks for."""
    if known.weeks is None:
        withheld.append(Withheld("XYZ", "it looks at units week by week", "order lines"))
        cell = pl.select(pl.when(classes == "N").then(pl.lit("N"))).to_series()
        return {"cell": cell, "policy": _told(cell, CELLS)}
    units, hidden = known.units, known.weeks.mask(known.ids)
    weeks, cv = weekly_cv(units[:, -policy.xyz_weeks :], _since_launch(units, hidden)[
        :, -policy.xyz_weeks :])  # fmt: skip
    made = pl.DataFrame({"abc": classes, "cv": pl.Series(cv).fill_nan(None)})
    xyz = (
        pl.when(pl.col("cv") <= policy.x_cut).then(pl.lit("X"))
        .when(pl.col("cv") <= policy.y_cut).then(pl.lit("Y"))
        .when(pl.col("cv").is_not_null()).then(pl.lit("Z"))
    )  # fmt: skip
    made = made.with_columns(xyz=xyz)
    both = pl.col("abc") + pl.col("xyz")
    cell = made.select(pl.when(pl.col("abc") == "N").then(pl.lit("N")).otherwise(both)).to_series()
    return {"weeks": weeks, "weekly_cv": cv, "xyz": made["xyz"], "cell": cell,
            "policy": _told(cell, CELLS)}  # fmt: skip


def _since_launch(units: Floats, hidden: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which weeks count: after the first one with a sale, and in stock."""
    first = (units > 0).argmax(axis=1)
    start = np.where(first > 0, first + 1, 0)
    counts: NDArray[np.bool_] = (np.arange(units.shape[1]) >= start[:, None]) & ~hidden
    return counts


def growth_share(
    known: Evidence, policy: "PortfolioPolicy", revenue: Floats, withheld: list[Withheld]
) -> dict[str, Any]:
    """The growth-share map; growth and its interval are those of the trends."""
    from scipy.special import ndtr, ndtri

    share = relative_share(revenue, known.text("category"))
    if not known.has("category"):
        withheld.append(Withheld("relative share", "no category is given", "category"))
    if known.trends is None:
        withheld.append(
            Withheld("growth-share map", "without dates nobody knows what grows", "order lines")
        )
        return {"relative_share": share}
    names = ("growth", "growth_low", "growth_high", "trend", "reason")
    found = known.of_products(known.trends, *names)
    growth, low, high = (
        np.asarray(found[n].cast(pl.Float64).fill_null(np.nan).to_numpy()) for n in names[:3]
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (np.log1p(high) - np.log1p(low)) / (2 * ndtri(0.975))
        p = ndtr((np.log1p(growth) - np.log1p(policy.growth_cut)) / spread)
    leads = pl.Series(share) >= policy.share_cut
    grows, shrinks = pl.Series(p) >= policy.certainty, pl.Series(p) <= 1 - policy.certainty
    seen = pl.Series(~np.isnan(p) & ~np.isnan(share))
    quadrant = pl.select(
        pl.when(~seen).then(None)
        .when(~grows & ~shrinks).then(pl.lit("borderline"))
        .when(grows & leads).then(pl.lit("star"))
        .when(grows).then(pl.lit("question_mark"))
        .when(leads).then(pl.lit("cash_cow")).otherwise(pl.lit("dog"))
    ).to_series()  # fmt: skip
    return {"relative_share": share, "growth": growth, "growth_low": low, "growth_high": high,
            "p_growing": p, "quadrant": quadrant, "growth_reason": found["reason"]}  # fmt: skip


def _told(keys: pl.Series, words: Mapping[str, str]) -> pl.Series:
    return keys.replace_strict(words, default=None, return_dtype=pl.String)


def lives(
    known: Evidence, policy: "PortfolioPolicy", withheld: list[Withheld]
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """What is known of the life of each product (trend, dead, ...), and its stage."""
    bare = _without_forecasts(known)
    launched = shelf.demand(bare).launched
    days = (np.datetime64(known.as_of, "D") - launched).astype(np.float64)
    on_sale = np.where(np.isnat(launched), np.nan, np.maximum(days, 0.0) / 7)
    if known.trends is None:
        withheld.append(
            Withheld("growth, maturity and decline", "without dates nobody knows what rises or "
                     "falls", "order lines")
        )  # fmt: skip
    facts = known.of_products(known.trends, "trend", "weeks", "growth").with_columns(
        pl.Series("dead", _dead(bare, policy.inventory)),
        pl.Series("discontinued", known.truth("discontinued")),
        pl.Series("on_sale", on_sale).fill_nan(None),
        last=known.text("last_sale"),
    )
    stage = lifecycle(
        facts["dead"] | facts["discontinued"], on_sale, facts["trend"].cast(pl.String),
        facts["weeks"].cast(pl.Int64), policy.introduction_weeks, policy.mature_weeks,
    )  # fmt: skip
    why = (
        pl.when(pl.col("discontinued")).then(pl.lit("declared discontinued"))
        .when(pl.col("stage") == "end_of_life").then(_unsold())
        .when(pl.col("stage") == "introduction")
        .then(pl.format("on sale for {}", counted(pl.col("on_sale").floor(), "week")))
        .when(pl.col("stage") == "mature")
        .then(pl.format("flat for {}", counted(pl.col("weeks"), "week")))
        .when(pl.col("stage").is_in(["growth", "decline"])).then(_moves())
    )  # fmt: skip
    facts = facts.with_columns(stage=stage)
    reason = facts.select(why.alias("why")).to_series()
    return facts, {"weeks_on_sale": on_sale, "lifecycle": stage, "lifecycle_reason": reason}


def _unsold() -> pl.Expr:
    return pl.concat_str(
        pl.lit("not sold for so long that its stock is dead"),
        pl.format(" (last {})", pl.col("last")).fill_null(""),
    )


def _moves() -> pl.Expr:
    rate = pl.format(" by {}% a year", (pl.col("growth").abs() * 100).round(0).cast(pl.Int64))
    way = pl.when(pl.col("trend") == "rising").then(pl.lit("rises")).otherwise(pl.lit("falls"))
    return pl.concat_str(way, rate.fill_null(""), pl.lit(", confirmed"))


def _without_forecasts(known: Evidence) -> Evidence:
    """The same evidence, sparing the forecasts, on which launches and dead stock do not rest."""
    nothing = {"product_id": pl.String, "units_per_week": pl.Float64, "error_sd": pl.Float64}
    return replace(known, given={**known.given, "forecast": pl.DataFrame(schema=nothing)})


def _dead(bare: Evidence, policy: InventoryPolicy | None) -> NDArray[np.bool_]:
    """Which products are dead stock, by the rule of the inventory."""
    if bare.weeks is None:
        return np.zeros(bare.height, dtype=bool)
    found = stocked(bare, policy)["dead"]
    return np.asarray(found.fill_null(False).to_numpy(), dtype=bool)


def delisted(
    known: Evidence, facts: pl.DataFrame, values: Mapping[str, Any], withheld: list[Withheld]
) -> dict[str, Any]:
    """Which products to take out, and why.

    Dead stock; or what earns little (C or N by the measure, and by margin where cost is known)
    and falls or loses money. Never what is new, rising, discontinued (it leaves already), sold
    out (nobody knows what it would sell), or alone in its category and price band.
    """
    if known.trends is None:
        withheld.append(
            Withheld("delisting of what falls or no longer sells", "without dates a new product "
                     "looks like a slow one", "order lines")
        )  # fmt: skip
    little = ["C", "N"]
    rows = facts.with_columns(
        *(pl.Series(n, values[n]) for n in ("category", "price_band", "abc")),
        pl.Series("margin", values["margin"]).fill_nan(None),
        pl.Series("share", values["share"]).fill_nan(None),
        pl.Series("stock", known.number("stock")).fill_nan(None),
        pl.Series("freed", values["stock_freed"]).fill_nan(None),
        basis=values["stock_basis"],
        by_margin=abc(values["margin"]),
        p=pl.Series(values.get("p_growing", np.full(known.height, np.nan))).fill_nan(None),
    )
    tail = pl.col("abc").is_in(little) & pl.col("by_margin").is_in(little).fill_null(True)
    falls, loses = pl.col("trend") == "falling", pl.col("margin") < 0
    alone = (pl.len().over("category", "price_band") == 1) & pl.col("category").is_not_null()
    spared = (
        (pl.col("stage") == "introduction")
        | pl.col("trend").is_in(["rising", "indicative_rising"]).fill_null(False)
        | pl.col("discontinued")
        | ((pl.col("stock") <= 0).fill_null(False) & ~pl.col("dead"))
        | alone
    )
    out = (pl.col("dead") | (tail & (falls | loses).fill_null(False))) & ~spared
    percent = (pl.col("share") * 100).round(2)
    reasons = [
        pl.when(pl.col("dead")).then(_unsold()),
        pl.when(falls).then(_moves()),
        pl.when(loses).then(
            pl.format("loses {} in the period: raise its price or take it out",
                      money(pl.col("margin").abs()))
        ),
        pl.when(tail).then(pl.format("class {}: {}% of the whole", "abc", percent)),
        pl.when(pl.col("freed") > 0).then(
            pl.format("frees {} of stock at {}", money(pl.col("freed")), "basis")
        ),
    ]  # fmt: skip
    stocked = pl.col("freed").is_not_null()
    decided = rows.select(
        action=pl.when(out).then(pl.lit("delist")),
        amount=pl.when(out).then(pl.col("stock")),
        money=pl.when(out).then(pl.col("freed")),
        money_basis=pl.when(out & stocked).then(pl.col("basis")),
        confidence=pl.when(out & falls).then(1 - pl.col("p")),
        reason=pl.when(out).then(pl.concat_str(reasons, separator="; ", ignore_nulls=True)),
    )
    return {name: decided[name] for name in decided.columns}
