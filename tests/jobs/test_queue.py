"""What DBOS keeps of jobs: listed page by page, read as JSON alone, forgotten after a month."""

import base64
import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from test_chaos import until, working

from kinds import shop
from shelfwise.errors import NotFoundError, QueueFullError
from shelfwise.jobs.queue import Jobs
from shelfwise.jobs.schedules import SINCE
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Store
from shelfwise.store.database import now
from shelfwise.store.schema import workers

MONTH = 31 * 24 * 60 * 60 * 1000


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return load_settings({}, data_dir=tmp_path / "kept", database_url=database_url)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with Store(settings) as opened:
        yield opened


@pytest.fixture
def jobs(store: Store) -> Iterator[Jobs]:
    opened = Jobs(store)
    yield opened
    opened.close()


def table(store: Store, name: str) -> str:
    return name if store.database.is_sqlite else f"dbos.{name}"


def change(store: Store, job_id: str, change: str) -> None:
    """Change what DBOS has of a job, as time would."""
    text = f"UPDATE {table(store, 'workflow_status')} SET {change} WHERE workflow_uuid = :id"
    with store.database.write() as connection:
        assert connection.execute(sa.text(text), {"id": job_id}).rowcount == 1


def rows_of(store: Store, job_id: str) -> int:
    """In how many rows DBOS has something of a job."""
    names = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")
    with store.database.read() as connection:
        return sum(
            connection.execute(
                sa.text(f"SELECT count(*) FROM {table(store, name)} WHERE workflow_uuid = :id"),
                {"id": job_id},
            ).scalar_one()
            for name in names
        )


def test_pages_stay_as_they_are_while_jobs_come_and_go(store: Store, jobs: Jobs) -> None:
    request = {"source": {"upload": "none"}}
    moment = 1_750_000_000_123
    made = []
    for place, later in enumerate((0, 1, 1, 1, 1, 2, 3, 3)):
        made.append((moment + later, jobs.enqueue(request).id))
        change(store, made[-1][1], f"created_at = {made[-1][0]}")
        if place in (2, 5):
            jobs.cancel(made[-1][1])
    expected = [job_id for _, job_id in sorted(made)[::-1]]
    assert [job.id for job in jobs.newest()[0]] == expected
    for limit in range(1, 9):
        found, after = [], f"{moment + 10}-"
        while after:
            page, following = jobs.newest(limit, after)
            found += [job.id for job in page]
            assert following is None or len(page) == limit
            jobs.enqueue(request)  # It belongs before the first page.
            after = following or ""
        assert found == expected
    states = {job.id: job.state for job in jobs.newest(1_000)[0]}
    assert [states[made[place][1]] for place in (2, 5)] == ["cancelled"] * 2


def test_a_page_can_begin_after_a_job_that_is_gone(store: Store, jobs: Jobs) -> None:
    for job_id in "abc":
        jobs.enqueue({"source": {}}, job_id)
        change(store, job_id, "created_at = 1750000000123")
    assert [job.id for job in jobs.newest(9, "1750000000123-bb")[0]] == ["b", "a"]
    assert jobs.newest(9, "1750000000123-a")[0] == []
    assert jobs.newest(9, "0000000000000-x")[0] == []
    assert len(jobs.newest(9, "9999999999999-x")[0]) == 3


def test_what_time_starts_is_done_where_the_queue_is_full(settings: Settings, store: Store) -> None:
    upload = store.uploads.add("parquet", "shop", pl.DataFrame(shop(9)).write_parquet)
    request = {"source": {"upload": upload.id}, "label": "timed"}
    jobs = Jobs(store, max_queued=1)
    # A request of a program that is newer: no worker here takes it.
    change(store, jobs.enqueue(request).id, "application_version = 'newer'")
    with pytest.raises(QueueFullError, match="1 or more jobs"):
        jobs.enqueue(request)
    jobs.add_schedule("seconds", "* * * * * *", request)
    with pytest.raises(QueueFullError):
        jobs.trigger("seconds")
    with working(settings):
        until(lambda: len(store.runs.newest(10)[0]) >= 2, 60)
    with pytest.raises(QueueFullError):
        jobs.must_have_room()
    jobs.close()


def test_what_was_missed_while_no_worker_ran_comes_once(
    settings: Settings, store: Store, jobs: Jobs
) -> None:
    upload = store.uploads.add("parquet", "shop", pl.DataFrame(shop(9)).write_parquet)
    for name in ("weekly", "paused", "never"):
        jobs.add_schedule(name, "0 6 * * 1", {"source": {"upload": upload.id}})
    weeks = (now() - dt.timedelta(weeks=3)).isoformat()
    kept = table(store, "workflow_schedules")
    with store.database.write() as connection:
        for changed in (
            f"last_fired_at = '{weeks}'",
            # As programs before this one kept them.
            f"context = replace(context, '{SINCE}', 'x')",
            "schedule = '0 0 30 2 *' WHERE schedule_name = 'never'",
        ):
            connection.exec_driver_sql(f"UPDATE {kept} SET {changed}")
    jobs.change_schedule("paused", active=False)
    jobs.change_schedule("paused", active=True)
    for _ in range(2):
        with working(settings):
            until(lambda: jobs.workers() > 0 and bool(store.runs.newest(9)[0]), 60)
            beats(store, 2)
    assert len(store.runs.newest(9)[0]) == 1
    (job,) = jobs.newest()[0]
    assert job.id.startswith("sched-weekly-")


def beats(store: Store, count: int) -> None:
    """Wait until a worker has said so many times that it is alive."""
    seen = set[dt.datetime]()

    def enough() -> bool:
        with store.database.read() as connection:
            alive = workers.c.seen_at > now() - dt.timedelta(seconds=5)
            seen.update(connection.scalars(sa.select(workers.c.seen_at).where(alive)))
        return len(seen) >= count

    until(enough, 60)


def test_jobs_are_forgotten_when_they_have_been_over_for_a_month(
    settings: Settings, store: Store, jobs: Jobs
) -> None:
    upload = store.uploads.add("parquet", "shop", pl.DataFrame(shop(9)).write_parquet)
    request = {"source": {"upload": upload.id}}
    with working(settings):
        old, young = (jobs.enqueue(request).id for _ in range(2))
        until(lambda: all(job.is_over for job in jobs.newest()[0]), 60)
    failed, cancelled, waiting = (jobs.enqueue(request).id for _ in range(3))
    for job_id in (failed, cancelled):
        jobs.cancel(job_id)
    for job_id in (old, failed, cancelled):
        change(store, job_id, f"completed_at = completed_at - {MONTH}")
    for job_id in (old, young, waiting):
        change(store, job_id, f"created_at = created_at - {2 * MONTH}")
    change(store, failed, "status = 'ERROR'")
    change(store, waiting, "application_version = 'another'")
    assert rows_of(store, old) > 1
    with working(replace(settings, keep_job_days=0)):
        beats(store, 6)
    assert len(jobs.newest()[0]) == 5
    with working(settings):
        until(lambda: len(jobs.newest()[0]) == 2, 60)
    assert {job.id for job in jobs.newest()[0]} == {young, waiting}
    assert rows_of(store, old) == rows_of(store, cancelled) == 0
    with pytest.raises(NotFoundError):
        jobs.get(old)
    assert {run.id for run in store.runs.newest()[0]} == {old, young}


def test_what_is_kept_of_jobs_is_json(settings: Settings, store: Store, jobs: Jobs) -> None:
    upload = store.uploads.add("parquet", "shop", pl.DataFrame(shop(9)).write_parquet)
    for place in (upload.id, "none"):
        jobs.enqueue({"source": {"upload": place}})
    with working(settings):
        until(lambda: all(job.is_over for job in jobs.newest()[0]), 60)
    columns = (("workflow_status", ("inputs", "output", "error")),
               ("workflow_input", ("inputs",)), ("workflow_output", ("output", "error")),
               ("operation_outputs", ("output", "error")))  # fmt: skip
    found = []
    with store.database.read() as connection:
        for name, texts in columns:
            query = sa.text(f"SELECT {', '.join(texts)} FROM {table(store, name)}")
            found += [text for row in connection.execute(query) for text in row if text]
        named = sa.text(f"SELECT DISTINCT serialization FROM {table(store, 'workflow_status')}")
        assert list(connection.scalars(named)) == ["portable_json"]
    assert len(found) >= 6
    assert all(json.loads(text) is not None for text in found)


def test_a_pickle_in_the_database_is_never_loaded(
    settings: Settings, store: Store, jobs: Jobs, tmp_path: Path
) -> None:
    canary = tmp_path / "owned"
    payload = base64.b64encode(f"cos\nsystem\n(S'touch {canary}'\ntR.".encode()).decode()
    upload = store.uploads.add("parquet", "shop", pl.DataFrame(shop(9)).write_parquet)
    forged = jobs.enqueue({"source": {"upload": upload.id}}).id
    change(store, forged, f"serialization = 'py_pickle', inputs = '{payload}'")
    with store.database.write() as connection:
        text = f"UPDATE {table(store, 'workflow_input')} SET inputs = :payload"
        connection.execute(sa.text(text), {"payload": payload})
    assert [job.id for job in jobs.newest()[0]] == [forged]
    assert jobs.get(forged).request == {}
    with working(settings):
        good = jobs.enqueue({"source": {"upload": upload.id}}).id
        until(lambda: jobs.get(good).is_over, 60)
    assert jobs.get(good).state == "succeeded"
    assert not canary.exists()
