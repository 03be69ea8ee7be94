"""Made-up weekly sales with a known course: the judge of every claim about trends.

y_t ~ Poisson(m_t G_t), G_t ~ Gamma(mean 1, variance alpha),
log m_t = log(lam) - sd^2 / 2 + e_t + amp sin(2 pi t / 52 + phase) + growth (t - (T - 1) / 2) / 52,
e a stationary Gaussian AR(1) with coefficient phi and standard deviation sd.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Case(NamedTuple):
    """What a series is made of; `growth` is the logarithm of the factor a year."""

    lam: float
    phi: float = 0.0
    sd: float = 0.0
    amp: float = 0.0
    alpha: float = 0.2
    growth: float = 0.0


UNCHANGED: dict[Case, float] = {
    Case(5, 0, 0, 0, 0.3): 0.046,
    Case(5, 0.5, 0.4, 0, 0.1): 0.048,
    Case(50, 0.8, 0.4, 0, 0.05): 0.052,
    Case(50, 0.9, 0.4, 0, 0.05): 0.071,
    Case(20, 0.5, 0.3, 0.8, 0.1): 0.041,
    Case(0.3, 0, 0, 0, 1): 0.048,
    Case(0.1, 0, 0, 0, 2): 0.048,
}
"""Series without a trend, and how often a test at 5% may call one."""


def series(
    chance: np.random.Generator,
    n: int,
    weeks: int,
    lam: ArrayLike,
    phi: ArrayLike = 0.0,
    sd: ArrayLike = 0.0,
    amp: ArrayLike = 0.0,
    alpha: ArrayLike = 0.2,
    growth: ArrayLike = 0.0,
    season: int = 52,
    step: float = 0.0,
) -> Floats:
    """Weekly units, n x weeks; each setting one for all or one for each product.

    `step` is added to the logarithm of the mean from the middle on.
    """
    lam, phi, sd, amp, alpha, growth = (
        np.broadcast_to(np.asarray(given, float), n) for given in (lam, phi, sd, amp, alpha, growth)
    )
    t = np.arange(weeks)
    log_mean = np.outer(growth, (t - (weeks - 1) / 2) / season)
    log_mean += (np.log(lam) - sd**2 / 2)[:, None]
    phase = chance.uniform(0, 2 * np.pi, n)
    log_mean += amp[:, None] * np.sin(2 * np.pi * t / season + phase[:, None])
    log_mean[:, weeks // 2 :] += step
    if sd.any():
        shocks = chance.standard_normal((weeks, n))
        fresh, e = np.sqrt(1 - phi**2), shocks[0]
        log_mean[:, 0] += sd * e
        for week in range(1, weeks):
            e = phi * e + fresh * shocks[week]
            log_mean[:, week] += sd * e
    mean = np.exp(log_mean)
    noisy = alpha > 0
    shape = 1 / alpha[noisy][:, None]
    mean[noisy] *= chance.gamma(shape, 1 / shape, (int(noisy.sum()), weeks))
    return chance.poisson(mean).astype(float)


class Range(NamedTuple):
    """Products of many kinds: weekly units, growth (a logarithm, mostly 0), units a week."""

    units: Floats
    growth: Floats
    lam: Floats


LEVELS = {0.1: 0.05, 0.3: 0.3, 1.0: 0.3, 3.0: 0.2, 10.0: 0.1, 40.0: 0.05}
"""Units a week, and the share of the products that sell so many: a long tail."""


def catalogue(
    chance: np.random.Generator,
    n: int,
    weeks: int,
    levels: Mapping[float, float] = LEVELS,
    share: float = 0.15,
    factor: float = 1.5,
) -> Range:
    """A mixed range, of which a share grows or shrinks by a factor a year."""
    trending = chance.random(n) < share
    growth = np.where(trending, np.log(factor) * chance.choice([-1, 1], n), 0.0)
    lam = chance.choice(list(levels), n, p=np.array(list(levels.values())) / sum(levels.values()))
    units = series(
        chance, n, weeks, lam, phi=chance.choice([0, 0.5, 0.8], n),
        sd=chance.choice([0.2, 0.3, 0.4], n), amp=chance.choice([0, 0.3, 0.6], n),
        alpha=0.2, growth=growth,
    )  # fmt: skip
    return Range(units, growth, lam)


def shuffled_years(
    chance: np.random.Generator, years: Floats, n: int, each: int | None = None
) -> Floats:
    """Series made of real years (years x periods) in random order: no trend is in them.

    Each uses every year once, or `each` of them.
    """
    count = each or len(years)
    order = np.array([chance.permutation(len(years))[:count] for _ in range(n)])
    return years[order].reshape(n, -1)


def retail_years(path: Path) -> Floats:
    """US retail sales, 24 whole years of 12 months."""
    with path.open(encoding="utf-8") as file:
        values = np.array([float(row["y"]) for row in csv.DictReader(file)])
    whole = len(values) // 12 * 12
    return values[:whole].reshape(-1, 12)


def department_years(path: Path) -> Floats:
    """Walmart's departments: two whole years each, as a share of the department's mean."""
    sales: dict[str, list[float]] = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            sales.setdefault(row["id"], []).append(float(row["Weekly_Sales"]))
    values = np.array(list(sales.values()))[:, :104]
    return 100 * (values / values.mean(axis=1, keepdims=True)).reshape(-1, 52)
