"""Metrics brought to 0..1, as scikit-learn's MinMaxScaler(clip=True) does it."""

import itertools
import math
from collections.abc import Mapping

from shelfwise.formula import Values, clip, log1p, where
from shelfwise.model import Scale
from shelfwise.pipeline.table import Table
from shelfwise.profile import WINSOR, Profile, Term

KNOTS = 101


def fit_scales(table: Table, profile: Profile, withheld: tuple[str, ...]) -> tuple[Scale, ...]:
    """The range of each weighed metric; weights of withheld ones go to the others."""
    terms = [term for term in profile.terms if term.metric not in withheld]
    total = math.fsum(term.weight for term in terms)
    columns = table.columns
    ends = table.collect(
        {
            f"{side}_{term.metric}": getattr(_before(term, columns[term.metric]), side)()
            for term in terms
            if term.scaling in ("minmax", "log1p")
            for side in ("min", "max")
        }
    )
    return tuple(
        _fit_one(table, term, term.weight if total == 1 else term.weight / total, ends)
        for term in terms
    )


def _before(term: Term | Scale, values: Values) -> Values:
    return log1p(values) if term.scaling == "log1p" else values


def _fit_one(table: Table, term: Term, weight: float, ends: Mapping[str, float]) -> Scale:
    knots: tuple[float, ...] = ()
    if term.scaling == "fixed":
        low, high = float(term.low or 0.0), float(term.high or 0.0)
    elif term.scaling == "winsor":
        low, high = quantiles(table, term.metric, WINSOR)
    elif term.scaling == "rank":
        shares = tuple(i / (KNOTS - 1) for i in range(KNOTS))
        knots = tuple(quantiles(table, term.metric, shares))
        low, high = knots[0], knots[-1]
    else:
        low, high = ends[f"min_{term.metric}"], ends[f"max_{term.metric}"]
    return Scale(term.metric, weight, term.scaling, low, high, term.better, knots)


def quantiles(table: Table, name: str, shares: tuple[float, ...]) -> list[float]:
    """Type 7 quantiles (Hyndman and Fan 1996) from exact order statistics.

    h = (n - 1) p; the value is x[floor h] + (h - floor h)(x[floor h + 1] - x[floor h]).
    """
    places = [(table.height - 1) * share for share in shares]
    positions = [p for h in places for p in (math.floor(h), math.ceil(h))]
    found = table.order_statistics(name, positions)
    return [
        low + (h - math.floor(h)) * (high - low)
        for h, low, high in zip(places, found[::2], found[1::2], strict=True)
    ]


def normalize(
    columns: Mapping[str, Values], scales: tuple[Scale, ...], *, clipped: bool = True
) -> dict[str, Values]:
    """`z_METRIC` for each scale: clip(x * factor + shift, 0, 1), turned where less is better.

    Multiplying by the reciprocal is what MinMaxScaler does; dividing by the width gave
    another last bit on some engines.
    """
    return {f"z_{scale.metric}": _normalized(columns, scale, clipped) for scale in scales}


def _normalized(columns: Mapping[str, Values], scale: Scale, clipped: bool) -> Values:
    values = columns[scale.metric]
    if scale.constant:
        return values * 0.0
    if scale.scaling == "rank":
        z = _position(values, scale.knots)
    else:
        z = _before(scale, values) * scale.factor + scale.shift
        z = clip(z, 0.0, 1.0) if clipped or scale.scaling in ("winsor", "fixed") else z
    return 1.0 - z if scale.better == "lower" else z


def _position(values: Values, knots: tuple[float, ...]) -> Values:
    """The share of the fitted products below, between percentiles in a straight line.

    Where percentiles are equal (ties) a value takes the middle of their steps, as half
    of the ties rank below it.
    """
    steps = [
        clip((values - low) * (1.0 / (high - low)), 0.0, 1.0)
        if high > low
        else where(values > low, 1.0, where(values < low, 0.0, 0.5))
        for low, high in itertools.pairwise(knots)
    ]
    position = steps[0]
    for step in steps[1:]:
        position = position + step
    return position * (1.0 / len(steps))
