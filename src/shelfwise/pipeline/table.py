"""A table of products, in memory or on an engine, behind the few questions steps ask.

`Arrays` holds numpy columns, `Frame` a lazy Narwhals frame (DuckDB, Spark). Steps add
columns by the same arithmetic on both; only what needs a look at all rows differs, and
stands here: order statistics, ranks, cells, windows within a group. On an engine nothing
but small aggregates is ever collected, and no window runs over the whole table.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from shelfwise.formula import Values, floor

Floats = NDArray[np.float64]
Lazy = nw.LazyFrame[Any]

DIRECT = 300_000
"""Rows of a whole column that an engine hands over to be sorted here."""
COLLECT = 50_000
"""Rows of one bin that an engine hands over to be sorted here."""
BINS = 4096


class Table(Protocol):
    """What a step may ask of the products."""

    height: int

    @property
    def columns(self) -> Mapping[str, Values]:
        """Name -> array or expression, to compute with."""

    def with_columns(self, new: Mapping[str, Values]) -> Self:
        """The table with columns added or replaced."""

    def collect(self, aggregates: Mapping[str, Values]) -> dict[str, float]:
        """The values of aggregates such as `columns["price"].min()`, in one pass."""

    def order_statistics(self, name: str, positions: Sequence[int]) -> list[float]:
        """The values at positions (0 is the smallest) of the sorted column, exactly."""

    def shares(self, name: str, shares: Sequence[float]) -> list[float]:
        """For each share the smallest value v with sum(x > v) < share x total, x > 0."""

    def rank(self, name: str, into: str, *, within: str | None = None) -> Self:
        """Adds the competition rank, 1 for the largest; ties share the best rank."""

    def size_within(self, group: str, into: str) -> Self:
        """Adds the number of rows in the row's group."""

    def quantiles_within(
        self, name: str, group: str, shares: Sequence[float], into: Sequence[str]
    ) -> Self:
        """Adds type 7 quantiles of the row's group, one column a share."""

    def cells(self, names: Sequence[str], bins: int) -> tuple[Floats, Floats]:
        """Means and counts of the occupied cells of a uniform grid on [0, 1]^m."""

    def matrix(self, names: Sequence[str]) -> Floats:
        """The columns as a matrix, rows x columns; for small tables."""

    def sums_by(self, code: str, names: Sequence[str]) -> dict[int, Floats]:
        """Code -> the count of its rows, then the sums of the columns."""

    def counts(self, first: str, second: str) -> dict[tuple[int, int], int]:
        """(code, code) -> rows that have both."""

    def checkpoint(self, names: Sequence[str] | None = None) -> Self:
        """The table computed once (only the named columns), where it would be again."""


class Arrays:
    """Columns in memory; the request path and every in-memory frame."""

    def __init__(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self._columns = dict(columns)
        self.height = len(next(iter(self._columns.values())))

    @property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        return self._columns

    def with_columns(self, new: Mapping[str, Values]) -> "Arrays":
        full = {
            name: values if np.ndim(values) else np.full(self.height, values)
            for name, values in new.items()
        }
        return Arrays(self._columns | full)

    def collect(self, aggregates: Mapping[str, Values]) -> dict[str, float]:
        return {name: float(value) for name, value in aggregates.items()}

    def order_statistics(self, name: str, positions: Sequence[int]) -> list[float]:
        if not positions:
            return []
        ordered = np.partition(self._columns[name], sorted(set(positions)))
        return [float(ordered[position]) for position in positions]

    def shares(self, name: str, shares: Sequence[float]) -> list[float]:
        values = self._columns[name]
        return _share_cuts(values[values > 0], shares)

    def rank(self, name: str, into: str, *, within: str | None = None) -> "Arrays":
        values = self._columns[name]
        if within is None:
            order = np.argsort(values)[::-1]
            first = np.empty(self.height, bool)
            first[:1] = True
            np.not_equal(values[order[1:]], values[order[:-1]], out=first[1:])
            start = np.maximum.accumulate(np.where(first, np.arange(self.height), 0))
        else:
            groups = self._codes(within)
            order = np.lexsort((-values, groups))
            new_group = np.empty(self.height, bool)
            new_group[:1] = True
            np.not_equal(groups[order[1:]], groups[order[:-1]], out=new_group[1:])
            first = new_group.copy()
            first[1:] |= values[order[1:]] != values[order[:-1]]
            row = np.arange(self.height)
            start = np.maximum.accumulate(np.where(first, row, 0))
            start = start - np.maximum.accumulate(np.where(new_group, row, 0))
        ranks = np.empty(self.height, np.int64)
        ranks[order] = start + 1
        return self.with_columns({into: ranks})

    def size_within(self, group: str, into: str) -> "Arrays":
        codes = self._codes(group)
        return self.with_columns({into: np.bincount(codes)[codes]})

    def quantiles_within(
        self, name: str, group: str, shares: Sequence[float], into: Sequence[str]
    ) -> "Arrays":
        codes, values = self._codes(group), self._columns[name]
        ordered = values[np.lexsort((values, codes))]
        sizes = np.bincount(codes)
        first = np.cumsum(sizes) - sizes
        new = {}
        for share, column in zip(shares, into, strict=True):
            place = (sizes - 1) * share
            low = np.floor(place).astype(np.int64)
            below, above = ordered[first + low], ordered[first + np.minimum(low + 1, sizes - 1)]
            new[column] = (below + (place - low) * (above - below))[codes]
        return self.with_columns(new)

    def cells(self, names: Sequence[str], bins: int) -> tuple[Floats, Floats]:
        cell = np.zeros(self.height, np.int64)
        for name in names:
            step = np.minimum((self._columns[name] * bins).astype(np.int64), bins - 1)
            cell = cell * bins + step
        # A table of all cells, of which just the pages with occupied ones are ever touched.
        occupied = np.zeros(bins ** len(names), bool)
        occupied[cell] = True
        used = np.flatnonzero(occupied)
        place = np.empty(len(occupied), np.int32)
        place[used] = np.arange(len(used))
        places = place[cell]
        counts = np.bincount(places)
        sums = [np.bincount(places, self._columns[name]) for name in names]
        return np.column_stack(sums) / counts[:, None], counts.astype(float)

    def matrix(self, names: Sequence[str]) -> Floats:
        return np.array([self._columns[name] for name in names]).T

    def sums_by(self, code: str, names: Sequence[str]) -> dict[int, Floats]:
        codes = self._columns[code]
        counts = np.bincount(codes)
        sums = [np.bincount(codes, self._columns[name]) for name in names]
        return {
            int(k): np.array([counts[k], *(s[k] for s in sums)]) for k in np.flatnonzero(counts)
        }

    def counts(self, first: str, second: str) -> dict[tuple[int, int], int]:
        codes = self._columns[first] * 16 + self._columns[second]
        found = np.bincount(codes)
        return {divmod(int(code), 16): int(found[code]) for code in np.flatnonzero(found)}

    def checkpoint(self, names: Sequence[str] | None = None) -> "Arrays":
        return Arrays({name: self._columns[name] for name in names}) if names else self

    def _codes(self, group: str) -> NDArray[np.int64]:
        codes: NDArray[np.int64] = np.unique(self._columns[group], return_inverse=True)[1]
        return codes


class Keeper(Protocol):
    """What an engine does for its tables besides expressions."""

    def compute_once(self, frame: Lazy) -> Lazy:
        """The frame with its rows computed and kept, for more than one pass."""

    def cumulated(self, frame: Lazy, value: str, into: str, order_by: str) -> Lazy:
        """A small frame with the sum of a column over all rows after this one."""


class Frame:
    """Columns on an engine, described and not yet computed."""

    def __init__(self, frame: Lazy, height: int, keeper: Keeper) -> None:
        self.frame = frame
        self.height = height
        self.keeper = keeper

    def _with(self, frame: Lazy) -> "Frame":
        return Frame(frame, self.height, self.keeper)

    @property
    def columns(self) -> Mapping[str, nw.Expr]:
        return {name: nw.col(name) for name in self.frame.collect_schema().names()}

    def with_columns(self, new: Mapping[str, Values]) -> "Frame":
        expressions = {
            name: value if isinstance(value, nw.Expr) else nw.lit(value)
            for name, value in new.items()
        }
        return self._with(self.frame.with_columns(**expressions))

    def collect(self, aggregates: Mapping[str, Values]) -> dict[str, float]:
        if not aggregates:
            return {}
        row = self.frame.select(**aggregates).collect(backend="polars").row(0)
        return {
            name: float("nan") if value is None else float(value)
            for name, value in zip(aggregates, row, strict=True)
        }

    def order_statistics(self, name: str, positions: Sequence[int]) -> list[float]:
        found: dict[int, float] = {}

        def collect(low: float, high: float, wanted: Sequence[int], start: int) -> None:
            values = self._values(name, low, high)
            found.update({p: float(values[p - start]) for p in wanted})

        def refine(low: float, high: float, wanted: list[int], below: int) -> None:
            bins = self._bins(name, low, high)
            end = below + np.cumsum(bins["n"])
            for index in np.unique(np.searchsorted(end, wanted, side="right")):
                count = int(bins["n"][index])
                start = int(end[index]) - count
                inside = [p for p in wanted if start <= p < end[index]]
                least, most = float(bins["low"][index]), float(bins["high"][index])
                if least == most:
                    found.update(dict.fromkeys(inside, least))
                elif count <= COLLECT:
                    collect(least, most, inside, start)
                else:
                    refine(least, most, inside, start)

        if self.height <= DIRECT:
            collect(-np.inf, np.inf, positions, 0)
        elif positions:
            ends = self._ends(name)
            refine(ends["low"], ends["high"], sorted(set(positions)), 0)
        return [found[position] for position in positions]

    def shares(self, name: str, shares: Sequence[float]) -> list[float]:
        positive = self._with(self.frame.filter(nw.col(name) > 0).select(name))
        total = positive.collect({"total": nw.col(name).sum()})["total"]
        if not total > 0:
            return [0.0] * len(shares)
        return [positive._share_cut(name, share * total) for share in shares]

    def rank(self, name: str, into: str, *, within: str | None = None) -> "Frame":
        best = nw.col(name).rank("min", descending=True)
        if within is not None:
            ranked = self.frame.with_columns(**{into: best.over(within)})
            return self._with(ranked)
        # A window over the whole table would move every row to one partition. So: count
        # the rows of each distinct value, add up within bins of values, and join back.
        ends = self._ends(name)
        values = self.frame.group_by(name).agg(_n=nw.len())
        values = values.with_columns(_bin=_bin_of(name, ends["low"], ends["high"], 65_536))
        values = self.keeper.compute_once(values)
        bins = values.group_by("_bin").agg(_in_bin=nw.col("_n").sum())
        offsets = self.keeper.cumulated(bins, "_in_bin", into="_above", order_by="_bin")
        offsets = offsets.select(nw.col("_bin").alias("_place"), "_above", "_in_bin")
        upto = nw.col("_n").cum_sum().over("_bin", order_by=name)
        joined = values.with_columns(_upto=upto).join(
            offsets, left_on="_bin", right_on="_place", how="left"
        )
        rank = nw.col("_above") + nw.col("_in_bin") - nw.col("_upto") + 1
        ranks = joined.select(name, rank.cast(nw.Int64).alias(into))
        return self._with(self.frame.join(self.keeper.compute_once(ranks), on=name, how="left"))

    def size_within(self, group: str, into: str) -> "Frame":
        return self._with(self.frame.with_columns(**{into: nw.len().over(group)}))

    def quantiles_within(
        self, name: str, group: str, shares: Sequence[float], into: Sequence[str]
    ) -> "Frame":
        value = nw.col(name)
        ends = {0.0: value.min(), 1.0: value.max()}
        quantiles = {
            column: ends[share] if share in ends else value.quantile(share, "linear")
            for share, column in zip(shares, into, strict=True)
        }
        found = self.keeper.compute_once(self.frame.group_by(group).agg(**quantiles))
        return self._with(self.frame.join(found, on=group, how="left"))

    def cells(self, names: Sequence[str], bins: int) -> tuple[Floats, Floats]:
        keys = {f"_cell_{name}": _step(nw.col(name), bins) for name in names}
        cells = (
            self.frame.with_columns(**keys)
            .group_by(*keys)
            .agg(*(nw.col(name).mean() for name in names), _n=nw.len())
            .sort(*keys)
            .collect(backend="polars")
        )
        means = np.column_stack([cells[name].to_numpy() for name in names])
        return means, cells["_n"].to_numpy().astype(float)

    def matrix(self, names: Sequence[str]) -> Floats:
        collected = self.frame.select(*names).collect(backend="polars")
        return np.column_stack([collected[name].to_numpy() for name in names])

    def sums_by(self, code: str, names: Sequence[str]) -> dict[int, Floats]:
        sums = (
            self.frame.group_by(code)
            .agg(nw.len().alias("_n"), *(nw.col(name).sum() for name in names))
            .collect(backend="polars")
        )
        rows = sums.select(code, "_n", *names).iter_rows()
        return {int(row[0]): np.array(row[1:], float) for row in rows}

    def counts(self, first: str, second: str) -> dict[tuple[int, int], int]:
        found = self.frame.group_by(first, second).agg(_n=nw.len()).collect(backend="polars")
        return {(int(a), int(b)): int(n) for a, b, n in found.select(first, second, "_n").rows()}

    def checkpoint(self, names: Sequence[str] | None = None) -> "Frame":
        return self._with(
            self.keeper.compute_once(self.frame.select(*names) if names else self.frame)
        )

    def _ends(self, name: str) -> dict[str, float]:
        return self.collect({"low": nw.col(name).min(), "high": nw.col(name).max()})

    def _bins(self, name: str, low: float, high: float) -> dict[str, NDArray[Any]]:
        """Per occupied bin of the values from low to high: count, sum, least, largest."""
        value = nw.col(name)
        bins = (
            self.frame.filter(value >= low, value <= high)
            .with_columns(_bin=_bin_of(name, low, high, BINS))
            .group_by("_bin")
            .agg(n=nw.len(), total=value.sum(), low=value.min(), high=value.max())
            .sort("_bin")
            .collect(backend="polars")
        )
        return {key: bins[key].to_numpy().astype(float) for key in ("n", "total", "low", "high")}

    def _values(self, name: str, low: float, high: float) -> Floats:
        value = nw.col(name)
        inside = self.frame.filter(value >= low, value <= high).select(name)
        return np.sort(inside.collect(backend="polars")[name].to_numpy())

    def _share_cut(self, name: str, mass: float) -> float:
        ends = self._ends(name)
        low, high, above = ends["low"], ends["high"], 0.0
        while True:
            bins = self._bins(name, low, high)
            before = above + np.append(np.cumsum(bins["total"][::-1])[::-1][1:], 0.0)
            # The lowest bin whose largest value has less than the mass above it.
            index = int(np.argmax(before < mass * (1 - 1e-12)))
            low, high, above = bins["low"][index], bins["high"][index], float(before[index])
            if low == high:
                return float(low)
            if bins["n"][index] <= COLLECT:
                return _cut(self._values(name, low, high), mass, above)


def _bin_of(name: str, low: float, high: float, bins: int) -> Values:
    if high <= low:
        return nw.lit(0)
    return floor((nw.col(name) - low) / (high - low) * bins).clip(0, bins - 1).cast(nw.Int64)


def _step(value: nw.Expr, bins: int) -> nw.Expr:
    return (value * bins).floor().clip(0, bins - 1).cast(nw.Int64)


def _share_cuts(positive: Floats, shares: Sequence[float]) -> list[float]:
    total = float(positive.sum())
    ordered = np.sort(positive)
    return [_cut(ordered, share * total, 0.0) if len(ordered) else 0.0 for share in shares]


def _cut(ascending: Floats, mass: float, above: float) -> float:
    """The smallest value with less than `mass` in strictly larger values."""
    values, counts = np.unique(ascending, return_counts=True)
    sums = values * counts
    before = above + np.append(np.cumsum(sums[::-1])[::-1][1:], 0.0)
    return float(values[int(np.argmax(before < mass * (1 - 1e-12)))])
