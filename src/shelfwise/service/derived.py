"""/v1/runs/{run_id}/trends and others: what is made of a run's order lines, as jobs."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response

from shelfwise.insights.sections import QUESTIONS
from shelfwise.sales.forecasting import HORIZON, LONGEST
from shelfwise.service import download
from shelfwise.service.access import audited
from shelfwise.service.asking import OneSource, source_of
from shelfwise.service.contract import (
    BAD_BODY,
    DEFAULT_LIMIT,
    QUEUE_ERRORS,
    STORE_ERRORS,
    answers,
    body_as,
    endpoint,
    json_body,
    listed,
    query,
)
from shelfwise.service.jobs import accepted
from shelfwise.service.kept import jobs, once, store
from shelfwise.service.parameters import DERIVED
from shelfwise.store.derived import KINDS, Name
from shelfwise.store.query import Query, page, select

api = Blueprint("derived", __name__)
FILTERS = ("product_id", "category", "trend", "supplier", "action", "verdict")
NO_RUN = {"404": "There is no such run, upload, or product in the run."} | QUEUE_ERRORS
NO_TABLE = {"404": "There is no such run, or nobody has made this of it yet."} | STORE_ERRORS
QUEUED = answers("Job", "It is in the queue; look at Location.", "202", located=True)
OF_LINES = (
    "The run must be one of order lines (`sales` in POST /v1/runs, or `shelfwise analyze --sales "
    "FILE --save`). What was made before is replaced. `out_of_stock` has product_id and date of "
    "days on which a product could not be bought: such weeks are not counted."
)


class Making(msgspec.Struct, forbid_unknown_fields=True):
    """How trends or elasticities are made."""

    out_of_stock: OneSource | None = None


class Forecasting(msgspec.Struct, forbid_unknown_fields=True):
    """How a forecast is made; the horizon is in weeks."""

    horizon: Annotated[int, msgspec.Meta(ge=1, le=LONGEST)] = HORIZON
    out_of_stock: OneSource | None = None


@endpoint(
    api, "POST", "/v1/runs/{run_id}/trends",
    scope="analyze",
    summary="Find out which products of a run rise or fall, as a job.",
    description=f"{OF_LINES} The products of the run then have `trend`, `growth` and so on; "
    "category_trends is made as well, where products have a category.",
    body=json_body(Making, {}),
    answers=QUEUED,
    errors=BAD_BODY | NO_RUN,
    idempotent=True,
)  # fmt: skip
def make_trends(run_id: str) -> Response:
    """Start a job that makes trends."""
    return start(run_id, "trends", body_as(Making), ["out_of_stock"])


@endpoint(
    api, "POST", "/v1/runs/{run_id}/forecast",
    scope="analyze",
    summary="Forecast what the products of a run will sell, as a job.",
    description=OF_LINES,
    body=json_body(Forecasting, {"horizon": HORIZON}),
    answers=QUEUED,
    errors=BAD_BODY | NO_RUN,
    idempotent=True,
)  # fmt: skip
def make_forecast(run_id: str) -> Response:
    """Start a job that makes a forecast."""
    return start(run_id, "forecast", body_as(Forecasting), ["out_of_stock"])


@endpoint(
    api, "POST", "/v1/runs/{run_id}/elasticity",
    scope="analyze",
    summary="Estimate how the units of a run's products follow their price, as a job.",
    description=f"{OF_LINES} Read the column `warning`: it is an association.",
    body=json_body(Making, {}),
    answers=QUEUED,
    errors=BAD_BODY | NO_RUN,
    idempotent=True,
)  # fmt: skip
def make_elasticity(run_id: str) -> Response:
    """Start a job that makes elasticities."""
    return start(run_id, "elasticity", body_as(Making), ["out_of_stock"])


def start(run_id: str, kind: str, asked: msgspec.Struct, sources: Sequence[str]) -> Response:
    """Start a job that makes something of a run; `sources` of what is asked are places."""
    query()
    # What `latest` is may change before a request is sent again under its key.
    with once(msgspec.json.encode(asked)) as attempt:
        if attempt.repeated:
            return accepted(jobs().get(attempt.result_id))
        run = store().runs.get(run_id)
        carried: dict[str, Any] = msgspec.to_builtins(asked) | {"make": kind, "run": run.id}
        if kind in QUESTIONS:
            store().derived.must_fit(run, kind, carried["policy"])
        elif kind in KINDS:
            store().runs.must_have_weeks(run)
        for name in sources:
            if carried[name] is not None:
                carried[name] = source_of(getattr(asked, name), name)
        job = jobs().enqueue(carried, attempt.result_id)
        audited("job.start", job.id)
    return accepted(job)


@endpoint(
    api, "GET", "/v1/runs/{run_id}/derived",
    scope="read",
    summary="What was made of a run, when, with which options; of decisions what they withhold.",
    answers=answers("DerivedPage", "The tables, by name."),
    errors=NO_TABLE,
)  # fmt: skip
def list_derived(run_id: str) -> Response:
    """The tables derived from a run."""
    query()
    return listed([table.to_dict() for table in store().derived.all(run_id)])


@endpoint(
    api, "GET", "/v1/runs/{run_id}/{table}.{format}",
    scope="read",
    summary="Trends, forecasts, elasticities or decisions of a run.",
    description="JSON comes page by page; the other formats have all rows that the filters "
    "leave, or the first `limit`. Decisions have the answers that people gave to them.",
    query=DERIVED,
    answers=download.rows_of("DerivedRowPage", "The rows."),
    errors=NO_TABLE | download.ERRORS,
)  # fmt: skip
def get_derived(run_id: str, table: Name, format: str) -> Response:
    """The rows of a table."""
    options = query()
    run = store().runs.get(run_id)
    found = store().derived.get(run, table)
    etag = download.etag_of(run, found.sha256, store().decisions.state())
    if download.is_known(etag):
        return download.cached(Response(status=304), etag)
    filters = {name: options[name] for name in FILTERS}
    equal = {name: value for name, value in filters.items() if value is not None}
    asked = Query(equal=equal, sort=options["sort"])
    frame = store().answered(run, found)
    if format == "json":
        rows, following = page(
            frame, asked, options["limit"] or DEFAULT_LIMIT, options["after"] or 0
        )
        return download.cached(listed(rows.to_dicts(), following), etag)
    file = download.attachment(select(frame, asked), run, format, options, table)
    return download.cached(file, etag)
