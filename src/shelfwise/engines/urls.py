"""What a URL names: a table of a database, or files in an object store; as a DuckDB relation."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from shelfwise.engines import files, frames
from shelfwise.engines.failures import first_line, masked
from shelfwise.errors import (
    InputError,
    MissingExtraError,
    NotFoundError,
    UnreadableError,
    UnsupportedError,
)

DATABASES = ("postgresql", "postgres", "sqlite", "duckdb")
STORES = {"s3": "s3", "gs": "gs", "az": "abfs", "abfs": "abfs", "abfss": "abfss", "file": "file"}
"""Schemes of object stores, and what Arrow calls them."""


def is_url(source: object) -> bool:
    """Whether a text is a URL."""
    return isinstance(source, str) and bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source))


def open_url(url: str) -> Any:
    """A DuckDB relation over what the URL names.

    `postgresql://user@host/database/table`, `sqlite:///shop.db/table` and
    `duckdb:///shop.duckdb/table`, with `schema.table` where there are schemas; a file or
    folder of Parquet, CSV or Arrow under `s3://`, `gs://`, `az://` or `file://`.
    """
    scheme = urlsplit(url).scheme.lower()
    if scheme in DATABASES:
        return _table(url, scheme)
    if scheme in STORES:
        return _files(url, scheme)
    known = ", ".join(f"{name}://" for name in (*DATABASES, *STORES))
    raise UnsupportedError(f"{masked(url)} cannot be opened.", f"Known: {known}.")


def _table(url: str, scheme: str) -> Any:
    parts = urlsplit(url)
    place, _, table = parts.path.rstrip("/").rpartition("/")
    if not table or not place.strip("/"):
        raise InputError(
            f"{masked(url)} names no table.",
            "Write postgresql://user@host/database/table or sqlite:///shop.db/table.",
        )
    name = ".".join(f'"{part}"' for part in unquote(table).replace('"', "").split("."))
    if scheme in ("postgresql", "postgres"):
        server = urlunsplit(parts._replace(scheme="postgresql", path=place))
        return _through_arrow(server, name, "adbc_driver_postgresql", masked(url))
    path = Path(unquote(place.removeprefix("/")))
    if not path.exists():
        raise NotFoundError(f"There is no file {path}.")
    if scheme == "sqlite":
        return _through_arrow(str(path), name, "adbc_driver_sqlite", url)
    return _attached(path, name, url)


def _attached(path: Path, name: str, url: str) -> Any:
    import duckdb

    connection = frames.connected()
    try:
        file = str(path).replace("'", "''")
        connection.execute(f"ATTACH '{file}' AS source (READ_ONLY)")
        return connection.table(f"source.{name}")
    except duckdb.Error as error:
        raise UnreadableError(f"{url} cannot be read: {first_line(error)}") from error


def _through_arrow(server: str, name: str, driver: str, url: str) -> Any:
    """The table's rows streamed into DuckDB, which may spill them to disk."""
    try:
        import adbc_driver_manager
        from adbc_driver_manager import dbapi

        if driver == "adbc_driver_postgresql":
            from adbc_driver_postgresql import dbapi as opened
        else:
            from adbc_driver_sqlite import dbapi as opened
    except ImportError as error:
        raise MissingExtraError(
            f"Reading {url} needs {driver.replace('_', '-')}.", "pip install 'shelfwise[databases]'"
        ) from error
    connection = frames.connected()
    try:
        with closing(opened.connect(server)) as database, closing(database.cursor()) as cursor:
            cursor.execute(f"SELECT * FROM {name}")
            reader = cursor.fetch_record_batch()
            reader = _plain(reader)
            connection.from_arrow(reader).query("rows", "CREATE TEMP TABLE source AS FROM rows")
    except (dbapi.Error, adbc_driver_manager.Error) as error:
        told = first_line(error)
        kind = NotFoundError if "not exist" in told or "no such table" in told else UnreadableError
        raise kind(f"{url} cannot be read: {told}") from error
    return connection.table("source")


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


def _files(url: str, scheme: str) -> Any:
    """Files that Arrow reads where they are; DuckDB takes the columns and rows it needs."""
    import pyarrow as pa
    from pyarrow import csv, dataset, fs

    if "*" in url or "?" in url:
        raise UnsupportedError(f"{masked(url)} is a pattern.", "Name a file or a folder there.")
    ending = Path(urlsplit(url).path.rstrip("/"))
    kind = files.kind_of(ending) if ending.suffix else "parquet"
    if kind not in ("parquet", "csv", "arrow"):
        raise UnsupportedError(f"{masked(url)} is {kind}.", "In a store: Parquet, CSV or Arrow.")
    try:
        system, path = fs.FileSystem.from_uri(STORES[scheme] + url[url.index("://") :])
        form: Any = {"parquet": "parquet", "arrow": "ipc"}.get(kind)
        if form is None:
            with system.open_input_stream(path) as file:
                separator, names = files.header_line(file.read(1_000_000).split(b"\n", 1)[0], url)
            form = dataset.CsvFileFormat(
                csv.ParseOptions(delimiter=separator),
                convert_options=csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True
                ),
            )
        found = dataset.dataset(path, filesystem=system, format=form)
    except FileNotFoundError as error:
        raise NotFoundError(f"There is nothing at {masked(url)}.") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UnreadableError(f"{masked(url)} cannot be read: {first_line(error)}") from error
    return frames.connected().from_arrow(found)
