"""A worker: takes jobs off the queue and has each done in a process beside it.

A worker that dies leaves its jobs marked as running under its id. It also leaves the row
in which it said that it was alive; another worker that finds this row old puts the jobs
back into the queue.
"""

import contextlib
import datetime as dt
import hashlib
import json
import logging
import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, PortableWorkflowError, SetWorkflowID

from shelfwise.errors import NotFoundError, StoreError
from shelfwise.jobs.processes import Process, Processes
from shelfwise.jobs.queue import (
    APPLICATION,
    DELIVER,
    OUTBOX,
    OVER,
    QUEUE,
    SCHEDULED,
    STATES,
    VERSION,
    WORKFLOW,
    complaints,
    serializer,
)
from shelfwise.jobs.schedules import Schedule
from shelfwise.settings import Settings
from shelfwise.store import Store
from shelfwise.store.database import new_id, now
from shelfwise.store.schema import job_progress, workers
from shelfwise.tracing import tracer

BEAT_SECONDS, DEAD_SECONDS = 2.0, 15.0
"""How often a worker says that it is alive, and after what silence others take it for dead."""
FORGET_SECONDS, FORGET_AT_ONCE = 24 * 60 * 60.0, 500
"""How often a worker removes jobs that are long over, and how many in one transaction."""
DELIVERERS = 2
"""Deliveries that one worker makes at the same time: most of it is waiting for others."""
GRACE_SECONDS = 10.0
"""Time that what is handed over gets when the worker is stopped."""
DIED: dict[str, Any] = {
    "code": "job_died", "errors": [], "error_count": 0,
    "detail": "The work ended without a word: it was killed, or ran out of memory.",
}  # fmt: skip
log = logging.getLogger("shelfwise.worker")


class Worker:
    """One worker in this process; DBOS allows one."""

    def __init__(self, settings: Settings) -> None:
        self.id = new_id()
        self.settings = settings
        self.store = Store(settings)
        self._tracer = tracer()
        self._over = threading.Event()
        self._processes = Processes(os.environ | settings.environment())
        self._children: set[Process] = set()
        self._sending: set[Process] = set()

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Work until `stop`; jobs that are not done then go back into the queue."""
        global _worker
        _worker = self
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self.store.database.driver_url,
            "executor_id": self.id,
            "application_version": VERSION,
            "serializer": serializer(),
            "console_log_level": "CRITICAL",
            "log_level": "CRITICAL",
            "scheduler_polling_interval_sec": 2.0,
        }
        DBOS(config=config)
        self._beat()
        DBOS.launch()
        DBOS.register_queue(
            QUEUE, worker_concurrency=self.settings.job_workers, polling_interval_sec=0.2,
            on_conflict="always_update",
        )  # fmt: skip
        DBOS.register_queue(
            OUTBOX, worker_concurrency=DELIVERERS, polling_interval_sec=0.5,
            on_conflict="always_update",
        )  # fmt: skip
        self._make_up()
        ready()
        forget_at = 0.0
        try:
            while not self._over.wait(BEAT_SECONDS):
                self._processes.end_idle()
                with contextlib.suppress(StoreError):  # It beats again when the database is back.
                    self._beat()
                    self._take_over()
                    self._post()
                    if time.monotonic() >= forget_at:
                        self._forget()
                        forget_at = time.monotonic() + FORGET_SECONDS
        finally:
            self._end()

    def stop(self, *_: object) -> None:
        """Take no more jobs, and end."""
        self._over.set()

    def do(self, job_id: str, request: dict[str, Any]) -> str:
        """Have a job done; the id of its run."""
        began = time.perf_counter()
        outcome = self._outcome(job_id, request)
        if "run_id" not in outcome and self._over.is_set():
            # It was stopped with the worker. No word of that may reach DBOS: the job would
            # count as failed. The process ends while this waits; another takes the job up.
            threading.Event().wait()
        problem = None if "run_id" in outcome else outcome.get("problem", DIED)
        if self._tracer:
            told = {"error.type": problem["code"]} if problem else {"shelfwise.products":
                    outcome["products"]}  # fmt: skip
            self._tracer.record(
                "job", time.perf_counter() - began, {"shelfwise.job_id": job_id} | told,
                kind="CONSUMER", failed=bool(problem),
            )  # fmt: skip
        if problem is None:
            return str(outcome["run_id"])
        raise PortableWorkflowError(
            problem["detail"], name="JobFailed", code=problem["code"], data=problem
        )

    def deliver(self, workflow_id: str, delivery_id: str) -> str:
        """Have one try of a delivery made; the state that it has then."""
        self._outcome(workflow_id, {"delivery": delivery_id})
        if self._over.is_set():
            threading.Event().wait()  # As for jobs: another worker makes this try again.
        kept = self.store.deliveries
        try:
            found = kept.get(delivery_id)
        except NotFoundError:
            return "gone"  # Its run was deleted.
        if found.attempt == workflow_id:
            kept.ended(found, DIED["detail"], self.settings.delivery_waits)
        return kept.get(delivery_id).state

    def _post(self) -> None:
        """Put what is to be sent now into the queue, each try once."""
        kept = self.store.deliveries
        due = kept.due()
        if not due:
            return
        with complaints(self.store.database):
            known = {one.workflow_id: STATES[one.status] for one in
                     DBOS.list_workflows(workflow_ids=[one.attempt for one in due])}  # fmt: skip
            for one in due:
                state = known.get(one.attempt)
                if state in OVER:
                    kept.ended(one, DIED["detail"], self.settings.delivery_waits)
                elif state is None and one.state == "waiting":
                    with SetWorkflowID(one.attempt):
                        DBOS.enqueue_workflow(OUTBOX, deliver, one.id)

    def _outcome(self, job_id: str, request: dict[str, Any]) -> dict[str, Any]:
        """What became of a job: a run, a problem, or nothing where it ended without a word."""
        memory = self.settings.job_memory
        task = {"run_id": run_of(job_id), "request": request, "memory_bytes": memory}
        outcome: dict[str, Any] = {}
        with self._child("delivery" in request) as child:
            child.ask(task)
            for line in self._lines(child, job_id):
                said = json.loads(line)
                if said.get("phase") == "sending":
                    self._sending.add(child)
                if "phase" in said:
                    with contextlib.suppress(StoreError):  # The work goes on without it.
                        self._tell(job_id, said["phase"], said["done"])
                    continue
                child.fit = said.pop("fit", False)
                outcome = said
                if child.fit:
                    break
        return outcome

    @contextlib.contextmanager
    def _child(self, draws: bool) -> Iterator[Process]:
        with self._processes.taken(draws=draws) as child:
            self._children.add(child)
            try:
                yield child
            finally:
                self._children.discard(child)
                self._sending.discard(child)

    def _lines(self, child: Process, job_id: str) -> Iterator[bytes]:
        """What a child says, until it ends, its time is over, or its job is cancelled."""
        seconds, looked = self.settings.job_seconds, time.monotonic()
        end = looked + seconds
        while True:
            if time.monotonic() > end:
                detail = f"The work took longer than {seconds:g} s (SHELFWISE_JOB_SECONDS)."
                problem = {"code": "job_too_slow", "detail": detail, "errors": [],
                           "error_count": 0}  # fmt: skip
                yield json.dumps({"problem": problem}).encode()
                return
            if time.monotonic() > looked + 1.0:
                looked = time.monotonic()
                if _cancelled(job_id):
                    return
            try:
                line = child.says(1.0)
            except queue.Empty:
                continue
            if line is None:
                return
            yield line

    def _tell(self, job_id: str, phase: str, done: float | None) -> None:
        values = {"phase": phase, "done": done, "at": now()}
        with self.store.database.write() as connection:
            place = job_progress.c.job_id == job_id
            if not connection.execute(job_progress.update().where(place).values(values)).rowcount:
                connection.execute(job_progress.insert().values(job_id=job_id, **values))

    def _beat(self) -> None:
        with self.store.database.write() as connection:
            mine = workers.c.id == self.id
            if not connection.execute(workers.update().where(mine).values(seen_at=now())).rowcount:
                connection.execute(
                    workers.insert().values(id=self.id, started_at=now(), seen_at=now())
                )

    def _take_over(self) -> None:
        """Put the jobs of workers that died back into the queue."""
        silent = workers.c.seen_at < now() - dt.timedelta(seconds=DEAD_SECONDS)
        with self.store.database.read() as connection:
            dead = list(connection.scalars(sa.select(workers.c.id).where(silent)))
        for one in dead:
            DBOS._recover_pending_workflows([one])
            with self.store.database.write() as connection:
                connection.execute(workers.delete().where(workers.c.id == one))
            log.warning("worker %s died; its jobs are in the queue again", one)

    def _forget(self) -> None:
        """Remove jobs that have been over for longer than the settings say."""
        days = self.settings.keep_job_days
        if not days:
            return
        end = now() - dt.timedelta(days=days)
        states = [name for name, state in STATES.items() if state in OVER]
        count = 0
        with complaints(self.store.database):
            while found := DBOS.list_workflows(
                status=states, completed_before=end.isoformat(), limit=FORGET_AT_ONCE,
                load_input=False, load_output=False,
            ):  # fmt: skip
                DBOS.delete_workflows([one.workflow_id for one in found])
                count += len(found)
        with self.store.database.write() as connection:
            connection.execute(job_progress.delete().where(job_progress.c.at < end))
        if count:
            log.info("%s jobs were over for %s days and are forgotten", count, days)

    def _make_up(self) -> None:
        """Do the last fire of each schedule that came while no worker ran; the others are past."""
        moment = dt.timedelta(seconds=0.5)
        for one in map(Schedule.of, DBOS.list_schedules(status="ACTIVE")):
            if last := one.missed:
                DBOS.backfill_schedule(one.name, last - moment, last + moment)

    def _end(self) -> None:
        self._processes.end_idle(0)
        handing_over = self._sending & self._children
        for child in self._children - handing_over:
            child.popen.kill()
        end = time.monotonic() + GRACE_SECONDS
        for child in handing_over:  # A mail that is cut off may have arrived: nobody knows.
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.popen.wait(max(0.0, end - time.monotonic()))
            child.popen.kill()
        DBOS.destroy()
        # What was being done is done by another worker, at once.
        with contextlib.suppress(StoreError), self.store.database.write() as connection:
            past = now() - dt.timedelta(seconds=2 * DEAD_SECONDS)
            connection.execute(workers.update().where(workers.c.id == self.id).values(seen_at=past))
        self.store.close()
        if self._tracer:
            self._tracer.close()


def _cancelled(job_id: str) -> bool:
    """Whether somebody has cancelled the job; a database that is away says nothing."""
    try:
        status = DBOS.get_workflow_status(job_id)
    except sa.exc.SQLAlchemyError:
        return False
    return status is not None and status.status == "CANCELLED"


def run_of(job_id: str) -> str:
    """The id of a job's run: its own; or, where time has started it, made of that time.

    Either is the same whenever the job is done, and sorts by time.
    """
    found = re.fullmatch(r"sched-.*?-(?:trigger-)?([0-9]{4}-[0-9]{2}-[0-9]{2}T.*)", job_id)
    if not found:
        return job_id
    milliseconds = int(dt.datetime.fromisoformat(found[1]).timestamp() * 1000)
    return f"{milliseconds:012x}{hashlib.sha256(job_id.encode()).hexdigest()[:10]}"


_worker: Worker | None = None


@DBOS.workflow(name=WORKFLOW)
def analyze_job(request: dict[str, Any]) -> str:
    """An analysis that somebody asked for."""
    return _do(request)


@DBOS.workflow(name=SCHEDULED)
def analyze_scheduled(scheduled_at: Any, request: dict[str, Any]) -> str:
    """An analysis whose time has come."""
    return _do(request)


@DBOS.workflow(name=DELIVER)
def deliver(delivery_id: str) -> str:
    """One try to deliver a report."""
    return _deliver(delivery_id)


@DBOS.step(name="deliver_once")
def _deliver(delivery_id: str) -> str:
    assert _worker
    return _worker.deliver(str(DBOS.workflow_id), delivery_id)


@DBOS.step(name="do")
def _do(request: dict[str, Any]) -> str:
    assert _worker
    return _worker.do(str(DBOS.workflow_id), request)


def run(
    settings: Settings, *, ready: Callable[[], None] = lambda: None, with_parent: bool = False
) -> None:
    """Work in the main thread until SIGTERM or SIGINT.

    `with_parent` also ends it when standard input closes: whoever started it is gone.
    """
    worker = Worker(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, worker.stop)
    if with_parent:

        def wait() -> None:
            while os.read(0, 1):  # Not by the buffered reader: its lock would crash the end.
                pass
            worker.stop()

        threading.Thread(target=wait, daemon=True).start()
    worker.run(ready)
    # Steps that were stopped wait for ever, so that they say nothing; nothing waits for them.
    logging.shutdown()
    os._exit(0)
