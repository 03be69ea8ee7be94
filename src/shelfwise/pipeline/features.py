"""Metrics and flags of each product, from its own row alone."""

from collections.abc import Mapping

import numpy as np

from shelfwise.errors import ProfileError
from shelfwise.formula import Values, where
from shelfwise.metrics import Metric
from shelfwise.pipeline.table import Table
from shelfwise.profile import Profile

FLAGS = {
    "sold_out": "Nothing left in stock: sell-through is 1 for that reason alone.",
    "no_sales": "No unit sold in the period.",
    "net_negative": "Returns outweigh sales: revenue is below 0.",
    "never_stocked": "Neither stock nor sales: sell-through is set to 0.",
    "oversold": "Stock was below 0 and was set to 0.",
    "zero_price": "The price is 0: units / price takes the smallest value present.",
}
"""Each flag and its meaning; a product's flags stand in this order."""

SHOWN = ("revenue", "stock_ratio", "sales_velocity")
"""Metrics that every answer has, whatever the profile weighs."""


def computed(profile: Profile, given: set[str]) -> tuple[Metric, ...]:
    """The metrics that the columns allow: those always shown, and those weighed.

    A metric is withheld only when the stock column is absent altogether; other columns
    that the profile needs are asked for by the check.
    """
    names = dict.fromkeys((*SHOWN, *(term.metric for term in profile.terms)))
    metrics = [profile.metric(name) for name in names]
    return tuple(metric for metric in metrics if metric.formula(given) is not None)


def features(table: Table, profile: Profile, period_days: float | None = None) -> Table:
    """The table with a column for each metric, and `units_per_day` where a period is known."""
    metrics = computed(profile, set(table.columns))
    with np.errstate(over="ignore", invalid="ignore"):
        table = table.with_columns({m.name: m.evaluate(table.columns) for m in metrics})
    _refuse_overflow(table, profile)
    if profile.zero_price == "allow" and "sales_velocity" in table.columns:
        columns = table.columns
        velocity = columns["sales_velocity"]
        paid = where(columns["price"] > 0, velocity, float("inf")).min()
        least = table.collect({"least": paid})["least"]
        least = least if least < float("inf") else 0.0
        table = table.with_columns({"sales_velocity": where(columns["price"] > 0, velocity, least)})
    if period_days is not None:
        table = table.with_columns({"units_per_day": table.columns["units_sold"] / period_days})
    return table


def _refuse_overflow(table: Table, profile: Profile) -> None:
    """A user's formula may leave the numbers that a float holds; ours cannot."""
    for metric in profile.own_metrics:
        values = table.columns.get(metric.name)
        if values is not None:
            ends = table.collect({"low": values.min(), "high": values.max()})
            if not (np.isfinite(ends["low"]) and np.isfinite(ends["high"])):
                raise ProfileError(
                    f"The formula of {metric.name} gives numbers that are too large.",
                    "Change the formula, or take out the products with extreme values.",
                )


def flags(columns: Mapping[str, Values]) -> dict[str, Values]:
    """Flag -> condition, for those flags that the columns can tell."""
    unsold = columns["units_sold"] <= 0
    found = {"no_sales": unsold, "zero_price": columns["price"] <= 0}
    if "net_revenue" in columns:
        found["net_negative"] = columns["revenue"] < 0
    if "stock" in columns:
        found["sold_out"] = (columns["stock"] <= 0) & ~unsold
        found["never_stocked"] = (columns["stock"] <= 0) & unsold
    if "_oversold" in columns:
        found["oversold"] = columns["_oversold"] > 0
    return {name: found[name] for name in FLAGS if name in found}
