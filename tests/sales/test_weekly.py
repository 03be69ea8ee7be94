"""Order lines by product and week: whole weeks only, net of returns, the same on every engine."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from kinds import Engine
from shelfwise.errors import InputError, RejectedRowsError
from shelfwise.rules import Rules
from shelfwise.sales import from_sales, weekly
from shelfwise.sales.weeks import whole_weeks

Data = Callable[[str], Path]
MONDAY = dt.date(2026, 1, 5)
DAYS = [MONDAY + dt.timedelta(n) for n in range(70)]


def line(product: Any, day: int, quantity: float = 1.0, **more: Any) -> dict[str, Any]:
    """A line so many days after the first Monday."""
    date = MONDAY + dt.timedelta(day)
    return {"product_id": product, "date": date, "quantity": quantity, "unit_price": 2.0} | more


def test_a_week_runs_from_monday_to_sunday() -> None:
    sold = weekly([line("a", 0), line("a", 6, 2.0), line("a", 7, 4.0), line("a", 13)])
    assert (sold.first, sold.weeks, sold.monday(1)) == (MONDAY, 2, dt.date(2026, 1, 12))
    ids, units = sold.matrix()
    assert ids == ["a"]
    assert units.tolist() == [[3.0, 5.0]]
    assert sold.matrix(value="revenue")[1].tolist() == [[6.0, 10.0]]


def test_partial_weeks_at_the_ends_are_left_out() -> None:
    trade = DAYS[3:45]  # Thursday to Wednesday
    assert whole_weeks(trade, (trade[0], trade[-1])) == (dt.date(2026, 1, 12), 5)


def test_a_shop_that_is_closed_on_sundays_has_a_whole_week_by_saturday() -> None:
    trade = [day for day in DAYS[:69] if day.weekday() != 6]
    assert whole_weeks(trade, (trade[0], trade[-1])) == (MONDAY, 10)


def test_a_single_sale_on_a_sunday_makes_no_day_of_trade() -> None:
    trade = [day for day in DAYS[:69] if day.weekday() != 6 or day == DAYS[13]]
    assert whole_weeks(trade, (trade[0], trade[-1]))[1] == 10


def test_a_holiday_in_the_first_week_does_not_cost_the_week() -> None:
    lines = [line("a", day) for day in range(1, 35)]
    assert weekly(lines).weeks == 4
    assert weekly(lines, period=("2026-01-05", "2026-02-08")).weeks == 5


def test_no_whole_week_is_an_error_that_says_so() -> None:
    with pytest.raises(InputError, match="no whole week"):
        weekly([line("a", 2), line("a", 4), *(line("a", day) for day in (8, 9))])


def test_returns_are_taken_from_their_week_and_no_week_is_below_0() -> None:
    sold = weekly([line("a", 1, 5.0), line("a", 2, -2.0), line("a", 8, -1.0), line("a", 13, 0.5),
                   line("a", 20, 9.0), line("a", 0), line("a", 14)])  # fmt: skip
    assert sold.matrix()[1].tolist() == [[4.0, 0.0, 10.0]]


def test_a_product_of_the_catalogue_that_never_sold_has_weeks_of_nothing() -> None:
    catalog = [{"product_id": "a", "name": "Lamp", "category": "Light", "price": 2.0},
               {"product_id": "b", "name": "Mug", "category": None, "price": 3.0}]  # fmt: skip
    sold = weekly([line("a", day) for day in range(14)], catalog=catalog)
    assert sold.products.rows() == [("a", "Lamp", "Light"), ("b", "Mug", None)]
    assert sold.matrix()[1].tolist() == [[7.0, 7.0], [0.0, 0.0]]


def test_weeks_out_of_stock_are_masked() -> None:
    lines = [line(p, day) for p in ("a", "b") for day in range(28)]
    out = [{"product_id": "b", "date": DAYS[9]}, {"product_id": "b", "date": DAYS[10]},
           {"product_id": "b", "date": DAYS[60]}]  # fmt: skip
    sold = weekly(lines, out_of_stock=out)
    assert sold.mask(["a", "b"]).tolist() == [[False] * 4, [False, True, False, False]]


def test_the_customer_who_changed_most_is_told_apart() -> None:
    steady = [line("a", 7 * week, 2.0, customer="c1") for week in range(8)]
    late = [line("a", 7 * week + 1, 20.0, customer="c2") for week in (6, 7)]
    ends = [line("a", day, customer="c3") for day in (0, 6, 55)]
    sold = weekly([*steady, *late, *ends])
    assert sold.matrix()[1][0].tolist() == [4.0, 2.0, 2.0, 2.0, 2.0, 2.0, 22.0, 23.0]
    assert sold.matrix(value="others")[1][0].tolist() == [4.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0]


def test_lines_without_a_customer_are_nobodys() -> None:
    lines = [line("a", day, 3.0, customer=None) for day in range(14)]
    lines += [line("a", 3, customer="c1")]
    assert weekly(lines).matrix(value="others")[1].tolist() == [[21.0, 21.0]]


def test_rows_of_weeks_are_taken_as_they_are(tmp_path: Path) -> None:
    rows = pl.DataFrame({"SKU": ["a", "a", "b"], "week": ["2026-01-07", "2026-01-12", "2026-01-26"],
                         "units": [2.0, 3.0, 4.5], "category": ["x", "x", None],
                         "in_stock": [True, False, True]})  # fmt: skip
    path = tmp_path / "weeks.csv"
    rows.write_csv(path)
    for source in (rows, path, str(path)):
        sold = weekly(source)
        assert (sold.first, sold.weeks) == (MONDAY, 4)
        assert sold.matrix()[1].tolist() == [[2.0, 3.0, 0.0, 0.0], [0.0, 0.0, 0.0, 4.5]]
        assert sold.mask(["a", "b"])[0].tolist() == [False, True, False, False]
        assert sold.products["category"].to_list() == ["x", None]


GOOD = {"product_id": "a", "week": dt.date(2026, 1, 5), "units": 1.0}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"units": -1}, "units is -1; it must be 0 or more"),
        ({"units": None}, "units is missing"),
        ({"units": float("nan")}, "units is missing"),
        ({"units": float("inf")}, "units is inf"),
        ({"week": None}, "week is missing"),
        ({"week": "soon"}, "week is 'soon'; write it as 2026-01-31"),
        ({"product_id": None}, "product_id is missing"),
        ({"product_id": "  "}, "product_id is "),
        ({"revenue": float("inf")}, "revenue is inf"),
        ({"in_stock": "perhaps"}, "in_stock is 'perhaps'; it must be true or false"),
    ],
)
def test_a_row_of_weeks_that_cannot_be_read_is_named(row: dict[str, Any], told: str) -> None:
    rows = [GOOD | {"week": str(GOOD["week"])}, GOOD | {"week": str(GOOD["week"])} | row]
    with pytest.raises(InputError, match=f"Row 2 cannot be read: {told}"):
        weekly(rows)


@pytest.mark.parametrize("count", [weekly, from_sales])
@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "no rows"),
        ([GOOD, 3], "Row 2 is 3, no dict"),
        ([None], "Row 1 is None, no dict"),
        ([GOOD, GOOD | {"week": "soon"}], "rows differ in kind"),
    ],
)
def test_rows_that_are_none_are_refused(count: Any, rows: list[Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        count(rows)


def test_a_day_that_is_none_is_shown_as_it_was_written() -> None:
    with pytest.raises(RejectedRowsError, match="date is 'soon'; write it as 2026-01-31"):
        from_sales([line("a", 0) | {"date": "soon"}])


@pytest.mark.parametrize("written", [["yes", "no", ""], [1, 0, 1], ["TRUE", "false", None]])
def test_in_stock_is_understood_as_people_write_it(frame: Engine, written: list[Any]) -> None:
    weeks = [MONDAY + dt.timedelta(weeks=n) for n in range(3)]
    rows = {"product_id": ["a"] * 3, "week": weeks, "units": [2.0] * 3, "in_stock": written}
    assert weekly(frame(rows)).mask(["a"]).tolist() == [[False, True, False]]


def test_days_out_of_stock_go_with_rows_of_weeks_too() -> None:
    rows = [GOOD, GOOD | {"week": dt.date(2026, 1, 15), "in_stock": False},
            GOOD | {"week": dt.date(2026, 1, 19)}]  # fmt: skip
    sold = weekly(rows, out_of_stock=[{"product_id": "a", "date": "2026-01-10"}])
    assert sold.mask(["a"]).tolist() == [[True, True, False]]
    again = weekly(sold, out_of_stock=[{"product_id": "a", "date": "2026-01-20"}])
    assert again.mask(["a"]).tolist() == [[True] * 3]
    with pytest.raises(InputError, match="product 'zz'"):
        weekly(rows, out_of_stock=[{"product_id": "zz", "date": "2026-01-10"}])


def test_rows_of_weeks_take_a_period_and_the_order_of_day_and_month() -> None:
    rows = [GOOD | {"week": day} for day in ("05.01.2026", "12.01.2026", "02.02.2026")]
    with pytest.raises(InputError, match="tell day and month apart"):
        weekly(rows)
    sold = weekly(rows, dates="day-first", period=("2026-01-10", None))
    assert (sold.first, sold.weeks) == (dt.date(2026, 1, 12), 4)
    with pytest.raises(InputError, match="no weeks"):
        weekly(rows, dates="day-first", period=("2027-01-01", None))


@pytest.mark.parametrize("option", [{"catalog": [GOOD]}, {"rules": Rules()}, {"max_rejected": 0.5}])
def test_options_for_order_lines_are_refused_for_rows_of_weeks(option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"take no {next(iter(option))}"):
        weekly([GOOD], **option)


def test_a_wrong_date_makes_no_history_of_centuries() -> None:
    with pytest.raises(InputError, match="more than a hundred years"):
        weekly([GOOD, GOOD | {"week": dt.date(1, 1, 1)}])
    with pytest.raises(InputError, match="more than a hundred years"):
        weekly([line("a", 0), line("a", 7), line("a", 800_000)])


def test_a_blank_name_is_the_id_and_a_blank_category_is_none() -> None:
    sold = weekly([GOOD | {"name": None, "category": " "},
                   GOOD | {"product_id": "b", "name": "Mug ", "category": "x"}])  # fmt: skip
    assert sold.products.rows() == [("a", "a", None), ("b", "Mug", "x")]


def test_lines_added_up_by_something_else_have_no_weeks() -> None:
    sold = from_sales([line("a", day, location="x") for day in range(14)], by="location")
    with pytest.raises(InputError, match="added up by location"):
        weekly(sold)


def test_options_after_counting_are_refused() -> None:
    counted = from_sales([line("a", day) for day in range(14)])
    for source in (counted, weekly(counted)):
        with pytest.raises(InputError, match="counted already"):
            weekly(source, period=(None, None))


def test_every_engine_sums_up_the_same(frame: Engine) -> None:
    chance = np.random.default_rng(3)
    lines = [
        line(int(p), int(day), float(q), customer=f"c{c}")
        for p, day, q, c in zip(
            chance.integers(1, 6, 400), chance.integers(0, 70, 400),
            chance.integers(-1, 6, 400), chance.integers(0, 9, 400), strict=True,
        )
    ]  # fmt: skip
    here, there = weekly(lines), weekly(frame(lines))
    assert (there.first, there.weeks) == (here.first, here.weeks)
    for value in ("units", "revenue", "others"):
        assert there.matrix(value=value)[0] == here.matrix(value=value)[0]
        np.testing.assert_allclose(there.matrix(value=value)[1], here.matrix(value=value)[1])
    some = here.matrix(["2", "4"])[1]
    np.testing.assert_allclose(there.matrix(["2", "4"])[1], some)


def test_uci_has_twelve_whole_weeks(test_data: Data) -> None:
    sold = weekly(test_data("uci_online_retail_slice/online_retail_2010-12_2011-02.csv.gz"))
    assert (sold.first, sold.weeks) == (dt.date(2010, 12, 6), 12)
