"""Charts, made once: the dashboard draws them, notebooks show them, reports print them.

A chart is a Vega-Lite specification of few points with the sentence that it says and the table
that it shows. Its colors are names (`$high`), which a theme gives values, so the same chart is
drawn in light and in dark.
"""

from shelfwise.charts.catalogue import (
    CHARTED,
    CHARTS,
    draw,
    earned,
    groups,
    pareto,
    scores,
)
from shelfwise.charts.chart import CONFIG, THEMES, Chart, format_locale
from shelfwise.charts.comparison import bridge
from shelfwise.charts.intervals import growths, intervals, labeled
from shelfwise.charts.portfolio import portfolio_map
from shelfwise.charts.product import history, weeks
from shelfwise.charts.stock import cover, earns_and_ties_up, stocked

__all__ = [
    "CHARTED", "CHARTS", "CONFIG", "THEMES", "Chart", "bridge", "cover", "draw", "earned",
    "earns_and_ties_up", "format_locale", "groups", "growths", "history", "intervals", "labeled",
    "pareto", "portfolio_map", "scores", "stocked", "weeks",
]  # fmt: skip
