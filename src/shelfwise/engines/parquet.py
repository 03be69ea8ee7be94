"""Scored products as a Parquet file in the order of their rank, and pages read out of it."""

from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from shelfwise.engines import frames, spark
from shelfwise.engines.failures import failures
from shelfwise.errors import EngineError

ROW_GROUP = 65_536
"""Rows that are read together: any page of a million products costs one such group."""


def write_ranked(products: Any, path: Path, height: int) -> None:
    """Write the products of an Analysis by rank; equal ranks keep the order they came in.

    What is on DuckDB streams from there. What is on Spark comes into memory first, and is
    refused above 300,000 rows: such runs are kept as tables.
    """
    frame = nw.from_native(products)
    if isinstance(frame, nw.LazyFrame) and frame.implementation.is_duckdb():
        with failures():
            # Threads may else write the sorted parts in any order.
            products.query("products", "SET preserve_insertion_order = true")
            ordered = products.order("rank, product_id")
            ordered.write_parquet(str(path), compression="zstd", row_group_size=ROW_GROUP)
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
        path, compression="zstd", row_group_size=ROW_GROUP, statistics=True
    )


def scan(path: Path) -> pl.LazyFrame:
    """A file of results, read as far as it is asked for."""
    return pl.scan_parquet(path)
