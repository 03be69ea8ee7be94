"""The method in plain Python: the judge of every engine.

Written from the formulas, without numpy and without the program under test. It is slow and
obvious on purpose. Where it says `key`, a score is meant in whole units of 1e-9: scores that
agree there are tied.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Row = Mapping[str, Any]
WEIGHTS = {"revenue": 0.5, "stock_ratio": 0.3, "sales_velocity": 0.2}
A_SHARE, B_SHARE = Fraction(80, 100), Fraction(95, 100)
SAME = Fraction(1, 10**12)
"""Sums of floats differ in the last bits: shares this close are one share."""


def metrics(row: Row) -> dict[str, float]:
    """The metrics of one product; no stock, no stock ratio; no cost, no margin."""
    price, units = row["price"], row["units_sold"]
    net = row.get("net_revenue")
    found = {"revenue": price * units if net is None else net}
    if "stock" in row:
        held = row["stock"] + units
        found["stock_ratio"] = units / held if held > 0 else 0.0
    found["sales_velocity"] = units / price if price > 0 else 0.0
    if row.get("unit_cost") is not None:
        cost = row["unit_cost"]
        found["gross_margin"] = (price - cost) * units if net is None else net - cost * units
    return found


@dataclass(frozen=True)
class Range:
    """Where a metric begins and ends: MinMaxScaler(clip=True) in two multiplications."""

    low: float
    high: float

    def __call__(self, value: float) -> float:
        width = self.high - self.low
        # A narrower range counts as constant, as it does for scikit-learn.
        scale = 1.0 if width < 10 * 2.0**-52 else 1.0 / width
        return min(1.0, max(0.0, value * scale + (0.0 - self.low * scale)))


def minmax(values: Sequence[float]) -> Range:
    return Range(min(values), max(values))


def quantile(values: Sequence[float], share: float) -> float:
    """Type 7: a straight line between the two neighbours of (n - 1) share."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    return below + (place - math.floor(place)) * (above - below)


def winsor(values: Sequence[float]) -> Range:
    return Range(quantile(values, 0.05), quantile(values, 0.95))


def key(score: float) -> int:
    return math.floor(score * 1e9 + 0.5)


def quota(n: int, share: float) -> int:
    return math.floor(share * n + 0.5)


def cuts(
    scores: Sequence[float], high: float = 0.2, low: float = 0.2
) -> tuple[int | None, int | None]:
    """The keys that make a product High, and Low; None where the quota is 0."""
    ordered = sorted(map(key, scores))
    n_high, n_low = quota(len(scores), high), quota(len(scores), low)
    return (ordered[-n_high] if n_high else None, ordered[n_low - 1] if n_low else None)


def tiers(scores: Sequence[float], high: float = 0.2, low: float = 0.2) -> list[str]:
    """The best fifth High, the worst fifth Low; what would be both is Medium."""
    cut_high, cut_low = cuts(scores, high, low)
    found = []
    for value in map(key, scores):
        is_high = cut_high is not None and value >= cut_high
        is_low = cut_low is not None and value <= cut_low
        found.append("Medium" if is_high == is_low else "High" if is_high else "Low")
    return found


def ranks(scores: Sequence[float]) -> list[int]:
    """1 for the best; ties share the best rank."""
    keys = list(map(key, scores))
    ordered = sorted(keys, reverse=True)
    first = {value: place for place, value in reversed(list(enumerate(ordered, start=1)))}
    return [first[value] for value in keys]


def abc(values: Sequence[float]) -> list[str]:
    """A while strictly larger values hold under 80% of the positive total, B under 95%."""
    exact = [Fraction(value) for value in values]
    total = sum((value for value in exact if value > 0), Fraction(0))
    before, seen = {}, Fraction(0)
    for value, count in sorted(Counter(exact).items(), reverse=True):
        before[value] = seen
        seen += value * count
    classes = []
    for value in exact:
        if value <= 0:
            classes.append("N")
        elif before[value] < A_SHARE * total * (1 - SAME):
            classes.append("A")
        else:
            classes.append("B" if before[value] < B_SHARE * total * (1 - SAME) else "C")
    return classes


def hhi(values: Sequence[float]) -> float | None:
    positive = [value for value in values if value > 0]
    total = math.fsum(positive)
    return math.fsum((value / total) ** 2 for value in positive) if total > 0 else None


def gini(values: Sequence[float]) -> float | None:
    """Half the mean difference of two products over the mean; losses count as 0."""
    values = [max(value, 0.0) for value in values]
    total, n = math.fsum(values), len(values)
    if not total > 0:
        return None
    return math.fsum(abs(a - b) for a in values for b in values) / (2 * n * total)


def effective_weights(
    normalized: Mapping[str, Sequence[float]], weights: Mapping[str, float]
) -> dict[str, float | None]:
    """w_j Cov(z_j, s) / Var(s): what each metric really does to the score."""
    n = len(next(iter(normalized.values())))
    scores = [math.fsum(weights[m] * normalized[m][i] for m in weights) for i in range(n)]

    def covariance(a: Sequence[float], b: Sequence[float]) -> float:
        mean_a, mean_b = math.fsum(a) / n, math.fsum(b) / n
        return math.fsum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True)) / n

    variance = covariance(scores, scores)
    return {
        m: w * covariance(normalized[m], scores) / variance if variance > 0 else None
        for m, w in weights.items()
    }


@dataclass(frozen=True)
class Judgement:
    """What the method says of a catalogue, in the order of its rows."""

    metrics: list[dict[str, float]]
    ranges: dict[str, Range]
    weights: dict[str, float]
    normalized: dict[str, list[float]]
    contributions: dict[str, list[float]]
    scores: list[float]
    ranks: list[int]
    tiers: list[str]
    abc: list[str]


def judge(
    rows: Sequence[Row],
    fit: Callable[[Sequence[float]], Range] = minmax,
    weights: Mapping[str, float] = WEIGHTS,
) -> Judgement:
    """Score, rank, tier and class of every product, scored against each other."""
    found = [metrics(row) for row in rows]
    used = {m: w for m, w in weights.items() if m in found[0]}
    total = math.fsum(used.values())
    used = {m: w if total == 1 else w / total for m, w in used.items()}
    ranges = {m: fit([values[m] for values in found]) for m in used}
    normalized = {m: [ranges[m](values[m]) for values in found] for m in used}
    contributions = {m: [z * (100.0 * w) for z in normalized[m]] for m, w in used.items()}
    scores = []
    for parts in zip(*contributions.values(), strict=True):
        score = parts[0]
        for part in parts[1:]:
            score = score + part
        scores.append(score)
    revenue = [values["revenue"] for values in found]
    return Judgement(
        found, ranges, used, normalized, contributions, scores,
        ranks(scores), tiers(scores), abc(revenue),
    )  # fmt: skip


def score_of(row: Row, judged: Judgement) -> float:
    """The score of a product against ranges that stay as they are."""
    found = metrics(row)
    return sum(judged.ranges[m](found[m]) * (100.0 * w) for m, w in judged.weights.items())


def units_to_high(row: Row, judged: Judgement, most: int) -> int | None:
    """One unit more at a time until the cut is reached; None if `most` do not reach it."""
    cut, _ = cuts(judged.scores)
    if cut is None:
        return None
    for more in range(most + 1):
        if key(score_of({**row, "units_sold": row["units_sold"] + more}, judged)) >= cut:
            return more
    return None
