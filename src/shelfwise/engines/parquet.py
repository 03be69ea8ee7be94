"""Scored products as a Parquet file in the order of their rank, and pages read out of it."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from shelfwise.engines import frames, spark
from shelfwise.engines.failures import failures
from shelfwise.errors import EngineError

PACKED: dict[str, Any] = {"compression": "zstd", "compression_level": 1}
"""A seventh larger than at the usual level, and written in three quarters of the time."""
ROW_GROUP = 65_536
"""Rows that are read together: any page of a million products costs one such group."""


def write_ranked(products: Any, path: Path, height: int) -> None:
    """Write the products of an Analysis by rank; equal ranks keep the order they came in.

    What is on DuckDB streams from there. What is on Spark comes into memory first, and is
    refused above 300,000 rows: such runs are kept as tables.
    """
    frame = nw.from_native(products)
    if isinstance(frame, nw.LazyFrame) and frame.implementation.is_duckdb():
        _stream(products, "rank, product_id", path)
        return
    if isinstance(frame, nw.LazyFrame):
        if frames.is_spark(frame) and height > spark.MAX_COLLECTED:
            raise EngineError(
                f"{height:,} products on Spark are too many to keep as one file.",
                "Write them as tables: --engine spark -o catalog.schema.table.",
            )
        with failures():
            frame = frame.collect(backend="polars")
    frame.to_polars().sort("rank", maintain_order=True).write_parquet(
        path, **PACKED, row_group_size=ROW_GROUP, statistics=True
    )


def write_weeks(frame: Any, path: Path) -> int:
    """Write weekly sums by product and week; how many rows. DuckDB streams them."""
    keys = ["product_id", "week"]
    if frame.implementation.is_duckdb():
        _stream(frame.to_native(), ", ".join(keys), path)
    else:
        with failures():
            rows = frame.collect(backend="polars").to_native()
        rows.sort(keys).write_parquet(path, **PACKED, row_group_size=ROW_GROUP)
    return rows_in(path)


def can_keep(frame: Any) -> bool:
    """Whether rows can come here from where they are; from Spark 300,000 can."""
    if not frames.is_spark(frame):
        return True
    rows = frame.select(n=nw.len()).collect(backend="polars").item()
    return bool(rows <= spark.MAX_COLLECTED)


def _stream(relation: Any, order: str, path: Path) -> None:
    with failures():
        # Threads may else write the sorted parts in any order.
        relation.query("products", "SET preserve_insertion_order = true")
        ordered = relation.order(order)
        ordered.write_parquet(str(path), compression="zstd", row_group_size=ROW_GROUP)


def rows_in(path: Path) -> int:
    """How many rows a file has."""
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())


def scan(path: Path) -> pl.LazyFrame:
    """A file of results, read as far as it is asked for."""
    return pl.scan_parquet(path)


HISTORY_GROUP = 16_384
HISTORY = {
    "revenue": pl.Float64, "units_sold": pl.Float64, "stock": pl.Float64,
    "performance_score": pl.Float64, "rank": pl.Int64, "performance_tier": pl.String,
}  # fmt: skip
"""What the history of a product tells of each run, and of which type."""


def slim(results: Path, run_id: str) -> pl.LazyFrame:
    """What the history keeps of a run's products."""
    frame = pl.scan_parquet(results)
    columns = frame.collect_schema()
    location = pl.col("location").cast(pl.String) if "location" in columns else pl.lit(None)
    return frame.select(
        pl.col("product_id").cast(pl.String),
        location.cast(pl.String).alias("location"),
        pl.lit(run_id).alias("run_id"),
        *(
            (pl.col(name) if name in columns else pl.lit(None)).cast(kind).alias(name)
            for name, kind in HISTORY.items()
        ),
    )


def write_history(results: Path, run_id: str, path: Path) -> int:
    """The slim rows of a run, sorted by product; how many there are."""
    rows = slim(results, run_id).sort("product_id")
    rows.sink_parquet(path, **PACKED, row_group_size=HISTORY_GROUP)
    return rows_in(results)


def merge_history(paths: Sequence[Path], runs: Collection[str], path: Path) -> int:
    """Several such files as one, without the rows of runs that are gone; how many rows."""
    merged = pl.scan_parquet(paths[0])
    for other in paths[1:]:
        merged = merged.merge_sorted(pl.scan_parquet(other), "product_id")
    kept = merged.filter(pl.col("run_id").is_in(list(runs)))
    kept.sink_parquet(path, compression="zstd", row_group_size=HISTORY_GROUP)
    return rows_in(path)


def rows_of_product(paths: Sequence[Path], product_id: str, location: str | None) -> pl.DataFrame:
    """The rows of one product in such files."""
    return _of_product(pl.scan_parquet(list(paths)), product_id, location)


def rows_in_results(
    results: Path, run_id: str, product_id: str, location: str | None
) -> pl.DataFrame:
    """The same out of a run's results, where it has no such file."""
    return _of_product(slim(results, run_id), product_id, location)


def _of_product(rows: pl.LazyFrame, product_id: str, location: str | None) -> pl.DataFrame:
    rows = rows.filter(pl.col("product_id") == product_id)
    if location is not None:
        rows = rows.filter(pl.col("location") == location)
    return rows.drop("product_id").collect()
