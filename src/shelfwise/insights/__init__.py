"""Decisions: what to reorder, clear, feature, delist, whom to buy from, and what changed.

Each question has a module of its name, with the function that answers it; `decide` asks any.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shelfwise.insights.decisions import ACTIONS, Quantity, Section, Withheld

if TYPE_CHECKING:
    from shelfwise.insights.campaign import CampaignPolicy
    from shelfwise.insights.changes import ChangesPolicy, compare
    from shelfwise.insights.confidence import ConfidencePolicy
    from shelfwise.insights.delisting import DelistingPolicy
    from shelfwise.insights.evidence import Evidence
    from shelfwise.insights.marketing import MarketingPolicy
    from shelfwise.insights.orders import OrdersPolicy
    from shelfwise.insights.portfolio import PortfolioPolicy
    from shelfwise.insights.sections import decide
    from shelfwise.insights.stock_policy import InventoryPolicy
    from shelfwise.insights.suppliers import SuppliersPolicy

__all__ = [
    "ACTIONS",
    "CampaignPolicy",
    "ChangesPolicy",
    "ConfidencePolicy",
    "DelistingPolicy",
    "Evidence",
    "InventoryPolicy",
    "MarketingPolicy",
    "OrdersPolicy",
    "PortfolioPolicy",
    "Quantity",
    "Section",
    "SuppliersPolicy",
    "Withheld",
    "compare",
    "decide",
]

_LATER = {
    "CampaignPolicy": "campaign",
    "ChangesPolicy": "changes",
    "ConfidencePolicy": "confidence",
    "DelistingPolicy": "delisting",
    "Evidence": "evidence",
    "InventoryPolicy": "stock_policy",
    "MarketingPolicy": "marketing",
    "OrdersPolicy": "orders",
    "PortfolioPolicy": "portfolio",
    "SuppliersPolicy": "suppliers",
    "compare": "changes",
    "decide": "sections",
}


def __getattr__(name: str) -> Any:
    # They load an engine, SciPy and the forecasts' models.
    if name in _LATER:
        return getattr(import_module(f"shelfwise.insights.{_LATER[name]}"), name)
    raise AttributeError(f"module 'shelfwise.insights' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
