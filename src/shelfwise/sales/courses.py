"""From weekly units to the course of each product: tests, growth, recent shift, labels.

`measure` looks at products one by one, in blocks on two threads, and may be called for
each length of series apart; `judge` compares all that were measured.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shelfwise.sales.growth import MASKED, PART, Codes, fit_growth, interval, projected
from shelfwise.sales.har import (
    WINDOW,
    YEAR,
    Basis,
    Floats,
    Mask,
    Moderated,
    basis,
    benjamini_hochberg,
    moderated,
    root,
    shift_basis,
)

BLOCK, THREADS = 4096, 2
RATE = 0.05
"""The share of false ones among the products called rising or falling."""
LEAST_GROWTH, FLAT = 0.05, 0.10
MOST_MASKED = 0.2


class Measured(NamedTuple):
    """What was seen in each product, before it is held against the others."""

    mean: Floats
    z: Floats
    s2: Floats
    terms: Floats
    log_growth: Floats
    information: Floats
    growth_s2: Floats
    leverage: Floats
    code: Codes
    shift_z: Floats
    shift_s2: Floats
    shift_terms: Floats


class Judged(NamedTuple):
    """The course of each product; NaN where nothing can be said.

    `p` and `q` (false discovery rate) belong to `t`, with `df` degrees of freedom; growth
    is a share a year, with its 95% interval; the shift compares the last weeks with those
    before. `trend` is 1 rising, -1 falling, 0 neither confirmed; `flat` says that the
    interval lies within 10% of none.
    """

    t: Floats
    df: Floats
    p: Floats
    q: Floats
    growth: Floats
    low: Floats
    high: Floats
    trend: NDArray[np.int8]
    flat: Mask
    shift_t: Floats
    shift_p: Floats
    shift_q: Floats


def measure(
    units: Floats, kept: Mask | None = None, season: int = YEAR, window: int = WINDOW
) -> Measured:
    """See each row of `units`, products x weeks, all of one length (at least a season).

    `kept` (products x weeks) says which weeks count; a product of which more than a fifth
    does not count is not tested. Memory beyond `units` is about 20 MB a thread.
    """
    n, weeks = units.shape
    if weeks < season:
        raise ValueError(f"{weeks} weeks are too short; a trend needs {season}.")

    def seen(rows: slice) -> Measured:
        block = units[rows]
        if kept is None or kept[rows].all():
            return _seen(block, None, season, window)
        masks = kept[rows]
        whole = np.atleast_1d(masks.all(axis=1))
        some = ~whole & (masks.mean(axis=1) >= 1 - MOST_MASKED)
        parts = [
            (where, _seen(block[where], which, season, window))
            for where, which in ((whole, None), (some, masks[some]))
            if where.any()
        ]
        return _placed(len(block), parts)

    return joined(_in_blocks(seen, n))


def joined(parts: Iterable[Measured]) -> Measured:
    """Measurements of several groups as one, in their order."""
    return Measured(*map(np.concatenate, zip(*parts, strict=True)))


def judge(seen: Measured, rate: float = RATE) -> Judged:
    """Hold all products against each other: moderation, false discovery rate, labels.

    >>> chance = np.random.default_rng(1)
    >>> means = 20 * np.exp(np.outer([0, 0.4, -0.4], np.arange(208) / 52))
    >>> judge(measure(chance.poisson(means).astype(float))).trend.tolist()
    [0, 1, -1]
    """
    with ThreadPoolExecutor(THREADS) as pool:
        trend, shift, noise = pool.map(
            lambda z, s2, terms: moderated(z, s2, terms, seen.mean),
            (seen.z, seen.shift_z, seen.log_growth),
            (seen.s2, seen.shift_s2, seen.growth_s2),
            (seen.terms, seen.shift_terms, seen.terms),
        )
        (p, q), (shift_p, shift_q) = pool.map(_rates, (trend, shift))
    low, high = interval(seen.log_growth, seen.information, seen.leverage, noise.s2, noise.df)
    growth = np.expm1(seen.log_growth)
    sure = q <= rate
    rises = sure & (trend.t > 0) & (growth >= LEAST_GROWTH)
    falls = sure & (trend.t < 0) & (growth <= -LEAST_GROWTH)
    return Judged(
        trend.t, trend.df, p, q, growth, low, high,
        rises.astype(np.int8) - falls.astype(np.int8), (low >= -FLAT) & (high <= FLAT),
        shift.t, shift_p, shift_q,
    )  # fmt: skip


def _rates(tests: Moderated) -> tuple[Floats, Floats]:
    p = tests.p
    return p, benjamini_hochberg(p)


def _seen(units: Floats, kept: Mask | None, season: int, window: int) -> Measured:
    n, weeks = units.shape
    if kept is None:
        trend, recent = basis(weeks, season), shift_basis(weeks, window, season)
        rows, c = np.vstack([trend.rows, recent.rows]), trend.c
        terms, shift_terms = np.full(n, float(trend.terms)), np.full(n, float(recent.terms))
        mean, k = units.mean(axis=1), len(trend.rows)
    else:
        own = (basis(weeks, season, kept=mask) for mask in kept)
        rows, terms = _stacked(own)
        own = (shift_basis(weeks, window, season, kept=mask) for mask in kept)
        more, shift_terms = _stacked(own)
        k, c = rows.shape[1], rows[:, 1:]
        rows = np.concatenate([rows, more], axis=1)
        mean = np.where(kept, units, 0.0).sum(axis=1) / kept.sum(axis=1)
    seen = np.empty((n, rows.shape[-2]))
    for start in range(0, n, PART):
        part = slice(start, start + PART)
        seen[part] = projected(root(units[part]), rows if rows.ndim == 2 else rows[part])
    noise, shift_noise = (np.square(part).sum(axis=1) for part in (seen[:, 1:k], seen[:, k + 1 :]))
    fit = fit_growth(units, c, season, kept)
    fit = fit._replace(s2=fit.s2 * c.shape[-2] / terms)  # Rows of zeros are no waves.
    return Measured(
        mean, seen[:, 0], noise / terms, terms, *fit,
        seen[:, k], shift_noise / np.where(shift_terms > 0, shift_terms, np.nan), shift_terms,
    )  # fmt: skip


def _stacked(own: Iterable[Basis]) -> tuple[Floats, Floats]:
    """The weights of each product, products x (1 + B) x weeks, 0 where one has fewer; B."""
    each = [one.rows for one in own]
    terms = np.array([len(rows) - 1.0 for rows in each])
    stacked = np.zeros((len(each), max(map(len, each)), each[0].shape[1]))
    for place, rows in zip(stacked, each, strict=True):
        place[: len(rows)] = rows
    return stacked, terms


def _placed(n: int, parts: Iterable[tuple[Mask, Measured]]) -> Measured:
    """Parts of a block in their places; NaN, and its reason, where there is none."""
    columns: list[NDArray[Any]] = [np.full(n, np.nan) for _ in Measured._fields]
    columns[Measured._fields.index("code")] = np.full(n, MASKED)
    for where, part in parts:
        for column, values in zip(columns, part, strict=True):
            column[where] = values
    return Measured(*columns)


def _in_blocks(work: Callable[[slice], Measured], n: int) -> list[Measured]:
    blocks = [slice(start, start + BLOCK) for start in range(0, max(n, 1), BLOCK)]
    if len(blocks) == 1:
        return [work(blocks[0])]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, blocks))
