"""Made-up weekly sales with known truth, as the `Weekly` that forecasts are made from."""

import datetime as dt
from collections.abc import Sequence

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from shelfwise.sales import Weekly

Matrix = NDArray[np.float64]


def weekly(
    units: ArrayLike,
    price: ArrayLike = 1.0,
    category: Sequence[str | None] | None = None,
    masked: Sequence[tuple[str, int]] | None = None,
) -> Weekly:
    """Products p0000, p0001 and so on; only weeks with sales have a row."""
    table = np.atleast_2d(np.asarray(units, dtype=np.float64))
    ids = [f"p{row:04}" for row in range(len(table))]
    row, week = np.nonzero(table)
    revenue = (table * np.asarray(price))[row, week]
    rows = pl.DataFrame({"product_id": [ids[r] for r in row], "week": week.astype(np.int64),
                         "units": table[row, week], "revenue": revenue},
                        schema={"product_id": pl.String, "week": pl.Int64, "units": pl.Float64,
                                "revenue": pl.Float64})  # fmt: skip
    products = pl.DataFrame(
        {"product_id": ids, "name": [f"Product {i}" for i in ids],
         "category": category or [None] * len(ids)},
        schema={"product_id": pl.String, "name": pl.String, "category": pl.String},
    )  # fmt: skip
    out = pl.DataFrame(masked, schema={"product_id": pl.String, "week": pl.Int64}, orient="row")
    return Weekly(nw.from_native(rows.lazy()), dt.date(2023, 1, 2), table.shape[1],
                  products, out if masked else None)  # fmt: skip


def course(
    chance: np.random.Generator, n: int, weeks: int, phi: ArrayLike, sd: ArrayLike
) -> Matrix:
    """A stationary AR(1), in logarithms, whose exponential has the mean 1."""
    phi, sd = np.broadcast_to(phi, n), np.broadcast_to(sd, n)
    shocks = chance.standard_normal((weeks, n))
    e = [sd * shocks[0]]
    for shock in shocks[1:]:
        e.append(phi * e[-1] + np.sqrt(1 - phi**2) * sd * shock)
    return np.array(e).T - sd[:, None] ** 2 / 2


def sold(chance: np.random.Generator, log_mean: Matrix, alpha: float) -> Matrix:
    """Poisson counts around a Gamma of mean 1 and variance alpha times the mean."""
    noise = chance.gamma(1 / alpha, alpha, log_mean.shape)
    return chance.poisson(np.exp(log_mean) * noise).astype(np.float64)


def mixed(chance: np.random.Generator, n: int, weeks: int) -> Matrix:
    """A catalogue without trends: slow and fast, steady and restless, seasonal and not."""
    lam, amp = chance.choice([0.1, 0.3, 1, 3, 10, 40], n), chance.choice([0, 0.3, 0.6], n)
    restless = course(chance, n, weeks, chance.choice([0, 0.5, 0.8], n),
                      chance.choice([0.2, 0.3, 0.4], n))  # fmt: skip
    angle = 2 * np.pi * (np.arange(weeks) / 52 + chance.uniform(0, 1, n)[:, None])
    return sold(chance, np.log(lam)[:, None] + restless + amp[:, None] * np.sin(angle), 0.2)
