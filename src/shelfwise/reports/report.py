"""A report: a cover and sections of sentences, charts and tables, before any format draws it."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from shelfwise.charts import Chart
from shelfwise.formats import Formats
from shelfwise.insights.kpis import Fact

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
NAME_WIDTH, TEXT_WIDTH = 44, 26
"""Columns of a name, and of another text; a letter of Chinese, Japanese or Korean takes two."""
TIER, NAMED, PROSE = "tier", "name", "prose"
"""Kinds of columns beside those of `Formats`: a tier, colored; a name, cut off where it is too
long; sentences."""
TEXTS = (TIER, NAMED, PROSE, "text")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a grid: its heading, how its values are written, and its share of the room.

    One with `wide` 0 takes what its longest value needs.
    """

    label: str
    kind: str = "text"
    wide: int = 0

    @property
    def is_text(self) -> bool:
        """Whether it stands on the left; numbers stand on the right."""
        return self.kind in TEXTS


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: its columns, its rows as plain values, and what it leaves out."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Notes:
    """Sentences of what to know: each with what it is about."""

    lines: tuple[tuple[str, str], ...]


Block = Chart | Grid | Notes | tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its name, its finding in one sentence, sentences, and what shows them."""

    key: str
    name: str
    finding: str
    lead: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of "In short", and the section that has more of it."""

    text: str
    section: str


@dataclass(frozen=True, slots=True)
class Report:
    """A report, from which every format is drawn.

    Attributes:
        kind: What kind of document it is.
        title: What it is about.
        period: The products, the days and the profile, in one line.
        facts: The figures of the cover.
        in_short: Three computed sentences, each with the section that has more.
        sections: The sections, in their order.
        formats: How numbers are written.
        about: Name and value of what identifies the data: the run, the model, the version.
        material: What it was made of, for formats that show all products.
        one_page: Whether it is a single page, without a cover.
    """

    kind: str
    title: str
    period: str
    facts: tuple[Fact, ...]
    in_short: tuple[Sentence, ...]
    sections: tuple[Section, ...]
    formats: Formats
    about: tuple[tuple[str, str], ...] = ()
    material: Any = None
    one_page: bool = False


def grid(title: str, rows: pl.DataFrame, columns: Mapping[str, Column], note: str = "") -> Grid:
    """The named columns of a frame as a grid; one without any value is left out."""
    shown = [name for name in columns if rows[name].null_count() < rows.height]
    return Grid(title, tuple(columns[n] for n in shown), tuple(rows.select(shown).rows()), note)


def written(table: Grid, formats: Formats) -> list[list[str]]:
    """The cells of a grid as people read them."""
    return [
        [
            cell(value, column.kind, formats)
            for value, column in zip(row, table.columns, strict=True)
        ]
        for row in table.rows
    ]


def cell(value: Any, kind: str, formats: Formats) -> str:
    """A value as its column writes it."""
    if kind not in TEXTS or value is None:
        return formats.told(value, kind)
    if kind == PROSE:
        return str(value)
    return clipped(str(value), NAME_WIDTH if kind == NAMED else TEXT_WIDTH)


def clipped(text: str, width: int = NAME_WIDTH) -> str:
    """A text of at most so many columns; what is cut off is marked.

    >>> clipped("A very long name of a product", 12)
    'A very long…'
    """
    taken = fits = 0
    for place, letter in enumerate(text):
        taken += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if taken > width:
            return text[:fits].rstrip() + ELLIPSIS
        if taken < width:
            fits = place + 1
    return text
