"""docs/how-to/production.md followed word by word, with a real PostgreSQL and without containers.

Its commands are read from the page, so that the page cannot say anything else than what works.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import postgresql as pg

PROJECT = Path(__file__).resolve().parent.parent
PAGE = (PROJECT / "docs" / "how-to" / "production.md").read_text(encoding="utf-8")
START = 'import sys; from shelfwise.cli import main; sys.argv[0] = "shelfwise"; main()'
ADDRESS = "127.0.0.1:8000"


def blocks(heading: str, kind: str) -> list[str]:
    """The code blocks of one kind under a heading of the page, without those for containers."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(rf"^```{kind}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [block for block in found if "docker compose" not in block]


def typed(block: str) -> str:
    """The commands of a `console` block."""
    return "".join(line[2:] + "\n" for line in block.splitlines() if line.startswith("$ "))


@dataclass
class Reader:
    """Somebody who follows the page in a folder of their own."""

    folder: Path
    environment: dict[str, str]
    address: str = ""

    def run(self, script: str) -> str:
        """What a script prints; it ends at the first command that fails."""
        script = script.replace(ADDRESS, self.address or ADDRESS)
        done = subprocess.run(
            ["/bin/sh", "-euc", script], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    def export(self, script: str) -> str:
        """Take over what a script exports; the other commands."""
        for name, value in re.findall(r"^export (\w+)=(\S+)$", script, re.MULTILINE):
            self.environment[name] = value
        return re.sub(r"^export .*\n", "", script, flags=re.MULTILINE)

    @contextlib.contextmanager
    def started(self, command: str, sign: str) -> Iterator[str]:
        """A program that stays, until the block ends; what it said when it was ready."""
        log = self.folder / f"{command.split()[1]}.txt"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"], cwd=self.folder, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            )  # fmt: skip
        try:
            end = time.monotonic() + 60
            while sign not in (said := log.read_text(encoding="utf-8")):
                assert process.poll() is None, said
                assert time.monotonic() < end, said
                time.sleep(0.05)
            yield said
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0, log.read_text()

    @contextlib.contextmanager
    def serving(self, command: str) -> Iterator[None]:
        """The web server, on a free port."""
        with self.started(f"{command} --port 0", "Stop: Ctrl-C") as said:
            self.address = said.split("http://")[1].split()[0]
            yield

    def get(self, path: str, key: str, body: bytes | None = None, **headers: str) -> bytes:
        request = urllib.request.Request(
            f"http://{self.address}{path}", body, {"X-API-Key": key} | headers
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: bytes = answer.read()
        return found

    def json(self, path: str, key: str, body: bytes | None = None, **headers: str) -> Any:
        return json.loads(self.get(path, key, body, **headers))


@pytest.fixture
def reader(tmp_path: Path, postgresql: pg.Server) -> Reader:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed (Debian: apt install curl)")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, rest in (("python", '"$@"'), ("shelfwise", f"-c '{START}' \"$@\"")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {rest}\n', encoding="utf-8")
        program.chmod(0o755)
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("SHELFWISE_", "PG", "OTEL_"))}
    folder = tmp_path / "clean"
    folder.mkdir()
    path = f"{programs}{os.pathsep}{postgresql.binaries}{os.pathsep}{os.environ['PATH']}"
    return Reader(folder, clean | {"PATH": path, "PYTHONPATH": str(PROJECT / "src")})


@pytest.fixture
def database(reader: Reader, postgresql: pg.Server) -> Callable[[], None]:
    """Makes what the PostgreSQL of compose.yaml makes of its variables: a user and a database."""
    psycopg = pytest.importorskip("psycopg", reason="`make test` installs psycopg")

    def make() -> None:
        secrets = reader.folder / "secrets"
        password = (secrets / "database_password").read_text().strip()
        with psycopg.connect(postgresql.url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE shelfwise SUPERUSER LOGIN PASSWORD '{password}'")
            connection.execute("CREATE DATABASE shelfwise OWNER shelfwise")
        url = (secrets / "database_url").read_text()
        # What the page asks for: the host of the database.
        url = url.replace("@database/", f"@127.0.0.1:{postgresql.port}/")
        (secrets / "database_url").write_text(url)

    return make


def test_the_page_holds_what_it_says_with_postgresql(
    reader: Reader, database: Callable[[], None]
) -> None:
    reader.run(typed(blocks("Secrets", "console")[0]))
    assert (reader.folder / "secrets").stat().st_mode & 0o777 == 0o700
    database()
    master = (reader.folder / "secrets" / "api_key").read_text().strip()
    migrate, web, worker = reader.export(blocks("Start", "sh")[0]).splitlines()
    assert "has version" in reader.run(migrate)
    with contextlib.ExitStack() as running:
        running.enter_context(reader.serving(web))
        running.enter_context(reader.started(worker, "works."))
        assert '"ready"' in reader.run(f"curl -s http://{ADDRESS}/readyz")
        made = reader.run(typed(blocks("Keys", "console")[0]))
        key = re.search(r"^swk_\S+$", made, re.MULTILINE)
        assert key
        analysis, own = map(json.loads, reader.run(blocks("Keys", "sh")[0]).replace("}{", "}\n{")
                            .splitlines())  # fmt: skip
        assert analysis["status"] == "success"
        assert own["who"] == "SHELFWISE_API_KEY"
        assert reader.json("/v1/key", key[0])["scopes"] == ["analyze", "read"]
        job = reader.json(
            "/product-analysis", key[0],
            b"product_id,name,price,units_sold,stock\n1,Lamp,20,9,1\n2,Mug,5.5,2,8\n",
            **{"Content-Type": "text/csv", "Prefer": "respond-async"},
        )  # fmt: skip
        end = time.monotonic() + 60
        while not (done := reader.json(f"/v1/jobs/{job['id']}", key[0]))["finished_at"]:
            assert time.monotonic() < end
            time.sleep(0.2)
        assert done["state"] == "succeeded", done
        assert b'route="/product-analysis",status="200"' in reader.get("/metrics", key[0])
        before = kept(reader, key[0])
        reader.run(blocks("Back up", "sh")[0])
        # What comes after the backup is not in it.
        reader.run(blocks("Keys", "sh")[0])
        assert len(kept(reader, key[0])["runs"]) == 3
    shown = reader.run(reader.export(blocks("Restore", "sh")[0]))
    assert "Lamp" in shown
    assert reader.environment["SHELFWISE_DATA_DIR"] == "restored"
    with reader.serving(web), reader.started(worker, "works."):
        assert kept(reader, key[0]) == before
        assert reader.json(f"/v1/jobs/{job['id']}", key[0])["state"] == "succeeded"
        assert reader.json("/v1/audit", master)["data"]
        reader.run(blocks("Keys", "sh")[0])
        assert len(kept(reader, key[0])["runs"]) == 3


def kept(reader: Reader, key: str) -> dict[str, Any]:
    """The runs, and the products of each, as they come over HTTP."""
    runs = reader.json("/v1/runs", key)["data"]
    files = {run["id"]: reader.get(f"/v1/runs/{run['id']}/products.csv", key) for run in runs}
    return {"runs": runs, "products": files}


def test_the_commands_for_containers_name_what_compose_has() -> None:
    import yaml

    services = yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    named = re.findall(r"docker compose (?:exec|run)((?: --?[\w-]+)*) (\w+) (\w+)", PAGE)
    assert len(named) >= 6
    for _, service, program in named:
        assert service in services
        assert program in ("tar", "pg_dump", "pg_restore", "shelfwise")
    user, name = (services["database"]["environment"][n] for n in ("POSTGRES_USER", "POSTGRES_DB"))
    assert f"pg_dump --username={user} --format=custom {name} >" in PAGE
    assert f"--username={user} --no-owner --exit-on-error --dbname={name} <" in PAGE
