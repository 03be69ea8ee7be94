"""Two doors into the service, asked in the same way: the test client and a real server."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import shelfwise
from postgresql import new_database

if TYPE_CHECKING:  # An environment without the service takes fixtures from here too.
    from werkzeug.test import Client

PATH = "/product-analysis"
LIMITS = {
    "max_rows": 3_000, "max_body_bytes": 1_000_000,
    "max_upload_rows": 3_000, "max_upload_bytes": 1_000_000,
}  # fmt: skip
"""The limits that both doors have: small, so that a test can go beyond them."""

PROBLEM_KEYS = [
    "type", "title", "status", "detail", "instance", "request_id", "errors", "error_count",
]  # fmt: skip
PRODUCT = {"product_id": 1, "name": "Lamp", "price": 2.5, "units_sold": 3, "stock": 4}


@dataclass(frozen=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def ok(self) -> Any:
        """The JSON of an answer that must be a success."""
        assert self.status == 200, self.body[:1_000]
        assert self.headers["content-type"] == "application/json"
        return self.json()

    def problem(self, status: int) -> dict[str, Any]:
        """The document of an answer that must be a problem, with all that is promised of it."""
        assert self.status == status, self.body[:1_000]
        assert self.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = self.json()
        assert sorted(document) == sorted(PROBLEM_KEYS)
        assert document["status"] == status
        assert document["request_id"] == self.headers["x-request-id"]
        assert all(document[key] for key in ("type", "title", "detail", "request_id"))
        assert len(document["errors"]) <= 50
        assert len(document["errors"]) <= document["error_count"]
        assert all(sorted(error) == ["detail", "pointer"] for error in document["errors"])
        assert b"Traceback" not in self.body
        return document


class Door(ABC):
    """Ask with JSON, unless `headers` say otherwise; a header that is None is left out."""

    def __call__(
        self,
        body: bytes = b"",
        *,
        path: str = PATH,
        method: str = "POST",
        headers: Mapping[str, str | None] | None = None,
        chunked: bool = False,
    ) -> Answer:
        given = {"Content-Type": "application/json"} | dict(headers or {})
        sent = {name: value for name, value in given.items() if value is not None}
        if chunked:
            sent["Transfer-Encoding"] = "chunked"
        return self.send(method, path, sent, body)

    @abstractmethod
    def send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer: ...


@dataclass(frozen=True)
class ClientDoor(Door):
    """The application, called by the test client."""

    client: "Client"

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        more: dict[str, Any] = {"data": body}
        if "Transfer-Encoding" in headers:
            terminated = {"wsgi.input_terminated": True}
            more = {"input_stream": BytesIO(body), "environ_overrides": terminated}
        with self.client.open(path, method=method, headers=headers, **more) as response:
            found = {name.lower(): value for name, value in response.headers}
            return Answer(response.status_code, found, response.data)


@dataclass(frozen=True)
class LiveDoor(Door):
    """A server in a process of its own, asked over a socket."""

    url: str
    pid: int = 0

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        chunked = "Transfer-Encoding" in headers
        length = {} if chunked else {"Content-Length": str(len(body))}
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        connection.connect()
        try:
            own_host = "Host" in headers
            connection.putrequest(method, path, skip_host=own_host, skip_accept_encoding=True)
            for name, value in (length | headers).items():
                connection.putheader(name, value)
            # A server that refuses a body may close before it has all of it.
            with contextlib.suppress(ConnectionError):
                connection.endheaders()
                for start in range(0, len(body), 65_536):
                    part = body[start : start + 65_536]
                    connection.send(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
                if chunked:
                    connection.send(b"0\r\n\r\n")
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()


DATABASES = ["sqlite", "postgresql"]
"""What the store is made on."""


def database_of(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of a fixture's parameter; none for SQLite's own file."""
    if request.param == "sqlite":
        return ""
    return new_database(request.getfixturevalue("postgresql"))


def environment(home: Path, **variables: str) -> dict[str, str]:
    """An environment for a process: this source, a private home, no settings of the caller's."""
    clean = {name: v for name, v in os.environ.items() if not name.startswith("SHELFWISE_")}
    source = str(Path(shelfwise.__file__).parents[1])
    return clean | {"PYTHONPATH": source, "SHELFWISE_DATA_DIR": str(home)} | variables


@contextlib.contextmanager
def serving(home: Path, *options: str, **variables: str) -> Iterator[LiveDoor]:
    """A server started as a user starts it, on a free port, until the block ends."""
    log = home / "stderr.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "shelfwise.cli",
                "serve",
                "--port",
                "0",
                *([] if "--worker" in options else ["--no-worker"]),
                *(one for one in options if one != "--worker"),
            ],
            env=environment(home, **variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
    try:
        end = time.monotonic() + 60
        while "Stop: Ctrl-C" not in (said := log.read_text(encoding="utf-8")):
            assert process.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.05)
        yield LiveDoor(said.split("listens on ")[1].split()[0], process.pid)
    finally:
        process.terminate()
        process.wait(timeout=40)


def catalogue(*changes: Mapping[str, Any]) -> bytes:
    """A JSON array: a product for each change, numbered from 1 unless the change says."""
    return json.dumps(products(*changes), ensure_ascii=False).encode()


def products(*changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [PRODUCT | {"product_id": n} | dict(c) for n, c in enumerate(changes, start=1)]


def raw(old: str = "", new: str = "", more: str = "") -> bytes:
    """One product as JSON text with a piece replaced, or keys added: what no encoder writes."""
    text = json.dumps(PRODUCT)
    assert old in text
    return f"[{text.replace(old, new, 1)[:-1]}{more}}}]".encode("utf-8", "surrogatepass")
