"""The metrics: each one's formula, unit, direction and meaning, declared once.

The pipeline, the reference page, tooltips and the Method page read them from here.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from shelfwise import formula as f
from shelfwise.columns import RESULTS


@dataclass(frozen=True, slots=True)
class Metric:
    """A number computed from a product's columns, defined for every input.

    `formulas` are tried in order: each product takes the first whose columns it has.
    """

    name: str
    label: str
    formulas: tuple[str, ...]
    unit: str
    meaning: str
    better: Literal["higher", "lower"] = "higher"
    decimals: int = 6

    def formula(self, given: Collection[str]) -> str | None:
        """The first formula whose columns are all given; None: the metric is withheld."""
        return next((text for text in self.formulas if f.names(text) <= set(given)), None)

    def evaluate(self, columns: Mapping[str, f.Values]) -> f.Values:
        """The metric on arrays or expressions; every denominator is guarded."""
        usable = [text for text in self.formulas if f.names(text) <= columns.keys()]
        value = f.evaluate(usable[-1], columns)
        for text in reversed(usable[:-1]):
            preferred = f.evaluate(text, columns)
            value = f.where(f.missing(preferred), value, preferred)
        return value


METRICS = (
    Metric(
        name="revenue",
        label="Revenue",
        formulas=("net_revenue", "price * units_sold"),
        unit="money",
        meaning="What the product brought in over the period.",
        decimals=2,
    ),
    Metric(
        name="stock_ratio",
        label="Sell-through",
        formulas=("units_sold / (stock + units_sold)",),
        unit="share, 0 to 1",
        meaning="How much of what we had was sold; 0 if nothing was stocked and nothing sold.",
    ),
    Metric(
        name="sales_velocity",
        label="Units sold / price",
        formulas=("units_sold / price",),
        unit="units per money",
        meaning="Units sold for each unit of price: it favors cheap products that move.",
    ),
    Metric(
        name="gross_margin",
        label="Gross margin",
        formulas=("net_revenue - unit_cost * units_sold", "(price - unit_cost) * units_sold"),
        unit="money",
        meaning="Revenue less what the units sold cost us; below 0 when sold at a loss.",
        decimals=2,
    ),
)

METRIC = {metric.name: metric for metric in METRICS}


def is_result(name: str) -> bool:
    """True for a name that an analysis computes, and an input must therefore not bring.

    >>> is_result("rank"), is_result("revenue"), is_result("price")
    (True, True, False)
    """
    return name in RESULTS or name in METRIC or name.startswith("contribution_")
