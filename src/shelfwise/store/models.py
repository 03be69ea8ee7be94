"""Models by name: numbered versions, and aliases such as `current` that point at one.

`shop` and `shop@current` are the version that the alias names, `shop@3` is version 3,
`shop@latest` the highest. Moving the alias back is the rollback.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from shelfwise.drift import Training
from shelfwise.errors import InputError, NotFoundError, excerpt
from shelfwise.model import Model
from shelfwise.store.database import Database, now
from shelfwise.store.schema import model_aliases, models

CURRENT, LATEST = "current", "latest"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a named model, and the aliases that point at it."""

    name: str
    version: int
    created_at: dt.datetime
    run_id: str | None
    aliases: tuple[str, ...]
    model: Model
    training: Training | None

    def to_dict(self) -> dict[str, Any]:
        """The version as the API shows it."""
        return {
            "name": self.name,
            "version": self.version,
            "created_at": self.created_at.isoformat(timespec="milliseconds"),
            "run_id": self.run_id,
            "aliases": list(self.aliases),
            "products": self.model.products,
            "model": self.model.to_dict(),
        }


class Models:
    """The models of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        name: str,
        model: Model,
        *,
        run_id: str | None = None,
        training: Training | None = None,
        alias: str | None = None,
        request_id: str | None = None,
    ) -> Version:
        """Keep a model as the next version of a name; once for each `request_id`.

        The first version becomes `current`; a later one only where `alias` says so, so that
        nobody's scores change unasked. `training` is what drift is measured against.
        """
        _must_fit("model name", name)
        with self._database.write() as connection:
            self._database.lock(connection)
            if request_id:
                there = sa.select(models).where(models.c.request_id == request_id)
                if row := connection.execute(there).mappings().first():
                    return _version(row, _aliases(connection, row["name"]))
            newest = sa.select(sa.func.max(models.c.version)).where(models.c.name == name)
            version = (connection.scalar(newest) or 0) + 1
            connection.execute(
                models.insert().values(
                    name=name,
                    version=version,
                    created_at=now(),
                    parameters=model.parameters,
                    parameters_sha256=model.parameters_sha256,
                    run_id=run_id,
                    training=training.to_dict() if training else None,
                    request_id=request_id,
                )
            )
            for chosen in {alias, CURRENT if version == 1 else None} - {None}:
                _point(connection, name, str(chosen), version)
        return self.get(f"{name}@{version}")

    def get(self, reference: str) -> Version:
        """A version by `name`, `name@alias` or `name@3`; NotFoundError where there is none."""
        name, _, chosen = reference.partition("@")
        with self._database.read() as connection:
            version = _resolved(connection, name, chosen or CURRENT)
            wanted = sa.select(models).where(models.c.name == name, models.c.version == version)
            row = connection.execute(wanted).mappings().first() if version else None
            aliases = _aliases(connection, name)
        if row is None:
            raise NotFoundError(
                f"There is no model {excerpt(reference)}.",
                "`shelfwise model list` shows those that are kept.",
            )
        return _version(row, aliases)

    def all(self, name: str | None = None) -> list[Version]:
        """The current version of each name, or all versions of one, newest first."""
        if name is None:
            with self._database.read() as connection:
                names = connection.scalars(sa.select(models.c.name).distinct()).all()
            return [self._shown(found) for found in sorted(names)]
        with self._database.read() as connection:
            wanted = sa.select(models).where(models.c.name == name)
            rows = connection.execute(wanted.order_by(models.c.version.desc())).mappings().all()
            aliases = _aliases(connection, name)
        if not rows:
            raise NotFoundError(f"There is no model {excerpt(name)}.")
        return [_version(row, aliases) for row in rows]

    def point(self, name: str, alias: str, version: int) -> Version:
        """Let an alias point at a version: a new one to roll out, an old one to roll back."""
        found = self.get(f"{name}@{version}")
        with self._database.write() as connection:
            self._database.lock(connection)
            _point(connection, name, alias, found.version)
        return self.get(f"{name}@{alias}")

    def _shown(self, name: str) -> Version:
        try:
            return self.get(name)
        except NotFoundError:
            return self.get(f"{name}@{LATEST}")


def _resolved(connection: sa.Connection, name: str, chosen: str) -> int | None:
    """The number of a version that is there, or None."""
    if chosen == LATEST:
        newest = sa.select(sa.func.max(models.c.version)).where(models.c.name == name)
        found: int | None = connection.execute(newest).scalar_one()
        return found
    if re.fullmatch("[0-9]{1,9}", chosen):
        return int(chosen)
    named = (model_aliases.c.name == name) & (model_aliases.c.alias == chosen)
    return connection.execute(sa.select(model_aliases.c.version).where(named)).scalar_one_or_none()


def _point(connection: sa.Connection, name: str, alias: str, version: int) -> None:
    _must_fit("alias", alias)
    if alias == LATEST or alias.isdigit():
        raise InputError(f"{alias} cannot be an alias.", "`latest` and numbers name versions.")
    place = (model_aliases.c.name == name) & (model_aliases.c.alias == alias)
    moved = model_aliases.update().where(place).values(version=version, set_at=now())
    if not connection.execute(moved).rowcount:
        values = {"name": name, "alias": alias, "version": version, "set_at": now()}
        connection.execute(model_aliases.insert().values(values))


def _aliases(connection: sa.Connection, name: str) -> dict[int, list[str]]:
    wanted = sa.select(model_aliases.c.version, model_aliases.c.alias)
    found: dict[int, list[str]] = {}
    for version, alias in connection.execute(
        wanted.where(model_aliases.c.name == name).order_by(model_aliases.c.alias)
    ):
        found.setdefault(version, []).append(alias)
    return found


def _version(row: Mapping[Any, Any], aliases: Mapping[int, list[str]]) -> Version:
    return Version(
        name=row["name"],
        version=row["version"],
        created_at=row["created_at"],
        run_id=row["run_id"],
        aliases=tuple(aliases.get(row["version"], ())),
        model=Model.from_parameters(row["parameters"]),
        training=Training.from_dict(row["training"]) if row["training"] else None,
    )


def _must_fit(what: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise InputError(
            f"The {what} {excerpt(name)} does not fit.",
            "It has 1 to 64 letters, digits, - and _.",
        )
