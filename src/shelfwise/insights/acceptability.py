"""How often each product has which tier and rank, over many draws of its score.

Exact, and within bounded memory: each draw sorts all products once, and of the ranks of a
product only the outermost are kept, which are all that its interval needs.
"""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ranks = NDArray[np.int32]
Draw = Callable[[int], Sequence[tuple[Floats, float]]]
"""Gives the parts that add up to the scores of one draw: values of all products, a factor."""

TAIL = 0.05
BLOCK = 32_768
"""Products scored at a time: their numbers stay in the cache."""
MERGED = 2_048
BUFFER = 48_000_000
"""Ranks that wait to be merged: 192 MB."""


def acceptability(
    draw: Draw,
    draws: int,
    products: int,
    quotas: tuple[int, int],
    bounds: tuple[float, float] = (0.0, 100.0),
) -> tuple[Ranks, Ranks, Ranks, Ranks]:
    """Draws in which each product is High, and Low, and the 5% and 95% ends of its ranks.

    Tiers and ranks are those of the score: compared in units of 1e-9, ties together, the
    best rank shared. The ends are order statistics: at most 5% of the draws lie outside
    on either side.

    Args:
        draw: Gives the scores of a draw; called from several threads.
        draws: How many there are.
        products: How many products.
        quotas: How many are High, and Low, ties apart.
        bounds: No score lies outside.
    """
    tail = math.floor(TAIL * (draws - 1)) + 1
    waiting = max(8, min(draws, BUFFER // products))
    buffer = np.empty((min(waiting, draws), products), dtype=np.int32)
    kept = np.empty((products, min(2 * tail, draws)), dtype=np.int32)
    high, low = np.zeros(products, dtype=np.int32), np.zeros(products, dtype=np.int32)
    ranker = Ranker(products, quotas, bounds)
    lows = np.empty(draws, dtype=np.int32)
    held = 0
    with ThreadPoolExecutor(_threads()) as pool:
        for start in range(0, draws, len(buffer)):
            now = range(start, min(start + len(buffer), draws))
            new = buffer[: len(now)]

            def rank(d: int, new: Ranks = new, start: int = start) -> None:
                lows[d] = ranker.rank(draw(d), new[d - start])

            def merge(p: int, new: Ranks = new, now: range = now, held: int = held) -> None:
                part = slice(p, p + MERGED)
                ranks = new[:, part]
                is_high, is_low = tiers(ranks, lows[now.start : now.stop, None], quotas[0])
                high[part] += is_high.sum(axis=0, dtype=np.int32)
                low[part] += is_low.sum(axis=0, dtype=np.int32)
                both = np.concatenate([kept[part, :held], ranks.T], axis=1)
                both.sort(axis=1)
                if both.shape[1] > 2 * tail:
                    both = np.concatenate([both[:, :tail], both[:, -tail:]], axis=1)
                kept[part, : both.shape[1]] = both

            # list() raises here what failed in a thread.
            list(pool.map(rank, now))
            list(pool.map(merge, range(0, products, MERGED)))
            held = min(held + len(now), kept.shape[1])
    return high, low, kept[:, tail - 1].copy(), kept[:, held - tail].copy()


def tiers(ranks: Ranks, low_from: Any, high_to: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which ranks are High, and Low: what would be both is neither."""
    above, below = ranks <= high_to, ranks >= low_from
    return above & ~below, below & ~above


class Ranker:
    """Ranks products by their score, 1 for the best; scratch memory is kept for each thread."""

    def __init__(
        self, products: int, quotas: tuple[int, int], bounds: tuple[float, float] = (0.0, 100.0)
    ) -> None:
        self.products, self.quotas = products, quotas
        self.bits = np.uint64(max(1, (products - 1).bit_length()))
        least, most = bounds
        # The score in units of 1e-9 and the number of the product share 64 bits.
        room = 2.0 ** (62 - int(self.bits)) / max(most - least, 1e-300)
        self.unit = min(1e9, room)
        self.top = math.floor(most * self.unit + 0.5) + 1
        self.rows = np.arange(products, dtype=np.uint64)
        self.places = np.arange(1, products + 1, dtype=np.int32)
        self.scratch = local()

    def rank(self, parts: Sequence[tuple[Floats, float]], into: Ranks) -> int:
        """Writes the ranks; gives the first rank that is Low, one beyond the last for none."""
        keys, rows = self._buffers()
        for start in range(0, self.products, BLOCK):
            part = slice(start, start + BLOCK)
            (values, factor), *others = parts
            score = values[part] * factor
            for values, factor in others:
                score += values[part] * factor
            score *= self.unit
            score += 0.5
            np.floor(score, out=score)
            np.subtract(self.top, score, out=score)
            np.maximum(score, 0.0, out=score)
            keys[part] = score
        keys <<= self.bits
        keys |= self.rows
        # Polars sorts them in less than half of NumPy's time.
        ordered = pl.Series(keys).sort(multithreaded=False).to_numpy()
        np.bitwise_and(ordered, (np.uint64(1) << self.bits) - np.uint64(1), out=rows)
        np.right_shift(ordered, self.bits, out=keys)
        places = self.places
        tied = np.flatnonzero(keys[1:] == keys[:-1])
        if tied.size:
            places = places.copy()
            places[tied + 1] = 0
            np.maximum.accumulate(places, out=places)
        into[rows.view(np.int64)] = places
        low = self.quotas[1]
        return int(places[self.products - low]) if low else self.products + 1

    def _buffers(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        if not hasattr(self.scratch, "pair"):
            self.scratch.pair = (np.empty_like(self.rows), np.empty_like(self.rows))
        pair: tuple[NDArray[np.uint64], NDArray[np.uint64]] = self.scratch.pair
        return pair


def _threads() -> int:
    """As many as the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
