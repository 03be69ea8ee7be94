"""What goes wrong outside: a full disk, a file that changes, an interrupt, a corrupt file."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import polars as pl
import pytest

import shelfwise
from shelfwise.engines.failures import unchanged
from shelfwise.errors import UnreadableError

COMMAND = [sys.executable, "-m", "shelfwise.cli", "analyze"]


def write_products(path: Path, n: int = 20_000) -> Path:
    duckdb.sql(
        f"COPY (SELECT i AS product_id, 'Product ' || i AS name, 1 + i % 97 AS price, "
        f"i % 31 AS units_sold, i % 7 AS stock FROM range({n}) AS numbers(i)) "
        f"TO '{path}' (FORMAT parquet)"
    )
    return path


def write_lines(path: Path, n: int, day: str = "2026-01-01") -> Path:
    duckdb.sql(
        f"COPY (SELECT i % 1000 AS product_id, DATE '{day}' AS date, 2 AS quantity, "
        f"2.5 AS unit_price FROM range({n}) AS numbers(i)) TO '{path}' (FORMAT parquet)"
    )
    return path


@pytest.mark.parametrize("kind", ["parquet", "csv", "ndjson"])
@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, engine: str, kind: str) -> None:
    source = write_products(tmp_path / "products.parquet")
    target = tmp_path / f"out.{kind}"
    target.write_text("of the last run")
    done = subprocess.run(
        [*COMMAND, str(source), "-o", str(target), "--engine", engine],
        capture_output=True, text=True, timeout=120,
        # Python would keep the first part of a module's bytecode, and break each later import.
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        # No file may grow beyond this: to the writer it is a disk that is full.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )  # fmt: skip
    assert done.returncode == 9, done.stderr
    assert "cannot be written" in done.stderr
    assert target.read_text() == "of the last run"
    assert sorted(path.name for path in tmp_path.iterdir()) == [target.name, source.name]


@pytest.mark.parametrize("scheme", ["sqlite", "duckdb"])
def test_a_full_disk_leaves_the_tables_as_they_were(tmp_path: Path, scheme: str) -> None:
    if scheme == "sqlite":
        pytest.importorskip("adbc_driver_sqlite")
    from shelfwise.engines import databases

    source = write_products(tmp_path / "products.parquet")
    url = f"{scheme}:///{tmp_path}/shop.db/scored"
    old = pl.DataFrame({"product_id": ["of the last run"]})
    databases.write_tables({"": old, "_rejected": old}, url)
    done = subprocess.run(
        [*COMMAND, str(source), "-o", url, "--mode", "overwrite"],
        capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )  # fmt: skip
    assert done.returncode == 9, done.stderr
    assert "cannot be written" in done.stderr
    for suffix in ("", "_rejected"):
        assert databases.read_table(url + suffix).pl().equals(old)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "lines.parquet", 100)
    told = r"changed while it was read: lines\.parquet"
    with pytest.raises(UnreadableError, match=told), unchanged(path):
        write_lines(path, 200)
    told = r"changed while it was read: more\.parquet"
    with pytest.raises(UnreadableError, match=told), unchanged(tmp_path):
        write_lines(tmp_path / "more.parquet", 3)
    products = write_products(tmp_path / "products.parquet", 50)
    analysis = shelfwise.analyze(products, engine="duckdb")
    assert len(analysis.products.fetchall()) == 50
    later = shelfwise.analyze(products, engine="duckdb")
    write_products(products, 60)
    with pytest.raises(UnreadableError, match="changed while it was read"):
        later.products  # noqa: B018  (reads the file once more)


def test_a_corrupt_file_in_a_folder_is_named(tmp_path: Path) -> None:
    for part in range(3):
        write_lines(tmp_path / f"{part}.parquet", 20_000)
    whole = (tmp_path / "1.parquet").read_bytes()
    damaged = bytearray(whole)
    damaged[200 : len(whole) // 2] = bytes(len(whole) // 2 - 200)
    (tmp_path / "1.parquet").write_bytes(damaged)
    with pytest.raises(UnreadableError, match=r"1\.parquet"):
        shelfwise.from_sales(tmp_path)
    (tmp_path / "1.parquet").write_bytes(whole[:100])
    with pytest.raises(UnreadableError, match=r"1\.parquet"):
        shelfwise.from_sales(tmp_path)


@pytest.mark.slow
def test_an_interrupt_leaves_no_file(tmp_path: Path) -> None:
    lines = tmp_path / "lines.parquet"
    duckdb.sql(
        f"COPY (SELECT (random() * 3000000)::BIGINT AS product_id, DATE '2026-01-01' AS date, "
        f"1 AS quantity, random() AS unit_price FROM range(40000000)) TO '{lines}' (FORMAT parquet)"
    )
    target = tmp_path / "out.parquet"
    running = subprocess.Popen(
        [*COMMAND, "--sales", str(lines), "-o", str(target)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(2.5)
    assert running.poll() is None, running.communicate()
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode not in (0, -signal.SIGKILL)
    assert "Traceback" not in told, told
    assert [path.name for path in tmp_path.iterdir()] == ["lines.parquet"]


def test_progress_is_told_while_an_engine_works() -> None:
    from threading import Thread

    from shelfwise.cli.screen import Pace
    from shelfwise.engines import frames

    connection = frames.connected()
    query = "SELECT count(DISTINCT i * 7% 9999991) FROM range(150000000) AS numbers(i)"
    worker = Thread(target=lambda: connection.execute(query).fetchall())
    worker.start()
    pace, told = Pace(150_000_000), set[str]()
    while worker.is_alive():
        told.add(pace.told())
        time.sleep(0.02)
    worker.join()
    assert any("of this pass" in text and "million rows/s" in text for text in told), told
    assert pl.Series(list(told)).str.contains("nan|inf").sum() == 0
