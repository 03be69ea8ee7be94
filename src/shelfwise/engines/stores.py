"""Files in object stores (`s3://`, `gs://`, `az://`), in and out, through Arrow."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from shelfwise.engines import files, frames
from shelfwise.engines.failures import first_line, masked, writing
from shelfwise.errors import NotFoundError, OutputError, UnreadableError, UnsupportedError

SCHEMES = {"s3": "s3", "gs": "gs", "az": "abfs", "abfs": "abfs", "abfss": "abfss", "file": "file"}
"""Schemes of object stores, and what Arrow calls them."""


def is_store(target: object) -> bool:
    """Whether a text is a URL in a store."""
    return isinstance(target, str) and urlsplit(target).scheme.lower() in SCHEMES


def _opened(url: str) -> tuple[Any, str]:
    """The store as a file system, and the path in it."""
    from pyarrow import fs

    scheme, rest = url[: url.index("://")].lower(), url[url.index("://") :]
    system, path = fs.FileSystem.from_uri(SCHEMES[scheme] + rest)
    return system, path


def read_files(url: str) -> Any:
    """A DuckDB relation over a file or folder, which Arrow reads where it is.

    DuckDB takes the columns and rows that it needs.
    """
    import pyarrow as pa
    from pyarrow import csv, dataset

    if "*" in url:
        raise UnsupportedError(f"{masked(url)} is a pattern.", "Name a file or a folder there.")
    ending = Path(urlsplit(url).path.rstrip("/"))
    kind = files.kind_of(ending) if ending.suffix else "parquet"
    if kind not in ("parquet", "csv", "arrow"):
        raise UnsupportedError(f"{masked(url)} is {kind}.", "In a store: Parquet, CSV or Arrow.")
    try:
        system, path = _opened(url)
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


def check_target(url: str) -> None:
    """What `put_file` would refuse: no file is named, or there is no such bucket or folder.

    A store that does not let us look may still let us write.
    """
    import pyarrow as pa
    from pyarrow import fs

    _name(url)
    try:
        system, path = _opened(url)
        # A folder of a store comes with its first file; its bucket, and a folder here, must be.
        into = path.rpartition("/")[0] if system.type_name == "local" else path.partition("/")[0]
        if system.get_file_info(into).type != fs.FileType.NotFound:
            return
    except (OSError, ValueError, pa.ArrowException) as error:
        if any(sign in str(error) for sign in _MAY_NOT_LOOK):
            return
        raise OutputError(f"{masked(url)} cannot be written: {first_line(error)}") from error
    raise NotFoundError(f"There is no {into} to write {masked(url)} to.")


_MAY_NOT_LOOK = ("ACCESS_DENIED", "AccessDenied", "PERMISSION_DENIED", "Permission denied", "403")


def _name(url: str) -> str:
    name = Path(urlsplit(url).path).name
    if not name or urlsplit(url).path.endswith("/"):
        raise OutputError(f"{masked(url)} is a folder.", "Name a file in it.")
    return name


def put_file(url: str, write_to: Callable[[Path], None]) -> None:
    """Make a file here, and bring it to the URL when it is whole.

    It comes under another name and is then renamed: what is read there is always whole.
    """
    import pyarrow as pa
    from pyarrow import fs

    name = _name(url)
    with TemporaryDirectory(prefix="shelfwise.") as folder:
        made = Path(folder) / name
        with writing(made):
            write_to(made)
        try:
            system, path = _opened(url)
            into, _, name = path.rpartition("/")
            # Azure renames nothing in most accounts; there a file appears when it is whole.
            renames = system.type_name != "abfs"
            coming = f"{into}/.{name}.{os.getpid()}.part" if renames else path
            try:
                fs.copy_files(str(made), coming, fs.LocalFileSystem(), system)
                if renames:
                    system.move(coming, path)
            except BaseException:
                with suppress(FileNotFoundError):
                    system.delete_file(coming)
                raise
        except (OSError, ValueError, pa.ArrowException) as error:
            raise OutputError(f"{masked(url)} cannot be written: {first_line(error)}") from error
