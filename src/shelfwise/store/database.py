"""The SQL database: SQLite in the data folder, or PostgreSQL by its URL; always migrated."""

import datetime as dt
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from shelfwise.engines.failures import masked
from shelfwise.errors import (
    InputError,
    MissingExtraError,
    SettingError,
    StoreError,
    StoreFullError,
)

MIGRATIONS = Path(__file__).with_name("migrations")
LOCK = 0x5368656C66  # "Shelf": the number of our advisory lock in PostgreSQL.
BUSY_SECONDS = 30
FULL = {"SQLITE_FULL", "53100"}
"""What SQLite and PostgreSQL call a disk without room."""
_READING = "shelfwise_reading"


class Database:
    """A pool of connections, and the two kinds of transactions that are made on it.

    Opened by a URL, or by the path of a file of SQLite.
    """

    def __init__(self, place: str | Path) -> None:
        by_path = isinstance(place, Path)
        self.url = sa.URL.create("sqlite", database=str(place)) if by_path else _url(str(place))
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        given: dict[str, Any] = {"pool_pre_ping": not self.is_sqlite}
        if self.is_sqlite:
            given["connect_args"] = {"timeout": BUSY_SECONDS}
        else:
            # A network that falls silent must not hold a request for ever.
            given["connect_args"] = {
                "connect_timeout": 5,
                "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
                "tcp_user_timeout": 20_000,
                "options": "-c statement_timeout=120000",
            }  # fmt: skip
        try:
            self._engine = sa.create_engine(self.url, **given)
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"This database needs {error.name}.", "pip install 'shelfwise[postgres]'"
            ) from error
        self._reading = self._engine.execution_options(**{_READING: True})
        if self.is_sqlite:
            event.listen(self._engine, "connect", _set_up_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that writes; alone on SQLite, committed at the end of the block."""
        with self._complaints(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with self._complaints(), self._reading.connect() as connection:
            yield connection

    def lock(self, connection: sa.Connection) -> None:
        """Wait until no other transaction holds the store's lock; held to the transaction's end.

        On SQLite a writing transaction is alone anyway.
        """
        if not self.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))

    def migrate(self) -> str:
        """Bring the tables to this program's version; the version.

        Of several processes that start at once one migrates, and the others wait for it.
        """
        if self.is_sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.version() == (head := self.newest()):
            return head
        from alembic import command
        from alembic.util import CommandError

        config = _alembic()
        with self._complaints(), self._engine.connect() as connection, self._unchecked(connection):
            self.lock(connection)
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise StoreError(
                    f"The database {self} has a version that this program does not know.",
                    "A newer Shelfwise has written it: install that one, or another database.",
                ) from error
        return head

    @contextmanager
    def _unchecked(self, connection: sa.Connection) -> Iterator[None]:
        """A transaction that may make tables anew.

        SQLite alters a table by copying and dropping it; with foreign keys on, the drop would
        clear what refers to its rows. They are checked at the end instead.
        """
        raw: Any = connection.connection.dbapi_connection
        if self.is_sqlite:
            raw.execute("PRAGMA foreign_keys=OFF")  # Within a transaction it has no effect.
        try:
            with connection.begin():
                yield
                if self.is_sqlite:
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                    if broken:
                        raise StoreError(f"The upgrade would break references: {broken[:3]}.")
        finally:
            if self.is_sqlite:
                raw.execute("PRAGMA foreign_keys=ON")

    def version(self) -> str | None:
        """The version of the tables as they are; None for an empty database."""
        if self.is_sqlite and self.url.database and not Path(self.url.database).exists():
            return None
        # Alembic would say the same; importing it costs every start a fifth of a second.
        with self.read() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            found = connection.execute(sa.text("SELECT version_num FROM alembic_version"))
            return found.scalar_one_or_none()

    @staticmethod
    def newest() -> str:
        """The version that this program needs."""
        return max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @property
    def driver_url(self) -> str:
        """The URL with its password, for another program on the same database."""
        if self.is_sqlite and "?" in str(self.url.database):
            raise SettingError(
                f"Jobs cannot be kept in {self.url.database}: there is a question mark in it.",
                "Choose another SHELFWISE_DATA_DIR.",
            )
        return self.url.render_as_string(hide_password=False)

    def __str__(self) -> str:
        return masked(self.url.render_as_string(hide_password=True))

    @contextmanager
    def _complaints(self) -> Iterator[None]:
        """What the driver raises, while the database is away or full too, as errors of ours."""
        try:
            yield
        except UnicodeEncodeError as error:
            raise InputError(
                "A text holds half a character, which no database keeps.", "Write it as UTF-8."
            ) from error
        except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
            raise self.complaint(error) from error

    def complaint(self, error: Exception) -> StoreError:
        """What a driver raised, as an error of ours."""
        cause: Any = getattr(error, "orig", None) or error
        reason = masked((str(cause).strip().splitlines() or [type(cause).__name__])[0])[:200]
        full = {getattr(cause, "sqlite_errorname", ""), getattr(cause, "sqlstate", "")} & FULL
        if full:
            return StoreFullError(f"The database {self} is full: {reason}.", "Make room there.")
        return StoreError(
            f"The database {self} does not answer: {reason}.",
            "Try again; if it stays, look whether it runs.",
        )


def new_id() -> str:
    """An id that sorts by the time of its making: 48 bits of milliseconds, 40 of chance."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(5)}"


def now() -> dt.datetime:
    """This moment, in UTC."""
    return dt.datetime.now(dt.UTC)


def _url(text: str) -> sa.URL:
    try:
        url = sa.make_url(text)
    except exc.ArgumentError as error:
        raise SettingError(
            "SHELFWISE_DATABASE_URL is no URL of a database.",
            "For example postgresql://user:password@host/shelfwise, or sqlite:////data/shelfwise.db.",
        ) from error
    kind = url.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise SettingError(
            f"SHELFWISE_DATABASE_URL names a database of kind {kind[:20]!r}.",
            "Shelfwise keeps its runs in sqlite or postgresql.",
        )
    if kind == "sqlite" and not url.database:
        raise SettingError(
            "SHELFWISE_DATABASE_URL names no file.", "For example sqlite:////data/shelfwise.db."
        )
    return url.set(drivername="postgresql+psycopg") if kind == "postgresql" else url


def _alembic() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # The driver begins no transactions of its own: we do.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes its lock at once: one that reads first and writes later could fail between.
    reading = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
