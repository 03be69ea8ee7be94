"""create_app(): guards, routes and answers of the service."""

import gc
import hmac
import ipaddress
import logging
import re
from typing import Any

import msgspec
from flask import Blueprint, Flask, Response, current_app, render_template, request
from werkzeug.exceptions import HTTPException

from shelfwise import __version__, answer
from shelfwise.engines.records import Records, read_json
from shelfwise.errors import InputError, NotFoundError, SettingError, ShelfwiseError, excerpt
from shelfwise.metrics import is_result
from shelfwise.model import Model
from shelfwise.notices import Notice
from shelfwise.profile import PROFILES
from shelfwise.run import analyze_source
from shelfwise.service import problems
from shelfwise.service.body import read_body
from shelfwise.service.openapi import EXAMPLE, MEANINGS, PARAMETERS, document
from shelfwise.service.problems import Refusal, request_id
from shelfwise.settings import Settings, load_settings
from shelfwise.source import from_records

log = logging.getLogger("shelfwise.service")
api = Blueprint("api", __name__)

FORWARDING = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST",
              "HTTP_X_FORWARDED_PROTO", "HTTP_X_REAL_IP")  # fmt: skip
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
PROBES = frozenset({"api.livez", "api.readyz"})
"""Health checks come from wherever the machine asks, under any host name."""
OPEN = PROBES | {"api.openapi", "api.docs", "static"}
"""Endpoints that answer without a key: they show nothing of anybody's data."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_app(settings: Settings | None = None, **given: Any) -> Flask:
    """The application; `given` settings win over the environment.

    Raises SettingError for settings that cannot go together, ModelError for a model file
    that cannot be used.
    """
    settings = settings or load_settings(**given)
    if settings.behind_proxy and not settings.api_key:
        raise SettingError(
            "SHELFWISE_BEHIND_PROXY is set without SHELFWISE_API_KEY.",
            "Behind a proxy every request looks local, so a key is needed.",
        )
    app = Flask("shelfwise.service", template_folder="templates", static_folder="static")
    app.config["SHELFWISE"] = settings
    app.config["MODEL"] = Model.load(settings.model) if settings.model else None
    app.config["DRAINING"] = False
    app.jinja_env.policies["json.dumps_kwargs"] = {"sort_keys": False}
    app.register_blueprint(api)
    app.before_request(_guard)
    app.after_request(_headers)
    app.register_error_handler(ShelfwiseError, problems.from_error)
    app.register_error_handler(Refusal, problems.from_refusal)
    app.register_error_handler(HTTPException, problems.from_http)
    app.register_error_handler(Exception, _unexpected)
    return app


def warm_up() -> None:
    """Import what the first fit would wait for, before any request comes."""
    from shelfwise.run import analyze

    analyze([EXAMPLE[0], *(EXAMPLE[0] | {"product_id": n, "price": n} for n in range(1, 9))])
    # What is loaded stays: without this, each full collection would look at all of it again.
    gc.collect()
    gc.freeze()


def _settings() -> Settings:
    return current_app.config["SHELFWISE"]  # type: ignore[no-any-return]  # config is untyped


def _guard() -> None:
    """Host, forwarding and key: the checks that every request passes."""
    settings, environ = _settings(), request.environ
    if request.endpoint in PROBES:
        return
    hosts = settings.hosts or (() if settings.api_key else LOOPBACK)
    if hosts and "*" not in hosts and _host(environ.get("HTTP_HOST", "")) not in hosts:
        raise Refusal(
            400,
            "unknown_host",
            "This host name is not served; SHELFWISE_HOSTS lists those that are.",
        )
    if not settings.api_key:
        if "*" not in hosts and not _is_loopback(environ.get("REMOTE_ADDR", "")):
            raise Refusal(403, "key_needed_from_afar", "Without a key only this machine is served.")
        if not settings.behind_proxy and any(name in environ for name in FORWARDING):
            raise Refusal(
                403,
                "undeclared_proxy",
                "The request came through a proxy. Set SHELFWISE_BEHIND_PROXY and a key first.",
            )
        return
    if request.endpoint in OPEN:
        return
    bearer = environ.get("HTTP_AUTHORIZATION", "")
    key = bearer[7:] if bearer[:7].lower() == "bearer " else environ.get("HTTP_X_API_KEY", "")
    # WSGI hands headers over as latin-1, whatever the bytes mean.
    given = key.strip().encode("latin-1", "replace")
    if not hmac.compare_digest(given, settings.api_key.encode()):
        raise Refusal(
            401,
            "key_needed",
            "Send the key as Authorization: Bearer KEY.",
            WWW_Authenticate='Bearer realm="shelfwise"',
        )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return not address  # a socket file has no address


def _host(host: str) -> str:
    """The name in a Host header; empty where it is malformed."""
    found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:[0-9]*)?", host.lower())
    return found[1] if found else ""


def _headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-ID"] = request_id()
    return response


def _unexpected(error: Exception) -> Response:
    log.exception("request %s failed", request_id(), exc_info=error)
    return problems.problem(
        500, "internal_error", "Something went wrong here; the log has it under the request id."
    )


@api.post("/product-analysis")
def product_analysis() -> Response:
    """Score the products of the body."""
    settings = _settings()
    options = _options()
    _json_only()
    body = read_body(request.environ, settings.max_body_bytes)
    model: Model | None = current_app.config["MODEL"]
    wanted = options["model"]
    if wanted is not None and (model is None or wanted != model.id):
        raise NotFoundError(f"There is no model {excerpt(wanted)}.")
    if model and (options["profile"] or options["tiering"]):
        raise InputError("This server scores with a fixed model: it sets profile and tiering.")
    profile = model.profile if model else PROFILES[options["profile"] or "standard"]
    records = read_json(
        body,
        needs=profile.needs,
        zero_price=profile.zero_price,
        on_error=options["on_error"] or "reject",
        max_rows=settings.max_rows,
        keep_extra=options["extra"] == "keep",
    )
    notices = _about_keys(records, keep=options["extra"] == "keep")
    if options["dry_run"] == "1":
        return _valid(records, from_records(records).notices + notices)
    source = from_records(records)
    source.notices += notices
    analysis = analyze_source(
        source,
        profile,
        tiering=options["tiering"] or "quota",
        model=model,
        period=options["period_days"],
        coreset_rows=settings.coreset_rows,
    )
    parts = answer.encode(
        analysis, explain=options["explain"] == "1", full=options["precision"] == "full"
    )
    response = Response(parts, content_type="application/json")
    if isinstance(parts, list):
        response.content_length = sum(map(len, parts))
    return response


def _options() -> dict[str, Any]:
    """The query parameters, checked against what OpenAPI says of them."""
    if not request.query_string:
        return _NO_OPTIONS
    options = dict(_NO_OPTIONS)
    for name, values in request.args.lists():
        if name not in PARAMETERS:
            raise InputError(
                f"There is no parameter {excerpt(name, 40)}.", f"Known: {', '.join(PARAMETERS)}."
            )
        if len(values) > 1:
            raise InputError(f"The parameter {name} is given {len(values)} times.")
        options[name] = _parsed(name, values[0])
    return options


_NO_OPTIONS: dict[str, Any] = dict.fromkeys(PARAMETERS)


def _parsed(name: str, value: str) -> Any:
    schema = PARAMETERS[name]["schema"]
    if "enum" in schema and value not in schema["enum"]:
        raise InputError(
            f"{name} is {excerpt(value, 40)}.", f"It is one of {', '.join(schema['enum'])}."
        )
    if schema["type"] != "number":
        return value
    number = float(value) if re.fullmatch(r"[0-9]+(\.[0-9]*)?", value, re.ASCII) else -1.0
    if not schema["minimum"] <= number <= schema["maximum"]:
        raise InputError(
            f"{name} is {excerpt(value, 40)}.",
            f"It is a number from {schema['minimum']} to {schema['maximum']:,}.",
        )
    return number


def _json_only() -> None:
    given = request.environ.get("CONTENT_TYPE", "")
    if given == "application/json":
        return
    media, _, rest = given.partition(";")
    parameters = [p.strip().lower() for p in rest.split(";") if p.strip()]
    fine = all(p.replace('"', "") in ("charset=utf-8", "charset=utf8") for p in parameters)
    if media.strip().lower() != "application/json" or not fine:
        raise Refusal(
            415,
            "unsupported_media_type",
            f"Content-Type {given[:60]!r} is not understood; send application/json in UTF-8.",
            Accept="application/json",
        )


def _about_keys(records: Records, *, keep: bool) -> list[Notice]:
    """Warnings about keys that the contract does not have."""
    results = {k: n for k, n in records.unknown.items() if is_result(k)}
    unknown = {k: n for k, n in records.unknown.items() if k not in results}
    notices = []
    if results:
        notices.append(
            Notice(
                "result_keys_ignored",
                f"Keys that name a result were ignored: {_listed(results)}.",
                "Results are computed, never taken from the request.",
            )
        )
    if unknown and not keep:
        notices.append(
            Notice(
                "unknown_keys_dropped",
                f"Unknown keys were dropped: {_listed(unknown)}.",
                "extra=keep gives them back.",
            )
        )
    return notices


def _listed(keys: dict[str, int]) -> str:
    shown = [f"{excerpt(key, 40)} in {count:,}" for key, count in list(keys.items())[:10]]
    more = len(keys) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _valid(records: Records, notices: list[Notice]) -> Response:
    answer_ = {
        "status": "valid",
        "products": records.height,
        "skipped": records.rejected_rows,
        "rejected": answer.rejected_rows(records.rejected),
        "warnings": [notice.to_dict() for notice in notices],
    }
    return Response(msgspec.json.encode(answer_), content_type="application/json")


@api.get("/livez")
def livez() -> Response:
    """The process answers."""
    return _status("ok", 200)


@api.get("/readyz")
def readyz() -> Response:
    """Requests are welcome; 503 while the server drains."""
    if current_app.config["DRAINING"]:
        return problems.problem(
            503, "draining", "The server is stopping.", headers={"Retry-After": "5"}
        )
    return _status("ready", 200)


def _status(status: str, code: int) -> Response:
    body = msgspec.json.encode({"status": status, "version": __version__})
    return Response(body, code, content_type="application/json")


@api.get("/openapi.json")
def openapi() -> Response:
    """The contract as OpenAPI 3.1."""
    return Response(msgspec.json.encode(document()), content_type="application/json")


@api.get("/docs")
def docs() -> str:
    """The contract for people, with calls to copy."""
    base = request.host_url.rstrip("/")
    return render_template(
        "docs.html", document=document(), base=base, example=EXAMPLE, meanings=MEANINGS
    )
