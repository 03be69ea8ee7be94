"""Order lines: counted into products, and their course over time."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shelfwise.sales.lines import Sold, from_sales

if TYPE_CHECKING:
    from shelfwise.sales.evaluation import Evaluation, evaluate
    from shelfwise.sales.forecasting import forecast
    from shelfwise.sales.lead_time import quantiles
    from shelfwise.sales.prices import Holdout, elasticity, holdout
    from shelfwise.sales.trending import trends
    from shelfwise.sales.weeks import Weekly, weekly

__all__ = [
    "Evaluation",
    "Holdout",
    "Sold",
    "Weekly",
    "elasticity",
    "evaluate",
    "forecast",
    "from_sales",
    "holdout",
    "quantiles",
    "trends",
    "weekly",
]

_LATER = {
    "Evaluation": "evaluation",
    "Holdout": "prices",
    "Weekly": "weeks",
    "elasticity": "prices",
    "evaluate": "evaluation",
    "forecast": "forecasting",
    "holdout": "prices",
    "quantiles": "lead_time",
    "trends": "trending",
    "weekly": "weeks",
}


def __getattr__(name: str) -> Any:
    # Counting lines needs no statistics; what does imports them when it is first asked for.
    if name in _LATER:
        return getattr(import_module(f"shelfwise.sales.{_LATER[name]}"), name)
    raise AttributeError(f"module 'shelfwise.sales' has no attribute {name!r}")
