"""trends(): what is planted is found, nothing else is, and what cannot be told says why."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from series import series

import shelfwise
from kinds import Engine
from shelfwise.demo import make_shop
from shelfwise.errors import InputError
from shelfwise.sales import trends, weekly
from shelfwise.sales.growth import shift_share
from shelfwise.sales.labels import REASONS, TRENDS

Data = Callable[[str], Path]
MONDAY = dt.date(2022, 1, 3)
COLUMNS = ["product_id", "name", "category", "weeks", "units", "trend", "growth", "growth_low",
           "growth_high", "p_value", "q_value", "shift", "reason"]  # fmt: skip


def weeks_of(units: Any, **more: Any) -> pl.DataFrame:
    """Rows of weeks, of products called p0, p1, ...; weeks of nothing have no row."""
    units = np.atleast_2d(np.asarray(units, float))
    product, week = np.nonzero(units)
    days = [MONDAY + dt.timedelta(weeks=int(n)) for n in week]
    names = [f"p{n:04}" for n in product]
    rows = pl.DataFrame({"product_id": names, "week": days, "units": units[product, week]})
    # The calendar is that of the shop: somebody sold something in its first and last week.
    ends = [MONDAY, MONDAY + dt.timedelta(weeks=units.shape[1] - 1)]
    shop = pl.DataFrame({"product_id": ["shop"] * 2, "week": ends, "units": [1.0, 1.0]})
    return pl.concat([rows, shop]).with_columns(**more)


def one(units: Any, **options: Any) -> dict[str, Any]:
    """What is told of a single series."""
    found = trends(weeks_of(units), **options).filter(pl.col("product_id") == "p0000")
    return found.row(0, named=True)


def lines_of(units: Any, customer: Any = None) -> list[dict[str, Any]]:
    """A line for each week of a series, on its Wednesday; and one on each end of the calendar."""
    lines = [
        {"product_id": "p0000", "date": MONDAY + dt.timedelta(7 * n + 2), "quantity": float(u),
         "unit_price": 2.0, "customer": customer(n) if customer else None}
        for n, u in enumerate(units) if u
    ]  # fmt: skip
    last = MONDAY + dt.timedelta(7 * len(units) - 1)
    ends = [{"product_id": "shop", "date": day, "quantity": 1.0, "unit_price": 1.0,
             "customer": None} for day in (MONDAY, last)]  # fmt: skip
    return lines + ends


CHANCE = np.random.default_rng(11)
SEASON = 1 + 0.4 * np.cos(2 * np.pi * np.arange(208) / 52)
STEADY = CHANCE.poisson(20 * SEASON)
RISING = CHANCE.poisson(20 * SEASON * 1.4 ** (np.arange(208) / 52))


def test_a_planted_rise_is_found_with_its_size() -> None:
    found = one(RISING)
    assert found["trend"] == "rising"
    assert found["growth_low"] < 0.4 < found["growth_high"]
    assert found["growth"] == pytest.approx(0.4, abs=0.1)
    assert found["p_value"] == found["q_value"] < 0.01
    assert (found["weeks"], found["units"], found["reason"]) == (208, RISING.sum(), None)


def test_a_planted_fall_is_found() -> None:
    assert one(RISING[::-1])["trend"] == "falling"


def test_what_stays_is_flat_only_where_its_interval_says_so() -> None:
    assert one(STEADY)["trend"] == "flat"
    few = one(np.random.default_rng(1).poisson(0.3, 208))
    assert (few["trend"], few["reason"]) == ("none", "not confirmed")


def test_the_columns_are_these() -> None:
    found = trends(weeks_of([STEADY, RISING], category=pl.lit("x")))
    assert found.columns == COLUMNS
    assert found["product_id"].to_list() == ["p0000", "p0001", "shop"]
    assert set(found["trend"]) <= set(TRENDS)


def test_too_short_a_history_is_told_nothing_from() -> None:
    found = one(RISING[:51])
    assert (found["trend"], found["reason"]) == ("too_short", "51 whole weeks; 52 are needed")
    assert [found[n] for n in COLUMNS[6:12]] == [None] * 6


def test_less_than_two_years_are_never_confirmed() -> None:
    rise = np.random.default_rng(2).poisson(40 * 3 ** (np.arange(103) / 52))
    assert one(rise)["trend"] == "indicative_rising"
    assert "103 weeks are fewer than two years" in one(rise)["reason"]
    longer = np.random.default_rng(2).poisson(40 * 3 ** (np.arange(104) / 52))
    assert one(longer)["trend"] == "rising"
    assert "104 weeks are fewer than three years" in one(longer)["reason"]


def test_weeks_before_a_launch_and_the_launch_week_are_cut() -> None:
    late = np.concatenate([np.zeros(60), RISING[:148]])
    assert one(late)["weeks"] == 147
    assert one(late)["trend"] == "rising"
    assert one(np.concatenate([np.zeros(160), RISING[:48]]))["trend"] == "too_short"


@pytest.mark.parametrize(
    ("units", "reason"),
    [(np.full(208, 3.0), "constant"), ([1.0] * 9 + [0.0] * 199, "sparse")],
)
def test_what_cannot_be_tested_has_no_data(units: Any, reason: str) -> None:
    found = one(units)
    assert found["trend"] == "no_data"
    assert found["reason"] == REASONS[reason].format(sold=9)


def test_a_product_never_sold_has_no_data() -> None:
    catalog = [{"product_id": "never", "name": "Never", "price": 1.0}]
    found = trends(lines_of(STEADY), catalog=catalog).filter(product_id="never")
    assert found.select("trend", "reason", "units").row(0) == (
        "no_data",
        "not sold in these weeks",
        0.0,
    )


def test_weeks_out_of_stock_are_no_fall() -> None:
    units = STEADY.astype(float)
    out = np.arange(172, 208)
    units[out] = 0
    days = out_of(*map(int, out))
    lines = lines_of(units)
    assert trends(lines)["trend"][0] in ("falling", "indicative_falling")
    assert trends(lines, out_of_stock=days)["trend"][0] in ("flat", "none")


def out_of(*weeks: int) -> list[dict[str, Any]]:
    """Days on which the product could not be bought."""
    return [{"product_id": "p0000", "date": MONDAY + dt.timedelta(weeks=n)} for n in weeks]


def test_what_is_sold_in_masked_weeks_decides_nothing() -> None:
    units = np.zeros(208)
    units[40:60], units[100] = 5, 1
    found = trends(lines_of(units), out_of_stock=out_of(*range(41, 60))).row(0, named=True)
    assert (found["trend"], found["reason"]) == ("no_data", "sold in 1 weeks; 10 are needed")


@pytest.mark.parametrize("units", [np.r_[np.zeros(20), np.full(188, 3.0)],
                                   np.r_[np.full(200, 3.0), np.arange(8.0)]])  # fmt: skip
def test_a_product_that_sells_the_same_in_all_weeks_that_count_is_constant(units: Any) -> None:
    found = trends(lines_of(units), out_of_stock=out_of(*range(200, 208))).row(0, named=True)
    assert (found["trend"], found["reason"]) == ("no_data", REASONS["constant"])
    assert [found[n] for n in COLUMNS[6:12]] == [None] * 6


def test_a_category_is_no_fall_because_its_products_are_out_of_stock() -> None:
    units = STEADY.astype(float)
    units[172:] = 0
    catalog = [{"product_id": one, "name": one, "price": 1.0, "category": "c"}
               for one in ("p0000", "shop")]  # fmt: skip
    lines = lines_of(units)
    found = trends(lines, by="category", catalog=catalog)
    assert found["trend"][0] in ("falling", "indicative_falling")
    days = out_of(*range(172, 208))
    found = trends(lines, by="category", catalog=catalog, out_of_stock=days)
    assert found["trend"][0] in ("flat", "none")
    # What hardly sells does not hide the others.
    days = [{"product_id": "shop", "date": day["date"]} for day in out_of(*range(150))]
    lines = lines_of(RISING)
    found = trends(lines, by="category", catalog=catalog, out_of_stock=days)
    assert found["trend"][0] == "rising"


def test_flat_over_a_short_history_says_how_short() -> None:
    chance = np.random.default_rng(3)
    assert "fewer than two years" in one(chance.poisson(400, 100))["reason"]
    assert "fewer than three years" in one(chance.poisson(400, 150))["reason"]
    assert one(chance.poisson(400, 160))["reason"] is None


def test_too_many_weeks_out_of_stock_withhold_the_test() -> None:
    lines = lines_of(RISING)
    found = trends(lines, out_of_stock=out_of(*range(50))).row(0, named=True)
    assert found["trend"] == "no_data"
    assert "out of stock in 24% of its weeks" in found["reason"]


def test_one_customer_makes_no_trend() -> None:
    own = np.random.default_rng(5).poisson(np.linspace(0, 30, 208))
    of_many = np.random.default_rng(6).poisson(8.0, 208)
    lines = lines_of(own, lambda _: "big") + lines_of(of_many, lambda n: f"c{n % 40}")
    found = trends(lines).row(0, named=True)
    assert found["trend"] == "indicative_rising"
    assert "without one customer" in found["reason"]
    anyone = lines_of(own, lambda n: f"d{n % 40}") + lines_of(of_many, lambda n: f"c{n % 40}")
    assert trends(anyone)["trend"][0] == "rising"


def test_a_level_jump_is_no_trend_and_has_no_rate() -> None:
    step = np.random.default_rng(7).poisson(np.where(np.arange(208) < 110, 10, 22))
    found = one(step)
    assert found["trend"] == "indicative_rising"
    assert "a jump in the week of 2024-0" in found["reason"]
    assert found["growth"] is found["growth_low"] is found["growth_high"] is None


def test_a_recent_shift_is_told_as_a_share() -> None:
    units = np.random.default_rng(8).poisson(30.0, (5, 208)).astype(float)
    units[0, -13:] = np.random.default_rng(9).poisson(60.0, 13)
    found = trends(weeks_of(units))
    assert found["shift"][0] == pytest.approx(1.0, abs=0.2)
    assert found["shift"][1:5].to_list() == [None] * 4


def test_the_share_of_a_shift_is_that_of_the_weeks_that_count() -> None:
    units = np.random.default_rng(8).poisson(30.0, 208).astype(float)
    units[-13:] *= 2
    hidden = units.copy()
    hidden[50:60] = 0
    lines = lines_of(np.r_[np.zeros(20), hidden])
    found = trends(lines, out_of_stock=out_of(*range(70, 80))).row(0, named=True)
    assert found["weeks"] == 207
    kept = np.arange(207) < 49
    kept[59:] = True
    expected = shift_share(hidden[None, 1:], 13, kept=kept[None])
    assert found["shift"] == pytest.approx(expected[0], rel=1e-10)
    assert found["shift"] > 0.8


def test_categories_are_tested_as_one_series_each() -> None:
    units = [STEADY, STEADY[::-1], RISING, RISING]
    names = {"p0000": "still", "p0001": "still", "p0002": "growing", "p0003": "growing"}
    category = pl.col("product_id").replace_strict(names, default=None)
    rows = weeks_of(units, category=category)
    found = trends(rows, by="category")
    assert found.columns == ["category", *COLUMNS[3:]]
    assert found.select("category", "trend", "units").rows() == [
        ("growing", "rising", 2.0 * RISING.sum()),
        ("still", "flat", 2.0 * STEADY.sum()),
    ]
    with pytest.raises(InputError, match="No product has a category"):
        trends(weeks_of(STEADY), by="category")
    with pytest.raises(InputError, match="It is product_id or category"):
        trends(rows, by="brand")  # type: ignore[arg-type]


def test_trends_join_the_products_of_an_analysis() -> None:
    shop = make_shop(3, years=2)
    sold = shelfwise.from_sales(shop.order_lines, catalog=shop.products)
    products = shelfwise.analyze(sold).products
    joined = products.join(trends(sold).select("product_id", "trend"), on="product_id", how="left")
    assert joined.height == products.height
    assert joined["trend"].null_count() == 0


def many(products: int = 240) -> pl.DataFrame:
    """Products of several lengths, some of them trending, one shifted."""
    growth = np.where(np.arange(products) % 8 == 0, 0.4, 0.0)
    units = series(np.random.default_rng(4), products, 208, 6.0, phi=0.3, sd=0.2, amp=0.3,
                   alpha=0.1, growth=growth)  # fmt: skip
    for n in range(0, products, 5):
        units[n, : 10 + n % 70] = 0
    units[3, -13:] *= 4
    return weeks_of(units)


def test_every_engine_tells_the_same(frame: Engine) -> None:
    rows = many()
    here, there = trends(rows), trends(frame(rows.to_dict(as_series=False)))
    assert here["shift"].drop_nulls().len() > 0
    assert here.select(pl.col("trend").is_in(["rising", "falling"]).sum()).item() > 10
    numbers = COLUMNS[6:12]
    assert there.drop(numbers).equals(here.drop(numbers))
    for name in numbers:
        np.testing.assert_allclose(there[name].to_numpy(), here[name].to_numpy(), rtol=1e-10)


def test_masked_products_on_an_engine_are_told_as_in_memory(tmp_path: Path) -> None:
    rows = many(120).with_columns(in_stock=True)
    out = (pl.col("product_id").is_in(["p0001", "p0008"])) & (pl.col("units") < 4)
    rows = rows.with_columns(in_stock=~out)
    path = tmp_path / "weeks.parquet"
    rows.write_parquet(path)
    sold = weekly(path)
    assert not sold.in_memory
    here, there = trends(rows), trends(sold)
    np.testing.assert_allclose(there["p_value"].to_numpy(), here["p_value"].to_numpy(), rtol=1e-10)


def test_northwind_gets_indications_only(test_data: Data) -> None:
    orders = pl.read_csv(test_data("northwind/orders.csv")).select(
        "order_id", date="order_date", customer="customer_id"
    )
    lines = pl.read_csv(test_data("northwind/order_details.csv")).join(orders, on="order_id")
    found = trends(lines)
    assert found.height == 77
    assert set(found["trend"]) <= {"indicative_rising", "indicative_falling", "none", "flat",
                                   "no_data", "too_short"}  # fmt: skip


def test_uci_is_too_short(test_data: Data) -> None:
    found = trends(test_data("uci_online_retail_slice/online_retail_2010-12_2011-02.csv.gz"))
    assert set(found["trend"]) == {"too_short"}
    assert found["reason"][0] == "12 whole weeks; 52 are needed"


@pytest.mark.slow
def test_on_fifty_shops_planted_trends_are_found_and_little_else() -> None:
    seen = confirmed = wrong = planted = 0
    for seed in range(50):
        shop = make_shop(seed)
        found = trends(shop.order_lines, catalog=shop.products)
        stories = {kind: set(map(str, ids)) for kind, ids in shop.planted.items()}
        # These end or begin with their story: what they sell does change.
        others = stories["dead"] | stories["discontinued"] | stories["sold_out"] | stories["new"]
        for way in ("rising", "falling"):
            of_way = found.filter(pl.col("trend") == way)["product_id"]
            confirmed += len(of_way)
            wrong += sum(one not in stories[way] | others for one in of_way)
            seen += sum(one in stories[way] for one in of_way)
            planted += len(stories[way])
    assert seen / planted > 0.95
    assert wrong / confirmed < 0.05
