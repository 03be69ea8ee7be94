"""Forecasts: statsforecast's own numbers, the spread, the quantiles, and what is refused."""

import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from demand import Weekly, mixed, weekly
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from kinds import spark_session
from shelfwise.errors import InputError, MissingExtraError
from shelfwise.sales import forecasting as module
from shelfwise.sales import weekly as counted
from shelfwise.sales import weeks
from shelfwise.sales.evaluation import evaluate
from shelfwise.sales.forecasting import demand_class, forecast, spread
from shelfwise.sales.lead_time import quantile, quantiles
from shelfwise.sales.reading import collected


@pytest.fixture(scope="module", autouse=True)
def statsforecast() -> None:
    pytest.importorskip(
        "statsforecast", reason="statsforecast is not installed; the extra forecast brings it"
    )


def catalogue() -> Weekly:
    """Twenty-four products, some of them young."""
    units = mixed(np.random.default_rng(4), 24, 120)
    for row, launch in enumerate((110, 109, 108, 60, 7)):
        units[row, :launch], units[row, launch] = 0, 3
        units[row, -1] = 2
    return weekly(units)


def by_statsforecast(data: Weekly) -> pl.DataFrame:
    """A column for each model, by the public interface of statsforecast."""
    from statsforecast import StatsForecast
    from statsforecast.models import (
        ADIDA,
        IMAPA,
        TSB,
        CrostonSBA,
        SimpleExponentialSmoothingOptimized,
        WindowAverage,
    )

    rows = []
    for product, y in zip(*data.matrix(), strict=True):
        first = int(np.argmax(y > 0))
        weeks = range(first + 1 if first else 0, data.weeks)
        rows += [(product, week, float(y[week])) for week in weeks]
    frame = pl.DataFrame(rows, schema=["unique_id", "ds", "y"], orient="row")
    made = StatsForecast(
        models=[SimpleExponentialSmoothingOptimized(alias="SES"), IMAPA(), ADIDA(), TSB(0.2, 0.2),
                CrostonSBA(), WindowAverage(12)],
        freq=1,
    ).forecast(df=frame, h=1)  # fmt: skip
    return made.sort("unique_id")


def test_forecasts_are_the_median_of_what_statsforecast_gives() -> None:
    data = catalogue()
    theirs, ours = by_statsforecast(data), forecast(data, 4)
    recent = {y[0]: np.mean(y[1][-12:]) for y in zip(*data.matrix(), strict=True)}
    assert set(ours["method"]) == {"SES", "median of six"}
    for row, six in zip(ours.iter_rows(named=True), theirs.iter_rows(named=True), strict=True):
        models = [value for name, value in six.items() if name not in ("unique_id", "ds")]
        if row["weeks"] < 12:  # statsforecast has no mean of 12 weeks there.
            models[-1] = recent[row["product_id"]] * 12 / row["weeks"] - 3 / row["weeks"]
        smooth = row["demand_class"] == "smooth" and row["weeks"] >= 52
        expected = six["SES"] if smooth else np.median(models)
        assert row["method"] == ("SES" if smooth else "median of six")
        assert row["units_per_week"] == pytest.approx(expected, rel=1e-6), row


def test_the_error_is_that_of_exponential_smoothing_one_week_ahead() -> None:
    y = mixed(np.random.default_rng(2), 1, 80)[0] + 1
    (row,) = forecast(weekly(y), 1).iter_rows(named=True)

    def errors(alpha: float) -> float:
        level, found = y[0], []
        for value in y[1:]:
            found.append(value - level)
            level += alpha * (value - level)
        return float(np.mean(np.square(found)))

    assert row["error_sd"] ** 2 == pytest.approx(min(map(errors, np.linspace(0.01, 0.99, 981))),
                                                 rel=1e-4)  # fmt: skip


def test_what_a_product_cannot_be_forecast_for_is_said() -> None:
    units = np.zeros((4, 40))
    units[1, 33:] = 2  # Seven weeks after the first sale are six.
    units[2, 5] = 4
    units[3] = 3
    table = forecast(weekly(units), 4)
    assert table["reason"].to_list() == [
        "no sale",
        "fewer than 8 weeks after the first sale",
        "no sale after the first week",
        None,
    ]
    assert table["units_per_week"].to_list() == [None, None, None, 3.0]
    assert table["q95"].is_null().to_list() == [True, True, True, False]
    assert table["weeks"].to_list() == [None, 6, 34, 40]


def test_a_history_begins_in_the_week_after_the_first_sale() -> None:
    units = np.zeros((2, 60))
    units[0, 20:] = [9, *[3, 1, 0, 2] * 9, 0, 1, 0]
    units[1, 21:] = units[0, 21:]
    units[1, 20] = 1
    first, second = forecast(weekly(units), 4).iter_rows(named=True)
    assert first["weeks"] == 39
    assert first["units_per_week"] == second["units_per_week"]
    from_the_start = forecast(weekly(units[:, 21:]), 4)["units_per_week"]
    assert from_the_start[0] == pytest.approx(first["units_per_week"])


def test_weeks_out_of_stock_are_left_out() -> None:
    units = mixed(np.random.default_rng(1), 6, 60)
    masked = [("p0003", week) for week in (10, 11, 12, 59)]
    for _, week in masked:
        units[3, week] = 0
    with_gaps = forecast(weekly(units, masked=masked), 2)["units_per_week"]
    without = forecast(weekly(np.delete(units, [10, 11, 12, 59], axis=1)), 2)["units_per_week"]
    assert with_gaps[3] == without[3]
    assert with_gaps[2] != without[2]


@pytest.mark.parametrize(
    ("selling", "variance", "expected"),
    [
        (50, 16.0, "smooth"),
        (50, 400.0, "erratic"),
        (10, 16.0, "intermittent"),
        (10, 400.0, "lumpy"),
    ],
)
def test_demand_is_classed_by_interval_and_size(
    selling: int, variance: float, expected: str
) -> None:
    assert demand_class(52, selling, 20.0, variance) == expected


def test_a_demand_class_begins_at_its_cut() -> None:
    assert demand_class(132, 100, 10.0, 49.0) == "lumpy"
    assert demand_class(131, 100, 10.0, 48.9) == "smooth"


def test_a_quantile_is_the_first_count_that_is_likely_enough() -> None:
    mean, variance = 6.0, 15.0
    r = mean**2 / (variance - mean)
    chance = [(r / (r + mean)) ** r]
    for k in range(1, 60):
        chance.append(chance[-1] * (k - 1 + r) / k * mean / (r + mean))
    below = np.cumsum(chance)
    for level in (0.05, 0.5, 0.9, 0.99):
        expected = int(np.argmax(below >= level))
        assert quantile(np.array([mean]), np.array([variance]), level)[0] == expected


def test_a_quantile_without_overdispersion_is_a_poissons() -> None:
    found = quantile(np.array([2.0, 0.0, np.nan]), np.array([1.0, 0.0, np.nan]), 0.95)
    assert found[:2].tolist() == [5.0, 0.0]  # P(X <= 5) is 0.983, P(X <= 4) is 0.947.
    assert np.isnan(found[2])


@given(
    rate=st.floats(0, 1e6), sd=st.floats(0, 1e6), lead=st.floats(0, 60), lead_sd=st.floats(0, 20)
)
def test_quantiles_rise_with_the_level(rate: float, sd: float, lead: float, lead_sd: float) -> None:
    row = pl.DataFrame({"product_id": ["a"], "units_per_week": [rate], "error_sd": [sd]})
    _, expected, *found = quantiles(row, lead, lead_sd).row(0)
    assert expected == rate * lead
    assert found == sorted(found)
    assert found[0] >= 0
    assert found == [round(value) for value in found]


def test_each_product_may_have_its_own_lead_time() -> None:
    table = forecast(weekly(mixed(np.random.default_rng(3), 3, 60)), 6)
    own = quantiles(table, [6, 1, 0], [0, 1, 0], levels=(0.5, 0.995))
    assert own.columns == ["product_id", "expected", "q50", "q99.5"]
    assert own["q50"][0] == table["q50"][0]
    assert own["expected"][1] == pytest.approx(table["units_per_week"][1])
    assert own.row(2)[1:] == (0.0, 0.0, 0.0)


def test_what_is_no_horizon_lead_time_or_level_is_refused() -> None:
    data = weekly(np.ones((1, 20)))
    for horizon in (0, 105, 10**30, 2.5, True, None, "8", float("nan")):
        for ask in (forecast, evaluate):
            with pytest.raises(InputError, match="Give a number of weeks, 1 to 104"):
                ask(data, horizon)
    table = forecast(data, np.int64(104))
    for lead in (-1, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"lead time is {float(lead)}"):
            quantiles(table, lead)
        with pytest.raises(InputError, match=f"lead time is {float(lead)}"):
            quantiles(table, 1, lead)
    with pytest.raises(InputError, match="3 lead times for 1 products"):
        quantiles(table, [1, 2, 3])
    with pytest.raises(InputError, match="level is 95"):
        quantiles(table, 1, levels=[95])


def test_a_few_products_keep_their_own_spread() -> None:
    squared = np.array([1.0, 5.0])
    assert spread(squared, np.ones(2), np.full(2, 8)).tolist() == [1.0, 5.0]


def test_short_histories_are_drawn_to_what_is_usual() -> None:
    level = np.repeat([1.0, 10.0, 100.0], 30)
    usual = 2 * level
    squared = usual.copy()
    squared[40] *= 10
    long, short = (spread(squared, level, np.full(90, weeks)) for weeks in (200, 10))
    expected = (200 * 200 + 10 * 20 * 10 ** (1 / 10)) / 210
    assert long[40] == pytest.approx(expected, rel=0.05)
    assert usual[40] < short[40] < long[40] < squared[40]
    assert short[0] == pytest.approx(2.0)


def test_a_product_that_never_errs_gets_a_spread_all_the_same() -> None:
    squared = np.r_[0.0, np.full(30, 4.0)]
    assert spread(squared, np.ones(31), np.full(31, 10))[0] == pytest.approx(2.0)


def test_progress_rises_to_one() -> None:
    told: list[float] = []
    forecast(weekly(mixed(np.random.default_rng(1), 600, 20)), 4, progress=told.append)
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] == 1
    assert len(told) > 3


def test_no_products_give_an_empty_table() -> None:
    table = forecast(weekly(np.zeros((0, 20))), 4)
    assert table.height == 0
    assert "q99" in table.columns


def test_without_statsforecast_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast.models", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'shelfwise\[forecast\]'"):
        forecast(weekly(np.ones((1, 20))), 4)


def test_a_rolling_origin_is_judged_as_by_hand() -> None:
    year = np.arange(52.0)
    units = np.vstack([np.tile(year + 1, 3), np.full(156, 5.0)])
    found = evaluate(weekly(units), 2, origins=[120, 140])
    assert (found.origins, found.evaluated, found.of) == ((120, 140), 2, 2)
    first = {row["method"]: row for row in found.products.iter_rows(named=True)
             if row["product_id"] == "p0000"}  # fmt: skip
    assert first["seasonal naive"]["wape"] == 0
    past = [np.mean(np.diff(units[0, :origin]) ** 2) for origin in (120, 140)]
    # The last week is 1 below the first that is forecast, and 2 below the next.
    assert first["naive"]["rmsse"] == pytest.approx(np.sqrt(2.5 / np.mean(past)))
    total = [units[0, o] + units[0, o + 1] for o in (120, 140)]
    assert first["naive"]["bias"] == pytest.approx(-6 / sum(total))
    assert first["naive"]["wape"] == pytest.approx(6 / sum(total))
    assert first["naive"]["covered_90"] is None
    steady = found.products.filter(pl.col("product_id") == "p0001")
    assert steady["rmsse"].to_list() == [None] * 3
    assert steady["wape"].to_list() == [0.0] * 3
    assert steady.filter(method="forecast")["covered_99"].to_list() == [1.0]


def test_an_evaluation_says_how_many_products_it_saw() -> None:
    data = weekly(mixed(np.random.default_rng(7), 40, 100))
    found = evaluate(data, 4, origins=2, sample=10)
    assert (found.evaluated, found.of, found.origins) == (10, 40, (92, 96))
    assert found.products["product_id"].n_unique() <= 10
    assert found.pooled["method"].to_list() == ["forecast", "naive", "seasonal naive"]
    assert evaluate(data, 4, origins=2, sample=10).pooled.equals(found.pooled)


def test_an_evaluation_passes_over_weeks_out_of_stock() -> None:
    units = np.full((2, 60), 4.0)
    units[0, 57] = 0
    found = evaluate(weekly(units, masked=[("p0000", 57)]), 4, origins=1)
    assert found.products["product_id"].unique().to_list() == ["p0001"]


@pytest.mark.parametrize("origins", [[7], [50], [], 12])
def test_a_history_too_short_for_the_origins_is_refused(origins: list[int] | int) -> None:
    with pytest.raises(InputError, match="52 weeks are too few"):
        evaluate(weekly(np.ones((1, 52))), 4, origins=origins)


def test_an_evaluation_of_nothing_is_refused() -> None:
    for units, masked in ((np.zeros((2, 60)), None),
                          (np.ones((1, 60)), [("p0000", week) for week in range(60)])):  # fmt: skip
        with pytest.raises(InputError, match="has a forecast at"):
            evaluate(weekly(units, masked=masked), 4)
    with pytest.raises(InputError, match="sample is 0"):
        evaluate(weekly(np.ones((1, 60))), 4, sample=0)


def test_an_origin_before_the_first_sale_adds_nothing() -> None:
    units = np.r_[np.zeros(30), np.full(30, 4.0)][None]
    found = evaluate(weekly(units), 4, origins=[20, 50])
    assert found.pooled["forecasts"].to_list() == [1, 1, None]
    assert found.pooled["wape"].to_list() == [0.0, 0.0, None]


def test_parts_of_the_products_give_what_all_give(monkeypatch: pytest.MonkeyPatch) -> None:
    data = catalogue()
    whole = forecast(data, 4)
    monkeypatch.setattr(weeks, "PART", 5)
    monkeypatch.setattr(module, "PART", 5)
    told: list[float] = []
    assert_frame_equal(forecast(data, 4, progress=told.append), whole)
    assert told == sorted(told)
    assert len(told) == 6


@pytest.mark.slow
def test_quantiles_cover_what_normal_ones_miss() -> None:
    from scipy import stats

    units = mixed(np.random.default_rng(20), 6_000, 164)
    table = forecast(weekly(units[:, :156]), 8)
    has = table["q99"].is_not_null().to_numpy()
    total = units[has, 156:].sum(axis=1)
    rate, sd = (table.filter(has)[name].to_numpy() for name in ("units_per_week", "error_sd"))
    covered = {name: float(np.mean(total <= table.filter(has)[name].to_numpy()))
               for name in ("q90", "q95", "q99")}  # fmt: skip
    normal = float(np.mean(total <= 8 * rate + stats.norm.ppf(0.99) * sd * np.sqrt(8)))
    assert 0.975 <= covered["q99"] <= 0.99
    assert 0.90 <= covered["q95"] <= 0.95
    assert 0.84 <= covered["q90"] <= 0.91
    assert 0.92 <= normal <= 0.96


@pytest.mark.spark
@pytest.mark.parametrize("most", [0, 100_000], ids=["there", "in memory"])
def test_spark_gives_what_memory_gives(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from shelfwise.engines import spark

    spark_session()
    data = catalogue()
    units = data.matrix()[1].copy()
    units[8] = 0
    units[9, :-1], units[9, -1] = 0, 1
    units[10, :15], units[10, 15], units[10, 16:] = 0, 2, 0
    masked = [("p0011", week) for week in range(30, 60)]
    units[11, 30:60] = 0
    here = weekly(units, masked=masked)
    monday = here.first + pl.duration(weeks=pl.col("week"))
    rows = collected(here.frame).select("product_id", "units", week=monday.cast(pl.Date))
    there = replace(counted(spark.of_frame(rows)), products=here.products, masked=here.masked)
    assert (there.first, there.weeks) == (here.first, here.weeks)
    monkeypatch.setattr(module, "IN_MEMORY", most)
    ours, theirs = forecast(here, 4), forecast(there, 4)
    assert ours["reason"].drop_nulls().len() == 3
    # On Spark statsforecast gives its forecasts in 32 bits.
    assert_frame_equal(theirs, ours, rel_tol=1e-6, abs_tol=0)
