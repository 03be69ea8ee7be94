"""Annual growth and recent shift: against a plain fit, at their edges, and their coverage."""

import numpy as np
import pytest
from scipy.optimize import minimize
from series import Case, series

from shelfwise.sales.growth import (
    ESTIMATED,
    NO_ESTIMATE,
    NOTHING_SOLD,
    RIDGE,
    WAVE_RIDGE,
    fit_growth,
    interval,
    shift_share,
)
from shelfwise.sales.har import basis, harmonics_for, moderated, seasonal


def plainly(y: np.ndarray) -> tuple[float, float]:
    """Logarithmic growth and its information, by a general optimizer over the whole series."""
    weeks = len(y)
    t = np.arange(weeks)
    waves = seasonal(t, 52, harmonics_for(weeks))
    x = np.vstack([np.ones(weeks), waves, (t - (weeks - 1) / 2) / 52])
    ridge = np.array([0, *[WAVE_RIDGE] * len(waves), RIDGE])

    def loss(b: np.ndarray) -> tuple[float, np.ndarray]:
        mean = np.exp(b @ x)
        return mean.sum() - y @ (b @ x) + ridge @ b**2 / 2, x @ (mean - y) + ridge * b

    start = np.zeros(len(x))
    start[0] = np.log(y.mean())
    b = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-7}).x
    hessian = (x * np.exp(b @ x)) @ x.T + np.diag(ridge)
    return b[-1], 1 / np.linalg.inv(hessian)[-1, -1] - RIDGE


@pytest.mark.parametrize("weeks", [60, 130, 156, 260, 313])
def test_the_estimate_is_that_of_a_plain_fit(weeks: int) -> None:
    units = series(np.random.default_rng(1), 4, weeks, [0.3, 2, 20, 300], 0.5, 0.3, 0.6,
                   growth=[0.4, -0.3, 1.2, 0])  # fmt: skip
    fit = fit_growth(units, basis(weeks).c)
    for y, growth, information in zip(units, fit.log_growth, fit.information, strict=True):
        expected = plainly(y)
        assert growth == pytest.approx(expected[0], abs=1e-5)
        assert information == pytest.approx(expected[1], rel=1e-3)


@pytest.mark.parametrize("weeks", [60, 104, 260, 313])
def test_phases_and_years_apart_give_what_all_weeks_together_give(weeks: int) -> None:
    units = series(np.random.default_rng(2), 200, weeks, 3, 0.5, 0.3, 0.6, growth=0.3)
    made = basis(weeks)
    fast = fit_growth(units, made.c)
    direct = fit_growth(units, made.c, kept=np.ones(units.shape, bool))
    for ours, plain in zip(fast, direct, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-12)
    shift = shift_share(units, 13, kept=np.ones(units.shape, bool))
    np.testing.assert_allclose(shift_share(units, 13), shift, rtol=1e-9, atol=1e-12)


def test_growth_in_months_is_growth_a_year_too() -> None:
    units = np.round(1000 * 1.1 ** (np.arange(120.0) / 12))[None]
    fit = fit_growth(units, basis(120, 12).c, season=12)
    assert np.expm1(fit.log_growth[0]) == pytest.approx(0.1, abs=0.001)


def test_masked_weeks_have_no_say() -> None:
    chance = np.random.default_rng(3)
    units = series(chance, 5, 156, 4)
    kept = chance.random(units.shape) > 0.1
    rows = np.stack([basis(156, kept=mask).c for mask in kept])
    other = np.where(kept, units, 1e5)
    for ours, same in zip(fit_growth(units, rows, kept=kept), fit_growth(other, rows, kept=kept),
                          strict=True):  # fmt: skip
        np.testing.assert_array_equal(ours, same)
    np.testing.assert_array_equal(
        shift_share(units, 13, kept=kept), shift_share(other, 13, kept=kept)
    )


def test_weeks_out_of_stock_do_not_look_like_decline_when_masked() -> None:
    units = np.full((1, 208), 10.0)
    units[0, -30:] = 0
    kept = np.arange(208)[None] < 178
    fit = fit_growth(units, basis(208, kept=kept[0]).c[None], kept=kept)
    assert fit.log_growth[0] == pytest.approx(0, abs=1e-9)
    assert fit_growth(units, basis(208).c).log_growth[0] < -0.1


def test_nothing_sold_has_no_growth() -> None:
    fit = fit_growth(np.zeros((1, 104)), basis(104).c)
    assert fit.code.tolist() == [NOTHING_SOLD]
    assert np.isnan([fit.log_growth[0], fit.information[0], fit.s2[0]]).all()


def test_sales_at_one_end_only_have_no_estimate() -> None:
    units = np.zeros((2, 260))
    units[0, -1] = units[1, 0] = 1e6
    fit = fit_growth(units, basis(260).c)
    assert fit.code.tolist() == [NO_ESTIMATE] * 2
    assert np.isnan(fit.log_growth).all()


@pytest.mark.parametrize("sold", [1, 30, 1e5])
@pytest.mark.parametrize("week", [0, 100, 259])
def test_a_single_sale_gives_a_finite_growth_or_a_reason(sold: float, week: int) -> None:
    units = np.zeros((1, 260))
    units[0, week] = sold
    fit = fit_growth(units, basis(260).c)
    assert np.isfinite(fit.log_growth[0]) == (fit.code[0] == ESTIMATED)
    assert fit.code[0] == ESTIMATED or sold == 1e5


def test_sales_in_one_season_only_have_a_growth() -> None:
    units = np.zeros((1, 260))
    for year in range(5):
        units[0, 52 * year + 48 : 52 * year + 52] = 100 * 1.2**year
    fit = fit_growth(units, basis(260).c)
    assert fit.code[0] == ESTIMATED
    assert np.expm1(fit.log_growth[0]) == pytest.approx(0.2, abs=0.03)


def test_hardly_any_series_is_left_without_an_estimate() -> None:
    chance = np.random.default_rng(4)
    lam = np.exp(chance.uniform(-4, 8, 3_000))
    units = series(chance, 3_000, 260, lam, 0.8, 0.8, 1.5, 1.0, chance.normal(0, 1, 3_000))
    fit = fit_growth(units, basis(260).c)
    assert (fit.code == NO_ESTIMATE).sum() == 0
    assert ((fit.code == NOTHING_SOLD) == (units.sum(axis=1) == 0)).all()


@pytest.mark.parametrize(("alpha", "noise"), [(0, 1), (0.3, 4)])
def test_the_noise_of_pure_chance_is_known(alpha: float, noise: float) -> None:
    units = series(np.random.default_rng(5), 4_000, 260, 10, amp=0.5, alpha=alpha, growth=0.3)
    assert fit_growth(units, basis(260).c).s2.mean() == pytest.approx(noise, rel=0.04)


def test_a_shift_is_told_as_a_share() -> None:
    units = np.full((3, 208), 40.0)
    units[0, -13:] = 60
    units[1, -13:] = 0
    assert shift_share(units, 13) == pytest.approx([0.5, -1, 0], abs=1e-4)


def test_the_season_is_no_shift() -> None:
    units = 100 * np.exp(0.8 * np.sin(2 * np.pi * np.arange(247) / 52))[None]
    assert shift_share(units, 13)[0] == pytest.approx(0, abs=0.01)


def test_without_earlier_sales_there_is_no_shift() -> None:
    units = np.zeros((1, 156))
    units[0, -5:] = 3
    assert np.isnan(shift_share(units, 13)).all()


def coverage(case: Case, weeks: int, n: int = 4_000, seed: int = 21) -> float:
    """How often the 95% interval holds the true growth."""
    units = series(np.random.default_rng(seed), n, weeks, *case)
    made = basis(weeks)
    fit = fit_growth(units, made.c)
    noise = moderated(fit.log_growth, fit.s2, made.terms, units.mean(axis=1))
    low, high = interval(fit.log_growth, fit.information, fit.leverage, noise.s2, noise.df)
    truth = np.expm1(case.growth)
    return float(((low <= truth) & (truth <= high)).mean())


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1.0, 1.5, 1 / 1.5])
@pytest.mark.parametrize("lam", [1, 10, 40])
@pytest.mark.parametrize("weeks", [156, 260])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(weeks, lam, factor) -> None:
    case = Case(lam, 0.5, 0.3, 0.3, 0.2, np.log(factor))
    assert coverage(case, weeks) == pytest.approx(0.95, abs=0.025)


@pytest.mark.slow
@pytest.mark.parametrize("weeks", [104, 156, 260])
def test_the_interval_of_slow_movers_is_rather_too_wide(weeks: int) -> None:
    assert coverage(Case(0.3, amp=0.3, growth=np.log(1.5)), weeks) >= 0.94


@pytest.mark.slow
@pytest.mark.parametrize("case", [Case(40, 0.8, 0.4, 0.3, 0.2), Case(10, 0.5, 0.3, 0.3, 0.2, 1.0)])
def test_strong_autocorrelation_and_strong_growth_cost_some_coverage(case: Case) -> None:
    assert 0.88 <= coverage(case, 260) <= 0.96
