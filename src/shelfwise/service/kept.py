"""The store of an application, and requests that are done once."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from flask import Flask, current_app, g, request
from werkzeug.exceptions import HTTPException

from shelfwise.errors import ShelfwiseError
from shelfwise.jobs.queue import Jobs
from shelfwise.service.problems import Refusal
from shelfwise.settings import Settings
from shelfwise.store import Store
from shelfwise.store.database import new_id
from shelfwise.store.idempotency import Standing

_lock = Lock()


def store(app: Flask | None = None) -> Store:
    """The application's store, opened and migrated when it is first asked for.

    Raises StoreError while the database is away; the next request tries again.
    """
    found: Flask = app or current_app
    with _lock:
        opened: Store | None = found.extensions.get("shelfwise")
        if opened is None:
            opened = found.extensions["shelfwise"] = Store(found.config["SHELFWISE"])
        return opened


def jobs() -> Jobs:
    """The jobs of the application's store."""
    kept = store()
    settings: Settings = current_app.config["SHELFWISE"]
    with _lock:
        opened: Jobs | None = current_app.extensions.get("shelfwise jobs")
        if opened is None:
            opened = current_app.extensions["shelfwise jobs"] = Jobs(kept, settings.max_queued)
        return opened


def close(app: Flask) -> None:
    """Close the application's store, jobs and tracer, if they were opened."""
    names = ("shelfwise jobs", "shelfwise", "shelfwise tracer")
    with _lock:
        opened = [app.extensions.pop(name, None) for name in names]
    for one in opened:
        if one:
            one.close()


@dataclass(slots=True)
class Attempt:
    """One request; `result_id` is what its result is called, however often it is sent."""

    result_id: str
    repeated: bool = False


def idempotency_key() -> str | None:
    """The request's Idempotency-Key, checked."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and (
        not 1 <= len(key) <= 255 or any(not "!" <= letter <= "~" for letter in key)
    ):
        raise Refusal(422, "bad_idempotency_key", "Idempotency-Key has 1 to 255 visible letters.")
    return key


@contextmanager
def once(body: bytes = b"") -> Iterator[Attempt]:
    """Do what the block does once for an Idempotency-Key; without one, each time.

    Raises Refusal: 409 while the first is at work, 422 for another request under its key.
    """
    key = idempotency_key()
    if key is None:
        yield Attempt(new_id())
        return
    known = store().idempotency
    named = f"{request.method} {request.full_path} {request.content_type}\0".encode()
    standing, result_id = known.begin(g.who, key, named + hashlib.sha256(body).digest())
    if standing is Standing.OTHER:
        raise Refusal(
            422, "idempotency_key_reused", "This Idempotency-Key came with another request before."
        )
    if standing is Standing.RUNNING:
        raise Refusal(
            409, "still_running", "The request with this Idempotency-Key is still at work.",
            Retry_After="1",
        )  # fmt: skip
    attempt = Attempt(result_id, standing is Standing.DONE)
    try:
        yield attempt
    except (ShelfwiseError, Refusal, HTTPException):
        # It was refused, so it may come again at once. After anything else nobody knows how
        # far it came: then its key is free when the lease is over, and its id stays the same.
        if not attempt.repeated:
            known.end(g.who, key, done=False)
        raise
    if not attempt.repeated:
        known.end(g.who, key, done=True, result_id=attempt.result_id)
