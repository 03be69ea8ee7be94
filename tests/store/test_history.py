"""The history of a product: the same whether its files were merged or not, or never written."""

import random
import subprocess
import sys
from collections.abc import Callable

import pytest
import sqlalchemy as sa

import shelfwise
from kinds import shop
from shelfwise.engines import parquet
from shelfwise.settings import Settings
from shelfwise.store import Store
from shelfwise.store.history import MERGED, History
from shelfwise.store.schema import runs


def save(store: Store, n: int, times: float) -> str:
    return store.runs.save(shelfwise.analyze(shop(n, times=times)), label=f"{times:g}").id


def expected(store: Store, product_id: str) -> list[tuple[object, ...]]:
    """The slow way: each run's results are searched."""
    return [
        (run.id, row["revenue"], row["performance_score"], row["rank"], row["performance_tier"])
        for run in sorted(store.runs.newest(1_000)[0], key=lambda run: (run.as_of, run.id))
        for row in store.runs.products(run.id).collect().to_dicts()
        if str(row["product_id"]) == product_id
    ]


def shown(store: Store, product_id: str) -> list[tuple[object, ...]]:
    names = ("run_id", "revenue", "performance_score", "rank", "performance_tier")
    return [tuple(row[n] for n in names) for row in store.runs.history.of(product_id)]


def test_history_is_what_the_runs_say(store: Store) -> None:
    chance = random.Random(3)
    for n in range(2 * MERGED + 3):
        save(store, 5 + n % 7, 1 + chance.random())
    for product_id in ("1", "5", "9", "11"):
        assert shown(store, product_id) == expected(store, product_id)
    assert store.runs.history.of("99") == []
    with store.database.read() as connection:
        files = set(connection.scalars(sa.select(runs.c.history)))
    assert len(files) < 2 * MERGED  # Fewer than that of each of the two sizes together.
    assert store.runs.history.of("1")[0]["label"] is not None


def test_deleted_runs_are_gone_from_it(store: Store) -> None:
    ids = [save(store, 6, 1 + n) for n in range(MERGED + 1)]
    store.runs.delete(ids[2])
    store.runs.delete(ids[-1])
    assert [row["run_id"] for row in store.runs.history.of("3")] == [*ids[:2], *ids[3:-1]]
    assert shown(store, "3") == expected(store, "3")


def test_runs_without_a_history_file_are_read_themselves(store: Store) -> None:
    ids = [save(store, 6, 1 + n) for n in range(3)]
    with store.database.write() as connection:
        connection.execute(runs.update().where(runs.c.id == ids[1]).values(history=None))
    assert [row["run_id"] for row in store.runs.history.of("3")] == ids
    assert shown(store, "3") == expected(store, "3")


def test_ids_are_texts_and_locations_are_kept_apart(store: Store) -> None:
    rows = [row | {"product_id": "007", "location": place} for row, place in
            zip(shop(2), ("North", "South"), strict=True)]  # fmt: skip
    store.runs.save(shelfwise.analyze(rows))
    save(store, 7, 1)
    assert [row["location"] for row in store.runs.history.of("007")] == ["North", "South"]
    assert [row["location"] for row in store.runs.history.of("007", "South")] == ["South"]
    assert len(store.runs.history.of("7")) == 1


@pytest.mark.parametrize("product_id", ["' OR 1=1--", "", "\x00", "x" * 1000])
def test_odd_ids_have_no_history(store: Store, product_id: str) -> None:
    save(store, 4, 1)
    assert store.runs.history.of(product_id) == []


MERGE = """
import sys
from pathlib import Path
from shelfwise.settings import load_settings
from shelfwise.store import Store, history
with Store(load_settings({}, data_dir=Path(sys.argv[1]), database_url=sys.argv[2])) as store:
    sys.stdin.readline()
    print(store.runs.history.merge())
"""


def test_processes_that_merge_at_once_keep_each_row_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, settings_of: Callable[..., Settings]
) -> None:
    monkeypatch.setattr(History, "merge", lambda self: 0)
    ids = [save(store, 6, 1 + n) for n in range(2 * MERGED)]
    settings = settings_of()
    command = [sys.executable, "-c", MERGE, str(settings.data_dir), settings.database_url]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate("go\n", timeout=60)[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert sum(map(int, said)) >= 1
    assert [row["run_id"] for row in store.runs.history.of("3")] == ids


def test_a_merge_that_comes_too_late_changes_nothing(store: Store) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(History, "merge", lambda self: 0)
        ids = [save(store, 6, 1 + n) for n in range(MERGED + 1)]
    mine = store.runs.history
    files = mine._mergeable()
    late = mine._results.publish(lambda path: parquet.merge_history(
        [mine._results.path(name) for name in files], set(ids), path))  # fmt: skip
    with store.database.write() as connection:  # Another process has merged one of them.
        connection.execute(runs.update().where(runs.c.id == ids[0]).values(history=None))
    assert mine._replace(files, late) is False
    assert [row["run_id"] for row in mine.of("3")] == ids


def test_a_history_that_cannot_be_written_does_not_undo_the_run(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(parquet, "write_history", full)
        kept = save(store, 5, 1)
    assert "No space left" in caplog.text
    assert [row["run_id"] for row in store.runs.history.of("2")] == [kept]
