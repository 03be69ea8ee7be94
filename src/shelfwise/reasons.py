"""What an analysis says about one product, and about two profiles side by side."""

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two profiles on the same products.

    `changed` has a row for each product whose tier differs, most revenue first;
    `best_sellers_low` counts, by profile, the best sellers (the first 100 by revenue, or
    the first tenth) that are Low.
    """

    changed: pl.DataFrame
    products: int
    best_sellers: int
    best_sellers_low: dict[str, int]

    def __repr__(self) -> str:
        low = ", ".join(f"{count} under {name}" for name, count in self.best_sellers_low.items())
        return (
            f"{len(self.changed):,} of {self.products:,} products change tier. "
            f"Low among the {self.best_sellers} best sellers: {low}."
        )


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one product scores what it scores; contributions add up to the score.

    `normalized` are the metrics as 0..1; `to_high` are the units it would have to sell
    more to be High by quota (0: it is; None: no number of units would do).
    """

    product_id: int | str
    name: str
    score: float
    rank: int
    products: int
    percentile: float | None
    tier: str
    cluster: str
    abc_class: str
    flags: tuple[str, ...]
    metrics: dict[str, float]
    normalized: dict[str, float]
    contributions: dict[str, float]
    weights: dict[str, float]
    cut_high: float | None
    to_high: float | None

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain values."""
        return asdict(self)
