"""Price and units: what chance has set is recovered, and what demand has set misleads as said."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from demand import weekly

from shelfwise.errors import InputError
from shelfwise.sales import Weekly, elasticity, holdout
from shelfwise.sales.elasticity import WARNING

WEEKS = 156


def priced(
    chance: np.random.Generator, n: int, *, follow: float = 0.0, beta: float = -2.0
) -> Weekly:
    """Products whose price changes every ten weeks; `follow` lowers it where demand is strong."""
    shock = chance.normal(0, 0.3, (n, WEEKS // 13))
    swing = np.repeat(shock, 13, axis=1)
    steps = np.repeat(chance.normal(0, 0.12, (n, WEEKS // 13)), 13, axis=1)
    log_price = steps - follow * swing
    mean = 8 * np.exp(beta * log_price + swing * (follow > 0))
    units = chance.poisson(mean).astype(float)
    return weekly(units, price=5 * np.exp(log_price), category=["a"] * n)


def test_an_elasticity_that_chance_reveals_is_recovered() -> None:
    found = elasticity(priced(np.random.default_rng(1), 60))
    assert found["reason"].null_count() == 60
    assert found["elasticity"].mean() == pytest.approx(-2.0, abs=0.15)
    within = ((found["low"] <= -2.0) & (found["high"] >= -2.0)).mean()
    assert isinstance(within, float)
    assert within >= 0.8
    assert set(found["warning"]) == {WARNING}


def test_prices_that_follow_demand_mislead_as_the_warning_says() -> None:
    honest = elasticity(priced(np.random.default_rng(2), 60))["elasticity"].mean()
    misled = elasticity(priced(np.random.default_rng(2), 60, follow=0.3))["elasticity"].mean()
    assert isinstance(honest, float)
    assert isinstance(misled, float)
    assert misled < honest - 0.3


def test_what_has_no_elasticity_says_why() -> None:
    steady = np.full((1, WEEKS), 3.0)
    few = np.zeros((1, WEEKS))
    few[0, ::20] = 1.0
    price = np.ones((2, WEEKS))
    price[1, ::40] = 1.5
    found = elasticity(weekly(np.vstack([steady, few]), price=price))
    assert found["elasticity"].to_list() == [None, None]
    assert found["reason"][0] == "fewer than 3 price changes"
    assert found["reason"][1] in ("fewer than 20 units", "fewer than 3 price changes")


def test_weeks_without_revenue_have_no_price() -> None:
    rows = pl.DataFrame(
        {"product_id": ["a"] * 60, "units": [2.0] * 60,
         "week": [dt.date(2024, 1, 1) + dt.timedelta(weeks=n) for n in range(60)]}
    )  # fmt: skip
    with pytest.raises(InputError, match="no revenue"):
        elasticity(rows)


def test_a_holdout_draws_one_of_each_pair_of_alike_products() -> None:
    plan = holdout(priced(np.random.default_rng(3), 40), weeks=8, seed=5)
    drawn = plan.products.filter(pl.col("block") >= 0)
    assert drawn.height == 40
    per_block = drawn.group_by("block").agg(pl.col("changes_price").sum(), pl.len())
    assert set(per_block["changes_price"]) == {1}
    assert set(per_block["len"]) == {2}
    again = holdout(priced(np.random.default_rng(3), 40), weeks=8, seed=5)
    assert again.products.equals(plan.products)
    assert 0 < plan.detectable < 1


@pytest.mark.parametrize("share", [0.0, 0.7, 0.45])
def test_a_share_that_is_no_simple_fraction_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="share is"):
        holdout(priced(np.random.default_rng(3), 10), share)
