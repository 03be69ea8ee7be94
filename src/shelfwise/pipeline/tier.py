"""Quota tiers: the best fifth High, the worst fifth Low, ties together."""

import math
from collections.abc import Mapping

from shelfwise.formula import Values, where
from shelfwise.model import Scale
from shelfwise.pipeline.score import key
from shelfwise.pipeline.table import Table

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


def within_groups(
    table: Table, group: str, scales: tuple[Scale, ...], shares: tuple[float, float]
) -> Table:
    """The same score, rank and tier inside each group, beside the global ones.

    Adds `score_in_group`, `rank_in_group`, `tier_in_group` (a code) and `group_size`.
    A rank decides as a cut does: at most nH - 1 products have a larger score.
    """
    table = table.size_within(group, "group_size")
    parts = {}
    for scale in scales:
        z = table.columns[f"z_{scale.metric}"]
        low, high = table.range_within(f"z_{scale.metric}", group)
        table = table.with_columns({"_low": low, "_width": high - low})
        width = table.columns["_width"]
        fine = width > 1e-12
        parts[scale.metric] = where(
            fine, (z - table.columns["_low"]) / where(fine, width, 1.0), 0.0
        ) * (100.0 * scale.weight)
        table = table.with_columns({f"_part_{scale.metric}": parts[scale.metric]})
    columns = table.columns
    total = columns[f"_part_{scales[0].metric}"]
    for scale in scales[1:]:
        total = total + columns[f"_part_{scale.metric}"]
    table = table.with_columns({"score_in_group": total})
    table = table.with_columns({"_group_key": key(table.columns["score_in_group"])})
    table = table.with_columns({"_group_low_key": 0.0 - table.columns["_group_key"]})
    table = table.rank("_group_key", "rank_in_group", within=group)
    table = table.rank("_group_low_key", "_rank_from_below", within=group)
    columns = table.columns
    size = columns["group_size"] * 1.0
    high = columns["rank_in_group"] <= _quota(size, shares[0])
    low = columns["_rank_from_below"] <= _quota(size, shares[1])
    return table.with_columns(
        {"tier_in_group": where(high & ~low, HIGH, where(low & ~high, LOW, MEDIUM))}
    )


def _quota(size: Values, share: float) -> Values:
    rounded = size * share + 0.5
    return rounded.floor() if hasattr(rounded, "floor") else rounded // 1
