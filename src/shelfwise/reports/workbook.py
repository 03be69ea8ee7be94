"""A report as a workbook: the findings with native charts, and every list to its last row."""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from shelfwise import charts
from shelfwise.charts import Chart
from shelfwise.errors import InputError
from shelfwise.model import TIERS
from shelfwise.reports import listings
from shelfwise.reports.listings import Listing
from shelfwise.reports.material import Material
from shelfwise.reports.report import Column, Grid, Notes, Report, Section
from shelfwise.reports.spreadsheet import COLORS, Book, Place, wide
from shelfwise.reports.texts import text

LISTS: Mapping[str, Callable[[Material], Listing | None]] = {
    "categories": listings.categories,
    "suppliers": listings.suppliers,
    "reorder": listings.reorder,
    "clear": listings.clear,
    "trends": listings.trends,
    "changes": listings.changes,
    "products": listings.products,
}
"""The sheets with a list, in their order."""
ALWAYS = ("categories", "suppliers")
"""Sheets that say what input would fill them; others are not there without rows."""
LIST_ROW = 3
"""The row of a list's heading, below what it says."""
MOST_ROWS = 1_048_576 - LIST_ROW - 1
"""The rows that a sheet has below that."""
ELSEWHERE = {"revenue": "categories", "scores": "products", "best": "products",
             "quality": "method"}  # fmt: skip
"""Which sheet has more of a section that has none of its own."""
STEPS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of the products whose share of the revenue the overview tells."""
BIN = 5
"""Points of score that a bar stands for."""
DRAWN = 12
"""How many categories or suppliers a chart has."""
COLUMNS, WIDE = 6, 24
"""Columns of the overview, and letters of each."""
CHART_ROWS, LINE = 15, 15
"""Rows that a chart of the overview takes; points of a line of text."""


def xlsx(report: Report, *, most: int = MOST_ROWS) -> bytes:
    """The report as a workbook.

    Args:
        report: What to write.
        most: The rows that a list may have; the sheet says what it leaves out.

    Raises:
        MissingExtraError: XlsxWriter is not installed.
        InputError: It is the page about one supplier.
    """
    if report.one_page:
        raise InputError("One supplier's page is no workbook.", "Write it as PDF or HTML.")
    m: Material = report.material
    book = Book(report.formats, f"{report.title}, {report.period}", {
        "title": f"{report.kind}: {report.title}", "subject": report.period,
        "author": "Shelfwise", "comments": ", ".join(f"{n}: {v}" for n, v in report.about),
        "created": dt.datetime.now(dt.UTC).replace(microsecond=0, tzinfo=None),
    })  # fmt: skip
    overview = book.sheet(_sheet("overview"), lines=False)
    places = {"method": Place(_sheet("method"), 0, 0, {})}
    for key, make in LISTS.items():
        place = _listed(book, report, key, make(m), most)
        if place:
            places[key] = place
    _method(book, report)
    _overview(book, overview, report, places)
    overview.activate()
    return book.done()


def _sheet(key: str) -> str:
    return text(f"book.sheet.{key}")


def _listed(book: Book, report: Report, key: str, found: Listing | None, most: int) -> Place | None:
    """The sheet of a list; None where there is no need for it."""
    if found is None and key not in ALWAYS:
        return None
    finding, lead = _said(report, key, found)
    sheet = book.sheet(_sheet(key))
    sheet.set_row(0, 22)
    book.words(sheet, 0, 0, finding, bold=True, font_size=14)
    if found is None:
        book.words(sheet, 1, 0, lead, font_color=COLORS["muted"])
        return None
    shown = found.rows.head(most)
    if shown.height < found.rows.height:
        all_of = report.formats.count(found.rows.height)
        lead = f"{text('book.cut', n=shown.height, all=all_of)} {lead}"
    book.words(sheet, 1, 0, lead, font_color=COLORS["muted"])
    place = book.table(sheet, LIST_ROW, 0, shown, found.columns, name=found.table)
    book.bars(sheet, place, found.bar)
    name = "name" if "name" in place.columns else key.removesuffix("s")
    sheet.freeze_panes(place.first, place.columns.get(name, 0) + 1)
    sheet.repeat_rows(LIST_ROW)
    if key in ALWAYS:
        _earns(book, sheet, key, place, found)
    return place


def _said(report: Report, key: str, found: Listing | None) -> tuple[str, str]:
    """What a list says, and more of it."""
    if key == "products":
        n = report.material.products.height
        return text("book.products", n=n), text("book.products.lead", table="Products")
    if key == "categories":
        if found is None:
            return text("book.categories.unknown"), text("book.categories.needs")
        best = found.rows.row(0, named=True)
        if not best["share"]:
            return text("book.categories.none"), text("book.categories.lead")
        f = report.formats
        return text("book.categories", name=best["category"], share=f.share(best["share"]),
                    money=f.money_short(best["revenue"])), text("book.categories.lead")  # fmt: skip
    section = _section(report, key)
    return section.finding, " ".join(section.lead)


def _section(report: Report, key: str) -> Section:
    return next(section for section in report.sections if section.key == key)


def _overview(book: Book, sheet: Any, report: Report, places: Mapping[str, Place]) -> None:
    """What a manager reads first: figures, findings, and the charts."""
    sheet.set_column(0, COLUMNS - 1, WIDE)
    book.words(sheet, 0, 0, report.kind.upper(), bold=True, font_color=COLORS["accent"])
    book.words(sheet, 1, 0, report.title, bold=True, font_size=22)
    sheet.set_row(1, 32)
    book.words(sheet, 2, 0, report.period, font_color=COLORS["muted"])
    line = {"top": 1, "top_color": COLORS["soft"]}
    for at, fact in enumerate(report.facts):
        row, column = 4 + 4 * (at // COLUMNS), at % COLUMNS
        book.words(sheet, row, column, fact.label, font_color=COLORS["muted"], **line)
        book.words(sheet, row + 1, column, fact.value, bold=True, font_size=18)
        book.words(sheet, row + 2, column, fact.note, font_color=COLORS["muted"], text_wrap=True)
        sheet.set_row(row + 1, 26)
        sheet.set_row(row + 2, 2 * LINE)
    row = 4 + 4 * math.ceil(len(report.facts) / COLUMNS)
    if report.in_short:
        row = _heading(book, sheet, row, text("report.in_short"))
        for place, one in enumerate(report.in_short, 1):
            _linked(book, sheet, row, f"{place}. {one.text}", one.section, places)
            row += 1
        row += 1
    # Charts lie over empty rows; the tables that they draw come last.
    drawn = row
    rows = CHART_ROWS * (1 + ("categories" in places and _sold(report)))
    row = _heading(book, sheet, row + rows + 1, text("book.findings"))
    for section in report.sections:
        told = " ".join([f"{section.finding}.", *section.lead])
        _linked(book, sheet, row, told, section.key, places, name=section.name)
        row += 1
    row = _heading(book, sheet, row + 1, text("book.charts"))
    half = COLUMNS // 2
    scored = book.table(sheet, row, half, _binned(report.material), {
        "score": Column(text("book.col.scored")),
        **{tier: Column(tier, "count") for tier in TIERS},
    }, widths=False)  # fmt: skip
    size = (_pixels(WIDE) * half - 8, 20 * CHART_ROWS - 8)
    chart = _stacked(book, "column", text("book.scores"), size, scored, "score", {
        tier: tier for tier in TIERS
    }, "count")  # fmt: skip
    _insert(sheet, drawn, half if _sold(report) else 0, chart, _told(report, "scores"))
    if not _sold(report):
        return
    earned = book.table(sheet, row, 0, _earned(report.material), {
        "best": Column(text("book.col.best"), "share"),
        "earn": Column(text("book.col.earn"), "share_fine"),
    }, widths=False)  # fmt: skip
    _insert(sheet, drawn, 0, _pareto(book, earned, size), _told(report, "pareto"))
    if "categories" in places:
        names = {f"revenue_{tier}": tier for tier in TIERS}
        size = (_pixels(WIDE) * COLUMNS - 8, size[1])
        chart = _stacked(book, "bar", text("book.revenue_by_category"), size,
                         places["categories"], "category", names, "money")  # fmt: skip
        _insert(sheet, drawn + CHART_ROWS, 0, chart, _told(report, "by_category"))


def _method(book: Book, report: Report) -> None:
    """What it rests on: the data, how scores are made, and what identifies the report."""
    sheet = book.sheet(_sheet("method"), lines=False)
    sheet.set_column(0, 0, 44)
    sheet.set_column(1, 1, 14)
    sheet.set_column(2, 2, 44)
    sheet.set_column(3, COLUMNS - 1, 16)
    row = 0
    for key in ("method", "quality"):
        section = _section(report, key)
        row = _heading(book, sheet, row, section.finding, size=14)
        row = _paragraph(book, sheet, row, " ".join(section.lead))
        blocks = section.blocks
        if key == "method":
            blocks += tuple(b for b in _section(report, "scores").blocks if isinstance(b, Grid))
        for block in blocks:
            if isinstance(block, Notes):
                for first, second in block.lines:
                    row = _paragraph(book, sheet, row, f"{first} {second}".strip())
                row += 1
            elif isinstance(block, Grid):
                row = _small(book, sheet, row, block)
    row = _heading(book, sheet, row, text("report.about"))
    for name, value in report.about:
        book.words(sheet, row, 0, name, font_color=COLORS["muted"])
        book.words(sheet, row, 1, value)
        row += 1


def _small(book: Book, sheet: Any, row: int, table: Grid) -> int:
    """A table of a section; the row after it."""
    if table.title:
        row = _heading(book, sheet, row, table.title)
    names = [str(place) for place in range(len(table.columns))]
    rows = pl.DataFrame(table.rows, schema=names, orient="row", infer_schema_length=None)
    place = book.table(sheet, row, 0, rows, dict(zip(names, table.columns, strict=True)),
                       widths=False)  # fmt: skip
    return _paragraph(book, sheet, place.last + 1, table.note) + 1


def _heading(book: Book, sheet: Any, row: int, words: str, size: int = 12) -> int:
    book.words(sheet, row, 0, words, bold=True, font_size=size)
    sheet.set_row(row, LINE + 2 * (size - 10))
    return row + 1


def _paragraph(book: Book, sheet: Any, row: int, words: str) -> int:
    """Sentences over all columns; the row after them."""
    if not words:
        return row
    _spread(book, sheet, row, 0, words, 44 + 14 + 44 + 3 * 16, font_color=COLORS["muted"])
    return row + 1


def _spread(
    book: Book, sheet: Any, row: int, column: int, words: str, letters: int, *,
    last: int = COLUMNS - 1, lines: int = 1, **style: Any,
) -> None:  # fmt: skip
    """A text over several columns, as high as it needs."""
    given = book.style(text_wrap=True, **style)
    sheet.merge_range(row, column, row, last, "", given)
    book.words(sheet, row, column, words, text_wrap=True, **style)
    # Excel does not find the height of merged cells itself.
    lines = max(lines, math.ceil(1.1 * wide(words) / letters))
    sheet.set_row(row, LINE * lines)


def _linked(
    book: Book, sheet: Any, row: int, words: str, key: str, places: Mapping[str, Place],
    name: str = "",
) -> None:  # fmt: skip
    """A sentence, and the sheet that has more of it."""
    if name:
        book.words(sheet, row, 0, name, bold=True)
    first = 1 if name else 0
    _spread(book, sheet, row, first, words, WIDE * (COLUMNS - 1 - first), last=COLUMNS - 2)
    where = ELSEWHERE.get(key, key)
    if where in places:
        target = _sheet(where)
        link = book.style(font_color=COLORS["accent"], underline=1)
        sheet.write_url(row, COLUMNS - 1, f"internal:'{target}'!A1", link, target)


def _sold(report: Report) -> bool:
    return float(report.material.products["revenue"].sum()) > 0


def _told(report: Report, name: str) -> str:
    """What a chart says to whoever does not see it."""
    return next((block.sentence for section in report.sections for block in section.blocks
                 if isinstance(block, Chart) and block.name == name), "")  # fmt: skip


def _earned(m: Material) -> pl.DataFrame:
    """Which share of the revenue the best products earn."""
    curve = charts.earned(m.products)["curve"]
    steps = [step for step in STEPS if step == 0 or step * m.products.height >= 1]
    return pl.DataFrame({"best": steps, "earn": np.interp(steps, curve["x"], curve["y"])})


def _binned(m: Material) -> pl.DataFrame:
    """How many products of each tier score how much."""
    scored = m.products.select(
        place=(pl.col("performance_score") / BIN).floor().clip(0, 100 // BIN - 1).cast(pl.Int64),
        tier=pl.col("performance_tier"),
    )
    counts = scored.group_by("place").agg(
        *((pl.col("tier") == tier).sum().alias(tier) for tier in TIERS)
    )
    bins = pl.DataFrame({"place": range(100 // BIN)}, schema={"place": pl.Int64})
    label = pl.format("{}\N{EN DASH}{}", pl.col("place") * BIN, (pl.col("place") + 1) * BIN)
    return (
        bins.join(counts, on="place", how="left", maintain_order="left")
        .with_columns(pl.col(tier).fill_null(0) for tier in TIERS)
        .select(label.alias("score"), *TIERS)
    )


def _pareto(book: Book, place: Place, size: tuple[int, int]) -> Any:
    """Which share of the products earns which share of the revenue."""
    chart = book.chart({"type": "scatter", "subtype": "straight_with_markers"},
                       text("book.pareto"), size)  # fmt: skip
    chart.add_series({
        "categories": place.values("best"), "values": place.values("earn"),
        "line": {"color": COLORS["accent"], "width": 2.25},
        "marker": {"type": "circle", "size": 5, "fill": {"color": COLORS["accent"]},
                   "border": {"color": COLORS["surface"]}},
    })  # fmt: skip
    chart.set_legend({"none": True})
    chart.set_x_axis(_axis(text("book.col.best"), "0%", min=0, max=1, major_unit=0.2))
    chart.set_y_axis(_axis(text("book.col.earn"), "0%", min=0, max=1, major_unit=0.2, grid=True))
    return chart


def _stacked(
    book: Book, kind: str, title: str, size: tuple[int, int], place: Place, by: str,
    series: Mapping[str, str], unit: str,
) -> Any:  # fmt: skip
    """Columns or bars in the colors of tiers, the best next to the axis."""
    chart = book.chart({"type": kind, "subtype": "stacked"}, title, size)
    for name, tier in series.items():
        if name in place.columns:
            chart.add_series({
                "name": tier, "categories": place.values(by, _most(kind)),
                "values": place.values(name, _most(kind)), "gap": 12 if kind == "column" else 40,
                "fill": {"color": COLORS[tier.lower()]},
            })  # fmt: skip
    _axes(chart, kind, text("report.col.products" if unit == "count" else "report.col.revenue"),
          book.pattern("count") if unit == "count" else _short(book))  # fmt: skip
    return chart


def _most(kind: str) -> int | None:
    return DRAWN if kind == "bar" else None


def _earns(book: Book, sheet: Any, key: str, place: Place, found: Listing) -> None:
    """What each category or supplier earns and ties up, below the list."""
    by = key.removesuffix("s") if key == "suppliers" else "category"
    title = text("book.earns")
    size = (_pixels(WIDE) * 4, 60 + 30 * min(found.rows.height, DRAWN) + 40)
    chart = book.chart({"type": "bar", "subtype": "clustered"}, title, size)
    for name, color in (("revenue", "high"), ("stock_money", "medium")):
        if name in place.columns:
            chart.add_series({
                "name": found.columns[name].label, "categories": place.values(by, DRAWN),
                "values": place.values(name, DRAWN), "gap": 60, "overlap": 0,
                "fill": {"color": COLORS[color]},
            })  # fmt: skip
    _axes(chart, "bar", "", _short(book))
    best = found.rows.row(0, named=True)
    told = text("book.earns.alt", name=best[by], money=book.formats.money_short(best["revenue"]))
    _insert(sheet, place.last + 2, 0, chart, told)


def _axes(chart: Any, kind: str, name: str, pattern: str) -> None:
    """The axis of names and that of numbers; the first name is on top of bars."""
    if kind == "bar":
        chart.set_x_axis(_axis(reverse=True))
        chart.set_y_axis(_axis(name, pattern, grid=True, label_position="high"))
    else:
        chart.set_x_axis(_axis(text("book.col.scored")))
        chart.set_y_axis(_axis(name, pattern, grid=True))


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


def _insert(sheet: Any, row: int, column: int, chart: Any, told: str) -> None:
    sheet.insert_chart(row, column, chart, {
        "description": told, "object_position": 2, "x_offset": 2, "y_offset": 2,
    })  # fmt: skip


def _pixels(letters: int) -> int:
    """Pixels of a column in Calibri 11."""
    return 7 * letters + 5
