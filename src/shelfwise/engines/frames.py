"""Frames in and out: whatever the user holds, as Narwhals sees it, and back again."""

import importlib
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.errors import InputError, MissingExtraError, SettingError, UnsupportedError
from shelfwise.settings import load_settings

Lazy = nw.LazyFrame[Any]
Engine = Literal["duckdb", "polars", "spark"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A frame that is open, and how to give results back in the kind that came."""

    frame: nw.DataFrame[Any] | nw.LazyFrame[Any]
    give_back: Callable[[Any], Any] = lambda native: native


def open_frame(source: Any, engine: Engine | None) -> Opened:
    """A pandas, Polars, PyArrow, DuckDB or Spark frame; UnsupportedError for anything else.

    A Polars LazyFrame is computed once, because every statistic would compute it anew.
    """
    try:
        frame = nw.from_native(source)
        frame.collect_schema()
    except nw.exceptions.DuplicateError as error:
        names = [str(name) for name in getattr(source, "columns", [])]
        twice = next((name for name in names if names.count(name) > 1), "")
        raise InputError(f"The frame has the column {twice!r} twice.", "Rename one.") from error
    except TypeError as error:
        raise UnsupportedError(
            f"A {type(source).__module__}.{type(source).__name__} cannot be analyzed.",
            "Give a pandas, Polars, PyArrow, DuckDB or Spark frame, a path, or a list of dicts.",
        ) from error
    give_back: Callable[[Any], Any] = lambda native: native  # noqa: E731  (one of two)
    if frame.implementation.is_polars() and isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
        give_back = lambda native: native.lazy()  # noqa: E731
    if isinstance(frame, nw.LazyFrame):
        _refuse_unknown(frame, engine)
        if is_spark(frame) and (dotted := [n for n in frame.columns if "." in n or "`" in n]):
            raise InputError(
                f"On Spark the column {dotted[0]!r} would be read as a part of another one.",
                "Rename columns that have dots in their names: frame.toDF(...).",
            )
    if engine == "duckdb" and isinstance(frame, nw.DataFrame):
        return Opened(nw.from_native(to_duckdb(frame.to_native())))
    if engine == "spark" and isinstance(frame, nw.DataFrame):
        from shelfwise.engines import spark

        return Opened(nw.from_native(spark.of_frame(frame.to_polars())))
    if engine == "polars" and isinstance(frame, nw.LazyFrame):
        return Opened(frame.collect(backend="polars"))
    return Opened(frame, give_back)


def is_spark(frame: Any) -> bool:
    """Whether a Narwhals frame is one of Spark."""
    return bool(frame.implementation.is_pyspark() or frame.implementation.is_pyspark_connect())


def _refuse_unknown(frame: Lazy, engine: Engine | None) -> None:
    """UnsupportedError for lazy frames that no engine here carries, or not this one."""
    name = frame.implementation
    if not (name.is_duckdb() or name.is_ibis() or is_spark(frame)):
        raise UnsupportedError(
            f"Frames of {name} are not supported.",
            "Give a pandas, Polars, PyArrow, DuckDB, Ibis or Spark frame, or a path.",
        )
    here = "duckdb" if name.is_duckdb() else "spark" if is_spark(frame) else None
    if engine not in (None, "polars", here):
        raise UnsupportedError(
            f"A frame of {name} cannot move to {engine}.", "Leave the engine out."
        )


def plain_text(frame: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    """Columns of mixed Python objects as text, so that each value can be judged.

    True is not 1 there: it becomes the text "True", which is no number.
    """
    mixed = [name for name, dtype in frame.collect_schema().items() if dtype == nw.Object]
    for name in mixed:
        values = [None if is_missing(v) else str(v) for v in frame[name].to_list()]
        series = nw.new_series(name, values, nw.String, backend=frame.implementation)
        if frame.implementation.is_pandas():
            series = nw.from_native(
                series.to_native().set_axis(frame.to_native().index), series_only=True
            )
        frame = frame.with_columns(series)
    return frame


def is_missing(value: Any) -> bool:
    """None, NaN, NaT, and what pandas calls NA, which refuses to be compared."""
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True
    except ValueError:  # An array, which compares value by value.
        return False


def connected(*, ordered: bool = False) -> Any:
    """A DuckDB database of its own in memory, within the limits of the settings.

    Keeping the order of rows costs memory; it is for what is read into memory anyway.
    """
    import duckdb

    settings = load_settings()
    limits: dict[str, Any] = {}
    if settings.duckdb_memory:
        limits["memory_limit"] = settings.duckdb_memory
    if settings.duckdb_folder:
        limits["temp_directory"] = str(settings.duckdb_folder)
    try:
        connection = duckdb.connect(config=limits)
    except duckdb.Error as error:
        raise SettingError(
            f"DuckDB cannot start within {limits}: {str(error).splitlines()[0]}",
            "See SHELFWISE_DUCKDB_MEMORY and SHELFWISE_DUCKDB_FOLDER.",
        ) from error
    # Followed, so that a command can tell how far it is, but not printed.
    connection.execute("SET enable_progress_bar = true")
    connection.execute("SET enable_progress_bar_print = false")
    if not ordered:
        connection.execute("SET preserve_insertion_order = false")
    _CONNECTIONS.add(connection)
    return connection


_CONNECTIONS: "weakref.WeakSet[Any]" = weakref.WeakSet()


def progress() -> float | None:
    """How much of the query that runs now is done, 0 to 1; None where nothing tells."""
    for connection in list(_CONNECTIONS):
        done = float(connection.query_progress())
        if 0 <= done <= 100:
            return done / 100
    return None


def to_duckdb(native: Any) -> Any:
    """The rows of an in-memory frame as a relation of a connection of its own."""
    return connected().from_arrow(
        pl.DataFrame(native) if not hasattr(native, "__arrow_c_stream__") else native
    )


def near(table: pl.DataFrame, frame: Any) -> Any:
    """A small table in memory as a Narwhals frame that can be joined with another one."""
    if not isinstance(frame, nw.LazyFrame):
        return nw.from_native(table, eager_only=True)
    if frame.implementation.is_polars():
        return nw.from_native(table.lazy())
    if is_spark(frame):
        from shelfwise.engines import spark

        return nw.from_native(spark.of_frame(table))
    if frame.implementation.is_duckdb():
        small = table.to_arrow()  # noqa: F841  (the query names it)
        # Asked of the relation, it stands in the relation's own database: others do not join.
        return nw.from_native(frame.to_native().query("_relation", "SELECT * FROM small"))
    return nw.from_native(importlib.import_module("ibis").memtable(table))


class Ibis:
    """What a table behind Ibis needs besides expressions; its database computes each pass anew."""

    def compute_once(self, frame: Lazy) -> Lazy:
        """The frame as it is: what a database keeps, and where, is not ours to say."""
        return frame

    def cumulated(self, frame: Lazy, value: str, into: str, order_by: str) -> Lazy:
        """A small frame with the sum of a column over all rows after this one."""
        upto = nw.col(value).cum_sum().over(order_by=order_by)
        return frame.with_columns(**{into: nw.col(value).sum() - upto})


class DuckDB(Ibis):
    """What a table on DuckDB needs besides expressions."""

    def compute_once(self, frame: Lazy) -> Lazy:
        """The frame, computed now and kept, so that later passes read the result."""
        computed: Lazy = nw.from_native(frame.to_native().materialize())
        return computed


def keeper(frame: Lazy) -> Any:
    """What keeps results on the engine of a lazy frame."""
    if frame.implementation.is_duckdb():
        return DuckDB()
    if frame.implementation.is_ibis():
        return Ibis()
    from shelfwise.engines import spark

    return spark.Keeper()


def numbers(frame: nw.DataFrame[Any], names: list[str]) -> dict[str, NDArray[Any]]:
    """Columns of an in-memory frame as float64 arrays; nulls become NaN."""
    return {name: np.asarray(frame[name].cast(nw.Float64).to_numpy(), np.float64) for name in names}


def attach(frame: nw.DataFrame[Any], new: Mapping[str, NDArray[Any]]) -> nw.DataFrame[Any]:
    """The frame with columns added; a pandas index is kept."""
    if frame.implementation.is_pandas_like():
        index = frame.to_native().index
        return nw.from_native(
            frame.to_native().assign(**{n: _pandas(v, index) for n, v in new.items()}),
            eager_only=True,
        )
    backend = frame.implementation
    return frame.with_columns(
        *(nw.new_series(name, values, backend=backend) for name, values in new.items())
    )


def _pandas(values: NDArray[Any], index: Any) -> Any:
    try:
        import pandas as pd
    except ImportError as error:  # pragma: no cover - a pandas frame came in
        raise MissingExtraError("pandas is not installed.") from error
    return pd.Series(values, index=index)
