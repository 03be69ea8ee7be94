"""The generated shop keeps its promises: counts, totals, hidden stories, same bytes each time."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import unicodedata
import urllib.request
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from shelfwise.demo import Shop, make_shop, write_shop

END = date(2026, 10, 31)
WINDOW_OPENS = END - timedelta(days=364)
COLUMNS = {
    "products": "product_id name price units_sold stock net_revenue unit_cost category brand "
    "supplier on_order lead_time_days lead_time_sd pack_size min_order_qty launch_date "
    "discontinued currency",
    "order_lines": "product_id date quantity unit_price order_id status customer",
    "suppliers": "supplier country lead_time_days min_order_value",
    "receipts": "supplier product_id ordered promised received ordered_quantity received_quantity",
}
SHOPS = {"usual": {}, "seed 1": {"seed": 1}, "two years to a leap day": {"years": 2}}


@pytest.fixture(scope="module")
def shop() -> Shop:
    return make_shop()


def planted(shop: Shop, kind: str) -> pl.DataFrame:
    """The products behind one story."""
    return shop.products.filter(pl.col("product_id").is_in(shop.planted[kind]))


def sales(shop: Shop) -> pl.DataFrame:
    """The lines that count as a sale, with the list price beside them."""
    kept = shop.order_lines.filter(pl.col("quantity") > 0, status="completed")
    return kept.join(shop.products, on="product_id", suffix="_now")


def recomputed(shop: Shop, end: date = END) -> pl.DataFrame:
    """Units and cents of the last 365 days for every product, straight from the lines."""
    window = shop.order_lines.filter(
        pl.col("date") > end - timedelta(days=365), pl.col("date") <= end, status="completed"
    ).with_columns(cents=(pl.col("unit_price") * 100).round().cast(pl.Int64))
    totals = window.group_by("product_id").agg(
        units=pl.sum("quantity"), cents=(pl.col("quantity") * pl.col("cents")).sum()
    )
    ids = shop.products.select("product_id")
    return ids.join(totals, on="product_id", how="left", maintain_order="left").fill_null(0)


def yearly_units(shop: Shop, ids: list[int | str]) -> list[int]:
    """Units sold in each of the four years, oldest first."""
    year = ((pl.lit(END) - pl.col("date")).dt.total_days() // 365.25).alias("years_ago")
    mine = sales(shop).filter(pl.col("product_id").is_in(ids))
    return mine.group_by(year).agg(pl.sum("quantity")).sort("years_ago")["quantity"].to_list()[::-1]


def on_time_rate(receipts: pl.DataFrame) -> float:
    return receipts.select((pl.col("received") <= pl.col("promised")).mean()).item()


def test_the_shop_has_the_promised_size(shop: Shop) -> None:
    assert shop.products["product_id"].to_list() == list(range(1001, 1501))
    assert shop.products["category"].n_unique() == 8
    assert shop.products["supplier"].n_unique() == shop.suppliers.height == 25
    assert 200_000 <= shop.order_lines.height <= 400_000
    assert shop.order_lines["date"].min() == date(2022, 11, 1)
    assert shop.order_lines["date"].max() == END


@pytest.mark.parametrize("table", COLUMNS)
def test_columns_are_those_of_the_input_contract(shop: Shop, table: str) -> None:
    frame: pl.DataFrame = getattr(shop, table)
    assert frame.columns == COLUMNS[table].split()
    assert frame.drop("launch_date", strict=False).null_count().sum_horizontal().item() == 0


def test_values_stay_within_their_limits(shop: Shop) -> None:
    products = shop.products
    for name in ("price", "unit_cost"):
        assert products[name].min() > 0
        assert products[name].round(2).equals(products[name])
    for name in ("units_sold", "stock", "net_revenue", "on_order"):
        assert products[name].min() >= 0
    assert set(products["currency"]) == {"EUR"}
    assert (products["on_order"] % products["pack_size"]).sum() == 0
    assert (products["min_order_qty"] % products["pack_size"]).sum() == 0
    assert set(products["supplier"]) == set(shop.suppliers["supplier"])
    usual = (products["unit_cost"] / products["price"]).is_between(0.39, 0.76).mean()
    assert usual > 0.95


def test_prices_look_like_shop_prices(shop: Shop) -> None:
    cents = (shop.products["price"] * 100).round().cast(pl.Int64) % 100
    assert set(cents) <= {0, 49, 50, 95, 99}


def test_names_are_all_different_and_thirty_are_not_english(shop: Shop) -> None:
    names = shop.products["name"].to_list()
    assert len(set(names)) == 500
    assert all(unicodedata.is_normalized("NFC", name) and name == name.strip() for name in names)
    assert sum(not name.isascii() for name in names) >= 30
    letters = {unicodedata.name(sign).split()[0] for name in names for sign in name}
    scripts = "LATIN GREEK CYRILLIC ARABIC HEBREW HIRAGANA KATAKANA CJK HANGUL DEVANAGARI THAI"
    assert set(scripts.split()) <= letters
    assert sum("🚀" in name or "🐭" in name for name in names) == 2
    assert all(sign in "".join(names) for sign in "äöüßéêñ")


@pytest.mark.parametrize("options", SHOPS.values(), ids=SHOPS)
def test_totals_agree_with_the_order_lines(options: dict[str, int]) -> None:
    end = date(2024, 2, 29) if "years" in options else END
    shop = make_shop(end=end, **options)
    totals = recomputed(shop, end)
    assert totals["units"].to_list() == shop.products["units_sold"].to_list()
    cents = (shop.products["net_revenue"] * 100).round().cast(pl.Int64)
    assert totals["cents"].to_list() == cents.to_list()
    assert shop.products["units_sold"].min() >= 0


def test_cancelled_lines_would_change_the_totals(shop: Shop) -> None:
    cancelled = shop.order_lines.filter(status="cancelled")
    assert 0.003 < cancelled.height / shop.order_lines.height < 0.03
    assert cancelled.filter(pl.col("date") >= WINDOW_OPENS)["quantity"].sum() > 0


def test_returns_follow_a_sale_of_the_same_order_in_the_same_window(shop: Shop) -> None:
    returns = shop.order_lines.filter(pl.col("quantity") < 0)
    assert 0.015 < returns.height / shop.order_lines.height < 0.025
    pairs = returns.join(sales(shop), on=["order_id", "product_id"], suffix="_sale")
    assert pairs.height == returns.height
    assert (pairs["date"] - pairs["date_sale"]).dt.total_days().is_between(3, 20).all()
    assert (-pairs["quantity"] <= pairs["quantity_sale"]).all()
    assert pairs["unit_price"].equals(pairs["unit_price_sale"])
    assert pairs["customer"].equals(pairs["customer_sale"])
    opens = pl.Series([WINDOW_OPENS])
    assert ((pairs["date"] >= opens) == (pairs["date_sale"] >= opens)).all()


def test_an_order_is_one_customer_on_one_day_without_repeated_products(shop: Shop) -> None:
    bought = shop.order_lines.filter(pl.col("quantity") > 0)
    orders = bought.group_by("order_id").agg(pl.n_unique("date", "customer", "status"))
    assert orders.select(pl.max("date", "customer", "status")).row(0) == (1, 1, 1)
    assert not bought.select("order_id", "product_id").is_duplicated().any()
    assert bought["customer"].str.contains(r"^C\d{5}$").all()


def test_some_lines_are_sold_below_list_price_and_none_above(shop: Shop) -> None:
    share = (sales(shop)["unit_price"] / sales(shop)["price"]).round(4)
    assert share.max() == 1.0
    assert 0.03 < (share < 1).mean() < 0.25


def test_nothing_is_sold_before_its_launch(shop: Shop) -> None:
    dated = sales(shop).drop_nulls("launch_date")
    assert (dated["date"] >= dated["launch_date"]).all()


def test_categories_peak_in_their_own_months(shop: Shop) -> None:
    monthly = sales(shop).group_by("category", month=pl.col("date").dt.month())
    busiest = monthly.agg(pl.sum("quantity")).sort("quantity").group_by("category").last()
    peak = dict(busiest.select("category", "month").iter_rows())
    assert peak["Garden"] in (4, 5, 6)
    assert peak["Outdoor"] in (6, 7, 8)
    assert peak["Stationery"] in (8, 9, 10)
    assert peak["Toys & Games"] == 12


def test_saturday_is_the_best_day_and_sunday_the_worst(shop: Shop) -> None:
    weekly = sales(shop).group_by(day=pl.col("date").dt.weekday()).agg(pl.sum("quantity"))
    days = weekly.sort("quantity")["day"].to_list()
    assert (days[0], days[-1]) == (7, 6)


def test_daily_sales_scatter_more_than_chance_alone(shop: Shop) -> None:
    outlier = sales(shop).filter(pl.col("product_id").is_in(shop.planted["outlier"]))
    lines = outlier.group_by("date").len()["len"]
    assert lines.var() > 1.3 * lines.mean()


def test_each_story_has_its_own_products(shop: Shop) -> None:
    counts = {kind: len(ids) for kind, ids in shop.planted.items()}
    assert counts["rising"] == counts["falling"] == 40
    assert counts["hidden_gem"] == counts["outlier"] == counts["unreliable_supplier"] == 1
    assert min(counts.values()) > 0
    ids = [each for kind in shop.planted.values() for each in kind]
    assert len(set(ids)) == len(ids)


def test_rising_and_falling_products_move_and_the_others_do_not(shop: Shop) -> None:
    rising, falling = (yearly_units(shop, shop.planted[kind]) for kind in ("rising", "falling"))
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert 1.3 <= (rising[-1] / rising[0]) ** (1 / 3) <= 1.8
    assert 1.3 <= (falling[0] / falling[-1]) ** (1 / 3) <= 1.8
    stories = [each for kind in shop.planted.values() for each in kind]
    others = shop.products.filter(
        ~pl.col("product_id").cast(pl.String).is_in([str(each) for each in stories]),
        pl.col("launch_date").is_null(),
    )
    flat = yearly_units(shop, others["product_id"].to_list())
    assert max(flat) / min(flat) < 1.06


def test_only_sold_out_and_discontinued_products_have_no_stock(shop: Shop) -> None:
    empty = shop.products.filter(pl.col("stock") == 0, ~pl.col("discontinued"))
    assert empty["product_id"].to_list() == shop.planted["sold_out"]
    assert empty["units_sold"].min() > shop.products["units_sold"].median()


def test_dead_products_have_stock_and_no_sale_for_a_year(shop: Shop) -> None:
    idle = shop.products.filter(pl.col("units_sold") == 0)
    assert idle["product_id"].to_list() == shop.planted["dead"]
    assert idle["stock"].min() > 0
    last = sales(shop).group_by("product_id").agg(pl.max("date"))
    stale = last.filter(pl.col("date") < WINDOW_OPENS).sort("product_id")
    assert stale["product_id"].to_list() == shop.planted["dead"]
    assert idle["on_order"].sum() == 0


def test_only_overstocked_products_hold_two_years_of_demand(shop: Shop) -> None:
    products = shop.products.filter(pl.col("units_sold") > 0)
    full = products.filter(pl.col("stock") > 2 * pl.col("units_sold"))
    old = full.filter(~pl.col("product_id").is_in(shop.planted["new"]))
    assert old["product_id"].to_list() == shop.planted["overstocked"]


def test_new_products_were_launched_within_twelve_weeks(shop: Shop) -> None:
    young = shop.products.filter(pl.col("launch_date") >= END - timedelta(weeks=12))
    assert young["product_id"].to_list() == shop.planted["new"]
    assert young["units_sold"].min() > 0


def test_discontinued_products_are_flagged_and_stopped_selling(shop: Shop) -> None:
    ended = shop.products.filter("discontinued")
    assert ended["product_id"].to_list() == shop.planted["discontinued"]
    last = sales(shop).filter("discontinued").group_by("product_id").agg(pl.max("date"))
    assert last.height == ended.height
    assert last["date"].max() <= END - timedelta(days=60)
    assert ended["on_order"].sum() == 0


def test_the_hidden_gem_sells_through_at_a_strong_margin_but_ranks_low(shop: Shop) -> None:
    gem = planted(shop, "hidden_gem").row(0, named=True)
    assert gem["units_sold"] / (gem["units_sold"] + gem["stock"]) > 0.95
    assert 1 - gem["unit_cost"] / gem["price"] > 0.65
    peers = shop.products.filter(category=gem["category"])["net_revenue"]
    assert (peers > gem["net_revenue"]).mean() > 0.5
    through = shop.products["units_sold"] / (shop.products["units_sold"] + shop.products["stock"])
    assert gem["units_sold"] / (gem["units_sold"] + gem["stock"]) > through.quantile(0.9)


def test_products_below_cost_lose_money(shop: Shop) -> None:
    losing = shop.products.filter(pl.col("unit_cost") > pl.col("price"))
    assert losing["product_id"].to_list() == shop.planted["below_cost"]


@pytest.mark.parametrize("seed", [7, 1, 2, 3])
def test_one_outlier_sets_the_top_of_the_scale(seed: int) -> None:
    shop = make_shop(seed)
    ranked = shop.products.sort("net_revenue", descending=True)
    assert ranked["product_id"][0] == shop.planted["outlier"][0]
    assert ranked["net_revenue"][0] >= 8 * ranked["net_revenue"][1]


def test_one_supplier_is_late_and_short_and_the_others_are_not(shop: Shop) -> None:
    poor = pl.col("supplier").is_in(shop.planted["unreliable_supplier"])
    bad, good = shop.receipts.filter(poor), shop.receipts.filter(~poor)
    assert bad.height > 50
    assert on_time_rate(bad) < 0.6
    assert on_time_rate(good) > 0.85
    full = (pl.col("received_quantity") == pl.col("ordered_quantity")).mean()
    assert bad.select(full).item() < 0.75
    assert good.select(full).item() > 0.9


def test_receipts_cover_two_years_and_fit_the_products(shop: Shop) -> None:
    receipts = shop.receipts
    assert receipts["received"].max() <= END
    assert END - timedelta(days=760) < receipts["ordered"].min() < END - timedelta(days=700)
    assert (receipts["received"] > receipts["ordered"]).all()
    assert receipts["received_quantity"].min() > 0
    assert (receipts["received_quantity"] <= receipts["ordered_quantity"]).all()
    assert not receipts.select("product_id", "ordered").is_duplicated().any()
    joined = receipts.join(shop.products, on="product_id", suffix="_listed")
    assert joined["supplier"].equals(joined["supplier_listed"])
    assert (joined["ordered_quantity"] >= joined["min_order_qty"]).all()
    assert (joined["ordered_quantity"] % joined["pack_size"]).sum() == 0


def test_the_same_seed_gives_the_same_shop(shop: Shop) -> None:
    again = make_shop()
    assert all(getattr(shop, name).equals(getattr(again, name)) for name in COLUMNS)
    assert shop.planted == again.planted


def test_another_seed_gives_another_shop(shop: Shop) -> None:
    other = make_shop(8)
    assert not shop.products.equals(other.products)
    assert shop.planted["dead"] != other.planted["dead"]


def test_two_writes_give_the_same_bytes(shop: Shop, tmp_path: Path) -> None:
    first = write_shop(shop, tmp_path / "a" / "new")
    second = write_shop(make_shop(), tmp_path / "b")
    assert list(first) == list(second)
    assert all(first[name].read_bytes() == second[name].read_bytes() for name in first)
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [
        "order_lines.parquet", "products.csv", "receipts.csv", "suppliers.csv",
    ]  # fmt: skip


def test_written_files_read_back_as_the_same_tables(shop: Shop, tmp_path: Path) -> None:
    paths = write_shop(shop, tmp_path)
    assert pl.read_parquet(paths["order_lines"]).equals(shop.order_lines)
    for name in ("products", "suppliers", "receipts"):
        table: pl.DataFrame = getattr(shop, name)
        assert pl.read_csv(paths[name], schema=table.schema).equals(table)


def test_a_failed_write_keeps_the_old_file_and_leaves_no_draft(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "products.csv").write_text("old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_shop(shop, tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_less_than_two_years_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        make_shop(years=1)


@contextlib.contextmanager
def demo_running(folder: Path) -> Iterator[str]:
    """`shelfwise demo` in a process of its own, and its address."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith("SHELFWISE_")}
    command = [sys.executable, "-m", "shelfwise.cli", "demo", "--port", "0", "--folder", "demo"]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)  # fmt: skip
    try:
        assert process.stdout
        for line in process.stdout:
            if found := re.search(r"listens on (http://\S+)", line):
                yield found[1]
                return
        pytest.fail("the demo ended without saying where it serves")
    finally:
        process.kill()
        process.communicate(timeout=30)  # What it kept open is closed with it.


def runs_at(url: str) -> list[str]:
    with urllib.request.urlopen(f"{url}/v1/runs", timeout=30) as answer:
        return [run["id"] for run in json.load(answer)["data"]]


def test_the_runs_of_the_demo_survive_a_kill_and_a_restart(tmp_path: Path) -> None:
    with demo_running(tmp_path) as url:
        before = runs_at(url)
    with demo_running(tmp_path) as url:
        after = runs_at(url)
    assert len(before) == 2
    assert after == before


def test_a_scheduled_report_stands_in_the_folder_of_the_demo(tmp_path: Path) -> None:
    reports = tmp_path / "demo" / "reports"
    with demo_running(tmp_path) as url:
        latest = runs_at(url)[0]
        end = time.monotonic() + 120
        while len(list(reports.glob("[!.]*"))) < 3:
            assert time.monotonic() < end
            time.sleep(0.5)
        with urllib.request.urlopen(f"{url}/v1/schedules", timeout=30) as answer:
            (schedule,) = json.load(answer)["data"]
        path = f"{url}/v1/runs/{latest}/deliveries"
        while True:
            with urllib.request.urlopen(path, timeout=30) as answer:
                (delivery,) = json.load(answer)["data"]
            if delivery["state"] == "sent":
                break
            assert time.monotonic() < end, delivery
            time.sleep(0.5)
    kinds = {file.suffix: file.read_bytes()[:5] for file in reports.glob("[!.]*")}
    assert kinds[".pdf"] == b"%PDF-"
    assert kinds[".xlsx"][:2] == b"PK"
    assert kinds[".html"].lower() == b"<!doc"
    assert (schedule["cron"], schedule["active"]) == ("0 6 * * 1", True)
    assert all(latest[:12] in file.name for file in reports.glob("[!.]*"))
