"""How a file would be read, before anything is computed from it: for whoever uploads one."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from shelfwise import answer
from shelfwise.cells import Rejection
from shelfwise.columns import COLUMNS, LINES, resolve
from shelfwise.engines import decode, files, untrusted
from shelfwise.errors import (
    InputError,
    RejectedRowsError,
    ShelfwiseError,
    TooLargeError,
    UnreadableError,
    UnsupportedError,
)
from shelfwise.notices import Favor, favored
from shelfwise.pipeline.dates import Order
from shelfwise.profile import PROFILES
from shelfwise.quality import Quality
from shelfwise.run import analyze
from shelfwise.sales import from_sales
from shelfwise.source import open_source

SAMPLE, SHOWN = 200, 20
TRIED = 20_000
"""Rows that are tried out before an analysis is asked for."""
BEGINNING = 2**20
"""Bytes of JSON that are parsed for a preview, however large the file is."""
WHOLE_SHEETS = 256 * 2**20
"""Bytes that the parts of an Excel file may have together."""


def preview(path: Path, kind: str, most_bytes: int, *, lines: bool = False) -> dict[str, Any]:
    """The first rows, which column is taken for what, what is missing, what a repair mends.

    With `lines` the rows are order lines, else products.

    Raises InputError, UnreadableError, UnsupportedError or TooLargeError for a file that is
    not what it says, or could do harm.
    """
    sample, supposed = _sample(path, kind, most_bytes)
    if sample.height == 0:
        raise InputError("The file has no rows.", "Give at least one.")
    seen = _taken(sample.columns, None, lines=lines)
    doubt = [{"pointer": "", "detail": seen.doubt}] if seen.doubt else []
    problems, repaired = ([], []) if doubt else _counted(sample) if lines else _judged(sample)
    return {
        "columns": [{"name": name, "taken_as": ours} for name, ours in seen.columns.items()],
        "missing": list(seen.missing),
        "rows": _texts(sample),
        "problems": doubt + problems,
        "repaired": repaired,
        "read_as": supposed,
        "sampled": sample.height,
    }


@dataclass(frozen=True, slots=True)
class Taken:
    """Which column of a file is taken for which of ours, and what is missing or in doubt."""

    columns: Mapping[str, str | None]
    missing: tuple[str, ...]
    doubt: str = ""


def _taken(names: list[str], mapping: Mapping[str, str] | None, *, lines: bool) -> Taken:
    contract = LINES if lines else COLUMNS
    known = {column.name for column in contract}
    try:
        renaming, doubt = resolve(names, mapping, contract)[0], ""
    except InputError as error:
        renaming, doubt = {}, str(error)
    # A column whose name another one has been given steps aside.
    free = known - set(renaming.values())
    taken = {n: renaming.get(n, n if n in free else None) for n in names}
    found = {n: ours if ours in known else None for n, ours in taken.items()}
    there = set(found.values())
    missing = [c.name for c in contract if c.required and c.name not in there]
    if lines and not {"unit_price", "line_total"} & there:
        missing.append("unit_price")
    return Taken(found, tuple(missing), doubt)


def _texts(rows: pl.DataFrame) -> list[dict[str, str | None]]:
    return [{n: answer.text(v) for n, v in row.items()} for row in rows.head(SHOWN).to_dicts()]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an analysis would make of a file: of its first `tried` rows, or of all (`whole`).

    `refused` rows break the contract; `repaired` of them a repair would mend, which `mended`
    says in words. `quality` is that of order lines; `favor` the profile that the rows favor.
    `trouble` is why nothing could be made of them at all.
    """

    taken: Taken
    rows: list[dict[str, str | None]]
    read_as: list[str]
    tried: int
    whole: bool
    refused: int = 0
    problems: tuple[tuple[str, str], ...] = ()
    repaired: int = 0
    mended: tuple[str, ...] = ()
    trouble: str = ""
    quality: Quality | None = None
    favor: Favor | None = None


def outlook(
    path: Path,
    kind: str,
    most_bytes: int,
    *,
    lines: bool = False,
    columns: Mapping[str, str] | None = None,
    dates: Order | None = None,
) -> Outlook:
    """Try an analysis on the first rows of a file; raises as `preview` does.

    With `lines` the rows are order lines, else products; `columns` and `dates` are those of
    `from_sales` and `analyze`.
    """
    rows, supposed = _sample(path, kind, most_bytes, TRIED + 1)
    if rows.height == 0:
        raise InputError("The file has no rows.", "Give at least one.")
    tried = rows.head(TRIED)
    whole = rows.height <= TRIED and (kind not in ("json", "ndjson")
                                      or path.stat().st_size <= BEGINNING)  # fmt: skip
    taken = _taken(rows.columns, columns, lines=lines)
    found: dict[str, Any] = {"trouble": taken.doubt}
    if not taken.doubt and not set(taken.missing) - {"stock"}:  # Stock may be absent.
        found = _try_lines(tried, columns, dates) if lines else _try_products(tried, columns)
    return Outlook(taken, _texts(tried), supposed, tried.height, whole, **found)


def _try_products(rows: pl.DataFrame, columns: Mapping[str, str] | None) -> dict[str, Any]:
    profile, found = PROFILES["standard"], dict[str, Any]()
    try:
        judged = open_source(rows, profile, mapping=columns, on_error="skip")
        found["refused"] = judged.rejected_rows
        found["problems"] = tuple((p.pointer, p.reason) for p in judged.rejected[:SHOWN])
    except RejectedRowsError as error:
        found["refused"] = rows.height
        found["problems"] = tuple((p.pointer, p.detail) for p in error.problems[:SHOWN])
    except ShelfwiseError as error:
        return {"trouble": str(error)}
    try:
        analysis = analyze(rows, columns=columns, on_error="repair")
    except ShelfwiseError as error:
        return found if found["refused"] else {"trouble": str(error)}
    found["favor"] = favored(analysis.table, analysis.model)
    if found["refused"]:
        found["repaired"] = found["refused"] - analysis.source.rejected_rows
        found["mended"] = tuple(n.message for n in analysis.source.notices if n.code == "repaired")
    return found


def _try_lines(
    lines: pl.DataFrame, columns: Mapping[str, str] | None, dates: Order | None
) -> dict[str, Any]:
    try:
        sold = from_sales(lines, columns=columns, dates=dates, max_rejected=1.0)
    except RejectedRowsError as error:
        problems = tuple((p.pointer, p.detail) for p in error.problems[:SHOWN])
        return {"refused": error.count, "problems": problems}
    except ShelfwiseError as error:
        return {"trouble": str(error)}
    told = [one for f in sold.quality.findings if f.name == "unreadable" for one in f.examples]
    places = [Rejection(one["line"], one["column"], one["value"], one["reason"]) for one in told]
    found: dict[str, Any] = {
        "quality": sold.quality,
        "refused": sold.quality.unreadable,
        "problems": tuple((place.pointer, place.reason) for place in places),
    }
    try:
        analysis = analyze(sold)
    except ShelfwiseError as error:
        return found | {"trouble": str(error)}
    return found | {"favor": favored(analysis.table, analysis.model)}


def _judged(sample: pl.DataFrame) -> tuple[list[dict[str, str]], list[str]]:
    """What is wrong in the first rows, and what `on_error=repair` would put right."""
    profile = PROFILES["standard"]
    try:
        problems = answer.rejected_rows(open_source(sample, profile, on_error="skip").rejected)
    except RejectedRowsError as error:
        problems = [{"pointer": p.pointer, "detail": p.detail} for p in error.problems]
    except ShelfwiseError as error:
        return [{"pointer": "", "detail": str(error)}], []
    try:
        notices = open_source(sample, profile, on_error="repair").notices if problems else []
    except ShelfwiseError:
        notices = []
    return problems[:SHOWN], [n.message for n in notices if n.code == "repaired"]


def _counted(sample: pl.DataFrame) -> tuple[list[dict[str, str]], list[str]]:
    """What is wrong in the first order lines; nothing of them is ever repaired."""
    try:
        sold = from_sales(sample, max_rejected=1.0)
    except RejectedRowsError as error:
        return [{"pointer": p.pointer, "detail": p.detail} for p in error.problems][:SHOWN], []
    except ShelfwiseError as error:
        return [{"pointer": "", "detail": str(error)}], []
    bad = [f for f in sold.quality.findings if f.name == "unreadable"]
    told = [one for finding in bad for one in finding.examples]
    places = [Rejection(one["line"], one["column"], one["value"], one["reason"]) for one in told]
    return [{"pointer": place.pointer, "detail": place.reason} for place in places], []


def _sample(
    path: Path, kind: str, most_bytes: int, most_rows: int = SAMPLE
) -> tuple[pl.DataFrame, list[str]]:
    if kind == "csv":
        with path.open("rb") as file:
            separator, names = files.header_line(file.readline(1_000_000), "The file")
        letters = "utf8-lossy" if files.encoding(path) == "utf-8" else "cp1252"
        options: dict[str, Any] = {"separator": separator, "infer_schema": False}
        try:
            rows = pl.read_csv(path, n_rows=most_rows, encoding=letters, **options)
        except pl.exceptions.PolarsError as error:
            with path.open("rb") as file:
                begun = file.read(BEGINNING).decode(files.encoding(path), "replace")
            if trouble := files.csv_trouble(begun, separator, len(names), "The CSV"):
                raise trouble from error
            line = (str(error).strip().splitlines() or ["damaged"])[0]
            raise InputError(f"The CSV cannot be read: {line[:200]}.") from error
        return rows, files.guessed(path)
    if kind in ("json", "ndjson"):
        return _frame(_json_rows(path, kind, most_rows)), []
    if kind == "parquet":
        untrusted.look_at_parquet(path, None, most_bytes)
        rows = untrusted.guarded(lambda: pl.scan_parquet(path).head(most_rows).collect(), "Parquet")
        return rows, []
    if kind == "arrow":
        rows = untrusted.guarded(lambda: pl.scan_ipc(path).head(most_rows).collect(), "Arrow")
        return rows, []
    _look_at_xlsx(path, most_bytes)
    try:
        return files.read_frame(path, "xlsx").head(most_rows), []
    except UnreadableError as error:
        raise InputError("The Excel file has no sheet that can be read.") from error


def _json_rows(path: Path, kind: str, most_rows: int) -> list[Any]:
    """The rows that end in the file's beginning, the sample at most."""
    with path.open("rb") as file:
        begun = file.read(BEGINNING)
        whole = not file.read(1)
    if kind == "json":
        return decode.first_rows(begun, most_rows, whole=whole)
    lines = begun.split(b"\n", most_rows)
    kept = lines if whole and len(lines) <= most_rows else lines[:-1]
    if not kept:
        raise UnreadableError(f"The first line has more than {BEGINNING:,} bytes.")
    return decode.rows_of(b"\n".join(kept), lines=True)


def _frame(rows: list[Any]) -> pl.DataFrame:
    if not all(isinstance(row, dict) for row in rows):
        raise InputError("A product must be an object.", "Send an array of objects.")
    return untrusted.guarded(
        lambda: pl.DataFrame(rows, infer_schema_length=None, strict=False), "JSON"
    )


def _look_at_xlsx(path: Path, most_bytes: int) -> None:
    """Refuse macros, and what would unpack to more than an upload may have."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            if any("vbaproject" in part.filename.lower() for part in parts):
                raise UnsupportedError(
                    "The Excel file has macros.", "Save it as .xlsx, without them."
                )
            room = min(most_bytes, WHOLE_SHEETS)
            if len(parts) > 10_000 or sum(part.file_size for part in parts) > room:
                raise _bloated()
            for part in parts:  # What the archive says of its sizes may be a lie.
                with archive.open(part) as content:
                    while piece := content.read(2**20):
                        room -= len(piece)
                        if room < 0:
                            raise _bloated()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError,
            zlib.error) as error:  # fmt: skip
        raise InputError("The Excel file is damaged.") from error


def _bloated() -> TooLargeError:
    return TooLargeError("The Excel file would unpack to too much.", "Save it as CSV.")
