"""Errors as HTTP answers: one table, one shape (RFC 9457)."""

import secrets
from typing import Any

import msgspec
from flask import Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from shelfwise.errors import (
    EngineError,
    InputError,
    MissingExtraError,
    ModelError,
    NotFoundError,
    OutputError,
    ProfileError,
    QueueFullError,
    RejectedRowsError,
    SettingError,
    ShelfwiseError,
    StoreError,
    StoreFullError,
    TooLargeError,
    UnreadableError,
    UnsupportedError,
)

STATUS: dict[type[ShelfwiseError], int] = {
    UnreadableError: 400,
    UnsupportedError: 415,
    TooLargeError: 413,
    RejectedRowsError: 422,
    InputError: 422,
    ProfileError: 422,
    ModelError: 422,
    NotFoundError: 404,
    SettingError: 500,
    MissingExtraError: 501,
    OutputError: 507,
    EngineError: 500,
    StoreFullError: 507,
    StoreError: 503,
    QueueFullError: 503,
    ShelfwiseError: 500,
}
"""Error -> status; the first class that an error is an instance of counts."""

TITLES = {
    400: "The request cannot be read",
    401: "A key is needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Still at work",
    413: "Too large",
    415: "Unsupported media type",
    422: "The data does not fit",
    429: "Too many requests",
    500: "Internal error",
    501: "Not installed",
    503: "Not ready",
    507: "Cannot be written",
}


class Refusal(Exception):
    """A request that is answered with a problem before any data is read."""

    def __init__(self, status: int, code: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def request_id() -> str:
    """The id of the request being answered: in the header, in problems, in logs."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(8)
    return str(g.request_id)


def problem(
    status: int,
    code: str,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    count: int | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """An `application/problem+json` answer."""
    errors = errors or []
    body: dict[str, Any] = {
        "type": f"urn:shelfwise:problem:{code}",
        "title": TITLES.get(status, "The request failed"),
        "status": status,
        "detail": detail,
        "instance": request.path[:100],
        "request_id": request_id(),
        "errors": errors,
        "error_count": len(errors) if count is None else count,
    }
    return Response(
        msgspec.json.encode(body),
        status,
        headers=headers,
        content_type="application/problem+json",
    )


def from_error(error: ShelfwiseError) -> Response:
    """The answer to an error of ours."""
    status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
    errors = [{"pointer": p.pointer, "detail": p.detail} for p in getattr(error, "problems", ())]
    wait = {"Retry-After": "5"} if status == 503 else {}
    return problem(status, error.code, str(error), errors, getattr(error, "count", None), wait)


def from_refusal(refusal: Refusal) -> Response:
    """The answer to a request that was refused unread."""
    return problem(refusal.status, refusal.code, refusal.detail, headers=refusal.headers)


def from_missing(error: FileNotFoundError) -> Response:
    """The answer where another process has deleted results while they were read."""
    gone = StoreError("The results were removed while they were read.", "Ask again.")
    return from_error(gone)


def from_http(error: HTTPException) -> Response:
    """The answer to what Flask itself refuses: unknown paths, wrong methods."""
    status = error.code or 500
    headers = {}
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
    code = (error.name or "error").lower().replace(" ", "_")
    detail = {
        404: "There is nothing at this path. /docs shows what there is.",
        405: f"{request.method[:20]} is not possible here.",
    }.get(status, error.description or "The request failed.")
    return problem(status, code, detail[:300], headers=headers)
