"""A database that goes away and comes back, and a disk that fills up, while requests come."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doors import ClientDoor, LiveDoor, serving
from flask.testing import FlaskClient
from test_v1_runs import get, post

import postgresql as pg
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
        scored, over = [], threading.Event()

        def score() -> None:
            while not over.is_set():
                scored.append(post(door, shop()).status)

        clients = [threading.Thread(target=score) for _ in range(3)]
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


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
    many = [row | {"name": os.urandom(60).hex()} for row in shop(15_000)]
    assert "Make room" in post(door, many, "?save=1").problem(507)["detail"]
    csv = "product_id,name\n" + "1,x\n" * 400_000
    full = door(csv.encode(), path="/v1/uploads", headers={"Content-Type": "text/csv"})
    assert "Make room" in full.problem(507)["detail"]
    assert [run["id"] for run in get(door, "/v1/runs").ok()["data"]] == [kept]
    assert not list(small_disk.glob("*/.*.part"))
    assert post(door, shop(9), "?save=1").ok()["run_id"] != kept
