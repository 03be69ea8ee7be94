"""Decisions: what to reorder, clear, feature, delist, whom to buy from, and what changed."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shelfwise.insights.decisions import ACTIONS, Quantity, Section, Withheld

if TYPE_CHECKING:
    from shelfwise.insights.evidence import Evidence

__all__ = ["ACTIONS", "Evidence", "Quantity", "Section", "Withheld"]

_LATER = {"Evidence": "evidence"}


def __getattr__(name: str) -> Any:
    # They load an engine, SciPy and the forecasts' models.
    if name in _LATER:
        return getattr(import_module(f"shelfwise.insights.{_LATER[name]}"), name)
    raise AttributeError(f"module 'shelfwise.insights' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
