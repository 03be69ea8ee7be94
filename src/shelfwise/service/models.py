"""/v1/models: named models, their versions and aliases, and drift."""

from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response
from msgspec import UNSET, UnsetType

from shelfwise.errors import InputError
from shelfwise.model import Model
from shelfwise.service.access import audited
from shelfwise.service.contract import (
    BAD_BODY,
    ID,
    JSON,
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
from shelfwise.service.kept import once, store

api = Blueprint("models", __name__)
NO_MODEL = {"404": "There is no such model, version or alias."} | STORE_ERRORS


Name = Annotated[str, msgspec.Meta(pattern=f"^{ID}$", max_length=64)]
# `latest` and numbers name versions.
Alias = Annotated[str, msgspec.Meta(pattern=f"^(?!latest$)(?![0-9]+$){ID}$", max_length=64)]


class NewModel(msgspec.Struct, forbid_unknown_fields=True):
    """A model to keep: that of a run, or one that another machine saved as JSON."""

    name: Name
    run: Name | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    alias: Alias | UnsetType = UNSET


class Pointed(msgspec.Struct, forbid_unknown_fields=True):
    """Where an alias shall point."""

    version: Annotated[int, msgspec.Meta(ge=1, le=10**9)]


@endpoint(
    api, "GET", "/v1/models",
    scope="read",
    summary="The models that are kept: the current version of each name.",
    answers=answers("ModelPage", "The models, by name."),
    errors=STORE_ERRORS,
)  # fmt: skip
def list_models() -> Response:
    """The models that are kept."""
    query()
    return listed([version.to_dict() for version in store().models.all()], None)


@endpoint(
    api, "POST", "/v1/models",
    scope="model:write",
    summary="Keep a model as the next version of a name.",
    description="`run` names a run whose model it is; `parameters` are those of a saved JSON "
    "model. The first version becomes `current`; later ones only where `alias` says so.",
    body=json_body(
        NewModel, {"name": "shop", "run": "latest"},
        oneOf=[{"required": ["run"]}, {"required": ["parameters"]}],
    ),
    answers=answers("ModelVersion", "The new version.", "201", located=True),
    errors=BAD_BODY | {"404": "There is no such run."} | STORE_ERRORS,
    idempotent=True,
)  # fmt: skip
def add_model() -> Response:
    """Keep a model."""
    query()
    asked = body_as(NewModel)
    if (asked.run is UNSET) is (asked.parameters is UNSET):
        raise InputError("Give either run or parameters.", "A model comes from one of them.")
    alias = None if asked.alias is UNSET else asked.alias
    with once(msgspec.json.encode(asked)) as attempt:
        if attempt.repeated:
            found = store().models.get(attempt.result_id)
        elif asked.parameters is UNSET:
            found = store().train(asked.name, str(asked.run), alias, attempt.result_id)
        else:
            model = Model.from_parameters(asked.parameters)
            found = store().models.add(asked.name, model, alias=alias, request_id=attempt.result_id)
        attempt.result_id = f"{found.name}@{found.version}"
        if not attempt.repeated:
            audited("model.add", attempt.result_id)
    where = f"/v1/models/{found.name}@{found.version}"
    return json_answer(found.to_dict(), 201, Location=where)


@endpoint(
    api, "GET", "/v1/models/{reference}",
    scope="read",
    summary="One version of a model.",
    answers=answers("ModelVersion", "The version."),
    errors=NO_MODEL,
)  # fmt: skip
def get_model(reference: str) -> Response:
    """One version of a model."""
    query()
    return json_answer(store().models.get(reference).to_dict())


@endpoint(
    api, "GET", "/v1/models/{reference}/parameters",
    scope="read",
    summary="What a model has learned, as JSON that another machine can import.",
    answers={"200": {"description": "The parameters.",
                     "content": {JSON: {"schema": {"type": "object"}}}}},
    errors=NO_MODEL,
)  # fmt: skip
def get_parameters(reference: str) -> Response:
    """A model's parameters."""
    query()
    return json_answer(store().models.get(reference).model.parameters)


@endpoint(
    api, "GET", "/v1/models/{name}/versions",
    scope="read",
    summary="All versions of a name, newest first.",
    answers=answers("ModelPage", "The versions."),
    errors=NO_MODEL,
)  # fmt: skip
def list_versions(name: str) -> Response:
    """All versions of a name."""
    query()
    return listed([version.to_dict() for version in store().models.all(name)], None)


@endpoint(
    api, "PUT", "/v1/models/{name}/aliases/{alias}",
    scope="model:write",
    summary="Let an alias point at a version: a newer one to roll out, an older to roll back.",
    body=json_body(Pointed, {"version": 1}),
    answers=answers("ModelVersion", "The version that the alias points at now."),
    errors=BAD_BODY | NO_MODEL,
)  # fmt: skip
def point_alias(name: str, alias: str) -> Response:
    """Move an alias."""
    query()
    asked = body_as(Pointed)
    found = store().models.point(name, alias, asked.version)
    audited("model.alias", f"{name}@{alias}", version=found.version)
    return json_answer(found.to_dict())


@endpoint(
    api, "GET", "/v1/models/{reference}/drift",
    scope="read",
    summary="How far the products of a run have moved from those that a model was fitted on.",
    description="PSI below 0.1 is stable; from 0.25 on the model should be trained anew.",
    query={"run": parameter("The run; the latest if not given.", type="string",
                            pattern=f"^{ID}$")},
    answers=answers("DriftPage", "Metric by metric, the most drifted first."),
    errors={"404": "There is no such model or run."} | STORE_ERRORS,
)  # fmt: skip
def model_drift(reference: str) -> Response:
    """Drift of a run against a model."""
    run = query()["run"] or "latest"
    return listed([one.to_dict() for one in store().drift(run, reference)], None)
