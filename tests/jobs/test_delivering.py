"""Deliveries by real workers that are killed with -9: nothing is lost, and no mail comes twice."""

import json
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_chaos import start, until, working

import shelfwise
from doors import DATABASES
from kinds import shop
from postgresql import new_database
from receivers import Trust, hook_server, mail_server, smtp
from shelfwise.jobs.queue import Jobs
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Delivery, Run, Store

OVER = ("sent", "failed", "unknown")


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("trust"))


@pytest.fixture(params=DATABASES)
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    monkeypatch.setenv("SSL_CERT_FILE", str(trust.file))
    url = ""
    if request.param == "postgresql":
        url = new_database(request.getfixturevalue("postgresql"))
    return load_settings(
        {}, data_dir=tmp_path / "kept", database_url=url, mail_from="shop@shop.example",
        delivery_folders=(str(tmp_path / "out"),), webhook_allow=("localhost",),
        delivery_waits=("0.5",) * 9,
    )  # fmt: skip


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with Store(settings) as opened:
        yield opened


@pytest.fixture
def run(store: Store) -> Run:
    return store.runs.save(shelfwise.analyze(shop(9)), label="Weekly")


def state_of(store: Store, one: Delivery) -> str:
    return store.deliveries.get(one.id).state


def test_a_schedule_delivers_the_report_of_each_run_once(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "shop.json").write_text(json.dumps(shop(9)))
    folder = {"folder": str(tmp_path / "out"), "formats": ["html", "csv"]}
    jobs = Jobs(store)
    place = {"source": {"place": str(tmp_path / "shop.json")}, "label": "Weekly"}
    jobs.add_schedule("weekly", "monday 06:00",
                      place | {"deliver": {"targets": [folder], "make": None}})  # fmt: skip
    jobs.add_schedule("latest", "0 6 * * 1", {"deliver": {"targets": [folder], "make": []}})
    with working(settings):
        for name in ("weekly", "latest", "latest"):
            job_id = jobs.trigger(name)
            until(lambda job_id=job_id: jobs.get(job_id).is_over, 60)  # type: ignore[misc]
            assert jobs.get(job_id).state == "succeeded", jobs.get(job_id).error
        run = store.runs.get()
        until(lambda: all(d.state in OVER for d in store.deliveries.of_run(run.id)), 60)
    found = store.deliveries.of_run(run.id)
    assert {(one.schedule, one.state, one.note) for one in found} == {
        ("weekly", "sent", None), ("latest", "sent", None)}  # fmt: skip
    assert [job.what for job in jobs.newest()[0]] == ["report", "report", "analysis"]
    assert {table.name for table in store.derived.all(run)} >= {"inventory"}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    base = f"{run.as_of}-{run.id[:12]}"
    assert names == {f"{base}-{name}.{kind}" for name in ("weekly", "latest")
                     for kind in ("html", "csv")}  # fmt: skip
    assert b"<html" in (tmp_path / "out" / f"{base}-weekly.html").read_bytes()
    assert len((tmp_path / "out" / f"{base}-weekly.csv").read_text().splitlines()) == 10
    jobs.close()


def test_a_mail_that_is_cut_off_is_not_sent_again_by_itself(
    settings: Settings, store: Store, run: Run, trust: Trust
) -> None:
    with mail_server(trust, hold_seconds=60) as box:
        settings = replace(settings, smtp=smtp(box))
        target = {"mail": ["ann@shop.example"], "formats": ["csv"]}
        (found,) = store.deliveries.plan(run.id, [target])
        with working(settings) as (worker,):
            assert box.seen.wait(60)
            assert state_of(store, found) == "sending"
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        box.hold_seconds = 0
        with working(settings):
            until(lambda: state_of(store, found) in OVER, 60)
            told = store.deliveries.get(found.id)
            assert told.state == "unknown"
            assert "nobody here knows" in str(told.reason)
            assert len(box.mails) == 1
            store.deliveries.again(found.id)
            until(lambda: state_of(store, found) == "sent", 60)
    assert [mail["Message-ID"] for mail in box.mails] == [f"<{found.id}@shop.example>"] * 2


def test_a_worker_that_is_stopped_hands_its_mail_over_first(
    settings: Settings, store: Store, run: Run, trust: Trust
) -> None:
    with mail_server(trust, hold_seconds=2) as box:
        settings = replace(settings, smtp=smtp(box))
        target = {"mail": ["ann@shop.example"], "formats": ["csv"]}
        (found,) = store.deliveries.plan(run.id, [target])
        with working(settings) as (worker,):
            assert box.seen.wait(60)
            worker.terminate()
            assert worker.wait(30) == 0
        assert state_of(store, found) == "sent"
        with working(settings):
            until(lambda: not store.deliveries.due(), 60)
    assert len(box.mails) == 1


def test_a_webhook_that_is_cut_off_comes_again_under_its_id(
    settings: Settings, store: Store, run: Run, trust: Trust
) -> None:
    with hook_server(trust, hold=threading.Event()) as hook:
        (found,) = store.deliveries.plan(run.id, [{"webhook": hook.url}], schedule="monday")
        with working(settings) as (worker,):
            assert hook.seen.wait(60)
            tasks = Path(f"/proc/{worker.pid}/task").glob("*/children")
            (doing,) = " ".join(task.read_text() for task in tasks).split()
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            # The answer must not come before the end of who waits for it.
            until(lambda: not Path(f"/proc/{doing}").exists(), 60)
        assert hook.hold
        hook.hold.set()
        with working(settings):
            until(lambda: state_of(store, found) in OVER, 60)
        assert state_of(store, found) == "sent"
    assert [headers["webhook-id"] for headers, _ in hook.got] == [found.id] * 2
    told = json.loads(hook.got[0][1])["data"]
    assert told["run"]["id"] == run.id
    assert told["digest"]


def test_a_try_whose_process_dies_is_made_again(
    settings: Settings, store: Store, run: Run, tmp_path: Path
) -> None:
    """The work is killed alone, again and again, as by a kernel that is out of memory."""
    target = {"folder": str(tmp_path / "out"), "formats": ["csv"]}
    (found,) = store.deliveries.plan(run.id, [target])
    with working(replace(settings, job_memory=100 * 2**20, delivery_waits=("0.5",))):
        until(lambda: state_of(store, found) in OVER, 90)
    told = store.deliveries.get(found.id)
    assert (told.state, told.tries) == ("failed", 2)
    store.deliveries.again(found.id)
    with working(settings):
        until(lambda: state_of(store, found) == "sent", 60)


@pytest.mark.parametrize(("count", "kills"), [(2, 2), pytest.param(40, 25, marks=pytest.mark.slow)])
def test_nothing_is_lost_and_no_mail_comes_twice(
    settings: Settings, store: Store, run: Run, trust: Trust, tmp_path: Path, count: int, kills: int
) -> None:
    chance = random.Random(11)
    with mail_server(trust, hold_seconds=0.3) as box, hook_server(trust) as hook:
        settings = replace(settings, smtp=smtp(box))
        planned: list[Delivery] = []
        for n in range(count):
            targets: list[dict[str, Any]] = [
                {"folder": str(tmp_path / "out" / str(n)), "formats": ["csv"]},
                {"mail": [f"p{n}@shop.example"], "formats": ["csv"]},
                {"webhook": f"{hook.url}&n={n}"},
            ]
            planned += store.deliveries.plan(run.id, targets, schedule="monday")
        process = start(settings)
        try:
            for _ in range(kills):
                with_child = chance.uniform(1.5, 5.0)
                threading.Event().wait(with_child)
                process.send_signal(signal.SIGKILL)
                process.wait()
                process = start(settings)
            until(lambda: all(state_of(store, one) in OVER for one in planned), 60 + 15 * count)
        finally:
            process.kill()
            process.wait()
    states = {one.id: state_of(store, one) for one in planned}
    came = Counter(str(mail["Message-ID"]).strip("<>").partition("@")[0] for mail in box.mails)
    hooked = Counter(headers["webhook-id"] for headers, _ in hook.got)
    for n, one in enumerate(planned):
        if one.kind == "folder":
            assert states[one.id] == "sent"
            (file,) = (tmp_path / "out" / str(n // 3)).glob("[!.]*")
            assert len(file.read_text().splitlines()) == 10
        elif one.kind == "webhook":
            assert states[one.id] == "sent"
            assert hooked[one.id] >= 1
        else:
            assert states[one.id] in ("sent", "unknown")
            assert came[one.id] <= 1
            assert came[one.id] == 1 or states[one.id] == "unknown"
    assert came.keys() | hooked.keys() <= states.keys()
