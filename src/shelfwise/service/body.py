"""A request's body: read whole or refused, never truncated, unpacked within the limit."""

import zlib
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
    UnreadableError for a body that ends early or is no gzip.
    """
    encoding = _encoding(environ)
    raw = _read(environ, limit)
    return _unzip(raw, limit) if encoding == "gzip" else raw


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
        raise too_large(limit)
    return body


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


def _unzip(packed: bytes, limit: int) -> bytes:
    """The unpacked body; slices are fed, so that no step copies more than a slice."""
    parts: list[bytes] = []
    room, place, members = limit + 1, 0, 0
    while place < len(packed):
        members += 1
        if members > MEMBERS:
            raise UnreadableError(f"The gzip body has more than {MEMBERS} members.")
        unpacker = zlib.decompressobj(wbits=31)
        while place < len(packed) and not unpacker.eof:
            piece = packed[place : place + _CHUNK]
            place += len(piece)
            while piece and not unpacker.eof:
                try:
                    part = unpacker.decompress(piece, min(room, _CHUNK))
                except zlib.error as error:
                    raise UnreadableError(f"The body is not valid gzip: {error}.") from error
                piece = unpacker.unconsumed_tail
                parts.append(part)
                room -= len(part)
                if room <= 0:
                    raise too_large(limit)
        if not unpacker.eof:
            raise UnreadableError("The gzip body ends early.")
        place -= len(unpacker.unused_data)
    if not parts:
        raise UnreadableError("The gzip body is empty.")
    return b"".join(parts)


def save_body(environ: dict[str, Any], limit: int, path: Path) -> None:
    """Write the unpacked body into a file, slice by slice; the same errors as `read_body`."""
    encoding = _encoding(environ)
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise too_large(limit, "SHELFWISE_MAX_UPLOAD_BYTES")
    stream, unpacker = environ["wsgi.input"], zlib.decompressobj(wbits=31)
    read = written = 0
    with path.open("wb") as file:
        while part := stream.read(16 * _CHUNK):
            read += len(part)
            while part:
                piece, part = part, b""
                if encoding == "gzip":
                    try:
                        piece = unpacker.decompress(piece, 16 * _CHUNK)
                    except zlib.error as error:
                        raise UnreadableError(f"The body is not valid gzip: {error}.") from error
                    part = unpacker.unconsumed_tail
                    if unpacker.eof and (unpacker.unused_data or part):
                        raise UnreadableError("The gzip body has several members; send one.")
                written += len(piece)
                if written > limit:
                    raise too_large(limit, "SHELFWISE_MAX_UPLOAD_BYTES")
                file.write(piece)
    if declared.isascii() and declared.isdigit() and read < int(declared):
        raise UnreadableError(f"The body ended after {read:,} of {int(declared):,} bytes.")
    if encoding == "gzip" and not unpacker.eof:
        raise UnreadableError("The gzip body ends early.")


def too_large(limit: int, setting: str = "SHELFWISE_MAX_BODY_BYTES") -> TooLargeError:
    """The error for a body above the limit."""
    return TooLargeError(
        f"The body has more than {limit:,} bytes.",
        f"Send fewer products, use the command line for files, or raise {setting}.",
    )
