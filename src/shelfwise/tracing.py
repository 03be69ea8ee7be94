"""Spans for OpenTelemetry, of requests and of jobs, where somebody collects them.

Off unless the extra `otel` is installed and one of OpenTelemetry's own variables says where
spans go; then nothing of it is imported, and no request does anything for it.
A span has route, method, status, ids and counts: never names, bodies, keys or queries.
"""

import logging
import os
import threading
import time
from collections.abc import Mapping
from typing import Literal

from shelfwise import __version__

VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
CLOSE_SECONDS = 5.0
"""How long the last spans may take on their way when the program ends."""
log = logging.getLogger("shelfwise.tracing")


class Tracer:
    """Hands spans over to a collector, by a thread of its own."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create({"service.version": __version__})
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "shelfwise"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("shelfwise", __version__)

    def record(
        self,
        name: str,
        seconds: float,
        attributes: Mapping[str, str | int],
        *,
        kind: Literal["SERVER", "CONSUMER"],
        failed: bool,
        parent: str = "",
    ) -> None:
        """Hand over a span that ends now; `parent` is the caller's `traceparent`, if any."""
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        ended = time.time_ns()
        span = self._tracer.start_span(
            name,
            context=TraceContextTextMapPropagator().extract({"traceparent": parent}),
            kind=SpanKind[kind],
            attributes=attributes,
            start_time=ended - int(seconds * 1e9),
        )
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end(ended)

    def close(self) -> None:
        """Send what is left, for a while."""
        # OpenTelemetry would wait for half a minute.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


def tracer() -> Tracer | None:
    """What hands spans over; None where nobody collects them."""
    if not any(map(os.environ.get, VARIABLES)):
        return None
    try:
        return Tracer()
    except ModuleNotFoundError as error:
        log.warning(
            "OpenTelemetry is configured, but %s is not installed: there will be no spans. "
            "pip install 'shelfwise[otel]'",
            error.name,
        )
        return None
