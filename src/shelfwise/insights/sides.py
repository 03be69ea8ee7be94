"""Two runs side by side: each product with the numbers of both, and what changed in them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.insights.bridges import A_YEAR, revenue_bridge, scored_under, settled, step_test
from shelfwise.insights.decisions import Withheld
from shelfwise.insights.evidence import Evidence, Floats
from shelfwise.model import TIERS

PROBABILITIES = ("p_high", "p_medium", "p_low")
_NUMBERS = ("revenue", "units_sold", "performance_score", "rank")
_NOBODY_KNOWS = pl.DataFrame(
    schema={"product_id": pl.String} | dict.fromkeys(PROBABILITIES, pl.Float64)
)
_TEXTS = ("name", "category", "performance_tier")

STATUS = {
    "kept": "Sold in both periods.",
    "new": "In the second run only.",
    "gone": "In the first run only.",
    "started": "In both, and sold in the second period only.",
    "stopped": "In both, and sold in the first period only.",
    "unsold": "In both, and sold in neither period.",
}
"""What became of a product."""


def side(run: Evidence, ids: pl.DataFrame) -> pl.DataFrame:
    """The columns of one run, in the order of the ids; `there` says who was in it."""
    own = pl.DataFrame(
        [pl.Series("product_id", run.ids, dtype=pl.String)]
        + [pl.Series(n, run.number(n)).fill_nan(None) for n in _NUMBERS]
        + [run.text(n).alias(n) for n in _TEXTS]
    ).with_columns(there=pl.lit(True))
    joined = ids.join(own, on="product_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col("there").fill_null(False))


def either(one: pl.Series, other: pl.Series) -> pl.Series:
    return one.fill_null(other)


def _sold(side: pl.DataFrame) -> pl.Series:
    return side.select(
        ((pl.col("revenue") != 0) | (pl.col("units_sold") > 0)).fill_null(False)
    ).to_series()


def status(one: pl.DataFrame, two: pl.DataFrame) -> pl.Series:
    a, b = _sold(one), _sold(two)
    return pl.select(
        pl.when(~one["there"]).then(pl.lit("new"))
        .when(~two["there"]).then(pl.lit("gone"))
        .when(a & b).then(pl.lit("kept"))
        .when(b).then(pl.lit("started"))
        .when(a).then(pl.lit("stopped")).otherwise(pl.lit("unsold"))
    ).to_series()  # fmt: skip


def _pair(one: pl.DataFrame, two: pl.DataFrame, name: str) -> tuple[Floats, Floats]:
    """A column of both runs, 0 where the product was not there."""
    old, new = (np.asarray(side[name].fill_null(0.0).to_numpy(), np.float64) for side in (one, two))
    return old, new


def revenue_parts(one: pl.DataFrame, two: pl.DataFrame) -> dict[str, Any]:
    revenue = _pair(one, two, "revenue")
    bridge = revenue_bridge(revenue, _pair(one, two, "units_sold"))
    return {"revenue_change": revenue[1] - revenue[0]} | bridge


def score_parts(
    first: Evidence,
    second: Evidence,
    one: pl.DataFrame,
    two: pl.DataFrame,
    ids: pl.DataFrame,
    withheld: list[Withheld],
) -> dict[str, Any]:
    """Own change and peer shift of the products that are in both runs."""
    if first.model is None:
        withheld.append(Withheld("own change and peer shift", "the model of the first run is not "
                                 "known", "the model that scored it"))  # fmt: skip
        return {}
    under = scored_under(first.model, second)
    if under is None:
        withheld.append(Withheld("own change and peer shift", "the second run lacks a metric that "
                                 "the first one weighs", "the columns of that metric"))  # fmt: skip
        return {}
    names = [scale.metric for scale in first.model.scales]
    made = pl.DataFrame(
        [pl.Series("product_id", second.ids, dtype=pl.String)]
        + [pl.Series(name, column) for name, column in under.items()]
    )
    middle = ids.join(made, on="product_id", how="left", maintain_order="left")
    kinds = [f"contribution_{name}" for name in names]
    past = pl.DataFrame(
        [pl.Series("product_id", first.ids, dtype=pl.String)]
        + [pl.Series(kind, first.number(kind)) for kind in kinds]
    )
    past = ids.join(past, on="product_id", how="left", maintain_order="left")
    own = middle["performance_score"] - one["performance_score"]
    parts = np.column_stack([
        np.nan_to_num((middle[kind] - past[kind]).fill_null(0.0).to_numpy()) for kind in kinds
    ])  # fmt: skip
    most = np.abs(parts).argmax(axis=1)
    points = parts[np.arange(len(parts)), most]
    told = pl.DataFrame({"metric": pl.Series([names[n] for n in most], dtype=pl.String),
                         "points": points})  # fmt: skip
    sign = pl.when(pl.col("points") > 0).then(pl.lit("+")).otherwise(pl.lit(""))
    text = pl.format("{} {}{}", "metric", sign, pl.col("points").round(1))
    driver = told.select(pl.when(pl.col("points").abs() >= 0.05).then(text)).to_series()
    both = one["there"] & two["there"]
    return {
        "score_change": two["performance_score"] - one["performance_score"],
        "own_change": own,
        "peer_shift": two["performance_score"] - middle["performance_score"],
        "driver": pl.select(pl.when(both).then(driver)).to_series(),
    }  # fmt: skip


def unit_parts(
    first: Evidence, second: Evidence, ids: pl.DataFrame, withheld: list[Withheld]
) -> dict[str, Any]:
    """Whose weekly units moved beyond chance, of products that are in both runs."""
    from shelfwise.sales.har import benjamini_hochberg

    what = "change of units beyond chance"
    if first.weeks is None or second.weeks is None:
        withheld.append(Withheld(what, "totals of two periods do not tell change from chance",
                                 "order lines in both runs"))  # fmt: skip
        return {}
    weeks = min(first.weeks.weeks, second.weeks.weeks)
    if weeks < A_YEAR:
        withheld.append(Withheld(what, f"in periods of {weeks} whole weeks a change may be the "
                                 "season", "periods of a year"))  # fmt: skip
        return {}
    places = [_places(run, ids) for run in (first, second)]
    tested = np.flatnonzero((places[0] >= 0) & (places[1] >= 0))
    units, counts = [], np.ones(len(tested), dtype=bool)
    for run, place in zip((first, second), places, strict=True):
        assert run.weeks is not None
        units.append(run.units[place[tested]])
        if run.weeks.masked is not None:
            chosen = ids["product_id"].gather(tested).to_list()
            counts &= ~run.weeks.mask(chosen).any(axis=1)
    apart = (second.weeks.first - first.weeks.first).days // 7
    p = np.full(ids.height, np.nan)
    p[tested[counts]] = step_test(units[0][counts], units[1][counts], apart)[1]
    return {"p_value": p, "q_value": benjamini_hochberg(p)}


def _places(run: Evidence, ids: pl.DataFrame) -> NDArray[np.int64]:
    """Where each product stands in a run; -1 where it is not there."""
    known = pl.DataFrame({"product_id": run.ids}, schema={"product_id": pl.String})
    found = ids.join(known.with_row_index("_at"), on="product_id", how="left",
                     maintain_order="left")  # fmt: skip
    return found["_at"].cast(pl.Int64).fill_null(-1).to_numpy()


def tier_parts(
    runs: Sequence[Evidence],
    ids: pl.DataFrame,
    least: float,
    draws: int,
    withheld: list[Withheld],
) -> dict[str, Any]:
    """The tiers that count, and whether the last move does."""
    tiers, sure = [], []
    for at, run in enumerate(runs):
        # The first tier counts as it is.
        known = _probabilities(run, draws) if at else _NOBODY_KNOWS
        own = pl.DataFrame(
            [pl.Series("product_id", run.ids, dtype=pl.String), run.text("performance_tier")]
        ).join(known, on="product_id", how="left", maintain_order="left")
        chosen = pl.coalesce(
            pl.when(pl.col("performance_tier") == tier).then(p)
            for tier, p in zip(TIERS, PROBABILITIES, strict=True)
        )
        there = ids.join(own.with_columns(p=chosen), on="product_id", how="left",
                         maintain_order="left")  # fmt: skip
        tiers.append(there["performance_tier"])
        sure.append(there["p"])
    if sure[-1].null_count() == len(sure[-1]):
        withheld.append(Withheld("moves that count by their probability", "how sure the tiers of "
                                 "the second run are is not known", "its model"))  # fmt: skip
    counted, why = settled(tiers, sure, least)
    moved = (counted[-2] != counted[-1]) & counted[-1].is_not_null() & counted[-2].is_not_null()
    return {"p_tier": sure[-1], "settled_before": counted[-2], "settled_after": counted[-1],
            "moved": moved.fill_null(False), "reason": why}  # fmt: skip


def _probabilities(run: Evidence, draws: int) -> pl.DataFrame:
    """product_id, p_high, p_medium, p_low; without rows where nobody knows."""
    if "confidence" in run.given:
        found = run.given["confidence"]
        return found.select(pl.col("product_id").cast(pl.String), *PROBABILITIES)
    if run.model is None:
        return _NOBODY_KNOWS
    from shelfwise.insights.confidence import ConfidencePolicy, confidence

    # Sales of another month would differ too: weights alone would make tiers look too sure.
    # Draws go row by row; in order of the ids a kept run, whose rows are sorted, has the same.
    ordered = replace(run, products=run.products.sort("product_id"))
    drawn = confidence(ordered, ConfidencePolicy(draws=draws, sales_noise=True)).rows
    return drawn.select("product_id", *PROBABILITIES)
