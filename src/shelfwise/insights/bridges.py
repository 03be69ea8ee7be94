"""Two runs taken apart: revenue by cause, scores by own change and peers, change beyond chance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from shelfwise.insights.evidence import Evidence, Floats
from shelfwise.model import Model
from shelfwise.pipeline.normalize import normalize
from shelfwise.pipeline.score import score

CAUSES = ("volume", "price", "mix", "new", "lost")
A_YEAR = 51
"""Whole weeks that any year has; in shorter periods a change may be the season."""
WAVES = 6
"""Slow waves of each period that the noise is told by."""


def revenue_bridge(
    revenue: tuple[Floats, Floats], units: tuple[Floats, Floats]
) -> dict[str, Floats]:
    """The change of each product's revenue by cause; the five add up to it exactly.

    With p = revenue / units and Q the units of all products sold in both periods:
    volume = p0 q0 (Q1/Q0 - 1), what it would have gained had it moved as all units did;
    mix = p0 (q1 - q0 Q1/Q0), what it gained on the others; price = (p1 - p0) q1. What sold in
    one period only is new, or lost. Sums over a category or over all are the bridge of that.

    Args:
        revenue: Before and after; 0 for a product that was not there.
        units: The same.

    >>> bridge = revenue_bridge((np.array([100.0, 50]), np.array([180.0, 60])),
    ...                         (np.array([10.0, 10]), np.array([15.0, 15])))
    >>> {cause: gained.tolist() for cause, gained in bridge.items() if gained.any()}
    {'volume': [50.0, 25.0], 'price': [30.0, -15.0]}
    """
    (r0, r1), (q0, q1) = revenue, units
    sold0, sold1 = (r0 != 0) | (q0 > 0), (r1 != 0) | (q1 > 0)
    both = sold0 & sold1
    total0, total1 = float(q0[both].sum()), float(q1[both].sum())
    # Without units before nothing can have moved as all units did.
    growth = total1 / total0 if total0 > 0 else 1.0
    p0 = np.where(q0 > 0, r0 / np.where(q0 > 0, q0, 1), r1 / np.where(q1 > 0, q1, 1))
    volume = np.where(both, q0 * (growth - 1) * p0, 0.0)
    mix = np.where(both, (q1 - q0 * growth) * p0, 0.0)
    # Equal to (p1 - p0) q1, and right also where revenue came without units.
    price = np.where(both, (r1 - r0) - (q1 - q0) * p0, 0.0)
    return {"volume": volume, "price": price, "mix": mix,
            "new": np.where(sold1 & ~sold0, r1, 0.0),
            "lost": np.where(sold0 & ~sold1, -r0, 0.0)}  # fmt: skip


def scored_under(model: Model, products: Evidence) -> Mapping[str, Floats] | None:
    """`performance_score` and contributions of products under a model; None if it needs more."""
    own = products.model.profile if products.model else None
    columns: dict[str, Floats] = {}
    numbers = {n: products.number(n) for n, kind in products.products.schema.items()
               if kind.is_numeric()}  # fmt: skip
    for scale in model.scales:
        metric = model.profile.metric(scale.metric)
        same = own is not None and own.metric(metric.name) == metric
        if metric.name in numbers and (same or metric.formula(set(numbers)) is None):
            columns[metric.name] = numbers[metric.name]
        elif metric.formula(set(numbers)) is not None:
            columns[metric.name] = np.asarray(metric.evaluate(numbers), dtype=np.float64)
        else:
            return None
    columns |= normalize(columns, model.scales, clipped=model.clip)
    return score(columns, model.scales)


def step_test(before: Floats, after: Floats, apart: int) -> tuple[Floats, Floats]:
    """t and p of a step in weekly units between two periods, after season and slow swings.

    R = sqrt(y + 3/8); q = unit residual of "in the second period" on 1 and two waves of the
    year; t = R.q / s, s^2 the mean square of R on up to 6 cosines of each period apart, after
    the same and q, moderated over all products: the test of the trends, for a step. NaN
    where nothing was sold, or always the same.

    Args:
        before: Products x weeks of the first period, 51 weeks or more.
        after: The same products in the second one.
        apart: Weeks from the first week of the one to the first week of the other.
    """
    from shelfwise.sales.har import YEAR, moderated, root, seasonal

    weeks = (before.shape[1], after.shape[1])
    first = np.arange(sum(weeks)) < weeks[0]
    t = np.concatenate([np.arange(weeks[0]), apart + np.arange(weeks[1])])
    span = [np.ones(len(t)), *seasonal(t, YEAR, 2), np.where(first, 0.0, 1.0)]
    for n, inside in zip(weeks, (first, ~first), strict=True):
        for j in range(1, WAVES + 1):
            wave = np.zeros(len(t))
            wave[inside] = np.cos(np.pi * j * (np.arange(n) + 0.5) / n)
            span.append(wave / np.linalg.norm(wave))
    columns, heights = np.linalg.qr(np.array(span).T)
    signs = np.sign(np.diag(heights))
    q = columns[:, 5] * signs[5]
    noise = columns[:, 6:][:, np.abs(np.diag(heights))[6:] > 0.5]
    series = root(np.hstack([before, after]))
    s2 = np.square(series @ noise).mean(axis=1)
    mean = np.hstack([before, after]).mean(axis=1)
    found = moderated(series @ q, s2, noise.shape[1], mean)
    return found.t, found.p


def settled(
    tiers: Sequence[pl.Series], sure: Sequence[pl.Series], least: float
) -> tuple[list[pl.Series], pl.Series]:
    """The tier that counts in each run, oldest first, and why the last move counts.

    A tier counts where the product was in it before, where P(tier) >= `least`, or where it
    has held for two runs. The first tier of a product counts as it is.

    Args:
        tiers: The tier of each product in each run, oldest first; null where it was not there.
        sure: P(tier) of it in the same run; null where nobody knows.
        least: 0.7 lets a move count that is right in 7 of 10 draws.

    >>> runs = [pl.Series(["Low", "Low"]), pl.Series(["High", "High"]), pl.Series(["High", "Low"])]
    >>> doubt = [pl.Series([0.5, 0.5])] * 3
    >>> [one.to_list() for one in settled(runs, doubt, 0.7)[0]]
    [['Low', 'Low'], ['Low', 'Low'], ['High', 'Low']]
    """
    counted = [tiers[0]]
    why = pl.Series([None] * len(tiers[0]), dtype=pl.String)
    for before, tier, certain in zip(tiers, tiers[1:], sure[1:], strict=False):
        rows = pl.DataFrame({"was": counted[-1], "before": before, "tier": tier, "p": certain})
        enough = (pl.col("p") >= least).fill_null(False)
        held = (pl.col("before") == pl.col("tier")).fill_null(False)
        moves = (pl.col("was") != pl.col("tier")).fill_null(False)
        found = rows.select(
            now=pl.when(pl.col("was").is_null() | enough | held).then("tier")
            .otherwise(pl.coalesce(pl.when(pl.col("tier").is_not_null()).then("was"), "tier")),
            why=pl.when(moves & enough).then(pl.lit("sure"))
            .when(moves & held).then(pl.lit("held for two runs")),
        )  # fmt: skip
        counted.append(found["now"])
        why = found["why"]
    return counted, why


def added_up(bridge: pl.DataFrame, by: str | None) -> pl.DataFrame:
    """The bridge of each value of a column, or of all: before, after, change, and the causes."""
    sums = [pl.col(n).sum() for n in ("before", "after", "change", *CAUSES)]
    return bridge.group_by(by).agg(sums).sort(by, nulls_last=True) if by else bridge.select(sums)


def matrix(rows: pl.DataFrame, before: str, after: str, tiers: Sequence[str]) -> dict[str, Any]:
    """How many products went from which tier to which."""
    counted = rows.group_by(before, after).len().rows()
    found = {(one, other): count for one, other, count in counted}
    return {one: {other: found.get((one, other), 0) for other in tiers} for one in tiers}
