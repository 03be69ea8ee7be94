"""The list of jobs, page by page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from shelfwise.jobs.queue import Jobs
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Store


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
