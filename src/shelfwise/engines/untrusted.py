"""Tables that strangers send: looked at before they are opened, so that none can bloat.

A file may be small and its content huge. Parquet says at its end how many rows and bytes
it holds; Arrow says whether its parts are compressed, which bounds them by its size.
"""

import mmap
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from shelfwise.engines import decode, files
from shelfwise.errors import InputError, TooLargeError, UnsupportedError

UNPACKED_FACTOR = 30
"""How many bytes a Parquet file may unpack to, for each of its limit's."""


def read_table(kind: str, body: bytes, max_rows: int, max_bytes: int) -> tuple[Any, list[str]]:
    """Rows or a frame, and what was supposed in reading them.

    Raises InputError, UnsupportedError or TooLargeError; nothing of what
    is refused is unpacked.
    """
    if kind == "ndjson":
        rows = decode.rows_of(body, lines=True)
        decode.refuse_beyond(len(rows), max_rows)
        return rows, []
    supposed: list[str] = []
    if kind == "csv":
        if body.count(b"\n") > max_rows + 1 and b'"' not in body:
            decode.refuse_beyond(body.count(b"\n") - 1, max_rows)
        frame, supposed = files.parse_csv(body.removeprefix(decode.BOM), "The CSV")
    elif kind == "parquet":
        look_at_parquet(BytesIO(body), max_rows, max_bytes)
        frame = guarded(lambda: pl.read_parquet(BytesIO(body)), "Parquet")
    else:
        _look_at_arrow(body)
        reader = pl.read_ipc if body.startswith(b"ARROW1") else pl.read_ipc_stream
        frame = guarded(lambda: reader(BytesIO(body)), "Arrow")
    decode.refuse_beyond(frame.height, max_rows)
    _refuse_nested(frame)
    return frame, supposed


def guarded(read: Callable[[], pl.DataFrame], kind: str) -> pl.DataFrame:
    """What a reader gives; its complaints as InputError."""
    try:
        return read()
    except (pl.exceptions.PolarsError, OSError, ValueError, RuntimeError) as error:
        line = (str(error).strip().splitlines() or ["damaged"])[0]
        raise InputError(f"The {kind} data cannot be read: {line[:200].rstrip('.')}.") from error
    except BaseException as error:
        # A panic of the reader is no Exception; it is told, not passed on.
        if type(error).__name__ != "PanicException":
            raise
        raise InputError(f"The {kind} data is damaged.") from error


def _refuse_nested(frame: pl.DataFrame) -> None:
    nested = [n for n, dtype in frame.schema.items() if dtype.is_nested() or dtype == pl.Object]
    if nested:
        raise InputError(
            f"The column {nested[0][:60]!r} holds lists or structures.", "Send plain columns."
        )


def look_at_parquet(file: Path | BytesIO, max_rows: int | None, max_bytes: int) -> None:
    """Refuse, by what stands at its end, a Parquet file that is damaged or holds too much."""
    from pyarrow import ArrowException, parquet

    try:
        found = parquet.read_metadata(file)
        groups = [found.row_group(place) for place in range(min(found.num_row_groups, 10_000))]
        unpacked = sum(group.total_byte_size for group in groups)
        rows = max(found.num_rows, sum(group.num_rows for group in groups))
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        line = (str(error).strip().splitlines() or ["damaged"])[0]
        raise InputError(f"The Parquet data cannot be read: {line[:200]}.") from error
    decode.refuse_beyond(rows, max_rows)
    if found.num_rows < 0 or found.num_row_groups > 10_000 or found.num_columns > 10_000:
        raise InputError("The Parquet body is damaged: its numbers of parts make no sense.")
    if unpacked > UNPACKED_FACTOR * max_bytes:
        raise TooLargeError(
            f"The Parquet body would unpack to {unpacked:,} bytes.", "Send fewer products."
        )


def rows_in(path: Path, kind: str) -> int | None:
    """How many rows a file says that it has; None where only reading it would tell.

    Nothing is unpacked. Of a file that is damaged whoever reads it says so.
    """
    try:
        if kind == "parquet":
            from pyarrow import parquet

            return int(parquet.read_metadata(path).num_rows)
        if kind == "arrow":
            return _rows_of_arrow(path)
    except (InputError, OSError, ValueError, struct.error, IndexError, OverflowError):
        pass  # Arrow's own errors are ValueErrors.
    return None


def _rows_of_arrow(path: Path) -> int:
    with path.open("rb") as file:
        # It is not closed by hand: parts of it are in use until this returns.
        body = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    places = _blocks(body) if body[:6] == b"ARROW1" else _messages(body)
    return sum(_rows_of_batch(_head(body, place)[0]) for place in places)


def _rows_of_batch(head: memoryview) -> int:
    """The rows of a Message that holds a RecordBatch; 0 of others."""
    message = _follow(head, 0)
    kind, header = _field(head, message, 1), _field(head, message, 2)
    if kind is None or header is None or head[kind] != 3:
        return 0
    length = _field(head, _follow(head, header), 0)
    return 0 if length is None else int(struct.unpack_from("<q", head, length)[0])


def _look_at_arrow(body: bytes) -> None:
    """Refuse compressed parts: only unpacking them would tell how large they are."""
    try:
        places = _blocks(body) if body.startswith(b"ARROW1") else _messages(body)
        for place in places:
            if _is_compressed(_head(body, place)[0]):
                raise UnsupportedError(
                    "The Arrow body has compressed parts.",
                    "Write it without compression; Content-Encoding: gzip packs the whole.",
                )
    except (struct.error, IndexError) as error:
        raise InputError("The Arrow body is damaged.") from error


def _head(body: bytes | mmap.mmap, place: int) -> tuple[memoryview, int]:
    """The head of the message at a place, and where its content begins; empty at the end."""
    if place + 4 > len(body):
        return memoryview(b""), len(body)
    (length,) = struct.unpack_from("<i", body, place)
    start = place + 4
    if length == -1:  # Since format version 0.15 a mark stands before the length.
        (length,) = struct.unpack_from("<i", body, start)
        start += 4
    if not 0 <= length <= len(body):
        raise InputError("The Arrow body is damaged.")
    return memoryview(body)[start : start + length], start + length


def _messages(body: bytes | mmap.mmap) -> Iterator[int]:
    """Where the messages of a stream stand."""
    place = 0
    while place < len(body):
        head, content = _head(body, place)
        if not head:
            return
        yield place
        place = content + _body_length(head)


def _blocks(body: bytes | mmap.mmap) -> Iterator[int]:
    """Where the messages of a file stand, by the list at its end."""
    (length,) = struct.unpack_from("<i", body, len(body) - 10)
    footer = memoryview(body)[len(body) - 10 - length : len(body) - 10]
    if length <= 0 or not footer:
        raise InputError("The Arrow body is damaged.")
    table = _follow(footer, 0)
    for number in (2, 3):  # dictionaries, recordBatches
        place = _field(footer, table, number)
        if place is None:
            continue
        vector = _follow(footer, place)
        (count,) = struct.unpack_from("<I", footer, vector)
        for block in range(min(count, len(body))):
            yield int(struct.unpack_from("<q", footer, vector + 4 + 24 * block)[0])


def _field(head: memoryview, table: int, number: int) -> int | None:
    """Where a field of a FlatBuffers table stands; None where it is not set."""
    vtable = table - struct.unpack_from("<i", head, table)[0]
    (size,) = struct.unpack_from("<H", head, vtable)
    if 4 + 2 * number + 2 > size:
        return None
    (offset,) = struct.unpack_from("<H", head, vtable + 4 + 2 * number)
    return table + offset if offset else None


def _follow(head: memoryview, place: int) -> int:
    return int(place + struct.unpack_from("<I", head, place)[0])


def _is_compressed(head: memoryview) -> bool:
    """Whether a Message of Arrow's format (Message.fbs) holds a compressed RecordBatch."""
    if not head:
        return False
    message = _follow(head, 0)
    kind, header = _field(head, message, 1), _field(head, message, 2)
    if kind is None or header is None:
        return False
    batch: int | None = _follow(head, header)
    if head[kind] == 2 and batch is not None:  # A DictionaryBatch has its RecordBatch inside.
        inner = _field(head, batch, 1)
        batch = None if inner is None else _follow(head, inner)
    elif head[kind] != 3:
        return False
    return batch is not None and _field(head, batch, 3) is not None


def _body_length(head: memoryview) -> int:
    place = _field(head, _follow(head, 0), 3)
    length = 0 if place is None else struct.unpack_from("<q", head, place)[0]
    if not 0 <= length < 2**40:
        raise InputError("The Arrow body is damaged.")
    return int(length)
