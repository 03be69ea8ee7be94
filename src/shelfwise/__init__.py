"""Shelfwise tells which products earn their place.

>>> import shelfwise
>>> analysis = shelfwise.analyze([
...     {"product_id": 1, "name": "Lamp", "price": 20.0, "units_sold": 9, "stock": 1},
...     {"product_id": 2, "name": "Mug", "price": 5.0, "units_sold": 2, "stock": 8},
...     {"product_id": 3, "name": "Pot", "price": 9.0, "units_sold": 4, "stock": 6},
... ])
>>> analysis.products["performance_tier"].to_list()
['High', 'Low', 'Medium']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shelfwise.columns import COLUMNS
from shelfwise.errors import (
    InputError,
    MissingExtraError,
    ModelError,
    NotFoundError,
    ProfileError,
    RejectedRowsError,
    SettingError,
    ShelfwiseError,
)
from shelfwise.metrics import METRICS
from shelfwise.profile import PROFILES, Profile

if TYPE_CHECKING:
    from shelfwise.analysis import Analysis
    from shelfwise.model import Model
    from shelfwise.quality import Quality
    from shelfwise.rules import Rules
    from shelfwise.run import analyze
    from shelfwise.sales import Sold, Weekly, elasticity, forecast, from_sales, trends, weekly
    from shelfwise.store import Store

__version__ = "0.1.0"

__all__ = [
    "COLUMNS",
    "METRICS",
    "PROFILES",
    "Analysis",
    "InputError",
    "MissingExtraError",
    "Model",
    "ModelError",
    "NotFoundError",
    "Profile",
    "ProfileError",
    "Quality",
    "RejectedRowsError",
    "Rules",
    "SettingError",
    "ShelfwiseError",
    "Sold",
    "Store",
    "Weekly",
    "analyze",
    "elasticity",
    "forecast",
    "from_sales",
    "trends",
    "weekly",
]

_LATER = {
    "Analysis": "analysis",
    "Model": "model",
    "Quality": "quality",
    "Rules": "rules",
    "Sold": "sales",
    "Store": "store",
    "Weekly": "sales",
    "analyze": "run",
    "elasticity": "sales",
    "forecast": "sales",
    "from_sales": "sales",
    "trends": "sales",
    "weekly": "sales",
}


def __getattr__(name: str) -> Any:
    # What needs an engine is imported when it is first asked for.
    if name in _LATER:
        return getattr(import_module(f"shelfwise.{_LATER[name]}"), name)
    raise AttributeError(f"module 'shelfwise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
