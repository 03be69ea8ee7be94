"""What is measured block by block and judged together."""

import numpy as np
import pytest
from series import catalogue, series

from shelfwise.sales import courses
from shelfwise.sales.courses import Measured, joined, judge, measure
from shelfwise.sales.growth import ESTIMATED, MASKED, NOTHING_SOLD, shift_share
from shelfwise.sales.har import basis, root, shift_basis, statistic


@pytest.fixture(scope="module")
def units() -> np.ndarray:
    return catalogue(np.random.default_rng(1), 600, 208)[0]


def same(ours: Measured, other: Measured) -> None:
    for name, a, b in zip(Measured._fields, ours, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=name)


def test_blocks_on_two_threads_give_what_one_block_gives(units, monkeypatch) -> None:
    whole = measure(units)
    monkeypatch.setattr(courses, "BLOCK", 64)
    same(measure(units), whole)
    for first, second in zip(measure(units), measure(units), strict=True):
        np.testing.assert_array_equal(first, second)


def test_what_is_measured_is_the_statistic_of_each_basis(units) -> None:
    found = measure(units)
    for made, z, s2 in ((basis(208), found.z, found.s2),
                        (shift_basis(208), found.shift_z, found.shift_s2)):  # fmt: skip
        expected = statistic(root(units), made)
        np.testing.assert_allclose(z, expected[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(s2, expected[1], rtol=1e-9, atol=1e-12)


def test_masks_without_a_masked_week_change_nothing(units) -> None:
    same(measure(units, np.ones(units.shape, bool)), measure(units))


def test_a_masked_product_among_whole_ones_is_measured_with_its_own_basis(units) -> None:
    kept = np.ones(units.shape, bool)
    kept[7, 20:40] = False
    kept[9, :60] = False
    kept[500, 100] = False
    found, whole = measure(units, kept), measure(units)
    z, s2 = statistic(root(units[7:8]), basis(208, kept=kept[7]))
    assert found.z[7] == pytest.approx(z[0])
    assert found.s2[7] == pytest.approx(s2[0])
    assert found.mean[7] == pytest.approx(units[7, kept[7]].mean())
    assert found.code[[7, 9, 500]].tolist() == [ESTIMATED, MASKED, ESTIMATED]
    assert np.isnan(found.z[9])
    others = kept.all(axis=1)
    same(Measured(*(a[others] for a in found)), Measured(*(a[others] for a in whole)))


def test_a_gap_that_is_masked_is_no_fall() -> None:
    chance = np.random.default_rng(2)
    units = series(chance, 300, 208, 20, alpha=0.05)
    kept = np.ones(units.shape, bool)
    units[:150, -30:] = 0
    kept[:150, -30:] = False
    told, blind = judge(measure(units, kept)), judge(measure(units))
    assert (told.trend == -1).mean() < 0.01
    assert np.median(told.growth[:150]) == pytest.approx(0, abs=0.02)
    assert np.median(blind.growth[:150]) < -0.15
    assert (blind.shift_q[:150] <= 0.05).mean() > 0.9


def test_groups_of_other_lengths_are_judged_together() -> None:
    chance = np.random.default_rng(3)
    groups = [series(chance, 150, weeks, 10, growth=np.repeat([0, 0.5, -0.5], 50))
              for weeks in (156, 260)]  # fmt: skip
    found = judge(joined(measure(group) for group in groups))
    assert len(found.t) == 300
    for group in (slice(0, 150), slice(150, 300)):
        assert (found.trend[group][50:100] == 1).mean() > 0.9
        assert (found.trend[group][100:] == -1).mean() > 0.9
    assert found.df[0] + 2 == pytest.approx(found.df[-1])


def test_labels_need_both_a_sure_trend_and_some_growth(units) -> None:
    found = judge(measure(units))
    called = found.trend != 0
    assert called.any()
    assert (found.q[called] <= 0.05).all()
    assert (np.abs(found.growth[called]) >= 0.05).all()
    assert (np.sign(found.growth[called]) == found.trend[called]).all()


def test_a_tiny_but_certain_trend_is_no_label_and_may_be_flat() -> None:
    units = np.round(10_000 * 1.01 ** (np.arange(260) / 52) + np.arange(260) % 7)[None]
    found = judge(measure(units))
    assert found.q[0] < 0.001
    assert found.trend[0] == 0
    assert found.flat[0]


def test_noise_is_not_flat() -> None:
    found = judge(measure(series(np.random.default_rng(5), 200, 156, 0.5)))
    assert found.flat.mean() < 0.01


def test_products_that_never_sold_or_never_change_say_nothing() -> None:
    units = np.vstack([np.zeros(156), np.full(156, 3.0), np.arange(156) % 5])
    found, seen = judge(measure(units)), measure(units)
    assert np.isnan(found.p[:2]).all()
    assert np.isfinite(found.p[2])
    assert found.trend.tolist() == [0, 0, 0]
    assert seen.code.tolist() == [NOTHING_SOLD, ESTIMATED, ESTIMATED]


def test_less_than_a_year_is_refused() -> None:
    with pytest.raises(ValueError, match="51 weeks are too short"):
        measure(np.ones((2, 51)))


@pytest.mark.parametrize("weeks", [52, 60, 103, 104, 207])
def test_short_series_are_measured_with_what_they_have(weeks: int) -> None:
    units = series(np.random.default_rng(6), 200, weeks, 5)
    found = judge(measure(units))
    assert np.isfinite(found.p).all()
    assert np.isfinite(shift_share(units, 13)).all()
    assert ((found.low < found.growth) & (found.growth < found.high)).all()
