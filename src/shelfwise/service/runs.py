"""/v1/runs: what is kept, and its products in every format."""

from typing import Any

import msgspec
import polars as pl
from flask import Blueprint, Response

from shelfwise import answer
from shelfwise.errors import InputError, NotFoundError, excerpt
from shelfwise.service import download, media
from shelfwise.service.access import audited
from shelfwise.service.contract import (
    BAD_BODY,
    DEFAULT_LIMIT,
    STORE_ERRORS,
    answers,
    body_as,
    endpoint,
    json_answer,
    json_body,
    listed,
    parameter,
    query,
)
from shelfwise.service.kept import store
from shelfwise.service.parameters import PAGE, PRODUCTS, ROWS
from shelfwise.store.derived import Beside
from shelfwise.store.query import FILTERS, MARK, Query, page, select
from shelfwise.store.run import Run

api = Blueprint("runs", __name__)
NO_RUN = {"404": "There is no such run."} | STORE_ERRORS


@endpoint(
    api, "GET", "/v1/runs",
    scope="read",
    summary="The runs that are kept, newest first.",
    query=PAGE,
    answers=answers("RunPage", "A page of runs."),
    errors=STORE_ERRORS,
)  # fmt: skip
def list_runs() -> Response:
    """The runs that are kept."""
    options = query()
    found, following = store().runs.newest(options["limit"] or DEFAULT_LIMIT, options["after"])
    return listed([run.to_dict() for run in found], following)


@endpoint(
    api, "GET", "/v1/runs/{run_id}",
    scope="read",
    summary="One run: its summary, warnings, model.",
    answers=answers("Run", "The run."),
    errors=NO_RUN,
)  # fmt: skip
def get_run(run_id: str) -> Response:
    """One run."""
    query()
    return json_answer(store().runs.get(run_id).to_dict())


class RunChange(msgspec.Struct, forbid_unknown_fields=True):
    """What may change of a run."""

    pinned: bool


@endpoint(
    api, "PATCH", "/v1/runs/{run_id}",
    scope="analyze",
    summary="Pin a run, so that nothing deletes it, or unpin it.",
    body=json_body(RunChange, {"pinned": True}),
    answers=answers("Run", "The run as it is now."),
    errors=BAD_BODY | NO_RUN,
)  # fmt: skip
def change_run(run_id: str) -> Response:
    """Pin or unpin a run."""
    query()
    change = body_as(RunChange)
    run = store().runs.pin(run_id, change.pinned)
    audited("run.pin" if run.pinned else "run.unpin", run.id)
    return json_answer(run.to_dict())


@endpoint(
    api, "DELETE", "/v1/runs/{run_id}",
    scope="admin",
    summary="Delete a run and its results.",
    answers={"204": {"description": "It is gone."}},
    errors=NO_RUN | {"422": "It is pinned."},
)  # fmt: skip
def delete_run(run_id: str) -> Response:
    """Delete a run."""
    query()
    run = store().runs.get(run_id)
    store().runs.delete(run.id)
    audited("run.delete", run.id)
    return Response(status=204)


@endpoint(
    api, "GET", "/v1/runs/{run_id}/products.{format}",
    scope="read",
    summary="The scored products of a run, by rank.",
    description="JSON comes page by page; the other formats have all products that the filters "
    "leave, or the first `limit`. `tier_override` is what people let a product count as on the "
    "day of the run: with its reason in JSON, the tier alone in the other formats. Where trends, "
    "a forecast or elasticities were made of the run, their columns stand beside.",
    query=PRODUCTS,
    answers=download.rows_of("ProductPage", "The products."),
    errors=NO_RUN | download.ERRORS,
)  # fmt: skip
def run_products(run_id: str, format: str) -> Response:
    """The products of a run."""
    options = query()
    run = store().runs.get(run_id)
    overrides = store().overrides
    state = overrides.state()
    derived = store().derived.beside(run)
    etag = download.etag_of(run, *state, *derived.sha256)
    if download.is_known(etag):
        return download.cached(Response(status=304), etag)
    asked = Query(
        equal={name: options[name] for name in FILTERS if options[name] is not None},
        search=options["search"],
        flag=options["flag"],
        sort=options["sort"],
        overridden=options["overridden"] == "1",
    )
    if "trend" in asked.equal:
        store().derived.get(run, "trends")  # Where there are none, it says how to make them.
    products = store().runs.products(run)
    if format != "json" or MARK in asked.reads:
        products = overrides.marked(products, run.as_of)
    if format != "json" and asked.sort is None:
        stretches = media.Stretches(products, lambda part: select(derived.joined(part), asked))
        return download.cached(download.attachment(stretches, run, format, options), etag)
    if format != "json" or not asked.reads.isdisjoint(derived.columns):
        products = derived.joined(products)
    if format == "json":
        rows = _page(run, products, asked, options, derived, any_set=state[0] > 0)
        return download.cached(rows, etag)
    file = download.attachment(select(products, asked), run, format, options)
    return download.cached(file, etag)


@endpoint(
    api, "GET", "/v1/history",
    scope="read",
    summary="What became of a product: its score, rank and tier in each run, oldest first.",
    query={
        "product_id": parameter("Which product.", type="string"),
        "location": parameter("Where, for one that stands in several.", type="string"),
    },
    answers=answers("HistoryPage", "A row for each run that has the product."),
    errors={"404": "No run has such a product."} | STORE_ERRORS,
)  # fmt: skip
def product_history() -> Response:
    """The history of a product."""
    options = query()
    if options["product_id"] is None:
        raise InputError("Which product?", "Give product_id.")
    rows = store().runs.history.of(options["product_id"], options["location"])
    if not rows:
        raise NotFoundError(f"No run has the product {excerpt(options['product_id'])}.")
    return listed(rows)


@endpoint(
    api, "GET", "/v1/runs/{run_id}/rejected",
    scope="read",
    summary="The rows that were not scored, with their reasons.",
    query=ROWS,
    answers=answers("RejectedPage", "A page of rejected rows."),
    errors=NO_RUN,
)  # fmt: skip
def run_rejected(run_id: str) -> Response:
    """The rejected rows of a run."""
    options = query()
    start, limit = options["after"] or 0, options["limit"] or DEFAULT_LIMIT
    rows = store().runs.rejected(run_id)
    following = start + limit if rows.height > start + limit else None
    return listed(rows[start : start + limit].to_dicts(), following)


def _page(
    run: Run, products: pl.LazyFrame, asked: Query, options: dict[str, Any], derived: Beside,
    *, any_set: bool,
) -> Response:  # fmt: skip
    """A page of products, with what was derived from their order lines and people have set."""
    limit = options["limit"] or DEFAULT_LIMIT
    found, following = page(products, asked, limit, options["after"] or 0)
    rows = found.drop(derived.columns, strict=False)
    data = answer.kept_rows(
        rows, run.model, run.products,
        explain=options["explain"] == "1", full=options["precision"] == "full",
    )  # fmt: skip
    for row, more in zip(data, derived.of_rows(rows, full=options["precision"] == "full"),
                         strict=True):  # fmt: skip
        row |= more
    if any_set:
        for row, override in zip(data, store().overrides.of_rows(rows, run.as_of), strict=True):
            if override:
                row[MARK] = override.shown()
    return listed(data, following)
