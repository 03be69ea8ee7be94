"""What describes a range of products: ABC, XYZ, shares, price bands, concentration, stages."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.insights.evidence import Floats
from shelfwise.pipeline.table import Arrays
from shelfwise.pipeline.totals import ABC, abc_class, abc_cuts, concentration

FEWEST_WEEKS = 8
"""Weeks below which their variation says nothing."""


def abc(value: Floats) -> pl.Series:
    """A, B, C or N of each value; null where it is NaN.

    >>> abc(np.array([80.0, 15, 5, 0, -3])).to_list()
    ['A', 'B', 'C', 'N', 'N']
    """
    unknown = np.isnan(value)
    known = np.where(unknown, 0.0, value)
    codes = pl.Series(abc_class(known, abc_cuts(Arrays({"revenue": known}))), dtype=pl.Int64)
    labels = codes.replace_strict(ABC, return_dtype=pl.String)
    return pl.select(pl.when(~pl.Series(unknown)).then(labels)).to_series()


def concentrated(value: Floats) -> dict[str, Any]:
    """HHI, effective number, Gini, and how few hold 80%; NaN counts as nothing.

    >>> found = concentrated(np.array([1.0, 2, 3, 4, 10]))
    >>> round(found["gini"], 9), found["top"]
    (0.4, 3)
    """
    return concentration(Arrays({"revenue": np.nan_to_num(value)}))


def weekly_cv(units: Floats, counts: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Floats]:
    """How many weeks count, and the coefficient of variation of their units.

    The standard deviation is that of the weeks themselves (divided by n). NaN below 8 weeks,
    and where nothing was sold.

    >>> weekly_cv(np.array([[2.0, 4] * 4]), np.ones((1, 8), dtype=bool))[1].round(4).tolist()
    [0.3333]
    """
    n = counts.sum(axis=1)
    seen = np.where(counts, units, 0.0)
    mean = seen.sum(axis=1) / np.maximum(n, 1)
    gaps = np.where(counts, units - mean[:, None], 0.0)
    enough = (n >= FEWEST_WEEKS) & (mean > 0)
    sd = np.sqrt(np.square(gaps).sum(axis=1) / np.maximum(n, 1))
    return n, np.where(enough, sd / np.where(mean > 0, mean, 1.0), np.nan)


def relative_share(revenue: Floats, category: pl.Series) -> Floats:
    """Revenue / the largest revenue of the others in the category; NaN where there is none.

    >>> relative_share(np.array([60.0, 30, 10]), pl.Series(["tea"] * 3)).round(3).tolist()
    [2.0, 0.5, 0.167]
    """
    rows = pl.DataFrame({"revenue": pl.Series(revenue).fill_nan(None), "category": category})
    ranked = pl.col("revenue").rank("ordinal", descending=True).over("category")
    first = pl.col("revenue").max().over("category")
    second = pl.col("revenue").filter(ranked == 2).max().over("category")
    other = pl.when(ranked == 1).then(second).otherwise(first)
    usable = pl.col("category").is_not_null() & (other > 0)
    found = rows.select(pl.when(usable).then(pl.col("revenue") / other).fill_null(np.nan))
    return np.asarray(found.to_series().to_numpy(), dtype=np.float64)


def band_cuts(price: Floats, category: pl.Series) -> pl.DataFrame:
    """category, low_to and high_from: the terciles (type 7) of its prices."""
    rows = pl.DataFrame({"price": pl.Series(price).fill_nan(None), "category": category})
    known = rows.drop_nulls().group_by("category").agg(
        products=pl.len(),
        low_to=pl.col("price").quantile(1 / 3, "linear"),
        high_from=pl.col("price").quantile(2 / 3, "linear"),
    )  # fmt: skip
    return known.filter(pl.col("products") >= 3).drop("products").sort("category")


def bands(price: Floats, category: pl.Series) -> pl.Series:
    """low, middle or high: where a price lies among those of its category.

    >>> bands(np.array([1.0, 2, 3]), pl.Series(["tea"] * 3)).to_list()
    ['low', 'middle', 'high']
    """
    cuts = band_cuts(price, category)
    rows = pl.DataFrame({"price": pl.Series(price).fill_nan(None), "category": category})
    rows = rows.join(cuts, on="category", how="left", maintain_order="left")
    low, high = pl.col("price") <= pl.col("low_to"), pl.col("price") >= pl.col("high_from")
    band = (
        pl.when(low.is_null()).then(None)
        .when(low & ~high).then(pl.lit("low"))
        .when(high & ~low).then(pl.lit("high")).otherwise(pl.lit("middle"))
    )  # fmt: skip
    return rows.select(band.alias("price_band")).to_series()


def lifecycle(
    ended: pl.Series, on_sale: Floats, trend: pl.Series, weeks: pl.Series, new: int, mature: int
) -> pl.Series:
    """The stage of each product; the first that holds, from end of life to mature."""
    rows = pl.DataFrame({"ended": ended, "on_sale": pl.Series(on_sale).fill_nan(None),
                         "trend": trend, "weeks": weeks})  # fmt: skip
    stage = (
        pl.when(pl.col("ended")).then(pl.lit("end_of_life"))
        .when(pl.col("on_sale") < new).then(pl.lit("introduction"))
        .when(pl.col("trend") == "rising").then(pl.lit("growth"))
        .when(pl.col("trend") == "falling").then(pl.lit("decline"))
        .when((pl.col("trend") == "flat") & (pl.col("weeks") >= mature)).then(pl.lit("mature"))
        .otherwise(pl.lit("undetermined"))
    )  # fmt: skip
    return rows.select(stage.alias("lifecycle")).to_series()
