"""Requests that carry an Idempotency-Key: done once, however often they are sent."""

import datetime as dt
import hashlib
from enum import Enum

import sqlalchemy as sa
from sqlalchemy import exc

from shelfwise.store.database import Database, new_id, now
from shelfwise.store.schema import idempotency

KEPT = dt.timedelta(hours=24)
"""How long a key is remembered."""


class Standing(Enum):
    """What is known of a request with that key."""

    NEW = "new"
    RUNNING = "running"
    DONE = "done"
    OTHER = "other"


class Idempotency:
    """The keys of requests, each with the id that its result gets or has."""

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self._database = database
        self._lease = dt.timedelta(seconds=lease_seconds)

    def begin(self, who: str, key: str, request: bytes) -> tuple[Standing, str]:
        """Where a request stands, and the id of its result.

        A request that has not ended within the lease has died with its process: it may be
        done anew, under the same id, so that its effect stays one.
        """
        place = hashlib.sha256(f"{who}\0{key}".encode()).hexdigest()
        digest = hashlib.sha256(request).hexdigest()
        moment = now()
        with self._database.write() as connection:
            connection.execute(idempotency.delete().where(idempotency.c.started_at < moment - KEPT))
            values = {"key_sha256": place, "request_sha256": digest, "result_id": new_id(),
                      "started_at": moment, "done": False}  # fmt: skip
            try:
                with connection.begin_nested():
                    connection.execute(idempotency.insert().values(values))
                return Standing.NEW, str(values["result_id"])
            except exc.IntegrityError:
                wanted = sa.select(idempotency).where(idempotency.c.key_sha256 == place)
                row = connection.execute(wanted.with_for_update()).mappings().first()
            if row is None:  # The other request was refused just now: its key is free.
                return Standing.RUNNING, str(values["result_id"])
            found = row
            if found["request_sha256"] != digest:
                return Standing.OTHER, found["result_id"]
            if found["done"]:
                return Standing.DONE, found["result_id"]
            if found["started_at"] > moment - self._lease:
                return Standing.RUNNING, found["result_id"]
            again = idempotency.update().where(idempotency.c.key_sha256 == place)
            connection.execute(again.values(started_at=moment))
            return Standing.NEW, found["result_id"]

    def end(self, who: str, key: str, *, done: bool, result_id: str | None = None) -> None:
        """The request is done; or it failed, and its key is free again."""
        place = idempotency.c.key_sha256 == hashlib.sha256(f"{who}\0{key}".encode()).hexdigest()
        with self._database.write() as connection:
            if not done:
                connection.execute(idempotency.delete().where(place))
                return
            values = {"done": True} | ({"result_id": result_id} if result_id else {})
            connection.execute(idempotency.update().where(place).values(values))
