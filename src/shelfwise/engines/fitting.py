"""Rows on their way into a table: in types that it knows, and only where nothing changes."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from shelfwise.errors import OutputError

BATCH = 100_000
"""Rows that are on their way at once."""
NUMBERS, EXACT, TEXT = "numbers", "exact numbers", "text"
"""What a column holds, as messages say it; DECIMAL and NUMERIC are exact."""
Columns = Mapping[str, tuple[str | None, Any]]
"""What columns of a table hold: the kind in a word (None: anything), and the Arrow type."""


def is_there(named: str) -> OutputError:
    """What is said of a table that must not be there."""
    return OutputError(f"{named} is there already.", "Say --mode overwrite or --mode append.")


def other_columns(named: str, how: str) -> OutputError:
    """What is said of a table to which these rows cannot be appended."""
    return OutputError(
        f"{named} {how}.",
        "Append what has the same columns, or say --mode overwrite, or name another table.",
    )


def stream(frame: Any, kind: str) -> Any:
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


def fitted(reader: Any, theirs: Columns, named: str, database: str, mode: str) -> Any:
    """The rows as the table that is there takes them, by its columns' kinds and Arrow types.

    Drivers and engines would round 1.5 to 2 in a column of integers, make 7 of "007", or
    write bytes that mean another number. Raises OutputError where the table must not be
    there, or has other columns.
    """
    if not theirs or mode == "overwrite":
        return reader
    if mode == "error":
        raise is_there(named)
    ours = {field.name: (kind_of(field.type, database), field.type) for field in reader.schema}
    if set(theirs) != set(ours):
        more, less = (", ".join(sorted(a - b)) or "none" for a, b in
                      ((set(ours), set(theirs)), (set(theirs), set(ours))))  # fmt: skip
        raise other_columns(named, f"has other columns: it lacks {more}, and has beside {less}")
    types = {}
    for name, (kind, type_) in ours.items():
        there, takes = theirs[name]
        if None not in (kind, there) and kind != there:
            raise other_columns(named, f"has {there} in the column {name}, not {kind}")
        if kind == there == NUMBERS and takes is not None and takes != type_:
            types[name] = takes
    return _cast(reader, types)


def kind_of(type_: Any, database: str) -> str | None:
    """What a column of an Arrow type holds, in a word; None where that may be anything."""
    from pyarrow import types

    if types.is_dictionary(type_):
        return kind_of(type_.value_type, database)
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


def affinity(declared: str) -> str | None:
    """What SQLite makes of values in a column, by https://sqlite.org/datatype3.html."""
    if "INT" in declared:
        return NUMBERS
    if any(sign in declared for sign in ("CHAR", "CLOB", "TEXT")):
        return TEXT
    # Dates have digits, but no look of a number, so they are left as they are.
    anything = not declared or any(sign in declared for sign in ("BLOB", "DATE", "TIME"))
    return None if anything else NUMBERS
