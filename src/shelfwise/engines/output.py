"""Results to where they go: a file, standard output, a store, or tables of a database."""

import gzip
import io
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import polars as pl

from shelfwise.engines import files, fitting, stores, urls
from shelfwise.engines.failures import masked, writing
from shelfwise.errors import NotFoundError, OutputError

KINDS = ("csv", "json", "ndjson", "parquet", "arrow")
HELD = 2**26
"""Bytes on their way to standard output that are held in memory; more of them in a file."""
RISKY = r"^\s*[=+\-@\t]"
"""A cell that a spreadsheet would take for a formula."""


def write(frame: Any, target: str, kind: str) -> None:
    """A Polars frame or DuckDB relation into a file here or in a store, or standard output, `-`."""
    between = files.TEXT.get(urls.path_of(target.removesuffix(".gz")).suffix.lower()) or ","
    _put(target, lambda place: _write(frame, place, kind, between))


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
    """A file is written beside its final name and moved there when it is whole.

    What ends in `.gz` is packed, as it is unpacked when it is read.
    """
    if urls.path_of(target).suffix.lower() == ".gz":
        write_to = _packed(write_to)
    if target == "-":
        _send(write_to, sys.stdout.buffer, "Standard output")
        return
    if urls.is_url(target):
        urls.refuse_unknown(target)
        stores.put_file(target, write_to)
        return
    path = Path(target)
    if _is_device(path):
        # It is written to; it must not be replaced by a file.
        with writing(path), path.open("wb") as device:
            _send(write_to, device, path)
        return
    path = _checked(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with writing(path):
            write_to(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _packed(write_to: Callable[[IO[bytes]], None]) -> Callable[[Path | IO[bytes]], None]:
    def write_packed(place: Path | IO[bytes]) -> None:
        with gzip.open(place, "wb", 6) as file:
            write_to(file)  # type: ignore[arg-type]  # It takes bytes as any file does.

    return write_packed


def _send(write_to: Callable[[IO[bytes]], None], into: IO[bytes], named: Path | str) -> None:
    """What is whole goes on, from memory or, where it is large, from a file of nobody's."""
    with SpooledTemporaryFile(HELD) as made:
        with writing(named):
            write_to(made)
        made.seek(0)
        shutil.copyfileobj(made, into)
    into.flush()


def check(target: str, inputs: Collection[str] = ()) -> None:
    """What `write` and `put` would refuse of a file here or in a store, before it is made.

    Also refuses to write over one of the inputs, or among files that are read together.
    """
    if target == "-":
        return
    for read in inputs:
        if _is_among(target, read):
            raise OutputError(f"{masked(target)} is read itself.", "Name a file elsewhere.")
    if urls.is_url(target):
        urls.refuse_unknown(target)
        stores.check_target(target)
    elif not _is_device(Path(target)):
        _checked(Path(target))


def _is_among(target: str, read: str) -> bool:
    """Whether a file is the one that is read, or would be the next time."""
    if target == read or urls.is_url(target) or urls.is_url(read):
        return target == read
    path, source = Path(target).resolve(), Path(read).resolve()
    if path == source or source.is_dir():
        return path.is_relative_to(source)
    return files.names_many(source) and path.parent == source.parent and path.match(source.name)


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


def _write(frame: Any, place: Path | IO[bytes], kind: str, between: str) -> None:
    if isinstance(frame, pl.DataFrame):
        _write_frame(frame, place, kind, between)
    elif isinstance(place, Path) and kind == "parquet":
        frame.write_parquet(str(place), compression="zstd")
    elif isinstance(place, Path) and kind == "csv":
        frame.write_csv(str(place), sep=between, header=True)
    elif isinstance(place, Path):
        with place.open("wb") as file:
            _write_batches(frame, file, kind, between)
    else:
        _write_batches(frame, place, kind, between)


def _write_frame(frame: pl.DataFrame, place: Path | IO[bytes], kind: str, between: str) -> None:
    if kind == "csv":
        frame.write_csv(place, separator=between)
    elif kind == "ndjson":
        frame.write_ndjson(place)
    elif kind == "parquet":
        frame.write_parquet(place, compression="zstd")
    else:
        frame.write_ipc(place, compression="zstd")


def _write_batches(relation: Any, file: IO[bytes], kind: str, between: str) -> None:
    """The rows of a relation, so many at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    reader = relation.to_arrow_reader(fitting.BATCH)
    if kind == "parquet":
        with parquet.ParquetWriter(file, reader.schema, compression="zstd") as columns:
            for batch in reader:
                columns.write_batch(batch)
    elif kind == "arrow":
        packed = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(file, reader.schema, options=packed) as batches:
            for batch in reader:
                batches.write_batch(batch)
    else:
        rows = pl.DataFrame(reader.schema.empty_table())
        if kind == "csv":
            rows.write_csv(file, separator=between)
        for batch in reader:
            rows = pl.DataFrame(batch)
            if kind == "ndjson":
                rows.write_ndjson(file)
            else:
                rows.write_csv(file, separator=between, include_header=False)


class _Taken(io.RawIOBase):
    """A file of which what was written is taken away again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        part = bytes(content)
        self._parts.append(part)
        self._place += len(part)
        return len(part)

    def tell(self) -> int:
        return self._place

    def take(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def columnar(parts: Iterable[pl.DataFrame], empty: pl.DataFrame, kind: str) -> Iterator[bytes]:
    """Parts of a table as one Parquet file or Arrow stream, in pieces; `empty` has its columns.

    Texts are of the kind that every reader knows, not of Arrow's newer views.
    """
    import pyarrow as pa
    from pyarrow import parquet

    known = pl.CompatLevel.oldest()
    schema = empty.to_arrow(compat_level=known).schema
    file = _Taken()
    writer = (
        parquet.ParquetWriter(file, schema, compression="zstd")
        if kind == "parquet"
        else pa.ipc.new_stream(file, schema)
    )
    with writer:
        for part in parts:
            if part.height:
                writer.write_table(part.to_arrow(compat_level=known))
            yield file.take()
    yield file.take()
