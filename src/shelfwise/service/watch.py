"""What the service tells of itself: lines for the log, numbers for Prometheus, spans.

None has names of products, bodies, queries or keys in it.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

import structlog
from flask import Blueprint, Response, current_app, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest

from shelfwise.service.contract import ENDPOINTS, endpoint, query
from shelfwise.service.problems import request_id
from shelfwise.tracing import Tracer

api = Blueprint("watch", __name__)
log = structlog.stdlib.get_logger("shelfwise.request")
NAMES = ("shelfwise", "waitress", "opentelemetry")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Numbers:
    """The counters of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "shelfwise_requests", "Requests answered.", ("method", "route", "status"),
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "shelfwise_request_seconds", "Time from a request to its answer.", ("route",),
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.products = Counter(
            "shelfwise_products_scored", "Products scored in requests.", registry=self.registry
        )


def set_up_logs(kind: str) -> None:
    """`json`: a line of JSON for each request and event; `text`: what went wrong, readable."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    render: Any = structlog.dev.ConsoleRenderer(colors=False)
    if kind == "json":
        render = structlog.processors.JSONRenderer()
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                render,
            ],
        )
    )
    for name in NAMES:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO if kind == "json" else logging.WARNING)


def begin() -> None:
    """The clock of a request."""
    g.began = time.perf_counter()


def _asked() -> tuple[str, str, float]:
    """Method and route of the request, and how long it has taken."""
    seconds = time.perf_counter() - g.get("began", time.perf_counter())
    declared = ENDPOINTS.get(str(request.endpoint))
    # An unknown path is no label: whoever asks could make any number of them.
    route = declared.path if declared else str(request.endpoint or "unknown")
    return request.method if request.method in METHODS else "other", route, seconds


def end(response: Response) -> Response:
    """Count a request, and write its line."""
    method, route, seconds = _asked()
    numbers: Numbers = current_app.extensions["shelfwise numbers"]
    numbers.requests.labels(method, route, response.status_code).inc()
    numbers.seconds.labels(route).observe(seconds)
    if logging.getLogger("shelfwise.request").isEnabledFor(logging.INFO):
        log.info(
            "request",
            method=method,
            route=route,
            status=response.status_code,
            milliseconds=round(1000 * seconds, 2),
            bytes=response.content_length,
            who=g.get("who"),
            request_id=request_id(),
        )
    return response


def traced(tracer: Tracer) -> Callable[[Response], Response]:
    """Hands a span over for each request."""

    def hand_over(response: Response) -> Response:
        method, route, seconds = _asked()
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": response.status_code,
            "shelfwise.request_id": request_id(),
        }
        if "products" in g:
            attributes["shelfwise.products"] = g.products
        tracer.record(
            f"{method} {route}", seconds, attributes, kind="SERVER",
            failed=response.status_code >= 500, parent=request.headers.get("traceparent", ""),
        )  # fmt: skip
        return response

    return hand_over


@endpoint(
    api, "GET", "/metrics",
    scope="read",
    summary="Numbers for Prometheus.",
    answers={"200": {"description": "Counters and histograms as text.",
                     "content": {"text/plain": {"schema": {"type": "string"}}}}},
)  # fmt: skip
def metrics() -> Response:
    """Numbers for Prometheus."""
    query()
    numbers: Numbers = current_app.extensions["shelfwise numbers"]
    return Response(generate_latest(numbers.registry), content_type=CONTENT_TYPE_LATEST)
