"""300 jobs while workers are killed with -9 again and again: 300 runs, none lost, none twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from kinds import shop
from shelfwise.jobs.queue import Jobs
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Store

pytestmark = pytest.mark.slow
JOBS, KILLS, WORKERS = 300, 30, 2

WORKER = """
from shelfwise.jobs import worker
from shelfwise.settings import load_settings
worker.BEAT_SECONDS, worker.DEAD_SECONDS = 0.3, 2.0
worker.run(load_settings())
"""


def start(settings: Settings) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER], env=os.environ | settings.environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@contextmanager
def working(settings: Settings, count: int = 1) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Workers, all of whom are gone after the block."""
    processes = [start(settings) for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return load_settings({}, data_dir=tmp_path / "kept", database_url=database_url, job_workers=2)


def until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)


def test_no_job_is_lost_or_done_twice(settings: Settings) -> None:
    with Store(settings) as store:
        jobs = Jobs(store)
        body = pl.DataFrame(shop(25))
        upload = store.uploads.add("parquet", "shop", body.write_parquet)
        request = {"source": {"upload": upload.id}}
        ids = [jobs.enqueue(request).id for _ in range(JOBS)]

        def done() -> int:
            return len(store.runs.newest(1_000)[0])

        chance, kills = random.Random(7), 0
        with working(settings, WORKERS) as processes:
            end = time.monotonic() + 1_800
            while done() < JOBS:
                assert time.monotonic() < end, f"{done()} of {JOBS} after {kills} kills"
                time.sleep(chance.uniform(1.0, 4.0))
                if kills < KILLS:
                    place = kills % WORKERS
                    processes[place].send_signal(signal.SIGKILL)
                    processes[place].wait()
                    processes[place] = start(settings)
                    kills += 1
            until(lambda: all(job.is_over for job in jobs.newest(1_000)[0]), 60)
        assert kills >= KILLS
        states = {job.id: job.state for job in jobs.newest(1_000)[0]}
        assert states == dict.fromkeys(ids, "succeeded")
        runs = store.runs.newest(1_000)[0]
        assert sorted(run.id for run in runs) == sorted(ids)
        for path in {store.runs.products_file(run.id) for run in runs}:
            assert sha256(path.read_bytes()).hexdigest() == path.stem
        jobs.close()


def test_a_job_survives_the_worker_that_dies_over_it(settings: Settings) -> None:
    """Killed while the work goes on: another worker takes it over, and it is done once."""
    with Store(settings) as store:
        jobs = Jobs(store)
        body = pl.DataFrame(shop(25))
        upload = store.uploads.add("parquet", "shop", body.write_parquet)
        with working(settings) as (first,):
            job = jobs.enqueue({"source": {"upload": upload.id}})
            until(lambda: jobs.get(job.id).state == "running", 30)
            first.send_signal(signal.SIGKILL)
            first.wait()
        assert jobs.get(job.id).state == "running"
        with working(settings):
            until(lambda: jobs.get(job.id).is_over, 60)
        assert jobs.get(job.id).state == "succeeded"
        assert [run.id for run in store.runs.newest()[0]] == [job.id]
        jobs.close()


def test_a_worker_that_is_stopped_gives_its_job_back(settings: Settings) -> None:
    """SIGTERM in the middle of the work, as every deployment sends it: nothing fails."""
    with Store(settings) as store:
        jobs = Jobs(store)
        upload = store.uploads.add("parquet", "shop", pl.DataFrame(shop(25)).write_parquet)
        ids = []
        for _ in range(3):
            with working(settings) as (worker,):
                ids.append(jobs.enqueue({"source": {"upload": upload.id}}).id)
                until(lambda: jobs.get(ids[-1]).state == "running", 30)
                worker.terminate()
                assert worker.wait(20) == 0
        with working(settings):
            until(lambda: all(jobs.get(one).is_over for one in ids), 60)
        assert [jobs.get(one).state for one in ids] == ["succeeded"] * 3
        jobs.close()


def test_a_running_job_is_stopped_when_it_is_cancelled_or_too_slow(settings: Settings) -> None:
    from dataclasses import replace

    with Store(settings) as store:
        jobs = Jobs(store)
        slow = pl.concat([pl.DataFrame(shop(2_000))] * 300).with_row_index("n")
        slow = slow.with_columns(product_id=pl.col("n").cast(pl.String)).drop("n")
        upload = store.uploads.add("csv", "large", slow.write_csv)
        request = {"source": {"upload": upload.id}}
        with working(settings):
            job = jobs.enqueue(request)
            until(lambda: jobs.get(job.id).phase is not None, 30)
            jobs.cancel(job.id)
            assert jobs.get(job.id).state == "cancelled"
        with working(replace(settings, job_seconds=0.2)):
            job = jobs.enqueue(request)
            until(lambda: jobs.get(job.id).is_over, 60)
            error = jobs.get(job.id).error
        assert error is not None
        assert error["code"] in ("job_too_slow", "job_died")
        with working(replace(settings, job_memory=300 * 2**20)):
            job = jobs.enqueue(request)
            until(lambda: jobs.get(job.id).is_over, 60)
        assert jobs.get(job.id).state == "failed"
        assert store.runs.newest()[0] == []
        jobs.close()
