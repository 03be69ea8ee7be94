"""One try of a delivery, from its row in the store to what became of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from shelfwise.delivery import files, mail, targets, webhook
from shelfwise.delivery.outcome import Doubtful, NotDelivered
from shelfwise.errors import ShelfwiseError, StoreError
from shelfwise.settings import Settings
from shelfwise.store import Delivery, Run, Store
from shelfwise.store.database import now

SENT_AS = "run.report"
"""The type of the message that webhooks get."""
ABOUT = ("id", "created_at", "as_of", "label", "source", "profile", "tiering", "products")
"""What such a message tells of the run, beside its summary."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is told of a run: the finding as a subject, some lines, and files to go with them."""

    subject: str
    text: str
    files: Mapping[str, bytes]
    """Format -> content."""


def deliver(
    store: Store,
    settings: Settings,
    delivery_id: str,
    write: Callable[[Run, Delivery], Letter],
    tell: Callable[[str], None] = lambda phase: None,
) -> None:
    """Try once to deliver a report; the store then says what became of it.

    `write` makes what is sent. `tell` hears "sending" when it is about to be handed over.
    """
    kept = store.deliveries
    found = kept.get(delivery_id)
    if found.state == "sending" and found.kind == "mail":
        kept.unknown(found.id)  # A try before this one ended between the message and its answer.
        return
    if found.state not in ("waiting", "sending"):
        return
    try:
        run = store.runs.get(found.run_id)
        _must_be_allowed(found, settings)
        letter = write(run, found)
        tell("sending")
        note = _WAYS[found.kind](store, settings, found, run, letter)
    except NotDelivered as error:
        if error.again:
            kept.later(found, error.reason, settings.delivery_waits, error.least)
        else:
            kept.failed(found.id, error.reason)
    except Doubtful:
        kept.unknown(found.id)
    except StoreError:
        raise  # The database is away: nothing can be said now, and it is tried again.
    except ShelfwiseError as error:
        kept.failed(found.id, f"The report could not be made: {error}")
    else:
        kept.sent(found.id, note)


def _must_be_allowed(found: Delivery, settings: Settings) -> None:
    """What was allowed when it was asked for must be so still."""
    try:
        if found.kind == "folder":
            targets.allowed_folder(found.target["folder"], settings)
        elif found.kind == "mail":
            targets.must_be_recipients(found.target["mail"], settings)
    except ShelfwiseError as error:
        raise NotDelivered(str(error), again=False) from error


def _to_folder(
    store: Store, settings: Settings, found: Delivery, run: Run, letter: Letter
) -> str | None:
    store.deliveries.begin(found.id)
    named = [(f"{file_name(run, found)}.{format}", content)
             for format, content in letter.files.items()]  # fmt: skip
    files.put(Path(found.target["folder"]), named, found.id)
    return None


def _by_mail(
    store: Store, settings: Settings, found: Delivery, run: Run, letter: Letter
) -> str | None:
    attached = [
        (f"{file_name(run, found)}.{format}", targets.FORMATS[format], content)  # type: ignore[index]
        for format, content in letter.files.items()
    ]
    below = []
    if settings.public_url:
        below.append(f"In the dashboard: {links(settings, run)['dashboard']}")
    if found.schedule:  # Else nobody knows how to have it end.
        below.append(f"Sent by the schedule {found.schedule} of Shelfwise.")
    text = "\n\n".join([letter.text.rstrip(), *below]) + "\n"
    message = mail.composed(
        settings, found.id, found.target["mail"], letter.subject, text, attached
    )
    last = found.tries >= len(settings.delivery_waits)
    return mail.send(settings, found.target["mail"], message,
                     lambda: store.deliveries.begin(found.id), last=last)  # fmt: skip


def _to_webhook(
    store: Store, settings: Settings, found: Delivery, run: Run, letter: Letter
) -> str | None:
    store.deliveries.begin(found.id)
    url = found.target["webhook"]
    secret = webhook.secret_of(settings, found.schedule, url)
    body = message(settings, found, run, letter)
    webhook.post(url, body, found.id, secret, settings.webhook_allow)
    return None


def message(settings: Settings, found: Delivery, run: Run, letter: Letter) -> bytes:
    """What a webhook gets."""
    shown = run.to_dict()
    about = {name: shown[name] for name in ABOUT}
    return msgspec.json.encode(
        {
            "type": SENT_AS,
            "timestamp": now().isoformat(timespec="milliseconds"),
            "data": {
                "schedule": found.schedule,
                "run": about,
                "summary": run.summary,
                "subject": letter.subject,
                "digest": letter.text,
                "note": found.note,
                "links": links(settings, run),
            },
        }
    )


def links(settings: Settings, run: Run) -> dict[str, Any]:
    """Where people and programs find a run; none where nobody has said what this service is."""
    if not settings.public_url:
        return {}
    base = settings.public_url
    return {"dashboard": f"{base}/?run={run.id}", "run": f"{base}/v1/runs/{run.id}",
            "products": f"{base}/v1/runs/{run.id}/products.csv"}  # fmt: skip


def file_name(run: Run, found: Delivery) -> str:
    """What the files of a delivery are called, whenever they are made: day, run, schedule."""
    return f"{run.as_of}-{run.id[:12]}-{found.schedule or 'report'}"


_WAYS: dict[str, Callable[[Store, Settings, Delivery, Run, Letter], str | None]] = {
    "folder": _to_folder,
    "mail": _by_mail,
    "webhook": _to_webhook,
}
