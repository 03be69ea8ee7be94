"""Spans of requests and jobs, sent to a real collector on this machine."""

import contextlib
import gzip
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from test_v1_runs import get, post

from doors import PATH, ClientDoor, environment, serving
from kinds import shop
from shelfwise import __version__
from shelfwise.service import close, create_app

trace_service = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
    reason="the extra `otel` is not installed; `make test` installs it",
)
KEY = "sesame-sesame-sesame"


@dataclass
class Collector:
    """What a collector was sent: the bytes, and the spans in them."""

    url: str
    raw: list[bytes] = field(default_factory=list)
    spans: list[Any] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        self.raw.append(body)
        for found in trace_service.ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(values(found.resource.attributes))
            for scope in found.scope_spans:
                assert scope.scope.name == "shelfwise"
                self.spans += scope.spans

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans if span.name == name]


def values(attributes: Any) -> dict[str, Any]:
    """Attributes as a dict."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that speaks OTLP over HTTP, on a free port, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            packed = self.headers.get("Content-Encoding") == "gzip"
            collector.take(gzip.decompress(body) if packed else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def test_each_request_is_a_span_without_anybodys_data(tmp_path: Path) -> None:
    with collecting() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "SHELFWISE_API_KEY": KEY}
        caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        with serving(tmp_path, **variables) as door:
            before = time.time_ns()
            rows = [row | {"name": "Hush-hush lamp"} for row in shop(7)]
            first = post(
                door, rows, "?label=Quiet&save=1", Authorization=f"Bearer {KEY}",
                traceparent=caller, tracestate="vendor=murmur",
            )  # fmt: skip
            run_id = first.ok()["run_id"]
            get(door, f"/v1/runs/{run_id}/products.json?search=whisper", X_API_Key=KEY).ok()
            get(door, "/v1/runs", Authorization="Bearer wrong-wrong-wrong").problem(401)
            get(door, "/nothing/here", X_API_Key=KEY).problem(404)
            after = time.time_ns()
        # The last spans were sent before the server ended.
    assert [(span.name, values(span.attributes)["http.response.status_code"])
            for span in collector.spans] == [
        ("POST /product-analysis", 200),
        ("GET /v1/runs/{run_id}/products.{format}", 200),
        ("GET /v1/runs", 401),
        ("GET unknown", 404),
    ]  # fmt: skip
    span = collector.spans[0]
    assert values(span.attributes) == {
        "http.request.method": "POST",
        "http.route": PATH,
        "http.response.status_code": 200,
        "shelfwise.request_id": first.headers["x-request-id"],
        "shelfwise.products": 7,
    }
    assert span.kind == span.SPAN_KIND_SERVER
    assert before < span.start_time_unix_nano < span.end_time_unix_nano < after
    assert f"00-{span.trace_id.hex()}-{span.parent_span_id.hex()}-01" == caller
    assert not collector.spans[1].parent_span_id
    assert collector.resources[0]["service.name"] == "shelfwise"
    assert collector.resources[0]["service.version"] == __version__
    sent = b"".join(collector.raw)
    for secret in (
        "Hush",
        "Quiet",
        "whisper",
        "murmur",
        "sesame",
        "wrong-wrong",
        run_id,
        "nothing",
    ):
        assert secret.encode() not in sent
    assert "Traceback" not in (tmp_path / "stderr.txt").read_text()


def test_each_job_is_a_span(tmp_path: Path) -> None:
    with collecting() as collector:
        named = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces",
                 "OTEL_SERVICE_NAME": "shop", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}  # fmt: skip
        with serving(tmp_path, "--worker", **named) as door:
            async_ = {"Prefer": "respond-async"}
            good = post(door, shop(5), **async_).json()["id"]
            bad = post(door, [{"product_id": 1}], **async_).json()["id"]
            end = time.monotonic() + 90
            while not all(
                get(door, f"/v1/jobs/{job}").json()["finished_at"] for job in (good, bad)
            ):
                assert time.monotonic() < end
                time.sleep(0.2)
    jobs = {values(span.attributes)["shelfwise.job_id"]: span for span in collector.named("job")}
    assert set(jobs) == {good, bad}
    assert values(jobs[good].attributes)["shelfwise.products"] == 5
    assert not jobs[good].status.code
    assert values(jobs[bad].attributes)["error.type"]
    assert jobs[bad].status.code == jobs[bad].status.STATUS_CODE_ERROR
    assert jobs[good].kind == jobs[good].SPAN_KIND_CONSUMER
    assert {resource["service.name"] for resource in collector.resources} == {"shop"}


def test_a_span_says_that_the_service_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        app = create_app(data_dir=tmp_path)
        app.config["DRAINING"] = True
        get(ClientDoor(app.test_client()), "/readyz").problem(503)
        close(app)
    (span,) = collector.spans
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert span.name == "GET /readyz"


def test_a_collector_that_is_away_holds_nobody_up(tmp_path: Path) -> None:
    with collecting() as collector:
        url = collector.url
    fast = {"OTEL_BSP_SCHEDULE_DELAY": "100", "SHELFWISE_LOG": "json"}
    with serving(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=url, **fast) as door:
        for _ in range(3):
            post(door, shop(5)).ok()
        time.sleep(0.5)
    told = [json.loads(line) for line in (tmp_path / "stderr.txt").read_text().splitlines()
            if line.startswith("{")]  # fmt: skip
    assert any(line["logger"].startswith("opentelemetry.") for line in told)
    assert sum(line["event"] == "request" for line in told) == 3


LOADED = """
import sys
{first}
from shelfwise.service import create_app
app = create_app()
hooks = [hook.__qualname__ for hook in app.after_request_funcs[None]]
print(any("traced" in name for name in hooks), *(n for n in sys.modules if n.startswith("opentel")))
"""


def started(home: Path, first: str = "", **variables: str) -> tuple[str, str]:
    """What an application says that is made in a process of its own."""
    clean = {n: v for n, v in environment(home, **variables).items()
             if not n.startswith("OTEL_") or n in variables}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(first=first)],
        env=clean, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip(), done.stderr


def test_without_a_collector_nothing_of_it_is_loaded_or_run(tmp_path: Path) -> None:
    assert started(tmp_path) == ("False", "")


def test_without_the_extra_the_service_runs_and_says_so(tmp_path: Path) -> None:
    absent = "sys.modules['opentelemetry'] = None"
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    said, complaint = started(tmp_path, absent, **endpoint)
    assert said == "False opentelemetry"
    assert "pip install 'shelfwise[otel]'" in complaint
    assert "Traceback" not in complaint
