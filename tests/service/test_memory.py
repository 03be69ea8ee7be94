"""What requests take of a real server's memory, descriptors and threads, as the kernel counts."""

import http.client
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from test_v1_runs import get, post

import shelfwise
from doors import PATH, LiveDoor, catalogue, serving
from kinds import shop
from shelfwise.settings import load_settings

CEILINGS = {1_000: 5, 100_000: 60, 1_000_000: 450}
"""Rows of a request -> megabytes that it may take over the idle process."""
EXPORT = 300
"""Megabytes that an export of a million products may take over the idle process."""
pytestmark = pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK),
    reason="needs Linux, whose /proc/PID/status has the peak of a process, and can forget it",
)


def megabytes(pid: int, what: str) -> float:
    """VmRSS: what a process has in memory now; VmHWM: the most since it was last forgotten."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1000


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def write_products(path: Path, rows: int) -> None:
    """A JSON file as large as a shop's: names of 20 characters, prices with cents."""
    number = pl.int_range(rows)
    frame = pl.select(
        product_id=number + 100_000,
        name=pl.format("Product number {}", number + 10_000),
        price=(number * 37 % 19_999 + 99) / 100,
        units_sold=number * 7 % 1_009,
        stock=number * 13 % 499,
    )
    frame.write_json(path)


def exchange(door: LiveDoor, body: Path) -> int:
    """Post a file and read the answer, neither of them at once; how large the answer is."""
    connection = http.client.HTTPConnection(*door.address, timeout=300)
    try:
        with body.open("rb") as file:
            headers = {
                "Content-Type": "application/json", "Content-Length": str(body.stat().st_size)
            }  # fmt: skip
            connection.request("POST", PATH, file, headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read(1_000)
        return sum(len(part) for part in iter(lambda: answer.read(2**20), b""))
    finally:
        connection.close()


@pytest.mark.parametrize("rows", [1_000, 100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_request_takes_no_more_memory_than_its_ceiling(tmp_path: Path, rows: int) -> None:
    body = tmp_path / "products.json"
    write_products(body, rows)
    limits = {"SHELFWISE_MAX_ROWS": "1000000", "SHELFWISE_MAX_BODY_BYTES": str(2**28)}
    with serving(tmp_path, **limits) as door:
        post(door, shop(10)).ok()
        idle = megabytes(door.pid, "VmRSS")
        forget_peak(door.pid)
        assert megabytes(door.pid, "VmHWM") < idle + 1
        for _ in range(3):
            assert exchange(door, body) > body.stat().st_size
        taken = megabytes(door.pid, "VmHWM") - idle
    print(f"{rows:,} rows: {taken:.1f} MB over {idle:.1f} MB")
    assert taken <= CEILINGS[rows]


@pytest.mark.slow
def test_ten_thousand_requests_leave_nothing_behind(tmp_path: Path) -> None:
    with serving(tmp_path) as door:
        run = post(door, shop(300), "?save=1").ok()["run_id"]
        ten = json.dumps(shop(10)).encode()
        kinds: list[tuple[Callable[[], int], int]] = [
            (lambda: door(ten).status, 200),
            (lambda: get(door, "/v1/runs").status, 200),
            (lambda: get(door, f"/v1/runs/{run}/products.json?limit=50&search=1").status, 200),
            (lambda: get(door, f"/v1/runs/{run}/products.csv").status, 200),
            (lambda: door(catalogue({"price": -1})).status, 422),
            (lambda: door(b"[oops").status, 400),
            (lambda: door(ten, headers={"Content-Type": "text/plain"}).status, 415),
            (lambda: get(door, "/v1/runs/none").status, 404),
            (lambda: get(door, "/nothing").status, 404),
            (lambda: door(ten, path=f"{PATH}?explain=1").status, 200),
        ]

        def ask(count: int) -> None:
            for request, status in itertools.islice(itertools.cycle(kinds), count):
                assert request() == status

        def held() -> tuple[int, int]:
            process = Path(f"/proc/{door.pid}")
            return len(os.listdir(process / "fd")), len(os.listdir(process / "task"))

        ask(2_000)
        before, memory = held(), megabytes(door.pid, "VmRSS")
        ask(8_000)
        # A pool of Polars and a connection that is being closed come and go; leaks would be many.
        assert all(now <= then + 2 for now, then in zip(held(), before, strict=True))
        grown = megabytes(door.pid, "VmRSS") - memory
        print(f"{memory:.1f} MB, {grown:+.1f} MB after 8,000 requests more")
        assert grown < 5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow", "ndjson"])
def test_a_million_products_are_exported_in_little_memory(tmp_path: Path, kind: str) -> None:
    number = pl.int_range(1_000_000, eager=True)
    frame = pl.select(
        product_id=number,
        name=pl.format("A product with quite a long name, number {}", number),
        category=pl.format("Category {}", number % 50),
        supplier=pl.format("Supplier number {}", number % 500),
        price=(number * 37 % 19_999 + 99) / 100,
        unit_cost=(number * 31 % 9_999 + 9) / 100,
        units_sold=number * 7 % 1_009,
        stock=number * 13 % 499,
    )
    with shelfwise.Store(load_settings({}, data_dir=tmp_path)) as store:
        run = store.runs.save(shelfwise.analyze(frame))
        store.overrides.set(7, "High", "It is new.", run_id=run.id)
    with serving(tmp_path, SHELFWISE_DATA_DIR=str(tmp_path)) as door:
        get(door, f"/v1/runs/{run.id}/products.json?limit=1").ok()
        idle = megabytes(door.pid, "VmRSS")
        forget_peak(door.pid)
        connection = http.client.HTTPConnection(*door.address, timeout=300)
        connection.request("GET", f"/v1/runs/{run.id}/products.{kind}")
        answer = connection.getresponse()
        assert answer.status == 200
        size = sum(len(part) for part in iter(lambda: answer.read(2**20), b""))
        connection.close()
        taken = megabytes(door.pid, "VmHWM") - idle
    print(f"{kind}: {size / 1e6:.0f} MB, {taken:.0f} MB over {idle:.0f} MB")
    assert taken <= EXPORT
