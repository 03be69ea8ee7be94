"""Reports that go out: each is written down before it is sent, and what became of it.

The table is the outbox. A row says what goes where; a worker looks for rows whose time has
come. So nothing is lost between a run and its report, and a second row with the same id is
none: a schedule sends the report of a run to a target once.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy import exc

from shelfwise.errors import InputError, NotFoundError, excerpt
from shelfwise.store.database import Database, now
from shelfwise.store.schema import REASON_LETTERS, deliveries

State = Literal["waiting", "sending", "sent", "failed", "unknown"]
STATES: tuple[State, ...] = get_args(State)
KINDS = ("folder", "mail", "webhook")
"""What a target is; each names one of them."""
AT_ONCE, NEWEST = 1_000, (deliveries.c.created_at.desc(), deliveries.c.id)
CUT_OFF = (
    "The work was stopped while the mail was handed over: nobody here knows whether it arrived. "
    "Ask a recipient before you send it again."
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """The report of a run on its way to one target.

    `tries` counts those of this round; somebody who has it sent again begins a new one.
    `note` says what the report lacks, `reason` why it did not arrive (yet).
    """

    id: str
    run_id: str
    schedule: str | None
    target: Mapping[str, Any]
    state: State
    round: int
    tries: int
    reason: str | None
    note: str | None
    created_at: dt.datetime
    due_at: dt.datetime | None
    sent_at: dt.datetime | None

    @property
    def kind(self) -> str:
        """folder, mail or webhook."""
        return next(kind for kind in KINDS if kind in self.target)

    @property
    def attempt(self) -> str:
        """What the next try is called; no two tries are called alike."""
        return f"deliver-{self.id}-{self.round}-{self.tries}"

    def to_dict(self) -> dict[str, Any]:
        """The delivery as people and programs are shown it, but for its target."""
        plain = {name: getattr(self, name) for name in
                 ("id", "run_id", "schedule", "state", "tries", "reason", "note")}  # fmt: skip
        for name in ("created_at", "due_at", "sent_at"):
            moment = getattr(self, name)
            plain[name] = moment.isoformat(timespec="milliseconds") if moment else None
        return plain


class Deliveries:
    """The deliveries of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def plan(
        self,
        run_id: str,
        targets: Sequence[Mapping[str, Any]],
        *,
        schedule: str | None = None,
        once: str = "",
        note: str | None = None,
    ) -> list[Delivery]:
        """Write down what is to be sent; what is written down already stays as it is.

        `once` tells apart what people ask for: the same asked twice is sent twice.
        """
        found = []
        for target in targets:
            delivery_id = _id(run_id, schedule, once, target)
            moment = now()
            values = {
                "id": delivery_id, "run_id": run_id, "schedule": schedule, "target": target,
                "state": "waiting", "round": 0, "tries": 0, "note": _cut(note),
                "created_at": moment, "due_at": moment,
            }  # fmt: skip
            with self._database.write() as connection:
                try:
                    with connection.begin_nested():
                        connection.execute(deliveries.insert().values(values))
                except exc.IntegrityError as error:
                    known = sa.select(deliveries.c.id).where(deliveries.c.id == delivery_id)
                    if connection.execute(known).first() is None:
                        raise NotFoundError(f"There is no run {excerpt(run_id)}.") from error
            found.append(self.get(delivery_id))
        return found

    def get(self, delivery_id: str) -> Delivery:
        """A delivery; NotFoundError where there is none."""
        wanted = sa.select(deliveries).where(deliveries.c.id == delivery_id)
        with self._database.read() as connection:
            row = connection.execute(wanted).mappings().first()
        if row is None:
            raise NotFoundError(f"There is no delivery {excerpt(delivery_id)}.")
        return Delivery(**row)

    def of_run(self, run_id: str) -> list[Delivery]:
        """What was sent of a run, or is to be, newest first."""
        return self._find(deliveries.c.run_id == run_id)

    def of_schedule(self, name: str, limit: int = 50) -> list[Delivery]:
        """What a schedule has sent, newest first."""
        return self._find(deliveries.c.schedule == name, limit)

    def due(self) -> list[Delivery]:
        """What is to be sent now, and what is being sent, oldest first."""
        waiting = (deliveries.c.state == "waiting") & (deliveries.c.due_at <= now())
        oldest = (deliveries.c.created_at, deliveries.c.id)
        return self._find(waiting | (deliveries.c.state == "sending"), AT_ONCE, oldest)

    def _find(
        self, which: sa.ColumnElement[bool], limit: int = AT_ONCE, order: Sequence[Any] = NEWEST
    ) -> list[Delivery]:
        wanted = sa.select(deliveries).where(which).order_by(*order).limit(limit)
        with self._database.read() as connection:
            return [Delivery(**row) for row in connection.execute(wanted).mappings()]

    def begin(self, delivery_id: str) -> bool:
        """Say that it is handed over now; False where another try has said so before.

        What may arrive twice must not be begun twice: a mail. In a transaction of its own,
        so that it is known whatever happens to this process then.
        """
        return self._change(delivery_id, ("waiting",), state="sending")

    def sent(self, delivery_id: str, note: str | None = None) -> None:
        """It has arrived where it was sent to; so it is, whatever was thought meanwhile."""
        known: dict[str, Any] = {"note": _cut(note)} if note else {}
        self._change(delivery_id, STATES, state="sent", sent_at=now(), due_at=None, reason=None,
                     tries=deliveries.c.tries + 1, **known)  # fmt: skip

    def failed(self, delivery_id: str, reason: str) -> None:
        """It did not arrive, and is not tried again."""
        self._change(delivery_id, ("waiting", "sending"), state="failed", due_at=None,
                     reason=_cut(reason), tries=deliveries.c.tries + 1)  # fmt: skip

    def unknown(self, delivery_id: str, reason: str = CUT_OFF) -> None:
        """Nobody knows whether it arrived; only people may have it sent again."""
        self._change(delivery_id, ("waiting", "sending"), state="unknown", due_at=None,
                     reason=_cut(reason), tries=deliveries.c.tries + 1)  # fmt: skip

    def later(self, found: Delivery, reason: str, waits: Sequence[str], least: float = 0) -> None:
        """A try did not succeed: make the next one after the next of the waits, or give up.

        `least` is how long the other side wants to be left alone.
        """
        if found.tries >= len(waits):
            count = f"{found.tries + 1} tries" if found.tries else "1 try"
            self.failed(found.id, f"{reason} It was given up after {count}.")
            return
        due = now() + dt.timedelta(seconds=max(float(waits[found.tries]), least))
        self._change(found.id, ("waiting", "sending"), found, state="waiting", due_at=due,
                     reason=_cut(reason), tries=found.tries + 1)  # fmt: skip

    def ended(self, found: Delivery, reason: str, waits: Sequence[str]) -> None:
        """A try ended without a word, killed perhaps: nobody knows, or it is made again."""
        if found.state == "sending" and found.kind == "mail":
            self.unknown(found.id)
        elif found.state in ("waiting", "sending"):
            self.later(found, reason, waits)

    def again(self, delivery_id: str) -> Delivery:
        """Have what did not arrive, or may not have, sent again; InputError for others."""
        found = self.get(delivery_id)
        if not self._change(
            delivery_id, ("failed", "unknown"), state="waiting", due_at=now(), tries=0,
            round=deliveries.c.round + 1, reason=None,
        ):  # fmt: skip
            told = {"sent": "It has arrived.", "sending": "It is being sent."}
            raise InputError(
                told.get(found.state, "It is still to be sent."),
                "POST to deliveries of the run sends a report anew.",
            )
        return self.get(delivery_id)

    def _change(
        self, delivery_id: str, states: Sequence[str], found: Delivery | None = None, **values: Any
    ) -> bool:
        """Change a delivery in one of these states, and as it was `found`; whether it was so."""
        mine = (deliveries.c.id == delivery_id) & deliveries.c.state.in_(states)
        if found is not None:
            mine &= (deliveries.c.round == found.round) & (deliveries.c.tries == found.tries)
        with self._database.write() as connection:
            changed = connection.execute(deliveries.update().where(mine).values(values))
            return bool(changed.rowcount)


def place_of(target: Mapping[str, Any]) -> dict[str, Any]:
    """Where a target is, whatever goes there."""
    return {name: target[name] for name in KINDS if name in target}


def _id(run_id: str, schedule: str | None, once: str, target: Mapping[str, Any]) -> str:
    """The same for the same report on the same way, whenever it is asked for."""
    named = json.dumps([run_id, schedule, once, place_of(target)], sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()[:32]


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:REASON_LETTERS]
