"""How much of what it has a product sells, drawn to its category (empirical Bayes)."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST = 5
"""Categories of fewer products are drawn to all products."""
ROUNDS = 20
LEAST, MOST = 1e-9, 0.99
"""The correlation of two units of a product lies between these; at 0 or 1 there is no prior."""


class Posterior(NamedTuple):
    """Each product's share: its mean and lower end, the mean of its category, and the
    probability that the share is above that."""

    mean: Floats
    low: Floats
    centre: Floats
    above: Floats


def posterior(sold: Floats, left: Floats, category: pl.Series, level: float) -> Posterior:
    """The share sold of each product, given what its category usually sells.

    Shares of a category are Beta(a, b) over its products, and the units sold are binomial. The
    two are found by moments, weighted anew until they settle (Kleinman 1973). Two units of a
    product are alike, so `low` is narrower than life where sales come in large lots.

    Args:
        sold: Units sold; NaN for products that do not count.
        left: Units on hand.
        category: The names; products without one are a category.
        level: Probability of the two-sided interval that `low` is the lower end of.

    Example:
        >>> likely = posterior(np.array([9.0, 900, 50, 40, 60]), np.array([1.0, 100, 50, 60, 40]),
        ...                    pl.Series(5 * ["mugs"]), 0.9)
        >>> likely.mean.round(2)
        array([0.83, 0.9 , 0.51, 0.41, 0.6 ])
    """
    from scipy.special import betainc, betaincinv

    total = sold + left
    counts = total > 0
    group = category.rank("dense").fill_null(0).cast(pl.Int64).to_numpy() if len(category) else (
        np.zeros(0, dtype=np.int64))  # fmt: skip
    size = np.bincount(group[counts], minlength=int(group.max(initial=0)) + 1)
    x, n, of = sold[counts], total[counts], group[counts]
    mean, alike = moments(x, n, of, len(size))
    few = size < FEWEST
    if few.any() and counts.any():
        every = moments(x, n, np.zeros_like(of), 1)
        mean[few], alike[few] = every[0][0], every[1][0]
    weight = 1 / alike - 1
    a, b = (weight * mean)[of], (weight * (1 - mean))[of]
    found = Posterior(*(np.full(len(sold), np.nan) for _ in range(4)))
    found.mean[counts] = (x + a) / (n + a + b)
    found.low[counts] = betaincinv(x + a, n - x + b, (1 - level) / 2)
    found.centre[counts] = mean[of]
    found.above[counts] = 1 - betainc(x + a, n - x + b, mean[of])
    return found


def moments(sold: Floats, total: Floats, group: Ints, groups: int) -> tuple[Floats, Floats]:
    """Each group's mean share, and the correlation of two units of a product, 1 / (a + b + 1)."""

    def sums(values: Floats) -> Floats:
        found: Floats = np.bincount(group, values, groups).astype(np.float64)
        return found

    share, alike = sold / total, np.full(groups, 0.5)
    mean = np.full(groups, 0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(ROUNDS):
            weight = total / (1 + alike[group] * (total - 1))
            all_of = sums(weight)
            mean = sums(weight * share) / all_of
            rest = weight * (1 - weight / all_of[group])
            spread = sums(weight * (share - mean[group]) ** 2)
            chance, own = mean * (1 - mean), sums(rest / total)
            alike = np.nan_to_num((spread - chance * own) / (chance * (sums(rest) - own)))
            alike = np.clip(alike, LEAST, MOST)
    return np.clip(np.nan_to_num(mean), LEAST, 1 - LEAST), alike
