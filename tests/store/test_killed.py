"""kill -9 at every step of saving and deleting: a run is there whole, or not at all."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa

import shelfwise
from kinds import shop, sold
from shelfwise.settings import Settings
from shelfwise.store import Store
from shelfwise.store.schema import artifacts, published_products

pytestmark = pytest.mark.slow

WORK = """
import json, os, signal, sys
from pathlib import Path
import polars as pl
import sqlalchemy as sa
import shelfwise
from shelfwise.settings import load_settings
from shelfwise.store import Store

folder, url, what, fatal = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
store = Store(load_settings({}, data_dir=Path(folder), database_url=url))
lines, catalog = json.loads(sys.stdin.read())
analysis = shelfwise.analyze(shelfwise.from_sales(lines, catalog=catalog))
steps = 0

def mortal(function):
    def step(*args, **given):
        global steps
        steps += 1
        if steps == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **given)
    return step

for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink"), (Path, "open"),
                    (sa.Connection, "execute"), (sa.Connection, "exec_driver_sql"),
                    (pl.DataFrame, "iter_rows"), (pl.DataFrame, "write_csv"),
                    (sa.RootTransaction, "commit")):
    setattr(owner, name, mortal(getattr(owner, name)))
if what == "save":
    store.runs.save(analysis, run_id="second")
elif what == "make":
    store.derived.make("second", "trends")
elif what == "publish":
    store.published.publish("second")
else:
    store.runs.delete("second")
print(steps)
"""


LINES, CATALOG = sold(60, 4)


def second() -> shelfwise.Analysis:
    return shelfwise.analyze(shelfwise.from_sales(LINES, catalog=CATALOG))


def work(settings: Settings, what: str, fatal: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(settings.data_dir), settings.database_url, what,
         str(fatal)],
        input=json.dumps([LINES, CATALOG], default=str), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, done.stdout


def whole(store: Store) -> list[str]:
    """The ids of the runs, after a look at everything that they name."""
    found = store.runs.newest()[0]
    for run in found:
        path = store.runs.products_file(run.id)
        assert sha256(path.read_bytes()).hexdigest() == path.stem == run.results
        assert store.runs.products(run.id).collect().height == run.products
        if run.quality:
            assert store.runs.weeks(run).matrix()[1].sum() > 0
        for table in store.derived.all(run):
            assert sha256(table.path.read_bytes()).hexdigest() == table.sha256
    return [run.id for run in found]


def test_a_killed_save_leaves_no_half_run(settings_of: Callable[..., Settings]) -> None:
    settings = settings_of()
    with Store(settings) as store:
        first = store.runs.save(shelfwise.analyze(shop()), run_id="first").id
    fatal, outcomes = 0, set()
    while True:
        fatal += 1
        code, _ = work(settings, "save", fatal)
        with Store(settings) as store:
            found = whole(store)
            assert found in ([first], sorted(["second", first], reverse=True))
            outcomes.add(len(found))
            if code == 0:
                break
            # The same work anew, as a job is repeated: one run, whatever the kill left.
            kept = store.runs.save(second(), run_id="second")
            assert sorted(whole(store)) == ["first", "second"]
            store.runs.delete(kept.id)
            folder = store.runs.products_file(first).parent
            long_ago = time.time() - 100_000
            for path in folder.iterdir():
                os.utime(path, (long_ago, long_ago))
            store.runs.sweep()
            with store.database.read() as connection:
                named = set(connection.scalars(sa.select(artifacts.c.sha256)))
            assert {path.stem for path in folder.iterdir()} == named
            assert len(named) == 2  # The results of the first run, and their history.
    assert fatal > 8  # It died at many places, and at last at none.
    assert outcomes == {1, 2}


def test_a_killed_make_leaves_the_table_of_before_or_the_new_one(
    settings_of: Callable[..., Settings],
) -> None:
    settings = settings_of()
    with Store(settings) as store:
        store.runs.save(second(), run_id="second")
        store.derived.make("second", "trends", out_of_stock=[{"product_id": 100,
                                                              "date": "2022-03-01"}])  # fmt: skip
        expected = [store.derived.get("second", "trends").sha256]
    fatal, code = 0, -1
    while code:
        fatal += 1
        code, _ = work(settings, "make", fatal)
        with Store(settings) as store:
            assert whole(store) == ["second"]
            one, other = store.derived.all("second")
            assert one.about == other.about
            expected.append(store.derived.get("second", "trends").sha256)
    assert fatal > 8
    # Of the table before, then of the new one; never anything else.
    assert len(set(expected)) == 2
    assert sorted(expected, key=expected.index) == expected


def test_a_killed_delete_leaves_no_dangling_run(settings_of: Callable[..., Settings]) -> None:
    settings = settings_of()
    fatal = 0
    code = -1
    while code:
        fatal += 1
        with Store(settings) as store:
            store.runs.save(second(), run_id="second")
        code, _ = work(settings, "delete", fatal)
        with Store(settings) as store:
            assert whole(store) in ([], ["second"])
    assert fatal > 5
    with Store(settings) as store:
        assert whole(store) == []
        assert list(Path(settings.data_dir / "results").iterdir()) == []


def test_a_killed_publication_leaves_what_was_published_before(
    settings_of: Callable[..., Settings],
) -> None:
    settings = settings_of()
    with Store(settings) as store:
        store.runs.save(shelfwise.analyze(shop()), run_id="first")
        store.runs.save(second(), run_id="second")
        store.published.publish("first")
    fatal, code, seen = 0, -1, []
    while code:
        fatal += 1
        code, _ = work(settings, "publish", fatal)
        with Store(settings) as store, store.database.read() as connection:
            rows = sa.select(published_products.c.run_id)
            seen.append((sorted(store.published.all()), sorted(connection.scalars(rows))))
    assert fatal > 8
    before, after = (["first"], ["first"] * 20), (["first", "second"],
                                                  ["first"] * 20 + ["second"] * 4)  # fmt: skip
    assert [one for n, one in enumerate(seen) if one not in seen[:n]] == [before, after]
    assert seen[-1] == after
