"""Superset itself: it takes the ZIP, asks for the password, and every chart gets its data."""

import http.client
import io
import json
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shelfwise
from kinds import shop
from postgresql import Server, new_database
from shelfwise.connect import superset, zipped
from shelfwise.connect.questions import QUESTIONS, TITLE
from shelfwise.settings import load_settings
from shelfwise.store import Store

pytestmark = pytest.mark.superset
PROJECT = Path(__file__).resolve().parent.parent
PROGRAM = PROJECT / ".venv-superset" / "bin" / "superset"
CONFIG = """
import os
SECRET_KEY = "of a test alone, and no secret"
SQLALCHEMY_DATABASE_URI = "sqlite:///" + os.environ["SUPERSET_HOME"] + "/superset.db"
"""
USER = {"username": "admin", "password": "admin", "provider": "db"}


class Superset:
    """A running server, and somebody who is signed in."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.headers: dict[str, str] = {}

    def __call__(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        sent = {"Content-Type": kind} if body else {}  # It would look for JSON in nothing.
        try:
            connection.request(method, path, body, sent | self.headers)
            answer = connection.getresponse()
            content = answer.read()
            for value in answer.headers.get_all("Set-Cookie", []):
                self.headers["Cookie"] = value.partition(";")[0]
            return answer.status, json.loads(content)
        finally:
            connection.close()

    def sign_in(self) -> None:
        status, found = self("POST", "/api/v1/security/login", json.dumps(USER).encode())
        assert status == 200, found
        self.headers["Authorization"] = f"Bearer {found['access_token']}"
        _, token = self("GET", "/api/v1/security/csrf_token/")
        self.headers["X-CSRFToken"] = token["result"]

    def import_(self, content: bytes, **passwords: str) -> tuple[int, Any]:
        mark = uuid.uuid4().hex
        body = io.BytesIO()
        for name, value in (("passwords", json.dumps(passwords)), ("overwrite", "true")):
            body.write(f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
                       f"{value}\r\n".encode())  # fmt: skip
        body.write(f'--{mark}\r\nContent-Disposition: form-data; name="formData"; '
                   'filename="shelfwise.zip"\r\nContent-Type: application/zip\r\n\r\n'
                   .encode() + content + f"\r\n--{mark}--\r\n".encode())  # fmt: skip
        kind = f"multipart/form-data; boundary={mark}"
        return self("POST", "/api/v1/dashboard/import/", body.getvalue(), kind)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    """Superset on a free port of loopback, with a user."""
    if not PROGRAM.exists():
        pytest.skip("Superset is not installed; make test-superset does it")
    home = tmp_path_factory.mktemp("superset")
    (home / "superset_config.py").write_text(CONFIG)
    environ = os.environ | {"SUPERSET_HOME": str(home), "FLASK_APP": "superset",
                            "SUPERSET_CONFIG_PATH": str(home / "superset_config.py")}  # fmt: skip
    for line in (
        ("db", "upgrade"),
        ("fab", "create-admin", "--username", "admin", "--firstname", "a", "--lastname", "b",
         "--email", "admin@example.org", "--password", "admin"),
        ("init",),
    ):  # fmt: skip
        done = subprocess.run([PROGRAM, *line], env=environ, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr[-2_000:].decode()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = home / "log"
    with log.open("wb") as file:
        line = [PROGRAM, "run", "-h", "127.0.0.1", "-p", str(port), "--no-reload", "--no-debugger"]
        server = subprocess.Popen(line, env=environ, stdout=file, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 120
        while True:
            assert server.poll() is None, log.read_text()[-2_000:]
            assert time.monotonic() < end, log.read_text()[-2_000:]
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        found = Superset(port)
        found.sign_in()
        yield found
    finally:
        server.terminate()
        server.wait(timeout=60)


@pytest.fixture
def address(postgresql: Server, tmp_path: Path) -> tuple[str, str]:
    """The address of published runs for a role that only reads, without its password; that."""
    url = new_database(postgresql)
    role = f"reader_{url[-6:]}"
    with Store(load_settings({}, data_dir=tmp_path, database_url=url)) as store:
        for day in (1, 2, 3):
            rows = [
                row | {"supplier": f"S{row['product_id'] % 3}", "unit_cost": 3.0,
                       "units_sold": row["product_id"] * 7 * day % 50}
                for row in shop(40)
            ]  # fmt: skip
            run = store.runs.save(shelfwise.analyze(rows))
            store.derived.make(run, "inventory")
            store.published.publish()
        password = store.published.let_read(role)
    assert password
    return url.replace("shop:s3cret", role), password


def test_the_zip_is_imported_and_every_chart_has_its_data(
    running: Superset, address: tuple[str, str]
) -> None:
    place, password = address
    content = zipped(superset.files(place))
    status, refused = running.import_(content)
    assert (status, "Must provide a password" in json.dumps(refused)) == (422, True)
    given = {"databases/Shelfwise.yaml": password}
    for _ in range(2):  # The second import finds everything there.
        status, said = running.import_(content, **given)
        assert status == 200, said
    _, boards = running("GET", "/api/v1/dashboard/")
    assert [board["dashboard_title"] for board in boards["result"]] == [TITLE]
    _, charts = running("GET", f"/api/v1/dashboard/{boards['result'][0]['id']}/charts")
    wanted = {question.title: question for question in QUESTIONS}
    assert {chart["slice_name"] for chart in charts["result"]} == wanted.keys()
    for chart in charts["result"]:
        status, answer = running("GET", f"/api/v1/chart/{chart['id']}/data/")
        assert status == 200, (chart["slice_name"], answer)
        (found,) = answer["result"]
        question = wanted[chart["slice_name"]]
        assert found["data"], chart["slice_name"]
        assert found["colnames"] == [*question.by, *(m.label for m in question.measures)]
