"""Files that were sent to be analyzed: kept for a week, then removed."""

import datetime as dt
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shelfwise.engines.failures import writing
from shelfwise.errors import NotFoundError, StoreError, excerpt
from shelfwise.store.database import Database, new_id, now
from shelfwise.store.results import ROOM, sync_folder
from shelfwise.store.schema import uploads

KEPT = dt.timedelta(days=7)
ENDINGS = {"json": ".json", "ndjson": ".ndjson", "csv": ".csv", "parquet": ".parquet",
           "arrow": ".arrow", "xlsx": ".xlsx"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Upload:
    """One file; it is named by its id alone, whatever its sender called it."""

    id: str
    created_at: dt.datetime
    name: str
    kind: str
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """The upload as the API shows it."""
        return {
            "id": self.id,
            "created_at": self.created_at.isoformat(timespec="milliseconds"),
            "name": self.name,
            "kind": self.kind,
            "bytes": self.bytes,
        }


class Uploads:
    """The uploaded files of a store."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def add(
        self, kind: str, name: str, write: Callable[[Path], object], upload_id: str | None = None
    ) -> Upload:
        """Keep what `write` writes; whole, or not at all."""
        upload_id = upload_id or new_id()
        temporary = self._folder / f".{secrets.token_hex(8)}.part"
        path = self._folder / f"{upload_id}{ENDINGS[kind]}"
        try:
            with writing(self._folder, ROOM):
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                write(temporary)
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
                    size = os.fstat(file.fileno()).st_size
                temporary.replace(path)
                sync_folder(self._folder)
        finally:
            with suppress(OSError):
                temporary.unlink()
        values = {"id": upload_id, "created_at": now(), "name": name[:255], "kind": kind,
                  "bytes": size}  # fmt: skip
        with self._database.write() as connection:
            self._database.lock(connection)
            there = sa.select(uploads).where(uploads.c.id == upload_id)
            if row := connection.execute(there).mappings().first():
                return Upload(**row)
            connection.execute(uploads.insert().values(values))
        self.sweep()
        return Upload(**values)  # type: ignore[arg-type]  # just made

    @contextmanager
    def arriving(self, write: Callable[[Path], None]) -> Iterator[tuple[Path, bytes]]:
        """A file that is not kept yet, and the hash of what is in it; gone after the block."""
        temporary = self._folder / f".{secrets.token_hex(8)}.part"
        try:
            with writing(self._folder, ROOM):
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                write(temporary)
                with temporary.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").digest()
            yield temporary, digest
        finally:
            with suppress(OSError):
                temporary.unlink()

    def get(self, upload_id: str) -> Upload:
        """An upload; NotFoundError where there is none."""
        with self._database.read() as connection:
            wanted = sa.select(uploads).where(uploads.c.id == upload_id)
            row = connection.execute(wanted).mappings().first()
        if row is None:
            raise NotFoundError(f"There is no upload {excerpt(upload_id)}.", "It is kept a week.")
        return Upload(**row)

    def path(self, upload_id: str) -> Path:
        """Where the file of an upload stands."""
        upload = self.get(upload_id)
        path = self._folder / f"{upload.id}{ENDINGS[upload.kind]}"
        if not path.exists():
            raise StoreError(
                f"The upload {upload.id} is gone from {self._folder}.",
                "Database and folder belong together: restore both from the same backup.",
            )
        return path

    def delete(self, upload_id: str) -> None:
        """Remove an upload."""
        upload = self.get(upload_id)
        with self._database.write() as connection:
            connection.execute(uploads.delete().where(uploads.c.id == upload.id))
        (self._folder / f"{upload.id}{ENDINGS[upload.kind]}").unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove uploads older than a week, and files that nobody names after a day; how many."""
        old = now() - KEPT
        with self._database.write() as connection:
            connection.execute(uploads.delete().where(uploads.c.created_at < old))
            named = set(connection.scalars(sa.select(uploads.c.id)))
        removed = 0
        day_ago = (now() - dt.timedelta(days=1)).timestamp()
        for path in self._folder.glob("*"):
            ours = path.suffix in (".part", *ENDINGS.values())
            with suppress(FileNotFoundError):  # Another process has moved or removed it.
                if ours and path.stem not in named and path.stat().st_mtime < day_ago:
                    path.unlink()
                    removed += 1
        return removed
