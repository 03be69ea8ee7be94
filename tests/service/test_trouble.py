"""A database that goes away, a disk that fills up, a server that stops, while requests come."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from test_v1_jobs import over
from test_v1_runs import get, post

import postgresql as pg
from doors import Answer, ClientDoor, Door, LiveDoor, serving
from kinds import shop


@pytest.fixture
def own_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pg.Server]:
    """A server that a test may stop."""
    if not pg.binaries():
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    with pg.running(tmp_path_factory.mktemp("own")) as server:
        yield server


def test_a_database_goes_away_and_comes_back(own_postgresql: pg.Server, tmp_path: Path) -> None:
    with serving(tmp_path, SHELFWISE_DATABASE_URL=own_postgresql.url) as door:
        assert isinstance(door, LiveDoor)
        kept = post(door, shop(), "?save=1").ok()["run_id"]
        scored, saved, over = [], [], threading.Event()

        def score() -> None:
            while not over.is_set():
                scored.append(post(door, shop()).status)

        def save() -> None:
            while not over.is_set():
                saved.append(post(door, shop(), "?save=1"))

        clients = [threading.Thread(target=work) for work in (score, score, save)]
        for client in clients:
            client.start()
        own_postgresql.stop()
        for path in ("/v1/runs", "/readyz", "/v1/jobs"):
            answer = get(door, path)
            assert answer.headers["retry-after"] == "5"
            assert "s3cret" not in str(answer.problem(503))
        post(door, shop(), "?save=1").problem(503)
        assert get(door, "/livez").status == 200
        own_postgresql.start()
        assert get(door, "/readyz").status == 200
        assert get(door, f"/v1/runs/{kept}").ok()["id"] == kept
        assert post(door, shop(), "?save=1").ok()["run_id"] != kept
        over.set()
        for client in clients:
            client.join()
        assert set(scored) == {200}
        assert {answer.status for answer in saved} == {200, 503}
        for answer in saved:
            if answer.status == 200:  # What was promised to be kept is there.
                get(door, f"/v1/runs/{answer.ok()['run_id']}").ok()
            else:
                answer.problem(503)


@contextlib.contextmanager
def disk_of(size: str, folder: Path) -> Iterator[Path]:
    """A folder on a disk of its own, of that size."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """The disk of a folder, with no room until the block ends."""
    ballast = folder / "ballast"
    try:
        # Unbuffered: what does not fit must not come up again when the file is closed.
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        yield
    finally:
        ballast.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of one megabyte."""
    with disk_of("1m", tmp_path / "small") as folder:
        yield folder


def large(rows: int) -> list[dict[str, Any]]:
    """Products whose names cannot be packed."""
    return [row | {"name": os.urandom(60).hex()} for row in shop(rows)]


def test_a_full_disk_is_said_and_leaves_nothing_half_written(
    small_disk: Path, tmp_path: Path, client_of: Callable[..., FlaskClient]
) -> None:
    data = tmp_path / "kept"
    data.mkdir()
    for name in ("results", "uploads"):
        (small_disk / name).mkdir()
        (data / name).symlink_to(small_disk / name)
    door = ClientDoor(client_of(data_dir=data))
    kept = post(door, shop(), "?save=1").ok()["run_id"]
    assert "Make room" in post(door, large(15_000), "?save=1").problem(507)["detail"]
    csv = "product_id,name\n" + "1,x\n" * 400_000
    full = door(csv.encode(), path="/v1/uploads", headers={"Content-Type": "text/csv"})
    assert "Make room" in full.problem(507)["detail"]
    assert [run["id"] for run in get(door, "/v1/runs").ok()["data"]] == [kept]
    assert not list(small_disk.glob("*/.*.part"))
    assert post(door, shop(9), "?save=1").ok()["run_id"] != kept


def test_a_file_that_cannot_grow_is_said_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    """The same without a disk of its own: no file of the server may grow beyond 64 KiB."""
    # Of bytecode Python would keep the part that fits, and break each later import.
    with serving(tmp_path, PYTHONDONTWRITEBYTECODE="1") as door:
        kept = post(door, shop(), "?save=1").ok()["run_id"]
        before = sorted((tmp_path / "results").iterdir())
        _, most = resource.prlimit(door.pid, resource.RLIMIT_FSIZE, (2**16, resource.RLIM_INFINITY))
        assert "Make room" in post(door, large(1_500), "?save=1").problem(507)["detail"]
        assert sorted((tmp_path / "results").iterdir()) == before
        assert [run["id"] for run in get(door, "/v1/runs").ok()["data"]] == [kept]
        resource.prlimit(door.pid, resource.RLIMIT_FSIZE, (most, most))
        again = post(door, large(1_500), "?save=1").ok()["run_id"]
        found = get(door, f"/v1/runs/{again}/products.json?limit=1").ok()
        assert len(found["data"]) == 1


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_full_disk_under_the_database_is_said(
    kind: str, tmp_path: Path, client_of: Callable[..., FlaskClient]
) -> None:
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(disk_of("8m" if kind == "sqlite" else "200m", tmp_path))
        if kind == "sqlite":
            door = ClientDoor(client_of(data_dir=disk))
        else:
            if not pg.binaries():
                pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
            server = stack.enter_context(pg.running(disk))
            door = ClientDoor(client_of(database_url=server.url))
        assert add_key(door).status == 201
        with filled(disk):
            # There may be room for some rows in what the database has taken already.
            answers = (add_key(door) for _ in range(2_000))
            refused = next(answer for answer in answers if answer.status != 201)
            problem = refused.problem(507)
            assert problem["type"] == "urn:shelfwise:problem:store_full"
            assert "Make room" in problem["detail"]
            known = get(door, "/v1/keys").ok()["data"]
            assert get(door, "/readyz").status == 200
        assert add_key(door).status == 201
        assert len(get(door, "/v1/keys").ok()["data"]) == len(known) + 1


def add_key(door: Door) -> Answer:
    body = {"name": "n" * 200, "scopes": ["read"]}
    return door(json.dumps(body).encode(), path="/v1/keys")


def test_a_body_that_has_no_room_is_refused_and_others_are_answered(
    small_disk: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, TMPDIR=str(small_disk)) as door:
        csv = b"product_id,name\n" + b"1,x\n" * 800_000
        for chunked in (False, True):
            answer = door(
                csv, path="/v1/uploads", headers={"Content-Type": "text/csv"}, chunked=chunked
            )
            assert "no room" in answer.problem(507)["detail"]
            post(door, shop(9)).ok()
        fits = door(csv[:700_000], path="/v1/uploads", headers={"Content-Type": "text/csv"})
        assert fits.status == 201
    said = (tmp_path / "stderr.txt").read_text()
    assert "Traceback" not in said, said


def test_a_disk_without_any_room_is_said_and_all_goes_on_when_there_is_some(
    small_disk: Path, client_of: Callable[..., FlaskClient]
) -> None:
    door = ClientDoor(client_of(data_dir=small_disk))
    kept = post(door, shop(), "?save=1").ok()["run_id"]
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 1_000)
    for n in range(9):
        refused = post(door, shop(20 + n), "?save=1")
        refused.problem(507 if refused.status == 507 else 503)
    assert post(door, shop()).ok()["status"] == "success"
    filler.unlink()
    assert get(door, "/readyz").status == 200
    assert post(door, shop(9), "?save=1").ok()["run_id"] != kept
    assert len(get(door, "/v1/runs").ok()["data"]) == 2
    for run in get(door, "/v1/runs").ok()["data"]:
        get(door, f"/v1/runs/{run['id']}/products.json").ok()


def test_a_drain_under_load_answers_whole_whatever_was_taken(tmp_path: Path) -> None:
    with serving(tmp_path, SHELFWISE_LOG="json") as door:
        whole, ended = [], []

        def ask() -> None:
            while not ended:
                try:
                    whole.append(post(door, shop(300)))
                except ConnectionError as error:  # Refused, or reset unread as the door closes.
                    ended.append(error)

        clients = [threading.Thread(target=ask) for _ in range(8)]
        for client in clients:
            client.start()
        time.sleep(1)
        os.kill(door.pid, signal.SIGTERM)
        for client in clients:
            client.join(30)
        assert not any(client.is_alive() for client in clients)
    assert len(whole) > 20
    for answer in whole:
        assert answer.ok()["summary"]["products"] == 300
    said = (tmp_path / "stderr.txt").read_text()
    assert said.count('"status": 200') == len(whole)  # No answer was made that nobody got.
    assert "Traceback" not in said


def test_two_servers_start_at_once_on_an_empty_database(database_url: str, tmp_path: Path) -> None:
    shared = {"SHELFWISE_DATABASE_URL": database_url, "SHELFWISE_DATA_DIR": str(tmp_path / "kept")}
    homes = [tmp_path / name for name in ("one", "two")]
    runs = []

    def work(home: Path) -> None:
        home.mkdir()
        with serving(home, "--worker", **shared) as door:
            runs.append(post(door, shop(5), "?save=1").ok()["run_id"])
            job = post(door, shop(6), Prefer="respond-async")
            runs.append(over(door, job)["run_id"])
            barrier.wait(60)
            assert {run["id"] for run in get(door, "/v1/runs").ok()["data"]} == set(runs)

    barrier = threading.Barrier(2)
    with ThreadPoolExecutor(2) as both:
        list(both.map(work, homes))
    assert len(set(runs)) == 4
    for home in homes:
        assert "Traceback" not in (home / "stderr.txt").read_text()
