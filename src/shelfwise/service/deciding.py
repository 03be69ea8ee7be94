"""/v1/runs/{run_id}/inventory and others: decisions made of a run, as jobs."""

from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response

from shelfwise.insights.sections import QUESTIONS, Question
from shelfwise.service.asking import OneSource
from shelfwise.service.contract import BAD_BODY, body_as, endpoint, json_body
from shelfwise.service.derived import NO_RUN, QUEUED, start

api = Blueprint("deciding", __name__)
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
        return start(run_id, question.name, body_as(asking), question.tables)  # type: ignore[arg-type]

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


for _question in QUESTIONS.values():
    _declare(_question)
