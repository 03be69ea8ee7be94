"""Tables of PostgreSQL, SQLite and DuckDB by URL, in and out, as Arrow."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

import polars as pl

from shelfwise.engines import frames
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
BATCH = 100_000
"""Rows that are on their way at once."""


@dataclass(frozen=True, slots=True)
class _Place:
    """What the URL of a table names."""

    url: str
    """The URL as messages may show it."""
    kind: str
    """postgresql, sqlite or duckdb."""
    server: str
    """The URL of the database, or the path of its file."""
    schema: str | None
    table: str

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
    return _Place(masked(url), kind, server, schema or None, name)


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
    check_mode(mode)
    place = _place(url)
    if place.kind != "postgresql" and not Path(place.server).absolute().parent.is_dir():
        raise NotFoundError(f"There is no folder {Path(place.server).absolute().parent}.")
    write = _into_duckdb if place.kind == "duckdb" else _into_arrow
    write({suffix: _stream(frame, place.kind) for suffix, frame in tables.items()}, place, mode)


def _stream(frame: Any, kind: str) -> Any:
    """The rows as a reader of Arrow batches, in types that the database knows."""
    import pyarrow as pa

    if isinstance(frame, pl.DataFrame):
        coded = [name for name, type_ in frame.schema.items() if type_ in (pl.Categorical, pl.Enum)]
        plain = frame.with_columns(pl.col(coded).cast(pl.String)) if coded else frame
        reader = plain.to_arrow(compat_level=pl.CompatLevel.oldest()).to_reader(BATCH)
    else:
        reader = frame.to_arrow_reader(BATCH)
    if kind != "sqlite":
        return reader
    # SQLite has one kind of fraction.
    fields = [
        f.with_type(pa.float64()) if pa.types.is_decimal(f.type) else f for f in reader.schema
    ]
    return reader.cast(pa.schema(fields))


def _refuse(place: _Place, suffix: str, mode: Mode, theirs: list[str] | None, ours: Any) -> None:
    """OutputError where a table is there and must not be, or has other columns."""
    if theirs is None or mode == "overwrite":
        return
    named = f"{place.url}{suffix}"
    if mode == "error":
        raise OutputError(f"{named} is there already.", "Say --mode overwrite or --mode append.")
    if set(theirs) != set(ours):
        more, less = (", ".join(sorted(a - b)) or "none" for a, b in
                      ((set(ours), set(theirs)), (set(theirs), set(ours))))  # fmt: skip
        raise OutputError(
            f"{named} has other columns: it lacks {more}, and has beside {less}.",
            "Append what has the same columns, or say --mode overwrite, or name another table.",
        )


def _attached(place: _Place) -> Any:
    import duckdb

    connection = frames.connected()
    try:
        connection.execute(f"ATTACH {_quoted(place.server)} AS source (READ_ONLY)")
        return connection.table(f"source.{place.name()}")
    except duckdb.Error as error:
        raise UnreadableError(f"{place.url} cannot be read: {first_line(error)}") from error


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "''") + "'"


def _into_duckdb(tables: Mapping[str, Any], place: _Place, mode: Mode) -> None:
    import duckdb

    with writing(place.url), duckdb.connect(place.server) as database:
        database.execute("BEGIN")
        if place.schema:
            database.execute(f'CREATE SCHEMA IF NOT EXISTS "{place.schema}"')
        for suffix, reader in tables.items():
            found = database.execute(
                "SELECT column_name FROM duckdb_columns() WHERE table_name = ? "
                "AND schema_name = ? AND database_name = current_database()",
                [place.table + suffix, place.schema or "main"],
            ).fetchall()
            theirs = [name for (name,) in found] or None
            _refuse(place, suffix, mode, theirs, reader.schema.names)
            database.register("given", reader)
            if theirs and mode == "append":
                database.execute(f"INSERT INTO {place.name(suffix)} BY NAME FROM given")
            else:
                database.execute(f"CREATE OR REPLACE TABLE {place.name(suffix)} AS FROM given")
            database.unregister("given")
        database.execute("COMMIT")


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
            f"{place.url} needs {driver.replace('_', '-')}.", "pip install 'shelfwise[databases]'"
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
        raise kind(f"{place.url} cannot be read: {told}") from error
    return connection.table("source")


def _into_arrow(tables: Mapping[str, Any], place: _Place, mode: Mode) -> None:
    with writing(place.url), _connected(place) as (database, cursor):
        for suffix, reader in tables.items():
            theirs = _columns(cursor, place, suffix)
            _refuse(place, suffix, mode, theirs, reader.schema.names)
            how = "append" if theirs and mode == "append" else "replace"
            where = {"db_schema_name": place.schema} if place.schema else {}
            cursor.adbc_ingest(place.table + suffix, reader, how, **where)
        database.commit()


def _columns(cursor: Any, place: _Place, suffix: str) -> list[str] | None:
    """The names of a table's columns, or None where there is no such table."""
    if place.kind == "sqlite":
        cursor.execute(f"SELECT name FROM pragma_table_info({_quoted(place.table + suffix)})")
    else:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) "
            "AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (place.name(suffix),),
        )
    return [name for (name,) in cursor.fetchall()] or None


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
