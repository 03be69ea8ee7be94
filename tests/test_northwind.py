"""Two real companies with known totals: Northwind's net revenue, AdventureWorks at list price."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import shelfwise
from kinds import DUCKDB

Data = Callable[[str], Path]


@pytest.fixture(scope="module")
def lines(test_data: Data) -> pl.DataFrame:
    """Order lines with what was asked (gross) and what was paid (net of the discount)."""
    read = pl.read_csv(test_data("northwind/order_details.csv"))
    gross = pl.col("unit_price") * pl.col("quantity")
    return read.with_columns(gross=gross, net=gross * (1 - pl.col("discount")))


@pytest.fixture(scope="module")
def products(test_data: Data, lines: pl.DataFrame) -> pl.DataFrame:
    """The catalogue with units and net revenue added up from the order lines."""
    sold = lines.group_by("product_id").agg(
        units_sold=pl.col("quantity").sum(), net_revenue=pl.col("net").sum()
    )
    catalogue = pl.read_csv(test_data("northwind/products.csv"))
    return catalogue.join(sold, on="product_id", how="left").select(
        "product_id",
        "units_sold",
        "net_revenue",
        name="product_name",
        price="unit_price",
        stock="units_in_stock",
        category=pl.col("category_id").cast(pl.String),
    )


def test_the_lines_add_up_to_the_known_totals(lines: pl.DataFrame) -> None:
    assert lines.height == 2155
    assert lines["gross"].sum() == pytest.approx(1_354_458.59, abs=0.05)
    assert lines["net"].sum() == pytest.approx(1_265_793.04, abs=0.05)


def test_total_revenue_is_the_net_of_the_order_lines(
    products: pl.DataFrame, lines: pl.DataFrame
) -> None:
    analysis = shelfwise.analyze(products)
    assert analysis.summary["products"] == 77
    assert analysis.summary["total_revenue"] == pytest.approx(lines["net"].sum(), abs=1e-6)
    assert analysis.summary["total_revenue"] == pytest.approx(1_265_793.04, abs=0.05)


def test_duckdb_adds_up_to_the_same(products: pl.DataFrame) -> None:
    analysis = shelfwise.analyze(DUCKDB.make(products.to_dict(as_series=False)))
    assert analysis.summary["total_revenue"] == pytest.approx(1_265_793.04, abs=0.05)
    here = shelfwise.analyze(products).products.sort("product_id")
    there = analysis.products.pl().sort("product_id")
    for name in ("performance_score", "performance_tier", "cluster", "rank", "abc_class"):
        assert there[name].to_list() == here[name].to_list()


def test_the_top_product_is_the_known_one(products: pl.DataFrame) -> None:
    analysis = shelfwise.analyze(products)
    best = analysis.products.sort("revenue", descending=True).row(0, named=True)
    assert best["product_id"] == 38
    assert best["units_sold"] == 623
    assert best["revenue"] == pytest.approx(141_396.74, abs=0.01)
    assert best["abc_class"] == "A"
    assert best["performance_tier"] == "High"
    assert analysis.explain(38).contributions["revenue"] == 50.0


def test_list_price_times_units_overstates_the_revenue(products: pl.DataFrame) -> None:
    listed = shelfwise.analyze(products.drop("net_revenue")).summary["total_revenue"]
    net = shelfwise.analyze(products).summary["total_revenue"]
    assert listed / net - 1 == pytest.approx(0.145, abs=0.001)


def test_the_five_sold_out_products_are_flagged(products: pl.DataFrame) -> None:
    flagged = shelfwise.analyze(products).products.filter(pl.col("flags").str.contains("sold_out"))
    assert flagged.height == 5
    assert set(flagged["stock"]) == {0}
    assert set(flagged["stock_ratio"]) == {1.0}


def test_the_tiers_are_a_fifth_of_77(products: pl.DataFrame) -> None:
    assert shelfwise.analyze(products).summary["tiers"] == {"High": 15, "Medium": 47, "Low": 15}


def test_adventureworks_at_list_price_adds_up(test_data: Data) -> None:
    sales = pl.concat(
        pl.read_csv(test_data(f"adventureworks/AdventureWorks_Sales_{year}.csv"))
        for year in (2017, 2018, 2019)
    )
    catalogue = pl.read_csv(test_data("adventureworks/AdventureWorks_Products.csv"))
    sold = sales.group_by("ProductKey").agg(units_sold=pl.col("OrderQuantity").sum())
    rows = catalogue.join(sold, on="ProductKey", how="left").select(
        product_id="ProductKey",
        name="ProductName",
        price="ProductPrice",
        unit_cost="ProductCost",
        units_sold=pl.col("units_sold").fill_null(0),
    )
    analysis = shelfwise.analyze(rows, profile="margin")
    assert sales.height == 56_046
    assert analysis.summary["total_revenue"] == pytest.approx(24_914_586.82, abs=0.005)
    margin = analysis.products["gross_margin"].sum()
    assert margin == pytest.approx(24_914_586.82 - 14_456_871.39, abs=0.01)
