"""Which of many products rise or fall: a test that neither season nor autocorrelation fools.

A moderated orthonormal-series HAR test, on the square roots of weekly units. `q` is a week's
weight in the trend, after level and season are taken out; the rows of `c` are slow waves
that see neither level, season nor trend, only the noise that a trend must stand out from.
Because that noise is measured where the trend is, at low frequencies, autocorrelation
is in it. The statistic is linear in the data, so one matrix product serves all products.

P. C. B. Phillips (2005), "HAC estimation by automated regression", Econometric Theory 21.
Y. Sun (2013), "A heteroskedasticity and autocorrelation robust F test using an orthonormal
series variance estimator", Econometrics Journal 16.
G. K. Smyth (2004), "Linear models and empirical Bayes methods for assessing differential
expression", Statistical Applications in Genetics and Molecular Biology 3.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, ndtr, polygamma, stdtr

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

YEAR = 52
WINDOW = 13
"""Weeks that count as recent."""
LEAST_NORM = 0.5
"""A wave of which level, season and trend leave less than this is not used."""
ENOUGH_TO_MODERATE, BINS = 100, 25
JUMP_TERMS, JUMP_EVIDENCE = (16, 48), 11.5
CURVES = (1e-3, -1, 1, -2, 2, -3, 3, -4, 4, -6, 6)
"""Logarithms of the growth over a whole series; the first is a line."""
OFFSET = 0.375
ROUNDING = 1e-20
SMALL = 240_000
"""Multiplications that OpenBLAS still does on one thread."""


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """Weights of the weeks, (1 + B) x weeks, orthonormal: first `q`, below it `c`.

    Each row adds up to 0, and masked weeks weigh 0.
    """

    rows: Floats

    @property
    def q(self) -> Floats:
        """What a series is multiplied with to see its trend."""
        first: Floats = self.rows[0]
        return first

    @property
    def c(self) -> Floats:
        """What it is multiplied with to see its noise, B x weeks."""
        return self.rows[1:]

    @property
    def terms(self) -> int:
        """B, the degrees of freedom of the noise."""
        return len(self.rows) - 1


def harmonics_for(weeks: int, season: int = YEAR) -> int:
    """How many waves a year the season has: 2, or 1 with less than two years."""
    return 2 if weeks >= 2 * season else 1


def terms_for(weeks: int, season: int = YEAR) -> int:
    """How many waves measure the noise: 8 with four years of data, 6 with two, else 4."""
    return 8 if weeks >= 4 * season else 6 if weeks >= 2 * season else 4


def seasonal(t: NDArray[Any], season: int, harmonics: int) -> Floats:
    """Cosines and sines of the year at times `t`, a row for each."""
    angles: Floats = 2 * np.pi * np.outer(np.arange(1, harmonics + 1), t) / season
    return np.vstack([np.cos(angles), np.sin(angles)])


def basis(
    weeks: int,
    season: int = YEAR,
    harmonics: int | None = None,
    terms: int | None = None,
    kept: Mask | None = None,
) -> Basis:
    """The weights that test for a trend over `weeks` weeks.

    `season` is the length of a year in the data's own periods (12 for months), `kept` says
    which weeks count. Made once for each length and mask.

    >>> weights = basis(260)
    >>> weights.rows.shape
    (9, 260)
    >>> bool(abs(weights.rows.sum(axis=1)).max() < 1e-12)
    True
    """
    return _basis(weeks, season, harmonics, terms, 0, _key(kept))


def shift_basis(
    weeks: int,
    window: int = WINDOW,
    season: int = YEAR,
    harmonics: int | None = None,
    terms: int | None = None,
    kept: Mask | None = None,
) -> Basis:
    """The weights that compare the last `window` weeks with all weeks before.

    Its noise is that of the earlier windows of the same width, the latest first.
    """
    return _basis(weeks, season, harmonics, terms, window, _key(kept))


def _key(kept: Mask | None) -> bytes | None:
    return None if kept is None or kept.all() else np.asarray(kept, bool).tobytes()


@lru_cache(maxsize=512)
def _basis(
    weeks: int,
    season: int,
    harmonics: int | None,
    terms: int | None,
    window: int,
    mask: bytes | None,
) -> Basis:
    """Both kinds of weights: for a trend where `window` is 0."""
    kept = np.ones(weeks, bool) if mask is None else np.frombuffer(mask, bool)
    t = np.flatnonzero(kept).astype(float)
    harmonics = harmonics_for(weeks, season) if harmonics is None else harmonics
    terms = terms_for(weeks, season) if terms is None else terms
    level = np.vstack([np.ones(len(t)), seasonal(t, season, harmonics)])
    span = list(np.linalg.qr(level.T)[0].T)
    q, _ = _residual((t >= weeks - window).astype(float) if window else t - t.mean(), span)
    span.append(q if q[-1] > q[0] else -q)
    first = len(span)
    waves = _windows(t, weeks, window) if window else _cosines(t, weeks)
    for wave in waves:
        rest, norm = _residual(wave, span)
        if norm > LEAST_NORM:
            span.append(rest)
        if len(span) == first + terms:
            break
    rows = np.zeros((len(span) - first + 1, weeks))
    rows[:, kept] = span[first - 1 :]
    rows.flags.writeable = False  # It is shared.
    return Basis(rows)


def _cosines(t: Floats, weeks: int) -> Iterable[Floats]:
    return (np.cos(np.pi * j * (t + 0.5) / weeks) for j in range(1, weeks))


def _windows(t: Floats, weeks: int, window: int) -> Iterable[Floats]:
    ends = range(weeks - window, window - 1, -window)
    return (((t >= end - window) & (t < end)).astype(float) for end in ends)


def _residual(wave: Floats, span: list[Floats]) -> tuple[Floats, float]:
    """What of a wave the span leaves, as a unit vector, and which share of its norm that is."""
    size = float(np.linalg.norm(wave))
    if not size:
        return wave, 0.0
    known = np.array(span)
    rest = wave / size
    for _ in range(2):  # The second time for the last digits.
        rest = rest - (known @ rest) @ known
    norm = float(np.linalg.norm(rest))
    return (rest / norm, norm) if norm > 1e-9 else (rest, 0.0)


def root(units: Floats) -> Floats:
    """Square roots whose noise hardly depends on the level; no sale gives 0.

    Because it gives 0, weeks without a row may be left out of a join with the weights.
    """
    r = np.add(units, OFFSET)
    np.sqrt(r, out=r)
    r -= math.sqrt(OFFSET)
    return r


def product(a: Floats, b: Floats) -> Floats:
    """a @ b, in parts so small that BLAS starts no threads for them.

    Its threads would wait for each other wherever the machine has something else to do,
    and the callers' own two do the same work.
    """
    rows, inner = a.shape
    columns = b.shape[1]
    out = np.empty((rows, columns))
    if rows < columns:
        wide = SMALL // max(rows * inner, 1) + 1
        for start in range(0, columns, wide):
            np.matmul(a, b[:, start : start + wide], out=out[:, start : start + wide])
    else:
        high = SMALL // max(columns * inner, 1) + 1
        for start in range(0, rows, high):
            np.matmul(a[start : start + high], b, out=out[start : start + high])
    return out


def statistic(r: Floats, basis: Basis) -> tuple[Floats, Floats]:
    """z, the trend of each row of `r` (products x weeks), and s2, the variance of its noise.

    z / sqrt(s2) follows Student's t with B degrees of freedom where there is no trend.

    >>> units = np.arange(260.0)[None] + np.random.default_rng(1).normal(0, 50, (1, 260))
    >>> z, s2 = statistic(root(units.clip(0)), basis(260))
    >>> bool(z[0] / s2[0]**0.5 > 5)
    True
    """
    seen = product(r, basis.rows.T)
    # Without a wave there is no noise to hold the trend against.
    return seen[:, 0], np.square(seen[:, 1:]).sum(axis=1) / (basis.terms or np.nan)


class Moderated(NamedTuple):
    """Student's t of each product and its degrees of freedom; `s2` as used.

    `prior` is d0: how many degrees of freedom the other products lend to each.
    """

    t: Floats
    df: Floats
    s2: Floats
    prior: float

    @property
    def p(self) -> Floats:
        """Two-sided."""
        return two_sided(self.t, self.df)


def moderated(z: Floats, s2: Floats, terms: Floats | int, mean: Floats) -> Moderated:
    """Tests of which each borrows strength from the noise of all (Smyth 2004, limma).

    `terms` is B, one for all or one for each; `mean` is the mean of the weekly units, on
    which the usual noise depends. With fewer than 100 products nothing is borrowed. A
    product without noise (s2 = 0: constant, or never sold) or with NaN gets NaN.
    """
    b = np.broadcast_to(np.asarray(terms, float), z.shape)
    # What rounding leaves of a constant series is no noise.
    usable = np.isfinite(z) & np.isfinite(s2) & (s2 > ROUNDING * (1 + mean)) & (b > 0)
    used, df = np.full(z.shape, np.nan), np.full(z.shape, np.nan)
    used[usable], df[usable] = s2[usable], b[usable]
    prior = 0.0
    if usable.sum() >= ENOUGH_TO_MODERATE:
        usual, prior = _prior(s2[usable], b[usable], np.log(mean[usable] + 0.01))
        df[usable] += prior
        own = b[usable] / df[usable]  # 0 where the prior says all.
        used[usable] = usual + own * (s2[usable] - usual)
    return Moderated(z / np.sqrt(used), df, used, prior)


def two_sided(t: Floats, df: Floats) -> Floats:
    """The p of Student's t; of a normal variable where df is infinite."""
    low = -np.abs(t)
    p: Floats = 2 * stdtr(np.where(np.isinf(df), 1, df), low)
    return np.where(np.isinf(df), 2 * ndtr(low), p) if np.isinf(df).any() else p


def _prior(s2: Floats, b: Floats, x: Floats) -> tuple[Floats, float]:
    """The usual variance at each level x, s0^2, and how much it is worth, d0."""
    # limma too keeps a hardly possible variance from ruling the fit.
    e = np.log(np.maximum(s2, 1e-5 * np.median(s2))) - digamma(b / 2) + np.log(b / 2)
    bins = min(BINS, len(e) // 4)
    usual = _level_curve(x, e, bins)
    excess = float(np.square(e - usual).sum() / (len(e) - bins) - _mean_trigamma(b / 2))
    if excess <= 0:
        return np.exp(usual), np.inf
    d0 = 2 * inverse_trigamma(excess)
    return np.exp(usual + digamma(d0 / 2) - np.log(d0 / 2)), d0


def _mean_trigamma(y: Floats) -> float:
    some, counts = np.unique(y, return_counts=True)  # It is slow, and B has few values.
    return float(polygamma(1, some) @ counts / len(y))


def _level_curve(x: Floats, e: Floats, bins: int) -> Floats:
    """Means of e over quantile bins of x, interpolated. Equal x share a bin."""
    cuts = np.quantile(x, np.arange(1, bins) / bins)
    place = np.searchsorted(cuts, x, side="right")
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    middle = np.bincount(place, x, bins)[filled] / count[filled]
    height = np.bincount(place, e, bins)[filled] / count[filled]
    return np.interp(x, middle, height)


def inverse_trigamma(x: float) -> float:
    """y with trigamma(y) = x, by Newton's method on 1 / trigamma (Smyth 2004, appendix).

    >>> round(inverse_trigamma(float(polygamma(1, 3.5))), 10)
    3.5
    """
    if x > 1e7:
        return float(1 / np.sqrt(x))
    if x < 1e-6:
        return 1 / x
    y = 0.5 + 1 / x
    for _ in range(50):
        value = float(polygamma(1, y))
        step = value * (1 - value / x) / float(polygamma(2, y))
        y += step
        if -step / y < 1e-10:
            break
    return y


def benjamini_hochberg(p: Floats) -> Floats:
    """q: the false discovery rate at which a product is just reported. NaN is not counted.

    Y. Benjamini and Y. Hochberg (1995), "Controlling the false discovery rate", Journal of
    the Royal Statistical Society B 57.

    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    q = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested])]
    scaled = p[order] * (len(order) / np.arange(1, len(order) + 1))
    q[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return q


class Jump(NamedTuple):
    """Whether a trend is one step: from which week on, and how much better a step fits.

    `evidence` is how much more of the squared movement the best step explains than the
    best smooth curve, in units of what is left per wave.
    """

    week: NDArray[np.intp]
    evidence: Floats
    jump: Mask


def level_jump(r: Floats, season: int = YEAR, kept: Mask | None = None) -> Jump:
    """For series with a trend (products x weeks, `root`): a steady course, or one step?

    A steady course is a line or an exponential curve, because steady growth is curved.
    A step within a quarter of a year of either end is left to the test of the recent
    shift. `kept` (weeks) are the weeks that count, the same for all.

    >>> units = np.where(np.arange(208) < 120, 20.0, 40.0) + np.arange(208) % 3
    >>> found = level_jump(root(units)[None])
    >>> found.week.tolist(), found.jump.tolist()
    ([120], [True])
    """
    weeks = r.shape[1]
    made = basis(weeks, season, terms=JUMP_TERMS[-1], kept=kept)
    seen = product(r, made.rows.T)
    edge = season // 4
    # A step from week k on is the sum of all weeks from k on.
    steps = np.cumsum(made.rows[:, ::-1], axis=1)[:, ::-1][:, edge:-edge]
    steps = steps / np.linalg.norm(steps, axis=0)
    curves = made.rows @ np.exp(np.outer(np.linspace(-0.5, 0.5, weeks), CURVES))
    curves /= np.linalg.norm(curves, axis=0)
    by_step = product(seen, steps)
    best = np.square(by_step).argmax(axis=1)
    along = np.take_along_axis(by_step, best[:, None], axis=1)
    gained = along[:, 0] ** 2 - np.square(product(seen, curves)).max(axis=1)
    left = np.square(seen - along * steps.T[best])
    # The larger of two: slow noise may be stronger than fast noise.
    scale = np.max([left[:, : b + 1].sum(axis=1) / b for b in JUMP_TERMS], axis=0)
    evidence = gained / np.maximum(scale, ROUNDING)
    return Jump(best + edge, evidence, evidence > JUMP_EVIDENCE)
