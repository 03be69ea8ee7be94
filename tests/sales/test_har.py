"""The trend test: published and independent check values, exact properties, and its promises."""

import numpy as np
import pytest
from scipy import special, stats
from series import (
    UNCHANGED,
    catalogue,
    department_years,
    retail_years,
    series,
    shuffled_years,
)

from shelfwise.sales.har import (
    Basis,
    basis,
    benjamini_hochberg,
    inverse_trigamma,
    level_jump,
    moderated,
    product,
    root,
    seasonal,
    shift_basis,
    statistic,
    two_sided,
)

BH_1995 = (0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324,
           0.4262, 0.5719, 0.6528, 0.759, 1.0)  # fmt: skip


def t_of(r: np.ndarray, weights: Basis) -> np.ndarray:
    z, s2 = statistic(np.atleast_2d(r), weights)
    return z / np.sqrt(s2)


def some_rows(n: int, weeks: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2, 3, (n, weeks))


def test_a_small_series_gives_the_published_value() -> None:
    i = np.arange(48)
    t = t_of((7 * i) % 11 + 0.1 * i, basis(48, 12, harmonics=1, terms=6))
    assert t[0] == pytest.approx(4.39073018, abs=5e-9)
    assert two_sided(t, np.array([6.0]))[0] == pytest.approx(0.00461434, abs=5e-9)


def test_with_the_whole_complement_it_is_the_t_of_least_squares() -> None:
    weeks = 60
    t = np.arange(weeks, dtype=float)
    x = np.vstack([np.ones(weeks), seasonal(t, 12, 2), t]).T
    full = np.linalg.qr(x, mode="complete")[0]
    weights = Basis(np.vstack([basis(weeks, 12, 2, 1).q, full[:, x.shape[1] :].T]))
    rows = some_rows(5, weeks)
    beta, rss = np.linalg.lstsq(x, rows.T)[:2]
    error = np.sqrt(rss / (weeks - x.shape[1]) * np.linalg.inv(x.T @ x)[-1, -1])
    np.testing.assert_allclose(t_of(rows, weights), beta[-1] / error, rtol=1e-10)


@pytest.mark.parametrize("weeks", [52, 104, 156, 208, 260, 313])
def test_level_and_season_do_not_move_the_test(weeks: int) -> None:
    rows, t = some_rows(4, weeks), np.arange(weeks)
    wave = 700 + 30 * np.cos(2 * np.pi * t / 52) - 20 * np.sin(2 * np.pi * t / 52)
    for weights in (basis(weeks), shift_basis(weeks)):
        np.testing.assert_allclose(t_of(rows + wave, weights), t_of(rows, weights), rtol=1e-9)


def test_reversed_time_flips_the_sign_and_nothing_else() -> None:
    rows = some_rows(6, 208)
    np.testing.assert_allclose(t_of(rows[:, ::-1], basis(208)), -t_of(rows, basis(208)), rtol=1e-9)


def masks() -> list[np.ndarray | None]:
    chance = np.random.default_rng(5)
    return [None, *(chance.random(260) > share for share in (0.02, 0.1, 0.2))]


@pytest.mark.parametrize("kept", masks(), ids=["all", "2%", "10%", "20%"])
@pytest.mark.parametrize("made", [basis, shift_basis])
def test_weights_are_orthonormal_and_add_up_to_zero(made, kept) -> None:
    rows = made(260, kept=kept).rows
    np.testing.assert_allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-12)
    assert abs(rows.sum(axis=1)).max() < 1e-12
    assert len(rows) == 9
    assert rows[0, -1 if kept is None else np.flatnonzero(kept)[-1]] > 0


def test_masked_weeks_weigh_nothing_whatever_they_hold() -> None:
    kept = masks()[2]
    assert kept is not None
    rows = some_rows(3, 260)
    other = np.where(kept, rows, 1e6)
    assert (t_of(rows, basis(260, kept=kept)) == t_of(other, basis(260, kept=kept))).all()
    assert (basis(260, kept=kept).rows[:, ~kept] == 0).all()


def test_weights_are_made_once_and_cannot_be_changed() -> None:
    kept = np.ones(260, bool)
    assert basis(260) is basis(260, kept=kept)
    kept[3] = False
    assert basis(260, kept=kept) is basis(260, kept=kept.copy())
    with pytest.raises(ValueError, match="read-only"):
        basis(260).rows[0, 0] = 1


@pytest.mark.parametrize(("weeks", "terms", "waves"), [(52, 4, 1), (103, 4, 1), (104, 6, 2),
                                                       (207, 6, 2), (208, 8, 2)])  # fmt: skip
def test_longer_series_measure_their_noise_with_more_waves(weeks, terms, waves) -> None:
    made = basis(weeks)
    assert made.terms == terms
    second = seasonal(np.arange(weeks), 52, 2)[[1, 3]]
    sees_second = abs(made.rows @ second.T).max() > 1e-9
    assert sees_second == (waves == 1)


def test_the_weights_of_a_shift_compare_the_last_weeks_with_earlier_ones() -> None:
    made = shift_basis(260)
    flat = np.zeros(260)
    flat[-13:] = 2.0
    z, s2 = statistic(flat[None], made)
    assert z[0] > 5
    assert s2[0] == pytest.approx(0, abs=1e-20)
    # The noise is of the weeks before: what is the same in all windows of a row is not in it.
    assert t_of(np.where(np.arange(260) >= 247, 9.0, 0) + some_rows(1, 260), made)[0] > 2


def test_too_few_windows_leave_a_shift_untested() -> None:
    z, s2 = statistic(some_rows(2, 52), Basis(shift_basis(52).rows[:1]))
    assert np.isfinite(z).all()
    assert np.isnan(s2).all()
    assert np.isnan(moderated(z, s2, 0, np.ones(2)).t).all()


def test_square_roots_of_no_sale_are_zero() -> None:
    assert root(np.zeros(3)).tolist() == [0, 0, 0]
    assert root(np.array([0.625]))[0] == pytest.approx(1 - 0.375**0.5)


def test_benjamini_and_hochberg_reject_four_in_their_own_example() -> None:
    q = benjamini_hochberg(np.array(BH_1995))
    assert (q <= 0.05).sum() == 4
    np.testing.assert_allclose(q, stats.false_discovery_control(BH_1995), rtol=1e-14)


def test_untested_products_do_not_count_among_the_discoveries() -> None:
    p = np.random.default_rng(2).random(500)
    mixed = np.insert(p, [0, 100, 500], np.nan)
    q = benjamini_hochberg(mixed)
    assert np.isnan(q).sum() == 3
    np.testing.assert_array_equal(q[~np.isnan(q)], benjamini_hochberg(p))
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()


@pytest.mark.parametrize("y", [1e-5, 0.01, 0.5, 1.0, 3.7, 120.0, 5e5])
def test_the_inverse_of_trigamma_undoes_it(y: float) -> None:
    assert inverse_trigamma(float(special.polygamma(1, y))) == pytest.approx(y, rel=2e-6)


def test_p_values_are_those_of_student_and_of_gauss_at_the_limit() -> None:
    t = np.array([0.0, -1.5, 2.5, 8.0, 3.0, np.nan])
    df = np.array([4.0, 6.5, 31.2, 8.0, np.inf, 5.0])
    expected = [*(2 * stats.t.sf(abs(t[:4]), df[:4])), 2 * stats.norm.sf(3.0), np.nan]
    np.testing.assert_allclose(two_sided(t, df), expected, rtol=1e-12)


def test_few_products_borrow_nothing() -> None:
    chance = np.random.default_rng(3)
    z, s2 = chance.normal(size=99), chance.chisquare(8, 99) / 8
    found = moderated(z, s2, 8, np.ones(99))
    np.testing.assert_array_equal(found.t, z / np.sqrt(s2))
    assert (found.df == 8).all()
    assert found.prior == 0


def test_moderation_finds_the_prior_that_made_the_variances() -> None:
    chance = np.random.default_rng(4)
    n, d0 = 40_000, 7.0
    terms = chance.choice([4, 6, 8], n)
    mean = np.exp(chance.normal(0, 2, n))
    usual = 0.25 * (1 + mean) ** 0.5
    variance = usual * d0 / chance.chisquare(d0, n)
    z = chance.normal(size=n) * np.sqrt(variance)
    found = moderated(z, variance * chance.chisquare(terms) / terms, terms, mean)
    assert found.prior == pytest.approx(d0, rel=0.05)
    np.testing.assert_allclose(found.df, terms + found.prior)
    for few in (4, 6, 8):
        assert (found.p[terms == few] < 0.05).mean() == pytest.approx(0.05, abs=0.006)
    assert (found.p < 0.001).mean() == pytest.approx(0.001, abs=0.0006)


def test_equal_variances_are_known_as_well_as_if_there_were_no_limit() -> None:
    chance = np.random.default_rng(6)
    found = moderated(chance.normal(size=5_000), np.full(5_000, 0.7), 8, np.ones(5_000))
    assert found.prior == np.inf
    assert np.ptp(found.s2) == 0
    assert (found.p < 0.05).mean() == pytest.approx(0.05, abs=0.04)


def test_products_without_noise_are_not_tested_and_lend_nothing() -> None:
    chance = np.random.default_rng(7)
    z, s2 = chance.normal(size=300), chance.chisquare(8, 300) / 8
    mean = chance.random(300)
    alone = moderated(z, s2, 8, mean)
    with_more = moderated(
        np.append(z, [0, np.nan]), np.append(s2, [0, 1]), 8, np.append(mean, [0, 1])
    )
    assert np.isnan(with_more.t[-2:]).all()
    np.testing.assert_array_equal(with_more.t[:-2], alone.t)


def test_the_order_of_products_changes_nothing() -> None:
    chance = np.random.default_rng(8)
    units = series(chance, 400, 208, chance.choice([0.1, 1, 10], 400))
    order = chance.permutation(400)
    mean = units.mean(axis=1)
    t = moderated(*statistic(root(units), basis(208)), 8, mean).t
    mixed = moderated(*statistic(root(units[order]), basis(208)), 8, mean[order]).t
    np.testing.assert_allclose(mixed, t[order], rtol=1e-9)


def test_a_step_is_told_from_a_line_and_its_week_is_named() -> None:
    chance = np.random.default_rng(9)
    week = np.arange(208)
    line = 20 * np.exp(np.outer([0.3, -0.3], week / 52))
    step = np.where(week < 90, 20, [[40.0], [10.0]])
    found = level_jump(root(chance.poisson(np.vstack([line, step])).astype(float)))
    assert found.jump.tolist() == [False, False, True, True]
    assert abs(found.week[2:] - 90).max() <= 3


def test_steady_growth_is_no_step_though_it_is_curved() -> None:
    units = np.exp(np.outer([1.2, -1.2, 0.6], np.arange(260) / 52)) + np.arange(260) % 2
    assert not level_jump(root(units)).jump.any()


def test_a_step_among_masked_weeks_is_found_all_the_same() -> None:
    chance = np.random.default_rng(10)
    kept = np.ones(260, bool)
    kept[100:120] = False
    units = chance.poisson(np.where(np.arange(260) < 160, 9.0, 25.0)[None]).astype(float)
    found = level_jump(root(np.where(kept, units, 0)), kept=kept)
    assert found.jump.tolist() == [True]
    assert abs(found.week[0] - 160) <= 3


def test_products_of_matrices_in_parts_are_those_of_the_whole() -> None:
    chance = np.random.default_rng(13)
    for rows, inner, columns in ((3_000, 260, 18), (42, 52, 5_000), (1, 1, 1), (0, 5, 3)):
        a, b = chance.random((rows, inner)), chance.random((inner, columns))
        np.testing.assert_allclose(product(a, b), a @ b, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "rate"), UNCHANGED.items(), ids=lambda case: str(case))
def test_unchanged_products_are_called_trending_as_rarely_as_promised(case, rate) -> None:
    units = series(np.random.default_rng(11), 4_000, 260, *case)
    t = t_of(root(units), basis(260))
    usable = ~np.isnan(t)
    assert usable.mean() > 0.99
    rejected = (two_sided(t[usable], np.full(usable.sum(), 8.0)) < 0.05).sum() / len(t)
    assert rejected == pytest.approx(rate, abs=0.015)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weeks", "false", "found"), [(260, 0.042, 0.961), (208, 0.037, 0.847), (156, 0.035, 0.577)]
)
def test_of_the_products_called_trending_few_are_not_and_most_that_are_are(
    weeks: int, false: float, found: float
) -> None:
    units, growth, _ = catalogue(np.random.default_rng(12), 30_000, weeks)
    called = called_trending(units)
    assert (growth[called] == 0).mean() == pytest.approx(false, abs=0.015)
    assert called[growth != 0].mean() == pytest.approx(found, abs=0.015)


def called_trending(units: np.ndarray) -> np.ndarray:
    weights = basis(units.shape[1])
    z, s2 = statistic(root(units), weights)
    return benjamini_hochberg(moderated(z, s2, weights.terms, units.mean(axis=1)).p) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("weeks", [156, 208, 260])
def test_hardly_a_linear_trend_is_called_a_jump(weeks: int) -> None:
    units, growth, _ = catalogue(np.random.default_rng(14), 30_000, weeks)
    trends = units[called_trending(units) & (growth != 0)]
    assert level_jump(root(trends)).jump.mean() <= 0.01


@pytest.mark.slow
def test_most_steps_in_the_middle_are_called_jumps() -> None:
    chance = np.random.default_rng(15)
    units = series(chance, 2_000, 260, 10, alpha=0.2, step=np.log(2))
    assert called_trending(units).mean() > 0.99
    found = level_jump(root(units))
    assert found.jump.mean() >= 0.9
    assert np.median(abs(found.week - 130)) <= 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "season", "each", "most"),
    [
        ("us_retail_monthly/example_retail_sales.csv", 12, None, 0.06),
        ("walmart_weekly/walmart_sales_weekly.csv", 52, 5, 0.07),
    ],
)
def test_real_years_in_random_order_have_no_trend(test_data, name, season, each, most) -> None:
    read = retail_years if season == 12 else department_years
    units = shuffled_years(np.random.default_rng(16), read(test_data(name)), 4_000, each)
    made = basis(units.shape[1], season)
    p = two_sided(t_of(root(units), made), np.full(len(units), float(made.terms)))
    assert (p < 0.05).mean() <= most
