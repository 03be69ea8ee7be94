"""API keys: made once, shown once, kept as a hash; and the log of who did what.

A key is `swk_PREFIX_SECRET`: eight characters that name it, and 43 that carry 256 bits of
chance. A plain hash of so much chance cannot be guessed, so no slow one is needed.
"""

import datetime as dt
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal, get_args

import sqlalchemy as sa

from shelfwise.errors import InputError, NotFoundError, excerpt
from shelfwise.store.database import Database, new_id, now
from shelfwise.store.schema import api_keys, audit_log

Scope = Literal["analyze", "read", "model:write", "admin"]
SCOPES: dict[Scope, str] = {
    "analyze": "Score products, keep runs, override tiers and decide.",
    "read": "Read what is kept.",
    "model:write": "Train models and move their aliases.",
    "admin": "Everything, deleting runs and managing keys among it.",
}
KEY = re.compile(r"swk_([0-9a-z]{8})_([0-9A-Za-z_-]{43})")
REMEMBERED_SECONDS = 5.0
"""How long a checked key is trusted without another look: a revoked one may work so long."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; its secret is not."""

    prefix: str
    name: str
    scopes: frozenset[Scope]
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None

    @property
    def works(self) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now())

    def to_dict(self) -> dict[str, Any]:
        """The key as the API shows it."""
        return {
            "prefix": self.prefix,
            "name": self.name,
            "scopes": sorted(self.scopes),
            "created_at": _text(self.created_at),
            "expires_at": _text(self.expires_at),
            "revoked_at": _text(self.revoked_at),
            "works": self.works,
        }


class Keys:
    """The API keys of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[Key, float]] = {}
        self._lock = Lock()

    def create(
        self, name: str, scopes: Collection[str], days: int | None = None
    ) -> tuple[str, Key]:
        """A new key, as text that is never shown again, and what is kept of it."""
        if not 1 <= len(name) <= 200 or any(ord(letter) < 32 for letter in name):
            raise InputError(f"The name {excerpt(name)} does not fit.", "1 to 200 characters.")
        if not scopes or (unknown := set(scopes) - set(get_args(Scope))):
            told = f"There is no scope {excerpt(min(unknown))}." if scopes else "No scope is given."
            raise InputError(told, f"Known: {', '.join(SCOPES)}.")
        if days is not None and not 1 <= days <= 36_500:
            raise InputError(f"A key cannot expire in {days} days.", "Give 1 to 36,500.")
        prefix = "".join(secrets.choice("0123456789abcdefghijklmnopqrstuvwxyz") for _ in range(8))
        secret = secrets.token_urlsafe(32)
        made = now()
        with self._database.write() as connection:
            connection.execute(
                api_keys.insert().values(
                    prefix=prefix,
                    sha256=_hash(secret),
                    name=name,
                    scopes=sorted(scopes),
                    created_at=made,
                    expires_at=made + dt.timedelta(days=days) if days else None,
                )
            )
        return f"swk_{prefix}_{secret}", self.get(prefix)

    def get(self, prefix: str) -> Key:
        """What is known of a key, by the eight characters that name it."""
        with self._database.read() as connection:
            wanted = sa.select(api_keys).where(api_keys.c.prefix == prefix)
            row = connection.execute(wanted).mappings().first()
        if row is None:
            raise NotFoundError(f"There is no key {excerpt(prefix)}.", "`shelfwise key list`.")
        return _key(row)

    def all(self) -> list[Key]:
        """Every key, newest first."""
        with self._database.read() as connection:
            wanted = sa.select(api_keys).order_by(api_keys.c.created_at.desc())
            return [_key(row) for row in connection.execute(wanted).mappings()]

    def any_works(self) -> bool:
        """Whether there is a key that opens."""
        return any(key.works for key in self.all())

    def revoke(self, prefix: str) -> Key:
        """End a key now."""
        key = self.get(prefix)
        if key.revoked_at is None:
            self._set(prefix, revoked_at=now())
        return self.get(prefix)

    def rotate(self, prefix: str, hours: float = 24.0) -> tuple[str, Key]:
        """A new key with the same name and scopes; the old one works for some hours more."""
        old = self.get(prefix)
        if not old.works:
            raise InputError(f"The key {prefix} does not work any more.", "Create a new one.")
        ends = now() + dt.timedelta(hours=hours)
        days = None if old.expires_at is None else max(1, (old.expires_at - old.created_at).days)
        made = self.create(old.name, old.scopes, days)
        if old.expires_at is None or old.expires_at > ends:
            self._set(prefix, expires_at=ends)
        return made

    def check(self, text: str) -> Key | None:
        """The key that a text is, if it is one that works."""
        found = KEY.fullmatch(text)
        if not found:
            return None
        digest = hashlib.sha256(text.encode()).digest()
        with self._lock:
            known = self._known.get(digest)
        if known and known[1] > time.monotonic():
            return known[0] if known[0].works else None
        prefix, secret = found.groups()
        with self._database.read() as connection:
            wanted = sa.select(api_keys).where(api_keys.c.prefix == prefix)
            row = connection.execute(wanted).mappings().first()
        # An unknown prefix takes as long as a wrong secret.
        kept = row["sha256"] if row else "0" * 64
        if not hmac.compare_digest(kept, _hash(secret)) or row is None:
            return None
        key = _key(row)
        with self._lock:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[digest] = (key, time.monotonic() + REMEMBERED_SECONDS)
        return key if key.works else None

    def _set(self, prefix: str, **values: Any) -> None:
        with self._database.write() as connection:
            place = api_keys.c.prefix == prefix
            connection.execute(api_keys.update().where(place).values(values))
        with self._lock:
            self._known.clear()


class Audit:
    """The log of changes: who did what to what, and when. It only grows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        who: str,
        action: str,
        target: str,
        request_id: str | None = None,
        **detail: Any,
    ) -> None:
        """Write down a change; never names of products, bodies or secrets."""
        values = {"id": new_id(), "at": now(), "who": who[:200], "action": action}
        values |= {"target": target[:200], "request_id": request_id, "detail": detail or None}
        with self._database.write() as connection:
            connection.execute(audit_log.insert().values(values))

    def newest(
        self, limit: int = 50, after: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Entries, newest first, and what to pass as `after` for the next ones."""
        wanted = sa.select(audit_log).order_by(audit_log.c.id.desc()).limit(limit + 1)
        if after:
            wanted = wanted.where(audit_log.c.id < after)
        with self._database.read() as connection:
            rows = [dict(row) | {"at": _text(row["at"])}
                    for row in connection.execute(wanted).mappings()]  # fmt: skip
        return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None


def _key(row: Mapping[Any, Any]) -> Key:
    values = {name: row[name] for name in Key.__dataclass_fields__ if name != "scopes"}
    return Key(**values, scopes=frozenset(row["scopes"]))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _text(moment: dt.datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None
