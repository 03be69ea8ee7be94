"""Which products cannot be in a campaign, and why: left out by the user, promoted a short time
ago, or not known well enough."""

import datetime as dt
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import polars as pl

from shelfwise.insights.decisions import quoted
from shelfwise.insights.evidence import Evidence
from shelfwise.insights.wording import many
from shelfwise.sales.reading import collected

if TYPE_CHECKING:
    from shelfwise.insights.campaign import CampaignPolicy

USUAL_WEEKS = 13
"""A price is low against the median of so many weeks."""
NEITHER = "no elasticity is known, and no uplift is assumed"


def left_out(
    known: Evidence, facts: dict[str, Any], policy: "CampaignPolicy", start: dt.date
) -> pl.Series:
    """Why a product cannot be in the campaign, whatever it would gain; null where it can."""
    frame = pl.DataFrame(
        {name: facts[name] for name in ("product_id", "category", "price", "unit_cost",
                                        "available", "base_units", "response")},
        strict=False,
    ).with_columns(pl.col(pl.Float64).fill_nan(None))  # fmt: skip
    told = pl.Series("told", [policy.promoted.get(one) for one in known.ids], dtype=pl.Date)
    frame = frame.with_columns(told).hstack(low_prices(known, policy, start))
    since = start - dt.timedelta(days=policy.rest_days)
    reason = (
        pl.when(pl.col("product_id").is_in(policy.exclude)).then(pl.lit("left out by you"))
        .when(pl.col("category").is_in(policy.exclude_categories))
        .then(pl.format("category {} left out by you", "category"))
        .when(pl.col("told") >= since)
        .then(pl.format("promoted until {}", pl.col("told").dt.strftime("%-d %b %Y")))
        .when(pl.col("monday").is_not_null())
        .then(pl.format("promoted already, it seems: {}% below its usual price in the week of {}",
                        (100 * pl.col("below")).round(0).cast(pl.Int64),
                        pl.col("monday").dt.strftime("%-d %b %Y")))
        .when(pl.col("unit_cost").is_null()).then(pl.lit("its unit_cost is not known"))
        .when(pl.col("available").is_null()).then(pl.lit("its stock is not known"))
        .when(pl.col("base_units").is_null()).then(pl.lit("its demand is not known"))
        .when(pl.col("response").is_null()).then(pl.lit(NEITHER))
        .when(pl.col("price").is_null()).then(pl.lit("its price is not known"))
        .when(pl.col("available") <= 0).then(pl.lit("nothing in stock or on order"))
    )  # fmt: skip
    return frame.select(left_out=reason)["left_out"]


def low_prices(known: Evidence, policy: "CampaignPolicy", start: dt.date) -> pl.DataFrame:
    """The last week of each product, in the days of rest, whose price was low; null for none."""
    weeks, since = known.weeks, start - dt.timedelta(days=policy.rest_days)
    if weeks is None or "revenue" not in weeks.values:
        none = pl.DataFrame(
            schema={"product_id": pl.String, "monday": pl.Date, "below": pl.Float64}
        )
        return known.of_products(none, "monday", "below")
    rest = max(0, (since - weeks.first).days // 7)
    wanted = nw.col("week") >= rest - USUAL_WEEKS
    sold = collected(weeks.frame.filter(wanted, nw.col("units") > 0))
    sold = sold.with_columns(pl.col("product_id").cast(pl.String))
    sold = sold.filter(pl.col("revenue") > 0).with_columns(paid=pl.col("revenue") / pl.col("units"))
    usual = sold.filter(pl.col("week") < rest).group_by("product_id")
    recent = sold.filter(pl.col("week") >= rest).join(
        usual.agg(usual=pl.col("paid").median()), on="product_id"
    )
    recent = recent.with_columns(below=1 - pl.col("paid") / pl.col("usual"))
    low = recent.filter(pl.col("below") >= policy.low_price - 1e-9).sort("week")
    low = low.group_by("product_id").agg(pl.col("week").last(), pl.col("below").last())
    day = pl.lit(weeks.first) + pl.duration(days=7 * pl.col("week"))
    return known.of_products(low.with_columns(monday=day.cast(pl.Date)), "monday", "below")


def strangers(known: Evidence, policy: "CampaignPolicy") -> tuple[str, ...]:
    """What the lists of a policy name and nobody scored: perhaps a slip, perhaps an old list."""
    told = []
    for name in ("exclude", "promoted"):
        if missing := sorted(set(getattr(policy, name)) - set(known.ids)):
            how = many(len(missing), "product")
            told.append(f"{name} names {how} not among those scored: {quoted(missing)}.")
    return tuple(told)
