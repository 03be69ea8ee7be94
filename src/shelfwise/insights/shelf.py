"""What is known of each product: its demand, its silence, and what its stock is worth."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.insights.deliveries import Receipts
from shelfwise.insights.evidence import Evidence, Floats

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]
Days = NDArray[np.datetime64]

RECENT = 13
"""Weeks of the last 90 days, which are the demand where there is no forecast."""
YEAR = 52
FEWEST_IN_STOCK = 3
"""Weeks in stock (21 days) that a rate needs before anybody counts what was lost."""
UNLIKELY = 0.05
"""A product whose silence before its first sale is less probable was not on sale before."""
NEVER = np.datetime64("NaT", "D")


@dataclass(frozen=True, slots=True)
class Demand:
    """Units expected a week, and the error of that; a number a product, NaN where unknown.

    `basis` says what the rate is made of. `silent` are days since the last sale, not counting
    weeks out of stock; `interval` the mean number of days between weeks with sales before, of
    which there were `selling`; `chance` how probable such a silence would be if nothing had
    changed. `launched` is the first day on sale (NaT where that was before the history),
    `last` the day of the last sale. `lost` are units not sold for want of stock in the last
    year, `before` the units that the coming weeks sold a year ago.
    """

    rate: Floats
    sd: Floats
    basis: NDArray[np.object_]
    silent: Floats
    interval: Floats
    selling: Ints
    chance: Floats
    launched: Days
    last: Days
    lost: Floats
    before: Floats


def demand(known: Evidence, coming: int = RECENT) -> Demand:
    """The demand that decisions rest on.

    The rate is the forecast; else the mean of the last 13 weeks on sale and in stock. Weeks
    after the last sale of a product that is sold out say nothing about its demand: where the
    13 weeks before tell of more than the forecast, they count.

    Args:
        known: The evidence.
        coming: Weeks that `before` is over.
    """
    units = known.units
    sold, weeks = units > 0, units.shape[1]
    at = np.arange(weeks)
    masked = known.weeks is not None and known.weeks.masked is not None
    hidden = known.weeks.mask(known.ids) if known.weeks is not None else sold
    ever = np.any(sold, axis=1)
    first = np.where(ever, np.argmax(sold, axis=1) if weeks else 0, weeks)
    last = np.where(ever, weeks - 1 - np.argmax(sold[:, ::-1], axis=1) if weeks else 0, -1)
    selling = (sold & ~hidden).sum(axis=1)
    on_sale = ((at >= first[:, None]) & (at <= last[:, None]) & ~hidden).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        interval = np.where(selling > 0, np.maximum(on_sale / selling, 1.0), np.nan)
        launched, last_day = _dates(known, first, last, (1 - 1 / interval) ** first < UNLIKELY)
        silent = _silence(known, last_day, (hidden & (at > last[:, None])).sum(axis=1))
        chance = (1 - 1 / interval) ** np.floor(silent / 7)

    # The launch week is there because of a sale; it would make each start look strong.
    counts = ~hidden & (at >= np.where(first > 0, first + 1, 0)[:, None])
    rate, sd, basis = _rates(known, units, counts, last)
    return Demand(
        rate, sd, basis, silent, 7 * interval, selling, chance, launched, last_day,
        _lost(units, hidden, counts) if masked else np.full(known.height, np.nan),
        _a_year_ago(units, coming),
    )  # fmt: skip


def _rates(
    known: Evidence, units: Floats, counts: Mask, last: Ints
) -> tuple[Floats, Floats, NDArray[np.object_]]:
    """Units a week, their error, and what both are known from."""
    weeks = units.shape[1]
    recent, recent_sd = _recent(units, counts, np.full(len(units), weeks - 1))
    forecasts = known.of_products(known.forecasts, "units_per_week", "error_sd")
    rate, sd = (
        np.asarray(forecasts[name].cast(pl.Float64).fill_null(np.nan).to_numpy())
        for name in ("units_per_week", "error_sd")
    )
    foreseen = ~np.isnan(rate) & ~np.isnan(sd)
    rate, sd = np.where(foreseen, rate, recent), np.where(foreseen, sd, recent_sd)
    silent = (known.number("stock") <= 0) & (last >= 0) & (last < weeks - 1)
    basis = np.where(foreseen, "forecast", "last 13 weeks").astype(object)
    some = np.flatnonzero(silent)
    if len(some):
        inside = counts[some] & (np.arange(weeks) <= last[some, None])
        earlier, earlier_sd = _recent(units[some], inside, last[some])
        more = earlier > np.nan_to_num(rate[some])
        cut = some[more]
        rate[cut], sd[cut], basis[cut] = earlier[more], earlier_sd[more], "13 weeks before sold out"
    basis[np.isnan(rate)] = None
    return rate, sd, basis


def _recent(units: Floats, counts: Mask, end: Ints) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the weeks that count among the 13 up to week `end`.

    The deviation is at least that of a Poisson: a few equal weeks do not make demand certain.
    """
    at = end[:, None] - np.arange(min(RECENT, units.shape[1]))
    inside = np.take_along_axis(counts, np.maximum(at, 0), axis=1) & (at >= 0)
    sold = np.where(inside, np.take_along_axis(units, np.maximum(at, 0), axis=1), 0.0)
    number = inside.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sold.sum(axis=1) / number
        squares = np.where(inside, (sold - mean[:, None]) ** 2, 0.0).sum(axis=1)
        variance = np.where(number > 1, squares / np.maximum(number - 1, 1), 0.0)
    return mean, np.sqrt(np.maximum(variance, mean))


def _dates(known: Evidence, first: Ints, last: Ints, new: Mask) -> tuple[Days, Days]:
    """The day of launch and of the last sale: those that are given, else of the weeks."""
    launched, opened, ended = (_days(known, n) for n in ("launch_date", "first_sale", "last_sale"))
    if known.weeks is None:
        return launched, ended
    monday = np.datetime64(known.weeks.first, "D")
    began = np.where(new & (first > 0), monday + 7 * first, NEVER)
    # Sold only since the last whole week.
    began = np.where((first >= known.weeks.weeks) & ~np.isnat(opened), opened, began)
    ended = np.where(np.isnat(ended) & (last >= 0), monday + 7 * last + 6, ended)
    return np.where(np.isnat(launched), began, launched), ended


def _days(known: Evidence, name: str) -> Days:
    if name not in known.products.columns:
        return np.full(known.height, NEVER)
    column = known.products[name]
    if column.dtype == pl.String:
        column = column.str.to_date("%Y-%m-%d", strict=False)
    return np.asarray(column.cast(pl.Date).to_numpy(), dtype="M8[D]")


def _silence(known: Evidence, last_day: Days, masked: Ints) -> Floats:
    """Days in stock since the last sale; of a product never sold, since the history began."""
    if known.weeks is None:
        return np.full(known.height, np.nan)
    since = np.where(np.isnat(last_day), np.datetime64(known.weeks.first, "D"), last_day)
    days = (np.datetime64(known.as_of, "D") - since).astype(np.float64)
    return np.maximum(days - 7.0 * masked, 0.0)


def _lost(units: Floats, hidden: Mask, counts: Mask) -> Floats:
    """Units not sold in the weeks out of stock of the last year, at the rate of the others."""
    units, hidden, counts = units[:, -YEAR:], hidden[:, -YEAR:], counts[:, -YEAR:]
    inside = counts.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(counts, units, 0.0).sum(axis=1) / inside
    missing = rate * hidden.sum(axis=1) - np.where(hidden, units, 0.0).sum(axis=1)
    return np.where(inside >= FEWEST_IN_STOCK, np.maximum(missing, 0.0), np.nan)


def _a_year_ago(units: Floats, coming: int) -> Floats:
    """What the coming weeks sold a year ago; NaN where the history is shorter."""
    weeks = units.shape[1]
    if weeks < YEAR:
        return np.full(len(units), np.nan)
    then = weeks - YEAR
    return np.asarray(units[:, then : then + min(coming, YEAR)].sum(axis=1))


def worth(known: Evidence, receipts: Receipts | None) -> dict[str, Any]:
    """What the products are, and what their stock sells, turns and earns."""
    stock, sold, cost = (known.number(n) for n in ("stock", "units_sold", "unit_cost"))
    price, costly = known.number("price"), ~np.isnan(cost)
    year = 365 / known.period_days if known.period_days else np.nan
    margin = known.number("revenue") - cost * sold
    with np.errstate(divide="ignore", invalid="ignore"):
        invested = np.where(stock * cost > 0, stock * cost, np.nan)
        through = np.where(sold + stock > 0, sold / (sold + stock), np.nan)
        received = _received(known, receipts)
        of_received = np.where(received > 0, sold / received, np.nan)
    return {
        "product_id": known.products["product_id"],
        "name": known.text("name"),
        "category": known.text("category"),
        "supplier": known.text("supplier"),
        "stock": stock,
        "on_order": np.nan_to_num(known.number("on_order")),
        "sell_through": through,
        "sell_through_received": of_received,
        "stock_turn": cost * sold / invested * year,
        "gmroi": margin / invested * year,
        "stock_money": stock * np.where(costly, cost, price),
        "stock_basis": np.where(costly, "cost", "price").astype(object),
        "worth": np.where(costly, cost, price),
        "earns": np.where(costly, price - cost, price),
        "earns_basis": np.where(costly, "margin", "price").astype(object),
    }


def _received(known: Evidence, receipts: Receipts | None) -> Floats:
    """Units received in the period; NaN where no delivery is known."""
    if receipts is None or known.period_days is None:
        return np.full(known.height, np.nan)
    first = known.as_of - dt.timedelta(days=round(known.period_days) - 1)
    inside = receipts.rows.filter(pl.col("received").is_between(first, known.as_of))
    sums = inside.group_by("product_id").agg(units=pl.col("received_quantity").sum())
    units = known.of_products(sums, "units")["units"]
    return np.asarray(units.cast(pl.Float64).fill_null(np.nan).to_numpy())


def rate_of_the_period(known: Evidence) -> dict[str, Any]:
    """Demand and cover of a snapshot whose period is known; no date comes of it."""
    if not known.period_days:
        return {}
    rate = known.number("units_sold") / known.period_days
    with np.errstate(divide="ignore", invalid="ignore"):
        supply = np.where(rate > 0, known.number("stock") / rate, np.nan)
    basis = np.full(known.height, "period", dtype=object)
    return {"daily_demand": rate, "demand_basis": basis, "days_of_supply": supply}
