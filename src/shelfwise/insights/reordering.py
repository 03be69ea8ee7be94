"""How much to order and by when, and what of the stock is too much."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shelfwise.insights import stocking as formulas
from shelfwise.insights.evidence import Evidence, Floats
from shelfwise.insights.shelf import Demand
from shelfwise.insights.stock_policy import InventoryPolicy
from shelfwise.sales.lead_time import quantile, variance_over

Values = dict[str, Any]
Mask = NDArray[np.bool_]

LEVELS = {"A": "service_a", "B": "service_b"}
FARTHEST = 3650.0
"""Days; stock for longer than this has no day on which it runs out."""


def ordering(known: Evidence, policy: InventoryPolicy, found: Demand, values: Values) -> Values:
    """Reorder point, risk, quantity and dates; see the formulas of the columns."""
    stock, position = values["stock"], values["stock"] + values["on_order"]
    lead, lead_sd = (
        _or(known.number(name), getattr(policy, name)) / 7
        for name in ("lead_time_days", "lead_time_sd")
    )
    lead_sd, review = np.nan_to_num(lead_sd), policy.review_days / 7
    rate, sd = found.rate, found.sd
    level = _levels(known, policy, values["earns"])
    mean = rate * (lead + review)
    variance = variance_over(rate, sd, lead + review, lead_sd)
    point = quantile(mean, variance, level)

    pack, least = known.number("pack_size"), np.nan_to_num(known.number("min_order_qty"))
    per_pack = np.where(np.isnan(pack), 1.0, pack)
    large = rate * review
    if policy.order_cost is not None:
        keeping = known.number("unit_cost") * policy.holding_share
        best, _ = formulas.economic_order_quantity(policy.order_cost, rate * 365 / 7, keeping)
        large = np.fmax(large, formulas.economic_packs(best, per_pack))
    usual = formulas.whole_packs(np.maximum(large, per_pack), per_pack, least)
    need = np.maximum(point - position, large)
    low = position < point

    some = np.flatnonzero(low)
    wait, late = np.full(known.height, np.nan), np.full(known.height, np.nan)
    wait[some], late[some] = _waiting(
        rate[some], sd[some], lead[some], lead_sd[some], level[some], position[some],
        policy.review_days,
    )  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        supply, both = (np.where(rate > formulas.NOTHING, 7 * units / rate, np.nan)
                        for units in (stock, position))  # fmt: skip
    return {
        "daily_demand": rate / 7,
        "demand_basis": found.basis,
        "days_of_supply": supply,
        "runs_out": _after(known, supply),
        "runs_out_later": _after(known, both),
        "lead_time_demand": mean,
        "service_level": level,
        "reorder_point": point,
        "safety_stock": point - mean,
        "cycle_service": 1 - formulas.chance_above(mean, variance, point),
        "fill_rate": formulas.fill_rate(
            formulas.expected_short(mean, variance, point)
            - formulas.expected_short(mean, variance, point + usual),
            usual,
        ),
        "stockout_risk": formulas.chance_above(mean, variance, position),
        "short": formulas.expected_short(mean, variance, position),
        "low": low,
        "quantity": np.where(low, formulas.whole_packs(need, per_pack, least), np.nan),
        "need": need,
        "pack": pack,
        "lead_days": 7 * lead,
        "by": _after(known, wait),
        "late": late,
        "same_weeks_last_year": found.before,
        "lost_units": found.lost,
        "lost_money": found.lost * values["earns"],
    }


def _or(given: Floats, otherwise: float | None) -> Floats:
    return given if otherwise is None else np.where(np.isnan(given), otherwise, given)


def _levels(known: Evidence, policy: InventoryPolicy, earns: Floats) -> Floats:
    """The service level of each product."""
    classes = known.text("abc_class")
    level = np.full(known.height, policy.service_c)
    for name, setting in LEVELS.items():
        level[(classes == name).fill_null(False).to_numpy()] = getattr(policy, setting)
    if policy.service == "class":
        return level
    keeping = known.number("unit_cost") * policy.holding_share * policy.review_days / 365
    by_cost = np.clip(formulas.critical_ratio(keeping, np.maximum(earns, 0.0)), 0.5, 0.999)
    return np.where(np.isnan(by_cost), level, by_cost)


def _waiting(
    rate: Floats, sd: Floats, lead: Floats, lead_sd: Floats, level: Floats, position: Floats,
    review: float,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Days that an order can wait and keep the service level; and the risk if it does not wait.

    Within the review period there is such a day, or none: then it is today, and too late.
    """

    def risk(days: Floats) -> Floats:
        span = lead + days / 7
        return formulas.chance_above(rate * span, variance_over(rate, sd, span, lead_sd), position)

    early, end = np.zeros(len(rate)), np.full(len(rate), np.ceil(review))
    now = risk(early)
    for _ in range(int(np.ceil(np.log2(review + 1))) + 1):
        middle = np.floor((early + end) / 2)
        fine = risk(middle) <= 1 - level
        early, end = np.where(fine, middle, early), np.where(fine, end, middle)
    return early, now


def _after(known: Evidence, days: Floats) -> NDArray[np.datetime64]:
    """The day so many days from now."""
    whole = np.where(days <= FARTHEST, np.floor(np.fmin(days, FARTHEST)), 0).astype(np.int64)
    found = np.datetime64(known.as_of, "D") + whole
    return np.where(days <= FARTHEST, found, np.datetime64("NaT", "D"))


def surplus(known: Evidence, policy: InventoryPolicy, found: Demand, values: Values) -> Values:
    """Stock that is dead, and stock that is more than is likely to sell."""
    stock, rate = values["stock"], found.rate
    lead = _or(known.number("lead_time_days"), policy.lead_time_days) / 7
    span = np.fmax(policy.overstock_days / 7, lead + policy.review_days / 7)
    mean, variance = rate * span, variance_over(rate, found.sd, span)
    # What ordering itself brings is no overstock, however long the lead time.
    brought = values["reorder_point"] + rate * policy.review_days / 7
    most = np.fmax(quantile(mean, variance, policy.overstock_level), np.ceil(brought))
    most = np.where(np.isnan(rate), np.nan, most)

    today = np.datetime64(known.as_of, "D")
    age = (today - found.launched).astype(np.float64)
    age = np.where(np.isnat(found.launched), np.inf, age)
    # A product that was never sold tells no interval.
    silent = (found.silent >= np.fmax(policy.dead_days, 3 * found.interval)) & (
        age >= policy.dead_days
    )
    silent &= ~(found.chance >= policy.dead_chance)
    dead = silent & (stock > 0)
    over = np.where(dead, 0.0, np.maximum(stock - most, 0.0))
    return {
        "overstock_units": over,
        "overstock_money": over * values["worth"],
        "dead": dead,
        "dead_money": np.where(dead, stock * values["worth"], 0.0),
        "asleep": silent & (stock <= 0),
        "new": age < policy.new_days,
        "judged": today + np.where(np.isinf(age), 0, policy.new_days - age).astype(np.int64),
        "launched": found.launched,
        "sold_last": found.last,
        "silent": found.silent,
        "interval": np.where(found.selling > 1, found.interval, np.nan),
        "chance": found.chance,
        "not_sold": 1 - formulas.chance_above(mean, variance, stock),
        "span": span,
        "expected": mean,
    }
