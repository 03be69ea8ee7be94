"""/v1/links: addresses of results for programs that can send no key."""

import datetime as dt
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from shelfwise.errors import InputError
from shelfwise.service import tokens
from shelfwise.service.access import audited
from shelfwise.service.contract import (
    BAD_BODY,
    ENDPOINTS,
    STORE_ERRORS,
    Endpoint,
    answers,
    body_as,
    endpoint,
    json_answer,
    json_body,
    parsed,
    query,
)
from shelfwise.service.kept import store
from shelfwise.settings import Settings
from shelfwise.store.runs import LATEST

api = Blueprint("links", __name__)
EXAMPLE = "For example /v1/runs/latest/products.csv?tier=High."


class NewLink(msgspec.Struct, forbid_unknown_fields=True):
    """An address to sign."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=1000, pattern="^/[!-~]*$")]
    days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 30


@endpoint(
    api, "POST", "/v1/links",
    scope="read",
    summary="Sign the address of a file, for programs that can send no key.",
    description="The address leads to this path with these parameters and to nothing else, until "
    "it expires or the key that made it ends. With `latest` it always leads to the newest run.",
    body=json_body(NewLink, {"path": "/v1/runs/latest/products.csv?tier=High", "days": 90}),
    answers=answers("Link", "The address; whoever has it can read the file."),
    errors=BAD_BODY | {"404": "There is no such run."} | STORE_ERRORS,
)  # fmt: skip
def make_link() -> Response:
    """Sign an address."""
    query()
    asked = body_as(NewLink)
    url, end = signed(asked.path, asked.days)
    return json_answer({"url": url, "expires_at": end.isoformat()})


def signed(address: str, days: int) -> tuple[str, dt.datetime]:
    """The whole address with its token, and when it ends.

    InputError where it leads to no file, NotFoundError where there is no such run; what is the
    latest may still come.
    """
    parts = urlsplit(address)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    declared, run_id = _linked(parts.path)
    if declared is None or parts.netloc or parts.fragment:
        raise InputError("This path leads to no file that may be linked to.", EXAMPLE)
    if "token" in dict(pairs):
        raise InputError("This address has a token already.", EXAMPLE)
    parsed(declared.query, pairs)
    if run_id != LATEST:
        store().runs.get(run_id)
    token, end = tokens.make(parts.path, pairs, days)
    audited("link.make", parts.path, until=end.date().isoformat())
    return f"{_base()}{parts.path}?{urlencode([*pairs, ('token', token)])}", end


def _linked(path: str) -> tuple[Endpoint | None, str]:
    """What a path leads to, if it may be linked to, and of which run."""
    try:
        name, given = current_app.url_map.bind("localhost").match(path, method="GET")
    except (HTTPException, RequestRedirect):
        return None, ""
    declared = ENDPOINTS.get(name)
    linked = declared if declared and "token" in declared.query else None
    return linked, str(given.get("run_id", LATEST))


def _base() -> str:
    """How this service is called from outside."""
    settings: Settings = current_app.config["SHELFWISE"]
    if settings.public_url:
        return settings.public_url
    told = request.headers.get("X-Forwarded-Proto") if settings.behind_proxy else None
    scheme = told if told in ("http", "https") else request.scheme
    return f"{scheme}://{request.host}"
