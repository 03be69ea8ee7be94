"""scikit-learn defines scaling and clusters: ours equal its own, and saved objects act alike."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib  # noqa: TID251  (reads what the model wrote a line before)
import numpy as np
import polars as pl
import pytest
from sklearn.cluster import KMeans
from sklearn.preprocessing import MinMaxScaler
from threadpoolctl import threadpool_limits

import shelfwise

METRICS = ("revenue", "stock_ratio", "sales_velocity")
WEIGHTS = np.array([0.5, 0.3, 0.2])


def lognormal(n: int, seed: int = 5) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {
            "product_id": i,
            "name": f"Product {i}",
            "price": rng.lognormvariate(3, 1),
            "units_sold": int(rng.lognormvariate(3, 1.5)),
            "stock": rng.randrange(120),
        }
        for i in range(n)
    ]


def metrics_of(products: Any) -> np.ndarray:
    return products.select(METRICS).to_numpy()


def sorted_rows(points: np.ndarray) -> np.ndarray:
    return points[np.lexsort(points.T[::-1])]


def by_score(centers: np.ndarray) -> np.ndarray:
    return centers[np.argsort(-(centers @ WEIGHTS))]


@pytest.mark.parametrize("n", [10, 200, 3000])
def test_scaled_metrics_equal_the_min_max_scaler(n: int) -> None:
    analysis = shelfwise.analyze(lognormal(n))
    points = metrics_of(analysis.products)
    scaled = MinMaxScaler(clip=True).fit_transform(points)
    contributions = analysis.products.select(f"contribution_{m}" for m in METRICS).to_numpy()
    np.testing.assert_allclose(contributions, 100 * WEIGHTS * scaled, rtol=0, atol=1e-9)
    for ours, low, high in zip(
        analysis.model.scales, points.min(axis=0), points.max(axis=0), strict=True
    ):
        assert (ours.low, ours.high) == (low, high)


@pytest.mark.parametrize("n", [10, 200, 3000])
def test_clusters_equal_kmeans_on_the_same_rows(n: int) -> None:
    analysis = shelfwise.analyze(lognormal(n))
    scaled = MinMaxScaler(clip=True).fit_transform(metrics_of(analysis.products))
    kmeans = KMeans(n_clusters=3, init="k-means++", n_init=4, random_state=42)
    with threadpool_limits(1):
        kmeans.fit(sorted_rows(scaled))
    ours = np.array([center for _, center in analysis.model.centers])
    np.testing.assert_allclose(ours, by_score(kmeans.cluster_centers_), rtol=0, atol=1e-9)
    assert [label for label, _ in analysis.model.centers] == ["High", "Medium", "Low"]
    order = np.argsort(np.argsort(-(kmeans.cluster_centers_ @ WEIGHTS)))
    expected = np.array(["High", "Medium", "Low"])[order[kmeans.predict(scaled)]]
    assert analysis.products["cluster"].to_list() == expected.tolist()


@pytest.mark.parametrize("profile", ["standard", "robust"])
def test_saved_objects_transform_and_predict_as_the_model_does(
    profile: str, tmp_path: Path
) -> None:
    analysis = shelfwise.analyze(lognormal(400), profile=profile)
    path = analysis.model.save(tmp_path / "model.joblib")
    stored = joblib.load(path)
    scaled = stored["scaler"].transform(metrics_of(analysis.products))
    contributions = analysis.products.select(f"contribution_{m}" for m in METRICS).to_numpy()
    np.testing.assert_allclose(100 * WEIGHTS * scaled, contributions, rtol=0, atol=1e-9)
    labels = np.array([label for label, _ in analysis.model.centers])
    predicted = labels[stored["kmeans"].predict(scaled)]
    assert predicted.tolist() == analysis.products["cluster"].to_list()
    assert stored["scaler"].n_samples_seen_ == 400


def test_rows_that_differ_in_the_last_bits_are_one_row() -> None:
    rows = [
        {"product_id": i, "name": "x", "price": price, "units_sold": 1.0, "stock": 1.0}
        for i, price in enumerate([1.0, 1.0 + 2**-50, 2.0] * 4)
    ]
    analysis = shelfwise.analyze(rows)
    assert sorted(analysis.summary["clusters"].values()) == [0, 4, 8]
    assert [label for label, _ in analysis.model.centers] == ["High", "Low"]


def test_one_distinct_row_is_one_medium_cluster() -> None:
    rows = [
        {"product_id": i, "name": "x", "price": 2.0, "units_sold": 1.0, "stock": 1.0}
        for i in range(6)
    ]
    assert shelfwise.analyze(rows).summary["clusters"] == {"High": 0, "Medium": 6, "Low": 0}


def test_two_distinct_rows_are_high_and_low() -> None:
    rows = [
        {"product_id": i, "name": "x", "price": 2.0, "units_sold": float(i % 3 > 0), "stock": 1.0}
        for i in range(9)
    ]
    assert shelfwise.analyze(rows).summary["clusters"] == {"High": 6, "Medium": 0, "Low": 3}


def shape_lognormal(rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    return rng.lognormal(3, 1, n), rng.lognormal(3, 1.5, n).round(), rng.integers(0, 99, n)


def shape_uniform(rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    return rng.uniform(1, 100, n), rng.integers(0, 999, n), rng.integers(0, 999, n)


def shape_ties(rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    return rng.integers(1, 4, n), rng.integers(0, 5, n), rng.integers(0, 3, n)


def shape_mostly_zero(rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    sold = rng.integers(1, 60, n) * (rng.random(n) < 0.1)
    return rng.uniform(1, 50, n), sold, rng.integers(0, 20, n)


@pytest.mark.parametrize("n", [6_000, 30_000, 60_000])
@pytest.mark.parametrize("shape", [shape_lognormal, shape_uniform, shape_ties, shape_mostly_zero])
def test_a_coreset_loses_almost_nothing_against_all_rows(
    shape: Callable[[np.random.Generator, int], tuple[np.ndarray, ...]], n: int
) -> None:
    price, sold, stock = (column.astype(float) for column in shape(np.random.default_rng(8), n))
    given = pl.DataFrame({"product_id": np.arange(n), "price": price, "units_sold": sold,
                          "stock": stock}).with_columns(name=pl.lit("x"))  # fmt: skip
    analysis = shelfwise.analyze(given)
    scaled = MinMaxScaler(clip=True).fit_transform(metrics_of(analysis.products))
    with threadpool_limits(1):
        best = KMeans(n_clusters=3, n_init=10, random_state=0).fit(scaled).inertia_
    ours = np.array([center for _, center in analysis.model.centers])
    distances = ((scaled[:, None, :] - ours) ** 2).sum(axis=2)
    assert distances.min(axis=1).sum() <= 1.0005 * best
    labels = np.array([label for label, _ in analysis.model.centers])
    assert labels[distances.argmin(axis=1)].tolist() == analysis.products["cluster"].to_list()


@pytest.mark.parametrize("shape", [shape_lognormal, shape_mostly_zero])
@pytest.mark.parametrize("engine", [None, "duckdb"])
def test_nearly_all_products_are_in_the_cluster_of_a_full_fit(
    shape: Callable[[np.random.Generator, int], tuple[np.ndarray, ...]], engine: Any
) -> None:
    n = 40_000
    price, sold, stock = (column.astype(float) for column in shape(np.random.default_rng(9), n))
    given = pl.DataFrame({"product_id": np.arange(n), "price": price, "units_sold": sold,
                          "stock": stock}).with_columns(name=pl.lit("x"))  # fmt: skip
    products = shelfwise.analyze(given, engine=engine).products
    products = products if isinstance(products, pl.DataFrame) else products.pl()
    products = products.sort("product_id")
    scaled = MinMaxScaler(clip=True).fit_transform(metrics_of(products))
    with threadpool_limits(1):
        full = KMeans(n_clusters=3, n_init=10, random_state=0).fit(scaled)
    order = np.argsort(-(full.cluster_centers_ @ [0.5, 0.3, 0.2]))
    names = np.empty(3, object)
    names[order] = ["High", "Medium", "Low"]
    assert (names[full.labels_] == products["cluster"].to_numpy()).mean() >= 0.99
