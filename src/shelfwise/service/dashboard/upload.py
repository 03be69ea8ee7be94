"""A file that a person sends: kept, looked at, and analyzed as a job, as the API does it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from flask import Response, current_app, redirect, request
from werkzeug.datastructures import FileStorage

from shelfwise.columns import COLUMNS, LINES, NOT_USED
from shelfwise.errors import InputError, NotFoundError, ShelfwiseError, excerpt
from shelfwise.preview import Outlook, outlook
from shelfwise.profile import PROFILES
from shelfwise.sales.rollup import BY
from shelfwise.service.access import audited
from shelfwise.service.asking import NewRun, as_request
from shelfwise.service.body import save_body
from shelfwise.service.dashboard.page import screen, show, url
from shelfwise.service.kept import jobs, store
from shelfwise.service.problems import STATUS, Refusal
from shelfwise.settings import Settings
from shelfwise.store.uploads import ENDINGS, Upload
from shelfwise.texts import text

FULL = 507
"""The status of an answer where the disk has no room."""
KINDS = {suffix: kind for kind, suffix in ENDINGS.items()} | {
    ".tsv": "csv", ".txt": "csv", ".jsonl": "ndjson", ".feather": "arrow",
}  # fmt: skip
"""The ending of a file's name -> what is in it; .gz may stand behind it."""
SECONDS = 1
MAPPED = 200
"""Columns that can be mapped by hand in the form."""
FIELDS = ("period_days", "from", "to", "dates", "by", "max_rejected", "on_error", "profile",
          "tiering", "group_by", "label", "as_of")  # fmt: skip
OF_LINES = ("from", "to", "dates", "by", "max_rejected")
OF_PRODUCTS = ("period_days", "on_error", "group_by")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form says: of lines or products, which columns are which, and the settings."""

    lines: bool | None
    places: Mapping[int, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, form: Mapping[str, str]) -> "Asked":
        """What a form, or an address, says."""
        lines = {"lines": True, "products": False}.get(form.get("as", ""))
        ours = {NOT_USED, *(column.name for column in (LINES if lines else COLUMNS))}
        places = {int(name[1:]): form[name] for name in form
                  if re.fullmatch("c[0-9]{1,4}", name) and form[name] in ours}  # fmt: skip
        settings = {name: form[name].strip() for name in FIELDS if form.get(name, "").strip()}
        return cls(lines, places, settings)

    def parts(self, seen: Outlook | None = None) -> dict[str, str]:
        """The same as parts of an address; columns that need no telling are left out."""
        taken = list(seen.taken.columns.values()) if seen else []
        places = {at: ours for at, ours in self.places.items()
                  if at >= len(taken) or taken[at] != ours}  # fmt: skip
        kind = {} if self.lines is None else {"as": "lines" if self.lines else "products"}
        return {**kind, **{f"c{at}": ours for at, ours in places.items()}, **self.settings}


def keep(file: FileStorage) -> Upload:
    """Keep a file of a form, within the limits that uploads to the API have.

    Raises Refusal (415) for a name that tells of nothing we read, TooLargeError,
    UnreadableError for what is no gzip, InputError for an empty file.
    """
    settings: Settings = current_app.config["SHELFWISE"]
    name = (file.filename or "").replace("\\", "/").rpartition("/")[2].strip()
    packed = name.lower().endswith(".gz")
    kind = KINDS.get(Path(name[:-3] if packed else name).suffix.lower())
    if kind is None:
        told = text("upload.wrong.kind", name=excerpt(name), kinds=", ".join(KINDS))
        raise Refusal(415, "unsupported_media_type", told)
    size = file.stream.seek(0, os.SEEK_END)
    file.stream.seek(0)
    if not size:
        raise InputError(text("upload.wrong.empty", name=excerpt(name)))
    sent = {"wsgi.input": file.stream, "CONTENT_LENGTH": str(size),
            "HTTP_CONTENT_ENCODING": "gzip" if packed else ""}  # fmt: skip
    kept = store().uploads.add(
        kind, name, lambda path: save_body(sent, settings.max_upload_bytes, path)
    )
    audited("upload.add", kept.id, bytes=kept.bytes)
    return kept


@screen("/data", scope="analyze", methods=("POST",))
def upload() -> Any:
    """Keep the file of the form, and show how it would be read."""
    from shelfwise.service.dashboard.data import data

    file = request.files.get("file")
    try:
        if file is None or not file.filename:
            raise InputError(text("upload.wrong.none"))
        kept = keep(file)
        try:
            _seen(kept, Asked(None))
        except BaseException:
            store().uploads.delete(kept.id)
            raise
    except (ShelfwiseError, Refusal) as error:
        status = _status(error)
        # Where the server keeps its files is no affair of a page.
        wrong = text("upload.wrong.full") if status == FULL else str(error)
        return Response(data(wrong=wrong), status, content_type="text/html")
    return redirect(url(f"data/{kept.id}"), 303)


@screen("/data/<id:upload_id>")
def preview_upload(upload_id: str) -> Any:
    """How a file would be read, and a form that changes that, and starts the analysis."""
    return _form(store().uploads.get(upload_id), Asked.of(request.args), "")


@screen("/data/<id:upload_id>", scope="analyze", methods=("POST",))
def analyze_upload(upload_id: str) -> Any:
    """Look at the file again with what the form says, or start the analysis."""
    kept, asked = store().uploads.get(upload_id), Asked.of(request.form)
    if request.form.get("do") == "forget":
        store().uploads.delete(kept.id)
        audited("upload.delete", kept.id)
        return redirect(url("data"), 303)
    automatic, kind = _seen(kept, Asked(asked.lines))
    if request.form.get("do") == "look":
        return redirect(url(f"data/{kept.id}", **asked.parts(automatic)), 303)
    try:
        columns = _columns(automatic, asked)
        _must_fit(_seen(kept, replace(asked, lines=kind))[0])
        carried = as_request(_new_run(kept, kind, asked, columns), "dashboard")
        job = jobs().enqueue(carried)
    except (ShelfwiseError, Refusal) as error:
        return Response(_form(kept, asked, str(error)), _status(error), content_type="text/html")
    audited("job.start", job.id)
    return redirect(url(f"data/job/{job.id}"), 303)


def _must_fit(found: Outlook) -> None:
    """InputError where the job would fail for what can be seen already."""
    if missing := _needed(found.taken.missing):
        raise InputError(text("upload.missing", names=", ".join(missing)))
    if found.trouble:
        raise InputError(found.trouble)


def _new_run(kept: Upload, lines: bool, asked: Asked, columns: Mapping[str, str]) -> NewRun:
    """What the API would be sent for it; InputError names the setting that is wrong."""
    given: dict[str, Any] = {
        name: value for name, value in asked.settings.items()
        if name not in (OF_PRODUCTS if lines else OF_LINES)
    }  # fmt: skip
    sales: dict[str, Any] | None = None
    if lines:
        sales = {name: given.pop(name) for name in OF_LINES if name in given}
        if "max_rejected" in sales:
            sales["max_rejected"] = _share(sales["max_rejected"])
        for name in ("catalog", "stock"):
            file = request.files.get(name)
            if file is not None and file.filename:
                sales[name] = {"upload": keep(file).id}
    body = {"source": {"upload": kept.id}, "columns": dict(columns), "sales": sales, **given}
    try:
        return msgspec.convert(body, NewRun, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(text("upload.wrong.setting", error=str(error))) from error


def _share(percent: str) -> float:
    try:
        return float(percent) / 100
    except ValueError as error:
        raise InputError(text("upload.wrong.share", given=excerpt(percent))) from error


def _seen(kept: Upload, asked: Asked) -> tuple[Outlook, bool]:
    """How the file would be read as it comes, and whether it has order lines."""
    settings: Settings = current_app.config["SHELFWISE"]
    path = store().uploads.path(kept.id)

    def look(lines: bool, columns: Mapping[str, str] | None = None) -> Outlook:
        return outlook(path, kept.kind, settings.max_upload_bytes, lines=lines, columns=columns,
                       dates=asked.settings.get("dates"))  # type: ignore[arg-type]  # fmt: skip

    if asked.lines is None:
        found = look(True)
        if found.taken.missing:
            products = look(False)
            if len(products.taken.missing) <= len(found.taken.missing):
                return products, False
        return found, True
    found = look(asked.lines)
    if asked.places and (columns := _columns(found, asked)):
        return look(asked.lines, columns), asked.lines
    return found, asked.lines


def _columns(automatic: Outlook, asked: Asked) -> dict[str, str]:
    """Their names for ours, as far as the form says other than what is seen without it."""
    names = list(automatic.taken.columns)
    return {names[at]: ours for at, ours in asked.places.items()
            if at < len(names) and automatic.taken.columns[names[at]] != ours}  # fmt: skip


def _form(kept: Upload, asked: Asked, wrong: str) -> str:
    found, lines = _seen(kept, asked)
    contract = LINES if lines else COLUMNS
    taken = found.taken
    there = {ours for ours in taken.columns.values() if ours}
    favor = found.favor
    return show(
        "upload", "data",
        title=_title(found, lines),
        upload=kept, seen_file=found, lines=lines, wrong=wrong, asked=asked.settings,
        columns=[
            {"at": at, "name": name, "taken": ours, "unused": asked.places.get(at) == NOT_USED,
             "values": [row[name] for row in found.rows[:3] if row[name]]}
            for at, (name, ours) in enumerate(list(taken.columns.items())[:MAPPED])
        ],
        more_columns=max(0, len(taken.columns) - MAPPED),
        shown_columns=list(taken.columns.items())[:MAPPED],
        contract=contract,
        missing=_needed(taken.missing),
        unlocks=[column for column in contract if not column.required and column.name not in there],
        profiles=_profiles(there, lines),
        profile=asked.settings.get("profile") or (favor.profile if favor else "standard"),
        favor=favor,
        by=BY,
    )  # fmt: skip


def _title(found: Outlook, lines: bool) -> str:
    """What the look has found, in one sentence."""
    if found.trouble or _needed(found.taken.missing):
        return text("upload.title.trouble")
    kind = "lines" if lines else "products"
    if found.refused:
        return text(f"upload.title.{kind}.some", n=found.refused, all=f"{found.tried:,}")
    if not found.whole:
        return text(f"upload.title.{kind}.first", n=found.tried)
    return text(f"upload.title.{kind}.all", n=found.tried)


def _needed(missing: tuple[str, ...]) -> list[str]:
    """What must be there; without stock sell-through is withheld, and that is all."""
    return [name for name in missing if name != "stock"]


def _profiles(there: set[str], lines: bool) -> list[dict[str, Any]]:
    """The profiles, and what each lacks."""
    cost = "cost" if lines else "unit_cost"
    return [
        {"name": name, "description": profile.description,
         "lacks": cost if "unit_cost" in profile.needs and cost not in there else ""}
        for name, profile in PROFILES.items()
    ]  # fmt: skip


@screen("/data/job/<job:job_id>")
def analysis_job(job_id: str) -> Any:
    """How far an analysis is; when it is done, what went in."""
    job = jobs().get(job_id)
    if job.what != "analysis":
        raise NotFoundError(text("analysis.wrong.id", id=excerpt(job_id)))
    if job.state == "succeeded" and job.run_id:
        return redirect(f"/data?run={job.run_id}&new=1", 303)
    source = job.request.get("source") or {}
    name, back = source.get("place", ""), ""
    if "upload" in source:
        try:
            kept = store().uploads.get(source["upload"])
            name = kept.name
            if job.is_over:
                back = url(f"data/{kept.id}", **_asked_of(kept, job.request))
        except NotFoundError:
            name = ""
    page = Response(show(
        "analysis_job", "data",
        title=text(f"analysis.title.{job.state}"),
        job=job, name=name, back=back, workers=jobs().workers(),
    ))  # fmt: skip
    if not job.is_over:
        page.headers["Refresh"] = str(SECONDS)
    return page


def _asked_of(kept: Upload, carried: Mapping[str, Any]) -> dict[str, str]:
    """The settings of a job and its mapping of columns, as the form has them."""
    sales = carried.get("sales") or {}
    found = {name: str(value) for name, value in {**carried, **sales}.items()
             if name in FIELDS and value not in (None, "")}  # fmt: skip
    if sales:
        found["max_rejected"] = f"{100 * sales['max_rejected']:g}"  # The form has percent.
    mapped = carried.get("columns") or {}
    if mapped:
        names = list(_seen(kept, Asked(bool(sales)))[0].taken.columns)
        found |= {f"c{names.index(theirs)}": ours for theirs, ours in mapped.items()
                  if theirs in names}  # fmt: skip
    return {"as": "lines" if sales else "products"} | found


@screen("/data/job/<job:job_id>/stop", scope="analyze", methods=("POST",))
def stop_analysis(job_id: str) -> Any:
    """Stop an analysis that is queued or running."""
    job = jobs().get(job_id)
    if not job.is_over:
        jobs().cancel(job.id)
        audited("job.cancel", job.id)
    return redirect(url(f"data/job/{job.id}"), 303)


def _status(error: Exception) -> int:
    if isinstance(error, Refusal):
        return error.status
    return next(status for kind, status in STATUS.items() if isinstance(error, kind))
