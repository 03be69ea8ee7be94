"""Reports: the documents of a run, where they went, what comes by itself, other tools."""

from typing import Any

import msgspec
import polars as pl
from flask import Response, current_app, redirect, request

from shelfwise import reports
from shelfwise.connect import grafana
from shelfwise.delivery.targets import Target, shown
from shelfwise.errors import InputError, NotFoundError, ShelfwiseError
from shelfwise.jobs.reporting import deliver_of
from shelfwise.jobs.schedules import Schedule, plain
from shelfwise.service import connecting, links
from shelfwise.service.access import audited
from shelfwise.service.dashboard.page import Seen, bound, screen, seen, show, url
from shelfwise.service.kept import jobs, store
from shelfwise.service.reports import document_of
from shelfwise.settings import Settings
from shelfwise.store import Delivery
from shelfwise.store.database import new_id
from shelfwise.texts import text

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "weekdays",
        "daily")  # fmt: skip
KINDS = ("folder", "mail", "webhook")
AGAIN = ("failed", "unknown")
"""States of a delivery that somebody may have sent again."""
LINKED = ("products", "inventory", "orders", "suppliers", "trends", "changes")
"""What of a run other tools are given by an address."""
LINK_KINDS = ("csv", "xlsx", "parquet", "json")
LINK_DAYS = (7, 30, 90, 366)


@screen("/reports")
def reports_page(
    wrong: str = "", link: dict[str, Any] | None = None, part: str = "", status: int = 200
) -> Any:
    """The page; `wrong` is what a form of the `part` did not fit, `link` an address just made."""
    try:
        some = seen()
    except NotFoundError:
        if request.args.get("run"):
            raise
        return show("empty", "reports", title=text("empty.title"))
    settings: Settings = current_app.config["SHELFWISE"]
    schedules = [one for one in jobs().schedules() if one.targets]
    page = show(
        "reports",
        "reports",
        title=_finding(some, schedules),
        documents=[(kind, bound(f"report.{kind}")) for kind in reports.FORMATS],
        suppliers=_suppliers(some),
        deliveries=[_delivery(one) for one in store().deliveries.of_run(some.run.id)],
        schedules=[_schedule(one) for one in schedules],
        days=DAYS,
        folders=settings.delivery_folders,
        mails=bool(settings.smtp and settings.mail_from),
        kinds=[kind for kind in KINDS if _is_open(kind, settings)],
        linked=[name for name in LINKED if name == "products" or name in some.derived],
        link_kinds=LINK_KINDS,
        link_days=LINK_DAYS,
        link=link,
        wrong=wrong,
        part=part,
        form=request.form,
    )
    return Response(page, status)


@screen("/report.<document:document>")
def report_file(document: str) -> Response:
    """The report on the shown run, or a page about one supplier."""
    return document_of(seen().run, document, request.args.get("supplier") or None)


@screen("/grafana.zip")
def grafana_file() -> Response:
    """A dashboard for Grafana over the published views."""
    return connecting.attached(grafana.files(), "grafana")


@screen("/reports/send", scope="admin", methods=("POST",))
def send_report() -> Any:
    """Send the report of the shown run now."""
    some = seen()
    try:
        carried = deliver_of([_target()], None, {"source": True}, current_app.config["SHELFWISE"])
    except InputError as error:
        return reports_page(str(error), part="send", status=422)
    assert carried
    found = store().deliveries.plan(some.run.id, carried["targets"], once=new_id())
    audited("delivery.add", some.run.id, kinds=[one.kind for one in found])
    return redirect(url("reports") + "#sent")


@screen("/reports/again", scope="analyze", methods=("POST",))
def send_again() -> Any:
    """Send again what failed, or of which nobody knows whether it arrived."""
    found = store().deliveries.again(request.form.get("id", ""))
    audited("delivery.again", found.id)
    return redirect(url("reports") + "#sent")


@screen("/reports/schedules", scope="admin", methods=("POST",))
def add_report_schedule() -> Any:
    """Have the report of the latest run delivered again and again."""
    form = request.form
    try:
        request_: dict[str, Any] = {"origin": "schedule"}
        request_["deliver"] = deliver_of(
            [_target()], None, request_, current_app.config["SHELFWISE"]
        )
        cron = f"{form.get('day', '')} {form.get('time', '')}"
        name = form.get("name", "").strip()
        if not name:
            raise InputError(text("reports.wrong.name"))
        made = jobs().add_schedule(name, cron, request_, form.get("zone", "").strip() or "UTC")
    except ShelfwiseError as error:
        return reports_page(str(error), part="schedule", status=422)
    audited("schedule.add", made.name, cron=made.cron)
    return redirect(url("reports") + "#schedules")


@screen("/reports/schedule", scope="admin", methods=("POST",))
def change_report_schedule() -> Any:
    """Pause, resume, trigger or end a schedule."""
    name, what = request.form.get("name", ""), request.form.get("do", "")
    if what in ("pause", "resume"):
        jobs().change_schedule(name, active=what == "resume")
    elif what == "run":
        jobs().trigger(name)
    elif what == "delete":
        jobs().delete_schedule(name)
    else:
        raise InputError(text("reports.wrong.do"))
    audited(f"schedule.{'trigger' if what == 'run' else what}", name)
    return redirect(url("reports") + "#schedules")


@screen("/reports/link", methods=("POST",))
def make_report_link() -> Any:
    """Sign the address of a file, for a program that can send no key."""
    form = request.form
    table, kind = form.get("table", "products"), form.get("kind", "csv")
    days = form.get("days", "")
    which = "latest" if form.get("latest") else seen().run.id
    try:
        if table not in LINKED or kind not in LINK_KINDS or days not in map(str, LINK_DAYS):
            raise InputError(text("reports.wrong.link"))
        made, end = links.signed(f"/v1/runs/{which}/{table}.{kind}", int(days))
    except InputError as error:
        return reports_page(str(error), part="link", status=422)
    return reports_page(link={"url": made, "end": end}, part="link")


def _finding(some: Seen, schedules: list[Schedule]) -> str:
    """What comes by itself next, else what can be had now."""
    coming = [one for one in schedules if one.next_at]
    if coming:
        first = min(coming, key=lambda one: one.next_at)  # type: ignore[arg-type, return-value]
        assert first.next_at
        return text("reports.title.next", day=some.formats.weekday(first.next_at.date()),
                    time=first.next_at.strftime("%H:%M"))  # fmt: skip
    return text("reports.title.now", day=some.formats.day(some.run.as_of))


def _suppliers(some: Seen) -> list[str]:
    products = some.products
    if "supplier" not in products.collect_schema():
        return []
    names = products.select(pl.col("supplier").cast(pl.String).drop_nulls().unique())
    return sorted(names.collect().to_series().to_list())


def _is_open(kind: str, settings: Settings) -> bool:
    """Whether reports may go there at all; webhooks may always go to the public."""
    if kind == "folder":
        return bool(settings.delivery_folders)
    return kind == "webhook" or bool(settings.smtp and settings.mail_from)


def _delivery(one: Delivery) -> dict[str, Any]:
    target = shown(one.target)
    return {"id": one.id, "state": one.state, "again": one.state in AGAIN, "reason": one.reason,
            "note": one.note, "at": one.sent_at or one.created_at, "due": one.due_at,
            "schedule": one.schedule, "kind": target["kind"], "to": ", ".join(target["to"]),
            "formats": ", ".join(target["formats"])}  # fmt: skip


def _schedule(one: Schedule) -> dict[str, Any]:
    targets = [shown(target) for target in one.targets]
    return {"name": one.name, "cron": one.cron, "plain": plain(one.cron), "zone": one.time_zone,
            "active": one.active, "next": one.next_at, "targets": targets,
            "source": one.place}  # fmt: skip


def _target() -> Target:
    """What a form says of where the report goes; InputError for what does not fit."""
    form = request.form
    kind, to = form.get("kind", ""), form.get("to", "").strip()
    if kind not in KINDS:
        raise InputError(text("reports.wrong.kind"))
    if not to:
        raise InputError(text(f"reports.wrong.to.{kind}"))
    given: dict[str, Any] = {kind: [one.strip() for one in to.split(",") if one.strip()]
                             if kind == "mail" else to}  # fmt: skip
    if kind != "webhook":
        given["formats"] = form.getlist("formats") or ["pdf"]
    try:
        return msgspec.convert(given, Target)
    except msgspec.ValidationError as error:
        raise InputError(text("reports.wrong.target"), f"{error}.") from error
