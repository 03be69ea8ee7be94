"""The performance score, 0 to 100, and what each metric contributes to it."""

from collections.abc import Mapping

from shelfwise.formula import Values, floor
from shelfwise.model import Scale


def score(columns: Mapping[str, Values], scales: tuple[Scale, ...]) -> dict[str, Values]:
    """`contribution_METRIC` = 100 weight z, and `performance_score`, their sum in order.

    The sum is the same floating-point sum that a reader forms from the contributions.
    """
    contributions = {
        f"contribution_{scale.metric}": columns[f"z_{scale.metric}"] * (100.0 * scale.weight)
        for scale in scales
    }
    total, *others = contributions.values()
    for contribution in others:
        total = total + contribution
    return contributions | {"performance_score": total}


def key(score: Values) -> Values:
    """The score in whole units of 1e-9: what counts as a tie, the same on every engine."""
    return floor(score * 1e9 + 0.5)
