"""evaluate(): how good forecasts would have been on the user's own past."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.errors import InputError
from shelfwise.sales.forecasting import (
    FEWEST_WEEKS,
    YEAR,
    Matrix,
    Progress,
    fitted,
    histories,
    refuse_horizon,
    with_spread,
)
from shelfwise.sales.lead_time import quantile, variance_over
from shelfwise.sales.weeks import weekly

LEVELS = (0.9, 0.95, 0.99)
SAMPLE = 2_000
RIVALS = ("forecast", "naive", "seasonal naive")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a rolling origin found.

    `pooled` has a row for the forecast and for each rival (`method`), `products` one for
    each product and method. `evaluated` products of `of` were forecast at each of
    `origins`, the week numbers at which the past ended.

    | column | meaning |
    |---|---|
    | `forecasts` | how many forecasts were judged |
    | `rmsse` | root mean squared error of a week, over that of naive one week ahead in the \
past; pooled: the mean over products |
    | `wape` | the absolute errors of the horizon's total, over what was sold |
    | `bias` | forecast less sold, over what was sold |
    | `covered_90`, `_95`, `_99` | how often the total was at most its quantile |
    """

    pooled: pl.DataFrame
    products: pl.DataFrame
    horizon: int
    origins: tuple[int, ...]
    evaluated: int
    of: int


def evaluate(
    source: Any,
    horizon: int,
    origins: Sequence[int] | int = 4,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> Evaluation:
    """Forecast the user's past from several points of it, and compare with what came.

    Rivals: naive (each week as the last one) and seasonal naive (as the same week a year
    before; only from a year of history on). Percentage errors of single products are not
    given: they are undefined where nothing sells, and favour forecasts that are too low.

    Args:
        source: What `weekly` gave or takes; of weeks on Spark those of the sample come into
            memory.
        horizon: Weeks to forecast.
        origins: How many, one horizon apart from the end; or the week numbers themselves.
        sample: Above so many products a seeded sample of them is evaluated.
        progress: Called now and then with the share that is done.
        options: Of `weekly`, such as catalog, out_of_stock and period.

    Raises:
        InputError: The history is too short for the horizon and the origins, or no product
            of the sample can be judged.
    """
    refuse_horizon(horizon)
    if sample < 1:
        raise InputError(f"The sample is {sample}.", "Give the number of products, 1 or more.")
    weeks = weekly(source, **options)
    if isinstance(origins, int):
        origins = [weeks.weeks - horizon * n for n in range(origins, 0, -1)]
    at = tuple(sorted(origins))
    if not at or at[0] < FEWEST_WEEKS or at[-1] + horizon > weeks.weeks:
        raise InputError(
            f"{weeks.weeks} weeks are too few to forecast {horizon} weeks from {list(at)}.",
            f"An origin has {FEWEST_WEEKS} weeks before it and the horizon after it.",
        )
    every = weeks.products["product_id"].sort()
    chosen = every.to_list()
    if every.len() > sample:
        rows = np.random.default_rng(seed).choice(every.len(), sample, replace=False)
        chosen = every[np.sort(rows)].to_list()
    ids, units = weeks.matrix(chosen)
    masked = weeks.mask(ids)
    told = progress or (lambda share: None)
    judged = []
    for done, origin in enumerate(at):
        told(done / len(at))
        judged.append(_judged(ids, units, masked, origin, horizon))
    told(1.0)
    rows_of_all = pl.concat(judged)
    if rows_of_all.is_empty():
        raise InputError(
            f"None of {len(ids)} products has a forecast at {list(at)} to compare with sales.",
            f"A product needs {FEWEST_WEEKS} weeks after its first sale, and to be in stock.",
        )
    products = _summed(rows_of_all, ["product_id", "method"]).sort("product_id", "method")
    pooled = _summed(rows_of_all, ["method"])
    mean = products.group_by("method").agg(pl.col("rmsse").mean())
    pooled = pooled.drop("rmsse").join(mean, on="method")
    order = pl.DataFrame({"method": RIVALS})
    pooled = order.join(pooled, on="method", how="left", maintain_order="left")
    return Evaluation(pooled.select(products.columns[1:]), products, horizon, at, len(ids),
                      every.len())  # fmt: skip


def _judged(
    ids: Sequence[str],
    units: Matrix,
    masked: NDArray[np.bool_],
    origin: int,
    horizon: int,
) -> pl.DataFrame:
    """A row for each product and method: sums of what one origin's forecasts were off by."""
    past, future = units[:, :origin], units[:, origin : origin + horizon]
    series = histories(past, masked[:, :origin])
    table = with_spread(fitted(ids, series)).drop_nulls("units_per_week")
    place = {product: row for row, product in enumerate(ids)}
    rows = np.array([place[product] for product in table["product_id"]], dtype=np.int64)
    # What was out of stock in the horizon says nothing about demand.
    whole: NDArray[np.bool_] = ~np.any(masked[rows, origin : origin + horizon], axis=1)
    table, rows = table.filter(whole), rows[whole]
    past_of = [history for row in rows if (history := series[row]) is not None]
    rate, sd = (table[name].to_numpy() for name in ("units_per_week", "error_sd"))
    scale = np.array([np.mean(np.diff(history) ** 2) for history in past_of])
    sold = future[rows]
    total = sold.sum(axis=1)
    last = np.array([history[-1] for history in past_of])
    a_year_before = np.full(sold.shape, np.nan)
    long = np.array([len(history) for history in past_of]) >= YEAR
    if long.any():
        a_year_before[long] = past[rows[long], -YEAR:][:, np.arange(horizon) % YEAR]
    made = {
        "forecast": np.repeat(rate[:, None], horizon, axis=1),
        "naive": np.repeat(last[:, None], horizon, axis=1),
        "seasonal naive": a_year_before,
    }
    found = []
    for method, expected in made.items():
        covered = {f"covered_{100 * level:g}": np.full(len(rows), np.nan) for level in LEVELS}
        if method == "forecast":
            variance = variance_over(rate, sd, float(horizon))
            for level in LEVELS:
                most = quantile(rate * horizon, variance, level)
                covered[f"covered_{100 * level:g}"] = (total <= most).astype(np.float64)
        found.append(
            pl.DataFrame(
                {
                    "product_id": table["product_id"],
                    "method": pl.repeat(method, len(rows), dtype=pl.String, eager=True),
                    "squared": ((expected - sold) ** 2).mean(axis=1),
                    "scale": scale,
                    "error": expected.sum(axis=1) - total,
                    "sold": total,
                    **covered,
                }
            ).filter(~np.isnan(expected[:, 0]))
        )
    return pl.concat(found)


def _summed(rows: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    scaled = pl.col("squared").sum() / pl.col("scale").sum()
    of_sold = pl.col("sold").sum()
    return rows.group_by(by).agg(
        forecasts=pl.len(),
        rmsse=pl.when(pl.col("scale").sum() > 0).then(scaled.sqrt()),
        wape=pl.when(of_sold > 0).then(pl.col("error").abs().sum() / of_sold),
        bias=pl.when(of_sold > 0).then(pl.col("error").sum() / of_sold),
        **{
            f"covered_{100 * level:g}": pl.col(f"covered_{100 * level:g}").fill_nan(None).mean()
            for level in LEVELS
        },
    )
