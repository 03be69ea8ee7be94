"""Results to where they go: a file, standard output, a store, or tables of a database."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import polars as pl

from shelfwise.engines import stores, urls
from shelfwise.engines.failures import writing
from shelfwise.errors import NotFoundError, OutputError

KINDS = ("csv", "json", "ndjson", "parquet", "arrow")
RISKY = r"^\s*[=+\-@\t]"
"""A cell that a spreadsheet would take for a formula."""


def write(frame: Any, target: str, kind: str) -> None:
    """A Polars frame or DuckDB relation into a file here or in a store, or standard output, `-`."""
    _put(target, lambda place: _write(frame, place, kind))


def tamed(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The frame with an apostrophe before texts that a spreadsheet would take for formulas."""
    schema = frame.collect_schema()
    texts = [name for name, dtype in schema.items() if dtype == pl.String]
    frame = frame.with_columns(_tame(pl.col(name)).alias(name) for name in texts)
    tame = pl.select(_tame(pl.lit(pl.Series(schema.names())))).to_series().to_list()
    renamed: dict[str, str] = {}
    for name, shown in zip(schema.names(), tame, strict=True):
        while shown in renamed.values():
            shown += "'"  # Two names that differ in the apostrophe alone.
        renamed[name] = shown
    return frame.rename(renamed)


def _tame(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(RISKY)).then(pl.lit("'") + text).otherwise(text)


def put(content: bytes, target: str) -> None:
    """Bytes into a file here or in a store, or to standard output for `-`."""
    _put(target, lambda place: _write_bytes(content, place))


def _put(target: str, write_to: Callable[[Path | IO[bytes]], None]) -> None:
    """A file is written beside its final name and moved there when it is whole."""
    if target == "-":
        buffer = io.BytesIO()
        write_to(buffer)
        sys.stdout.buffer.write(buffer.getbuffer())
        sys.stdout.buffer.flush()
        return
    if urls.is_url(target):
        urls.refuse_unknown(target)
        stores.put_file(target, write_to)
        return
    path = Path(target)
    if _is_device(path):
        # It is written to; it must not be replaced by a file.
        buffer = io.BytesIO()
        write_to(buffer)
        try:
            with path.open("wb") as device:
                device.write(buffer.getbuffer())
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error}.") from error
        return
    path = _checked(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with writing(path):
            write_to(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check(target: str) -> None:
    """What `write` and `put` would refuse of a file here or in a store, before it is made."""
    if target == "-":
        return
    if urls.is_url(target):
        urls.refuse_unknown(target)
        stores.check_target(target)
    elif not _is_device(Path(target)):
        _checked(Path(target))


def _is_device(path: Path) -> bool:
    """Whether it is a device or a pipe."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _checked(path: Path) -> Path:
    """The file that is written, through a link the one that it leads to; where there may be one."""
    path = path.resolve()
    if not path.parent.is_dir():
        raise NotFoundError(f"There is no folder {path.parent}.")
    if path.is_dir():
        raise OutputError(f"{path} is a folder.", "Name a file in it.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path} cannot be written: nothing may be made in {path.parent}.")
    return path


def _write_bytes(content: bytes, place: Path | IO[bytes]) -> None:
    if isinstance(place, Path):
        place.write_bytes(content)
    else:
        place.write(content)


def _write(frame: Any, target: Path | IO[bytes], kind: str) -> None:
    if not isinstance(frame, pl.DataFrame):
        if isinstance(target, Path) and kind == "parquet":
            frame.write_parquet(str(target), compression="zstd")
            return
        if isinstance(target, Path) and kind == "csv":
            frame.write_csv(str(target), header=True)
            return
        frame = frame.pl()
    if kind == "csv":
        frame.write_csv(target)
    elif kind == "ndjson":
        frame.write_ndjson(target)
    elif kind == "parquet":
        frame.write_parquet(target, compression="zstd")
    else:
        frame.write_ipc(target, compression="zstd")
