"""What a URL names: a table of a database, or files in an object store; as a DuckDB relation."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from shelfwise.engines import databases, stores
from shelfwise.engines.failures import masked
from shelfwise.errors import UnsupportedError


def is_url(source: object) -> bool:
    """Whether a text is a URL."""
    return isinstance(source, str) and bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source))


def open_url(url: str) -> Any:
    """A DuckDB relation over what the URL names.

    `postgresql://user@host/database/table`, `sqlite:///shop.db/table` and
    `duckdb:///shop.duckdb/table`, with `schema.table` where there are schemas; a file or
    folder of Parquet, CSV or Arrow under `s3://`, `gs://`, `az://` or `file://`.
    """
    refuse_unknown(url)
    return databases.read_table(url) if databases.is_table(url) else stores.read_files(url)


def path_of(target: str) -> Path:
    """The path that a URL names, without what stands behind its question mark, or the path."""
    parts = urlsplit(target)
    return Path(parts.netloc + parts.path if is_url(target) else target)


def beside(target: str, ending: str) -> str:
    """The path or URL of a file beside another one, with its name and another ending."""
    if not is_url(target):
        return str(Path(target).with_suffix(ending))
    parts = urlsplit(target)
    head, slash, name = parts.path.rpartition("/")
    return urlunsplit(parts._replace(path=head + slash + str(Path(name).with_suffix(ending))))


def refuse_unknown(url: str) -> None:
    """UnsupportedError for a URL of no database and no store that is known."""
    if databases.is_table(url) or stores.is_store(url):
        return
    known = ", ".join(f"{name}://" for name in (*databases.SCHEMES, *stores.SCHEMES))
    raise UnsupportedError(f"{masked(url)} cannot be opened.", f"Known: {known}.")
