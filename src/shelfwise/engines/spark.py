"""Spark: a session, tables and folders in and out, and results kept between passes."""

import os
import re
import shutil
import sys
import time
import weakref
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from shelfwise.engines import databases, files, urls
from shelfwise.engines.failures import failures, first_line
from shelfwise.errors import (
    EngineError,
    InputError,
    MissingExtraError,
    NotFoundError,
    OutputError,
    UnsupportedError,
)

Lazy = nw.LazyFrame[Any]

TABLE = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,2}$", re.ASCII)
"""The name of a table: [[catalog.]schema.]table."""
KINDS = ("parquet", "csv", "ndjson")
"""What Spark writes into a folder."""

LOCAL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.log.level": "ERROR",
    # One machine has few cores; the default of 200 makes most tasks empty.
    "spark.sql.shuffle.partitions": "16",
    "spark.driver.memory": os.environ.get("SPARK_DRIVER_MEMORY", "4g"),
}
"""What suits Spark inside this process; a cluster brings its own configuration."""


def session(master: str | None = None) -> Any:
    """The session that runs, or a new one: `local[2]`, `spark://...`, `yarn`, `sc://host`.

    Without a master: the active session, what `spark-submit` or Databricks set up, or
    else all cores of this machine.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise MissingExtraError(
            "Spark needs pyspark.", "pip install 'shelfwise[spark]', and Java 17 or later."
        ) from error
    running = SparkSession.getActiveSession()
    if running is not None and master is None:
        return running
    builder = SparkSession.builder.appName("shelfwise")
    if master and master.startswith("sc://"):
        builder = builder.remote(master)
    elif master:
        builder = builder.master(master)
    if (master or "").startswith("local") or not (master or _configured()):
        for name, value in LOCAL.items():
            builder = builder.config(name, value)
        # Else what runs Python beside the JVM would be the first python3 of the path.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        return builder.getOrCreate()
    except PySparkException as error:
        if "JAVA_GATEWAY" in str(error):
            raise MissingExtraError(
                "Spark does not start: it finds no Java 17 or later.",
                "Install it (Debian: openjdk-17-jre-headless) or set JAVA_HOME.",
            ) from error
        raise EngineError(f"Spark does not start: {first_line(error)}") from error


def _configured() -> bool:
    """Whether the environment says where Spark runs (spark-submit, Databricks, Connect)."""
    names = ("SPARK_REMOTE", "MASTER", "DATABRICKS_RUNTIME_VERSION", "PYSPARK_GATEWAY_PORT")
    return any(name in os.environ for name in names)


def is_table(name: str) -> bool:
    """Whether a text names a table rather than a file."""
    return bool(TABLE.match(name)) and not Path(name).exists() and not _has_kind(name)


def _has_kind(name: str) -> bool:
    return Path(name).suffix.lower() in files.KINDS


def read(source: str | Path) -> Any:
    """A Spark frame over a table, a file, a folder or a pattern, also `s3a://` and others.

    CSV and JSON give text columns, so that the check can say which cell is no number.
    What Spark does not read itself (Arrow, XLSX, a JSON array, a database's table, CSV in
    Windows-1252) goes through memory.
    """
    name, spark = str(source), session()
    if is_table(name):
        if not spark.catalog.tableExists(name):
            raise NotFoundError(f"There is no table {name}, and no file of that name.")
        return spark.table(name)
    if databases.is_table(name):
        return of_frame(urls.open_url(name).pl())
    kind, place = _kind_and_place(name)
    if kind == "parquet":
        return spark.read.parquet(place)
    if kind == "csv" and _is_utf_8(name):
        return spark.read.csv(
            place, header=True, inferSchema=False, enforceSchema=False, mode="FAILFAST",
            sep=_separator(place, spark), escape='"', multiLine=False,
        )  # fmt: skip
    if kind == "ndjson":
        return spark.read.json(place, primitivesAsString=True, mode="FAILFAST")
    held = files.open_many(name)
    return of_frame(held if isinstance(held, pl.DataFrame) else held.pl())


def _kind_and_place(name: str) -> tuple[str, str]:
    """What a place holds, and the place as Spark takes it."""
    if "://" in name:
        ending = Path(name.rstrip("/*")).name
        return ("parquet" if not _has_kind(ending) else files.kind_of(Path(ending))), name
    paths = files.expanded(Path(name))
    # What Spark wrote as NAME.ndjson is a folder of that name, of files that end otherwise.
    named = Path(name).is_dir() and _has_kind(name)
    kinds = {files.kind_of(path) for path in ([Path(name)] if named else paths)}
    if len(kinds) > 1:
        raise UnsupportedError(
            f"{name} has files of several kinds: {', '.join(sorted(kinds))}.",
            "Give those of one kind, for example with a pattern such as sales/*.csv.",
        )
    for path in paths:
        if not path.exists():
            raise NotFoundError(f"There is no file or table {path}.")
    return kinds.pop(), _place(name)


def _is_utf_8(name: str) -> bool:
    """Whether CSV files here are UTF-8, which Spark reads; those elsewhere are taken for it."""
    if "://" in name:
        return True
    return all(files.encoding(path) == "utf-8" for path in files.expanded(Path(name)))


def _separator(place: str, spark: Any) -> str:
    head = spark.read.text(place).head(1)
    if not head:
        raise InputError(f"{place} is empty.", "Give a CSV with a header line.")
    return files.header_line(head[0][0].encode(), place)[0]


def of_frame(frame: pl.DataFrame) -> Any:
    """A Polars frame as a Spark frame."""
    return session().createDataFrame(frame.to_arrow())


def progress() -> float | None:
    """How much of the stages that run now is done, 0 to 1; None where Spark runs nothing here."""
    if "pyspark" not in sys.modules:
        return None
    from pyspark import SparkContext

    context = SparkContext._active_spark_context
    if context is None:
        return None
    tracker = context.statusTracker()
    stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    tasks = sum(stage.numTasks for stage in stages if stage)
    done = sum(stage.numCompletedTasks for stage in stages if stage)
    return float(done / tasks) if tasks else None


class Keeper:
    """Keeps computed frames in Spark while an analysis needs them, and then lets them go."""

    def __init__(self) -> None:
        self._kept: list[Any] = []
        weakref.finalize(self, _release, self._kept).atexit = False

    def compute_once(self, frame: Lazy) -> Lazy:
        """The frame, computed by the first pass over it and kept for the later ones."""
        native = frame.to_native().persist()
        self._kept.append(native)
        kept: Lazy = nw.from_native(native)
        return kept

    def cumulated(self, frame: Lazy, value: str, into: str, order_by: str) -> Lazy:
        """A small frame with the running sum of a column from the largest `order_by` down."""
        # A window over all rows would be one partition; so few rows are added up here.
        rows = frame.collect(backend="polars").to_native().sort(order_by)
        above = pl.col(value).sum() - pl.col(value).cum_sum()
        summed: Lazy = nw.from_native(of_frame(rows.with_columns(above.alias(into))))
        return summed


def _release(kept: list[Any]) -> None:
    for frame in kept:
        frame.unpersist()


def is_frame(native: Any) -> bool:
    """Whether it is a frame of Spark."""
    return type(native).__module__.startswith("pyspark.")


MAX_COLLECTED = 300_000
"""Rows that may come into memory from Spark at once."""


def in_memory(native: Any) -> Any:
    """A frame of Spark as a Polars frame; any other frame as it is.

    Raises OutputError for more rows than MAX_COLLECTED.
    """
    if not is_frame(native):
        return native
    rows = pl.DataFrame(native.limit(MAX_COLLECTED + 1).toArrow())
    if rows.height > MAX_COLLECTED:
        raise OutputError(
            f"These are more than {MAX_COLLECTED:,} rows, which stay on Spark.",
            f"Let Spark write them: -o with a table, or a file that ends in {', '.join(KINDS)}.",
        )
    return rows


def every_week(sales: Any, weeks: int, hidden: pl.DataFrame | None) -> Any:
    """Weekly sales with a row for each week after a product's first sale, on Spark.

    Units are 0 in a week without sales and null in a hidden one. A product that sold in
    week 0 begins there; one that first sold in the last week has one row, without a week.
    """
    from pyspark.sql import functions as f

    first = sales.where("units > 0").groupBy("product_id").agg(f.expr("min(week) AS first"))
    after = f"if(first > 0, first + 1, 0) < {weeks}"
    through = f"sequence(if(first > 0, first + 1, 0), {weeks - 1})"
    rows = first.selectExpr("product_id", f"explode_outer(if({after}, {through}, null)) AS week")
    rows = rows.join(sales.select("product_id", "week", "units"), ["product_id", "week"], "left")
    if hidden is not None:
        out = of_frame(hidden.select("product_id", "week", hidden=True))
        rows = rows.join(out, ["product_id", "week"], "left")
    else:
        rows = rows.withColumn("hidden", f.expr("cast(null AS boolean)"))
    units = "if(week IS NULL OR hidden, null, coalesce(units, 0D)) AS units"
    return rows.selectExpr("product_id", "week", units)


def check_target(target: str, suffixes: Collection[str], mode: str) -> None:
    """What `write_tables` and `write` would refuse, told before there is anything to write.

    Of a folder in a store only Spark can tell, when it writes.
    """
    databases.check_mode(mode)
    if not is_table(target):
        if mode == "error" and "://" not in target and Path(target).exists():
            raise _is_there(target)
        return
    schema = target.rpartition(".")[0]
    if schema and not session().catalog.databaseExists(schema):
        raise NotFoundError(f"There is no schema {schema} to write {target} to.")
    for suffix in suffixes:
        if mode == "error" and session().catalog.tableExists(target + suffix):
            raise _is_there(target + suffix)


def write_tables(tables: Mapping[str, Any], target: str, mode: str) -> None:
    """Write frames into tables, by what comes after the name `target`, in their order."""
    check_target(target, tables, mode)
    for suffix, frame in tables.items():
        write(frame, target + suffix, mode)


def _is_there(target: str) -> OutputError:
    return OutputError(f"{target} is there already.", "Say what to do: --mode overwrite or append.")


def write(frame: Any, target: str, mode: str, kind: str = "parquet") -> None:
    """A Spark or Polars frame into a table, or into a folder of Parquet, CSV or JSON files.

    Spark shows the files of a job only when the whole job has succeeded; what a
    job that failed has left in a folder here is taken away.
    """
    databases.check_mode(mode)
    if kind not in KINDS:
        raise UnsupportedError(f"Spark writes {', '.join(KINDS)}, not {kind}.")
    here = not is_table(target) and "://" not in target
    existed = here and Path(target).exists()
    try:
        with failures(target):
            _write(frame if is_frame(frame) else of_frame(frame), target, mode, kind)
    except EngineError as error:
        if "ALREADY_EXISTS" in error.message:
            raise _is_there(target) from error
        if here:
            _take_away(Path(target), whole=not existed)
        if told := _CANNOT_WRITE.search(str(error.__cause__)):
            raise OutputError(
                f"{target} cannot be written: {told[0]}.",
                "Spark also writes beside it, to the folders that SPARK_LOCAL_DIRS names.",
            ) from error
        raise


_CANNOT_WRITE = re.compile(
    "No space left on device|Disk quota exceeded|File too large|Read-only file system"
)
"""What a system says of a disk, deep in what Spark says of a job."""


def _take_away(folder: Path, *, whole: bool) -> None:
    """Remove what a failed job left in a folder, and if `whole` a folder without results."""
    for _ in range(10):  # Tasks that are just being stopped may still write there.
        results = any(not path.name.startswith((".", "_")) for path in folder.glob("*"))
        left = folder if whole and not results else folder / "_temporary"
        shutil.rmtree(left, ignore_errors=True)
        time.sleep(0.1)
        if not left.exists():
            return


def _write(frame: Any, target: str, mode: str, kind: str) -> None:
    writer = frame.write.mode(mode)
    if is_table(target):
        writer.saveAsTable(target)
    elif kind == "csv":
        writer.csv(_place(target), header=True, escape='"')
    elif kind == "ndjson":
        writer.json(_place(target))
    else:
        writer.parquet(_place(target))


def _place(target: str) -> str:
    """A path with its scheme, without which Spark may mean another file system."""
    return target if "://" in target else f"file:{Path(target).absolute()}"
