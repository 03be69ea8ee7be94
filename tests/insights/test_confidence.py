"""Confidence: P(tier), rank intervals, borderline products, and what weights would match."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shelfwise
from shelfwise.demo import make_shop
from shelfwise.errors import InputError
from shelfwise.insights import Evidence
from shelfwise.insights.acceptability import BLOCK, Ranker, acceptability, tiers
from shelfwise.insights.confidence import ConfidencePolicy, budgeted, confidence, overdispersion
from shelfwise.model import TIERS
from shelfwise.profile import Profile, Term

Rng = np.random.Generator


def catalogue(n: int, rng: Rng) -> list[dict[str, Any]]:
    return [
        {"product_id": number, "name": f"No. {number}", "price": float(price), "units_sold": sold,
         "stock": left}
        for number, price, sold, left in zip(
            range(n), rng.lognormal(3, 1, n).round(2) + 0.01, rng.poisson(rng.lognormal(2, 1, n)),
            rng.integers(0, 90, n), strict=True)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def shop() -> shelfwise.Analysis:
    return shelfwise.analyze(make_shop().products, profile="robust")


def plain(analysis: shelfwise.Analysis, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks and tier numbers of each draw by the definition, one draw and product at a time."""
    scales = analysis.model.scales
    frame = Evidence.of(analysis).products
    z = [frame[f"contribution_{s.metric}"].to_numpy() / (100 * s.weight) for s in scales]
    n = frame.height
    quota = int(0.2 * n + 0.5)
    ranks, codes = [], []
    for row in weights:
        score = sum(100 * w * column for w, column in zip(row, z, strict=True))
        keys = np.floor(np.asarray(score) * 1e9 + 0.5)
        ordered = np.sort(keys)
        high = keys >= ordered[n - quota] if quota else np.zeros(n, bool)
        low = keys <= ordered[quota - 1] if quota else np.zeros(n, bool)
        ranks.append([1 + int((keys > key).sum()) for key in keys])
        codes.append(np.where(high & ~low, 0, np.where(low & ~high, 2, 1)))
    return np.array(ranks), np.array(codes)


def drawn(analysis: shelfwise.Analysis, policy: ConfidencePolicy) -> np.ndarray:
    weights = [scale.weight for scale in analysis.model.scales]
    rng = np.random.default_rng(policy.seed)
    return rng.dirichlet(policy.kappa * np.array(weights), policy.draws)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 10, 60])
def test_probabilities_and_intervals_are_those_of_the_definition(n: int) -> None:
    analysis = shelfwise.analyze(catalogue(n, np.random.default_rng(n)))
    policy = ConfidencePolicy(draws=83, seed=5)
    rows = confidence(analysis, policy).rows
    ranks, codes = plain(analysis, drawn(analysis, policy))
    for at, name in enumerate(("p_high", "p_medium", "p_low")):
        assert rows[name].to_list() == ((codes == at).mean(axis=0)).tolist()
    ordered = np.sort(ranks, axis=0)
    assert rows["rank_low"].to_list() == ordered[4].tolist()  # floor(.05 x 82) = 4
    assert rows["rank_high"].to_list() == ordered[-5].tolist()
    assert rows["rank"].to_list() == analysis.products["rank"].to_list()
    own = np.array([TIERS.index(tier) for tier in rows["performance_tier"]])
    assert rows["borderline"].to_list() == ((codes == own).mean(axis=0) < 0.8).tolist()


@settings(max_examples=40, deadline=None)
@given(
    scores=st.lists(st.integers(0, 12), min_size=1, max_size=40),
    draws=st.integers(20, 70),
    seed=st.integers(0, 99),
)
def test_ties_share_rank_and_tier_in_every_draw(scores: list[int], draws: int, seed: int) -> None:
    n = len(scores)
    base = np.array(scores, dtype=np.float64)
    weights = np.random.default_rng(seed).random((draws, 2))
    parts = [base, base[::-1].copy()]
    quotas = (round(0.2 * n), round(0.3 * n))
    high, low, first, last = acceptability(
        lambda d: list(zip(parts, weights[d].tolist(), strict=True)), draws, n, quotas
    )
    ranks = np.empty((draws, n), dtype=int)
    is_high, is_low = np.zeros((draws, n), bool), np.zeros((draws, n), bool)
    for d, (a, b) in enumerate(weights):
        keys = np.floor((parts[0] * a + parts[1] * b) * 1e9 + 0.5)
        ranks[d] = 1 + (keys[None, :] > keys[:, None]).sum(axis=1)
        ordered = np.sort(keys)
        up = keys >= ordered[n - quotas[0]] if quotas[0] else np.zeros(n, bool)
        down = keys <= ordered[quotas[1] - 1] if quotas[1] else np.zeros(n, bool)
        is_high[d], is_low[d] = up & ~down, down & ~up
    tail = int(0.05 * (draws - 1)) + 1
    assert high.tolist() == is_high.sum(axis=0).tolist()
    assert low.tolist() == is_low.sum(axis=0).tolist()
    assert first.tolist() == np.sort(ranks, axis=0)[tail - 1].tolist()
    assert last.tolist() == np.sort(ranks, axis=0)[-tail].tolist()


def test_intervals_are_exact_though_ranks_are_merged_block_by_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n, draws = 3_000, 100  # More products than one block of the merge, ten merges.
    rng = np.random.default_rng(3)
    parts = [rng.random(n) * 60, rng.random(n) * 40]
    factors = rng.random((draws, 2))

    def draw(d: int) -> list[tuple[np.ndarray, float]]:
        return list(zip(parts, factors[d].tolist(), strict=True))

    whole = acceptability(draw, draws, n, (600, 600))
    monkeypatch.setattr("shelfwise.insights.acceptability.BUFFER", 10 * n)
    merged = acceptability(draw, draws, n, (600, 600))
    for one, other in zip(whole, merged, strict=True):
        assert np.array_equal(one, other)


def test_more_products_than_a_block_are_ranked_as_sorting_ranks_them() -> None:
    n = 2 * BLOCK + 7
    values = np.random.default_rng(1).permutation(n) * (100 / n)
    ranks = np.empty(n, dtype=np.int32)
    low_from = Ranker(n, (100, 50)).rank([(values, 1.0)], ranks)
    assert np.array_equal(ranks, n - np.argsort(np.argsort(values)))
    high, low = tiers(ranks, low_from, 100)
    assert (int(high.sum()), int(low.sum())) == (100, 50)


def test_probabilities_add_up_to_one(shop: shelfwise.Analysis) -> None:
    rows = confidence(shop).rows
    total = rows["p_high"] + rows["p_medium"] + rows["p_low"]
    assert total.to_numpy() == pytest.approx(1, abs=1e-12)
    assert (rows["rank_low"] <= rows["rank_high"]).all()


def test_weights_that_hardly_move_leave_no_doubt(shop: shelfwise.Analysis) -> None:
    found = confidence(shop, ConfidencePolicy(kappa=1e15, draws=100))
    p = found.rows.select("p_high", "p_medium", "p_low").to_numpy()
    assert set(p.ravel().tolist()) == {0.0, 1.0}
    own = [TIERS.index(tier) for tier in found.rows["performance_tier"]]
    assert p.argmax(axis=1).tolist() == own
    assert found.rows["rank_low"].to_list() == shop.products["rank"].to_list()
    assert found.summary["borderline"] == 0


def test_looser_weights_leave_more_products_in_doubt(shop: shelfwise.Analysis) -> None:
    counts = [
        confidence(shop, ConfidencePolicy(kappa=kappa)).summary["borderline"]
        for kappa in (1_000, 50, 5)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[2]


def test_a_product_that_dominates_all_others_is_high_for_certain() -> None:
    rows = catalogue(50, np.random.default_rng(2))
    rows.append({"product_id": "best", "name": "Best", "price": 5000.0, "units_sold": 10_000_000,
                 "stock": 0})  # fmt: skip
    for policy in (ConfidencePolicy(kappa=1), ConfidencePolicy(sales_noise=True, draws=200)):
        found = confidence(shelfwise.analyze(rows), policy).rows
        best = found.filter(product_id="best").row(0, named=True)
        assert (best["p_high"], best["rank_low"], best["rank_high"]) == (1.0, 1, 1)


def test_the_same_seed_gives_the_same_answer(shop: shelfwise.Analysis) -> None:
    for noise in (False, True):
        policy = ConfidencePolicy(draws=60, sales_noise=noise, seed=9)
        once, twice = (confidence(shop, policy).rows for _ in range(2))
        assert once.equals(twice)
        assert not once.equals(confidence(shop, ConfidencePolicy(
            draws=60, sales_noise=noise, seed=10)).rows)  # fmt: skip


def test_chance_in_sales_adds_doubt(shop: shelfwise.Analysis) -> None:
    sure = confidence(shop, ConfidencePolicy(draws=300))
    noisy = confidence(shop, ConfidencePolicy(draws=300, sales_noise=True))
    assert noisy.summary["mean_p_own"] < sure.summary["mean_p_own"]
    total = noisy.rows["p_high"] + noisy.rows["p_medium"] + noisy.rows["p_low"]
    assert total.to_numpy() == pytest.approx(1, abs=1e-12)
    assert any("Poisson" in text for text in noisy.assumptions)


def test_weeks_tell_how_much_more_than_chance_a_demand_varies() -> None:
    rng = np.random.default_rng(4)
    days = [f"2025-{month:02d}-{day:02d}" for month in range(1, 13) for day in (1, 8, 15, 22)]
    lines = [
        {"product_id": name, "date": day, "quantity": int(quantity), "unit_price": 2.0}
        for name, drawn in (
            ("even", rng.poisson(40, len(days)) + 1),
            ("wild", rng.poisson(rng.gamma(0.5, 80, len(days))) + 1),
        )
        for day, quantity in zip(days, drawn, strict=True)
    ]
    sold = shelfwise.from_sales(lines)
    evidence = Evidence.of(shelfwise.analyze(sold))
    spread = dict(zip(evidence.ids, overdispersion(evidence).tolist(), strict=True))
    assert spread["even"] < 0.01 < spread["wild"]
    assert not overdispersion(Evidence.of(shelfwise.analyze(catalogue(5, rng)))).any()


def test_leaving_a_metric_out_moves_the_tiers_as_scoring_without_it_does(
    shop: shelfwise.Analysis,
) -> None:
    found = confidence(shop, ConfidencePolicy(draws=20))
    assert set(found.summary["without"]) == {"revenue", "stock_ratio", "sales_velocity"}
    for left_out, moved in found.summary["without"].items():
        terms = [term for term in shop.profile.terms if term.metric != left_out]
        total = sum(term.weight for term in terms)
        other = Profile("without", tuple(
            Term(t.metric, t.weight / total, t.scaling) for t in terms))  # fmt: skip
        again = shelfwise.analyze(make_shop().products, profile=other).products
        changes = shop.products["performance_tier"] != again["performance_tier"]
        assert moved["changed"] == changes.sum()
        rests = found.rows["rests_on"].str.split(", ").list.contains(left_out)
        assert rests.to_list() == changes.to_list()
        assert sum(sum(row.values()) for row in moved["tiers"].values()) == 500


def test_the_weights_that_match_give_each_metric_the_importance_wanted(
    shop: shelfwise.Analysis,
) -> None:
    found = confidence(shop, ConfidencePolicy(draws=20)).summary
    assert found["effective_weights"] == pytest.approx(shop.summary["effective_weights"])
    terms = tuple(Term(t.metric, found["weights_to_match"][t.metric], t.scaling)
                  for t in shop.profile.terms)  # fmt: skip
    total = sum(term.weight for term in terms)
    assert total == pytest.approx(1)
    again = shelfwise.analyze(make_shop().products, profile=Profile("matched", terms))
    assert again.summary["effective_weights"] == pytest.approx(
        {"revenue": 0.5, "stock_ratio": 0.3, "sales_velocity": 0.2}, abs=1e-5
    )
    changed = again.products["performance_tier"] != shop.products["performance_tier"]
    assert found["moved_by_weights_to_match"] == changed.sum()


def test_it_is_said_when_no_weights_match() -> None:
    same = [dict(row, units_sold=5, stock=5) for row in catalogue(12, np.random.default_rng(6))]
    found = confidence(shelfwise.analyze(same))
    assert found.summary["weights_to_match"] is None
    assert "since all products are equal in it" in str(found.withheld[0])
    assert "stock_ratio" in str(found.withheld[0])
    # Two metrics of which one is the mirror of the other: equal weights cancel out.
    assert budgeted(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([0.5, 0.5])) is None


def test_one_metric_alone_leaves_no_doubt() -> None:
    one = Profile("one", (Term("revenue", 1.0),))
    analysis = shelfwise.analyze(catalogue(30, np.random.default_rng(7)), profile=one)
    found = confidence(analysis, ConfidencePolicy(draws=50))
    assert found.summary["borderline"] == 0
    assert found.summary["without"] == {}
    assert found.summary["weights_to_match"] == {"revenue": 1.0}
    assert found.rows["rests_on"].null_count() == 30


def test_a_weight_of_zero_counts_for_nothing() -> None:
    weights = {"revenue": 0.6, "stock_ratio": 0.4, "sales_velocity": 0.0}
    profile = Profile("two", tuple(Term(name, weight) for name, weight in weights.items()))
    analysis = shelfwise.analyze(catalogue(30, np.random.default_rng(8)), profile=profile)
    found = confidence(analysis)
    assert set(found.summary["without"]) == {"revenue", "stock_ratio"}


def test_products_without_stock_have_their_other_weights() -> None:
    rows = [{k: v for k, v in row.items() if k != "stock"}
            for row in catalogue(30, np.random.default_rng(8))]  # fmt: skip
    analysis = shelfwise.analyze(rows)
    for noise in (False, True):
        found = confidence(analysis, ConfidencePolicy(draws=50, sales_noise=noise))
        assert set(found.summary["without"]) == {"revenue", "sales_velocity"}


def test_clusters_have_no_probability_of_a_quota_tier() -> None:
    analysis = shelfwise.analyze(catalogue(40, np.random.default_rng(9)), tiering="kmeans")
    found = confidence(analysis)
    assert found.rows["p_high"].null_count() == 40
    assert found.rows["borderline"].null_count() == 40
    assert found.rows["rank_low"].null_count() == 0
    assert 'It needs tiering="quota".' in str(found.withheld[0])


def test_a_model_from_elsewhere_is_named_among_the_assumptions() -> None:
    rng = np.random.default_rng(10)
    model = shelfwise.analyze(catalogue(200, rng)).model
    better = [dict(row, units_sold=row["units_sold"] + 60) for row in catalogue(40, rng)]
    found = confidence(shelfwise.analyze(better, model=model))
    assert any("fitted elsewhere" in text for text in found.assumptions)
    beyond = shelfwise.analyze(better, model=model.unclipped())
    assert confidence(beyond).rows["rank"].to_list() == beyond.products["rank"].to_list()


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (ConfidencePolicy(draws=3), "draws is 3. Expected int >= 20."),
        (ConfidencePolicy(kappa=0), "kappa is 0. Expected float > 0.0."),
        (ConfidencePolicy(seed=-1), "seed is -1. Expected int >= 0."),
    ],
)
def test_settings_out_of_bounds_are_refused(
    shop: shelfwise.Analysis, policy: ConfidencePolicy, told: str
) -> None:
    with pytest.raises(InputError) as refused:
        confidence(shop, policy)
    assert str(refused.value) == told


def test_work_without_end_is_refused(
    shop: shelfwise.Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shelfwise.insights.confidence.MOST_RANKS", 100_000)
    with pytest.raises(InputError, match="Take at most 200 draws"):
        confidence(shop)


@pytest.mark.judge
def test_smaa_2_of_another_library_agrees_on_a_thousand_products() -> None:
    judge = pytest.importorskip(
        "pysensmcda.smaa", reason="pysensmcda is not installed; make test-engines installs it"
    )
    analysis = shelfwise.analyze(catalogue(1_000, np.random.default_rng(11)), profile="robust")
    policy = ConfidencePolicy(draws=400)
    rows = confidence(analysis, policy).rows
    frame = Evidence.of(analysis).products
    z = np.column_stack([frame[f"contribution_{s.metric}"].to_numpy() / s.weight
                         for s in analysis.model.scales])  # fmt: skip
    # The judge knows no units of 1e-9: the same rounding keeps its ties ours.
    result = judge.simulate(
        lambda matrix, weights, types: np.floor(matrix @ weights * 1e9 + 0.5),
        z, np.ones(z.shape[1]), weights=drawn(analysis, policy), reverse_ranking=True,
    )  # fmt: skip
    acceptable = judge.rank_acceptability(result)
    assert acceptable.shape == (1_000, 1_000)
    p_high = acceptable[:, :200].sum(axis=1)
    assert rows["p_high"].to_numpy() == pytest.approx(p_high, abs=0.0051)
    p_low = acceptable[:, 800:].sum(axis=1)
    assert rows["p_low"].to_numpy() == pytest.approx(p_low, abs=0.0051)


@pytest.mark.slow
def test_a_million_products_take_less_than_a_gigabyte() -> None:
    import resource

    n = 1_000_000
    rng = np.random.default_rng(12)
    products = pl.DataFrame({
        "product_id": np.arange(n), "name": pl.Series(np.arange(n)).cast(pl.String),
        "price": rng.lognormal(3, 1, n).round(2) + 0.01, "units_sold": rng.poisson(30, n),
        "stock": rng.integers(0, 90, n),
    })  # fmt: skip
    evidence = Evidence.of(shelfwise.analyze(products, profile="robust"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = confidence(evidence, ConfidencePolicy(draws=60))
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert found.rows.height == n
    assert more < 1_000_000
