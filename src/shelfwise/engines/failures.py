"""What DuckDB and Spark complain of, as errors of ours: one line, and what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from shelfwise.errors import EngineError, OutputError, UnreadableError

Stamp = dict[Path, tuple[int, int]]


def stamp(source: Any) -> Stamp:
    """Size and time of change of each file that a path, a folder or a pattern names here."""
    if not isinstance(source, str | Path):
        return {}
    path = Path(source)
    if path.is_dir():
        paths = list(path.rglob("*"))
    elif any(sign in path.name for sign in "*?["):
        paths = list(path.parent.glob(path.name))
    else:
        paths = [path]
    found = {}
    for file in paths:
        with suppress(OSError):  # What cannot be looked at is complained of by its reader.
            status = file.stat()
            if file.is_file():
                found[file] = (status.st_size, status.st_mtime_ns)
    return found


def refuse_changed(source: Any, before: Stamp) -> None:
    """UnreadableError where a file is another one than it was: passes would not agree."""
    if before and (changed := stamp(source).items() ^ before.items()):
        names = sorted({path.name for path, _ in changed})
        raise UnreadableError(
            f"{source} changed while it was read: {', '.join(names[:3])}.",
            "Run again when nothing writes there.",
        )


@contextmanager
def unchanged(source: Any) -> Iterator[None]:
    """Refuses files that another program changes while they are read."""
    before = stamp(source)
    yield
    refuse_changed(source, before)


@contextmanager
def failures(source: Any = None) -> Iterator[None]:
    """Turns what DuckDB or Spark raises while it works into errors of ours."""
    try:
        yield
    except Exception as error:
        # Neither is imported unless it is used, so their errors are known by their home.
        home = type(error).__module__.partition(".")[0]
        if home not in ("duckdb", "_duckdb", "pyspark", "py4j"):
            raise
        named = masked(str(source)) if isinstance(source, str | Path) else "The data"
        text = f"{type(error).__name__} {error}"
        if any(sign in text for sign in ("OutOfMemory", "out of memory", "heap space")):
            raise EngineError(
                f"The engine ran out of memory: {first_line(error)}",
                "Give DuckDB a folder to spill to (SHELFWISE_DUCKDB_FOLDER) and more memory "
                "(SHELFWISE_DUCKDB_MEMORY), or Spark a larger driver and executors.",
            ) from error
        if home in ("duckdb", "_duckdb") or any(sign in text for sign in _SPARK_CANNOT_READ):
            raise unreadable(named, error) from error
        raise EngineError(f"Spark could not finish: {first_line(error)}") from error


@contextmanager
def writing(place: Path | str, hint: str = "") -> Iterator[None]:
    """Turns what the system, Polars, DuckDB or a driver raises over a place into an OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{place} cannot be written: {error}.", hint) from error
    except Exception as error:
        # Neither is imported here, so their errors are known by their home.
        if type(error).__module__.partition(".")[0] not in _WRITERS:
            raise
        raise OutputError(f"{place} cannot be written: {first_line(error)}", hint) from error


_WRITERS = ("polars", "duckdb", "_duckdb", "pyarrow", "adbc_driver_manager")


_SPARK_CANNOT_READ = (
    "FAILED_READ_FILE", "CANNOT_READ", "MALFORMED", "PATH_NOT_FOUND", "FileNotFound",
    "is not a Parquet file", "CONVERT_INVALID", "UNABLE_TO_INFER_SCHEMA",
)  # fmt: skip


def masked(text: str) -> str:
    """A message or URL without the user, password and keys that a URL in it carries.

    >>> masked("postgresql://me:secret@host/db/t?password=x cannot be read")
    'postgresql://***@host/db/t?password=*** cannot be read'
    >>> masked("az://shop@host/a.csv?se=2100-01-01&sig=abc%3D&sv=2021")
    'az://***@host/a.csv?se=2100-01-01&sig=***&sv=2021'
    """
    text = re.sub(r"://\S*@", "://***@", text)
    # `sig` and `signature` are what addresses of Azure and S3 are signed with.
    hidden = r"(?i)(\w*(?:password|secret|token|key|signature|\bsig)\w*=)[^&\s]*"
    return re.sub(hidden, r"\1***", text)


def first_line(error: Exception) -> str:
    """What an engine complains of, without the page of advice or of Java around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # Spark's own complaints begin with their class in brackets, somewhere in the page.
    told = next((line for line in lines if re.search(r"\[[A-Z][A-Z_.]+\] ", line)), None)
    line = told or (lines[0] if lines else type(error).__name__)
    return masked(re.sub(r"^.*?(?=\[[A-Z][A-Z_.]+\] )", "", line)[:300])


def unreadable(path: Path | str, error: Exception) -> UnreadableError:
    """The engine's complaint about a file, its first line only."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # DuckDB says on which line of a CSV, what it found there, then a page of advice.
    marks = ("Expected Number", "Value with", "Invalid unicode")
    told = [line for line in lines if line.startswith(marks)]
    first = re.sub(r"^(?:[A-Za-z ]*Error(?: on|:) ?)+", "", first_line(error))
    reason = masked(". ".join([first, *told])[:300])
    return UnreadableError(f"{masked(str(path))} cannot be read: {reason}")
