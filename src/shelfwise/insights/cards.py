"""The numbers of each supplier's card: sums of its products, shrunk scores, deliveries."""

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.insights.deliveries import Receipts, by_supplier
from shelfwise.insights.evidence import Evidence
from shelfwise.insights.inventory import stocked
from shelfwise.insights.shrinkage import (
    FEWEST,
    Shares,
    places,
    within_variance,
)
from shelfwise.insights.stock_policy import InventoryPolicy
from shelfwise.sales.prices import LEVEL, normal_normal

if TYPE_CHECKING:
    from shelfwise.insights.suppliers import SuppliersPolicy

Floats = NDArray[np.float64]


def by_product(known: Evidence, policy: InventoryPolicy | None) -> pl.DataFrame:
    """What is asked of each product, with the money in its stock from inventory."""
    held = stocked(known, policy)
    sold, stock = known.number("units_sold"), known.number("stock")
    cost = known.number("unit_cost")
    frame = pl.DataFrame({
        "product_id": known.ids,
        "supplier": known.text("supplier").str.strip_chars().replace("", None),
        "category": known.text("category").str.strip_chars().replace("", None),
        "revenue": known.number("revenue"),
        "margin": known.number("revenue") - cost * sold,
        "score": known.number("performance_score"),
        "tier": known.text("performance_tier"),
        "lead_time_days": known.number("lead_time_days"),
        # What was neither stocked nor sold says nothing.
        "scored": ~((np.nan_to_num(sold) <= 0) & (stock <= 0)),
    }).with_columns(pl.col(pl.Float64).fill_nan(None))  # fmt: skip
    return frame.hstack(held.select("stock_money", "stock_basis", "overstock_money", "dead_money"))


def of_range(products: pl.DataFrame) -> pl.DataFrame:
    """The sums of each supplier's products; money in stock is null where nothing tells it."""
    total = products["revenue"].clip(lower_bound=0).sum()

    def all_known(name: str) -> pl.Expr:
        return pl.when(pl.col(name).is_not_null().all()).then(pl.col(name).sum())

    def some_known(name: str) -> pl.Expr:
        return pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum())

    basis = pl.col("stock_basis").filter(pl.col("stock_money") > 0).unique().sort()
    named = products.filter(pl.col("supplier").is_not_null())
    found = named.group_by("supplier").agg(
        products=pl.len(),
        revenue=pl.col("revenue").sum(),
        margin=all_known("margin"),
        score_mean=pl.col("score").filter("scored").mean(),
        _scored=pl.col("scored").sum(),
        _high=((pl.col("tier") == "High") & pl.col("scored")).sum(),
        _low=((pl.col("tier") == "Low") & pl.col("scored")).sum(),
        stock_money=some_known("stock_money"),
        overstock_money=some_known("overstock_money"),
        dead_money=some_known("dead_money"),
        stock_basis=basis.str.join(", and "),
        lead_time_planned=pl.col("lead_time_days").mean(),
    )
    share = pl.col("revenue").clip(lower_bound=0) / total if total > 0 else pl.lit(None)
    return found.with_columns(
        revenue_share=share, stock_basis=pl.col("stock_basis").replace("", None)
    )


def scored(
    rows: pl.DataFrame, products: pl.DataFrame, policy: "SuppliersPolicy", rng: np.random.Generator
) -> pl.DataFrame:
    """Scores and shares of tiers, shrunk; null where fewer than three suppliers have any."""
    counted = products.filter(pl.col("supplier").is_not_null() & pl.col("scored"))
    places_of = {name: at for at, name in enumerate(rows["supplier"])}
    groups = np.array([places_of[name] for name in counted["supplier"]], dtype=np.int64)
    n = floats(rows["_scored"].fill_null(0))
    some = n > 0
    if some.sum() < FEWEST:
        return rows
    pooled = within_variance(counted["score"].to_numpy(), groups, rows.height)
    made: dict[str, Any] = {}
    for name, hits in (("high_share", "_high"), ("low_share", "_low")):
        made[name] = np.full(rows.height, np.nan)
        made[name][some] = Shares(floats(rows[hits].fill_null(0))[some], n[some]).expected
    if not np.isnan(pooled):
        mean, deviation = np.full((2, rows.height), np.nan)
        variance = np.maximum(pooled, 1e-12) / n[some]
        mean[some], deviation[some] = normal_normal(floats(rows["score_mean"])[some], variance)
        drawn = mean + deviation * rng.standard_normal((policy.draws, rows.height))
        low, high = places(drawn)
        made |= {
            "score": mean,
            "score_low": mean - LEVEL * deviation,
            "score_high": mean + LEVEL * deviation,
            "score_place_low": low,
            "score_place_high": high,
        }
    return _with(rows, made)


def delivered(
    rows: pl.DataFrame, read: Receipts, policy: "SuppliersPolicy", rng: np.random.Generator
) -> pl.DataFrame:
    """What each supplier delivered; OTIF shrunk where three or more have promises."""
    counted = by_supplier(read, policy.grace_days, policy.full_share)
    rows = rows.join(counted, on="supplier", how="left", maintain_order="left")
    hits, tries = (floats(rows[name].fill_null(0)) for name in ("otif_hits", "promises"))
    promised = pl.col("promises") > 0
    rows = rows.with_columns(
        otif_counted=pl.when(promised).then(pl.col("otif_hits") / pl.col("promises")),
        lead_time_cv=pl.when(pl.col("lead_time") > 0).then(
            pl.col("lead_time_sd") / pl.col("lead_time")
        ),
    )
    if (tries > 0).sum() < FEWEST:
        return rows
    some = tries > 0
    shares = Shares(hits[some], tries[some])
    drawn = np.full((policy.draws, rows.height), np.nan)
    drawn[:, some] = shares.draws(policy.draws, rng)
    low, high = places(drawn)
    of_some = {
        "otif": shares.expected,
        "otif_low": shares.interval[0],
        "otif_high": shares.interval[1],
        "p_below_target": shares.below(policy.otif_target),
    }
    made: dict[str, Any] = {"otif_place_low": low, "otif_place_high": high}
    for name, values in of_some.items():
        made[name] = np.full(rows.height, np.nan)
        made[name][some] = values
    return _with(rows, made)


def by_category(products: pl.DataFrame, read: Receipts | None) -> pl.DataFrame:
    """Each category: its revenue, who supplies it, and the HHI of their revenue."""
    known = products.filter(pl.col("category").is_not_null())
    pairs = known.select("category", "supplier")
    if read is not None:
        by = read.rows.select("product_id", pl.col("supplier").alias("_by"))
        delivered = known.join(by, on="product_id").select("category", supplier="_by")
        pairs = pl.concat([pairs, delivered])
    who = pairs.group_by("category").agg(
        suppliers=pl.col("supplier").drop_nulls().n_unique(),
        unknown=pl.col("supplier").is_null().any(),
        sole=pl.col("supplier").drop_nulls().first(),
    )
    earned = known.group_by("category", "supplier").agg(pl.col("revenue").sum().clip(lower_bound=0))
    share = pl.col("revenue") / pl.col("revenue").sum()
    money = earned.group_by("category").agg(hhi=(share**2).sum(), revenue=pl.col("revenue").sum())
    return (
        who.join(money, on="category")
        .with_columns(
            hhi=pl.when(pl.col("revenue") > 0).then("hhi"),
            sole=pl.when((pl.col("suppliers") == 1) & ~pl.col("unknown")).then("sole"),
        )
        .drop("unknown")
        .sort("category")
    )


def sole_sources(rows: pl.DataFrame, categories: pl.DataFrame) -> pl.DataFrame:
    alone = categories.filter(pl.col("sole").is_not_null()).group_by(supplier="sole").agg(
        sole_categories=pl.col("category").sort().str.join(", "),
        sole_revenue=pl.col("revenue").sum(),
        _sole=pl.col("category").sort(),
    )  # fmt: skip
    return rows.join(alone, on="supplier", how="left", maintain_order="left")


def floats(series: pl.Series) -> Floats:
    return np.asarray(series.cast(pl.Float64).fill_null(np.nan).to_numpy(), dtype=np.float64)


def _with(rows: pl.DataFrame, made: dict[str, Any]) -> pl.DataFrame:
    return rows.with_columns(pl.Series(name, values).fill_nan(None)
                             for name, values in made.items())  # fmt: skip
