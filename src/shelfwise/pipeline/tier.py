"""Quota tiers: the best fifth High, the worst fifth Low, ties together."""

import math
from collections.abc import Mapping

from shelfwise.formula import Values, clip, floor, log1p, ratio, where
from shelfwise.model import TINY, Scale
from shelfwise.pipeline.score import key
from shelfwise.pipeline.table import Table
from shelfwise.profile import WINSOR

HIGH, MEDIUM, LOW = 2, 1, 0
"""Codes of tiers and clusters inside the pipeline; `LABELS` names them outside."""
LABELS = {HIGH: "High", MEDIUM: "Medium", LOW: "Low"}

SMALL_GROUP = 5


def quota(n: int, share: float) -> int:
    """How many products a share stands for: floor(share n + 1/2).

    >>> [quota(n, 0.2) for n in (1, 2, 3, 4, 10)]
    [0, 0, 1, 1, 2]
    """
    return math.floor(share * n + 0.5)


def fit_cuts(
    table: Table, high_share: float = 0.2, low_share: float = 0.2
) -> tuple[float | None, float | None]:
    """The scores that make a product High, and Low, from `_key`, exactly.

    cut_high is the nH-th largest score, cut_low the nL-th smallest, both after rounding
    to 1e-9; None where the quota is 0.
    """
    n = table.height
    high, low = quota(n, high_share), quota(n, low_share)
    positions = ([n - high] if high else []) + ([low - 1] if low else [])
    found = table.order_statistics("_key", positions)
    cut_high = found.pop(0) / 1e9 if high else None
    return cut_high, (found.pop(0) / 1e9 if low else None)


def tier(keys: Values, cut_high: float | None, cut_low: float | None) -> Values:
    """Tier codes: High from cut_high up, Low from cut_low down, what is both is Medium."""
    high = keys >= cut_key(cut_high, math.inf)
    low = keys <= cut_key(cut_low, -math.inf)
    return where(high & ~low, HIGH, where(low & ~high, LOW, MEDIUM))


def tied(columns: Mapping[str, Values], cut: float | None) -> Values:
    """1 for each product whose score is exactly the cut."""
    return where(columns["_key"] == cut_key(cut, math.inf), 1.0, 0.0)


def cut_key(cut: float | None, absent: float) -> float:
    """A cut as a key; `absent` where there is none."""
    return absent if cut is None else float(math.floor(cut * 1e9 + 0.5))


GROUP = "_group"
"""The column of groups inside the pipeline: text or codes, never null."""


def within_groups(table: Table, scales: tuple[Scale, ...], shares: tuple[float, float]) -> Table:
    """The same score, rank and tier inside each group, beside the global ones.

    Adds `score_in_group`, `rank_in_group`, `tier_in_group` (a code) and `group_size`.
    Metrics are scaled by the group's own range or quantiles (`fixed` goalposts stay).
    A rank decides as a cut does: at most nH - 1 products have a larger score.
    """
    table = table.size_within(GROUP, "group_size")
    for scale in scales:
        table = _scaled_within(table, scale)
    total = table.columns[f"_part_{scales[0].metric}"]
    for scale in scales[1:]:
        total = total + table.columns[f"_part_{scale.metric}"]
    table = table.with_columns({"score_in_group": total})
    table = table.with_columns({"_group_key": key(table.columns["score_in_group"])})
    table = table.with_columns({"_group_low_key": 0.0 - table.columns["_group_key"]})
    table = table.rank("_group_key", "rank_in_group", within=GROUP)
    table = table.rank("_group_low_key", "_rank_from_below", within=GROUP)
    columns = table.columns
    size = columns["group_size"] * 1.0
    high = columns["rank_in_group"] <= floor(size * shares[0] + 0.5)
    low = columns["_rank_from_below"] <= floor(size * shares[1] + 0.5)
    return table.with_columns(
        {"tier_in_group": where(high & ~low, HIGH, where(low & ~high, LOW, MEDIUM))}
    )


def _scaled_within(table: Table, scale: Scale) -> Table:
    """Adds `_part_METRIC`, the metric's points on the scale of the row's group."""
    value = table.columns[scale.metric]
    table = table.with_columns({"_value": log1p(value) if scale.scaling == "log1p" else value})
    low, high = f"_low_{scale.metric}", f"_high_{scale.metric}"
    if scale.scaling == "rank":
        table = table.with_columns({"_mirror": 0.0 - table.columns["_value"]})
        table = table.rank("_value", "_above", within=GROUP)
        table = table.rank("_mirror", "_below", within=GROUP)
        columns = table.columns
        others = columns["group_size"] * 1.0 - 1.0
        # The middle of the places that ties share, as a share of the other products.
        # Where all are equal everybody is first from both ends, and it counts 0.
        table = table.quantiles_within("_value", GROUP, (0.0, 1.0), (low, high))
        columns = table.columns
        some = columns[high] - columns[low] >= TINY
        z = ratio(columns["_below"] - columns["_above"] + others, others * 2.0)
        z = where(some, z, 0.0)
    elif scale.scaling == "fixed":
        z = clip(table.columns["_value"] * scale.factor + scale.shift, 0.0, 1.0)
    else:
        ends = WINSOR if scale.scaling == "winsor" else (0.0, 1.0)
        table = table.quantiles_within("_value", GROUP, ends, (low, high))
        columns = table.columns
        width = columns[high] - columns[low]
        some = width >= TINY
        # By the reciprocal, as over all products: one group of all has the same bits.
        factor = where(some, 1.0 / where(some, width, 1.0), 0.0)
        z = columns["_value"] * factor + (0.0 - columns[low] * factor)
        z = clip(z, 0.0, 1.0)
    if scale.better == "lower":
        # A group in which all are equal counts 0 either way.
        z = where(some, 1.0 - z, 0.0) if scale.scaling != "fixed" else 1.0 - z
    return table.with_columns({f"_part_{scale.metric}": z * (100.0 * scale.weight)})
