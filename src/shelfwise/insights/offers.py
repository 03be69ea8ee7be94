"""What each product would gain at each discount, and how sure that is."""

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from shelfwise.insights.choice import Floats
from shelfwise.insights.evidence import Evidence
from shelfwise.insights.inventory import stocked
from shelfwise.sales.prices import LEVEL

if TYPE_CHECKING:
    from shelfwise.insights.campaign import CampaignPolicy


def offered_facts(known: Evidence, policy: "CampaignPolicy") -> dict[str, Any]:
    """What an offer is computed from, for each product."""
    rows = stocked(known)
    stock, on_order, daily = (
        rows[name].fill_null(np.nan).to_numpy() for name in ("stock", "on_order", "daily_demand")
    )
    names = ("elasticity", "low", "high")
    response = known.of_products(known.elasticities, *names).cast(pl.Float64).fill_null(np.nan)
    slope, low, high = (response[name].to_numpy() for name in names)
    if policy.assumed_uplift is None:
        assumed = np.nan
    else:
        assumed = np.log1p(policy.assumed_uplift) / np.log1p(-max(policy.discounts))
    return {
        "product_id": known.products["product_id"],
        "name": known.text("name"),
        "category": known.text("category"),
        "price": known.number("price"),
        "unit_cost": known.number("unit_cost"),
        "available": stock + np.nan_to_num(on_order),
        "base_units": daily * policy.days,
        "elasticity": slope,
        "deviation": (high - low) / (2 * LEVEL),
        "response": np.where(np.isnan(slope), assumed, slope),
    }


def offers_of(facts: dict[str, Any], discounts: Floats, policy: "CampaignPolicy") -> dict[str, Any]:
    """Products x discounts: units, cost, profit, and whether the margin floor is kept."""
    price, cost, base, available, slope = (
        facts[name][:, None]
        for name in ("price", "unit_cost", "base_units", "available", "response")
    )
    lower = price * (1 - discounts)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        wanted = base * (1 - discounts) ** slope
        units = np.minimum(wanted, available)
        return {
            "units": units,
            "short": wanted > available,
            "cost": units * price * discounts + policy.fixed_cost,
            "profit": units * (lower - cost) - base * (price - cost) - policy.fixed_cost,
            "floor": lower - cost >= policy.margin_floor * lower,
        }


def sureness(facts: dict[str, Any], frame: pl.DataFrame) -> Floats:
    """How probable it is that the product adds margin, with the elasticity's uncertainty.

    The profit is above 0 where at least `needed` units are sold, and that is where the
    elasticity is below some value. Nothing is known of an assumed uplift.
    """
    from scipy.special import ndtr

    unit, base = facts["unit_cost"], facts["base_units"]
    units, profit, now, off = (frame[n].to_numpy() for n in ("units", "profit", "now", "off"))
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = units - profit / (now - unit)
        most = np.log(needed / base) / np.log1p(-off)
        sure: Floats = ndtr((most - facts["elasticity"]) / facts["deviation"])
    return sure
