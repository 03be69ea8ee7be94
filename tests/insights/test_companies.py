"""Two companies whose files nobody made for us: products, vendors, lead times, stock, costs."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import shelfwise
from shelfwise.insights import Evidence, InventoryPolicy, SuppliersPolicy
from shelfwise.insights.inventory import inventory
from shelfwise.insights.marketing import marketing
from shelfwise.insights.orders import orders
from shelfwise.insights.portfolio import portfolio
from shelfwise.insights.suppliers import suppliers

Data = Callable[[str], Path]


def test_northwind_never_orders_what_is_discontinued(test_data: Data) -> None:
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    orders = pl.read_csv(test_data("northwind/orders.csv"))
    details = pl.read_csv(test_data("northwind/order_details.csv"))
    paid = pl.col("unit_price") * pl.col("quantity") * (1 - pl.col("discount"))
    lines = details.join(orders.select("order_id", "order_date"), on="order_id").select(
        "product_id", "quantity", pl.col("order_id").cast(pl.String), date="order_date",
        line_total=paid,
    )  # fmt: skip
    catalogue = pl.read_csv(test_data("northwind/products.csv")).select(
        "product_id", name="product_name", price="unit_price", stock="units_in_stock",
        on_order="units_on_order", discontinued=pl.col("discontinued") == 1,
    )  # fmt: skip
    scored = shelfwise.analyze(shelfwise.from_sales(lines, catalog=catalogue))
    section = inventory(scored, InventoryPolicy(lead_time_days=14))
    gone = catalogue.filter("discontinued")["name"]
    rows = section.rows.filter(pl.col("name").is_in(gone.to_list()))
    assert rows.height == len(gone) == 10
    assert set(rows["action"]) == {"run_out"}
    assert rows["order_quantity"].null_count() == 10
    chang = rows.filter(name="Chang").row(0, named=True)
    assert "40 more are on order: cancel them if you can" in chang["reason"]
    sold_out = rows.filter(pl.col("stock") == 0)["name"].to_list()
    assert "Alice Mutton" in sold_out
    ordered = section.rows.filter(action="reorder")
    gorgonzola = ordered.filter(name="Gorgonzola Telino").row(0, named=True)
    assert gorgonzola["stock"] == 0
    assert gorgonzola["reason"].startswith("sold out; sells about")
    assert "70 on order are counted" in gorgonzola["reason"]
    assert set(ordered["money_basis"]) == {"price"}
    assert section.rows["order_money"].null_count() == 77


@pytest.fixture(scope="module")
def works(test_data: Data) -> Evidence:
    """AdventureWorks: each product bought from the fastest of its vendors."""
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    folder = test_data("adventureworks")
    read = {name: pl.read_csv(folder / f"{name}.csv") for name in (
        "AdventureWorks_Products", "oltp_product", "oltp_product_inventory", "oltp_product_vendor",
        "oltp_vendor")}  # fmt: skip
    held = read["oltp_product_inventory"].group_by("ProductID").agg(stock=pl.col("Quantity").sum())
    vendors = read["oltp_product_vendor"].join(read["oltp_vendor"], on="BusinessEntityID")
    fastest = vendors.sort("AverageLeadTime", "Name").group_by("ProductID").first()
    bought = read["oltp_product"].join(held, on="ProductID").join(
        fastest, on="ProductID", how="left"
    ).select("stock", ProductSKU="ProductNumber", supplier="Name_right",
             lead_time_days="AverageLeadTime")  # fmt: skip
    catalogue = read["AdventureWorks_Products"].join(bought, on="ProductSKU").select(
        "stock", "supplier", "lead_time_days", product_id="ProductKey", name="ProductName",
        price="ProductPrice", unit_cost="ProductCost",
        category=pl.col("ProductSubcategoryKey").cast(pl.String),
    )  # fmt: skip
    sales = pl.concat(pl.read_csv(folder / f"AdventureWorks_Sales_{year}.csv")
                      for year in (2017, 2018, 2019))  # fmt: skip
    lines = sales.join(catalogue, left_on="ProductKey", right_on="product_id").select(
        product_id="ProductKey", date="OrderDate", quantity="OrderQuantity", unit_price="price"
    )
    sold = shelfwise.from_sales(lines, catalog=catalogue, dates="month-first")
    return Evidence.of(shelfwise.analyze(sold))


def test_adventureworks_orders_from_its_vendors_and_clears_what_never_sold(works: Evidence) -> None:
    section = inventory(works)
    assert section.rows.height == 223
    assert section.summary["as_of"] == dt.date(2019, 6, 30)
    rack = section.rows.filter(name="Hitch Rack - 4-Bike").row(0, named=True)
    assert (rack["stock"], rack["action"]) == (0, "reorder")
    assert rack["supplier"] == "Green Lake Bike Company"
    assert rack["amount"] >= rack["reorder_point"] > 45 * rack["daily_demand"]
    assert rack["order_money"] == pytest.approx(rack["amount"] * 44.88)
    assert rack["money_basis"] == "margin"
    never = section.rows.filter(pl.col("reason").str.starts_with("never sold"))
    assert never.height == 92
    assert set(never["action"]) == {"clear"}
    assert not section.rows.filter(pl.col("action") == "reorder")["supplier"].is_null().any()
    withheld = [one for one in section.withheld if "lead time" in one.why]
    assert "140 products" in withheld[0].why


def test_adventureworks_orders_and_cards_add_up_by_vendor(works: Evidence) -> None:
    stocked = inventory(works)
    proposed = orders(stocked)
    bought = stocked.rows.filter(action="reorder").group_by("supplier").agg(
        pl.col("order_money").sum()).sort("supplier")  # fmt: skip
    told = pl.DataFrame(proposed.summary["suppliers"]).sort("supplier")
    assert told["supplier"].to_list() == bought["supplier"].to_list()
    assert told["money"].to_list() == pytest.approx(bought["order_money"].to_list())

    cards = suppliers(works)
    vendors = works.products.drop_nulls("supplier").group_by("supplier").agg(
        pl.len().alias("products"), pl.col("revenue").sum(),
        lead_time=pl.col("lead_time_days").mean(),
    ).sort("supplier")  # fmt: skip
    rows = cards.rows.sort("supplier")
    assert rows["supplier"].to_list() == vendors["supplier"].to_list()
    assert rows["products"].to_list() == vendors["products"].to_list()
    assert rows["revenue"].to_list() == pytest.approx(vendors["revenue"].to_list())
    over = stocked.rows.drop_nulls("supplier").group_by("supplier").agg(
        pl.col("dead_money").sum()).sort("supplier")  # fmt: skip
    assert rows["dead_money"].to_list() == pytest.approx(over["dead_money"].to_list())
    assert any(one.what == "how they deliver" for one in cards.withheld)
    alone = cards.rows.filter(action="second_source")
    assert alone.height
    assert alone["reason"].str.starts_with("It is the only supplier of ").all()
    # A setting of stock counts in what rests on it: nothing is dead before it is 10 years old.
    young = suppliers(works, SuppliersPolicy(inventory=InventoryPolicy(dead_days=3650)))
    assert young.rows["dead_money"].sum() == 0 < rows["dead_money"].sum()


def test_adventureworks_uses_one_word_for_one_rule(works: Evidence) -> None:
    cleared = set(inventory(works).rows.filter(action="clear")["product_id"])
    assert set(marketing(works).rows.filter(action="clear")["product_id"]) == cleared
    assert not set(portfolio(works).rows["action"].drop_nulls()) & {"clear", "reorder"}
