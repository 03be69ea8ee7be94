"""A PostgreSQL server of the tests' own: made by initdb, on loopback, stopped at the end."""

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSWORD = "s3cret"


@dataclass
class Server:
    """A running server; `url` names its database `postgres`."""

    binaries: Path
    folder: Path
    port: int
    user: dict[str, Any]

    @property
    def url(self) -> str:
        return f"postgresql://shop:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def control(self, *command: str) -> None:
        """pg_ctl, for tests that stop and start the server."""
        options = ["-o", f"-p {self.port} -h 127.0.0.1 -k ''"] if "start" in command else []
        subprocess.run(
            [self.binaries / "pg_ctl", "-D", self.folder / "data", "-w", "-l",
             self.folder / "log", *options, *command],
            check=True, capture_output=True, cwd=self.folder, **self.user,
        )  # fmt: skip

    def start(self) -> None:
        self.control("start")

    def stop(self) -> None:
        self.control("-m", "immediate", "stop")


def new_database(server: Server, template: str = "template1") -> str:
    """The URL of an empty database, or of a copy of one that nobody is connected to."""
    import psycopg

    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return server.url.replace("/postgres", f"/{name}")


def drop_database(server: Server, url: str) -> None:
    """Remove a database, whoever is connected to it."""
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")


def binaries() -> Path | None:
    """Where initdb is, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    path = shutil.which("initdb")
    return found[-1].parent if found else Path(path).parent if path else None


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Server]:
    """A server until the block ends; PostgreSQL must be installed."""
    where = binaries()
    assert where
    # PostgreSQL refuses to run as root; nobody may own its folder then.
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        for path in (folder, *folder.parents[:3]):
            if path.stat().st_mode & 0o005 != 0o005:  # What is open to all stays as it is.
                path.chmod(0o755)
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    subprocess.run(
        [where / "initdb", "-D", folder / "data", "-U", "shop", "--auth=scram-sha-256",
         "--no-sync", f"--pwfile={password}"],
        check=True, capture_output=True, cwd=folder, **user,
    )  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(where, folder, port, user)
    server.start()
    try:
        yield server
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):  # A test may have stopped it.
            server.control("-m", "fast", "stop")
