"""/v1/jobs and /v1/schedules: what takes longer than a request."""

from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, current_app
from msgspec import UNSET

from shelfwise.delivery.targets import Targets
from shelfwise.errors import InputError
from shelfwise.jobs.queue import Job
from shelfwise.jobs.reporting import deliver_of
from shelfwise.jobs.schedules import Schedule
from shelfwise.service.access import audited
from shelfwise.service.asking import NewRun, as_request
from shelfwise.service.contract import (
    BAD_BODY,
    DEFAULT_LIMIT,
    ID,
    QUEUE_ERRORS,
    STORE_ERRORS,
    answers,
    body_as,
    endpoint,
    json_answer,
    json_body,
    listed,
    query,
)
from shelfwise.service.deliveries import shown_target
from shelfwise.service.kept import jobs, once
from shelfwise.service.parameters import JOBS
from shelfwise.settings import Settings
from shelfwise.store.derived import KINDS, Kind

api = Blueprint("jobs", __name__)
NO_JOB = {"404": "There is no such job."} | STORE_ERRORS
NO_SCHEDULE = {"404": "There is no such schedule."} | STORE_ERRORS


Cron = Annotated[str, msgspec.Meta(min_length=9, max_length=100)]
Zone = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class NewSchedule(msgspec.Struct, forbid_unknown_fields=True):
    """An analysis that comes again."""

    name: Annotated[str, msgspec.Meta(pattern=f"^{ID}$", max_length=64)]
    cron: Cron
    run: NewRun | None = None
    time_zone: Zone = "UTC"
    deliver: Targets = []
    make: Annotated[list[Kind], msgspec.Meta(max_length=len(KINDS))] | None = None


class ScheduleChange(msgspec.Struct, forbid_unknown_fields=True):
    """What may change of a schedule; what is not given stays."""

    active: bool | None = None
    cron: Cron | None = None
    time_zone: Zone | None = None


def shown(found: Schedule) -> dict[str, Any]:
    """A schedule as the API shows it."""
    targets = [shown_target(target, found.name) for target in found.targets]
    return found.to_dict() | {"deliver": targets}


def accepted(job: Job) -> Response:
    """202, and where to look."""
    response = json_answer(job.to_dict(), 202, Location=f"/v1/jobs/{job.id}", Retry_After="1")
    return response


@endpoint(
    api, "POST", "/v1/runs",
    scope="analyze",
    summary="Analyze an upload, or a place that the settings allow, as a job.",
    body=json_body(NewRun, {"source": {"upload": "0198f0c2a1b3d4e5f60718"}, "label": "March"}),
    answers=answers("Job", "It is in the queue; look at Location.", "202", located=True),
    errors=BAD_BODY | {
        "404": "There is no such upload or model.",
        "413": "Too large, or more products than SHELFWISE_MAX_UPLOAD_ROWS.",
    } | QUEUE_ERRORS,
    idempotent=True,
)  # fmt: skip
def start_run() -> Response:
    """Start an analysis."""
    query()
    asked = body_as(NewRun)
    carried = as_request(asked)
    with once(msgspec.json.encode(asked)) as attempt:
        job = jobs().enqueue(carried, attempt.result_id)
        if not attempt.repeated:
            audited("job.start", job.id)
    return accepted(job)


@endpoint(
    api, "GET", "/v1/jobs",
    scope="read or analyze",
    summary="Jobs, newest first.",
    query=JOBS,
    answers=answers("JobPage", "A page of jobs."),
    errors=STORE_ERRORS,
)  # fmt: skip
def list_jobs() -> Response:
    """Jobs."""
    options = query()
    found, following = jobs().newest(options["limit"] or DEFAULT_LIMIT, options["after"])
    return listed([job.to_dict() for job in found], following)


@endpoint(
    api, "GET", "/v1/jobs/{job_id}",
    scope="read or analyze",
    summary="How far a job is; look again after Retry-After seconds.",
    answers=answers("Job", "The job."),
    errors=NO_JOB,
)  # fmt: skip
def get_job(job_id: str) -> Response:
    """One job."""
    query()
    job = jobs().get(job_id)
    response = json_answer(job.to_dict())
    if not job.is_over:
        response.headers["Retry-After"] = "1"
    return response


@endpoint(
    api, "DELETE", "/v1/jobs/{job_id}",
    scope="analyze",
    summary="Cancel a job; one that is over stays as it is.",
    answers=answers("Job", "The job as it is now."),
    errors=NO_JOB,
)  # fmt: skip
def cancel_job(job_id: str) -> Response:
    """Cancel a job."""
    query()
    before = jobs().get(job_id)
    job = jobs().cancel(job_id)
    if not before.is_over:
        audited("job.cancel", job.id)
    return json_answer(job.to_dict())


@endpoint(
    api, "GET", "/v1/schedules",
    scope="read",
    summary="Analyses that come again, by name.",
    answers=answers("SchedulePage", "The schedules."),
    errors=STORE_ERRORS,
)  # fmt: skip
def list_schedules() -> Response:
    """The schedules."""
    query()
    return listed([shown(one) for one in jobs().schedules()])


@endpoint(
    api, "POST", "/v1/schedules",
    scope="admin",
    summary="Analyze a source again and again, and have the report of each run delivered.",
    description="`cron` is five or six fields, or such as 'monday 06:00'. Of the fires missed "
    "while no worker ran, the last is made up for. The place must be one that SHELFWISE_SOURCES "
    "allows. `make` names what is made of each run before its report is; by default "
    "what a report tells. Without `run` it is "
    "the report of the latest run that is delivered, once.",
    body=json_body(NewSchedule, {
        "name": "monday", "cron": "0 6 * * 1", "time_zone": "Europe/Berlin",
        "run": {"source": {"place": "/data/shop/products.parquet"}, "label": "Weekly"},
        "deliver": [], "make": ["inventory", "changes"],
    }),
    answers=answers("Schedule", "The schedule.", "201", located=True),
    errors=BAD_BODY | {"404": "There is no such model."} | STORE_ERRORS,
)  # fmt: skip
def add_schedule() -> Response:
    """Add a schedule."""
    query()
    asked = body_as(NewSchedule)
    carried: dict[str, Any] = {"origin": "schedule"}
    if asked.run is not None:
        sales = asked.run.sales
        for source in (asked.run.source, sales and sales.catalog, sales and sales.stock):
            if source and source.place is UNSET:
                raise InputError("A schedule reads places.", "An upload is gone after a week.")
        carried = as_request(asked.run, "schedule")
    settings: Settings = current_app.config["SHELFWISE"]
    carried["deliver"] = deliver_of(asked.deliver, asked.make, carried, settings)
    found = jobs().add_schedule(asked.name, asked.cron, carried, asked.time_zone)
    audited("schedule.add", found.name, cron=found.cron)
    return json_answer(shown(found), 201, Location=f"/v1/schedules/{found.name}")


@endpoint(
    api, "GET", "/v1/schedules/{name}",
    scope="read",
    summary="One schedule.",
    answers=answers("Schedule", "The schedule."),
    errors=NO_SCHEDULE,
)  # fmt: skip
def get_schedule(name: str) -> Response:
    """One schedule."""
    query()
    return json_answer(shown(jobs().schedule(name)))


@endpoint(
    api, "PATCH", "/v1/schedules/{name}",
    scope="admin",
    summary="Pause a schedule, let it go on, or have it come at other times.",
    description="What is left out or null stays. What would have come before stays away.",
    body=json_body(ScheduleChange, {"cron": "friday 18:00", "time_zone": "Europe/Berlin"}),
    answers=answers("Schedule", "The schedule as it is now."),
    errors=BAD_BODY | NO_SCHEDULE,
)  # fmt: skip
def change_schedule(name: str) -> Response:
    """Pause, resume or move a schedule."""
    query()
    change = body_as(ScheduleChange)
    given = {n: value for n, value in msgspec.to_builtins(change).items() if value is not None}
    found = jobs().change_schedule(name, **given) if given else jobs().schedule(name)
    if change.cron or change.time_zone:
        audited("schedule.change", name, cron=found.cron)
    if change.active is not None:
        audited("schedule.resume" if change.active else "schedule.pause", name)
    return json_answer(shown(found))


@endpoint(
    api, "DELETE", "/v1/schedules/{name}",
    scope="admin",
    summary="End a schedule.",
    answers={"204": {"description": "It is gone."}},
    errors=NO_SCHEDULE,
)  # fmt: skip
def delete_schedule(name: str) -> Response:
    """End a schedule."""
    query()
    jobs().delete_schedule(name)
    audited("schedule.delete", name)
    return Response(status=204)


@endpoint(
    api, "POST", "/v1/schedules/{name}/trigger",
    scope="analyze",
    summary="Do what a schedule does, now.",
    answers=answers("Job", "It is in the queue; look at Location.", "202", located=True),
    errors=NO_SCHEDULE | QUEUE_ERRORS,
)  # fmt: skip
def trigger_schedule(name: str) -> Response:
    """Trigger a schedule."""
    query()
    job = jobs().get(jobs().trigger(name))
    audited("schedule.trigger", name)
    return accepted(job)
