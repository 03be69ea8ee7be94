"""What says how the service is, and what it can: probes, the document, the page for people."""

import logging

import msgspec
from flask import Blueprint, Response, current_app, render_template, request

from shelfwise import __version__
from shelfwise.errors import StoreError
from shelfwise.service import problems
from shelfwise.service.contract import answers, endpoint
from shelfwise.service.kept import store
from shelfwise.service.product_schemas import EXAMPLE, MEANINGS

log = logging.getLogger("shelfwise.service")
api = Blueprint("pages", __name__)


@endpoint(
    api, "GET", "/livez",
    scope=None,
    summary="The process answers.",
    answers=answers("Status", "The process answers."),
)  # fmt: skip
def livez() -> Response:
    """The process answers."""
    return _status("ok")


@endpoint(
    api, "GET", "/readyz",
    scope=None,
    summary="Requests are welcome.",
    answers=answers("Status", "Requests are welcome, and the database answers."),
    errors={"503": "The server is stopping, or the database is away."},
)  # fmt: skip
def readyz() -> Response:
    """Requests are welcome; 503 while the server drains or the database is away."""
    if current_app.config["DRAINING"]:
        return problems.problem(
            503, "draining", "The server is stopping.", headers={"Retry-After": "5"}
        )
    try:
        store().database.version()
    except StoreError as error:
        # Whoever asks without a key need not know where the database is.
        log.warning("not ready: %s", error)
        return problems.problem(
            503, error.code, "The database does not answer.", headers={"Retry-After": "5"}
        )
    return _status("ready")


def _status(status: str) -> Response:
    body = msgspec.json.encode({"status": status, "version": __version__})
    return Response(body, content_type="application/json")


@api.get("/openapi.json")
def openapi() -> Response:
    """The contract as OpenAPI 3.1."""
    from shelfwise.service.openapi import document

    return Response(msgspec.json.encode(document()), content_type="application/json")


@api.get("/docs")
def docs() -> str:
    """The contract for people, with calls to copy."""
    from shelfwise.service.openapi import document, ordered

    return render_template(
        "docs.html", document=document(), base=request.host_url.rstrip("/"), example=EXAMPLE,
        meanings=MEANINGS, endpoints=ordered()[1:],
    )  # fmt: skip
