"""Work that a page waits for: a form starts it as a job, the page tells how far it is."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from flask import Response, redirect, request
from werkzeug.datastructures import FileStorage

from shelfwise.errors import InputError, NotFoundError, excerpt
from shelfwise.insights.sections import QUESTIONS
from shelfwise.jobs.queue import Job
from shelfwise.service.access import audited
from shelfwise.service.dashboard.page import Seen, has, screen, seen, show, url
from shelfwise.service.dashboard.upload import keep as keep_file
from shelfwise.service.kept import jobs, store
from shelfwise.store.database import now
from shelfwise.store.derived import KINDS, Kind
from shelfwise.texts import text

PATIENCE = dt.timedelta(seconds=15)
"""After how long a job that nobody takes up is a reason to look for a worker."""
SECONDS = 2
"""After how long a page that waits loads itself again; a header does it, without a script."""
OF_LINES = ("trends", "forecast", "elasticity")
"""What can be made of order lines alone."""


def working(place: str, kind: Kind, *, needed: bool = True, **shown: Any) -> Response | str | None:
    """What a page shows instead of itself while the table `kind` is not there; else None.

    That is how to get a run; what the run lacks; a form that starts the work; how far the
    work is; or why it failed. `shown` goes into the address of the page. A page that is not
    in need of the table asks for it itself.
    """
    try:
        some = seen()
    except NotFoundError:
        if request.args.get("run"):
            raise
        return show("empty", place, title=text("empty.title"))
    there = kind in some.derived
    job = _named(some, kind) or (None if there else _at_work(some, kind))
    if job and not job.is_over:
        page = Response(_page(place, kind, job, shown))
        page.headers["Refresh"] = str(SECONDS)
        return page
    if job and job.state == "succeeded":
        return redirect(url(place, **shown))  # type: ignore[return-value]  # A Response it is.
    return None if job is None and (there or not needed) else _page(place, kind, job, shown)


def begin(
    some: Seen,
    place: str,
    kind: Kind,
    policy: Mapping[str, Any] | None = None,
    files: Mapping[str, FileStorage] | None = None,
    keep: Collection[str] = (),
    **shown: Any,
) -> Any:
    """Start the job that makes `kind` of a run, and go to the page that shows how far it is.

    Args:
        some: The run.
        place: The page; it calls `working` with the same kind.
        kind: What to make.
        policy: The settings of a decision, numbers also as text; what is empty is left out.
        files: What the decision takes beside the products, as files of a form.
        keep: Which of these shall be those of the last time, where no file is given.
        shown: What else goes into the address of the page.

    Raises:
        InputError: The run has no order lines, a setting is wrong, a file is of no kind that
            is read, or what was given the last time is not kept any more.
        QueueFullError: As many jobs wait as may.
    """
    asked: dict[str, Any] = {"make": kind, "run": some.run.id}
    if kind in QUESTIONS:
        given = {name: value for name, value in (policy or {}).items() if value not in ("", None)}
        asked["policy"] = msgspec.to_builtins(QUESTIONS[kind].settings(given))
        if QUESTIONS[kind].compares:
            asked["since"] = shown["since"]
    else:
        store().runs.must_have_weeks(some.run)
    for name, file in (files or {}).items():
        if file.filename:
            asked[name] = {"upload": keep_file(file).id}
    for name in keep:
        if name not in asked:
            asked[name] = _given_before(some, kind, name)
    return _start(some, place, asked, shown)


def _start(some: Seen, place: str, asked: Mapping[str, Any], shown: Mapping[str, Any]) -> Any:
    job = _at_work(some, asked["make"], asked)
    if job is None:
        job = jobs().enqueue(asked)
        audited("job.start", job.id)
    return redirect(url(place, **shown, work=job.id))


@screen("/work", scope="analyze", methods=("POST",))
def work() -> Any:
    """Start what a form asks for (`make`, settings as `policy.NAME`), stop it, or do it again."""
    some, form = seen(), request.form
    place, kind = form.get("place", ""), form.get("make", "")
    shown = {"view": form.get("view")}
    if not has(place):
        raise InputError(text("work.wrong.place", place=excerpt(place)))
    if stopped := form.get("cancel"):
        jobs().cancel(stopped)
        audited("job.cancel", stopped)
        return redirect(url(place, **shown, work=stopped))
    if again := form.get("again"):
        asked = jobs().get(again).request
        if asked.get("run") != some.run.id:
            raise InputError(text("work.wrong.run"), text("work.wrong.run.instead"))
        return _start(some, place, asked, shown)
    if kind not in KINDS:
        raise InputError(text("work.wrong.kind", kind=excerpt(kind)))
    start = "policy."
    policy = {name.removeprefix(start): value.strip() for name, value in form.items()
              if name.startswith(start)}  # fmt: skip
    tables = QUESTIONS[kind].tables if kind in QUESTIONS else ("out_of_stock",)
    files = {name: request.files[name] for name in tables if name in request.files}
    keep = [name for name in tables if form.get(f"keep.{name}")]
    return begin(some, place, kind, policy, files, keep, **shown)


def lacks_lines(some: Seen, kind: str) -> bool:
    """Whether this needs order lines, and the run has none."""
    return kind in OF_LINES and not store().runs.has_weeks(some.run)


def settings_of(kind: str, names: Sequence[str], some: Seen) -> list[dict[str, Any]]:
    """The fields of a form for some settings of a decision, with the values it was made by."""
    policy = QUESTIONS[kind].policy
    schema = msgspec.json.schema(policy)["$defs"][policy.__name__]["properties"]
    made = some.about(kind).get("policy", {})
    found = []
    for name in names:
        told = schema[name]
        told = told | next((one for one in told.get("anyOf", ()) if "description" in one), {})
        found.append({
            "name": name, "hint": told["description"],
            "value": plain(made.get(name, told.get("default"))),
            "low": told.get("minimum", told.get("exclusiveMinimum")),
            "high": told.get("maximum", told.get("exclusiveMaximum")),
        })  # fmt: skip
    return found


def plain(value: Any) -> Any:
    """A number as people type it: 7 and not 7.0."""
    return int(value) if isinstance(value, float) and value == int(value) else value


def _page(place: str, kind: Kind, job: Job | None, shown: Mapping[str, Any]) -> str:
    some, what = seen(), text(f"making.{kind}")
    old = job is not None and now() - job.created_at > PATIENCE
    going = job is not None and not job.is_over
    failed = job is not None and job.state in ("failed", "cancelled")
    return show(
        "working",
        place,
        title=text("working.title" if going else "working.title.failed" if failed
                   else "working.title.none", what=what),
        kind=kind,
        job=job,
        going=going,
        alone=going and old and not jobs().workers(),
        lacks_lines=lacks_lines(some, kind),
        there=kind in some.derived,
        here=url(place, **shown),
        view=shown.get("view"),
    )  # fmt: skip


def _named(some: Seen, kind: str) -> Job | None:
    """The job that the address names, where it is about this."""
    if not (given := request.args.get("work")):
        return None
    try:
        job = jobs().get(given)
    except NotFoundError:
        return None
    return job if _is_about(job, some, kind) else None


def _at_work(some: Seen, kind: str, asked: Mapping[str, Any] | None = None) -> Job | None:
    """A job that is making this of the run, for whoever asked; or one for exactly this."""
    for job in jobs().newest()[0]:
        same = asked is None or dict(job.request) == asked
        if same and not job.is_over and _is_about(job, some, kind):
            return job
    return None


def _given_before(some: Seen, kind: str, name: str) -> dict[str, str]:
    """What the last job of this kind was given, where it is still kept."""
    for job in jobs().newest()[0]:
        if job.state == "succeeded" and _is_about(job, some, kind) and job.request.get(name):
            found: dict[str, str] = job.request[name]
            if "upload" in found:
                with suppress(NotFoundError):
                    store().uploads.path(found["upload"])
                    return found
    raise InputError(text("work.wrong.gone", name=name), text("work.wrong.gone.instead"))


def _is_about(job: Job, some: Seen, kind: str) -> bool:
    return job.what == kind and job.request.get("run") == some.run.id
