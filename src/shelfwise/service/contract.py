"""Every endpoint, declared once: routes, scopes, parameters and the document come from it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, Response, request

from shelfwise.engines.failures import masked
from shelfwise.errors import InputError, UnreadableError, excerpt
from shelfwise.reports import FORMATS
from shelfwise.service.body import read_body
from shelfwise.service.problems import Refusal
from shelfwise.store.derived import NAMES

JSON, PROBLEM = "application/json", "application/problem+json"
ID = r"[A-Za-z0-9_-]{1,64}"
REFERENCE = rf"{ID}(@{ID})?"
JOB = r"[A-Za-z0-9][A-Za-z0-9_:.+-]{0,149}"
"""A job that time has started is called after its schedule and that time."""
SMALL_BODY = 64 * 1024
T = TypeVar("T")

PATH_PARAMETERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "run_id": ("id", "A run's id, or latest.", {"type": "string", "pattern": f"^{ID}$"}),
    "job_id": ("job", "A job's id.", {"type": "string", "pattern": f"^{JOB}$"}),
    "upload_id": ("id", "An upload's id.", {"type": "string", "pattern": f"^{ID}$"}),
    "delivery_id": ("id", "A delivery's id.", {"type": "string", "pattern": f"^{ID}$"}),
    "override_id": ("id", "An override's id.", {"type": "string", "pattern": f"^{ID}$"}),
    "name": ("id", "A name.", {"type": "string", "pattern": f"^{ID}$"}),
    "alias": ("id", "An alias, such as current.", {"type": "string", "pattern": f"^{ID}$"}),
    "prefix": ("id", "The eight characters that name a key.",
               {"type": "string", "pattern": f"^{ID}$"}),
    "reference": ("reference", "NAME, NAME@alias or NAME@3.",
                  {"type": "string", "pattern": f"^{REFERENCE}$"}),
    "table": ("table", "Which table.", {"type": "string", "enum": list(NAMES)}),
    "format": ("format", "How the rows are written.",
               {"type": "string", "enum": ["json", "csv", "ndjson", "parquet", "arrow", "xlsx"]}),
    "document": ("document", "How the report is written.",
                 {"type": "string", "enum": list(FORMATS)}),
}  # fmt: skip
"""Name -> converter of the route, meaning and schema."""

GENERAL_ERRORS = {
    "401": "The server wants a key.",
    "422": "A parameter does not fit, or nobody here knows it.",
    "400": "The request is not HTTP as it should be, or for a host that is not served here.",
    "429": "More requests a minute than SHELFWISE_RATE_LIMIT; Retry-After says when.",
    "403": "The key lacks the scope, or the request came through an undeclared proxy.",
}
STORE_ERRORS = {
    "503": "The database is away, or the server is stopping; try again.",
    "507": "A disk is full.",
}
QUEUE_ERRORS = STORE_ERRORS | {
    "503": "The database is away, the server is stopping, or as many jobs wait as "
    "SHELFWISE_MAX_QUEUED allows; try again after Retry-After seconds.",
}
BAD_BODY = {"400": "Not JSON.", "413": "Too large.", "415": "Not JSON.", "422": "Not this shape."}
LOCATED = {"Location": {"$ref": "#/components/headers/Location"}}
DEFAULT_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method on one path; `scope` None answers everybody."""

    method: str
    path: str
    name: str
    scope: str | None
    summary: str
    description: str
    query: Mapping[str, dict[str, Any]]
    body: dict[str, Any] | None
    answers: Mapping[str, dict[str, Any]]
    errors: Mapping[str, str] = field(default_factory=dict)
    idempotent: bool = False


BODIES: dict[str, dict[str, Any]] = {}
"""Schemas of the bodies, by their name in the document."""
ENDPOINTS: dict[str, Endpoint] = {}
"""Flask's endpoint name -> what it is."""


def endpoint(
    blueprint: Blueprint,
    method: str,
    path: str,
    *,
    scope: str | None,
    summary: str,
    answers: Mapping[str, dict[str, Any]],
    description: str = "",
    query: Mapping[str, dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    idempotent: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a view: its route, and what the document says of it."""

    def declare(view: Callable[..., Any]) -> Callable[..., Any]:
        rule = re.sub(r"{(\w+)}", lambda m: f"<{PATH_PARAMETERS[m[1]][0]}:{m[1]}>", path)
        name = view.__name__
        ENDPOINTS[f"{blueprint.name}.{name}"] = Endpoint(
            method, path, name, scope, summary, description, query or {}, body, answers,
            errors or {}, idempotent,
        )  # fmt: skip
        blueprint.add_url_rule(rule, name, view, methods=[method])
        return view

    return declare


def parameter(description: str, **schema: Any) -> dict[str, Any]:
    """A query parameter."""
    return {"description": description, "schema": schema}


def ref(name: str) -> dict[str, str]:
    """A schema of the document, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def answers(
    name: str, text: str, status: str = "200", *, located: bool = False
) -> dict[str, dict[str, Any]]:
    """A success whose body is a schema of the document; `located` says that it has a Location."""
    answer: dict[str, Any] = {"description": text, "content": {JSON: {"schema": ref(name)}}}
    return {status: answer | ({"headers": LOCATED} if located else {})}


def json_body(kind: type[msgspec.Struct], example: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A request body by the struct that it is read as; `more` of what its schema says."""
    (_,), found = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    BODIES.update(found)
    BODIES[kind.__name__] |= more
    content = {JSON: {"schema": ref(kind.__name__), "example": example}}
    return {"required": True, "content": content}


def query() -> dict[str, Any]:
    """The query parameters of this request, checked; None for those not given."""
    declared = ENDPOINTS[str(request.endpoint)].query
    if not request.query_string:
        return dict.fromkeys(declared)
    return parsed(declared, list(request.args.items(multi=True)))


def parsed(
    declared: Mapping[str, dict[str, Any]], pairs: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Query parameters as their declaration says; InputError for what does not fit."""
    options: dict[str, Any] = dict.fromkeys(declared)
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    for name, given in values.items():
        if name not in declared:
            known = f"Known: {', '.join(declared)}." if declared else "There are none here."
            raise InputError(f"There is no parameter {excerpt(name, 40)}.", known)
        if len(given) > 1:
            raise InputError(f"The parameter {name} is given {len(given)} times.")
        options[name] = _parsed(name, given[0], declared[name]["schema"])
    return options


def _parsed(name: str, value: str, schema: Mapping[str, Any]) -> Any:
    if "enum" in schema and value not in schema["enum"]:
        raise InputError(
            f"{name} is {excerpt(value, 40)}.", f"It is one of {', '.join(schema['enum'])}."
        )
    if schema["type"] == "string":
        long = len(value) > schema.get("maxLength", 1_000)
        if long or ("pattern" in schema and not re.search(schema["pattern"], value)):
            raise InputError(f"{name} is {excerpt(masked(value), 40)}, which does not fit.")
        if any(ord(letter) < 32 for letter in value):
            raise InputError(f"{name} has a control character.")
        return value
    whole = schema["type"] == "integer"
    digits = r"[0-9]{1,15}" if whole else r"[0-9]+(\.[0-9]*)?"
    number = float(value) if re.fullmatch(digits, value, re.ASCII) else -1.0
    if not schema["minimum"] <= number <= schema["maximum"]:
        raise InputError(
            f"{name} is {excerpt(value, 40)}.",
            f"It is a {'whole ' if whole else ''}number from {schema['minimum']} "
            f"to {schema['maximum']:,}.",
        )
    return int(number) if whole else number


def body_as(kind: type[T]) -> T:
    """The JSON body as a struct; 415, 400 or 422 where it is something else."""
    media = request.content_type or ""
    if media.partition(";")[0].strip().lower() != "application/json":
        raise Refusal(
            415, "unsupported_media_type",
            f"Content-Type {media[:60]!r} is not understood; send application/json.",
            Accept="application/json",
        )  # fmt: skip
    content = read_body(request.environ, SMALL_BODY)
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        pointer = "/" + place.rstrip("`").lstrip(".").replace(".", "/") if place else ""
        raise InputError(
            f"The body does not fit: {reason}{f' at {pointer}' if place else ''}."[:300],
            "The document at /openapi.json has its schema.",
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"The body is not JSON: {str(error)[:200]}.") from error


def json_answer(value: Any, status: int = 200, **headers: str) -> Response:
    """A JSON answer with its ETag; 304 where the client has it already."""
    content = value if isinstance(value, bytes) else msgspec.json.encode(value)
    response = Response(content, status, content_type="application/json")
    for name, text in headers.items():
        response.headers[name.replace("_", "-")] = text
    if request.method == "GET" and status == 200:
        response.add_etag()
        response.headers["Cache-Control"] = "private, no-cache"
        response.make_conditional(request)
    return response


def listed(data: list[dict[str, Any]], following: str | int | None = None) -> Response:
    """A page of a list, and where the next one begins: in `next`, and as a Link."""
    after = None if following is None else str(following)
    response = json_answer({"data": data, "next": after})
    if after:
        given = {k: v for k, v in request.args.items() if k != "after"} | {"after": after}
        response.headers["Link"] = f'<{request.path}?{urlencode(given)}>; rel="next"'
    return response
