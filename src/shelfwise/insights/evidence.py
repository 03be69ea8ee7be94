"""Evidence: what decisions rest on, from an analysis or from a run that is kept."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.analysis import Analysis
from shelfwise.columns import COLUMN
from shelfwise.errors import InputError, MissingExtraError, excerpt
from shelfwise.model import Model
from shelfwise.pipeline.dates import WRITTEN, days
from shelfwise.sales.weeks import Weekly, weekly

Floats = NDArray[np.float64]

MOST_PRODUCTS = 5_000_000
"""Decisions are made in memory; a product costs about 1 kB."""


@dataclass(frozen=True)
class Evidence:
    """Scored products, and where order lines are known their weeks and what follows from them.

    `products` is a Polars frame, a row a product, with product_id as text. `as_of` is the day
    that it speaks of: dates of orders are counted from there. `period_days` is how long
    `units_sold` took, if that is known; `model` what scored the products. Trends, forecasts
    and elasticities are made of the weeks when they are first asked for, unless they are
    `given` by the names trends, forecast and elasticity.
    """

    products: pl.DataFrame
    as_of: dt.date
    period_days: float | None = None
    weeks: Weekly | None = None
    given: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    model: Model | None = None

    @classmethod
    def of(
        cls,
        source: "Analysis | Evidence",
        *,
        weeks: Any = None,
        as_of: dt.date | None = None,
        period_days: float | None = None,
        given: Mapping[str, pl.DataFrame] | None = None,
    ) -> "Evidence":
        """The evidence of an analysis.

        Args:
            source: What `analyze` gave; evidence is handed back as it is.
            weeks: What `weekly` gave or takes; by default the order lines of the analysis.
            as_of: The day it speaks of; by default the last day of the order lines, or today.
            period_days: Days that `units_sold` took; by default those of the order lines, or
                of the analysis.
            given: Frames of `trends`, `forecast` and `elasticity`, if they are made already.

        Raises:
            InputError: A product stands in several rows.
        """
        if isinstance(source, Evidence):
            return source
        sold = source.source.sold
        if weeks is None and sold is not None and sold.by == "product_id":
            weeks = sold
        days: float | None = None
        if sold is not None:
            days = float((sold.period[1] - sold.period[0]).days + 1)
        frame = in_memory(source.products)
        return cls(
            products=identified(frame),
            as_of=as_of or (sold.period[1] if sold is not None else dt.date.today()),
            period_days=period_days or days or days_of(frame),
            weeks=None if weeks is None else weekly(weeks),
            given=dict(given or {}),
            model=source.model,
        )

    def without(self, out_of_stock: Any) -> "Evidence":
        """The same with weeks out of stock masked; what was made of the weeks is made anew.

        Raises InputError where there are no weeks.
        """
        if self.weeks is None:
            raise InputError("Days out of stock go with order lines.", "Leave them out.")
        masked = weekly(self.weeks, out_of_stock=out_of_stock)
        return replace(self, weeks=masked, given={})

    @property
    def height(self) -> int:
        """How many products there are."""
        return self.products.height

    @property
    def ids(self) -> list[str]:
        """The ids of the products, as text."""
        return self.products["product_id"].to_list()

    def has(self, name: str) -> bool:
        """Whether any product has a value in this column."""
        return name in self.products and self.products[name].null_count() < self.height

    def number(self, name: str) -> Floats:
        """A column as floats; NaN where it is missing."""
        if name not in self.products.columns:
            return np.full(self.height, np.nan)
        column = self.products[name].cast(pl.Float64, strict=False)
        return np.asarray(column.fill_null(np.nan).to_numpy(), dtype=np.float64)

    def text(self, name: str) -> pl.Series:
        """A column as text; null where it is missing."""
        if name not in self.products.columns:
            return pl.Series(name, [None] * self.height, dtype=pl.String)
        return self.products[name].cast(pl.String)

    def truth(self, name: str) -> NDArray[np.bool_]:
        """A column of true and false; false where it is missing."""
        if name not in self.products.columns:
            return np.zeros(self.height, dtype=bool)
        return self.products[name].cast(pl.Boolean, strict=False).fill_null(False).to_numpy()

    def of_products(self, table: pl.DataFrame | None, *names: str) -> pl.DataFrame:
        """Columns of a table by product_id, in the order of the products; null where absent."""
        ids = self.products.select("product_id")
        if table is None:
            return ids.with_columns(pl.lit(None).alias(name) for name in names).select(names)
        wanted = table.select(pl.col("product_id").cast(pl.String), *names)
        joined = ids.join(wanted, on="product_id", how="left", maintain_order="left")
        return joined.select(names)

    @cached_property
    def trends(self) -> pl.DataFrame | None:
        """What `shelfwise.trends` finds in the weeks; None without weeks."""
        from shelfwise.sales import trends

        return self._made("trends", trends)

    @cached_property
    def forecasts(self) -> pl.DataFrame | None:
        """What `shelfwise.forecast` expects; None without weeks, or without statsforecast."""
        from shelfwise.sales import forecast

        try:
            return self._made("forecast", forecast)
        except MissingExtraError:
            return None

    @cached_property
    def elasticities(self) -> pl.DataFrame | None:
        """What `shelfwise.elasticity` estimates; None without weeks, or without revenue in them."""
        from shelfwise.sales import elasticity

        if self.weeks is not None and "revenue" not in self.weeks.values:
            return None
        return self._made("elasticity", elasticity)

    def _made(self, name: str, make: Any) -> pl.DataFrame | None:
        if name in self.given:
            return self.given[name]
        found: pl.DataFrame | None = None if self.weeks is None else make(self.weeks)
        return found

    @cached_property
    def units(self) -> Floats:
        """Units sold, products x weeks, 0 where nothing was sold; no columns without weeks."""
        if self.weeks is None:
            return np.zeros((self.height, 0))
        known = self.weeks.products["product_id"].to_list()
        ids, values = self.weeks.matrix(known)
        places = {name: at for at, name in enumerate(ids)}
        rows = np.array([places.get(name, -1) for name in self.ids], dtype=np.int64)
        found = values[rows] if len(values) else np.zeros((self.height, self.weeks.weeks))
        found[rows < 0] = 0.0
        return found


def days_of(frame: pl.DataFrame) -> float | None:
    """The period from units_per_day, which an analysis with a period has."""
    if "units_per_day" not in frame.columns:
        return None
    sold = frame.filter(pl.col("units_per_day") > 0)
    if sold.is_empty():
        return None
    return float(sold["units_sold"][0] / sold["units_per_day"][0])


def in_memory(native: Any) -> pl.DataFrame:
    """Products of any kind of frame as a Polars frame."""
    frame = nw.from_native(native)
    if isinstance(frame, nw.LazyFrame):
        frame = frame.head(MOST_PRODUCTS + 1).collect(backend="polars")
    if len(frame) > MOST_PRODUCTS:
        raise InputError(
            f"There are more than {MOST_PRODUCTS:,} products.", "Decide for a part of them."
        )
    rows: pl.DataFrame = frame.to_polars()
    return rows


def identified(products: pl.DataFrame) -> pl.DataFrame:
    """The products with ids as text and dates as dates.

    Raises InputError where a product stands in several rows, or where nobody can tell the day
    of a date from its month.
    """
    products = products.with_columns(pl.col("product_id").cast(pl.String))
    twice = products.filter(pl.col("product_id").is_duplicated())
    if twice.height:
        raise InputError(
            f"Product {excerpt(twice['product_id'][0])} stands in {twice.height:,} rows or more.",
            "Decisions are made by product: sum its locations up, or take one of them.",
        )
    for name, kind in products.schema.items():
        if name in COLUMN and COLUMN[name].kind == "date" and kind == pl.String:
            read: pl.DataFrame = days(nw.from_native(products), name).to_native()
            products = read.drop(WRITTEN)
    return products
