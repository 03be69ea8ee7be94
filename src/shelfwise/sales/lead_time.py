"""What a lead time will sell: the demand over several weeks, and its quantiles."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from shelfwise.errors import InputError, excerpt

Matrix = NDArray[np.float64]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99)
NOTHING = 1e-9
"""Fewer units than this are none."""
DRIFT = 0.05
"""How much of a week's variance all weeks of a lead time share: levels move."""


def quantiles(
    forecasts: pl.DataFrame,
    lead_time_weeks: ArrayLike,
    lead_time_sd: ArrayLike = 0.0,
    levels: Sequence[float] = LEVELS,
) -> pl.DataFrame:
    """What a lead time will sell: `expected` units, and for each level `q` its quantile.

    Demand over L weeks is negative binomial with mean d L and variance
    L s² + 0.05 L² s² + d² sL²: the errors of single weeks, the error of the level, which
    all weeks share, and the lead time's own. Where that variance is not above the mean it
    is a Poisson. Quantiles are whole units.

    Args:
        forecasts: What `forecast` gave.
        lead_time_weeks: L, for all products, or one a row; with a review period, L + R.
        lead_time_sd: sL, its standard deviation in weeks.
        levels: Probabilities between 0 and 1; 0.95 gives the column `q95`.

    Raises:
        InputError: A lead time is negative or no number, there is not one for each product,
            or a level is not between 0 and 1.

    Example:
        >>> import polars as pl
        >>> lamp = pl.DataFrame({"product_id": ["7"], "units_per_week": [2.0], "error_sd": [2.0]})
        >>> quantiles(lamp, 3, 1, levels=[0.5, 0.95]).row(0)
        ('7', 6.0, 5.0, 14.0)
    """
    rate, sd = (forecasts[name].to_numpy() for name in ("units_per_week", "error_sd"))
    lead, lead_sd = (_a_row(given, len(rate)) for given in (lead_time_weeks, lead_time_sd))
    if wrong := [level for level in levels if not 0 < level < 1]:
        raise InputError(f"A level is {excerpt(wrong[0])}.", "Give probabilities, such as 0.95.")
    mean, variance = rate * lead, variance_over(rate, sd, lead, lead_sd)
    columns = {f"q{100 * level:g}": quantile(mean, variance, level) for level in levels}
    return forecasts.select("product_id").with_columns(
        pl.Series(name, values).fill_nan(None)
        for name, values in {"expected": mean, **columns}.items()
    )


def _a_row(given: ArrayLike, count: int) -> Matrix:
    """Weeks for each row."""
    weeks = np.asarray(given, dtype=np.float64)
    if weeks.shape not in ((), (count,)):
        raise InputError(
            f"There are {weeks.size} lead times for {count} products.",
            "Give one for all, or one for each.",
        )
    if wrong := weeks[~((weeks >= 0) & np.isfinite(weeks))].tolist():
        raise InputError(f"A lead time is {wrong[0]}.", "Give weeks, 0 or more.")
    return np.broadcast_to(weeks, count)


def variance_over(
    rate: Matrix, sd: Matrix, lead: Matrix | float, lead_sd: Matrix | float = 0.0
) -> Matrix:
    """The variance of the demand over a lead time; see `quantiles`."""
    variance: Matrix = sd**2 * lead * (1 + DRIFT * lead) + (rate * lead_sd) ** 2
    return variance


def quantile(mean: Matrix, variance: Matrix, level: Matrix | float) -> Matrix:
    """The quantile of a negative binomial; of a Poisson where the variance is not above the mean.

    NaN where the mean is. The level may differ from row to row.
    """
    from scipy import stats

    found = np.full(mean.shape, np.nan)
    level = np.broadcast_to(np.asarray(level, dtype=np.float64), mean.shape)
    found[mean < NOTHING] = 0
    some = mean >= NOTHING
    wide = some & (variance > mean * (1 + 1e-9))
    r = mean[wide] ** 2 / (variance[wide] - mean[wide])
    found[wide] = stats.nbinom.ppf(level[wide], r, r / (r + mean[wide]))
    plain = some & ~wide
    found[plain] = stats.poisson.ppf(level[plain], mean[plain])
    return found
