"""A workbook for people: tables of true numbers that can be filtered, sorted and printed.

XlsxWriter knows the file; this says how our sheets look and what a cell can hold. Texts are
written as texts: a name is never a formula and never a link.
"""

import datetime as dt
import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import polars as pl

from shelfwise.charts import THEMES
from shelfwise.errors import MissingExtraError
from shelfwise.formats import LONGEST, Formats
from shelfwise.reports.report import ELLIPSIS, PROSE, TIER, Column
from shelfwise.texts import text

CELL, HEADING, PRINTED = 32_767, 255, 90
"""UTF-16 units that a cell and a heading hold; letters of a name on top of printed pages."""
NARROWEST, WIDEST, PROSE_WIDTH = 8, 46, 90
LINE = 15
"""Points of a line of text."""
DENSE = 1.1
"""Letters of sentences in the room of a digit, which is what widths count in."""
LOOKED_AT = 5_000
"""How many values of a column say how wide it is."""
ARROW = 3
"""Letters' room that the arrow of a filter takes from a heading."""
A4 = 9
COLORS = THEMES["light"]
TIER_COLORS = {"High": ("#d5ebe7", "#0b5a54"), "Medium": ("#e7ebf0", "#3d4a5a"),
               "Low": ("#fbe3d3", "#8a3a0c")}  # fmt: skip
"""Tier -> what lies behind its word, and its word: the colors of charts, dark enough to read."""
BAR, BAR_BELOW = "#a9d3cd", "#f3c3a5"
WHOLE, TENTHS = "#,##0", "#,##0.0"
PATTERNS = {
    "count": WHOLE, "number": TENTHS, "weeks": f'[>{LONGEST}]">{LONGEST}";{TENTHS}',
    "share": "0%", "share_fine": "0.0%", "change": "+0%;-0%;0%",
    "day": "d mmm yyyy", "weekday": "ddd d mmm yyyy",
}  # fmt: skip
"""How Excel writes a kind of column; units, fine numbers and money look at their values."""
UNSEEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{fffe}\x{ffff}]"
"""What XML cannot hold or nobody can see; new lines and tabs become blanks."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table stands: its sheet, the rows of its values, and its columns by name."""

    sheet: str
    first: int
    last: int
    columns: Mapping[str, int]

    def values(self, name: str, most: int | None = None) -> list[Any]:
        """The cells of a column, as a chart takes them; only the first `most` of them."""
        last = self.last if most is None else min(self.last, self.first + most - 1)
        return [self.sheet, self.first, self.columns[name], last, self.columns[name]]


class Book:
    """A workbook that is being written; `done` gives its bytes.

    Args:
        formats: How numbers are written.
        printed: What stands on top of each printed page.
        properties: What the file says about itself.
    """

    def __init__(self, formats: Formats, printed: str, properties: Mapping[str, Any]) -> None:
        try:
            from xlsxwriter import Workbook
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "A workbook needs xlsxwriter.", "pip install 'shelfwise[serve]'"
            ) from error
        self.formats = formats
        self._printed = _printed(printed)
        self._buffer = BytesIO()
        self._styles: dict[tuple[Any, ...], Any] = {}
        # In memory is faster than with a file for each sheet, and takes no disk.
        self._book = Workbook(self._buffer, {
            "in_memory": True, "strings_to_formulas": False, "strings_to_urls": False,
            "strings_to_numbers": False,
        })  # fmt: skip
        self._book.set_properties({name: plain(str(value), HEADING) if name != "created" else value
                                   for name, value in properties.items()})  # fmt: skip
        self._book.set_size(2400, 1500)

    def done(self) -> bytes:
        """The file; nothing can be written afterwards."""
        self._book.close()
        return self._buffer.getvalue()

    def style(self, **properties: Any) -> Any:
        """A format of cells."""
        key = tuple(sorted(properties.items()))
        if key not in self._styles:
            given = {"valign": "top", "font_color": COLORS["ink"]} | properties
            self._styles[key] = self._book.add_format(given)
        return self._styles[key]

    def sheet(self, name: str, *, lines: bool = True) -> Any:
        """A new sheet, which is printed on pages as wide as it is."""
        sheet = self._book.add_worksheet(name)
        sheet.set_landscape()
        sheet.set_paper(A4)
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.4, right=0.4, top=0.7, bottom=0.7)
        sheet.set_header(f"&L&9{self._printed}&R&9{name}")
        sheet.set_footer(f"&R&9{text('book.page', page='&P', of='&N')}")
        # An id such as 0042 is a text, and Excel shall not complain about that.
        sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
        if not lines:
            sheet.hide_gridlines(2)
        return sheet

    def words(self, sheet: Any, row: int, column: int, words: str, **style: Any) -> None:
        """A text in a cell."""
        sheet.write_string(row, column, plain(words), self.style(**style))

    def table(
        self, sheet: Any, row: int, column: int, rows: pl.DataFrame,
        columns: Mapping[str, Column], *, name: str = "", widths: bool = True,
    ) -> Place:  # fmt: skip
        """A table whose heading is in this row.

        A column without any value is left out. With a `name` the table can be filtered and
        sorted, and formulas can name it.
        """
        shown = {n: c for n, c in columns.items()
                 if n in rows.columns and rows[n].null_count() < rows.height}  # fmt: skip
        labels = _unlike(one.label for one in shown.values())
        first, last = row + 1, row + rows.height
        heads, lines = [], 1
        for at, ((key, one), label) in enumerate(zip(shown.items(), labels, strict=True), column):
            head = self.style(bold=True, text_wrap=True, valign="vcenter", bg_color="#eef2f6",
                              bottom=1, bottom_color=COLORS["medium"], **_side(one))  # fmt: skip
            sheet.write_string(row, at, label, head)
            heads.append({"header": label, "header_format": head})
            self._values(sheet, first, at, rows[key], one)
            if one.kind == TIER:
                self._tiers(sheet, first, last, at)
            if widths:
                width = self._width(rows[key], one, label, bool(name))
                sheet.set_column(at, at, width)
                lines = max(lines, lines_of(label, width - 1))
        if widths:
            sheet.set_row(row, LINE * lines + 3)
            self._heights(sheet, first, [rows[n] for n in shown if shown[n].kind == PROSE])
        if name and heads:
            sheet.add_table(row, column, last, column + len(heads) - 1,
                            {"name": name, "columns": heads, "style": None})  # fmt: skip
        places = {key: at for at, key in enumerate(shown, column)}
        return Place(sheet.get_name(), first, last, places)

    def bars(self, sheet: Any, place: Place, name: str) -> None:
        """Bars behind the numbers of a column, where the table has it."""
        if name in place.columns:
            at = place.columns[name]
            sheet.conditional_format(place.first, at, place.last, at, {
                "type": "data_bar", "bar_solid": True, "bar_color": BAR,
                "bar_negative_color": BAR_BELOW, "data_bar_2010": True,
            })  # fmt: skip

    def chart(self, kind: Mapping[str, str], title: str, size: tuple[int, int]) -> Any:
        """An empty chart in our looks."""
        chart = self._book.add_chart(dict(kind))
        font = {"size": 12, "bold": True, "color": COLORS["ink"]}
        chart.set_title({"name": title, "overlay": False, "name_font": font})
        chart.set_legend({"position": "bottom", "font": {"color": COLORS["muted"]}})
        chart.set_size({"width": size[0], "height": size[1]})
        chart.set_chartarea({"border": {"color": COLORS["soft"]}})
        return chart

    def pattern(self, kind: str, values: pl.Series | None = None) -> str:
        """How Excel writes the values of a kind; all of a column with as many decimals."""
        if kind in PATTERNS:
            return PATTERNS[kind]
        if kind == "units":
            return WHOLE if values is None or _whole(values) else TENTHS
        if kind == "fine":
            return WHOLE + _decimals(values)
        if not kind.startswith("money"):
            return "General"
        number = self._paid("#,##0.00" if kind == "money" else WHOLE)
        return f"+{number};-{number};{number}" if kind == "money_signed" else number

    def _paid(self, number: str) -> str:
        """A pattern with the sign of the currency where the locale puts it."""
        before, _, after = self.formats.money(1.0, 0).partition("1")
        quoted = ['"' + part.replace('"', "") + '"' if part else "" for part in (before, after)]
        return quoted[0] + number + quoted[1]

    def _values(self, sheet: Any, row: int, at: int, values: pl.Series, column: Column) -> None:
        """The values of a column, as what they are; nothing where there is none."""
        if column.is_text:
            style = self.style(text_wrap=column.kind == PROSE, **_side(column))
            write, given = sheet.write_string, _texts(values)
        else:
            style = self.style(num_format=self.pattern(column.kind, values), **_side(column))
            write = sheet.write_datetime if values.dtype == pl.Date else sheet.write_number
            given = _numbers(values)
        for place, value in enumerate(given, row):
            if value is not None:
                write(place, at, value, style)

    def _heights(self, sheet: Any, first: int, columns: list[pl.Series]) -> None:
        """Rows as high as their sentences need: not every program finds that itself."""
        for values in columns:
            for row, words in enumerate(values, first):
                lines = lines_of(words, DENSE * PROSE_WIDTH) if words else 1
                if lines > 1:
                    sheet.set_row(row, LINE * lines)

    def _tiers(self, sheet: Any, first: int, last: int, at: int) -> None:
        for tier, (behind, ink) in TIER_COLORS.items():
            sheet.conditional_format(first, at, last, at, {
                "type": "cell", "criteria": "==", "value": f'"{tier}"',
                "format": self._book.add_format({"bg_color": behind, "font_color": ink}),
            })  # fmt: skip

    def _width(self, values: pl.Series, column: Column, label: str, arrow: bool) -> float:
        """Letters that a column needs for its values and its heading."""
        longest = max((wide(word) for word in label.split()), default=0)
        heading = longest + (ARROW if arrow else 0)
        if column.kind == PROSE:
            return PROSE_WIDTH
        if column.is_text:
            found = values.drop_nulls().head(LOOKED_AT).cast(pl.String)
            needed = 1 + max((wide(one) for one in found), default=0)
        else:
            ends = [one for one in (values.min(), values.max()) if one is not None]
            needed = max((len(self._shown(one, column.kind)) for one in ends), default=0)
        return float(min(max(needed + 2, heading + 1, NARROWEST), WIDEST))

    def _shown(self, value: Any, kind: str) -> str:
        """About what Excel will show of a number."""
        if isinstance(value, dt.date):
            return "Wed 30 Nov 2026" if kind == "weekday" else "30 Nov 2026"
        if not math.isfinite(value):
            return ""
        like = {"money_short": "money_whole"}.get(kind, kind)
        return self.formats.told(value, like)


def plain(words: str, most: int = CELL) -> str:
    """A text as a cell can hold it: no control characters, not too long.

    >>> plain("a\\x07b\\nc"), len(plain("x" * 40_000))
    ('ab c', 32767)
    """
    return str(_cleaned(pl.Series([words]), most)[0])


def wide(words: str) -> int:
    """Columns that a text takes; letters of Chinese, Japanese and Korean take two."""
    if words.isascii():
        return len(words)
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in words)


def lines_of(words: str, letters: float) -> int:
    """Lines that a text takes where so many letters stand in one; words are not cut.

    >>> lines_of("Weeks known", 8), lines_of("Weeks", 8)
    (2, 1)
    """
    lines, taken = 1, 0
    for word in words.split():
        needed = wide(word)
        if taken and taken + 1 + needed > letters:
            lines, taken = lines + 1, 0
        taken += needed + (1 if taken else 0)
        while taken > letters:
            lines, taken = lines + 1, taken - max(int(letters), 1)
    return lines


def _side(column: Column) -> dict[str, Any]:
    """Texts stand on the left, a little off the number before them; numbers on the right."""
    return {"align": "left", "indent": 1} if column.is_text else {"align": "right"}


def _cleaned(values: pl.Series, most: int = CELL) -> pl.Series:
    cleaned = values.cast(pl.String).str.replace_all(r"\r\n|[\t\r\n]", " ")
    cleaned = cleaned.str.replace_all(UNSEEN, "")
    # A letter takes two units at most.
    if not (cleaned.str.len_chars() * 2 > most).any():
        return cleaned
    return pl.Series(values.name, [None if one is None else _cut(one, most) for one in cleaned],
                     dtype=pl.String)  # fmt: skip


def _cut(words: str, most: int) -> str:
    """A text of at most so many UTF-16 units, as Excel counts; what is cut off is marked."""
    units = words.encode("utf-16-le")
    if len(units) <= 2 * most:
        return words
    return units[: 2 * (most - 1)].decode("utf-16-le", "ignore") + ELLIPSIS


def _texts(values: pl.Series) -> list[str | None]:
    return _cleaned(values).to_list()


def _numbers(values: pl.Series) -> list[Any]:
    """Numbers that Excel has; it knows neither NaN nor infinity."""
    if values.dtype.is_float():
        values = values.set(~values.is_finite().fill_null(True), None)
    return values.to_list()


def _whole(values: pl.Series) -> bool:
    return bool((values == values.round(0)).all()) if values.dtype.is_float() else True


def _decimals(values: pl.Series | None) -> str:
    """The decimals that show about four digits of the middle value of a column."""
    if values is None or _whole(values):
        return ""
    middle = values.abs().filter(values != 0).median()
    size = math.floor(math.log10(middle)) if isinstance(middle, float) and middle > 0 else 0
    digits = min(max(3 - size, 1), 6)
    return "." + "0" * digits


def _unlike(labels: Iterable[str]) -> list[str]:
    """Headings that Excel can tell from each other: it compares them without case."""
    found: list[str] = []
    taken: set[str] = set()
    for label in labels:
        cleaned = plain(label, HEADING) or "?"
        unlike, place = cleaned, 2
        while unlike.lower() in taken:
            unlike, place = f"{cleaned} ({place})", place + 1
        taken.add(unlike.lower())
        found.append(unlike)
    return found


def _printed(words: str) -> str:
    """A text for the top of pages, where & and what follows it would be an order."""
    shown = plain(words).replace("&", "\N{FULLWIDTH AMPERSAND}")
    return shown if len(shown) <= PRINTED else shown[: PRINTED - 1] + ELLIPSIS
