"""The rows of a run or of a table made of it, in every format: declared and answered alike."""

import hashlib
from typing import Any

import polars as pl
from flask import Response, request

from shelfwise import __version__
from shelfwise.service import media
from shelfwise.service.contract import ref
from shelfwise.store.run import Run

BINARY = {"schema": {"type": "string", "format": "binary"}}
ERRORS = {
    "422": "A filter or an order that these rows do not have.",
    "413": "More rows than a sheet holds.",
}


def rows_of(page: str, text: str) -> dict[str, dict[str, Any]]:
    """A success that is a page of JSON, or all rows in another format."""
    schema = {"schema": ref(page)}
    content = {name: schema if kind == "json" else BINARY for kind, name in media.TYPES.items()}
    return {"200": {"description": text, "content": content}}


def attachment(
    rows: pl.LazyFrame | media.Stretches, run: Run, format: str, options: dict[str, Any],
    table: str = "",
) -> Response:  # fmt: skip
    """The rows, or the first `limit`, as a file that is called after its run."""
    if options["limit"]:
        rows = rows.head(options["limit"])
    written = media.write(rows, format, raw=options["raw"] == "1")
    response = Response(written, content_type=media.content_type(format))
    name = "-".join(filter(None, (str(run.as_of), run.id[:12], table)))
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{format}"'
    return response


def etag_of(run: Run, *beside: int | str) -> str:
    """Results never change, but what stands beside them does, and how they are written may."""
    asked = f"{request.full_path.partition('?')[2]} {request.path[-8:]}"
    named = f"{run.results} {run.as_of} {beside} {asked} {__version__}"
    return hashlib.sha256(named.encode()).hexdigest()[:32]


def is_known(etag: str) -> bool:
    """Whether the client has it already."""
    return etag in request.if_none_match


def cached(response: Response, etag: str) -> Response:
    """The answer, to be kept and asked for again with its ETag."""
    response.set_etag(etag)
    response.headers["Cache-Control"] = "private, no-cache"
    return response
