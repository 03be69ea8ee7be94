"""/v1/overrides and /v1/decisions: what people say about products."""

import datetime as dt
from typing import Annotated

import msgspec
from flask import Blueprint, Response, g

from shelfwise.columns import COLUMN, Column
from shelfwise.insights.decisions import ACTIONS
from shelfwise.model import TIERS
from shelfwise.service.access import audited
from shelfwise.service.contract import (
    BAD_BODY,
    DEFAULT_LIMIT,
    ID,
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
from shelfwise.service.parameters import PAGE, SWITCH
from shelfwise.service.product_schemas import SOME_TEXT
from shelfwise.store.opinions import MOST_UNITS, VERDICTS
from shelfwise.store.schema import REASON_LETTERS

api = Blueprint("opinions", __name__)
NO_RUN = {"404": "There is no such run."} | STORE_ERRORS


def _text(length: int) -> msgspec.Meta:
    return msgspec.Meta(min_length=1, max_length=length, pattern=SOME_TEXT)


def _one_of(*values: str) -> msgspec.Meta:
    return msgspec.Meta(extra_json_schema={"enum": list(values)})


def _of_product(column: Column) -> msgspec.Meta:
    return _text(column.max_length)


Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
ProductId = Whole | Annotated[str, _of_product(COLUMN["product_id"])]
Location = Annotated[str, _of_product(COLUMN["location"])]
Reason = Annotated[str, _text(REASON_LETTERS)]
RunId = Annotated[str, msgspec.Meta(pattern=f"^{ID}$", max_length=64)]


class NewOverride(msgspec.Struct, forbid_unknown_fields=True):
    """The tier that a product shall count as."""

    product_id: ProductId
    tier: Annotated[str, _one_of(*TIERS)]
    reason: Reason
    location: Location | None = None
    first_day: dt.date | None = None
    last_day: dt.date | None = None
    run_id: RunId | None = None


class NewDecision(msgspec.Struct, forbid_unknown_fields=True):
    """An answer to a proposal."""

    product_id: ProductId
    action: Annotated[str, _one_of(*ACTIONS)]
    verdict: Annotated[str, _one_of(*VERDICTS)]
    reason: Reason
    location: Location | None = None
    last_day: dt.date | None = None
    run_id: RunId | None = None
    amount: Annotated[float, msgspec.Meta(gt=0, le=MOST_UNITS)] | None = None


OF_PRODUCT = {
    "product_id": parameter("Only those about this product.", type="string", maxLength=255),
    "active": parameter("1 leaves those that count today.", **SWITCH),
}


@endpoint(
    api, "GET", "/v1/overrides",
    scope="read",
    summary="The tiers that people have set, newest first; those that have ended, too.",
    query=OF_PRODUCT | PAGE,
    answers=answers("OverridePage", "A page of overrides."),
    errors=STORE_ERRORS,
)  # fmt: skip
def list_overrides() -> Response:
    """The overrides."""
    options = query()
    found, following = store().overrides.newest(
        options["limit"] or DEFAULT_LIMIT, options["after"],
        active=options["active"] == "1", product_id=options["product_id"],
    )  # fmt: skip
    return listed([one.to_dict() for one in found], following)


@endpoint(
    api, "POST", "/v1/overrides",
    scope="analyze",
    summary="Let a product count as a tier, on this and on later runs.",
    description="It holds from `first_day` (else the day of the run, or today) to `last_day` "
    "(else until it is ended). `run_id` names the run that it is about, which must have the "
    "product. Without `location` it covers every location. The newest counts. What the "
    "analysis has computed stays as it is.",
    body=json_body(
        NewOverride,
        {"product_id": 101, "tier": "High", "reason": "The season begins.", "run_id": "latest"},
    ),
    answers=answers("Override", "The override.", "201"),
    errors=BAD_BODY | NO_RUN,
)  # fmt: skip
def set_override() -> Response:
    """Set a tier."""
    query()
    asked = body_as(NewOverride)
    made = store().overrides.set(**msgspec.structs.asdict(asked), who=g.who)
    audited("override.set", made.id)
    return json_answer(made.to_dict(), 201)


@endpoint(
    api, "DELETE", "/v1/overrides/{override_id}",
    scope="analyze",
    summary="End an override; it stays in the list, and on runs of earlier days.",
    query={
        "run_id": parameter(
            "From the day of this run on; from today if not given.", type="string",
            pattern=f"^{ID}$",
        ),
    },
    answers=answers("Override", "The override, which holds no more."),
    errors={"404": "There is no such override, or no such run."} | STORE_ERRORS,
)  # fmt: skip
def end_override(override_id: str) -> Response:
    """End an override."""
    ended = store().overrides.end(override_id, query()["run_id"])
    audited("override.end", ended.id)
    return json_answer(ended.to_dict())


@endpoint(
    api, "GET", "/v1/decisions",
    scope="read",
    summary="The proposals that people have accepted or dismissed, newest first.",
    query={
        "product_id": OF_PRODUCT["product_id"],
        "action": parameter(
            " ".join(f"{name}: {meaning}" for name, meaning in ACTIONS.items()),
            type="string", enum=list(ACTIONS),
        ),
        "run_id": parameter("Only those made on this run.", type="string", pattern=f"^{ID}$"),
        "active": OF_PRODUCT["active"],
        **PAGE,
    },
    answers=answers("DecisionPage", "A page of decisions."),
    errors=NO_RUN,
)  # fmt: skip
def list_decisions() -> Response:
    """The decisions."""
    options = query()
    run_id = options["run_id"] and store().runs.get(options["run_id"]).id
    found, following = store().decisions.newest(
        options["limit"] or DEFAULT_LIMIT, options["after"],
        active=options["active"] == "1", product_id=options["product_id"],
        action=options["action"], run_id=run_id,
    )  # fmt: skip
    return listed([one.to_dict() for one in found], following)


@endpoint(
    api, "POST", "/v1/decisions",
    scope="analyze",
    summary="Accept or dismiss what is proposed for a product; later runs remember it.",
    description="It holds from the day of the run that `run_id` names, which must have the "
    "product, or else from today; to `last_day`, or until there is a newer one. `amount` is how "
    "many units are accepted, where it is not what is proposed: it stands as `verdict_amount` "
    "beside proposals of that day.",
    body=json_body(
        NewDecision,
        {"product_id": 101, "action": "reorder", "verdict": "dismissed",
         "reason": "The supplier stops it.", "run_id": "latest"},
    ),
    answers=answers("Decision", "The decision.", "201"),
    errors=BAD_BODY | NO_RUN,
)  # fmt: skip
def add_decision() -> Response:
    """Keep a decision."""
    query()
    asked = body_as(NewDecision)
    made = store().decisions.add(**msgspec.structs.asdict(asked), who=g.who)
    audited("decision.add", made.id, verdict=made.verdict)
    return json_answer(made.to_dict(), 201)
