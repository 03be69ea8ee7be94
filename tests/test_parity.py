"""Four shops on every engine: the generated one, Northwind, AdventureWorks, the UCI slice."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import shelfwise
from kinds import Engine
from shelfwise import demo

Data = Callable[[str], Path]


def generated(_: Data) -> dict[str, pl.DataFrame]:
    shop = demo.make_shop(years=2)
    return {"lines": pl.DataFrame(shop.order_lines), "catalog": pl.DataFrame(shop.products)}


def northwind(data: Data) -> dict[str, pl.DataFrame]:
    orders = pl.read_csv(data("northwind/orders.csv")).select("order_id", date="order_date")
    lines = pl.read_csv(data("northwind/order_details.csv")).join(orders, on="order_id")
    products = pl.read_csv(data("northwind/products.csv"))
    return {
        "lines": lines,
        "catalog": products.select("product_id", "product_name", "unit_price"),
        "stock": products.select("product_id", "units_in_stock"),
    }


def adventureworks(data: Data) -> dict[str, pl.DataFrame]:
    catalog = pl.read_csv(data("adventureworks/AdventureWorks_Products.csv")).select(
        product_id="ProductKey", name="ProductName", price="ProductPrice", unit_cost="ProductCost"
    )
    prices = catalog.select(ProductKey="product_id", UnitPrice="price")
    parts = [
        pl.read_csv(data(f"adventureworks/AdventureWorks_Sales_{year}.csv"))
        for year in (2017, 2018, 2019)
    ]
    return {"lines": pl.concat(parts).join(prices, on="ProductKey"), "catalog": catalog}


def uci(data: Data) -> dict[str, pl.DataFrame]:
    path = data("uci_online_retail_slice/online_retail_2010-12_2011-02.csv.gz")
    return {"lines": pl.read_csv(path, infer_schema=False)}


@cache
def in_memory(shop: Callable[[Data], dict[str, pl.DataFrame]], data: Data) -> Any:
    sold = shelfwise.from_sales(**shop(data))
    return sold, shelfwise.analyze(sold)


@pytest.mark.parametrize("shop", [generated, northwind, adventureworks, uci])
def test_a_shop_is_the_same_on_every_engine(
    frame: Engine, shop: Callable[[Data], dict[str, pl.DataFrame]], test_data: Data
) -> None:
    expected_sold, expected = in_memory(shop, test_data)
    given = shop(test_data)
    given["lines"] = frame(given["lines"].to_dict(as_series=False))
    sold = shelfwise.from_sales(**given)
    assert sold.period == expected_sold.period
    for mine, theirs in zip(sold.quality.findings, expected_sold.quality.findings, strict=True):
        assert mine.name == theirs.name
        assert (mine.lines, mine.products) == (theirs.lines, theirs.products)
        assert mine.units == pytest.approx(theirs.units, rel=1e-9)
        assert mine.revenue == pytest.approx(theirs.revenue, rel=1e-9)
    numbers = pl.selectors.float()
    found = shelfwise.analyze(sold)
    # Scored where the lines were counted, too: products, tiers, clusters and ranks.
    counted = frame(sold.products.to_dict(as_series=False))
    there = shelfwise.analyze(counted, period=sold.period)
    for analysis, products in (
        (found, found.products),
        (there, pl.DataFrame(frame.read(there.products)).select(expected.products.columns)),
    ):
        same = products.sort("product_id")
        other = expected.products.sort("product_id")
        exact = [n for n in other.columns if n not in other.select(numbers).columns]
        for name in exact:
            # pandas has no dates of its own: they come back as they are written.
            # And where numbers are missing, whole ones become floats there.
            kind = float if other[name].dtype.is_numeric() else str
            mine, theirs = (
                [None if v is None else kind(v) for v in f[name]] for f in (same, other)
            )
            assert mine == theirs, name
        for name in other.select(numbers).columns:
            assert same[name].is_null().to_list() == other[name].is_null().to_list(), name
            mine, theirs = (f[name].drop_nulls().to_list() for f in (same, other))
            assert mine == pytest.approx(theirs, rel=1e-9), name
        assert analysis.summary["tiers"] == expected.summary["tiers"]
        assert analysis.summary["clusters"] == expected.summary["clusters"]
