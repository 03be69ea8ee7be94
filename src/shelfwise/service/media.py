"""Tables over HTTP: which media types come in, and how products go out."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import polars as pl

from shelfwise.engines.output import columnar, tamed
from shelfwise.errors import MissingExtraError, TooLargeError

JSON = "application/json"
TYPES = {
    "json": JSON,
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
INCOMING = {TYPES[kind]: kind for kind in ("json", "csv", "ndjson", "parquet", "arrow")} | {
    "application/vnd.apache.arrow.file": "arrow",
    "application/jsonl": "ndjson",
}
"""Media type of a body -> what it holds."""
UPLOADS = {TYPES[kind]: kind for kind in ("json", "csv", "ndjson", "parquet", "xlsx")} | {
    "application/vnd.apache.arrow.file": "arrow",
    "application/jsonl": "ndjson",
}
"""Media type of a file to be kept -> what it holds; Arrow as a file, which can be read in parts."""
OUTGOING = {media: kind for kind, media in TYPES.items()}
SHEET_ROWS, CELL_LETTERS = 1_048_575, 32_767
MOST_DIGITS = 10**15
PART_ROWS = 50_000


def content_type(kind: str) -> str:
    """The Content-Type of an answer; text says its charset."""
    return f"{TYPES[kind]}; charset=utf-8" if kind == "csv" else TYPES[kind]


@dataclass(frozen=True, slots=True)
class Stretches:
    """The rows of a file, so many at a time, each stretch worked on alone.

    Polars' own batches hold most of a file in memory: of a million wide products 350 MB.
    `work` must neither order rows nor look at others than those it gets.
    """

    rows: pl.LazyFrame
    work: Callable[[pl.LazyFrame], pl.LazyFrame]
    limit: int | None = None
    size: int = PART_ROWS

    def __iter__(self) -> Iterator[pl.DataFrame]:
        left = self.limit
        for start in range(0, self.rows.select(pl.len()).collect().item(), self.size):
            part = self.work(self.rows.slice(start, self.size)).head(left or self.size).collect()
            yield part
            if left is not None and (left := left - part.height) <= 0:
                return

    def head(self, limit: int) -> "Stretches":
        """The same, up to so many rows."""
        return replace(self, limit=limit)

    def empty(self) -> pl.DataFrame:
        """No row, with every column."""
        return self.work(self.rows.head(0)).collect()


Rows = pl.LazyFrame | pl.DataFrame | Stretches


def write(rows: Rows, kind: str, *, raw: bool = False) -> Iterator[bytes]:
    """The bytes of a table, part by part where the format allows it.

    Text cells of CSV that a spreadsheet would take for formulas get an apostrophe before
    them, unless `raw`. XLSX has texts as texts always. The first part is made at once, so
    that what cannot be written is an error before the answer has begun.
    """
    parts = _write(rows, kind, raw=raw)
    return itertools.chain([next(parts, b"")], parts)


def _write(rows: Rows, kind: str, *, raw: bool) -> Iterator[bytes]:
    if kind == "csv":
        yield from _csv(rows, raw=raw)
    elif kind == "ndjson":
        for part in _parts(rows):
            yield _bytes(part.write_ndjson)
    elif kind in ("parquet", "arrow"):
        yield from columnar(_parts(rows), _empty(rows), kind)
    else:
        yield _xlsx(pl.concat([_empty(rows), *_parts(rows)]))


def _parts(rows: Rows) -> Iterator[pl.DataFrame]:
    if isinstance(rows, Stretches):
        yield from rows
    else:
        yield from rows.lazy().collect_batches(chunk_size=PART_ROWS, maintain_order=True)


def _empty(rows: Rows) -> pl.DataFrame:
    return rows.empty() if isinstance(rows, Stretches) else rows.lazy().head(0).collect()


def _bytes(writer: Any, **options: Any) -> bytes:
    buffer = BytesIO()
    writer(buffer, **options)
    return buffer.getvalue()


def _csv(rows: Rows, *, raw: bool) -> Iterator[bytes]:
    def shown(part: pl.DataFrame) -> pl.DataFrame:
        return part if raw else tamed(part.lazy()).collect()

    yield _bytes(shown(_empty(rows)).write_csv)
    for part in _parts(rows):
        if part.height:
            yield _bytes(shown(part).write_csv, include_header=False)


def _xlsx(rows: pl.DataFrame) -> bytes:
    try:
        from xlsxwriter import Workbook
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "Excel needs xlsxwriter.", "pip install 'shelfwise[serve]'"
        ) from error
    if rows.height > SHEET_ROWS:
        raise TooLargeError(
            f"A sheet holds {SHEET_ROWS:,} rows; these are {rows.height:,}.",
            "Filter them, or take CSV or Parquet.",
        )
    buffer = BytesIO()
    plain = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with Workbook(buffer, plain | {"in_memory": True, "nan_inf_to_errors": True}) as book:
        sheet = book.add_worksheet("Products")
        bold = book.add_format({"bold": True})
        for place, name in enumerate(rows.columns):
            _refuse_longer(rows[name])
            sheet.write_string(0, place, name, bold)
            values = rows[name]
            text = not values.dtype.is_numeric() and values.dtype != pl.Boolean
            for row, value in enumerate(values.cast(pl.String) if text else values, start=1):
                if value is None:
                    continue
                if text:
                    sheet.write_string(row, place, value)
                elif isinstance(value, bool):
                    sheet.write_boolean(row, place, value)
                elif isinstance(value, int) and abs(value) >= MOST_DIGITS:
                    sheet.write_string(row, place, str(value))  # Excel would round it.
                else:
                    sheet.write_number(row, place, value)
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, rows.height, max(0, len(rows.columns) - 1))
        sheet.autofit()
    return buffer.getvalue()


def _refuse_longer(values: pl.Series) -> None:
    """TooLargeError for a text that a cell would cut."""
    longest = values.str.len_chars().max() if values.dtype == pl.String else None
    if isinstance(longest, int) and longest > CELL_LETTERS:
        raise TooLargeError(
            f"A cell holds {CELL_LETTERS:,} letters; a text in {values.name!r} has {longest:,}.",
            "Take CSV or Parquet.",
        )
