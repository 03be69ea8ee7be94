"""Clusters: scikit-learn's KMeans with k = 3 on the scaled metrics, named by mean score."""

import warnings
from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import Any

import numpy as np

from shelfwise.formula import Values, minimum, where
from shelfwise.model import TIERS, Scale
from shelfwise.pipeline.table import Floats, Table
from shelfwise.pipeline.tier import HIGH, LOW, MEDIUM

CLUSTERS, STARTS, SEED = 3, 4, 42
MANY_STARTS, FEW_CELLS, MOST_CELLS = 12, 1_500, 60_000
LLOYD_STEPS = 2
_ONE_FIT = Lock()

Centers = tuple[tuple[str, tuple[float, ...]], ...]


def fit_centers(table: Table, scales: Sequence[Scale], coreset_rows: int) -> Centers:
    """Label -> center, best first; one center per distinct row where there are under 3.

    Up to `coreset_rows` products KMeans sees the rows themselves, sorted, so that their
    order cannot matter. Above, it sees the means of the cells of a fine grid, weighted
    by their counts, and exact Lloyd steps over all rows follow; of the starts the one
    with the smallest inertia over all rows is kept.
    """
    names = [f"z_{scale.metric}" for scale in scales]
    weights = np.array([scale.weight for scale in scales])
    if table.height <= coreset_rows:
        points = table.matrix(names)
        points = points[np.lexsort(points.T[::-1])]
        centers = _few(points)
        if centers is None:
            centers = _kmeans(points, None, STARTS, SEED).cluster_centers_
    else:
        cells, counts = _cells(table, names)
        centers = _few(cells)
        if centers is None:
            # Few cells cost little: more starts find the best grouping more surely.
            tries = MANY_STARTS if len(cells) <= FEW_CELLS else STARTS
            starts = [_kmeans(cells, counts, 1, SEED + start) for start in range(tries)]
            centers = _refined(table, names, _promising(starts))
    # Mean score of a cluster is linear in its center, so the centers alone give the order.
    ordered = sorted(centers.tolist(), key=lambda c: (-float(weights @ c), [-x for x in c]))
    labels = {1: ("Medium",), 2: ("High", "Low"), 3: TIERS}[len(ordered)]
    return tuple(zip(labels, map(tuple, ordered), strict=True))


def _cells(table: Table, names: Sequence[str]) -> tuple[Floats, Floats]:
    """The coreset: a grid of 2^21 cells at most, coarser where too many are occupied."""
    for exponent in (21, 15):
        bins = max(2, min(4096, int(2 ** (exponent / len(names)) + 1e-9)))
        cells, counts = table.cells(names, bins)
        if len(cells) <= MOST_CELLS:
            break
    return cells, counts


def cluster(table: Table, scales: Sequence[Scale], centers: Centers) -> Table:
    """Adds `cluster`, the code of the nearest center in squared Euclidean distance."""
    codes = {"High": HIGH, "Medium": MEDIUM, "Low": LOW}
    names = [f"z_{scale.metric}" for scale in scales]
    return _nearest(table, names, [c for _, c in centers], [codes[label] for label, _ in centers])


def _nearest(
    table: Table, names: Sequence[str], centers: Sequence[Sequence[float]], codes: Sequence[int]
) -> Table:
    """Adds `cluster` and `_distance`, the squared distance to that center."""
    distances = {}
    for k, center in enumerate(centers):
        gaps = [table.columns[n] - float(middle) for n, middle in zip(names, center, strict=True)]
        total = gaps[0] * gaps[0]
        for gap in gaps[1:]:
            total = total + gap * gap
        distances[f"_distance_{k}"] = total
    table = table.with_columns(distances)
    columns = table.columns
    nearest: Values = codes[0]
    best = columns["_distance_0"]
    for k, code in enumerate(codes[1:], start=1):
        nearest = where(columns[f"_distance_{k}"] < best, code, nearest)
        best = minimum(best, columns[f"_distance_{k}"])
    return table.with_columns({"cluster": nearest, "_distance": best})


def _few(points: Floats) -> Floats | None:
    """The distinct rows where there are fewer than three, else None.

    Rows that differ by less than 1e-6 count as one: KMeans cannot tell them apart.
    """
    points = np.round(points, 6)
    # Three distinct rows nearly always show among a few rows: look there first.
    probe = points[:: max(1, len(points) // 64)]
    if len(set(map(tuple, probe.tolist()))) >= CLUSTERS:
        return None
    distinct = np.unique(points, axis=0)
    return distinct if len(distinct) < CLUSTERS else None


@cache
def _threads() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _kmeans(points: Floats, weights: Floats | None, starts: int, seed: int) -> Any:
    """A fitted scikit-learn KMeans.

    One thread: beside other busy threads its workers wait for each other for seconds.
    """
    import sklearn
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    estimator = KMeans(CLUSTERS, init="k-means++", n_init=starts, random_state=seed)
    quiet = sklearn.config_context(skip_parameter_validation=True, assume_finite=True)
    # The number of threads and the filters of warnings belong to the whole process.
    with _ONE_FIT, quiet, _threads().limit(limits=1), warnings.catch_warnings():
        # Rows that hardly differ may leave a cluster empty: that is no news to a user.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(points, sample_weight=weights)


def _promising(starts: Sequence[Any]) -> list[Floats]:
    """The different solutions whose inertia on the cells is within 0.05 % of the best.

    The cells' inertia differs from that of all rows by less, so no other start can win.
    Solutions of the same inertia are the same.
    """
    found: list[Any] = []
    for start in sorted(starts, key=lambda start: start.inertia_):
        if not found or found[-1].inertia_ * (1 + 1e-6) < start.inertia_:
            found.append(start)
    return [s.cluster_centers_ for s in found if s.inertia_ <= 1.0005 * found[0].inertia_]


def _refined(table: Table, names: Sequence[str], starts: list[Floats]) -> Floats:
    """The best of the starts by inertia over all rows, after exact Lloyd steps."""
    refined = []
    for start in starts:
        centers = start
        for _ in range(LLOYD_STEPS):
            centers, _ = _lloyd(table, names, centers)
        refined.append(centers)
    if len(refined) == 1:
        return refined[0]
    return min(refined, key=lambda centers: _lloyd(table, names, centers)[1])


def _lloyd(table: Table, names: Sequence[str], centers: Floats) -> tuple[Floats, float]:
    """The means of each center's rows, and the inertia before the step, in one pass."""
    sums = np.zeros((len(centers), len(names) + 2))
    for part in table.parts(names):
        nearest = _nearest(part, names, centers.tolist(), range(len(centers)))
        for k, found in nearest.sums_by("cluster", [*names, "_distance"]).items():
            sums[k] += found
    moved = np.where(sums[:, :1] > 0, sums[:, 1:-1] / np.maximum(sums[:, :1], 1), centers)
    return moved, float(sums[:, -1].sum())
