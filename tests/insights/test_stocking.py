"""The formulas of stock: published check values, brute force, simulation, and stockpyl as judge."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats

from shelfwise.insights import stocking as s
from shelfwise.sales.lead_time import quantile


def test_the_economic_order_quantity_is_that_of_snyder_and_shen() -> None:
    quantity, cost = s.economic_order_quantity(8, 1300, 0.225)
    assert float(quantity) == pytest.approx(304.0467800264368, rel=1e-14)
    assert float(cost) == pytest.approx(68.41052550594829, rel=1e-14)


def test_keeping_that_costs_nothing_has_no_economic_quantity() -> None:
    quantity, cost = s.economic_order_quantity(8, 1300, [0.0, 0.225])
    assert np.isnan(quantity).tolist() == [True, False]
    assert np.isnan(cost).tolist() == [True, False]


@pytest.mark.parametrize("pack", [1, 7, 12, 100, 250, 1000])
def test_the_pack_size_takes_the_cheaper_neighbour(pack: int) -> None:
    best = 304.0467800264368

    def cost(quantity: float) -> float:
        return 8 * 1300 / quantity + 0.225 * quantity / 2

    every = [pack * n for n in range(1, 700)]
    assert float(s.economic_packs(best, pack)) == min(every, key=cost)


def test_an_economic_quantity_that_is_not_known_stays_so() -> None:
    assert np.isnan(s.economic_packs([math.nan, 30.0], 12)).tolist() == [True, False]


def test_whole_packs_hold_what_is_needed_and_the_minimum() -> None:
    assert s.whole_packs([0.1, 12.0, 13.0, 5.0], 12, [0, 0, 0, 30]).tolist() == [12, 12, 24, 36]
    assert s.whole_packs(0.3, 0.1).tolist() == pytest.approx(0.3)


def test_the_newsvendor_is_that_of_snyder_and_shen() -> None:
    stock, cost = s.newsvendor(0.18, 0.7, 50, 8)
    assert float(stock) == pytest.approx(56.60395592743389, rel=1e-14)
    assert float(cost) == pytest.approx(1.9976051931766445, rel=1e-13)
    assert float(s.newsvendor(0.18, 0.7, 50, 8, 4)[0]) == pytest.approx(
        264.76689437415484, rel=1e-14
    )


def test_the_newsvendor_of_a_poisson_demand_takes_the_smallest_stock() -> None:
    stock, cost = s.newsvendor_poisson(1, 4, 6)
    assert float(stock) == 8
    assert float(cost) == pytest.approx(3.5701069457709376, rel=1e-13)
    assert stats.poisson.cdf(7, 6) < 0.8 <= stats.poisson.cdf(8, 6)


def test_the_reorder_point_of_orders_of_318_is_that_of_snyder_and_shen() -> None:
    mean, sd = 1300 / 12, 150 / math.sqrt(12)
    r = s.reorder_point_for(318, 0.225, 7.5, mean, sd)
    # Published to the tolerance of its bisection, 1e-6 of cost; here both costs are equal.
    assert float(r) == pytest.approx(127.78803486696552, abs=1e-6)

    def cost(at: float) -> float:
        missing = float(s.normal_shortage(at, mean, sd))
        return 0.225 * (at - mean + missing) + 7.5 * missing

    assert cost(float(r)) == pytest.approx(cost(float(r) + 318), rel=1e-12)


def test_the_normal_loss_is_the_published_one() -> None:
    assert float(s.normal_loss(0.3)) == pytest.approx(0.26676124211720986, rel=1e-14)
    z = np.linspace(-4, 4, 33)
    assert s.normal_loss(-z) == pytest.approx(s.normal_loss(z) + z, abs=1e-14)
    assert float(s.normal_loss(60.0)) == 0.0


def test_chopra_and_meindl_agree_on_safety_stock_service_shortage_and_fill_rate() -> None:
    mean, sd = 2 * 250, 150 * math.sqrt(2)
    short = s.normal_shortage(600, mean, sd)
    assert 600 - mean == 100
    assert round(float(s.normal_service(600, mean, sd)), 2) == 0.68
    assert round(float(short), 2) == 43.86
    assert round(float(s.fill_rate(short, 1000)), 3) == 0.956


def test_a_reorder_point_with_a_varying_lead_time_is_the_published_one() -> None:
    assert round(float(s.normal_reorder_point(50, 5, 6, 2, 0.9)), 1) == 429.1


def test_orders_of_nothing_have_no_fill_rate() -> None:
    assert np.isnan(s.fill_rate([1.0, 1.0], [0.0, math.nan])).all()


MEANS = np.array([0.02, 0.7, 6.0, 6.0, 40.0, 900.0])
VARIANCES = np.array([0.05, 0.7, 6.0, 30.0, 4000.0, 950.0])


@pytest.mark.parametrize("at", [0.0, 1.0, 3.7, 8.0, 60.0, 1000.0])
def test_shortage_and_risk_are_sums_over_every_demand(at: float) -> None:
    short = s.expected_short(MEANS, VARIANCES, np.full(6, at))
    risk = s.chance_above(MEANS, VARIANCES, np.full(6, at))
    k = np.arange(20_000)
    for n, (mean, variance) in enumerate(zip(MEANS, VARIANCES, strict=True)):
        if variance > mean:
            p = mean / variance
            mass = stats.nbinom.pmf(k, mean * p / (1 - p), p)
        else:
            mass = stats.poisson.pmf(k, mean)
        assert short[n] == pytest.approx(float((mass * np.maximum(k - at, 0)).sum()), abs=1e-9)
        assert risk[n] == pytest.approx(float(mass[k > at].sum()), abs=1e-9)


def test_no_demand_runs_no_risk_and_an_unknown_one_an_unknown_risk() -> None:
    mean, variance = np.array([0.0, math.nan, 4.0, 4.0]), np.array([0.0, 1.0, math.nan, 9.0])
    at = np.array([0.0, 1.0, 1.0, math.nan])
    for known in (s.chance_above(mean, variance, at), s.expected_short(mean, variance, at)):
        assert known[0] == 0
        assert np.isnan(known[1:]).all()


def test_a_position_below_the_quantile_is_a_risk_above_what_is_accepted() -> None:
    """The alert rests on the risk and the quantity on the quantile: they never disagree."""
    rng = np.random.default_rng(6)
    mean = rng.gamma(0.5, 20, 2000) + 0.01
    variance = mean * rng.uniform(0.8, 5, 2000)
    level = rng.choice([0.9, 0.95, 0.98], 2000)
    position = np.floor(mean * rng.uniform(0, 4, 2000))
    point = quantile(mean, variance, level)
    assert ((position < point) == (s.chance_above(mean, variance, position) > 1 - level)).all()


def test_the_fill_rate_of_orders_at_a_reorder_point_is_what_a_simulation_meets() -> None:
    """Poisson demand, orders of Q when r is reached, lead time L, what is missing is owed."""
    rate, lead, r, quantity = 3.0, 2.0, 5, 4
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.exponential(1 / rate, 200_000))
    on_hand, position, due, met = r + quantity, r + quantity, [], 0
    for now in times:
        while due and due[0] <= now:
            due.pop(0)
            on_hand += quantity
        met += on_hand > 0
        on_hand, position = on_hand - 1, position - 1
        if position == r:
            due.append(now + lead)
            position += quantity
    mean = np.full(2, rate * lead)
    here, above = s.expected_short(mean, mean, np.array([r, r + quantity], dtype=float))
    assert met / len(times) == pytest.approx(float(s.fill_rate(here - above, quantity)), abs=0.01)


@pytest.fixture(scope="module")
def stockpyl() -> dict[str, Any]:
    """Its functions by name; `pip install stockpyl` gives it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It warns of its own escapes when it is compiled.
        pytest.importorskip(
            "stockpyl", reason="stockpyl is not installed; make test-engines installs it"
        )
        from stockpyl import eoq, loss_functions, newsvendor, rq
    return {name: getattr(module, name) for module in (eoq, newsvendor, rq, loss_functions)
            for name in dir(module)}  # fmt: skip


COUNT = 1_000


@pytest.mark.judge
def test_stockpyl_agrees_on_a_thousand_economic_quantities(stockpyl: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    fixed, demand, holding = rng.lognormal(2, 2, COUNT), rng.lognormal(5, 3, COUNT), rng.lognormal(
        -1, 2, COUNT)  # fmt: skip
    quantity, cost = s.economic_order_quantity(fixed, demand, holding)
    judged = [stockpyl["economic_order_quantity"](k, h, d)
              for k, h, d in zip(fixed, holding, demand, strict=True)]  # fmt: skip
    assert np.c_[quantity, cost] == pytest.approx(np.array(judged), rel=1e-12)


@pytest.mark.judge
def test_stockpyl_agrees_on_a_thousand_newsvendors(stockpyl: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    holding, shortage = rng.lognormal(-1, 1, COUNT), rng.lognormal(1, 1, COUNT)
    mean = rng.lognormal(3, 1.5, COUNT)
    sd, lead = mean * rng.uniform(0.05, 1.5, COUNT), rng.integers(0, 9, COUNT)
    stock, cost = s.newsvendor(holding, shortage, mean, sd, lead)
    judged = np.array([stockpyl["newsvendor_normal"](*row)
                       for row in zip(holding, shortage, mean, sd, lead, strict=True)])  # fmt: skip
    assert stock == pytest.approx(judged[:, 0], rel=1e-11)
    assert cost == pytest.approx(judged[:, 1], rel=1e-8)
    stock, cost = s.newsvendor_poisson(holding, shortage, mean)
    judged = np.array([stockpyl["newsvendor_poisson"](*row)
                       for row in zip(holding, shortage, mean, strict=True)])  # fmt: skip
    assert stock.tolist() == judged[:, 0].tolist()
    assert cost == pytest.approx(judged[:, 1], rel=1e-8)


@pytest.mark.judge
def test_stockpyl_agrees_on_a_thousand_reorder_points(stockpyl: dict[str, Any]) -> None:
    rng = np.random.default_rng(2)
    holding = rng.uniform(0.1, 1, COUNT)
    shortage, rate = holding * rng.uniform(5, 60, COUNT), rng.lognormal(5, 1, COUNT)
    sd, lead = rate * rng.uniform(0.1, 0.5, COUNT), rng.uniform(0.05, 1, COUNT)
    quantity = rate * rng.uniform(0.05, 0.6, COUNT)
    r = s.reorder_point_for(quantity, holding, shortage, rate * lead, sd * np.sqrt(lead))
    judged = [stockpyl["r_q_optimal_r_for_q"](*row) for row in
              zip(quantity, holding, shortage, rate, sd, lead, strict=True)]  # fmt: skip
    # It stops where both costs differ by 1e-6.
    assert r == pytest.approx(np.array(judged), abs=1e-4)


@pytest.mark.judge
def test_stockpyl_agrees_on_a_thousand_losses(stockpyl: dict[str, Any]) -> None:
    rng = np.random.default_rng(3)
    z = rng.normal(0, 2, COUNT)
    judged = [stockpyl["standard_normal_loss"](one)[0] for one in z]
    assert s.normal_loss(z) == pytest.approx(np.array(judged), abs=1e-14)
    mean = rng.lognormal(1.5, 1.2, COUNT)
    at = np.floor(mean * rng.uniform(0, 3, COUNT))
    judged = [stockpyl["poisson_loss"](*row)[0] for row in zip(at, mean, strict=True)]
    assert s.expected_short(mean, mean, at) == pytest.approx(np.array(judged), abs=1e-9)
    variance = mean * rng.uniform(1.1, 9, COUNT)
    judged = [stockpyl["negative_binomial_loss"](k, mean=m, sd=math.sqrt(v))[0]
              for k, m, v in zip(at, mean, variance, strict=True)]  # fmt: skip
    assert s.expected_short(mean, variance, at) == pytest.approx(np.array(judged), abs=1e-9)
