"""Charts that a spreadsheet draws itself, of the cells of tables beside them."""

from collections.abc import Mapping
from typing import Any

from shelfwise.reports.spreadsheet import COLORS, Book, Place
from shelfwise.texts import text

DRAWN = 12
"""How many categories or suppliers a chart has."""


def pareto(book: Book, place: Place, size: tuple[int, int]) -> Any:
    """Which share of the products (`best`) earns which share of the revenue (`earn`)."""
    chart = book.chart({"type": "scatter", "subtype": "straight_with_markers"},
                       text("book.pareto"), size)  # fmt: skip
    chart.add_series({
        "categories": place.values("best"), "values": place.values("earn"),
        "line": {"color": COLORS["accent"], "width": 2.25},
        "marker": {"type": "circle", "size": 5, "fill": {"color": COLORS["accent"]},
                   "border": {"color": COLORS["surface"]}},
    })  # fmt: skip
    chart.set_legend({"none": True})
    share: dict[str, Any] = {"min": 0, "max": 1, "major_unit": 0.2}
    chart.set_x_axis(_axis(text("book.col.best"), "0%", **share))
    chart.set_y_axis(_axis(text("book.col.earn"), "0%", grid=True, **share))
    return chart


def scores(book: Book, place: Place, tiers: Mapping[str, str], size: tuple[int, int]) -> Any:
    """How many products score how much: stacked columns; `tiers` has name of column -> tier."""
    chart = book.chart({"type": "column", "subtype": "stacked"}, text("book.scores"), size)
    for name, tier in tiers.items():
        chart.add_series(_of_tier(place, "score", name, tier) | {"gap": 12})
    chart.set_x_axis(_axis(text("book.col.scored")))
    chart.set_y_axis(_axis(text("report.col.products"), book.pattern("count"), grid=True))
    return chart


def by_tier(
    book: Book, place: Place, by: str, tiers: Mapping[str, str], size: tuple[int, int]
) -> Any:
    """The revenue of the first groups, split by tier: stacked bars."""
    chart = book.chart({"type": "bar", "subtype": "stacked"}, text("book.by_category"), size)
    for name, tier in tiers.items():
        if name in place.columns:
            chart.add_series(_of_tier(place, by, name, tier, DRAWN) | {"gap": 40})
    return _lying(book, chart)


def earns_and_ties_up(
    book: Book, place: Place, by: str, names: Mapping[str, str], size: tuple[int, int]
) -> Any:
    """What each of the first groups earns, and beside it what its stock ties up."""
    chart = book.chart({"type": "bar", "subtype": "clustered"}, text("book.earns"), size)
    for (name, label), color in zip(names.items(), ("high", "medium"), strict=True):
        if name in place.columns:
            chart.add_series({
                "name": label, "categories": place.values(by, DRAWN),
                "values": place.values(name, DRAWN), "gap": 60, "overlap": 0,
                "fill": {"color": COLORS[color]},
            })  # fmt: skip
    return _lying(book, chart)


def insert(sheet: Any, row: int, column: int, chart: Any, told: str, aside: int = 0) -> None:
    """Put a chart over cells; `told` is what it says to whoever does not see it."""
    sheet.insert_chart(row, column, chart, {
        "description": told, "object_position": 2, "x_offset": aside, "y_offset": 4,
    })  # fmt: skip


def _of_tier(
    place: Place, by: str, name: str, tier: str, most: int | None = None
) -> dict[str, Any]:
    return {
        "name": tier,
        "categories": place.values(by, most),
        "values": place.values(name, most),
        "fill": {"color": COLORS[tier.lower()]},
    }


def _lying(book: Book, chart: Any) -> Any:
    """The axes of bars of money, the first of them on top."""
    chart.set_y_axis(_axis(reverse=True))
    chart.set_x_axis(_axis("", _short(book), grid=True, label_position="high"))
    return chart


def _axis(name: str = "", pattern: str = "", *, grid: bool = False, **more: Any) -> dict[str, Any]:
    """An axis in our looks."""
    font = {"color": COLORS["muted"], "size": 9, "bold": False}
    found = {
        "name": name, "name_font": font, "num_font": font, "line": {"color": COLORS["soft"]},
        "major_tick_mark": "none", "minor_tick_mark": "none",
        "major_gridlines": {"visible": grid, "line": {"color": COLORS["grid"]}}, **more,
    }  # fmt: skip
    return found | ({"num_format": pattern} if pattern else {})


def _short(book: Book) -> str:
    """How an axis writes money: in thousands and millions."""

    def paid(number: str) -> str:
        return book.pattern("money_whole").replace("#,##0", number)

    millions, thousands = paid('0.0,,"M"'), paid('0,"K"')
    return f"[>=1000000]{millions};[>=1000]{thousands};{paid('0')}"
