"""Results as immutable Parquet files, each named by the hash of its bytes.

A file is written beside its place, synced, moved there, and only then named in the
database. Whatever stops that leaves a file nobody names, which `sweep` removes after a
day; never a name without its file.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from shelfwise.engines.failures import writing
from shelfwise.errors import StoreError
from shelfwise.store.database import Database, now
from shelfwise.store.schema import artifacts, derived_tables, runs

ROOM = "Make room there, or set SHELFWISE_DATA_DIR."
GRACE_SECONDS = 24 * 60 * 60.0
"""Age from which a file that the database does not name is rubbish, not work in progress."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A published file."""

    sha256: str
    bytes: int
    rows: int


class Results:
    """The folder of results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Where the file of that hash stands."""
        return self.folder / f"{sha256}.parquet"

    def publish(self, write: Callable[[Path], int]) -> Artifact:
        """Put what `write` writes (it returns the rows) under its hash, whole or not at all."""
        temporary = self.folder / f".{secrets.token_hex(8)}.part"
        try:
            with writing(self.folder, ROOM):
                self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                rows = write(temporary)
                with temporary.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                    os.fsync(file.fileno())
                    size = os.fstat(file.fileno()).st_size
                # The same content anew takes the old file's place: its age begins again.
                temporary.replace(self.path(digest))
                sync_folder(self.folder)
        finally:
            with suppress(OSError):
                temporary.unlink()
        return Artifact(digest, size, rows)

    def name(self, connection: sa.Connection, artifact: Artifact) -> bool:
        """Name a published file in the database; False where it was swept meanwhile.

        The caller holds the store's lock, as `sweep` does, so neither can come between.
        """
        if not self.path(artifact.sha256).exists():
            return False
        known = sa.select(artifacts.c.sha256).where(artifacts.c.sha256 == artifact.sha256)
        if connection.execute(known).first() is None:
            values = {"sha256": artifact.sha256, "bytes": artifact.bytes, "rows": artifact.rows}
            connection.execute(artifacts.insert().values(**values, created_at=now()))
        return True

    def must_exist(self, sha256: str) -> Path:
        """The path of a file that the database names."""
        path = self.path(sha256)
        if not path.exists():
            raise StoreError(
                f"The results {sha256[:12]} are gone from {self.folder}.",
                "Database and folder belong together: restore both from the same backup.",
            )
        return path

    def release(self, connection: sa.Connection) -> set[str]:
        """Take from the database what nothing names any more; the caller sweeps these files.

        The caller holds the store's lock.
        """
        named = (runs.c.results, runs.c.rejected, runs.c.history, derived_tables.c.results)
        in_use = sa.union(*(sa.select(column).where(column.isnot(None)) for column in named))
        unused = artifacts.c.sha256.notin_(in_use)
        gone = set(connection.scalars(sa.select(artifacts.c.sha256).where(unused)))
        connection.execute(artifacts.delete().where(unused))
        return gone

    def rest(self, released: Collection[str]) -> None:
        """Let released files begin their last day, for those who read them now."""
        for name in released:
            with suppress(FileNotFoundError):
                os.utime(self.path(name))

    def sweep(
        self,
        database: Database,
        released: Collection[str] = (),
        grace: float = GRACE_SECONDS,
    ) -> int:
        """Remove files that the database does not name: those `released`, and old ones.

        Returns how many. Runs alone: under the lock no file is being named.
        """
        removed = 0
        with database.write() as connection:
            database.lock(connection)
            named = set(connection.scalars(sa.select(artifacts.c.sha256)))
            for path in self.folder.glob("*") if self.folder.exists() else ():
                ours = path.suffix in (".parquet", ".part")
                if not ours or (path.suffix == ".parquet" and path.stem in named):
                    continue
                with suppress(FileNotFoundError):  # A save has moved or removed it.
                    age = time.time() - path.stat().st_mtime
                    if path.stem in released or age > grace:
                        path.unlink()
                        removed += 1
        return removed


def sync_folder(folder: Path) -> None:
    """Make a rename last: without it a power failure could undo what was promised."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
