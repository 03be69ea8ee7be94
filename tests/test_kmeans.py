"""Our k-means against scikit-learn's own, step for step."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from shelfwise.pipeline.kmeans import PART, kmeans


def rows(shape: str, seed: int, n: int | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    size = (n or int(rng.integers(4, 400)), int(rng.integers(1, 5)))
    match shape:
        case "uniform":
            made = rng.random(size)
        case "skewed":
            made = rng.random(size) ** 5
        case "mostly zero":
            made = np.where(rng.random(size) < 0.8, 0.0, rng.random(size))
        case "lognormal":
            made = rng.lognormal(0, 2, size) / 100
        case _:
            made = rng.integers(0, 4, size) / 3
    return made[np.lexsort(made.T[::-1])]


def theirs(given: np.ndarray, weights: np.ndarray | None, **settings: object) -> KMeans:
    with threadpool_limits(1):
        return KMeans(3, random_state=42, **settings).fit(given, sample_weight=weights)


def ordered(centers: np.ndarray) -> np.ndarray:
    return centers[np.lexsort(centers.T[::-1])]


def inertia_of(given: np.ndarray, weights: np.ndarray | None, centers: np.ndarray) -> float:
    distances = ((given[:, None] - centers) ** 2).sum(axis=2).min(axis=1)
    return float(distances.sum() if weights is None else distances @ weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", ["uniform", "skewed", "mostly zero", "lognormal"])
def test_centers_equal_those_of_scikit_learn(shape: str, seed: int, weighted: bool) -> None:
    given = rows(shape, seed, n=2 * PART + 17 if seed == 0 else None)
    assert len(np.unique(given, axis=0)) >= 3
    counts = np.random.default_rng(seed).integers(1, 20, len(given)).astype(float)
    weights = counts if weighted else None
    fitted = theirs(given, weights, n_init=4)
    centers, inertia = kmeans(given, weights, starts=4)
    best = centers[np.argmin(inertia)]
    assert inertia.min() == pytest.approx(inertia_of(given, weights, best), rel=1e-9)
    # Of two starts that end in the same groups scikit-learn keeps the first, though it
    # may have stopped earlier; we keep the better one.
    if inertia.min() > fitted.inertia_ * (1 - 1e-9):
        np.testing.assert_allclose(ordered(best), ordered(fitted.cluster_centers_), atol=1e-9)


def test_where_many_points_tie_neither_is_better_on_the_whole() -> None:
    ours, other = [], []
    for seed in range(60):
        given = rows("grid", seed)
        if len(np.unique(given, axis=0)) >= 3:
            ours.append(kmeans(given, starts=4)[1].min())
            other.append(theirs(given, None, n_init=4).inertia_)
    assert sum(ours) == pytest.approx(sum(other), rel=0.005)


@pytest.mark.parametrize("seed", range(10))
def test_given_starts_end_where_scikit_learn_ends(seed: int) -> None:
    given = rows("skewed", seed, n=200)
    first = given[np.random.default_rng(seed).choice(200, 3, replace=False)]
    fitted = theirs(given, None, init=first, n_init=1)
    (center,), (inertia,) = kmeans(given, starts=first[None])
    np.testing.assert_allclose(center, fitted.cluster_centers_, rtol=0, atol=1e-9)
    assert inertia == pytest.approx(fitted.inertia_, rel=1e-9)


@pytest.mark.parametrize("empty", [1, 2])
def test_an_empty_cluster_gets_the_farthest_point(empty: int) -> None:
    given = rows("uniform", 3, n=100)
    first = np.vstack([given[:3][: 3 - empty], np.full((empty, given.shape[1]), 50.0)])
    first[3 - empty :] += np.arange(empty)[:, None]  # Apart from each other, far from all.
    fitted = theirs(given, None, init=first, n_init=1)
    (center,), _ = kmeans(given, starts=first[None])
    np.testing.assert_allclose(ordered(center), ordered(fitted.cluster_centers_), atol=1e-9)


def test_starts_do_not_disturb_each_other() -> None:
    given = rows("lognormal", 5, n=300)
    together, inertia = kmeans(given, starts=6)
    for centers, one in zip(together, inertia, strict=True):
        assert inertia_of(given, None, centers) == pytest.approx(one, rel=1e-9)
    fewer, _ = kmeans(given, starts=4)
    np.testing.assert_allclose(fewer, together[:4], rtol=0, atol=1e-12)


def test_a_cluster_that_gives_its_only_point_away_keeps_its_center() -> None:
    given = np.array([[0.0, 0.0], [1 / 3, 1.0], [2 / 3, 1.0]])
    first = np.array([[50.0, 50.0], [0.69, -0.63], [1 / 3, 1.0]])
    (center,), (inertia,) = kmeans(given, starts=first[None])
    assert np.isfinite(center).all()
    assert np.isfinite(inertia)
