"""Tables of PostgreSQL, SQLite and DuckDB by URL, in and out, as Arrow."""

import weakref
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
NUMBERS, EXACT, TEXT = "numbers", "exact numbers", "text"
"""What a column holds, as messages say it; DECIMAL and NUMERIC are exact."""
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
    check_mode(mode)
    place = _place(url)
    if place.kind != "postgresql" and not Path(place.server).absolute().parent.is_dir():
        raise NotFoundError(f"There is no folder {Path(place.server).absolute().parent}.")
    if place.kind == "postgresql":
        # PostgreSQL cuts off what is longer, and with it what tells two tables apart.
        for suffix in tables:
            if len((place.table + suffix).encode()) > 63:
                raise InputError(f"{place.table}{suffix} is longer than 63 bytes.", "Shorten it.")
    write = _into_duckdb if place.kind == "duckdb" else _into_arrow
    with writing(place.shown()):
        write(tables, place, mode)


def _stream(frame: Any, kind: str) -> Any:
    """The rows as a reader of Arrow batches, in types that the database knows."""
    import pyarrow as pa

    if isinstance(frame, pl.DataFrame):
        coded = [name for name, type_ in frame.schema.items() if type_ in (pl.Categorical, pl.Enum)]
        plain = frame.with_columns(pl.col(coded).cast(pl.String)) if coded else frame
        reader = plain.to_arrow(compat_level=pl.CompatLevel.oldest()).to_reader(BATCH)
    else:
        reader = frame.to_arrow_reader(BATCH)
    types = {}
    for field in reader.schema:
        if kind == "sqlite" and pa.types.is_decimal(field.type):
            types[field.name] = pa.float64()  # SQLite has one kind of fraction.
        if kind != "duckdb" and field.type == pa.uint64():
            types[field.name] = pa.int64()  # They have no larger one; what is above is an error.
    return _cast(reader, types)


def _cast(reader: Any, types: Mapping[str, Any]) -> Any:
    """The rows with some columns in other types; a value that would change is an error."""
    import pyarrow as pa

    fields = [field.with_type(types.get(field.name, field.type)) for field in reader.schema]
    return reader.cast(pa.schema(fields)) if types else reader


def _fitted(
    reader: Any,
    theirs: Mapping[str, tuple[str | None, Any]],
    place: _Place,
    suffix: str,
    mode: Mode,
) -> Any:
    """The rows as the table that is there takes them, by its columns' kinds and Arrow types.

    Drivers and engines would round 1.5 to 2 in a column of integers, make 7 of "007", or
    write bytes that mean another number. Raises OutputError where the table must not be
    there, or has other columns.
    """
    if not theirs or mode == "overwrite":
        return reader
    named = place.shown(suffix)
    if mode == "error":
        raise OutputError(f"{named} is there already.", "Say --mode overwrite or --mode append.")
    advice = "Append what has the same columns, or say --mode overwrite, or name another table."
    ours = {field.name: (_kind(field.type, place.kind), field.type) for field in reader.schema}
    if set(theirs) != set(ours):
        more, less = (", ".join(sorted(a - b)) or "none" for a, b in
                      ((set(ours), set(theirs)), (set(theirs), set(ours))))  # fmt: skip
        raise OutputError(
            f"{named} has other columns: it lacks {more}, and has beside {less}.", advice
        )
    types = {}
    for name, (kind, type_) in ours.items():
        there, takes = theirs[name]
        if None not in (kind, there) and kind != there:
            raise OutputError(f"{named} has {there} in the column {name}, not {kind}.", advice)
        if kind == there == NUMBERS and takes is not None and takes != type_:
            types[name] = takes
    return _cast(reader, types)


def _kind(type_: Any, database: str) -> str | None:
    """What a column of an Arrow type holds, in a word; None where that may be anything."""
    from pyarrow import types

    if types.is_dictionary(type_):
        return _kind(type_.value_type, database)
    if types.is_null(type_):
        return None
    if hasattr(type_, "type_name"):  # What PostgreSQL has and Arrow has not.
        return EXACT if type_.type_name == "numeric" else str(type_.type_name)
    if types.is_integer(type_) or types.is_floating(type_):
        return NUMBERS
    if types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_):
        return TEXT
    if types.is_decimal(type_):
        return EXACT
    if database == "sqlite":  # It keeps dates as text, true and false as 1 and 0.
        return NUMBERS if types.is_boolean(type_) else TEXT if types.is_temporal(type_) else None
    if types.is_timestamp(type_):
        return "moments" if type_.tz else "times"
    if types.is_date(type_):
        return "dates"
    return "true and false" if types.is_boolean(type_) else str(type_)


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
            found = database.execute(
                "SELECT count(*) FROM duckdb_columns() WHERE lower(table_name) = lower(?) "
                "AND lower(schema_name) = lower(?) AND database_name = 'target'",
                [place.table + suffix, place.schema or "main"],
            ).fetchall()
            theirs = {}
            if found[0][0]:
                nothing = database.sql(f"FROM {place.name(suffix)} LIMIT 0").to_arrow_table()
                theirs = {f.name: (_kind(f.type, "duckdb"), f.type) for f in nothing.schema}
            reader = _fitted(_stream(frame, "duckdb"), theirs, place, suffix, mode)
            database.register("given", reader)
            if theirs and mode == "append":
                database.execute(f"INSERT INTO {place.name(suffix)} BY NAME FROM given")
            else:
                database.execute(f"CREATE OR REPLACE TABLE {place.name(suffix)} AS FROM given")
            database.unregister("given")
        database.execute("COMMIT")


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
            reader = _fitted(_stream(frame, place.kind), theirs, place, suffix, mode)
            # Created, not replaced: another program may have made it meanwhile.
            how = "replace" if mode == "overwrite" else "append" if theirs else "create"
            cursor.adbc_ingest(place.table + suffix, reader, how, **where)
        database.commit()


def _columns(cursor: Any, place: _Place, suffix: str) -> dict[str, tuple[str | None, Any]]:
    """What a table's columns hold, in a word and as Arrow type; nothing where it is not there."""
    if place.kind == "sqlite":
        within = f", {_quoted(place.schema)}" if place.schema else ""
        table = _quoted(place.table + suffix)
        cursor.execute(f"SELECT name, type FROM pragma_table_info({table}{within})")
        return {name: (_affinity(type_.upper()), None) for name, type_ in cursor.fetchall()}
    cursor.execute("SELECT to_regclass($1) IS NOT NULL", (place.name(suffix),))
    if not cursor.fetchone()[0]:
        return {}
    cursor.execute(f"SELECT * FROM {place.name(suffix)} LIMIT 0")
    schema = cursor.fetch_arrow_table().schema
    return {field.name: (_kind(field.type, place.kind), field.type) for field in schema}


def _affinity(declared: str) -> str | None:
    """What SQLite makes of values in a column, by https://sqlite.org/datatype3.html."""
    if "INT" in declared:
        return NUMBERS
    if any(sign in declared for sign in ("CHAR", "CLOB", "TEXT")):
        return TEXT
    # Dates have digits, but no look of a number, so they are left as they are.
    anything = not declared or any(sign in declared for sign in ("BLOB", "DATE", "TIME"))
    return None if anything else NUMBERS


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
