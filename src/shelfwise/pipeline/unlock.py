"""What would make a product High: the fewest units more that reach the cut."""

from collections.abc import Mapping

import numpy as np

from shelfwise.model import Model
from shelfwise.pipeline.features import features
from shelfwise.pipeline.normalize import normalize
from shelfwise.pipeline.score import key, score
from shelfwise.pipeline.table import Arrays, Floats
from shelfwise.pipeline.tier import cut_key

MOST, DOUBLINGS = 1e15, 52


def units_to_reach(table: Arrays, model: Model) -> Floats:
    """Units to sell beyond those sold, all else as it is; NaN where none would do.

    Revenue moves with the units at the product's own net price; stock, price and the
    model's ranges stay. 0 means that the cut is reached already. Whole products need
    whole units; what is sold in fractions is answered to 1e-6 of its units.
    """
    now = table.columns["units_sold"]
    target = cut_key(model.cut_high, np.inf)
    reached_now = _keys(table, model, now) >= target
    # Selling more may first hurt (at a loss, say): the first crossing is looked for by
    # doubling, then between the two last steps.
    low, high, reachable = now.copy(), now.copy(), reached_now.copy()
    for step in range(DOUBLINGS):
        units = np.minimum((now + 1) * 2.0**step, MOST)
        reached = ~reachable & (_keys(table, model, units) >= target)
        high = np.where(reached, units, high)
        reachable |= reached
        low = np.where(reachable, low, units)
        if reachable.all() or units.min() >= MOST:
            break
    for _ in range(80):
        middle = (low + high) / 2
        reached = _keys(table, model, middle) >= target
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
        if np.all(high - low <= 1e-6 * np.maximum(high, 1.0)):
            break
    whole = now == np.floor(now)
    up = np.where(whole, np.ceil(low), high)
    enough = _keys(table, model, up) >= target
    answer = np.where(enough | ~whole, up, up + 1) - now
    return np.where(reached_now, 0.0, np.where(reachable, answer, np.nan))


def _keys(table: Arrays, model: Model, units: Floats) -> Floats:
    columns: Mapping[str, Floats] = table.columns
    changed = {"units_sold": units}
    if "net_revenue" in columns:
        now = columns["units_sold"]
        own = np.where(
            now > 0, columns["net_revenue"] / np.where(now > 0, now, 1), columns["price"]
        )
        changed["net_revenue"] = own * units
    moved = features(table.with_columns(changed), model.profile)
    moved = moved.with_columns(normalize(moved.columns, model.scales, clipped=model.clip))
    return np.asarray(key(score(moved.columns, model.scales)["performance_score"]))
