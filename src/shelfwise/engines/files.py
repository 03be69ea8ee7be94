"""Paths to frames: CSV, JSON, NDJSON, Parquet, Arrow, XLSX."""

import csv
import gzip
import io
import re
import sys
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from shelfwise.engines import decode, frames
from shelfwise.engines.failures import unreadable
from shelfwise.errors import (
    InputError,
    MissingExtraError,
    NotFoundError,
    ShelfwiseError,
    UnreadableError,
    UnsupportedError,
    excerpt,
)

SEPARATORS = (",", ";", "\t", "|")
TEXT = {".csv": ",", ".tsv": "\t", ".txt": None}
KINDS = {
    **dict.fromkeys(TEXT, "csv"),
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".xlsx": "xlsx",
}
LARGE = 200 * 2**20
"""Bytes above which files are analyzed inside DuckDB instead of in memory."""


def kind_of(path: Path) -> str:
    """What a file holds, by its ending (`.csv.gz` counts as `.csv`)."""
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    kind = KINDS.get(suffixes[-1] if suffixes else "")
    if kind is None:
        raise UnsupportedError(
            f"{path.name} has no ending that says what it is.",
            f"Known: {', '.join(KINDS)}.",
        )
    return kind


def holds_parquet(source: object) -> bool:
    """Whether it is the path of a Parquet file: an engine reads those again in each pass."""
    return isinstance(source, str | Path) and KINDS.get(Path(source).suffix.lower()) == "parquet"


def read_bytes(path: Path) -> bytes:
    """A file's content; `-` is standard input."""
    if str(path) == "-":
        return sys.stdin.buffer.read()
    if path.is_dir():
        raise UnsupportedError(f"{path} is a folder.", "Give a file.")
    try:
        body = path.read_bytes()
        return gzip.decompress(body) if path.suffix.lower() == ".gz" else body
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no file {path}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableError(f"{path} cannot be read: {error}.") from error


def open_relation(path: Path, kind: str, *, keep: bool = False) -> Any:
    """A DuckDB relation over a CSV or Parquet file; CSV columns all as text.

    Text keeps leading zeros and lets the checks say which cell is no number. The
    separator of CSV is found by the reader; a row that does not fit is an error that
    names its line. With `keep` the rows of a CSV stay in the engine, to be read again.
    """
    import duckdb

    _must_be_file(path)
    if kind == "csv" and encoding(path) != "utf-8":
        return frames.to_duckdb(_read_latin_1(path))
    connection = frames.connected(ordered=not keep)
    try:
        if kind == "parquet":
            return connection.read_parquet(_literal(path))
        separator, names = _header(path)
        # With names and separator given nothing is guessed, and errors name their line.
        relation = connection.read_csv(
            _literal(path),
            columns=dict.fromkeys(names, "VARCHAR"),
            auto_detect=False,
            header=True,
            sep=separator,
            quotechar='"',
            escapechar='"',
        )
        if not keep:
            return relation
        # Text is parsed once: every statistic would read the file again.
        relation.query("rows", "CREATE TEMP TABLE products AS SELECT * FROM rows")
        return connection.table("products")
    except duckdb.Error as error:
        raise unreadable(path, error) from error


def names_many(path: Path) -> bool:
    """Whether it is a folder, or a pattern and no file of that name."""
    return path.is_dir() or (not path.exists() and any(sign in path.name for sign in "*?["))


def is_large(source: str) -> bool:
    """Whether a file, folder or pattern here is better analyzed inside DuckDB than in memory."""
    path = Path(source)
    if "://" in source or not (path.exists() or names_many(path)):
        return False
    paths = expanded(path)
    size = sum(one.stat().st_size for one in paths)
    return size > LARGE and {kind_of(one) for one in paths} <= {"csv", "parquet"}


def open_many(source: str | Path, *, keep: bool = True) -> Any:
    """A frame or relation over a file, all files of a folder, or those a pattern fits.

    The files are of one kind and have the same columns. With `keep` the rows of CSV stay in
    the engine, to be read again, in any order.
    """
    paths = expanded(Path(source))
    kinds = {kind_of(path) for path in paths}
    if len(kinds) > 1:
        raise UnsupportedError(
            f"{source} has files of several kinds: {', '.join(sorted(kinds))}.",
            "Give those of one kind, for example with a pattern such as sales/*.csv.",
        )
    (kind,) = kinds
    if kind not in ("csv", "parquet"):
        frames_ = [read_frame(path, kind) if kind in ("arrow", "xlsx") else _read_json(path, kind)
                   for path in paths]  # fmt: skip
        return pl.concat(frames_, how="diagonal_relaxed")
    if len(paths) == 1:
        return open_relation(paths[0], kind, keep=keep)
    return _open_all(paths, kind, keep=keep)


def read_table(source: str | Path) -> pl.DataFrame:
    """All rows of a file, a folder or a pattern in memory; the columns of CSV as text."""
    opened = open_many(source, keep=False)
    return opened if isinstance(opened, pl.DataFrame) else collect(opened, source)


def expanded(source: Path) -> list[Path]:
    """The files of a folder, those that a pattern fits, or the one named."""
    if source.is_dir():
        known = [p for p in sorted(source.rglob("*")) if p.is_file() and _is_known(p, source)]
        if not known:
            raise NotFoundError(f"The folder {source} has no file of a known kind.")
        return known
    if names_many(source):
        found = sorted(source.parent.glob(source.name))
        if not found:
            raise NotFoundError(f"No file fits {source}.")
        return found
    return [source]


def _is_known(path: Path, folder: Path) -> bool:
    """Whether it is data: not what engines keep beside it, such as `_SUCCESS`, `_temporary`."""
    endings = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    kept_beside = any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    return bool(endings) and endings[-1] in KINDS and not kept_beside


def rows_in(source: str) -> int | None:
    """How many rows Parquet files have, by what stands at their end; None for others."""
    try:
        paths = expanded(Path(source))
        if {kind_of(path) for path in paths} != {"parquet"}:
            return None
        from pyarrow import parquet

        return sum(int(parquet.read_metadata(path).num_rows) for path in paths)
    except (ShelfwiseError, OSError, ValueError):
        # Arrow's errors are ValueErrors. Whoever reads the file itself says what is wrong.
        return None


def _read_json(path: Path, kind: str) -> pl.DataFrame:
    _must_be_file(path)
    rows = decode.rows_of(read_bytes(path), lines=kind == "ndjson")
    return pl.DataFrame(rows, infer_schema_length=None, strict=False)


def _open_all(paths: list[Path], kind: str, *, keep: bool) -> Any:
    import duckdb

    connection = frames.connected(ordered=not keep)
    places = [_literal(path) for path in paths]
    try:
        if kind == "parquet":
            return connection.read_parquet(places)
        heads = {path: _header(path) for path in paths}
        separator, names = heads[paths[0]]
        for path, head in heads.items():
            if head != (separator, names):
                raise UnreadableError(
                    f"{path} has other columns than {paths[0]}.", "Give files of one layout."
                )
        relation = connection.read_csv(
            places,
            columns=dict.fromkeys(names, "VARCHAR"), auto_detect=False, header=True,
            sep=separator, quotechar='"', escapechar='"',
        )  # fmt: skip
        if not keep:
            return relation
        relation.query("rows", "CREATE TEMP TABLE lines AS SELECT * FROM rows")
        return connection.table("lines")
    except duckdb.Error as error:
        raise unreadable(paths[0].parent, error) from error


def guessed(path: Path) -> list[str]:
    """What reading a CSV file supposes of it beyond commas and UTF-8; for a notice."""
    separator = _header(path)[0]
    named = [suffix.lower() for suffix in path.suffixes if TEXT.get(suffix.lower()) == separator]
    letters = [] if encoding(path) == "utf-8" else ["letters of Windows-1252"]
    return ([] if named else separated(separator)) + letters


def separated(separator: str) -> list[str]:
    """The separator in words, where it is not the comma."""
    return {",": [], "\t": ["tabs between cells"]}.get(separator, [f"{separator} between cells"])


def collect(relation: Any, path: Path | str) -> pl.DataFrame:
    """A relation's rows in memory, in the order of the file."""
    import duckdb

    try:
        return relation.pl()  # type: ignore[no-any-return]  # duckdb says Any
    except duckdb.Error as error:
        raise unreadable(path, error) from error


def _must_be_file(path: Path) -> None:
    if not path.exists():
        raise NotFoundError(f"There is no file {path}.")
    if path.is_dir():
        raise UnsupportedError(f"{path} is a folder.", "Give a file.")


def _literal(path: Path) -> str:
    """The path with wildcards taken as they stand."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def _header(path: Path) -> tuple[str, list[str]]:
    """The separator (the candidate that the first line has most of) and the column names."""
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opener(path, "rb") as file:
            first = file.readline(1_000_000)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableError(f"{path} cannot be read: {error}.") from error
    return header_line(first, str(path))


def header_line(line: bytes, path: str) -> tuple[str, list[str]]:
    """The separator and the column names of a CSV's first line."""
    if line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in line:
        raise UnreadableError(f"{path} is not UTF-8 but UTF-16, or no text.", "Save it as UTF-8.")
    first = line.decode("utf-8", "replace")
    first = first.removeprefix("\ufeff").rstrip("\r\n")
    if not first.strip():
        raise UnreadableError(f"{path} has no header line.", "Its first line names the columns.")
    bare = re.sub(r'"[^"]*"', "", first)
    separator = max(SEPARATORS, key=lambda candidate: (bare.count(candidate), candidate == ","))
    names = next(csv.reader([first], delimiter=separator))
    if twice := [name for name, count in Counter(map(str.casefold, names)).items() if count > 1]:
        raise UnreadableError(f"{path} has the column {excerpt(twice[0])} twice.", "Rename one.")
    return separator, names


def _read_latin_1(path: Path) -> pl.DataFrame:
    try:
        return pl.read_csv(path, separator=_header(path)[0], infer_schema=False, encoding="cp1252")
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def parse_csv(body: bytes, named: str = "Standard input") -> tuple[pl.DataFrame, list[str]]:
    """CSV, every column as text; and what was supposed of it: separator and letters.

    Raises InputError, which names the line, for a row with more cells than the header has
    and for a quote that is never closed.
    """
    separator, names = header_line(body.split(b"\n", 1)[0], named)
    supposed = separated(separator)
    try:
        return pl.read_csv(body, separator=separator, infer_schema=False), supposed
    except pl.exceptions.PolarsError as error:
        complaint = error
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        try:
            text = body.decode("cp1252")
        except UnicodeDecodeError as error:
            raise UnreadableError(
                f"{named} is neither UTF-8 nor Windows-1252 at byte {error.start}."
            ) from error
        supposed += ["letters of Windows-1252"]
    if trouble := csv_trouble(text, separator, len(names), named):
        raise trouble from complaint
    try:
        return pl.read_csv(text.encode(), separator=separator, infer_schema=False), supposed
    except pl.exceptions.PolarsError as error:
        raise unreadable(named, error) from error


def csv_trouble(text: str, separator: str, cells: int, named: str) -> InputError | None:
    """What is wrong with the first row that has too many cells, or a quote left open."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for row in rows:
            if len(row) > cells:
                return InputError(
                    f"{named} has {len(row)} cells in line {line}, and {cells} in its header.",
                    f"Put quotes around a cell that holds {separator!r}.",
                )
            line = rows.line_num + 1
    except csv.Error as error:
        return InputError(f"{named} cannot be read from line {line} on: {error}.", "Mend a quote.")
    return None


def encoding(path: Path) -> str:
    """UTF-8, or latin-1 where the file's beginning is not UTF-8."""
    if path.suffix.lower() == ".gz":
        return "utf-8"
    with path.open("rb") as file:
        head = file.read(1_000_000)
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character cut in two at the end of the sample is no sign of another encoding.
        return "utf-8" if error.start > len(head) - 4 and len(head) == 1_000_000 else "latin-1"
    return "utf-8"


def read_frame(path: Path, kind: str) -> pl.DataFrame:
    """An Arrow or Excel file as a Polars frame; Excel's cells as they are typed there."""
    _must_be_file(path)
    try:
        if kind == "arrow":
            return pl.read_ipc(path)
        return pl.read_excel(path)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "Reading Excel files needs fastexcel.", "pip install 'shelfwise[excel]'"
        ) from error
    except (pl.exceptions.PolarsError, OSError, ValueError, RuntimeError) as error:
        raise unreadable(path, error) from error
    except Exception as error:
        # fastexcel raises classes of its own that only it can name.
        if "fastexcel" in type(error).__module__:
            raise unreadable(path, error) from error
        raise
