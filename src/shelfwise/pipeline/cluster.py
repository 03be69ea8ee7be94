"""Clusters: KMeans with k = 3 on the scaled metrics, named by mean score."""

from collections.abc import Callable, Sequence
from functools import partial

import narwhals.stable.v2 as nw
import numpy as np

from shelfwise.formula import Values, minimum, where
from shelfwise.model import TIERS, Scale
from shelfwise.pipeline.kmeans import K, Points, kmeans, sums_by_center
from shelfwise.pipeline.table import Arrays, Floats, Table
from shelfwise.pipeline.tier import HIGH, LOW, MEDIUM

STARTS, CORESET_STARTS = 4, 12
FINE, COARSE = 21, 15
"""Cells of the grid as powers of 2: 128^3 and 32^3 for three metrics."""
FEW_CELLS, MOST_CELLS = 4_000, 60_000
LLOYD_STEPS, FEW_ROWS = 3, 50_000

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
            found, inertia = kmeans(points, starts=STARTS)
            centers = found[np.argmin(inertia)]
    else:
        cells, counts = _cells(table, names)
        centers = _few(cells)
        if centers is None:
            centers = _refined(table, names, _grouped(cells, counts))
    # Mean score of a cluster is linear in its center, so the centers alone give the order.
    ordered = sorted(centers.tolist(), key=lambda c: (-float(weights @ c), [-x for x in c]))
    labels = {1: ("Medium",), 2: ("High", "Low"), 3: TIERS}[len(ordered)]
    return tuple(zip(labels, map(tuple, ordered), strict=True))


def _cells(table: Table, names: Sequence[str]) -> tuple[Floats, Floats]:
    """The coreset: a fine grid, or a coarse one where too many cells are occupied."""
    cells, counts = table.cells(names, _bins(FINE, len(names)))
    if len(cells) > MOST_CELLS:
        cells, counts = table.cells(names, _bins(COARSE, len(names)))
    return cells, counts


def _bins(exponent: int, metrics: int) -> int:
    return max(2, min(4096, int(2 ** (exponent / metrics) + 1e-9)))


def _grouped(cells: Floats, counts: Floats) -> Floats:
    """The promising groupings of the cells: many starts, on a coarser grid if cells are many."""
    starts: int | Floats = CORESET_STARTS
    if len(cells) > FEW_CELLS:
        bins = _bins(COARSE, cells.shape[1])
        places = np.minimum((cells.T * bins).astype(np.int64), bins - 1)
        code = np.ravel_multi_index(tuple(places), (bins,) * len(places))
        _, group = np.unique(code, return_inverse=True)
        weights = np.bincount(group, counts).astype(np.float64)
        sums = [np.bincount(group, column * counts) for column in cells.T]
        merged = np.array(sums).T / weights[:, None]
        if len(merged) < len(cells) / 2 and _few(merged) is None:
            starts = _promising(*kmeans(merged, weights, starts=CORESET_STARTS))
    return _promising(*kmeans(cells, counts, starts=starts))


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
    if len(set(map(tuple, probe.tolist()))) >= K:
        return None
    distinct = np.unique(points, axis=0)
    return distinct if len(distinct) < K else None


def _promising(centers: Floats, inertia: Floats) -> Floats:
    """The different solutions whose inertia on the cells is within 0.05% of the best.

    The cells' inertia differs from that of all rows by less, so no other start can win.
    Solutions of the same inertia are the same.
    """
    order = [int(start) for start in np.argsort(inertia, kind="stable")]
    found = order[:1]
    for start in order[1:]:
        if inertia[found[-1]] * (1 + 1e-6) < inertia[start] <= 1.0005 * inertia[order[0]]:
            found.append(start)
    return centers[found]


def _refined(table: Table, names: Sequence[str], centers: Floats) -> Floats:
    """The best of the starts by inertia over all rows, after exact Lloyd steps."""
    step = _step_over(table, names)
    # The more rows there are, the better the cells stand for them.
    for _ in range(LLOYD_STEPS if table.height <= FEW_ROWS else LLOYD_STEPS - 1):
        sums, inertia = step(centers)
        counts = sums[:, :, -1:]
        centers = np.where(counts > 0, sums[:, :, :-1] / np.maximum(counts, 1), centers)
    # Each start's inertia as it was before the last step, which changes it very little.
    best: Floats = centers[np.argmin(inertia)]
    return best


def _step_over(table: Table, names: Sequence[str]) -> Callable[[Floats], tuple[Floats, Floats]]:
    """Centers of each start -> each center's sums and count of its rows, and the inertia."""
    if isinstance(table, Arrays):
        return partial(sums_by_center, Points.of(table.matrix(names)))

    def on_engine(centers: Floats) -> tuple[Floats, Floats]:
        # All starts in one pass: rows are counted by the combination of their clusters.
        marked, code = table, nw.lit(0)
        for start, own in enumerate(centers):
            marked = _nearest(marked, names, own.tolist(), range(K))
            code = code * K + nw.col("cluster")
            marked = marked.with_columns({f"_gap_{start}": nw.col("_distance"), "_code": code})
            code = nw.col("_code")
        gaps = [f"_gap_{start}" for start in range(len(centers))]
        sums = np.zeros((len(centers), K, len(names) + 1))
        inertia = np.zeros(len(centers))
        for combination, (count, *found) in marked.sums_by("_code", [*names, *gaps]).items():
            inertia += found[len(names) :]
            for start in reversed(range(len(centers))):
                combination, cluster = divmod(combination, K)
                sums[start, cluster] += [*found[: len(names)], count]
        return sums, inertia

    return on_engine
