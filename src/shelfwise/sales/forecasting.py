"""forecast(): units expected a week, and quantiles of what the coming weeks will sell.

The models are statsforecast's; their combination and the spread are ours.
"""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.engines import frames, spark
from shelfwise.engines.failures import failures
from shelfwise.errors import InputError, MissingExtraError, excerpt
from shelfwise.sales.lead_time import quantiles
from shelfwise.sales.reading import collected
from shelfwise.sales.weeks import PART, Weekly, weekly

Matrix = NDArray[np.float64]
Progress = Callable[[float], None]

HORIZON, LONGEST = 13, 104
"""Weeks to come: as a rule, and at most; a level forecast says nothing of later years."""
FEWEST_WEEKS = 8
YEAR = 52
WINDOW = 12
ADI = 1.32
CV2 = 0.49
PRIOR_WEEKS = 10
"""What the curve of usual errors weighs, in weeks of a product's own."""
BIN = 10
MOST_BINS = 25
IN_MEMORY = 100_000
"""Products on Spark whose weeks come into memory; there a product costs 80 times more work."""


def forecast(
    source: Any, horizon: int = HORIZON, *, progress: Progress | None = None, **options: Any
) -> pl.DataFrame:
    """Units expected a week, and the quantiles of what `horizon` weeks will sell, per product.

    The forecast is the median of six: SES with an optimized weight, IMAPA, ADIDA, TSB,
    Croston in Syntetos and Boylan's version, and the mean of the last 12 weeks; for smooth
    demand with a year of data it is SES alone. All of them are level: they know no season
    and no trend. A history begins in the week after the first sale, since a history that
    begins with a sale looks like more than it was; weeks out of stock are left out.

    Args:
        source: What `weekly` gave or takes. Of more than 100,000 products on Spark the
            models run there, through statsforecast, which must be installed on its workers.
        horizon: Weeks to come, 1 to 104.
        progress: Called now and then with the share that is done.
        options: Of `weekly`, such as catalog, out_of_stock and period.

    Returns:
        A row a product: product_id, name, `method`, `demand_class`, `weeks` of history,
        `units_per_week`, `error_sd` (of a forecast one week ahead, see `spread`),
        `horizon`, `expected` units over it, its quantiles `q5` to `q99` (see `quantiles`),
        and `reason` where there is no forecast.

    Raises:
        MissingExtraError: statsforecast is not installed.
        InputError: The horizon is no such number.
    """
    refuse_horizon(horizon)
    told = progress or (lambda share: None)
    weeks = weekly(source, **options)
    if frames.is_spark(weeks.frame) and weeks.products.height > IN_MEMORY:
        found = _on_spark(weeks)
    else:
        found = _in_memory(weeks, told)
    told(1.0)
    named = weeks.products.select("product_id", "name")
    table = named.join(with_spread(found), on="product_id", how="left").sort("product_id")
    unsold = pl.col("weeks").is_null()
    table = table.with_columns(
        reason=pl.when(unsold).then(pl.lit("no sale")).otherwise("reason"),
        horizon=pl.lit(horizon, dtype=pl.Int64),
    )
    total = quantiles(table, horizon).drop("product_id")
    return table.hstack(total).select(pl.exclude("reason"), "reason")


def refuse_horizon(horizon: Any) -> None:
    """InputError for what is no number of weeks."""
    whole = isinstance(horizon, int | np.integer) and not isinstance(horizon, bool)
    if not (whole and 1 <= horizon <= LONGEST):
        raise InputError(
            f"The horizon is {excerpt(horizon)}.", f"Give a number of weeks, 1 to {LONGEST}."
        )


def _in_memory(weeks: Weekly, told: Progress) -> pl.DataFrame:
    """What `fitted` gives for all products, part by part, so that memory is bounded."""
    made: list[pl.DataFrame] = []
    every = max(weeks.products.height, 1)
    for n, ids in enumerate(weeks.parts()):
        _, units = weeks.matrix(ids)

        def in_part(share: float, done: int = n * PART, size: int = len(ids)) -> None:
            told((done + share * size) / every)

        made.append(fitted(ids, histories(units, weeks.mask(ids)), in_part))
    return pl.concat(made)


def histories(units: Matrix, masked: NDArray[np.bool_]) -> list[Matrix | None]:
    """The weeks that a forecast is made from: those after the launch, in stock.

    A product that sells in the first week was there before; it has no launch. None where
    there is no sale at all.
    """
    sold = units > 0
    first = sold.argmax(axis=1)
    starts = np.where(first > 0, first + 1, 0).tolist()
    ever: NDArray[np.bool_] = np.any(sold, axis=1)
    gaps: NDArray[np.bool_] = np.any(masked, axis=1)
    found: list[Matrix | None] = []
    for at, start in enumerate(starts):
        row = units[at, start:]
        found.append(None if not ever[at] else row[~masked[at, start:]] if gaps[at] else row)
    return found


def models() -> list[Any]:
    """statsforecast's models, SES first; MissingExtraError where it is not installed."""
    try:
        from statsforecast.models import (
            ADIDA,
            IMAPA,
            TSB,
            CrostonSBA,
            SimpleExponentialSmoothingOptimized,
            WindowAverage,
        )
    except ImportError as error:
        raise MissingExtraError(
            "Forecasts need statsforecast.", "pip install 'shelfwise[forecast]'"
        ) from error
    return [SimpleExponentialSmoothingOptimized(), IMAPA(), ADIDA(), TSB(0.2, 0.2), CrostonSBA(),
            WindowAverage(WINDOW)]  # fmt: skip


SCHEMA = {
    "product_id": pl.String,
    "method": pl.String,
    "demand_class": pl.String,
    "weeks": pl.Int64,
    "units_per_week": pl.Float64,
    "level": pl.Float64,
    "squared": pl.Float64,
    "reason": pl.String,
}
SMOOTH_ALONE = "SES"
COMBINED = "median of six"


def fitted(
    ids: Sequence[str], series: Sequence[Matrix | None], told: Progress = lambda share: None
) -> pl.DataFrame:
    """A row for each history (`SCHEMA`): the forecast, the mean, and the squared error."""
    known = models()
    rows: list[tuple[object, ...]] = []
    for at, (product, y) in enumerate(zip(ids, series, strict=True)):
        if at % 256 == 0:
            told(at / len(ids))
        if y is not None:
            rows.append((product, *_fitted(y, known)))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _fitted(y: Matrix, known: Sequence[Any]) -> tuple[object, ...]:
    weeks, selling = len(y), int(np.count_nonzero(y))
    if weeks < FEWEST_WEEKS or not selling:
        return None, None, weeks, None, None, None, _withheld(weeks)
    units = float(y.sum())
    mean = units / selling
    kind = demand_class(weeks, selling, mean, float(y @ y) / selling - mean**2)
    alone = kind == "smooth" and weeks >= YEAR
    ses, imapa, adida, *others = known
    made = ses.forecast(y=y, h=1, fitted=True)
    errors = y[1:] - made["fitted"][1:]
    means = [float(made["mean"][0])]
    if not alone:
        # IMAPA is the mean of levels of which ADIDA is the last: here there is only one.
        one_level = round((int(np.flatnonzero(y)[-1]) + 1) / selling) == 1
        means += 2 * _means([adida], y) if one_level else _means([imapa, adida], y)
        means += _means(others, y)
        if weeks < WINDOW:  # statsforecast has no mean of the last 12 weeks then.
            means[-1] = units / weeks
    method = SMOOTH_ALONE if alone else COMBINED
    squared = float(errors @ errors) / len(errors)
    return method, kind, weeks, median(means), units / weeks, squared, None


def _means(known: Sequence[Any], y: Matrix) -> list[float]:
    return [float(model.forecast(y=y, h=1)["mean"][0]) for model in known]


def _withheld(weeks: int) -> str:
    if weeks < FEWEST_WEEKS:
        return f"fewer than {FEWEST_WEEKS} weeks after the first sale"
    return "no sale after the first week"


def demand_class(weeks: int, selling: int, mean: float, variance: float) -> str:
    """smooth, erratic, intermittent or lumpy (Syntetos, Boylan and Croston 2005).

    Intervals between weeks with sales are long from a mean of 1.32 on; sizes differ much
    from a squared coefficient of variation of 0.49 on.

    Args:
        weeks: All weeks.
        selling: Weeks with sales, of which `mean` and `variance` are.

    Example:
        >>> demand_class(52, 50, mean=20.0, variance=16.0)
        'smooth'
    """
    rare, varied = weeks >= ADI * selling, variance >= CV2 * mean**2
    if rare:
        return "lumpy" if varied else "intermittent"
    return "erratic" if varied else "smooth"


def with_spread(found: pl.DataFrame) -> pl.DataFrame:
    """What `fitted` gave, with `error_sd` in the place of the raw sums."""
    has = found["units_per_week"].is_not_null().to_numpy()
    squared, level, weeks = (
        found.filter(has)[name].to_numpy() for name in ("squared", "level", "weeks")
    )
    sd = np.full(found.height, np.nan)
    sd[has] = np.sqrt(spread(squared, level, weeks))
    error = pl.Series("error_sd", sd).fill_nan(None)
    kept = ("product_id", "method", "demand_class", "weeks", "units_per_week")
    return found.select(*kept, error, "reason")


def spread(squared: Matrix, level: Matrix, weeks: NDArray[np.int64]) -> Matrix:
    """The variance of a forecast one week ahead, shrunk to that of products of such sales.

    The usual variance is a curve over the logarithm of the mean sales: log(s² / mean) is
    averaged in up to 25 bins of equally many products, at least 10 each, and joined by
    lines. With n weeks of errors the result is (n s² + 10 usual) / (n + 10). Fewer than 10
    products have no curve, and keep their own.

    Args:
        squared: s², the mean squared error of each product's SES one week ahead.
        level: Mean sales a week, above 0.
        weeks: How many weeks s² comes from.

    Example:
        >>> import numpy as np
        >>> squared, level = np.array([8.0] + 10 * [2.0]), np.ones(11)
        >>> spread(squared, level, np.full(11, 30))[0].round(3)
        np.float64(6.567)
    """
    known = squared > 0
    if known.sum() < BIN:
        return squared
    x = np.log(level)
    ratio = np.log(squared[known] / level[known])
    bins = min(MOST_BINS, int(known.sum()) // BIN)
    parts = np.array_split(np.argsort(x[known], kind="stable"), bins)
    centres = np.array([x[known][part].mean() for part in parts])
    heights = np.array([ratio[part].mean() for part in parts])
    # Products of equal sales may fill several bins.
    centres, same = np.unique(centres.round(9), return_inverse=True)
    heights = np.bincount(same, heights) / np.bincount(same)
    usual = level * np.exp(np.interp(x, centres, heights))
    return (weeks * squared + PRIOR_WEEKS * usual) / (weeks + PRIOR_WEEKS)


class _Error:
    """No forecast: the mean squared error of SES one week ahead stands in its place."""

    uses_exog = False

    def __init__(self, ses: Any) -> None:
        self.ses = ses

    def forecast(self, y: Matrix, h: int, **_: Any) -> dict[str, Matrix]:
        errors = y[1:] - self.ses.forecast(y=y, h=h, fitted=True)["fitted"][1:]
        return {"mean": np.full(h, np.mean(errors**2))}

    def __repr__(self) -> str:
        return "squared"


def _on_spark(weeks: Weekly) -> pl.DataFrame:
    """What `fitted` gives, by statsforecast's own way onto Spark; a row a product comes back."""
    known = models()
    from statsforecast import StatsForecast

    keeper = spark.Keeper()
    every = nw.from_native(spark.every_week(weeks.frame.to_native(), weeks.weeks, weeks.masked))
    every = keeper.compute_once(every)
    units = nw.col("units")
    sums = every.group_by("product_id").agg(
        weeks=units.count(),
        selling=nw.when(units > 0).then(1).otherwise(0).sum(),
        total=units.sum(),
        squares=(units**2).sum(),
    )
    enough = (nw.col("weeks") >= FEWEST_WEEKS) & (nw.col("selling") > 0)
    rows = every.filter(~units.is_null()).join(
        sums.filter(enough).select("product_id"), on="product_id", how="semi"
    )
    frame = StatsForecast(models=[*known, _Error(known[0])], freq=1).forecast(
        df=rows.to_native(), h=1, id_col="product_id", time_col="week", target_col="units"
    )
    with failures():
        made = collected(nw.from_native(frame)).drop("week").cast({pl.Float32: pl.Float64})
    return _placed(collected(sums), made, list(map(repr, known)))


def _placed(sums: pl.DataFrame, made: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """The rows of `fitted` from each product's sums and the forecasts of all models."""
    table = sums.join(made, on="product_id", how="left")
    weeks, selling = pl.col("weeks"), pl.col("selling")
    mean = pl.col("total") / selling
    rows = table.select(weeks, selling, mean, pl.col("squares") / selling - mean**2).iter_rows()
    kinds = [demand_class(*row) if row[1] else None for row in rows]
    has = pl.col(names[0]).is_not_null()
    alone = (pl.col("demand_class") == "smooth") & (weeks >= YEAR)
    level = pl.col("total") / weeks
    last = names[-1]
    return table.with_columns(
        pl.Series("demand_class", kinds, dtype=pl.String),
        pl.when(weeks < WINDOW).then(level).otherwise(last).alias(last),
    ).select(
        "product_id",
        method=pl.when(has & alone).then(pl.lit(SMOOTH_ALONE)).when(has).then(pl.lit(COMBINED)),
        demand_class=pl.when(has).then("demand_class"),
        weeks=weeks.cast(pl.Int64),
        units_per_week=pl.when(has & alone).then(names[0])
        .when(has).then(pl.concat_list(names).list.median()),
        level=pl.when(has).then(level),
        squared=pl.col("squared"),
        reason=pl.when(~has).then(weeks.map_elements(_withheld, return_dtype=pl.String)),
    )  # fmt: skip
