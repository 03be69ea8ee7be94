"""create_app(): settings, guards, blueprints and error handlers of the service."""

import gc
import logging
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from shelfwise import answer
from shelfwise.engines.records import COLUMNAR_ROWS
from shelfwise.errors import SettingError, ShelfwiseError
from shelfwise.model import Model
from shelfwise.service import (
    access,
    admin,
    connecting,
    dashboard,
    deciding,
    deliveries,
    derived,
    jobs,
    links,
    models,
    opinions,
    origins,
    pages,
    problems,
    reports,
    runs,
    scoring,
    uploads,
    watch,
)
from shelfwise.service.contract import ID, JOB, PATH_PARAMETERS, REFERENCE
from shelfwise.service.kept import store
from shelfwise.service.problems import Refusal, request_id
from shelfwise.service.product_schemas import EXAMPLE
from shelfwise.settings import Settings, load_settings
from shelfwise.tracing import tracer

log = logging.getLogger("shelfwise.service")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
BLUEPRINTS = (
    pages.api, scoring.api, runs.api, derived.api, deciding.api, opinions.api, models.api,
    connecting.api, jobs.api, deliveries.api, links.api, uploads.api, reports.api, admin.api,
    watch.api,
)  # fmt: skip


class _Id(BaseConverter):
    regex = ID


class _Reference(BaseConverter):
    # No group may stand in a converter's pattern.
    regex = REFERENCE.replace("(", "(?:")


class _Table(BaseConverter):
    regex = "|".join(PATH_PARAMETERS["table"][2]["enum"])


class _Job(BaseConverter):
    regex = JOB


class _Format(BaseConverter):
    regex = "|".join(PATH_PARAMETERS["format"][2]["enum"])


class _Document(BaseConverter):
    regex = "|".join(PATH_PARAMETERS["document"][2]["enum"])


def create_app(
    settings: Settings | None = None, *, key_needed: bool = False, **given: Any
) -> Flask:
    """The application; `given` settings win over the environment.

    With `key_needed`, an API key or a proxy set, every request needs a key.

    Raises SettingError for settings that cannot go together, ModelError for a model file
    that cannot be used.
    """
    settings = settings or load_settings(**given)
    app = Flask("shelfwise.service", template_folder="templates", static_folder="static")
    app.config["SHELFWISE"] = settings
    app.config["MODEL"] = Model.load(settings.model) if settings.model else None
    app.config["DRAINING"] = False
    app.config["KEY_NEEDED"] = bool(key_needed or settings.api_key or settings.behind_proxy)
    if settings.behind_proxy and not has_key(app):
        raise SettingError(
            "SHELFWISE_BEHIND_PROXY is set without a key.",
            "Behind a proxy every request looks local: set SHELFWISE_API_KEY, or make one with "
            "`shelfwise key create`.",
        )
    app.jinja_env.policies["json.dumps_kwargs"] = {"sort_keys": False}
    app.url_map.converters |= {"id": _Id, "reference": _Reference, "format": _Format, "job": _Job,
                               "table": _Table, "document": _Document}  # fmt: skip
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    app.extensions["shelfwise numbers"] = watch.Numbers()
    app.before_request(watch.begin)
    app.before_request(access.guard)
    app.after_request(_headers)
    app.after_request(origins.permit)
    app.after_request(watch.end)
    if spans := tracer():
        app.extensions["shelfwise tracer"] = spans
        app.after_request(watch.traced(spans))
    dashboard.set_up(app)
    app.register_error_handler(ShelfwiseError, problems.from_error)
    app.register_error_handler(Refusal, problems.from_refusal)
    app.register_error_handler(HTTPException, problems.from_http)
    app.register_error_handler(FileNotFoundError, problems.from_missing)
    app.register_error_handler(Exception, _unexpected)
    return app


def has_key(app: Flask) -> bool:
    """Whether there is a key that opens: in the settings, or in the store."""
    return bool(app.config["SHELFWISE"].api_key) or store(app).keys.any_works()


def warm_up() -> None:
    """Load what the first requests would wait for, small and large, before any comes."""
    from shelfwise.run import analyze

    for count in (9, COLUMNAR_ROWS):
        rows = [EXAMPLE[0] | {"product_id": n, "price": n} for n in range(1, count + 1)]
        list(answer.encode(analyze(rows)))
    # What is loaded stays: without this, each full collection would look at all of it again.
    gc.collect()
    gc.freeze()


def _headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-ID"] = request_id()
    access.rate_headers(response)
    return response


def _unexpected(error: Exception) -> Response:
    log.exception("request %s failed", request_id(), exc_info=error)
    return problems.problem(
        500, "internal_error", "Something went wrong here; the log has it under the request id."
    )
