"""A request's body: read whole or refused, never truncated, unpacked within the limit."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from shelfwise.errors import TooLargeError, UnreadableError
from shelfwise.service.problems import Refusal

_CHUNK = 64 * 1024
MEMBERS = 100
"""Gzip members that one body may be made of; each costs time, even an empty one."""


def read_body(environ: dict[str, Any], limit: int) -> bytes:
    """The unpacked body, at most `limit` bytes.

    Raises Refusal (415) for an unknown encoding, TooLargeError above the limit,
    UnreadableError for a body that ends early or is no gzip. After TooLargeError
    `save_body` still finds the body whole.
    """
    encoding = _encoding(environ)
    raw = _read(environ, limit)
    if encoding != "gzip":
        return raw
    try:
        return b"".join(_unpacked([raw], limit))
    except TooLargeError:
        environ["wsgi.input"] = BytesIO(raw)
        raise


def _encoding(environ: dict[str, Any]) -> str:
    encoding: str = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise Refusal(
            415,
            "unsupported_encoding",
            f"Content-Encoding {encoding[:40]!r} is not understood; send gzip or none.",
            Accept_Encoding="gzip",
        )
    return encoding


def _read(environ: dict[str, Any], limit: int) -> bytes:
    stream = environ["wsgi.input"]
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared:
        if not declared.isascii() or not declared.isdigit():
            raise Refusal(400, "bad_request", "Content-Length is no number.")
        if len(declared) > 18:
            raise too_large(limit)
        length = int(declared)
        if length > limit:
            raise too_large(limit)
        body = _exactly(stream, length)
        if len(body) < length:
            raise UnreadableError(f"The body ended after {len(body):,} of {length:,} bytes.")
        return body
    chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    if not (chunked or environ.get("wsgi.input_terminated")):
        return b""
    # One byte more than allowed tells a body that is too large from one that just fits:
    # a server's own limit may cut a chunked body without a word.
    body = _exactly(stream, limit + 1)
    if len(body) > limit:
        environ["wsgi.input"] = _Joined(BytesIO(body), stream)
        raise too_large(limit)
    return body


@dataclass(frozen=True, slots=True)
class _Joined:
    """What was read of a stream, and then the rest of it."""

    begun: BytesIO
    rest: Any

    def read(self, size: int) -> bytes:
        part: bytes = self.begun.read(size) or self.rest.read(size)
        return part


def _exactly(stream: Any, length: int) -> bytes:
    body: bytes = stream.read(length)
    if len(body) == length or not body:
        return body
    parts = [body]
    missing = length - len(body)
    while missing and (part := stream.read(min(missing, 16 * _CHUNK))):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _unpacked(
    parts: Iterable[bytes], limit: int, setting: str = "SHELFWISE_MAX_BODY_BYTES"
) -> Iterator[bytes]:
    """What gzip has packed; slices are fed, so that no step copies more than a slice."""
    room, members = limit, 0
    unpacker: Any = None  # Of the member that is being unpacked.
    for whole in parts:
        place = 0
        while place < len(whole):
            if unpacker is None:
                members += 1
                if members > MEMBERS:
                    raise UnreadableError(f"The gzip body has more than {MEMBERS} members.")
                unpacker = zlib.decompressobj(wbits=31)
            piece = whole[place : place + _CHUNK]
            place += len(piece)
            while piece and not unpacker.eof:
                try:
                    part = unpacker.decompress(piece, min(room + 1, _CHUNK))
                except zlib.error as error:
                    raise UnreadableError(f"The body is not valid gzip: {error}.") from error
                piece = unpacker.unconsumed_tail
                room -= len(part)
                if room < 0:
                    raise too_large(limit, setting)
                yield part
            if unpacker.eof:
                place -= len(unpacker.unused_data)
                unpacker = None
    if unpacker:
        raise UnreadableError("The gzip body ends early.")
    if not members:
        raise UnreadableError("The gzip body is empty.")


def save_body(environ: dict[str, Any], limit: int, path: Path) -> None:
    """Write the unpacked body into a file, slice by slice; the same errors as `read_body`."""
    encoding = _encoding(environ)
    setting = "SHELFWISE_MAX_UPLOAD_BYTES"
    declared = environ.get("CONTENT_LENGTH") or ""
    length = int(declared[:18]) if declared.isascii() and declared.isdigit() else 0
    if length > limit or len(declared) > 18:
        raise too_large(limit, setting)
    read = 0

    def sent() -> Iterator[bytes]:
        nonlocal read
        while part := environ["wsgi.input"].read(16 * _CHUNK):
            read += len(part)
            if read > limit:
                raise too_large(limit, setting)
            yield part

    with path.open("wb") as file:
        for part in _unpacked(sent(), limit, setting) if encoding == "gzip" else sent():
            file.write(part)
    if read < length:
        raise UnreadableError(f"The body ended after {read:,} of {length:,} bytes.")


def too_large(limit: int, setting: str = "SHELFWISE_MAX_BODY_BYTES") -> TooLargeError:
    """The error for a body above the limit."""
    return TooLargeError(
        f"The body has more than {limit:,} bytes.",
        f"Send fewer products, use the command line for files, or raise {setting}.",
    )
