"""Formulas of stock: how much to order, when, and what a shortage costs; all of them on arrays.

The textbook's functions are those of L. Snyder and Z.-J. Shen, Fundamentals of Supply Chain
Theory (2nd ed. 2019), with the normal distribution; demand over a lead time is negative
binomial here, a Poisson where its variance is not above its mean (see `shelfwise.forecast`).
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

HALVINGS = 100
"""Of an interval that holds a reorder point; floats have no more than 60 to give."""
NOTHING = 1e-9
"""A mean below this is no demand."""


def _floats(*given: ArrayLike) -> list[Floats]:
    return [np.asarray(one, dtype=np.float64) for one in given]


def normal_loss(z: ArrayLike) -> Floats:
    """E[(Z - z)+] of a standard normal Z: G(z) = phi(z) - z (1 - Phi(z)).

    Example:
        >>> float(normal_loss(0.3).round(6))
        0.266761
    """
    from scipy import special

    (z,) = _floats(z)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    # In the far right both terms are equal but for rounding.
    return np.asarray(np.maximum(density - z * special.ndtr(-z), 0.0), dtype=np.float64)


def normal_service(at: ArrayLike, mean: ArrayLike, sd: ArrayLike) -> Floats:
    """The cycle service level: how probable it is that demand does not pass `at`."""
    from scipy import special

    at, mean, sd = _floats(at, mean, sd)
    return np.asarray(special.ndtr((at - mean) / sd), dtype=np.float64)


def normal_shortage(at: ArrayLike, mean: ArrayLike, sd: ArrayLike) -> Floats:
    """The expected shortage a cycle, ESC = sd G((at - mean) / sd), in units."""
    at, mean, sd = _floats(at, mean, sd)
    return sd * normal_loss((at - mean) / sd)


def fill_rate(shortage: ArrayLike, quantity: ArrayLike) -> Floats:
    """The share of demand that is met from the shelf: P2 = 1 - ESC / Q.

    Example: S. Chopra and P. Meindl, Supply Chain Management: demand of 250 a week with a
    standard deviation of 150, two weeks of lead time, orders of 1,000 at 600.
        >>> short = normal_shortage(600, 2 * 250, 150 * 2**0.5)
        >>> float(short.round(2)), float(fill_rate(short, 1000).round(3))
        (43.86, 0.956)
    """
    short, quantity = _floats(shortage, quantity)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(quantity > 0, np.clip(1 - short / quantity, 0.0, 1.0), np.nan)


def normal_reorder_point(
    rate: ArrayLike, sd: ArrayLike, lead: ArrayLike, lead_sd: ArrayLike, level: ArrayLike
) -> Floats:
    """d L + z sqrt(L s² + d² sL²): the stock at which to order, of a normal demand.

    Args:
        rate: d, units a period.
        sd: s, its standard deviation.
        lead: L, periods from order to receipt; `lead_sd` is its standard deviation sL.
        level: The cycle service level that is wanted.

    Example:
        >>> float(normal_reorder_point(50, 5, 6, 2, 0.9).round(1))
        429.1
    """
    from scipy import special

    rate, sd, lead, lead_sd, level = _floats(rate, sd, lead, lead_sd, level)
    spread = np.sqrt(lead * sd**2 + (rate * lead_sd) ** 2)
    return np.asarray(rate * lead + special.ndtri(level) * spread, dtype=np.float64)


def economic_order_quantity(
    order_cost: ArrayLike, demand: ArrayLike, holding: ArrayLike
) -> tuple[Floats, Floats]:
    """Q = sqrt(2 K D / h), and what it costs a period: sqrt(2 K D h).

    Args:
        order_cost: K, what an order costs however large it is.
        demand: D, units a period.
        holding: h, what a unit costs that is kept for a period; NaN comes back where it is 0.

    Example:
        >>> quantity, cost = economic_order_quantity(8, 1300, 0.225)
        >>> float(quantity.round(3)), float(cost.round(3))
        (304.047, 68.411)
    """
    fixed, demand, holding = _floats(order_cost, demand, holding)
    with np.errstate(divide="ignore", invalid="ignore"):
        quantity = np.where(holding > 0, np.sqrt(2 * fixed * demand / holding), np.nan)
    return quantity, np.where(holding > 0, np.sqrt(2 * fixed * demand * holding), np.nan)


def economic_packs(quantity: ArrayLike, pack: ArrayLike) -> Floats:
    """An economic order quantity in whole packs: the cheaper of its two neighbours, in units.

    The cost of Q is proportional to Q / Q* + Q* / Q, so the smaller neighbour is cheaper
    where their product is above Q*². At least one pack.

    Example:
        >>> economic_packs([304.0, 14.0, 3.0], 12).tolist()
        [300.0, 12.0, 12.0]
    """
    quantity, pack = _floats(quantity, pack)
    below = np.floor(quantity / pack) * pack
    above = below + pack
    return np.asarray(
        np.where((below > 0) & (below * above >= quantity**2), below, above)
        + 0 * quantity, dtype=np.float64,
    )  # fmt: skip


def whole_packs(quantity: ArrayLike, pack: ArrayLike, least: ArrayLike = 0.0) -> Floats:
    """The smallest number of whole packs that holds the quantity, and `least`, in units."""
    quantity, pack, least = _floats(quantity, pack, least)
    # 0.3 / 0.1 is a hair above 3.
    return np.asarray(np.ceil(np.maximum(quantity, least) / pack - NOTHING) * pack)


def critical_ratio(holding: ArrayLike, shortage: ArrayLike) -> Floats:
    """p / (p + h): the service level at which one unit more costs as much as it saves."""
    holding, shortage = _floats(holding, shortage)
    with np.errstate(invalid="ignore"):
        return np.asarray(shortage / (shortage + holding), dtype=np.float64)


def newsvendor(
    holding: ArrayLike, shortage: ArrayLike, mean: ArrayLike, sd: ArrayLike, lead: ArrayLike = 0
) -> tuple[Floats, Floats]:
    """The stock S to begin a period with, F(S) = p / (p + h), and its expected cost; normal demand.

    Args:
        holding: h, what a unit costs that is left over.
        shortage: p, what a unit costs that is missing.
        mean: Units a period; `sd` is their standard deviation.
        lead: Periods from order to receipt; S then covers them and the period itself.

    Example:
        >>> stock, cost = newsvendor(0.18, 0.70, 50, 8)
        >>> float(stock.round(3)), float(cost.round(3))
        (56.604, 1.998)
    """
    from scipy import special

    holding, shortage, mean, sd, lead = _floats(holding, shortage, mean, sd, lead)
    mean, sd = mean * (lead + 1), sd * np.sqrt(lead + 1)
    stock = mean + special.ndtri(critical_ratio(holding, shortage)) * sd
    return stock, _cost(stock, holding, shortage, mean, sd)


def _cost(at: Floats, holding: Floats, shortage: Floats, mean: Floats, sd: Floats) -> Floats:
    """What a period costs that begins with this stock: h E[left over] + p E[missing]."""
    missing = normal_shortage(at, mean, sd)
    return holding * (at - mean + missing) + shortage * missing


def newsvendor_poisson(
    holding: ArrayLike, shortage: ArrayLike, mean: ArrayLike
) -> tuple[Floats, Floats]:
    """The same of a Poisson demand: the smallest S with F(S) >= p / (p + h).

    Example:
        >>> stock, cost = newsvendor_poisson(1, 4, 6)
        >>> float(stock), float(cost.round(4))
        (8.0, 3.5701)
    """
    from scipy import stats

    holding, shortage, mean = np.broadcast_arrays(*_floats(holding, shortage, mean))
    stock = np.asarray(stats.poisson.ppf(critical_ratio(holding, shortage), mean), dtype=np.float64)
    missing = expected_short(mean, mean, stock)
    return stock, holding * (stock - mean + missing) + shortage * missing


def reorder_point_for(
    quantity: ArrayLike, holding: ArrayLike, shortage: ArrayLike, mean: ArrayLike, sd: ArrayLike
) -> Floats:
    """The best reorder point r of orders of Q units: that with g(r) = g(r + Q); normal demand.

    g is the newsvendor's cost; it is convex, so r lies within Q below its minimum.

    Args:
        quantity: Q.
        holding: h, what a unit kept costs a period.
        shortage: p, what a missing unit costs a period.
        mean: Of the demand over the lead time; `sd` is its standard deviation.

    Example:
        >>> r = reorder_point_for(318, 0.225, 7.5, 1300 / 12, 150 / 12**0.5)
        >>> float(r.round(3))
        127.788
    """
    quantity, holding, shortage, mean, sd = _floats(quantity, holding, shortage, mean, sd)
    high, _ = newsvendor(holding, shortage, mean, sd)
    low = high - quantity
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        here = _cost(middle, holding, shortage, mean, sd)
        too_high = here < _cost(middle + quantity, holding, shortage, mean, sd)
        low, high = np.where(too_high, low, middle), np.where(too_high, middle, high)
    return (low + high) / 2


def chance_above(mean: Floats, variance: Floats, at: Floats) -> Floats:
    """P(D > at) of a negative binomial demand D; NaN where one of the numbers is.

    Example:
        >>> chance_above(np.array([6.0, 0.0]), np.array([6.0, 0.0]), np.array([8.0, 0.0])).round(4)
        array([0.1528, 0.    ])
    """
    from scipy import stats

    return _of_demand(
        mean, variance, at,
        lambda k, mean, r, p: stats.nbinom.sf(k, r, p),
        lambda k, mean: stats.poisson.sf(k, mean),
    )  # fmt: skip


def expected_short(mean: Floats, variance: Floats, at: Floats) -> Floats:
    """E[(D - at)+] of a negative binomial demand D: how many units will be missing.

    x f(x; r) = mean f(x - 1; r + 1) gives E[D; D > k] = mean P(D' >= k) with D' of r + 1.
    """
    from scipy import stats

    def negative_binomial(k: Floats, mean: Floats, r: Floats, p: Floats) -> Floats:
        missing = mean * stats.nbinom.sf(np.floor(k) - 1, r + 1, p) - k * stats.nbinom.sf(k, r, p)
        return np.asarray(missing)

    def poisson(k: Floats, mean: Floats) -> Floats:
        missing = mean * stats.poisson.sf(np.floor(k) - 1, mean) - k * stats.poisson.sf(k, mean)
        return np.asarray(missing)

    # In the far right both terms are equal but for rounding.
    return np.maximum(_of_demand(mean, variance, at, negative_binomial, poisson), 0.0)


def _of_demand(mean: Floats, variance: Floats, at: Floats, wide: Any, plain: Any) -> Floats:
    """One function of a negative binomial, another of a Poisson, 0 without demand."""
    mean, variance, at = np.broadcast_arrays(*_floats(mean, variance, at))
    found = np.full(mean.shape, np.nan)
    known = ~(np.isnan(mean) | np.isnan(variance) | np.isnan(at))
    found[known & (mean < NOTHING)] = 0.0
    some = known & (mean >= NOTHING)
    over = some & (variance > mean * (1 + NOTHING))
    r = mean[over] ** 2 / (variance[over] - mean[over])
    found[over] = wide(at[over], mean[over], r, r / (r + mean[over]))
    rest = some & ~over
    found[rest] = plain(at[rest], mean[rest])
    return found
