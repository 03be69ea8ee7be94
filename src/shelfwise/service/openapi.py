"""The contract as OpenAPI 3.1, made from the declared endpoints."""

import re
from functools import cache
from typing import Any

from shelfwise import __version__
from shelfwise.service import (  # noqa: F401  (they declare)
    admin,
    deciding,
    deliveries,
    derived,
    jobs,
    links,
    models,
    opinions,
    pages,
    runs,
    scoring,
    uploads,
    watch,
)
from shelfwise.service.contract import (
    BODIES,
    ENDPOINTS,
    GENERAL_ERRORS,
    JSON,
    PATH_PARAMETERS,
    PROBLEM,
    Endpoint,
    ref,
)
from shelfwise.service.headers import ANSWERED, ASKED, KEY_HEADERS, Header, has_etag
from shelfwise.service.schemas import SCHEMAS

ORDER = ("scoring", "runs", "derived", "deciding", "opinions", "reports", "models",
         "connecting", "jobs", "deliveries", "links", "uploads", "admin", "pages",
         "watch")  # fmt: skip
"""The blueprints as a reader wants them."""

IDS: dict[str, list[tuple[str, dict[str, str]]]] = {
    "Answer": [("/v1/runs/", {"run_id": "/run_id"})],
    "Delivery": [("/v1/deliveries/", {"delivery_id": "/id"}),
                 ("/v1/runs/", {"run_id": "/run_id"})],
    "HistoryRow": [("/v1/runs/", {"run_id": "/run_id"})],
    "Job": [("/v1/jobs/", {"job_id": "/id"}), ("/v1/runs/", {"run_id": "/run_id"})],
    "Key": [("/v1/keys/", {"prefix": "/prefix"})],
    "MadeKey": [("/v1/keys/", {"prefix": "/about/prefix"})],
    "ModelVersion": [("/v1/models/", {"name": "/name", "reference": "/name"})],
    "Override": [("/v1/overrides/", {"override_id": "/id"})],
    "Run": [("/v1/runs/", {"run_id": "/id"})],
    "Schedule": [("/v1/schedules/", {"name": "/name"})],
    "Upload": [("/v1/uploads/", {"upload_id": "/id"})],
}  # fmt: skip
"""Schema of an answer -> what is found by an id in it: below which path, by which parameters."""

SENT: dict[str, dict[str, dict[str, Any]]] = {
    "ModelVersion": {"point_alias": {"version": "$response.body#/version"}},
    "Run": {"add_model": {"name": "shop", "run": "$response.body#/id"}},
    "Upload": {"start_run": {"source": {"upload": "$response.body#/id"}}},
}
"""Schema of an answer -> operations that take an id in it in their body."""

UNCHANGED = {"description": "If-None-Match named the ETag of what would be answered."}


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
            "headers": {one.name: _described(one) for one in ANSWERED},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": KEY_HEADERS[1]},
            },
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
    parameters += [
        {"name": header.name, "in": "header", "required": False} | _described(header)
        for header in ASKED if header.comes(one, "")
    ]  # fmt: skip
    if one.idempotent:
        errors["409"] = "A request with this Idempotency-Key is being worked on."
    description = f"{one.description} Scope: {one.scope}." if one.scope else one.description
    responses = {
        **{status: answer | _linked(one, answer) for status, answer in one.answers.items()},
        **({"304": UNCHANGED} if has_etag(one) else {}),
        **{status: _error(text) for status, text in sorted(errors.items())},
    }
    return {
        "operationId": one.name,
        "summary": one.summary,
        **({"description": description.strip()} if description else {}),
        "security": [{}] if one.scope is None else [{}, {"bearer": []}, {"header": []}],
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": one.body} if one.body else {}),
        "responses": {
            status: answer | {"headers": _headers(one, status)}
            for status, answer in responses.items()
        },
    }


def _described(header: Header) -> dict[str, Any]:
    return {"description": header.meaning, "schema": header.schema}


def _headers(one: Endpoint, status: str) -> dict[str, Any]:
    """The headers that an answer may have."""
    return {
        header.name: {"$ref": f"#/components/headers/{header.name}"}
        for header in ANSWERED if header.comes(one, status)
    }  # fmt: skip


def _linked(one: Endpoint, answer: dict[str, Any]) -> dict[str, Any]:
    """The links of an answer: what can be asked next, with what it holds."""
    schema = answer.get("content", {}).get(JSON, {}).get("schema", {})
    found: dict[str, Any] = {}
    for each in schema.get("anyOf", [schema]):
        name = each.get("$ref", "").rpartition("/")[2]
        is_page = name.endswith("Page")
        name, base = name.removesuffix("Page"), "/data/0" if is_page else ""
        for below, ids in IDS.get(name, []):
            pointers = {n: f"$response.body#{base}{place}" for n, place in ids.items()}
            for other in ordered():
                if other.path.startswith(below):
                    names = set(re.findall(r"{(\w+)}", other.path)) & ids.keys()
                    found[other.name] = {"parameters": {n: pointers[n] for n in sorted(names)}}
        for target, body in SENT.get("" if is_page else name, {}).items():
            found.setdefault(target, {})["requestBody"] = body
        if is_page and "after" in one.query:
            found[one.name] = {"parameters": {"after": "$response.body#/next"}}
    return {"links": {n: {"operationId": n} | link for n, link in found.items()}} if found else {}


def _error(text: str) -> dict[str, Any]:
    return {"description": text, "content": {PROBLEM: {"schema": ref("Problem")}}}
