"""Other tools: publish a run to the views that they read, and dashboards over these."""

import hashlib
from typing import Annotated

import msgspec
from flask import Blueprint, Response

from shelfwise.connect import Files, grafana, superset, zipped
from shelfwise.errors import InputError
from shelfwise.jobs.queue import PUBLICATION
from shelfwise.service import download
from shelfwise.service.contract import (
    BAD_BODY,
    QUEUE_ERRORS,
    answers,
    body_as,
    endpoint,
    json_body,
    parameter,
    query,
)
from shelfwise.service.derived import start

api = Blueprint("connecting", __name__)
ZIP = "application/zip"
MOST_KEPT = 100_000


class Publishing(msgspec.Struct, forbid_unknown_fields=True):
    """How a run is published; `keep` says how many runs stay, null that all do."""

    keep: Annotated[int, msgspec.Meta(ge=1, le=MOST_KEPT)] | None = None


@endpoint(
    api, "POST", "/v1/runs/{run_id}/publish",
    scope="analyze",
    summary="Copy the products of a run into views that other tools read, as a job.",
    description="The views begin with v1_; in PostgreSQL they are in the schema reporting. With "
    "`keep` only that many runs stay published, those of the newest days.",
    body=json_body(Publishing, {"keep": 12}),
    answers=answers("Job", "It is in the queue; look at Location.", "202", located=True),
    errors=BAD_BODY | {"404": "There is no such run."} | QUEUE_ERRORS,
    idempotent=True,
)  # fmt: skip
def publish_run(run_id: str) -> Response:
    """Start a job that publishes a run."""
    return start(run_id, PUBLICATION, body_as(Publishing), [])


@endpoint(
    api, "GET", "/v1/connect/superset.zip",
    scope="read",
    summary="Datasets, charts and a dashboard for Apache Superset, to be imported there.",
    query={
        "database": parameter(
            "The database as Superset reaches it, without a password, for example "
            "postgresql://shelfwise_reader@host/shelfwise.", type="string", maxLength=500,
            pattern=f"^{superset.ADDRESS}$",
        ),
    },
    answers={"200": {"description": "The file.", "content": {ZIP: download.BINARY}}},
)  # fmt: skip
def connect_superset() -> Response:
    """Assets for Superset."""
    database = query()["database"]
    if database is None:
        raise InputError(
            "Where is the database?",
            "Give database, for example postgresql://shelfwise_reader@host/shelfwise.",
        )
    return attached(superset.files(database), "superset")


@endpoint(
    api, "GET", "/v1/connect/grafana.zip",
    scope="read",
    summary="A dashboard for Grafana, and the files that provision it.",
    answers={"200": {"description": "The files.", "content": {ZIP: download.BINARY}}},
)  # fmt: skip
def connect_grafana() -> Response:
    """Files for Grafana."""
    query()
    return attached(grafana.files(), "grafana")


def attached(files: Files, name: str) -> Response:
    """Some files as one ZIP."""
    content = zipped(files)
    etag = hashlib.sha256(content).hexdigest()[:32]
    if download.is_known(etag):
        return download.cached(Response(status=304), etag)
    response = Response(content, content_type=ZIP)
    response.headers["Content-Disposition"] = f'attachment; filename="shelfwise-{name}.zip"'
    return download.cached(response, etag)
