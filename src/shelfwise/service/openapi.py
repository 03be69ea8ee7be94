"""The contract as OpenAPI 3.1, made from the declared endpoints."""

import re
from functools import cache
from typing import Any

from shelfwise import __version__
from shelfwise.service import admin, jobs, models, opinions, pages, runs, scoring, watch  # noqa: F401  (they declare)
from shelfwise.service.contract import (
    BODIES,
    ENDPOINTS,
    GENERAL_ERRORS,
    PATH_PARAMETERS,
    PROBLEM,
    Endpoint,
    ref,
)
from shelfwise.service.schemas import SCHEMAS

ORDER = ("scoring", "runs", "opinions", "models", "jobs", "admin", "pages", "watch")
"""The blueprints as a reader wants them."""

IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The request is done once, however often it is sent with this key in 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for one in ordered():
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Shelfwise",
            "version": __version__,
            "summary": "Tells which products earn their place.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS | BODIES,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def ordered() -> list[Endpoint]:
    """The endpoints as a reader wants them, scoring first."""
    names = sorted(ENDPOINTS, key=lambda name: ORDER.index(name.partition(".")[0]))
    return [ENDPOINTS[name] for name in names]


def _operation(one: Endpoint) -> dict[str, Any]:
    names = re.findall(r"{(\w+)}", one.path)
    described = {
        name: {"description": meaning, "schema": schema}
        for name, (_, meaning, schema) in PATH_PARAMETERS.items()
    }
    parameters = [{"name": n, "in": "path", "required": True} | described[n] for n in names]
    parameters += [{"name": n, "in": "query", "required": False} | p for n, p in one.query.items()]
    errors = ({} if one.scope is None else GENERAL_ERRORS) | dict(one.errors)
    if one.query:
        errors = {"422": "A parameter does not fit."} | errors
    if one.idempotent:
        parameters.append(IDEMPOTENCY)
        errors["409"] = "A request with this Idempotency-Key is being worked on."
    description = f"{one.description} Scope: {one.scope}." if one.scope else one.description
    return {
        "operationId": one.name,
        "summary": one.summary,
        **({"description": description.strip()} if description else {}),
        "security": [{}] if one.scope is None else [{}, {"key": []}],
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": one.body} if one.body else {}),
        "responses": {**one.answers, **{s: _error(t) for s, t in sorted(errors.items())}},
    }


def _error(text: str) -> dict[str, Any]:
    return {"description": text, "content": {PROBLEM: {"schema": ref("Problem")}}}
