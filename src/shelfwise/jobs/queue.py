"""Jobs as whoever waits for them sees them: enqueue, look, cancel; and schedules.

DBOS keeps them in the same database as the runs. Everything it keeps is JSON: its own
format would be pickles, and none of those is ever loaded here.
"""

import datetime as dt
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from shelfwise.errors import InputError, NotFoundError, QueueFullError, excerpt
from shelfwise.jobs.schedules import EXAMPLE, SINCE, Schedule, cron_of, must_be_name, must_be_zone
from shelfwise.store import Store
from shelfwise.store.database import Database, new_id, now
from shelfwise.store.derived import KINDS
from shelfwise.store.schema import job_progress, workers

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
STATES: dict[str, State] = {
    "ENQUEUED": "queued",
    "DELAYED": "queued",
    "PENDING": "running",
    "SUCCESS": "succeeded",
    "ERROR": "failed",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed",
    "CANCELLED": "cancelled",
}
WAITING = [name for name, state in STATES.items() if state == "queued"]
APPLICATION, QUEUE, WORKFLOW, SCHEDULED = "shelfwise", "analyses", "analyze", "analyze_scheduled"
OUTBOX, DELIVER = "deliveries", "deliver"
"""Queue and workflow of deliveries: what waits there keeps no analysis waiting."""
ANALYSIS, PUBLICATION, REPORT = "analysis", "publish", "report"
WHAT = (ANALYSIS, PUBLICATION, REPORT, *KINDS)
"""What a job makes."""
OVER = ("succeeded", "failed", "cancelled")
VERSION = "1"
"""Of the requests that jobs carry: it changes where a program would take one for another.

A program leaves requests of another version alone. Kinds that are new need none: an older
program cannot open the database that they came with."""

for _name in ("dbos", "sqlalchemy.pool"):
    logging.getLogger(_name).setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work; `run_id` is the run that it has made."""

    id: str
    run_id: str | None
    state: State
    created_at: dt.datetime
    finished_at: dt.datetime | None
    phase: str | None
    done: float | None
    error: Mapping[str, Any] | None
    request: Mapping[str, Any]

    @property
    def what(self) -> str:
        """What it makes: an analysis, or trends and so on of a run."""
        other = ANALYSIS if "source" in self.request else REPORT
        return str(self.request.get("make") or other)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in OVER

    def to_dict(self) -> dict[str, Any]:
        """The job as the API shows it."""
        return {
            "id": self.id,
            "state": self.state,
            "what": self.what,
            "created_at": _text(self.created_at),
            "finished_at": _text(self.finished_at),
            "progress": {"phase": self.phase, "done": self.done},
            "run_id": self.run_id,
            "error": dict(self.error) if self.error else None,
        }


class Jobs:
    """The jobs of a store. Needs no worker to be there: what is asked for waits.

    At most `max_queued` wait (0: any number), and as many more as come in the same moment.
    Jobs that time has started count, but they are never refused: nobody would ask again.
    """

    def __init__(self, store: Store, max_queued: int = 0) -> None:
        from dbos import DBOSClient

        self._database = store.database
        self._max_queued = max_queued
        prepare(store.database)
        with complaints(store.database):
            self._client = DBOSClient(
                system_database_url=store.database.driver_url,
                serializer=serializer(),
                application_name=APPLICATION,
                retry_connection_errors=False,
            )

    def enqueue(self, request: Mapping[str, Any], job_id: str | None = None) -> Job:
        """Ask for an analysis; one that has this id already is given back as it is.

        Raises QueueFullError where as many wait as may.
        """
        from dbos import EnqueueOptions

        self.must_have_room(job_id)
        options: EnqueueOptions = {
            "queue_name": QUEUE,
            "workflow_name": WORKFLOW,
            "workflow_id": job_id or new_id(),
            "app_version": VERSION,
        }
        with complaints(self._database):
            self._client.enqueue(options, dict(request))
        return self.get(str(options["workflow_id"]))

    def must_have_room(self, job_id: str | None = None) -> None:
        """QueueFullError where as many jobs wait as may, unless there is one with this id."""
        if not self._max_queued:
            return
        with complaints(self._database):
            full = self._client.list_workflows(
                status=WAITING, queue_name=QUEUE, offset=self._max_queued - 1, limit=1,
                load_input=False, load_output=False,
            )  # fmt: skip
            if not full or (job_id and self._client.list_workflows(workflow_ids=[job_id])):
                return
        raise QueueFullError(
            f"{self._max_queued:,} or more jobs wait already.",
            "Ask again later; SHELFWISE_MAX_QUEUED says how many may wait.",
        )

    def get(self, job_id: str) -> Job:
        """A job; NotFoundError where there is none."""
        with complaints(self._database):
            found = self._client.list_workflows(workflow_ids=[job_id], name=[WORKFLOW, SCHEDULED])
        if not found:
            raise NotFoundError(f"There is no job {excerpt(job_id)}.")
        return self._job(found[0], self._progress([job_id]))

    def newest(self, limit: int = 50, after: str | None = None) -> tuple[list[Job], str | None]:
        """Jobs, newest first, and what to pass as `after` for the next ones.

        It names a job by the time of its making and its id: jobs that come or go meanwhile
        move no page.
        """
        moment, _, last_id = (after or "").partition("-")
        found: list[Any] = []
        if moment:
            same = self._made(since=int(moment), until=int(moment))
            found = [one for one in same if one.workflow_id < last_id]
        older = self._made(until=int(moment) - 1 if moment else None, limit=limit + 1)
        if len(older) > limit:
            # DBOS orders by the millisecond alone, so the last one must be there whole.
            end = older[-1].created_at
            older = [one for one in older if one.created_at > end] + self._made(end, end)
        found = sorted(found + older, key=lambda one: (one.created_at, one.workflow_id))[::-1]
        page = found[:limit]
        progress = self._progress([one.workflow_id for one in page])
        following = f"{page[-1].created_at}-{page[-1].workflow_id}" if len(found) > limit else None
        return [self._job(one, progress) for one in page], following

    def _made(
        self, since: int | None = None, until: int | None = None, limit: int | None = None
    ) -> list[Any]:
        """What DBOS has of jobs that were made between two milliseconds, newest first."""
        with complaints(self._database):
            return self._client.list_workflows(
                name=[WORKFLOW, SCHEDULED], limit=limit, sort_desc=True,
                start_time=_iso(since), end_time=_iso(until),
            )  # fmt: skip

    def cancel(self, job_id: str) -> Job:
        """Stop a job that is queued or running; one that is over stays as it is."""
        job = self.get(job_id)
        if not job.is_over:
            with complaints(self._database):
                self._client.cancel_workflow(job_id)
        return self.get(job_id)

    def add_schedule(
        self, name: str, cron: str, request: Mapping[str, Any], time_zone: str = "UTC"
    ) -> Schedule:
        """Analyze a source again and again; a fire missed while no worker ran comes once.

        `cron` may also be such as "monday 06:00". With `deliver` in the request the report of
        each run goes out; without a source it is that of the latest run.
        """
        from dbos import error as dbos_errors

        must_be_name(name)
        cron = cron_of(cron)
        must_be_zone(time_zone)
        request = dict(request)
        if deliver := request.get("deliver"):
            request["deliver"] = {**deliver, "schedule": name}
        with complaints(self._database):
            if self._client.get_schedule(name):
                raise InputError(
                    f"There is a schedule {excerpt(name)} already.", "Delete it first."
                )
            try:
                self._client.create_schedule(**self._declared(name, cron, time_zone, request))
            except dbos_errors.DBOSException as error:
                raise InputError(
                    f"The schedule does not fit: {str(error)[:200]}.", EXAMPLE
                ) from error
        return self.schedule(name)

    def schedule(self, name: str) -> Schedule:
        """A schedule; NotFoundError where there is none."""
        with complaints(self._database):
            found = self._client.get_schedule(name)
        if found is None:
            raise NotFoundError(f"There is no schedule {excerpt(name)}.")
        return Schedule.of(found)

    def schedules(self) -> list[Schedule]:
        """All schedules, by name."""
        with complaints(self._database):
            found = self._client.list_schedules()
        return sorted(map(Schedule.of, found), key=lambda one: one.name)

    def change_schedule(
        self,
        name: str,
        *,
        active: bool | None = None,
        cron: str | None = None,
        time_zone: str | None = None,
    ) -> Schedule:
        """Pause a schedule or let it go on, or have it come at other times.

        What would have come before that stays away.
        """
        found = self.schedule(name)
        cron = found.cron if cron is None else cron_of(cron)
        time_zone = found.time_zone if time_zone is None else time_zone
        must_be_zone(time_zone)
        declared: Any = self._declared(name, cron, time_zone, found.request)
        with complaints(self._database):
            self._client.apply_schedules([declared])
            if active is not None:
                (self._client.resume_schedule if active else self._client.pause_schedule)(name)
        return self.schedule(name)

    def delete_schedule(self, name: str) -> None:
        """End a schedule."""
        self.schedule(name)
        with complaints(self._database):
            self._client.delete_schedule(name)

    def trigger(self, name: str) -> str:
        """Do what a schedule does now; the id of the job. Raises QueueFullError as `enqueue`."""
        from dbos import EnqueueOptions

        self.must_have_room()
        moment = now().isoformat(timespec="milliseconds")
        options: EnqueueOptions = {
            "queue_name": QUEUE,
            "workflow_name": SCHEDULED,
            "workflow_id": f"sched-{name}-trigger-{moment}",
            "app_version": VERSION,
        }
        request = dict(self.schedule(name).request)
        with complaints(self._database):
            self._client.enqueue(options, moment, request)
        return str(options["workflow_id"])

    def workers(self) -> int:
        """How many workers were seen in the last half minute."""
        alive = workers.c.seen_at > now() - dt.timedelta(seconds=30)
        with self._database.read() as connection:
            counted = sa.select(sa.func.count()).select_from(workers).where(alive)
            return int(connection.execute(counted).scalar_one())

    def close(self) -> None:
        """Close the connections to the queue."""
        self._client.destroy()

    def _progress(self, ids: list[str]) -> dict[str, tuple[str, float | None]]:
        wanted = sa.select(job_progress).where(job_progress.c.job_id.in_(ids))
        with self._database.read() as connection:
            rows = connection.execute(wanted).mappings()
            return {row["job_id"]: (row["phase"], row["done"]) for row in rows}

    def _job(self, found: Any, progress: Mapping[str, tuple[str, float | None]]) -> Job:
        state = STATES[found.status]
        phase, done = progress.get(found.workflow_id, (None, None))
        given = found.input if isinstance(found.input, dict) else {}
        arguments = given.get("args") or [{}]
        return Job(
            id=found.workflow_id,
            run_id=found.output if state == "succeeded" else None,
            state=state,
            created_at=_moment(found.created_at),
            finished_at=_moment(found.completed_at) if found.completed_at else None,
            phase=phase if state == "running" else None,
            done=1.0 if state == "succeeded" else done if state == "running" else None,
            error=_problem(found) if state == "failed" else None,
            request=arguments[-1] or {},
        )

    @staticmethod
    def _declared(
        name: str, cron: str, time_zone: str, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        """A schedule as DBOS takes it, from now on."""
        return {
            "schedule_name": name, "workflow_name": SCHEDULED, "schedule": cron,
            "context": {**request, SINCE: _text(now())}, "cron_timezone": time_zone,
            "queue_name": QUEUE,
        }  # fmt: skip


def serializer() -> Any:
    """What DBOS keeps is JSON. A pickle in its tables, which is a stranger's, is never loaded."""
    from dbos import DBOSPortableJSONSerializer
    from dbos._serialization import DefaultSerializer

    # It would load one wherever a row calls itself that.
    DefaultSerializer.deserialize = _refuse_pickle  # type: ignore[method-assign, assignment]
    return DBOSPortableJSONSerializer()


def _refuse_pickle(*_: object) -> Any:
    raise ValueError("a pickle is not loaded")


def prepare(database: Database) -> None:
    """Make DBOS's tables, or bring them to its version; alone, as our own migration."""
    from dbos import DBOS

    with complaints(database):
        DBOS.migrate(database.driver_url)


@contextmanager
def complaints(database: Database) -> Iterator[None]:
    """What DBOS raises while the database is away, as an error of ours."""
    from dbos import error as dbos_errors

    try:
        yield
    except (sa.exc.SQLAlchemyError, dbos_errors.DBOSQueryTimeoutError) as error:
        raise database.complaint(error) from error


def _problem(found: Any) -> dict[str, Any]:
    """Why a job failed: the problem that its work has told, or what ended it."""
    data = getattr(found.error, "data", None)
    if isinstance(data, dict):
        return data
    detail = str(found.error or "The work died again and again.")[:300]
    return {"code": "job_failed", "detail": detail, "errors": [], "error_count": 0}


def _iso(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    # In the middle of the millisecond, so that DBOS's arithmetic finds it again.
    return dt.datetime.fromtimestamp((milliseconds + 0.5) / 1000, dt.UTC).isoformat()


def _moment(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)


def _text(moment: dt.datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None
