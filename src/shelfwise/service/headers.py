"""Headers of requests and answers, declared once: the document and CORS are made of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shelfwise.service.contract import JSON, Endpoint

TEXT = {"type": "string"}
PDF, ZIP = "application/pdf", "application/zip"
KEPT = ("200", "304")
COUNT = {"type": "integer", "minimum": 0}
UNCOUNTED = frozenset({"own_key"})
"""Endpoints beside the limit of requests: a proxy asks them for each request of others."""


@dataclass(frozen=True, slots=True)
class Header:
    """One header, and on which endpoints and statuses it comes, or is understood."""

    name: str
    meaning: str
    schema: dict[str, Any]
    comes: Callable[[Endpoint, str], bool]


def has_etag(one: Endpoint) -> bool:
    """Whether its answers can be kept and asked for again with If-None-Match."""
    if one.method != "GET" or one.scope is None:
        return False
    return not {JSON, "text/csv", PDF, ZIP}.isdisjoint(one.answers["200"]["content"])


def _counted(one: Endpoint, status: str) -> bool:
    # Who lacks a key or a scope is refused before the request counts.
    return one.scope is not None and one.name not in UNCOUNTED and status not in ("401", "403")


def _located(one: Endpoint, status: str) -> bool:
    return "Location" in one.answers.get(status, {}).get("headers", ())


def _continued(one: Endpoint, status: str) -> bool:
    # Rows that come as files, too, get their 304 before they are read.
    return "after" in one.query and (status == "200" or (status == "304" and not _is_file(one)))


def _is_file(one: Endpoint) -> bool:
    return one.path.endswith(("{format}", "{document}", ".csv", ".zip"))


def _again(one: Endpoint, status: str) -> bool:
    return status in ("202", "409", "429", "503") or (one.name == "get_job" and status in KEPT)


RATE = "With SHELFWISE_RATE_LIMIT: "
ANSWERED = (
    Header("X-Request-ID", "The id of this request, in logs and problems, too.", TEXT,
           lambda one, status: True),
    Header("ETag", "Names what was answered; send it back as If-None-Match.", TEXT,
           lambda one, status: has_etag(one) and status in KEPT),
    Header("Location", "Where what was made or started is found.",
           {"type": "string", "format": "uri-reference"}, _located),
    Header("Link", 'The next page, as <...>; rel="next"; absent on the last one.', TEXT,
           _continued),
    Header("Content-Disposition", "A name for the file; of other formats than JSON.", TEXT,
           lambda one, status: _is_file(one) and status == "200"),
    Header("Retry-After", "Seconds after which to ask again.", COUNT, _again),
    Header("RateLimit-Limit", f"{RATE}requests a minute.", COUNT, _counted),
    Header("RateLimit-Remaining", f"{RATE}requests left in this minute.", COUNT, _counted),
    Header("RateLimit-Reset", f"{RATE}seconds until the next minute.", COUNT, _counted),
    Header("WWW-Authenticate", "How to send a key.", TEXT, lambda one, status: status == "401"),
)  # fmt: skip
"""Headers of answers, beside those that HTTP itself needs."""

ASKED = (
    Header("Idempotency-Key",
           "The request is done once, however often it is sent with this key in 24 hours.",
           {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
           lambda one, _: one.idempotent),
    Header("If-None-Match", "The ETag of what the client has; 304 where nothing else would come.",
           TEXT, lambda one, _: has_etag(one)),
    Header("Prefer", "respond-async: as a job, however small.", TEXT,
           lambda one, _: one.name == "product_analysis"),
)  # fmt: skip
"""Headers of requests, beside the media types and the key."""

KEY_HEADERS = ("Authorization", "X-API-Key")
"""Either carries the key: the first as `Bearer KEY`."""
