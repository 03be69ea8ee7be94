"""Processes that do jobs: kept while they are fit, and replaced when they are not."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shelfwise
from kinds import shop
from shelfwise.jobs.processes import Process, Processes
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Run, Store
from shelfwise.store.database import new_id

SMALL = "from shelfwise.jobs import work; work.FIT_BYTES = 1_000_000; work.main()"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({}, data_dir=tmp_path / "kept")


@pytest.fixture
def run(settings: Settings) -> Iterator[Run]:
    with Store(settings) as store:
        yield store.runs.save(shelfwise.analyze(shop(9)))


@pytest.fixture
def processes(settings: Settings) -> Iterator[Processes]:
    made = Processes(os.environ | settings.environment())
    yield made
    made.end_idle(0)


def task(request: dict[str, Any], **given: Any) -> dict[str, Any]:
    return {"run_id": new_id(), "request": request, "memory_bytes": 0} | given


def outcome(process: Process, asked: dict[str, Any]) -> dict[str, Any]:
    """What becomes of a job; the process is then as fit as it says."""
    process.ask(asked)
    while line := process.says(60):
        said: dict[str, Any] = json.loads(line)
        if "phase" not in said:
            process.fit = said.pop("fit")
            return said
    raise AssertionError("it ended without a word")


def do(processes: Processes, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    with processes.taken(draws=False) as process:
        return process.popen.pid, outcome(process, task(request))


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_process_does_one_job_after_another(processes: Processes, run: Run) -> None:
    inventory = {"make": "inventory", "run": run.id}
    first, made = do(processes, inventory)
    assert made == {"run_id": run.id, "products": 9}
    second, problem = do(processes, inventory | {"run": "nobody"})
    assert problem["problem"]["code"] == "not_found"
    assert (first, made) == do(processes, inventory)
    assert second == first


def test_two_jobs_at_once_have_a_process_each(processes: Processes, run: Run) -> None:
    asked = task({"make": "inventory", "run": run.id})
    with processes.taken(draws=False) as one, processes.taken(draws=False) as other:
        assert one.popen.pid != other.popen.pid
        assert outcome(one, asked) == outcome(other, asked)
    with processes.taken(draws=True) as drawing:  # Its memory is limited in another way.
        assert drawing.popen.pid not in (one.popen.pid, other.popen.pid)


def test_a_process_that_failed_in_an_unknown_way_does_nothing_more(
    processes: Processes, run: Run
) -> None:
    first, made = do(processes, {"source": {}})
    assert made["problem"]["code"] == "internal_error"
    assert not alive(first)
    second, made = do(processes, {"make": "inventory", "run": run.id})
    assert second != first
    assert made["products"] == 9


def test_a_process_that_was_killed_while_it_was_idle_is_replaced(
    processes: Processes, run: Run
) -> None:
    first, _ = do(processes, {"make": "inventory", "run": run.id})
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    second, made = do(processes, {"make": "inventory", "run": run.id})
    assert second != first
    assert made["products"] == 9


def test_a_process_that_is_killed_before_it_is_asked_says_its_end(processes: Processes) -> None:
    with processes.taken(draws=False) as process:
        process.popen.kill()
        process.popen.wait()
        process.ask(task({"make": "inventory", "run": "nobody"}))
        assert process.says(60) is None
    assert not alive(process.popen.pid)


def test_a_process_is_ended_when_it_has_been_idle_for_long(processes: Processes, run: Run) -> None:
    first, _ = do(processes, {"make": "inventory", "run": run.id})
    processes.end_idle(60)
    assert alive(first)
    processes.end_idle(0)
    assert not alive(first)


def test_a_process_ends_when_nobody_waits_for_it(processes: Processes) -> None:
    with processes.taken(draws=False) as process:
        assert process.popen.stdin
        process.popen.stdin.close()
        assert process.says(60) is None
        assert process.popen.wait(60) == 1


def test_a_process_that_grew_is_not_fit_for_another_job(settings: Settings, run: Run) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SMALL], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | settings.environment(),
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        asked = task({"make": "inventory", "run": run.id})
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        process.stdin.flush()
        *_, last = process.stdout
    assert json.loads(last) == {"run_id": run.id, "products": 9, "fit": False}
    assert process.returncode == 0
