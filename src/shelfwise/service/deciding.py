"""/v1/runs/{run_id}/inventory and others: decisions made of a run, as jobs."""

from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response

from shelfwise.insights.sections import QUESTIONS, Question
from shelfwise.service import download
from shelfwise.service.asking import OneSource
from shelfwise.service.contract import BAD_BODY, body_as, endpoint, json_body, query
from shelfwise.service.derived import NO_RUN, NO_TABLE, QUEUED, start
from shelfwise.service.kept import store
from shelfwise.service.tokens import TOKEN

api = Blueprint("deciding", __name__)
LABELED = ("campaign", "marketing")
RunId = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{1,64}$", description="The run to "
                  "compare with.")]  # fmt: skip


def _declare(question: Question) -> None:
    """The endpoint that starts a job for a question."""
    more: list[Any] = [(name, OneSource | None, None) for name in question.tables]
    if question.compares:
        more.append(("since", RunId))
    asking = msgspec.defstruct(
        f"{question.name.title()}Deciding",
        [("policy", question.policy, question.policy()), *more],
        kw_only=True,
        forbid_unknown_fields=True,
        module=__name__,
        namespace={"__doc__": f"How {question.name} is decided."},
    )

    def decide(run_id: str) -> Response:
        return start(run_id, question.name, body_as(asking), question.tables)

    example = {"since": "latest"} if question.compares else {}

    decide.__name__ = f"decide_{question.name}"
    first = f" For a run of order lines it first makes {', '.join(question.uses)}, where " \
            "nobody has." if question.uses else ""  # fmt: skip
    endpoint(
        api, "POST", f"/v1/runs/{{run_id}}/{question.name}",
        scope="analyze",
        summary=f"{question.asks} As a job.",
        description=f"Look at GET /v1/runs/{{run_id}}/{question.name}.json when it is done, and "
        f"at /derived for what is withheld and why.{first}",
        body=json_body(asking, example),
        answers=QUEUED,
        errors=BAD_BODY | NO_RUN,
        idempotent=True,
    )(decide)  # fmt: skip


@endpoint(
    api, "GET", "/v1/runs/{run_id}/labels.csv",
    scope="read",
    summary="Custom labels of all products, as a supplemental feed for Google Merchant Center.",
    description="custom_label_0 to 4: list, tier, stock, trend, and the discount of the campaign "
    "where somebody has made one. It takes marketing of the run; what people have dismissed has "
    "no label.",
    answers={"200": {"description": "id and its labels; a row a product.",
                     "content": {"text/csv": download.BINARY}}},
    query=TOKEN,
    errors=NO_TABLE,
)  # fmt: skip
def get_labels(run_id: str) -> Response:
    """The labels of a run's products."""
    query()
    run = store().runs.get(run_id)
    beside = [one.sha256 for one in store().derived.all(run) if one.name in LABELED]
    etag = download.etag_of(run, *beside, store().decisions.state())
    if download.is_known(etag):
        return download.cached(Response(status=304), etag)
    rows = store().labels(run.id).lazy()
    # Google looks products up by their ids: they stand as they are.
    file = download.attachment(rows, run, "csv", {"limit": None, "raw": "1"}, "labels")
    return download.cached(file, etag)


for _question in QUESTIONS.values():
    _declare(_question)
