"""Reports of runs: what is made before one, where it goes, and the letter itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shelfwise.delivery.sending import Letter, deliver
from shelfwise.delivery.targets import Target, checked
from shelfwise.engines.output import tamed
from shelfwise.errors import InputError, ShelfwiseError, StoreError, excerpt
from shelfwise.formats import Formats
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Delivery, Run, Store
from shelfwise.store.derived import KINDS, Kind

LINES_ONLY = MADE_FIRST = ("trends", "forecast", "elasticity")
"""What is made of order lines alone, and before what rests on it."""


def deliver_of(
    to: Sequence[Target],
    make: Sequence[Kind] | None,
    request: Mapping[str, Any],
    settings: Settings,
) -> dict[str, Any] | None:
    """What a schedule's request says of reports, checked; None where it delivers none."""
    if not to:
        if make or "source" not in request:
            what = "make is" if make else "Neither run nor deliver is"
            raise InputError(
                f"{what} given without a target." if make else f"{what} given.",
                "deliver says where the report goes: to a folder, by mail, to a webhook.",
            )
        return None
    for kind in make or ():
        if kind not in KINDS:
            raise InputError(
                f"{excerpt(kind)} cannot be made of a run.", f"It is {', '.join(KINDS)}."
            )
        if kind in LINES_ONLY and "source" in request and not request.get("sales"):
            raise InputError(
                f"{kind} is made of order lines, and this source has products.",
                "Give sales, or leave it out of make.",
            )
    return {"targets": checked(to, settings), "make": make and list(dict.fromkeys(make))}


def prepare(
    store: Store,
    run: Run,
    asked: Mapping[str, Any],
    say: Callable[[str], None],
) -> None:
    """Make what a report is to have, and write down where it goes.

    What cannot be made is told with the report; it does not hold the report back.
    """
    lacking = []
    for kind in _wanted(asked["make"]):
        say(f"making {kind or 'tables'}")
        try:
            _make(store, run, kind)
        except StoreError:
            raise
        except ShelfwiseError as error:
            lacking.append(f"{kind or 'all tables'}: {error.message}")
    note = f"The report could not have {' '.join(lacking)}" if lacking else None
    store.deliveries.plan(run.id, asked["targets"], schedule=asked["schedule"], note=note)


def _wanted(make: Sequence[Kind] | None) -> Sequence[Kind | None]:
    """What is to be made, in its order; None is all that a report tells."""
    if make is None:
        return [None]
    return sorted(make, key=lambda kind: (kind not in MADE_FIRST, kind))


def _make(store: Store, run: Run, kind: Kind | None) -> None:
    if kind is None:
        from shelfwise import reports

        reports.prepare(store, run)
    elif kind == "changes":
        alike = store.comparable(run)
        if alike:  # The first run of its kind has changed from nothing.
            store.derived.make(run, kind, since=alike[0])
    elif kind not in {table.name for table in store.derived.all(run)}:
        store.derived.make(run, kind)


def send(store: Store, delivery_id: str, say: Callable[[str], None]) -> None:
    """Make one try of a delivery."""
    say("writing")
    settings = load_settings()
    formats = Formats(settings.locale, settings.currency)

    def write(run: Run, found: Delivery) -> Letter:
        return letter(store, run, found, formats)

    deliver(store, settings, delivery_id, write, say)


def letter(store: Store, run: Run, found: Delivery, formats: Formats) -> Letter:
    """What is told of a run, in the formats that its target wants."""
    from shelfwise import reports

    if found.schedule is None:  # Nobody has made ready what it tells.
        reports.prepare(store, run)
    report = reports.of_run(store, run, formats=formats)
    files = {}
    for name in found.target.get("formats", ()):
        files[name] = _products(store, run) if name == "csv" else reports.render(report, name)
    text = reports.digest(report)
    if found.note:
        text = f"{text.rstrip()}\n\n{found.note}\n"
    subject = report.in_short[0].text if report.in_short else report.title
    return Letter(subject.rstrip("."), text, files)


def _products(store: Store, run: Run) -> bytes:
    """The products of a run as CSV, in which no cell is a formula."""
    products = store.overrides.marked(store.runs.products(run), run.as_of)
    return tamed(products).collect().write_csv().encode()


assert set(MADE_FIRST) <= set(KINDS)
