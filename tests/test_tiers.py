"""Quota tiers, clusters in their place, and tiers within groups."""

from typing import Any

import polars as pl
import pytest

import shelfwise
from kinds import Engine
from reference import judge, tiers
from shelfwise.pipeline.tier import quota


def product(i: int, units: float, **more: Any) -> dict[str, Any]:
    return {"product_id": i, "name": f"P{i}", "price": 10.0, "units_sold": units,
            "stock": 20.0, **more}  # fmt: skip


def counts(analysis: Any) -> tuple[int, int, int]:
    found = analysis.summary["tiers"]
    return found["High"], found["Medium"], found["Low"]


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, (0, 1, 0)), (2, (0, 2, 0)), (3, (1, 1, 1)), (4, (1, 2, 1)), (10, (2, 6, 2))],
)
def test_the_quota_is_a_fifth_rounded(n: int, expected: tuple[int, int, int]) -> None:
    rows = [product(i, float(i)) for i in range(n)]
    assert counts(shelfwise.analyze(rows)) == expected


@pytest.mark.parametrize("n", range(1, 60))
def test_high_and_low_are_each_within_half_a_product_of_a_fifth(n: int) -> None:
    assert abs(quota(n, 0.2) - 0.2 * n) <= 0.5 + 1e-9
    assert 2 * quota(n, 0.2) <= n


def test_products_that_are_all_equal_are_medium() -> None:
    assert counts(shelfwise.analyze([product(i, 3.0) for i in range(8)])) == (0, 8, 0)


def test_two_groups_of_five_equals_are_low_and_high(frame: Engine) -> None:
    rows = [product(i, 1.0 if i < 5 else 2.0) for i in range(10)]
    analysis = shelfwise.analyze(frame(rows))
    assert frame.column(analysis.products, "performance_tier") == ["Low"] * 5 + ["High"] * 5
    assert analysis.summary["tied_at_cuts"] == {"high": 5, "low": 5}


def test_ties_share_a_tier_and_a_rank(frame: Engine) -> None:
    rows = [product(i, float(units)) for i, units in enumerate([9, 9, 9, 5, 4, 3, 2, 1, 0, 0])]
    got = frame.read(shelfwise.analyze(frame(rows)).products)
    assert [row["performance_tier"] for row in got] == ["High"] * 3 + ["Medium"] * 5 + ["Low"] * 2
    assert [row["rank"] for row in got] == [1, 1, 1, 4, 5, 6, 7, 8, 9, 9]


def test_a_share_moved_by_ties_is_said(frame: Engine) -> None:
    rows = [product(i, float(max(0, i - 11))) for i in range(20)]
    analysis = shelfwise.analyze(frame(rows))
    assert counts(analysis) == (4, 4, 12)
    messages = [w.message for w in analysis.warnings if w.code == "ties_move_tiers"]
    assert len(messages) == 1
    assert "60% of the products are Low instead of 20%" in messages[0]
    assert "12 at the cut" in messages[0]
    assert analysis.summary["tied_at_cuts"] == {"high": 0, "low": 12}


def test_more_than_half_of_adventureworks_is_low(test_data: Any) -> None:
    products = pl.read_csv(test_data("adventureworks/AdventureWorks_Products.csv"))
    sales = pl.concat(
        pl.read_csv(test_data(f"adventureworks/AdventureWorks_Sales_{year}.csv"))
        for year in (2017, 2018, 2019)
    )
    sold = sales.group_by("ProductKey").agg(units_sold=pl.col("OrderQuantity").sum())
    rows = products.join(sold, on="ProductKey", how="left").select(
        product_id="ProductKey", name="ProductName", price="ProductPrice",
        units_sold=pl.col("units_sold").fill_null(0),
    )  # fmt: skip
    analysis = shelfwise.analyze(rows)
    assert rows.height == 293
    assert (rows["units_sold"] == 0).sum() == 163
    assert analysis.summary["tiers"]["Low"] == 163
    revenue = (rows["price"] * rows["units_sold"]).sum()
    assert round(revenue, 2) == 24_914_586.82
    assert analysis.summary["total_revenue"] == pytest.approx(24_914_586.82, abs=0.005)
    assert analysis.products["abc_class"].value_counts().filter(
        pl.col("abc_class") == "N"
    )["count"].item() == 163  # fmt: skip
    message = next(w.message for w in analysis.warnings if w.code == "ties_move_tiers")
    assert message.startswith("56% of the products are Low instead of 20%")


def test_other_shares_of_a_profile_count() -> None:
    profile = shelfwise.Profile.from_dict(
        {"name": "steep", "terms": {"revenue": 1.0}, "tiers": {"high": 0.1, "low": 0.5}}
    )
    rows = [product(i, float(i)) for i in range(20)]
    analysis = shelfwise.analyze(rows, profile=profile)
    assert counts(analysis) == (2, 8, 10)
    scores = analysis.products["performance_score"].to_list()
    assert analysis.products["performance_tier"].to_list() == tiers(scores, 0.1, 0.5)


def test_a_share_of_zero_gives_no_product_that_tier() -> None:
    profile = shelfwise.Profile.from_dict(
        {"name": "only-best", "terms": {"revenue": 1.0}, "tiers": {"high": 0.2, "low": 0.0}}
    )
    analysis = shelfwise.analyze([product(i, float(i)) for i in range(10)], profile=profile)
    assert counts(analysis) == (2, 8, 0)
    assert analysis.model.cut_low is None


def test_clusters_take_the_place_of_tiers_when_asked(frame: Engine) -> None:
    rows = [product(i, units) for i, units in enumerate([0.0, 1.0, 50.0, 51.0, 52.0, 99.0])]
    analysis = shelfwise.analyze(frame(rows), tiering="kmeans")
    got = frame.read(analysis.products)
    assert [row["performance_tier"] for row in got] == [row["cluster"] for row in got]
    assert [row["cluster"] for row in got] == ["Low"] * 2 + ["Medium"] * 3 + ["High"]
    assert analysis.model.tiering == "kmeans"


def test_the_cross_table_counts_every_product_once(frame: Engine) -> None:
    rows = [product(i, float(i * i % 37)) for i in range(50)]
    analysis = shelfwise.analyze(frame(rows))
    got = frame.read(analysis.products)
    for tier, row in analysis.summary["tier_by_cluster"].items():
        for cluster, count in row.items():
            assert count == sum(
                (r["performance_tier"], r["cluster"]) == (tier, cluster) for r in got
            )
    assert analysis.clustering["sizes"] == analysis.summary["clusters"]


def test_agreement_of_clusters_and_tiers_is_the_adjusted_rand_index(frame: Engine) -> None:
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    rows = [product(i, float(i * i % 37)) for i in range(50)]
    analysis = shelfwise.analyze(frame(rows))
    got = frame.read(analysis.products)
    tier, cluster = ([row[name] for row in got] for name in ("performance_tier", "cluster"))
    assert analysis.clustering["adjusted_rand_index"] == pytest.approx(
        adjusted_rand_score(tier, cluster), abs=1e-12
    )
    weights = {s.metric: s.weight for s in analysis.model.scales}
    points = [[row[f"contribution_{m}"] / w for m, w in weights.items()] for row in got]
    assert analysis.clustering["silhouette"] == pytest.approx(
        silhouette_score(points, cluster), abs=1e-9
    )


def test_one_cluster_has_no_silhouette() -> None:
    analysis = shelfwise.analyze([product(i, 3.0) for i in range(8)])
    assert analysis.clustering["silhouette"] is None


def test_a_saved_models_cuts_make_the_tiers() -> None:
    model = shelfwise.analyze([product(i, float(i)) for i in range(10)]).model
    assert counts(shelfwise.analyze([product(i, 9.0) for i in range(4)], model=model)) == (4, 0, 0)
    assert counts(shelfwise.analyze([product(1, 5.0)], model=model)) == (0, 1, 0)


GROUPS = [
    product(i, float(i * i % 41), category="ABC"[i % 3] if i < 45 else "D") for i in range(48)
]


def test_tiers_within_groups_equal_the_judge_in_each(frame: Engine) -> None:
    analysis = shelfwise.analyze(frame(GROUPS), group_by="category")
    got = frame.read(analysis.products)
    for category in "ABCD":
        mine = [row for row in GROUPS if row["category"] == category]
        judged = judge(mine)
        theirs = [row for row in got if row["category"] == category]
        assert [row["score_in_group"] for row in theirs] == pytest.approx(judged.scores, abs=1e-9)
        assert [row["tier_in_group"] for row in theirs] == judged.tiers
        assert [row["rank_in_group"] for row in theirs] == judged.ranks
        assert {row["group_size"] for row in theirs} == {len(mine)}
    whole = judge(GROUPS)
    assert [row["performance_tier"] for row in got] == whole.tiers


@pytest.mark.parametrize("profile", ["standard", "robust"])
def test_one_group_of_all_scores_as_the_whole(frame: Engine, profile: str) -> None:
    rows = [row | {"category": "A"} for row in GROUPS]
    got = frame.read(shelfwise.analyze(frame(rows), group_by="category", profile=profile).products)
    exactly = [row["performance_score"] for row in got]
    theirs = [row["score_in_group"] for row in got]
    # A rank is found from 101 percentiles over all products, and exactly within a group.
    assert theirs == (exactly if profile == "standard" else pytest.approx(exactly, abs=2.0))
    assert got[0]["rank_in_group"] == got[0]["rank"]


def test_groups_under_five_are_flagged() -> None:
    analysis = shelfwise.analyze(GROUPS, group_by="category")
    assert [w.message for w in analysis.warnings if w.code == "small_groups"] == [
        "3 products are in a category of fewer than 5: their tier in the group means little."
    ]


def test_products_without_a_group_are_a_group(frame: Engine) -> None:
    rows = [product(i, float(i), category=None if i < 6 else "A") for i in range(12)]
    got = frame.read(shelfwise.analyze(frame(rows), group_by="category").products)
    assert [row["group_size"] for row in got] == [6] * 12
    assert [row["rank_in_group"] for row in got] == [6, 5, 4, 3, 2, 1] * 2


@pytest.mark.parametrize("group", ["stock", "product_id"])
def test_a_number_can_be_grouped_by(frame: Engine, group: str) -> None:
    rows = [product(i, float(i % 7)) | {"stock": float(i % 2)} for i in range(20)]
    got = frame.read(shelfwise.analyze(frame(rows), group_by=group).products)
    assert [row["performance_score"] for row in got] == judge(rows).scores
    sizes = [sum(other[group] == row[group] for other in rows) for row in rows]
    assert [row["group_size"] for row in got] == sizes


def test_a_list_can_be_grouped_by_a_number() -> None:
    rows = [product(i, float(i % 7)) | {"stock": float(i % 2)} for i in range(20)]
    products = shelfwise.analyze(rows, group_by="stock").products
    assert products["group_size"].to_list() == [10] * 20


def test_a_group_that_is_no_column_is_refused(frame: Engine) -> None:
    with pytest.raises(shelfwise.InputError, match="no column 'aisle' to group by"):
        shelfwise.analyze(frame(GROUPS), group_by="aisle")


def test_a_tiny_group_beside_a_giant_is_still_ranked(frame: Engine) -> None:
    rows = [product(i, float(i + 1), category="small") for i in range(6)]
    rows += [product(i, 1e13 * i, category="giant") for i in range(6, 12)]
    got = frame.read(shelfwise.analyze(frame(rows), group_by="category").products)
    judged = judge(rows[:6])
    assert [row["score_in_group"] for row in got[:6]] == pytest.approx(judged.scores, abs=1e-6)
    assert [row["tier_in_group"] for row in got[:6]] == judged.tiers


def test_a_group_beyond_the_limits_of_robust_is_still_ranked() -> None:
    # Every product of "dear" is beyond the 95% quantile of all: within it they still differ.
    rows = [product(i, 1.0 + i % 50, category="usual") for i in range(200)]
    rows += [product(200 + i, 1000.0 + 100 * i, category="dear") for i in range(8)]
    products = shelfwise.analyze(rows, profile="robust", group_by="category").products
    dear = products.filter(pl.col("category") == "dear")
    assert dear["rank_in_group"].to_list() == [8, 7, 6, 5, 4, 3, 2, 1]
