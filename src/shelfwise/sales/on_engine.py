"""The measurements of `courses`, made where the weeks are: DuckDB, Spark or another engine.

What a test needs of a product is linear in (functions of) its weeks: a join with a table of
weights, and a group-by. Some thirty sums a product come into memory, no week does.
"""

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from shelfwise.engines import frames
from shelfwise.sales.courses import Measured
from shelfwise.sales.growth import ESTIMATED, Design
from shelfwise.sales.har import OFFSET, YEAR, Floats, basis, shift_basis
from shelfwise.sales.reading import collected

MOST_TERMS = 8
TREND = [f"_t{n}" for n in range(1 + MOST_TERMS)]
SHIFT = [f"_s{n}" for n in range(1 + MOST_TERMS)]
WAVES = [f"_x{n}" for n in range(4)]
"""Two harmonics, a cosine and a sine each; with one, the others are 0."""
YEARS = "_years"
BLOCK = 20_000


def measured(frame: Any, facts: pl.DataFrame, weeks: int) -> Measured:
    """`courses.measure` of each product of `facts` (product_id, start), in their order.

    `frame` has product_id, week and units; weeks before a product's start do not count.
    """
    starts = np.unique(facts["start"].to_numpy())
    weights = pl.concat([_weights(int(start), weeks) for start in starts])
    since = frames.near(facts.select("product_id", "start"), frame)
    joined = frame.select("product_id", "week", "units").join(since, on="product_id")
    joined = joined.join(frames.near(weights, frame), on=["start", "week"])
    sums = _summed(joined, facts)
    parts = []
    for start in starts:
        some = np.flatnonzero(facts["start"].to_numpy() == start)
        parts.append((some, *_measured(sums[some], weeks - int(start))))
    width = max(len(theta) for _, _, theta in parts)
    theta = np.zeros((width, facts.height))
    columns = [np.full(facts.height, np.nan) for _ in Measured._fields]
    columns[Measured._fields.index("code")] = np.zeros(facts.height, np.int8)
    for some, part, fitted in parts:
        theta[: len(fitted) - 1, some], theta[-1, some] = fitted[:-1], fitted[-1]
        for column, values in zip(columns, part, strict=True):
            column[some] = values
    found = Measured(*columns)
    noise, leverage = _noise(joined, facts, theta, weeks, found)
    return found._replace(growth_s2=noise, leverage=leverage)


def _weights(start: int, weeks: int) -> pl.DataFrame:
    """What the weeks of products that begin at `start` are multiplied with."""
    count = weeks - start
    columns: dict[str, Any] = {"start": np.full(count, start), "week": np.arange(start, weeks)}
    for names, rows in ((TREND, basis(count).rows), (SHIFT, shift_basis(count).rows),
                        (WAVES, Design.of(count, YEAR).x[:-1])):  # fmt: skip
        padded = np.zeros((len(names), count))
        padded[: len(rows)] = rows
        columns |= dict(zip(names, padded, strict=True))
    columns[YEARS] = Design.of(count, YEAR).x[-1]
    return pl.DataFrame(columns)


def _summed(joined: Any, facts: pl.DataFrame) -> pl.DataFrame:
    """The sums of each product, in the order of `facts`."""
    units = nw.col("units")
    # No sale gives 0, so that a week without a row may be absent.
    root = (units + OFFSET).sqrt() - OFFSET**0.5
    terms = {name: root * nw.col(name) for name in (*TREND, *SHIFT)}
    terms |= {name: units * nw.col(name) for name in (*WAVES, YEARS)}
    terms["_all"] = units
    sums = joined.select("product_id", **terms).group_by("product_id")
    return _in_order(sums.agg(*(nw.col(name).sum() for name in terms)), facts)


def _in_order(sums: Any, facts: pl.DataFrame) -> pl.DataFrame:
    found = collected(sums)
    ids = facts.select("product_id")
    return ids.join(found, on="product_id", how="left", maintain_order="left")


def _measured(sums: pl.DataFrame, weeks: int) -> tuple[Measured, Floats]:
    """Products of one length; their growth's noise comes later. And the growth's parameters."""

    def rows(names: list[str]) -> Floats:
        return sums.select(names).to_numpy().T

    trend, shift = basis(weeks).terms, shift_basis(weeks).terms
    seen, recent = rows(TREND), rows(SHIFT)
    design = Design.of(weeks, YEAR)
    k = len(design.wave)
    total = rows(["_all"])[0]
    theta, information, code = design.fitted(rows([*WAVES[:k], YEARS]), total)
    n = sums.height
    noise = np.square(recent[1:]).sum(axis=0) / (shift or np.nan)
    found = Measured(
        total / weeks, seen[0], np.square(seen[1:]).sum(axis=0) / trend, np.full(n, float(trend)),
        theta[-1], information, np.full(n, np.nan), np.full(n, np.nan), code,
        recent[0], noise, np.full(n, float(shift)),
    )  # fmt: skip
    return found, theta


def _noise(
    joined: Any, facts: pl.DataFrame, theta: Floats, weeks: int, found: Measured
) -> tuple[Floats, Floats]:
    """`s2` and `leverage` of the growth (see `growth.Growth`), by a second pass."""
    good = found.code == ESTIMATED
    names = [*WAVES[: len(theta) - 1], YEARS]
    parameters = {f"_p{n}": np.where(good, row, 0.0) for n, row in enumerate(theta)}
    known = facts.select("product_id").with_columns(
        **{n: pl.Series(v) for n, v in parameters.items()}
    )
    placed = joined.join(frames.near(known, joined), on="product_id")
    exponent: Any = sum(nw.col(f"_p{n}") * nw.col(name) for n, name in enumerate(names))
    scaled = nw.col("units") * (exponent * -0.5).exp()
    terms = {name: scaled * nw.col(name) for name in TREND[1:]}
    sums = placed.select("product_id", **terms).group_by("product_id")
    seen = _in_order(sums.agg(*(nw.col(name).sum() for name in terms)), facts)
    units = seen.select(TREND[1:]).to_numpy()
    noise, leverage = np.full(facts.height, np.nan), np.full(facts.height, np.nan)
    start = facts["start"].to_numpy()
    for one in np.unique(start):
        count = weeks - int(one)
        design, c = Design.of(count, YEAR), basis(count).c
        k = len(design.wave)
        same = np.flatnonzero((start == one) & good)
        for some in np.array_split(same, -(-len(same) // BLOCK)) if len(same) else []:
            own = np.vstack([theta[:k, some], theta[-1, some]])
            half, scale, leverage[some] = design.scaled(own, found.mean[some] * count)
            residual = units[some, : len(c)] / scale - (half @ c.T) * scale
            noise[some] = np.square(residual).mean(axis=1)
    return noise, leverage
