"""Drift: how far products have moved from those that a model was fitted on.

The population stability index compares the shares of products in ten bins of each
metric. By convention below 0.1 is stable, and from 0.25 on the model should be fitted
anew (Siddiqi, Credit Risk Scorecards, 2006).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.errors import InputError
from shelfwise.model import Model

BINS = 10
MOVED, SHIFTED = 0.1, 0.25
Verdict = Literal["stable", "moved", "shifted"]


@dataclass(frozen=True, slots=True)
class Training:
    """How the metrics of the fitted products were spread.

    For each metric the inner edges of its bins (deciles, equal ones once) and the share
    of products in each: bin i holds edges[i - 1] < value <= edges[i].
    """

    products: int
    bins: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        spread = {
            name: {"edges": list(edges), "shares": list(shares)}
            for name, (edges, shares) in self.bins.items()
        }
        return {"products": self.products, "bins": spread}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Training":
        """What `to_dict` gave."""
        bins = {
            name: (tuple(found["edges"]), tuple(found["shares"]))
            for name, found in given["bins"].items()
        }
        return cls(given["products"], bins)

    @classmethod
    def of(cls, products: pl.LazyFrame, model: Model) -> "Training":
        """The spread of the weighed metrics among scored products."""
        values = _metrics(products, model)
        bins = {}
        for name, column in values.items():
            inner = np.arange(1, BINS) / BINS
            edges = np.unique(np.quantile(column, inner, method="inverted_cdf"))
            bins[name] = (tuple(edges.tolist()), tuple(_shares(column, edges).tolist()))
        height = len(next(iter(values.values())))
        return cls(height, bins)


@dataclass(frozen=True, slots=True)
class MetricDrift:
    """One metric's drift: `below` and `above` are shares outside the fitted range."""

    metric: str
    psi: float | None
    verdict: Verdict | None
    below: float
    above: float

    @property
    def clipped(self) -> float:
        """The share of products whose metric the model clips to 0 or 1."""
        return self.below + self.above

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "metric": self.metric,
            "psi": self.psi,
            "verdict": self.verdict,
            "below": self.below,
            "above": self.above,
            "clipped": self.clipped,
        }


def drift(products: pl.LazyFrame, model: Model, training: Training | None) -> list[MetricDrift]:
    """Drift of scored products against a model, metric by metric, the most drifted first.

    PSI = sum over bins of (now - then) ln(now / then), with half a product in an empty bin.
    It is None where the model came without its training data.
    """
    found = []
    values = _metrics(products, model)
    for scale in model.scales:
        column = values[scale.metric]
        scaled = np.log1p(np.maximum(column, 0)) if scale.scaling == "log1p" else column
        slack = 1e-9 * max(abs(scale.low), abs(scale.high), 1e-300)
        below = float(np.mean(scaled < scale.low - slack))
        above = float(np.mean(scaled > scale.high + slack))
        index = None
        if training and scale.metric in training.bins:
            edges, then = training.bins[scale.metric]
            now = _shares(column, np.array(edges))
            index = _psi(np.array(then), now, training.products, len(column))
        found.append(MetricDrift(scale.metric, index, _verdict(index), below, above))
    return sorted(found, key=lambda one: -(one.psi or 0.0))


def _metrics(products: pl.LazyFrame, model: Model) -> dict[str, NDArray[np.float64]]:
    names = [scale.metric for scale in model.scales]
    if missing := sorted(set(names) - set(products.collect_schema().names())):
        raise InputError(
            f"The run has no {', '.join(missing)}, which the model weighs.",
            "Score the products against the model first.",
        )
    frame = products.select(pl.col(name).cast(pl.Float64) for name in names).collect()
    return {name: frame[name].to_numpy() for name in names}


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    places = np.searchsorted(edges, values, side="left")
    return np.bincount(places, minlength=len(edges) + 1) / len(values)


def _psi(then: NDArray[np.float64], now: NDArray[np.float64], fitted: int, products: int) -> float:
    then, now = np.maximum(then, 0.5 / fitted), np.maximum(now, 0.5 / products)
    return math.fsum((now - then) * np.log(now / then))


def _verdict(index: float | None) -> Verdict | None:
    if index is None:
        return None
    return "shifted" if index >= SHIFTED else "moved" if index >= MOVED else "stable"
