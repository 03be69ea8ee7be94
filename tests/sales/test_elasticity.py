"""Elasticities: what is recovered, what is refused, and when they mislead; holdouts."""

import numpy as np
import polars as pl
import pytest
from demand import Matrix, Weekly, course, sold, weekly
from polars.testing import assert_frame_equal

from shelfwise.errors import InputError
from shelfwise.sales import weeks
from shelfwise.sales.prices import (
    POWER_AND_LEVEL,
    WARNING,
    elasticity,
    holdout,
    log_prices,
    price_changes,
    response,
    shrunk,
)


def promoted(
    seed: int, n: int = 400, weeks: int = 156, follow: float = 0.0, lam: float = 12.0
) -> tuple[Matrix, Matrix, Matrix]:
    """Units, prices and true elasticities (around -2) of products with promotions.

    Promotions take 1 to 3 weeks and 10 to 30%. With `follow` they come when demand is
    high anyway.
    """
    chance = np.random.default_rng(seed)
    beta = chance.normal(-2, 0.3, n)
    restless = course(chance, n, weeks, 0.5, 0.3)
    begins = chance.random((n, weeks)) < 0.08 * np.exp(follow * restless / 0.3)
    cut = np.zeros((n, weeks))
    for week in range(weeks):
        some = np.flatnonzero(begins[:, week] & (cut[:, week] == 0))
        lasts, depth = chance.integers(1, 4, len(some)), chance.choice([0.1, 0.2, 0.3], len(some))
        for row, most, share in zip(some, lasts, depth, strict=True):
            cut[row, week : week + most] = share
    price = chance.uniform(2, 50, n)[:, None] * (1 - cut)
    season = 0.3 * np.sin(2 * np.pi * (np.arange(weeks) / 52 + chance.uniform(0, 1, n)[:, None]))
    log_mean = np.log(lam) + restless + season + beta[:, None] * np.log(1 - cut)
    return sold(chance, log_mean, 0.1), price, beta


def test_a_response_is_the_poisson_maximum() -> None:
    chance = np.random.default_rng(5)
    price = np.repeat([10.0, 9.0, 10.0, 8.0, 10.0, 7.0], 10)
    units = chance.poisson(20 * (price / 10) ** -2.5).astype(float)
    slope, variance = response(units[None], np.log(price)[None], np.ones((1, 60), bool))
    x = np.log(price) - np.log(price).mean()

    def likelihood(b: float) -> float:
        a = np.log(units.sum() / np.exp(b * x).sum())
        return float(np.sum(units * (a + b * x) - np.exp(a + b * x)) - 0.005 * b**2)

    grid = np.linspace(-4, -1, 3001)
    assert slope[0] == pytest.approx(grid[np.argmax([likelihood(b) for b in grid])], abs=0.001)
    exact = 1 / np.sqrt(np.sum(20 * (price / 10) ** -2.5 * x**2))
    assert 0.5 * exact < np.sqrt(variance[0]) < 2 * exact


def test_a_price_is_carried_through_weeks_without_a_sale() -> None:
    found = log_prices(np.array([[0.0, 2.0, 0.0, 0.0, 3.0, 0.0]]))
    assert np.isnan(found[0, 0])
    assert np.exp(found[0, 1:]).tolist() == pytest.approx([2, 2, 2, 3, 3])


@pytest.mark.parametrize(
    ("prices", "changes"),
    [
        ([10, 10, 10], 0),
        ([10, 9, 9, 10], 2),
        ([10, 10.05, 10, 9.95], 0),
        ([10, 9.6, 9, 9], 1),  # Changed in mid-week, seen as two steps.
        ([10, 9, 9, 8, 8], 2),
        ([10, 9, 10, 9], 3),
        ([np.nan, 10, 9], 1),
    ],
)
def test_price_changes_are_moves_by_more_than_a_hundredth(
    prices: list[float], changes: int
) -> None:
    assert price_changes(np.log([prices])).tolist() == [changes]


def test_what_cannot_be_estimated_has_a_reason_and_every_row_the_warning() -> None:
    units = np.full((5, 60), 10.0)
    price = np.full((5, 60), 10.0)
    price[1:, 10:20] = price[1:, 30:40] = 8
    units[2] = 0.3
    units[3, ::2] = 0
    units[4, 10:20] = units[4, 30:40] = 16
    units[0, 5:8] = 0
    table = elasticity(weekly(units, price))
    assert table["reason"].to_list() == [
        "fewer than 3 price changes",
        None,
        "fewer than 20 units",
        "no known price in more than 20% of the weeks",
        None,
    ]
    assert table["price_changes"].to_list() == [0, 4, 4, 4, 4]
    assert table["elasticity"].is_null().to_list() == [True, False, True, True, False]
    assert table["elasticity"][1] == pytest.approx(0, abs=1e-6)
    assert table["elasticity"][4] == pytest.approx(np.log(1.6) / np.log(0.8), rel=0.01)
    assert set(table["warning"]) == {WARNING}
    assert "association" in WARNING


def test_weeks_out_of_stock_tell_nothing_about_the_price() -> None:
    units, price, _ = promoted(1, n=1)
    empty = [int(week) for week in np.flatnonzero(price[0] < price[0].max())[:6]]
    weight = np.ones((1, 156), bool)
    weight[0, empty] = False
    expected, _ = response(units, np.log(price), weight)
    units[0, empty] = 0
    masked = elasticity(weekly(units, price, masked=[("p0000", week) for week in empty]))
    assert masked["elasticity"][0] == pytest.approx(expected[0])
    assert elasticity(weekly(units, price))["elasticity"][0] != pytest.approx(expected[0], abs=0.1)


def test_weeks_without_revenue_have_no_price() -> None:
    units, price, _ = promoted(2, n=1)
    data = weekly(units, price)
    bare = Weekly(data.frame.drop("revenue"), data.first, data.weeks, data.products)
    with pytest.raises(InputError, match="revenue"):
        elasticity(bare)


def test_parts_of_the_products_give_what_all_give(monkeypatch: pytest.MonkeyPatch) -> None:
    units, price, _ = promoted(4, n=12, weeks=104)
    data = weekly(units, price)
    whole = elasticity(data)
    assert whole["elasticity"].null_count() == 0
    monkeypatch.setattr(weeks, "PART", 5)
    assert_frame_equal(elasticity(data), whole)


def test_categories_are_shrunk_apart_and_small_ones_to_all() -> None:
    chance = np.random.default_rng(3)
    slope = np.r_[chance.normal(-1, 0.3, 30), chance.normal(-3, 0.3, 30), -9.0]
    groups = ["a"] * 30 + ["b"] * 30 + ["c"]
    mean, deviation = shrunk(slope, np.full(61, 0.25), groups)
    assert mean[:30].mean() == pytest.approx(slope[:30].mean(), abs=0.01)
    assert mean[:30].std() < 0.7 * slope[:30].std()
    assert -9 < mean[60] < -4
    assert (deviation <= 0.5).all()


def test_fewer_than_five_products_stay_as_they_are() -> None:
    mean, deviation = shrunk(np.array([-1.0, -3.0]), np.array([0.04, 0.09]), [None, None])
    assert mean.tolist() == [-1, -3]
    assert deviation == pytest.approx([0.2, 0.3])


def test_true_elasticities_are_recovered_where_prices_are_set_by_chance() -> None:
    units, price, beta = promoted(11)
    table = elasticity(weekly(units, price, category=["a", "b"] * 200))
    found = table["elasticity"].to_numpy()
    assert table["reason"].is_null().all()
    assert abs(np.mean(found - beta)) < 0.1
    inside = (table["low"].to_numpy() <= beta) & (beta <= table["high"].to_numpy())
    assert 0.85 <= inside.mean() <= 0.96
    own, _ = response(units, np.log(price), np.ones(units.shape, bool))
    assert np.std(found - beta) < 0.7 * np.std(own - beta)


def test_the_warning_is_earned_where_promotions_follow_demand() -> None:
    units, price, beta = promoted(12, follow=1.0)
    table = elasticity(weekly(units, price))
    bias = np.mean(table["elasticity"].to_numpy() - beta)
    inside = (table["low"].to_numpy() <= beta) & (beta <= table["high"].to_numpy())
    assert bias < -0.3
    assert inside.mean() < 0.7


def catalogue(seed: int, n: int = 60, weeks: int = 104) -> Weekly:
    chance = np.random.default_rng(seed)
    lam = np.exp(chance.normal(2, 1, n))
    units = sold(chance, np.log(lam)[:, None] + course(chance, n, weeks, 0.5, 0.3), 0.1)
    return weekly(units, category=[("a", "b", None)[row % 3] for row in range(n)])


@pytest.mark.parametrize(("share", "size"), [(0.5, 2), (1 / 3, 3), (0.2, 5)])
def test_one_product_of_each_block_of_alike_ones_changes(share: float, size: int) -> None:
    plan = holdout(catalogue(1), share, seed=4)
    used = plan.products.drop_nulls("block")
    for (_,), block in used.group_by("block"):
        assert block.height == size
        assert block["changes_price"].sum() == 1
        assert block["category"].n_unique() == 1
    of_a = used.filter(category="a").sort("block")
    levels = of_a.group_by("block", maintain_order=True).agg(
        low=pl.col("units_per_week").min(), high=pl.col("units_per_week").max()
    )
    assert (levels["low"][:-1] >= levels["high"][1:]).all()
    assert used.height + plan.products["reason"].drop_nulls().len() == 60
    assert holdout(catalogue(1), share, seed=4).products.equals(plan.products)
    assert not holdout(catalogue(1), share, seed=5).products.equals(plan.products)


def test_products_that_do_not_sell_or_have_no_partner_take_no_part() -> None:
    units = np.ones((4, 60)) * np.arange(1, 5)[:, None]
    units[0, -26:] = 0
    plan = holdout(weekly(units))
    assert plan.products["reason"].to_list() == [
        "no sale in 26 weeks",
        "no product of the category left to compare with",
        None,
        None,
    ]


def test_the_detectable_effect_of_a_pair_is_that_of_its_past_differences() -> None:
    chance = np.random.default_rng(8)
    units = chance.poisson(30, (2, 48)).astype(float)
    plan = holdout(weekly(units), weeks=8)
    rises = np.diff(units.reshape(2, 6, 8).sum(axis=2), axis=1)
    noise = np.sqrt(np.mean((rises[0] - rises[1]) ** 2))
    expected = POWER_AND_LEVEL * noise / (units[:, -26:].mean() * 8)
    assert plan.detectable == pytest.approx(expected)


@pytest.mark.parametrize("share", [0, 0.4, 0.7, 1, -1])
def test_a_share_that_makes_no_blocks_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="Give 1/2, 1/3"):
        holdout(catalogue(1), share)


def test_a_test_that_history_cannot_judge_is_refused() -> None:
    with pytest.raises(InputError, match="too few to plan a test of 40 weeks"):
        holdout(catalogue(1), weeks=40)
    with pytest.raises(InputError, match="nothing to compare"):
        holdout(weekly(np.ones((1, 60))))
    with pytest.raises(InputError, match=r"weeks is 2\.5"):
        holdout(catalogue(1), weeks=2.5)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_planned_test_finds_the_detectable_effect_four_times_in_five() -> None:
    found = []
    for seed in range(300):
        chance = np.random.default_rng(1_000 + seed)
        lam = np.exp(chance.normal(2, 0.7, 40))
        log_mean = np.log(lam)[:, None] + course(chance, 40, 112, 0.5, 0.3)
        past = sold(chance, log_mean[:, :104], 0.1)
        plan = holdout(weekly(past), weeks=8, seed=seed)
        treated = plan.products["changes_price"].fill_null(False).to_numpy()
        block = plan.products["block"].to_numpy()
        after = log_mean[:, 104:].copy()
        after[treated] += np.log1p(plan.detectable)
        rise = sold(chance, after, 0.1).sum(axis=1) - past[:, -8:].sum(axis=1)
        order = [np.argsort(block[side]) for side in (treated, ~treated)]
        apart = rise[treated][order[0]] - rise[~treated][order[1]]
        before = past[treated][:, -26:].mean() * treated.sum() * 8
        effect = apart.sum() / before
        found.append(effect > 1.959964 * plan.detectable / POWER_AND_LEVEL)
    assert 0.7 <= np.mean(found) <= 0.9
