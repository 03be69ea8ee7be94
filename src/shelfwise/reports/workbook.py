"""A report as a workbook: the findings with native charts, and every list to its last row."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from shelfwise import charts
from shelfwise.charts import Chart
from shelfwise.errors import InputError
from shelfwise.model import TIERS
from shelfwise.reports import listings, native
from shelfwise.reports.listings import Listing
from shelfwise.reports.material import Material
from shelfwise.reports.report import Column, Grid, Notes, Report, Section
from shelfwise.reports.spreadsheet import COLORS, DENSE, LINE, Book, Place, lines_of
from shelfwise.texts import text

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
COLUMNS, WIDE, FACTS = 7, 22, 6
"""Columns of the overview, letters of each, and how many figures stand in a row."""
CHART_ROWS, LOW_ROWS = 16, 13
"""Rows that the charts of the overview take: two side by side, and the wide one."""
METHOD_COLUMNS = (40, 16, 44, 16, 16, 16)
"""Letters of the columns of the method."""


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
    sheet.freeze_panes(place.first, place.columns.get("name", 0) + 1)
    sheet.repeat_rows(LIST_ROW)
    if key in ALWAYS:
        _earns(book, sheet, next(iter(place.columns)), place, found)
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
    return section.finding, _more(section)


def _more(section: Section) -> str:
    """What a section says beside its finding; where it has nothing to show, also why."""
    said = list(section.lead)
    if all(isinstance(block, Notes) for block in section.blocks):
        said += [part for block in section.blocks if isinstance(block, Notes)
                 for line in block.lines for part in line]  # fmt: skip
    return " ".join(part for part in said if part)


def _section(report: Report, key: str) -> Section:
    return next(section for section in report.sections if section.key == key)


def _overview(book: Book, sheet: Any, report: Report, places: Mapping[str, Place]) -> None:
    """What a manager reads first: figures, charts, and what was found.

    It has three pages: the figures with two charts, categories with all findings, and the
    numbers of the charts.
    """
    sheet.set_column(0, COLUMNS - 1, WIDE)
    row = _cover(book, sheet, report, places)
    sold = float(report.material.products["revenue"].sum()) > 0
    below = row + CHART_ROWS + 1
    if sold and "categories" in places:
        below += LOW_ROWS + 1
    findings = _heading(book, sheet, below, text("book.findings"))
    for at, section in enumerate(report.sections, findings):
        told = f"{section.finding}. {_more(section)}"
        _linked(book, sheet, at, told, section.key, places, name=section.name)
    numbers = findings + len(report.sections) + 1
    sheet.set_h_pagebreaks([row + CHART_ROWS + 1, numbers])
    numbers = _heading(book, sheet, numbers, text("book.charts"))
    scored = book.table(sheet, numbers, COLUMNS - 4, _binned(report.material), {
        "score": Column(text("book.col.scored")),
        **{tier: Column(tier, "count") for tier in TIERS},
    }, widths=False)  # fmt: skip
    wide, high = COLUMNS * _pixels(WIDE) - 4, 20 * CHART_ROWS - 8
    half = wide // 2 - 4
    chart = native.scores(book, scored, {tier: tier for tier in TIERS}, (half, high))
    native.insert(sheet, row, 0, chart, _told(report, "scores"), half + 8 if sold else 0)
    if not sold:
        return
    earned = book.table(sheet, numbers, 0, _earned(report.material), {
        "best": Column(text("book.col.best"), "share"),
        "earn": Column(text("book.col.earn"), "share_fine"),
    }, widths=False)  # fmt: skip
    native.insert(sheet, row, 0, native.pareto(book, earned, (half, high)),
                  _told(report, "pareto"))  # fmt: skip
    if "categories" in places:
        tiers = {f"revenue_{tier}": tier for tier in TIERS}
        chart = native.by_tier(book, places["categories"], "category", tiers, (wide, 20 * LOW_ROWS))
        native.insert(sheet, row + CHART_ROWS + 1, 0, chart, _told(report, "by_category"))


def _cover(book: Book, sheet: Any, report: Report, places: Mapping[str, Place]) -> int:
    """The name, the figures, and what matters most; the row after them."""
    book.words(sheet, 0, 0, report.kind.upper(), bold=True, font_color=COLORS["accent"])
    book.words(sheet, 1, 0, report.title, bold=True, font_size=22)
    sheet.set_row(1, 32)
    book.words(sheet, 2, 0, report.period, font_color=COLORS["muted"])
    row = 4
    for start in range(0, len(report.facts), FACTS):
        lines = 1
        for at in range(COLUMNS):
            sheet.write_blank(row, at, None, book.style(top=1, top_color=COLORS["soft"]))
        for at, fact in enumerate(report.facts[start : start + FACTS]):
            book.words(sheet, row, at, fact.label, font_color=COLORS["muted"], top=1,
                       top_color=COLORS["soft"])  # fmt: skip
            book.words(sheet, row + 1, at, fact.value, bold=True, font_size=18)
            book.words(sheet, row + 2, at, fact.note, font_color=COLORS["muted"], text_wrap=True)
            lines = max(lines, lines_of(fact.note, WIDE - 2))
        sheet.set_row(row + 1, 26)
        sheet.set_row(row + 2, LINE * lines)
        row += 4
    if report.in_short:
        row = _heading(book, sheet, row, text("report.in_short"))
        for place, one in enumerate(report.in_short, 1):
            _linked(book, sheet, row, f"{place}. {one.text}", one.section, places)
            row += 1
        row += 1
    return row


def _method(book: Book, report: Report) -> None:
    """What it rests on: how scores are made, the data, and what identifies the report."""
    sheet = book.sheet(_sheet("method"), lines=False)
    for at, letters in enumerate(METHOD_COLUMNS):
        sheet.set_column(at, at, letters)
    row = 0
    for key in ("method", "quality"):
        section = _section(report, key)
        row = _heading(book, sheet, row, section.finding, size=14)
        row = _paragraph(book, sheet, row, " ".join(section.lead)) + 1
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
    """A heading; the row after it."""
    book.words(sheet, row, 0, words, bold=True, font_size=size)
    sheet.set_row(row, size + 8)
    return row + 1


def _paragraph(book: Book, sheet: Any, row: int, words: str) -> int:
    """Sentences over all columns of the method; the row after them."""
    if not words:
        return row
    _spread(book, sheet, row, (0, len(METHOD_COLUMNS) - 1), words, sum(METHOD_COLUMNS),
            font_color=COLORS["muted"])  # fmt: skip
    return row + 1


def _linked(
    book: Book, sheet: Any, row: int, words: str, key: str, places: Mapping[str, Place],
    name: str = "",
) -> None:  # fmt: skip
    """A sentence, and the sheet that has more of it."""
    first = 1 if name else 0
    _spread(book, sheet, row, (first, COLUMNS - 2), words, WIDE * (COLUMNS - 1 - first),
            lines_of(name, WIDE - 2))  # fmt: skip
    if name:
        book.words(sheet, row, 0, name, bold=True, text_wrap=True)
    where = ELSEWHERE.get(key, key)
    if where in places:
        link = book.style(font_color=COLORS["accent"], underline=1)
        sheet.write_url(row, COLUMNS - 1, f"internal:'{_sheet(where)}'!A1", link, _sheet(where))


def _spread(
    book: Book, sheet: Any, row: int, columns: tuple[int, int], words: str, letters: int,
    lines: int = 1, **style: Any,
) -> None:  # fmt: skip
    """A text over several columns, in a row as high as it needs."""
    sheet.merge_range(row, columns[0], row, columns[1], "", book.style(text_wrap=True, **style))
    book.words(sheet, row, columns[0], words, text_wrap=True, **style)
    # No program finds the height of merged cells itself.
    sheet.set_row(row, LINE * max(lines, lines_of(words, DENSE * letters)))


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


def _earns(book: Book, sheet: Any, by: str, place: Place, found: Listing) -> None:
    """What each category or supplier earns and ties up, below the list."""
    names = {name: found.columns[name].label for name in ("revenue", "stock_money")}
    size = (4 * _pixels(WIDE), 100 + 30 * min(found.rows.height, native.DRAWN))
    chart = native.earns_and_ties_up(book, place, by, names, size)
    best = found.rows.row(0, named=True)
    told = text("book.earns.alt", name=best[by], money=book.formats.money_short(best["revenue"]))
    native.insert(sheet, place.last + 2, 0, chart, told)


def _pixels(letters: int) -> int:
    """Pixels of a column in Calibri 11."""
    return 7 * letters + 5
