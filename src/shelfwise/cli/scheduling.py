"""The command schedule: analyses that come again, and where their reports go."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table as Grid
from rich.text import Text

from shelfwise.cli.keeping import AsJson, store
from shelfwise.cli.screen import err, out
from shelfwise.errors import InputError, excerpt
from shelfwise.settings import load_settings

if TYPE_CHECKING:
    from shelfwise.jobs.schedules import Schedule

schedule = typer.Typer(
    help="Analyses that come again, and their reports: add, list, move, pause, remove, run, "
    "sent, again.",
    no_args_is_help=True,
)
SHORT = 12
"""Letters of an id that tell it from others, where people read it."""
Name = Annotated[str, typer.Argument(help="The schedule's name.")]


@contextmanager
def _jobs() -> Iterator[tuple[Any, Any]]:
    """The store that the settings name, and its jobs."""
    from shelfwise.jobs.queue import Jobs

    with store() as kept:
        jobs = Jobs(kept, load_settings().max_queued)
        try:
            yield kept, jobs
        finally:
            jobs.close()


@schedule.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Its name: letters, digits, - and _.")],
    when: Annotated[str, typer.Argument(help="Such as 'monday 06:00', or cron: '0 6 * * 1'.")],
    source: Annotated[
        str | None,
        typer.Argument(help="Products: a file, folder, pattern or table; none: the latest run."),
    ] = None,
    sales: Annotated[bool, typer.Option("--sales", help="The source has order lines.")] = False,
    catalog: Annotated[str | None, typer.Option(help="With --sales: names, prices.")] = None,
    stock: Annotated[str | None, typer.Option(help="With --sales: what is in stock.")] = None,
    time_zone: Annotated[str, typer.Option(help="Such as Europe/Berlin.")] = "UTC",
    profile: Annotated[str, typer.Option(help="standard, robust or margin.")] = "standard",
    label: Annotated[str | None, typer.Option(help="A name for its runs.")] = None,
    folder: Annotated[
        list[str] | None, typer.Option(help="Deliver the report here; several times.")
    ] = None,
    mail: Annotated[list[str] | None, typer.Option(help="Mail it there; several times.")] = None,
    webhook: Annotated[
        list[str] | None, typer.Option(help="Tell this https address; several times.")
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="pdf, html, xlsx or csv; several times. pdf if none."),
    ] = None,
    make: Annotated[
        list[str] | None,
        typer.Option(help="Make this first, such as trends; all that a report tells if none."),
    ] = None,
) -> None:
    """Analyze a source again and again, and have the report of each run delivered."""
    from shelfwise.delivery.webhook import secret_of
    from shelfwise.jobs.reporting import deliver_of

    settings = load_settings()
    request: dict[str, Any] = {"origin": "schedule"}
    if source is not None:
        counted = {"catalog": _place(catalog), "stock": _place(stock)} if sales else None
        request |= _run({"source": _place(source), "profile": profile, "label": label,
                         "sales": counted})  # fmt: skip
        request["max_rows"] = settings.max_upload_rows
    elif sales or catalog or stock or label:
        raise InputError(
            "Options of a source are given without one.", "Name the file, folder or table."
        )
    to = _targets(folder or [], mail or [], webhook or [], formats)
    try:
        request["deliver"] = deliver_of(to, make, request, settings)  # type: ignore[arg-type]
    except InputError as error:  # Which of the targets it is stands in the message.
        raise InputError(error.message, error.hint) from error
    with _jobs() as (kept, jobs):
        found = jobs.add_schedule(name, when, request, time_zone)
        kept.audit.add("command line", "schedule.add", name, cron=found.cron)
    out.print(f"{name} comes next {_next(found)}.", markup=False)
    for target in found.targets:
        if url := target.get("webhook"):
            err.print(f"{url} is signed with:", markup=False, soft_wrap=True)
            out.print(secret_of(settings, name, url), markup=False, soft_wrap=True)


def _place(source: str | None) -> dict[str, str] | None:
    """A place as a worker finds it, wherever that runs from."""
    from shelfwise.engines import urls

    if source is None:
        return None
    return {"place": source if urls.is_url(source) else str(Path(source).absolute())}


def _run(values: dict[str, Any]) -> dict[str, Any]:
    """What a job carries, with all that is not given."""
    import msgspec

    from shelfwise.service.asking import NewRun

    given = {name: value for name, value in values.items() if value is not None}
    try:
        found: dict[str, Any] = msgspec.to_builtins(msgspec.convert(given, NewRun))
    except msgspec.ValidationError as error:
        raise InputError(f"The source does not fit: {error}.") from error
    return found


def _targets(
    folders: list[str], mails: list[str], webhooks: list[str], formats: list[str] | None
) -> list[Any]:
    """Each folder, all mails together, each webhook."""
    import msgspec

    from shelfwise.delivery.targets import FORMATS, Target

    for name in formats or ():
        if name not in FORMATS:
            raise InputError(f"There is no format {excerpt(name)}.", f"It is {', '.join(FORMATS)}.")
    if formats and not folders and not mails:
        raise InputError("A webhook gets JSON, no files.", "Leave --format out.")
    given: list[dict[str, Any]] = [{"folder": str(Path(one).absolute())} for one in folders]
    given += [{"mail": mails}] if mails else []
    given = [one | ({"formats": formats} if formats else {}) for one in given]
    given += [{"webhook": one} for one in webhooks]
    try:
        return [msgspec.convert(one, Target) for one in given]
    except msgspec.ValidationError as error:
        raise InputError(f"A target does not fit: {error}.") from error


@schedule.command("list")
def list_schedules(as_json: AsJson = False) -> None:
    """The schedules: when each comes next, and where its reports go."""
    from shelfwise.delivery.targets import shown
    from shelfwise.jobs.schedules import plain

    with _jobs() as (_, jobs):
        found = jobs.schedules()
    if as_json:
        rows = [one.to_dict() | {"deliver": [shown(t) for t in one.targets]} for one in found]
        out.print_json(json.dumps(rows))
        return
    if not found:
        err.print("There is no schedule yet: shelfwise schedule add NAME 'monday 06:00' FILE ...")
        return
    grid = Grid("Name", "When", "Next", "Of", "Goes to")
    for one in found:
        goes = [f"{t['kind']} {', '.join(t['to'])}" for t in map(shown, one.targets)]
        when = " ".join(plain(one.cron) or (one.cron,))
        grid.add_row(
            one.name,
            f"{when} {one.time_zone}",
            _next(one),
            Text(one.place or "the latest run"),
            Text("\n".join(goes) or "nowhere"),
        )
    out.print(grid)


@schedule.command("pause")
def pause(
    name: Name, off: Annotated[bool, typer.Option("--off", help="Let it go on.")] = False
) -> None:
    """Stop a schedule for a while, or let it go on."""
    with _jobs() as (kept, jobs):
        found = jobs.change_schedule(name, active=off)
        kept.audit.add("command line", "schedule.resume" if off else "schedule.pause", name)
    told = f"comes next {_next(found)}" if found.active else "is paused"
    out.print(f"{name} {told}.", markup=False)


@schedule.command("move")
def move(
    name: Name,
    when: Annotated[str, typer.Argument(help="Such as 'friday 18:00', or cron.")],
    time_zone: Annotated[
        str | None, typer.Option(help="Such as Europe/Berlin; as it was if not given.")
    ] = None,
) -> None:
    """Have a schedule come at another time; all else stays."""
    with _jobs() as (kept, jobs):
        found = jobs.change_schedule(name, cron=when, time_zone=time_zone)
        kept.audit.add("command line", "schedule.change", name, cron=found.cron)
    out.print(f"{name} comes next {_next(found)}.", markup=False)


@schedule.command("remove")
def remove(name: Name) -> None:
    """End a schedule; its runs stay."""
    with _jobs() as (kept, jobs):
        jobs.delete_schedule(name)
        kept.audit.add("command line", "schedule.delete", name)
    out.print(f"{name} is gone.", markup=False)


@schedule.command("run")
def run(name: Name) -> None:
    """Do what a schedule does, now: a worker takes it up."""
    with _jobs() as (kept, jobs):
        job_id = jobs.trigger(name)
        none = jobs.workers() == 0
        kept.audit.add("command line", "schedule.trigger", name)
    out.print(f"{job_id} is in the queue.", markup=False, soft_wrap=True)
    if none:
        err.print("No worker is there now: shelfwise serve or shelfwise worker starts one.")


@schedule.command("sent")
def sent(name: Name, as_json: AsJson = False) -> None:
    """What a schedule has sent last, or is to send; of what failed, why."""
    from shelfwise.delivery.targets import shown

    with _jobs() as (kept, jobs):
        found = kept.deliveries.of_schedule(name)
        if not found:
            jobs.schedule(name)
    if as_json:
        out.print_json(json.dumps([one.to_dict() | {"target": shown(one.target)} for one in found]))
        return
    if not found:
        err.print(f"{name} has sent nothing yet.", markup=False)
        return
    grid = Grid("Delivery", "Run", "To", "State", "Since")
    for one in found:
        target = shown(one.target)
        told = "\n".join(filter(None, (one.state, one.reason, one.note)))
        grid.add_row(one.id[:SHORT], one.run_id[:SHORT],
                     Text(f"{target['kind']} {', '.join(target['to'])}"), Text(told),
                     f"{one.sent_at or one.created_at:%Y-%m-%d %H:%M %Z}")  # fmt: skip
    out.print(grid)


@schedule.command("again")
def again(
    name: Name,
    delivery: Annotated[str, typer.Argument(help="Its id, or how that begins.")],
) -> None:
    """Send again what failed, or of which nobody knows whether it arrived."""
    with store() as kept:
        alike = [one for one in kept.deliveries.of_schedule(name) if one.id.startswith(delivery)]
        if len(alike) != 1:
            raise InputError(
                f"{len(alike)} deliveries of {name} begin with {excerpt(delivery)}.",
                f"shelfwise schedule sent {name} shows them.",
            )
        found = kept.deliveries.again(alike[0].id)
        kept.audit.add("command line", "delivery.again", found.id)
    out.print(f"{found.id} waits for a worker.", markup=False)


def _next(found: "Schedule") -> str:
    if not found.active:
        return "paused"
    return found.next_at.strftime("%Y-%m-%d %H:%M %Z") if found.next_at else "never"
