"""The headers that the document names are those that come, on every operation and status."""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from test_v1_jobs import BODY, CSV

import shelfwise
from doors import PATH, Answer, ClientDoor
from kinds import shop, sold
from shelfwise.insights.sections import QUESTIONS
from shelfwise.service.headers import ANSWERED, ASKED, KEY_HEADERS
from shelfwise.service.openapi import document
from shelfwise.settings import load_settings

ROOT = "root-0123456789-abcdef"
NAMES = {header.name.lower(): header.name for header in ANSWERED}
PATHS: dict[str, dict[str, Any]] = document()["paths"]
OPERATIONS = {(method, path): operation for path, item in PATHS.items()
              for method, operation in item.items()}  # fmt: skip


class Walker:
    """Asks, and notes which headers each operation gave with each status."""

    def __init__(self, client: FlaskClient) -> None:
        self.door = ClientDoor(client)
        self.seen: dict[tuple[str, str], set[str]] = defaultdict(set)

    def __call__(
        self, method: str, path: str, body: Any = None, query: str = "", /, *,
        headers: dict[str, str | None] | None = None, **values: str,
    ) -> Answer:  # fmt: skip
        """An answer; of a success of GET also the 304 that its ETag gets."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        given = {"X-API-Key": ROOT} | (headers or {})
        content = content if isinstance(content, bytes) else content.encode()
        url = path.format(**values) + query
        answer = self.door(content, path=url, method=method.upper(), headers=given)
        name = OPERATIONS[method, path]["operationId"]
        self.seen[name, str(answer.status)] |= NAMES.keys() & answer.headers.keys()
        if method == "get" and "etag" in answer.headers:
            same = {"If-None-Match": answer.headers["etag"]} | given
            again = self.door(path=url, method="GET", headers=same)
            assert (again.status, again.body) == (304, b"")
            self.seen[name, "304"] |= NAMES.keys() & again.headers.keys()
        return answer

    def differences(self) -> dict[tuple[str, str], set[str]]:
        """Where what came is not what the document names."""
        declared = {
            (operation["operationId"], status): set(map(str.lower, answer.get("headers", ())))
            for operation in OPERATIONS.values()
            for status, answer in operation["responses"].items()
        }
        assert self.seen.keys() <= declared.keys()
        return {at: came ^ declared[at] for at, came in self.seen.items() if came ^ declared[at]}


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A run of order lines, with trends, and one product too many."""
    with shelfwise.Store(load_settings({}, data_dir=tmp_path)) as store:
        lines = shelfwise.from_sales(sold()[0], catalog=sold()[1])
        kept = store.runs.save(shelfwise.analyze(lines))
        store.derived.make(kept, "trends")
        store.derived.make(kept, "marketing")
        bad = [{**row, "price": -1} for row in shop(2)]
        rows = [*shop(9)[2:], *bad]
        store.runs.save(shelfwise.analyze(rows, on_error="skip"))
    return kept.id


def walk(ask: Walker, folder: Path, run: str) -> None:
    """Everything that succeeds, with lists long enough for a second page."""
    skipping = ask("get", "/v1/runs").json()["data"][0]["id"]
    key = {"Idempotency-Key": "once"}
    ask("post", "/product-analysis", shop(3))
    ask("post", "/product-analysis", shop(3), "?save=1")
    for _ in range(2):
        ask("post", "/product-analysis", shop(3), headers={"Prefer": "respond-async"})
        ask("post", "/v1/models", {"name": "shop", "run": "latest"})
        ask("post", "/v1/keys", {"name": "till", "scopes": ["read"]})
        product = {"product_id": 1, "reason": "It is new."}
        ask("post", "/v1/overrides", product | {"tier": "High"})
        ask("post", "/v1/decisions", product | {"action": "reorder", "verdict": "accepted"})
    place = {"source": {"place": str(folder / "shop.csv")}}
    job = ask("post", "/v1/runs", place, headers=key).json()["id"]
    for kind in ("trends", "forecast", "elasticity", *QUESTIONS):
        body = {"since": skipping} if kind == "changes" else {}
        ask("post", f"/v1/runs/{{run_id}}/{kind}", body, run_id=run)
    ask("post", "/v1/runs/{run_id}/publish", {"keep": 3}, run_id=run)
    ask("post", "/v1/schedules", {"name": "often", "cron": "0 6 * * 1", "run": place})
    ask("post", "/v1/schedules/{name}/trigger", name="often")
    ask("patch", "/v1/schedules/{name}", {"active": False}, name="often")
    folder_ = {"to": [{"folder": str(folder / "out")}]}
    sent = ask("post", "/v1/runs/{run_id}/deliveries", folder_, run_id=run)
    delivery = sent.json()["data"][0]["id"]
    with shelfwise.Store(load_settings({}, data_dir=folder)) as store:
        store.deliveries.failed(delivery, "The disk is full.")
    ask("post", "/v1/deliveries/{delivery_id}/again", delivery_id=delivery)
    ask("post", "/v1/links", {"path": "/v1/runs/latest/products.csv"})
    upload = ask("post", "/v1/uploads", BODY, headers={"Content-Type": CSV}).json()["id"]
    prefix = ask("get", "/v1/keys").json()["data"][0]["prefix"]
    override = ask("get", "/v1/overrides").json()["data"][0]["id"]
    for (method, path), operation in OPERATIONS.items():
        if method != "get":
            continue
        values = {"run_id": run, "job_id": job, "upload_id": upload, "name": "often",
                  "delivery_id": delivery, "reference": "shop", "table": "trends"}  # fmt: skip
        if path.startswith("/v1/models/{name}"):
            values["name"] = "shop"
        if path.endswith("rejected"):
            values["run_id"] = skipping
        query = {
            "/v1/history": "?product_id=101",
            "/v1/connect/superset.zip": "?database=postgresql://reader@host/shelfwise",
        }.get(path, "")
        names = {one["name"] for one in operation.get("parameters", ())}
        formats = ("json", "csv") if "{format}" in path else ("",)
        formats = ("pdf", "html") if "{document}" in path else formats
        for format in formats:
            small = "?limit=1" if "after" in names else query
            found = ask("get", path, None, small, format=format, document=format, **values)
            assert found.status == 200, (path, found.body)
    ask("patch", "/v1/runs/{run_id}", {"pinned": False}, run_id=run)
    ask("put", "/v1/models/{name}/aliases/{alias}", {"version": 1}, name="shop", alias="old")
    ask("post", "/v1/keys/{prefix}/rotate", prefix=prefix)
    ask("delete", "/v1/keys/{prefix}", prefix=prefix)
    ask("delete", "/v1/overrides/{override_id}", override_id=override)
    ask("delete", "/v1/jobs/{job_id}", job_id=job)
    ask("delete", "/v1/uploads/{upload_id}", upload_id=upload)
    ask("delete", "/v1/schedules/{name}", name="often")
    ask("delete", "/v1/runs/{run_id}", run_id=skipping)


def test_every_success_has_the_headers_that_the_document_names(
    client_of: Callable[..., FlaskClient], tmp_path: Path, run: str
) -> None:
    opened = (str(tmp_path),)
    ask = Walker(client_of(data_dir=tmp_path, api_key=ROOT, rate_limit=10_000,
                           sources=opened, delivery_folders=opened))  # fmt: skip
    walk(ask, tmp_path, run)
    assert ask.differences() == {}
    succeeded = {name for name, status in ask.seen if status < "300"}
    assert succeeded == {operation["operationId"] for operation in OPERATIONS.values()}


def test_every_refusal_has_the_headers_that_the_document_names(
    client_of: Callable[..., FlaskClient], tmp_path: Path, run: str
) -> None:
    client = client_of(data_dir=tmp_path, api_key=ROOT, rate_limit=100_000, max_queued=1,
                       sources=(str(tmp_path),))  # fmt: skip
    ask = Walker(client)
    keys = {scopes: ask("post", "/v1/keys", {"name": "a", "scopes": [scopes]}).json()["key"]
            for scopes in ("read", "analyze")}  # fmt: skip
    place = {"source": {"place": str(tmp_path / "shop.csv")}}
    ask("post", "/v1/runs", place)  # Now the queue is full.
    unknown = dict.fromkeys(
        (
            "run_id",
            "job_id",
            "upload_id",
            "name",
            "reference",
            "override_id",
            "prefix",
            "alias",
            "delivery_id",
        ),
        "nope",
    ) | {"table": "trends", "format": "csv", "document": "pdf"}
    for method, path in OPERATIONS:
        ask(method, path, **unknown, headers={"X-API-Key": "wrong"})
        ask(method, path, None, "?nobody=1", **unknown)
        ask(method, path, {}, **unknown)
        ask(method, path, b"[", **unknown)
        for one in keys.values():
            ask(method, path, **unknown, headers={"X-API-Key": one})
    ask("post", "/v1/runs", place)
    ask.seen = {at: names for at, names in ask.seen.items() if at[1] >= "400"}
    assert {"401", "403", "404", "422", "400", "503"} <= {status for _, status in ask.seen}
    limited = Walker(client_of(data_dir=tmp_path, api_key=ROOT, rate_limit=1))
    for method, path in 2 * list(OPERATIONS):
        limited(method, path, **unknown)
    limited.seen = {at: names for at, names in limited.seen.items() if at[1] == "429"}
    assert len(limited.seen) > 30
    assert (ask.differences(), limited.differences()) == ({}, {})


def test_the_headers_of_requests_are_declared(client_of: Callable[..., FlaskClient]) -> None:
    schemes = document()["components"]["securitySchemes"]
    assert schemes["header"]["name"] == KEY_HEADERS[1]
    door = ClientDoor(client_of(api_key=ROOT))
    for headers in ({"Authorization": f"Bearer {ROOT}"}, {KEY_HEADERS[1]: ROOT}):
        assert door(json.dumps(shop(3)).encode(), path=PATH, headers=headers).status == 200
    for operation in OPERATIONS.values():
        given = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "header"}
        assert given <= {header.name for header in ASKED}
        assert ("If-None-Match" in given) == ("304" in operation["responses"])
        assert ("Idempotency-Key" in given) == ("409" in operation["responses"])
