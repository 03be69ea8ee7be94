"""KMeans with k = 3 as scikit-learn does it, all starts at once and without its overhead.

The same random numbers, greedy k-means++ starts, Lloyd steps, tolerance and relocation of
empty clusters as `sklearn.cluster.KMeans(3, random_state=42)`; the tests hold both to
1e-9. Three clusters of three metrics are so little work that scikit-learn spends most of
its time around it, and importing it takes seconds.

D. Arthur and S. Vassilvitskii (2007), "k-means++: the advantages of careful seeding", SODA.
S. Lloyd (1982), "Least squares quantization in PCM", IEEE Trans. Information Theory 28.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int8]

K, SEED = 3, 42
TRIALS = 2 + int(np.log(K))
TOLERANCE, MOST_STEPS = 1e-4, 300
TINY = float(np.finfo(float).tiny)
PART = 4096
"""Points looked at together: they stay in the cache, and BLAS starts no threads for them."""


class Points(NamedTuple):
    """Rows to group: metrics x n, with their squared sizes and weights (n).

    `summed` is (metrics + 1) x n: what is added up for each center, the weights last.
    """

    x: Floats
    sizes: Floats
    weights: Floats
    summed: Floats

    @classmethod
    def of(cls, rows: Floats, weights: Floats | None = None) -> "Points":
        """From a matrix n x metrics; each row counts `weights` times, or once."""
        x = np.ascontiguousarray(rows.T)
        each = np.ones(len(rows)) if weights is None else weights
        summed = np.vstack([x if weights is None else x * weights, each])
        return cls(x, np.square(x).sum(axis=0), each, summed)


def kmeans(
    rows: Floats, weights: Floats | None = None, *, starts: int | Floats
) -> tuple[Floats, Floats]:
    """Centers of each start, starts x 3 x metrics, and their inertia.

    `rows` are n x metrics with at least three distinct ones; `weights` (n) count each of
    them so many times. `starts` is how many, or the centers to start from.

    >>> rows = np.array([[0.0], [0.1], [0.5], [0.6], [1.0]])
    >>> centers, inertia = kmeans(rows, starts=4)
    >>> np.sort(centers[np.argmin(inertia)].ravel()).round(2).tolist()
    [0.05, 0.55, 1.0]
    """
    mean = rows.T.mean(axis=1)
    points = Points.of(rows - mean, weights)
    count = starts if isinstance(starts, int) else 0
    centers = _plus_plus(points, _random(count)) if count else starts - mean
    least_shift = TOLERANCE * float(points.sizes.sum()) / rows.size
    centers = _lloyd(points, centers, least_shift)
    return centers + mean, _step(points, centers)[2]


def sums_by_center(points: Points, centers: Floats) -> tuple[Floats, Floats]:
    """Sums of the metrics and count of the rows nearest to each center, and the inertia.

    For each start of `centers`, starts x 3 x metrics.
    """
    _, sums, inertia = _step(points, centers)
    return sums, inertia


@cache
def _random(starts: int) -> Floats:
    """The numbers that scikit-learn draws for each start: one, then TRIALS a center."""
    return np.random.RandomState(SEED).random_sample((starts, 1 + TRIALS * (K - 1)))


def _plus_plus(points: Points, random: Floats) -> Floats:
    """The first centers of each start, greedily the best of TRIALS candidates each."""
    n, starts = len(points.weights), len(random)
    every = np.arange(starts)
    cumulated = np.cumsum(points.weights)
    found = [np.searchsorted(cumulated, random[:, 0] * cumulated[-1], side="right")]
    nearest = _squared(points, found[0])
    potential = nearest @ points.weights
    for first in range(1, random.shape[1], TRIALS):
        drawn = random[:, first : first + TRIALS] * potential[:, None]
        mass = np.cumsum(nearest * points.weights, axis=1)
        places = np.array([m.searchsorted(d) for m, d in zip(mass, drawn, strict=True)])
        candidates = np.minimum(places, n - 1)
        distances = _squared(points, candidates.ravel()).reshape(starts, TRIALS, n)
        np.minimum(distances, nearest[:, None], out=distances)
        potentials = distances @ points.weights
        best = (every, potentials.argmin(axis=1))
        found.append(candidates[best])
        nearest, potential = distances[best], potentials[best]
    return points.x[:, np.array(found).T].transpose(1, 2, 0)


def _squared(points: Points, chosen: NDArray[np.int64]) -> Floats:
    """Squared distances of all points to the chosen ones, chosen x points."""
    twice = -2.0 * points.x[:, chosen].T
    distances = np.empty((len(chosen), len(points.sizes)))
    for begin in range(0, len(points.sizes), PART):
        part = slice(begin, begin + PART)
        np.matmul(twice, points.x[:, part], out=distances[:, part])
    distances += points.sizes
    distances += points.sizes[chosen][:, None]
    return np.maximum(distances, 0.0, out=distances)


def _lloyd(points: Points, centers: Floats, least_shift: float) -> Floats:
    """Each start's centers after Lloyd steps until no label or hardly a center moves."""
    done = np.empty_like(centers)
    active = np.arange(len(centers))
    before: Labels = np.full((len(centers), len(points.weights)), -1, np.int8)
    for _ in range(MOST_STEPS):
        labels, sums, _ = _step(points, centers)
        if not sums[:, :, -1].all():
            for start in np.flatnonzero((sums[:, :, -1] == 0).any(axis=1)):
                _relocate(points, centers[start], labels[start], sums[start])
        counts = sums[:, :, -1:]
        # A cluster that gave its only point away keeps its center.
        moved = np.where(counts > 0, sums[:, :, :-1] / np.maximum(counts, TINY), centers)
        shift = np.square(moved - centers).sum(axis=(1, 2))
        going = (shift > least_shift) & (labels != before).any(axis=1)
        centers, before = moved, labels
        if not going.all():
            done[active[~going]] = centers[~going]
            active, centers, before = active[going], centers[going], before[going]
            if not len(active):
                return done
    done[active] = centers
    return done


def _step(points: Points, centers: Floats) -> tuple[Labels, Floats, Floats]:
    """For each start the nearest center of each point, each center's sums, the inertia."""
    starts, n = len(centers), len(points.weights)
    labels = np.empty((starts, n), np.int8)
    sums = np.zeros((starts * K, len(points.summed)))
    inertia = np.full(starts, points.sizes @ points.weights)
    # |x - c|^2 less |x|^2, which is the same for all centers.
    twice = -2.0 * centers.reshape(starts * K, -1)
    offset = np.square(centers).sum(axis=2).reshape(starts * K, 1)
    codes = np.arange(K, dtype=np.int8)[:, None]
    for begin in range(0, n, PART):
        part = slice(begin, begin + PART)
        distances = twice @ points.x[:, part]
        distances += offset
        first, second, third = distances.reshape(starts, K, -1).transpose(1, 0, 2)
        label = (second < first).view(np.int8)
        nearest = np.minimum(first, second)
        # Twos where the third is nearest: a maximum costs a fraction of a masked assignment.
        label = np.maximum(label, (third < nearest).view(np.int8) * np.int8(2))
        labels[:, part] = label
        inertia += np.minimum(nearest, third, out=nearest) @ points.weights[part]
        member = (label[:, None] == codes).reshape(starts * K, -1).astype(np.float64)
        sums += member @ points.summed[:, part].T
    return labels, sums.reshape(starts, K, -1), inertia


def _relocate(points: Points, centers: Floats, labels: Labels, sums: Floats) -> None:
    """Give each empty cluster the point that is farthest from its center, in `sums`."""
    distances = np.square(points.x - centers[labels].T).sum(axis=0)
    empty = np.flatnonzero(sums[:, -1] == 0)
    farthest = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
    for cluster, point in zip(empty, farthest, strict=True):
        sums[labels[point]] -= points.summed[:, point]
        sums[cluster] = points.summed[:, point]
