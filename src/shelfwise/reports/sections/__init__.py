"""The sections of a report about a range of products: each a function of its material.

A section says its finding first. Where the data cannot tell something, it says so, and which
input would show it.
"""

from collections.abc import Callable

from shelfwise.reports.material import Material
from shelfwise.reports.report import Section
from shelfwise.reports.sections.actions import clear, reorder, suppliers
from shelfwise.reports.sections.cover import cover_facts
from shelfwise.reports.sections.earnings import best_sellers, revenue, scores
from shelfwise.reports.sections.grounds import method, quality
from shelfwise.reports.sections.movements import changes, trends

__all__ = ["SECTIONS", "cover_facts"]

SECTIONS: tuple[Callable[[Material], Section], ...] = (
    revenue, scores, best_sellers, reorder, clear, trends, changes, suppliers, quality, method,
)  # fmt: skip
"""The sections after the cover, in their order."""
