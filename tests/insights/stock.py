"""Evidence for tests of stock: one product with weeks that are said, or the generated shop."""

import datetime as dt
from collections.abc import Sequence
from functools import cache
from typing import Any

import polars as pl

import shelfwise
from shelfwise.demo import Shop, make_shop
from shelfwise.insights import Evidence
from shelfwise.sales import weekly

MONDAY = dt.date(2024, 1, 1)
LAMP = {"product_id": "1", "name": "Lamp", "price": 20.0, "unit_cost": 12.0, "units_sold": 520.0,
        "revenue": 10400.0, "stock": 100.0, "lead_time_days": 14.0, "abc_class": "A"}  # fmt: skip


def evidence(
    units: Sequence[float],
    *,
    rate: float | None = None,
    sd: float | None = None,
    out: Sequence[int] = (),
    **product: Any,
) -> Evidence:
    """A lamp with these weekly units, as of the day after the last week; weeks `out` of stock.

    `rate` and `sd` are its forecast, the weeks' own mean and a Poisson's where not given.
    """
    rows = [{"product_id": "1", "week": MONDAY + dt.timedelta(weeks=n), "units": float(one)}
            | ({"in_stock": n not in out} if out else {})
            for n, one in enumerate(units)]  # fmt: skip
    mean = sum(units) / len(units) if rate is None else rate
    forecast = pl.DataFrame({"product_id": ["1"], "units_per_week": [mean],
                             "error_sd": [mean**0.5 if sd is None else sd]})  # fmt: skip
    return Evidence(
        pl.DataFrame([LAMP | product]),
        MONDAY + dt.timedelta(weeks=len(units)),
        7.0 * len(units),
        weekly(rows),
        {"forecast": forecast},
    )


@cache
def shop() -> tuple[Shop, Evidence]:
    """The generated shop, and the evidence of its four years of order lines."""
    made = make_shop()
    stock = made.products.select("product_id", "stock")
    sold = shelfwise.from_sales(made.order_lines, catalog=made.products, stock=stock)
    return made, Evidence.of(shelfwise.analyze(sold))
