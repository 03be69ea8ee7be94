"""Order lines: counted into products, and their course over time."""

from shelfwise.sales.elasticity import elasticity, holdout
from shelfwise.sales.evaluation import evaluate
from shelfwise.sales.forecast import forecast
from shelfwise.sales.lines import Sold, from_sales
from shelfwise.sales.trends import trends
from shelfwise.sales.weekly import Weekly, weekly

__all__ = [
    "Sold",
    "Weekly",
    "elasticity",
    "evaluate",
    "forecast",
    "from_sales",
    "holdout",
    "trends",
    "weekly",
]
