"""/v1/jobs, /v1/uploads and /v1/schedules: what takes longer than a request."""

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec
from flask import Blueprint, Response, current_app, request
from msgspec import UNSET, UnsetType

from shelfwise.engines import urls
from shelfwise.errors import InputError
from shelfwise.jobs.queue import Job
from shelfwise.preview import preview
from shelfwise.service import media
from shelfwise.service.access import audited
from shelfwise.service.body import save_body
from shelfwise.service.contract import (
    BAD_BODY,
    DEFAULT_LIMIT,
    ID,
    REFERENCE,
    STORE_ERRORS,
    answers,
    body_as,
    endpoint,
    json_answer,
    json_body,
    listed,
    parameter,
    query,
)
from shelfwise.service.kept import jobs, once, store
from shelfwise.service.parameters import JOBS
from shelfwise.service.problems import Refusal
from shelfwise.settings import Settings

api = Blueprint("jobs", __name__)
NO_JOB = {"404": "There is no such job."} | STORE_ERRORS
NO_UPLOAD = {"404": "There is no such upload."} | STORE_ERRORS
NO_SCHEDULE = {"404": "There is no such schedule."} | STORE_ERRORS
_BINARY = {"schema": {"type": "string", "format": "binary"}}

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern="^[^\\x00-\\x1f]*$")]
Place = Annotated[str, msgspec.Meta(min_length=1, max_length=1000, pattern="^[^\\x00-\\x1f]*$")]


class Source(msgspec.Struct, forbid_unknown_fields=True):
    """Where the products are: an upload, or a place that the settings allow."""

    upload: Annotated[str, msgspec.Meta(pattern=f"^{ID}$")] | UnsetType = UNSET
    place: Place | UnsetType = UNSET


class NewRun(msgspec.Struct, forbid_unknown_fields=True):
    """An analysis to be done as a job."""

    source: Annotated[Source, msgspec.Meta(extra_json_schema={
        "oneOf": [{"required": ["upload"]}, {"required": ["place"]}]})]  # fmt: skip
    profile: Literal["standard", "robust", "margin"] = "standard"
    tiering: Literal["quota", "kmeans"] = "quota"
    model: Annotated[str, msgspec.Meta(pattern=f"^{REFERENCE}$")] | None = None
    columns: dict[str, str] = {}
    on_error: Literal["reject", "skip", "repair"] = "reject"
    period_days: Annotated[float, msgspec.Meta(ge=1, le=36_600)] | None = None
    group_by: Text | None = None
    label: Text | None = None
    as_of: Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] | None = None


class NewSchedule(msgspec.Struct, forbid_unknown_fields=True):
    """An analysis that comes again."""

    name: Annotated[str, msgspec.Meta(pattern=f"^{ID}$", max_length=64)]
    cron: Annotated[str, msgspec.Meta(min_length=9, max_length=100)]
    run: NewRun
    time_zone: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "UTC"


class ScheduleChange(msgspec.Struct, forbid_unknown_fields=True):
    """What may change of a schedule."""

    active: bool


def accepted(job: Job) -> Response:
    """202, and where to look."""
    response = json_answer(job.to_dict(), 202, Location=f"/v1/jobs/{job.id}", Retry_After="1")
    return response


def as_request(asked: NewRun, origin: str = "api") -> dict[str, Any]:
    """What a job carries, after a look at where its source is."""
    settings: Settings = current_app.config["SHELFWISE"]
    source = asked.source
    if (source.upload is UNSET) is (source.place is UNSET):
        raise InputError("Give either source.upload or source.place.")
    found: dict[str, Any] = msgspec.to_builtins(asked)
    if source.upload is not UNSET:
        store().uploads.get(source.upload)
    else:
        found["source"]["place"] = allowed(str(source.place), settings.sources)
    if asked.model is not None:
        store().models.get(asked.model)
    if asked.as_of is not None:
        try:
            dt.date.fromisoformat(asked.as_of)
        except ValueError as error:
            raise InputError(f"as_of is {asked.as_of}: there is no such day.") from error
    return found | {"origin": origin, "max_rows": settings.max_upload_rows}


def allowed(place: str, sources: tuple[str, ...]) -> str:
    """The place, resolved; InputError where the settings do not open it to requests.

    A folder opens what is in it, after links are followed. A URL opens what has the same
    scheme, user and host, and a path that is its own or begins with it and a slash.
    """
    if urls.is_url(place):
        if any(_within(place, one) for one in sources if urls.is_url(one)):
            return place
    else:
        path = Path(place).resolve()
        folders = [Path(one).resolve() for one in sources if not urls.is_url(one)]
        if any(path == folder or folder in path.parents for folder in folders):
            return str(path)
    raise InputError(
        "This place may not be read over HTTP.",
        "SHELFWISE_SOURCES lists the folders and URLs that may; or upload the file.",
    )


def _within(place: str, source: str) -> bool:
    asked, opened = urlsplit(place), urlsplit(source)
    same = (asked.scheme.lower(), asked.netloc) == (opened.scheme.lower(), opened.netloc)
    steps = unquote(asked.path).replace("\\", "/").split("/")
    base = opened.path.rstrip("/")
    inside = asked.path == opened.path or asked.path.startswith(f"{base}/")
    return same and inside and ".." not in steps and asked.query == opened.query


@endpoint(
    api, "POST", "/v1/runs",
    scope="analyze",
    summary="Analyze an upload, or a place that the settings allow, as a job.",
    body=json_body(NewRun, {"source": {"upload": "0198f0c2a1b3d4e5f60718"}, "label": "March"}),
    answers=answers("Job", "It is in the queue; look at Location.", "202"),
    errors=BAD_BODY | {"404": "There is no such upload or model."} | STORE_ERRORS,
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
    api, "POST", "/v1/uploads",
    scope="analyze",
    summary="Keep a file for a week, to be analyzed as a job.",
    description="The answer shows how it would be read: its first rows, which column is taken "
    "for what, what is missing, and what a repair would mend.",
    query={"name": parameter("What the file is called.", type="string", maxLength=255)},
    body={"required": True, "content": dict.fromkeys(media.UPLOADS, _BINARY)},
    answers=answers("Upload", "The file is kept.", "201"),
    errors={
        "400": "Not gzip, or cut short.",
        "413": "More bytes than SHELFWISE_MAX_UPLOAD_BYTES.",
        "415": "A medium that nobody here reads.",
        "422": "Not what Content-Type says.",
    } | STORE_ERRORS,
)  # fmt: skip
def upload() -> Response:
    """Keep a file."""
    options = query()
    settings: Settings = current_app.config["SHELFWISE"]
    kind = _kind()
    name = options["name"] or f"upload.{kind}"
    kept = store().uploads.add(
        kind, name, lambda path: save_body(request.environ, settings.max_upload_bytes, path)
    )
    try:
        shown = look(kept.id)
    except BaseException:
        store().uploads.delete(kept.id)
        raise
    audited("upload.add", kept.id, bytes=kept.bytes)
    return json_answer(kept.to_dict() | shown, 201, Location=f"/v1/uploads/{kept.id}")


@endpoint(
    api, "GET", "/v1/uploads/{upload_id}",
    scope="read or analyze",
    summary="An upload, and how it would be read.",
    answers=answers("Upload", "The upload."),
    errors=NO_UPLOAD | {"422": "It cannot be read."},
)  # fmt: skip
def get_upload(upload_id: str) -> Response:
    """An upload."""
    query()
    kept = store().uploads.get(upload_id)
    return json_answer(kept.to_dict() | look(kept.id))


@endpoint(
    api, "DELETE", "/v1/uploads/{upload_id}",
    scope="analyze",
    summary="Remove an upload.",
    answers={"204": {"description": "It is gone."}},
    errors=NO_UPLOAD,
)  # fmt: skip
def delete_upload(upload_id: str) -> Response:
    """Remove an upload."""
    query()
    store().uploads.delete(upload_id)
    audited("upload.delete", upload_id)
    return Response(status=204)


def look(upload_id: str) -> dict[str, Any]:
    """How an upload would be read."""
    settings: Settings = current_app.config["SHELFWISE"]
    kept = store().uploads.get(upload_id)
    return preview(store().uploads.path(upload_id), kept.kind, settings.max_upload_bytes)


def _kind() -> str:
    given = request.content_type or ""
    kind = media.UPLOADS.get(given.partition(";")[0].strip().lower())
    if kind is None:
        raise Refusal(
            415,
            "unsupported_media_type",
            f"Content-Type {given[:60]!r} is not understood; it is one of "
            f"{', '.join(media.UPLOADS)}.",
            Accept=", ".join(media.UPLOADS),
        )
    return kind


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
    return listed([one.to_dict() for one in jobs().schedules()])


@endpoint(
    api, "POST", "/v1/schedules",
    scope="admin",
    summary="Analyze a source again and again, by cron, in a time zone.",
    description="Of the fires missed while no worker ran, the last is made up for. The place "
    "must be one that SHELFWISE_SOURCES allows.",
    body=json_body(NewSchedule, {
        "name": "monday", "cron": "0 6 * * 1", "time_zone": "Europe/Berlin",
        "run": {"source": {"place": "/data/shop/products.parquet"}, "label": "Weekly"},
    }),
    answers=answers("Schedule", "The schedule.", "201"),
    errors=BAD_BODY | {"404": "There is no such model."} | STORE_ERRORS,
)  # fmt: skip
def add_schedule() -> Response:
    """Add a schedule."""
    query()
    asked = body_as(NewSchedule)
    if asked.run.source.place is UNSET:
        raise InputError("A schedule reads a place.", "An upload is gone after a week.")
    carried = as_request(asked.run, "schedule")
    found = jobs().add_schedule(asked.name, asked.cron, carried, asked.time_zone)
    audited("schedule.add", found.name, cron=found.cron)
    return json_answer(found.to_dict(), 201, Location=f"/v1/schedules/{found.name}")


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
    return json_answer(jobs().schedule(name).to_dict())


@endpoint(
    api, "PATCH", "/v1/schedules/{name}",
    scope="admin",
    summary="Pause a schedule, or let it go on.",
    body=json_body(ScheduleChange, {"active": False}),
    answers=answers("Schedule", "The schedule as it is now."),
    errors=BAD_BODY | NO_SCHEDULE,
)  # fmt: skip
def change_schedule(name: str) -> Response:
    """Pause or resume a schedule."""
    query()
    change = body_as(ScheduleChange)
    found = jobs().pause(name, not change.active)
    audited("schedule.resume" if change.active else "schedule.pause", name)
    return json_answer(found.to_dict())


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
    answers=answers("Job", "It is in the queue; look at Location.", "202"),
    errors=NO_SCHEDULE,
)  # fmt: skip
def trigger_schedule(name: str) -> Response:
    """Trigger a schedule."""
    query()
    job = jobs().get(jobs().trigger(name))
    audited("schedule.trigger", name)
    return accepted(job)
