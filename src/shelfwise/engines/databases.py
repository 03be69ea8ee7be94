"""Tables of PostgreSQL, SQLite and DuckDB by URL, in and out, as Arrow."""

import os
import weakref
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

import polars as pl

from shelfwise.engines import fitting, frames
from shelfwise.engines.failures import first_line, masked, writing
from shelfwise.errors import (
    InputError,
    MissingExtraError,
    NotFoundError,
    OutputError,
    UnreadableError,
    excerpt,
)

SCHEMES = {
    "postgresql": "postgresql", "postgres": "postgresql", "sqlite": "sqlite", "duckdb": "duckdb"
}  # fmt: skip
"""Schemes of URLs that name a table, and whose table it is."""
Mode = Literal["error", "overwrite", "append"]
MODES = ("error", "overwrite", "append")
"""What happens to a table that is there: nothing, it goes, or rows come to it."""
_READERS: "weakref.WeakKeyDictionary[Any, Path]" = weakref.WeakKeyDictionary()
"""The databases in memory that read a file of DuckDB, as `source`, and which."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What the URL of a table names."""

    url: str
    kind: str
    """postgresql, sqlite or duckdb."""
    server: str
    """The URL of the database, or the path of its file."""
    schema: str | None
    table: str

    def shown(self, suffix: str = "") -> str:
        """The URL as messages may show it."""
        path, mark, more = self.url.partition("?")
        return masked(f"{path.rstrip('/')}{suffix}{mark}{more}")

    def name(self, suffix: str = "") -> str:
        """The table's name, quoted."""
        parts = [part for part in (self.schema, self.table + suffix) if part is not None]
        return ".".join(f'"{part}"' for part in parts)


def check_mode(mode: str) -> None:
    """InputError unless it is a mode."""
    if mode not in MODES:
        raise InputError(f"mode is {excerpt(mode)}.", f"It is one of {', '.join(MODES)}.")


def is_table(target: object) -> bool:
    """Whether a text is the URL of a table."""
    return isinstance(target, str) and urlsplit(target).scheme.lower() in SCHEMES


def _place(url: str) -> _Place:
    parts = urlsplit(url)
    if "@" in parts.path and "@" not in parts.netloc:
        raise InputError(
            f"{masked(url)} has a slash before the host.", "In a password it is written %2F."
        )
    place, _, table = parts.path.rstrip("/").rpartition("/")
    if not table or not place.strip("/"):
        raise InputError(
            f"{masked(url)} names no table.",
            "Write postgresql://user@host/database/table or sqlite:///shop.db/table.",
        )
    schema, _, name = unquote(table).replace('"', "").rpartition(".")
    kind = SCHEMES[parts.scheme.lower()]
    server = unquote(place.removeprefix("/"))
    if kind == "postgresql":
        server = urlunsplit(parts._replace(scheme="postgresql", path=place))
    elif parts.netloc:
        raise InputError(
            f"{masked(url)} has the host {masked(parts.netloc)}, but names a file.",
            f"Write three slashes: {kind}:///shop.db/table.",
        )
    return _Place(url, kind, server, schema or None, name)


def read_table(url: str) -> Any:
    """A DuckDB relation over the table that the URL names."""
    place = _place(url)
    if place.kind != "postgresql" and not Path(place.server).exists():
        raise NotFoundError(f"There is no file {place.server}.")
    return _attached(place) if place.kind == "duckdb" else _through_arrow(place)


def write_tables(tables: Mapping[str, Any], url: str, mode: Mode = "error") -> None:
    """Write frames into the table that the URL names, and those beside it, all or none.

    Args:
        tables: Polars frames or DuckDB relations by what comes after the table's name.
        url: The table, as `read_table` takes it; a file of SQLite or DuckDB may be new.
        mode: For tables that are there: "error" refuses, "overwrite" puts others in
            their place, "append" adds the rows, and needs the same columns.

    Raises:
        OutputError: A table is there already, has other columns, or cannot be written.
    """
    place = _target(url, tables, mode)
    write = _into_duckdb if place.kind == "duckdb" else _into_arrow
    with writing(place.shown()):
        write(tables, place, mode)


def check_target(
    url: str, suffixes: Collection[str], mode: str, needs: Collection[str] = ()
) -> None:
    """What `write_tables` would refuse, told before there is anything to write.

    Args:
        url: The table.
        suffixes: What comes after its name in the tables beside it.
        mode: As `write_tables` takes it.
        needs: Columns that the rows will have; a table to append to has them.

    Raises:
        NotFoundError: There is no such folder.
        OutputError: A table is there already, or lacks columns, or nothing may be made there.
    """
    place = _target(url, suffixes, mode)
    file = Path(place.server).absolute()
    if place.kind != "postgresql":
        for path in (file.parent, file):
            if path.exists() and not os.access(path, os.W_OK):
                raise OutputError(f"{place.shown()} cannot be written: {path} is read-only.")
        if not file.exists():
            return  # It would be made by the look.
    with writing(place.shown()):
        found = (_found_duckdb if place.kind == "duckdb" else _found_arrow)(place, suffixes)
    for suffix, columns in found.items():
        if columns and mode == "error":
            raise fitting.is_there(place.shown(suffix))
        if columns and mode == "append" and (lacking := sorted(set(needs) - set(columns))):
            raise fitting.other_columns(place.shown(suffix), f"has no {' and no '.join(lacking)}")


Found = dict[str, fitting.Columns]
"""The columns of tables by what comes after the name; none where there is no table."""


def _found_duckdb(place: _Place, suffixes: Collection[str]) -> Found:
    # As it will be attached to be written: a file that somebody else holds is told now.
    with frames.connected() as database:
        database.execute(f"ATTACH {_quoted(place.server)} AS target (TYPE duckdb)")
        database.execute("USE target")
        return {suffix: _columns_duckdb(database, place, suffix) for suffix in suffixes}


def _found_arrow(place: _Place, suffixes: Collection[str]) -> Found:
    with _connected(place) as (_, cursor):
        found = {suffix: _columns(cursor, place, suffix) for suffix in suffixes}
        if place.kind == "postgresql" and not all(found.values()):
            _refuse_schema(cursor, place)
    return found


def _refuse_schema(cursor: Any, place: _Place) -> None:
    """OutputError where PostgreSQL has no such schema, or lets nobody like us make a table."""
    schema = _quoted(place.schema) if place.schema else "current_schema()"
    cursor.execute(f"SELECT has_schema_privilege(to_regnamespace(quote_ident({schema})), 'CREATE')")
    (may,) = cursor.fetchone()
    if not may:
        reason = "there is no such schema" if may is None else "no table may be made in its schema"
        raise OutputError(f"{place.shown()} cannot be written: {reason}.")


def _target(url: str, suffixes: Collection[str], mode: str) -> _Place:
    """The place that a URL names, and where tables of these names can be."""
    check_mode(mode)
    place = _place(url)
    if place.kind != "postgresql" and not Path(place.server).absolute().parent.is_dir():
        raise NotFoundError(f"There is no folder {Path(place.server).absolute().parent}.")
    if place.kind == "postgresql":
        # PostgreSQL cuts off what is longer, and with it what tells two tables apart.
        for suffix in suffixes:
            if len((place.table + suffix).encode()) > 63:
                raise InputError(f"{place.table}{suffix} is longer than 63 bytes.", "Shorten it.")
    return place


def _attached(place: _Place) -> Any:
    import duckdb

    connection = frames.connected()
    try:
        connection.execute(f"ATTACH {_quoted(place.server)} AS source (READ_ONLY, TYPE duckdb)")
        _READERS[connection] = Path(place.server).resolve()
        return connection.table(f"source.{place.name()}")
    except duckdb.Error as error:
        raise UnreadableError(f"{place.shown()} cannot be read: {first_line(error)}") from error


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "''") + "'"


def _into_duckdb(tables: Mapping[str, Any], place: _Place, mode: Mode) -> None:
    with _released(tables, place.server) as own, frames.connected(ordered=True) as database:
        database.execute(f"ATTACH {_quoted(place.server)} AS target (TYPE duckdb)")
        database.execute("USE target")
        database.execute("BEGIN")
        if place.schema:
            database.execute(f'CREATE SCHEMA IF NOT EXISTS "{place.schema}"')
        for suffix, frame in own.items():
            theirs = _columns_duckdb(database, place, suffix)
            reader = fitting.fitted(
                fitting.stream(frame, "duckdb"), theirs, place.shown(suffix), "duckdb", mode
            )
            database.register("given", reader)
            if theirs and mode == "append":
                database.execute(f"INSERT INTO {place.name(suffix)} BY NAME FROM given")
            else:
                database.execute(f"CREATE OR REPLACE TABLE {place.name(suffix)} AS FROM given")
            database.unregister("given")
        database.execute("COMMIT")


def _columns_duckdb(database: Any, place: _Place, suffix: str) -> fitting.Columns:
    """What a table's columns hold, where the file is attached as `target`; nothing without it."""
    found = database.execute(
        "SELECT count(*) FROM duckdb_columns() WHERE lower(table_name) = lower(?) "
        "AND lower(schema_name) = lower(?) AND database_name = 'target'",
        [place.table + suffix, place.schema or "main"],
    ).fetchall()
    if not found[0][0]:
        return {}
    nothing = database.sql(f"FROM {place.name(suffix)} LIMIT 0").to_arrow_table()
    return {f.name: (fitting.kind_of(f.type, "duckdb"), f.type) for f in nothing.schema}


@contextmanager
def _released(tables: Mapping[str, Any], file: str) -> Iterator[Mapping[str, Any]]:
    """The frames, and a file of DuckDB that nobody here reads until the block ends.

    DuckDB opens a file once in a process; what was read from it and is not in memory yet is
    computed first.
    """
    whole = Path(file).resolve()
    readers = [connection.cursor() for connection, read in list(_READERS.items()) if read == whole]
    own = dict(tables)
    if readers:
        own = {suffix: frame if isinstance(frame, pl.DataFrame) else frame.materialize()
               for suffix, frame in tables.items()}  # fmt: skip
    for connection in readers:
        connection.execute("DETACH source")
    try:
        yield own
    finally:
        for connection in readers:
            connection.execute(f"ATTACH {_quoted(file)} AS source (READ_ONLY, TYPE duckdb)")


@contextmanager
def _connected(place: _Place) -> Iterator[tuple[Any, Any]]:
    """A connection and a cursor of ADBC; what is not committed is rolled back."""
    driver = f"adbc_driver_{place.kind}"
    try:
        import adbc_driver_manager  # noqa: F401  # Both drivers need it.

        if place.kind == "postgresql":
            from adbc_driver_postgresql import dbapi
        else:
            from adbc_driver_sqlite import dbapi
    except ImportError as error:
        raise MissingExtraError(
            f"{place.shown()} needs {driver.replace('_', '-')}.",
            "pip install 'shelfwise[databases]'",
        ) from error
    with closing(dbapi.connect(place.server)) as database, closing(database.cursor()) as cursor:
        yield database, cursor


def _through_arrow(place: _Place) -> Any:
    """The table's rows streamed into DuckDB, which may spill them to disk."""
    connection = frames.connected()
    try:
        with _connected(place) as (_, cursor):
            cursor.execute(f"SELECT * FROM {place.name()}")
            reader = _plain(cursor.fetch_record_batch())
            connection.from_arrow(reader).query("rows", "CREATE TEMP TABLE source AS FROM rows")
    except Exception as error:
        if not type(error).__module__.startswith("adbc_driver_manager"):
            raise
        told = first_line(error)
        kind = NotFoundError if "not exist" in told or "no such table" in told else UnreadableError
        raise kind(f"{place.shown()} cannot be read: {told}") from error
    return connection.table("source")


def _into_arrow(tables: Mapping[str, Any], place: _Place, mode: Mode) -> None:
    within = "catalog_name" if place.kind == "sqlite" else "db_schema_name"
    where = {within: place.schema} if place.schema else {}
    with _connected(place) as (database, cursor):
        for suffix, frame in tables.items():
            theirs = _columns(cursor, place, suffix)
            reader = fitting.fitted(
                fitting.stream(frame, place.kind), theirs, place.shown(suffix), place.kind, mode
            )
            # Created, not replaced: another program may have made it meanwhile.
            how = "replace" if mode == "overwrite" else "append" if theirs else "create"
            cursor.adbc_ingest(place.table + suffix, reader, how, **where)
        database.commit()


def _columns(cursor: Any, place: _Place, suffix: str) -> fitting.Columns:
    """What a table's columns hold, in a word and as Arrow type; nothing where it is not there."""
    if place.kind == "sqlite":
        within = f", {_quoted(place.schema)}" if place.schema else ""
        table = _quoted(place.table + suffix)
        cursor.execute(f"SELECT name, type FROM pragma_table_info({table}{within})")
        return {name: (fitting.affinity(type_.upper()), None) for name, type_ in cursor.fetchall()}
    cursor.execute("SELECT to_regclass($1) IS NOT NULL", (place.name(suffix),))
    if not cursor.fetchone()[0]:
        return {}
    cursor.execute(f"SELECT * FROM {place.name(suffix)} LIMIT 0")
    schema = cursor.fetch_arrow_table().schema
    return {field.name: (fitting.kind_of(field.type, place.kind), field.type) for field in schema}


def _plain(reader: Any) -> Any:
    """Exact decimals, which PostgreSQL hands over as marked text, as plain text."""
    import pyarrow as pa

    fields = []
    for field in reader.schema:
        kind = field.type
        fields.append(pa.field(field.name, getattr(kind, "storage_type", kind)))
    schema = pa.schema(fields)
    if schema.equals(pa.schema([pa.field(f.name, f.type) for f in reader.schema])):
        return reader

    def batches() -> Any:
        for batch in reader:
            columns = [getattr(column, "storage", column) for column in batch.columns]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())
