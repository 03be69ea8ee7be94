"""The kinds of frame that a user may hold: how to make each, and how to read it back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from math import exp
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

Columns = dict[str, list[Any]]
Rows = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]


def columns_of(rows: Rows) -> Columns:
    """Rows as columns; a key that a row lacks is None there."""
    if isinstance(rows, Mapping):
        return {name: list(values) for name, values in rows.items()}
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _pandas(columns: Columns) -> Any:
    return pytest.importorskip("pandas").DataFrame(columns)


def _polars(columns: Columns) -> Any:
    return pl.DataFrame(columns, strict=False)


def _arrow(columns: Columns) -> Any:
    return pytest.importorskip("pyarrow").table(columns)


_CONNECTION = duckdb.connect()


def _duckdb(columns: Columns) -> Any:
    # Cursors of one database are ten times cheaper than a database for each frame.
    return _CONNECTION.cursor().from_arrow(_polars(columns))


@cache
def spark_session() -> Any:
    """Spark in this process, on two cores; skips where it cannot be."""
    pytest.importorskip("pyspark", reason="pyspark is not installed; make test-engines installs it")
    from shelfwise.engines import spark
    from shelfwise.errors import MissingExtraError

    try:
        session = spark.session("local[2]")
    except MissingExtraError as error:
        pytest.skip(f"{error} Then make test-engines runs this test.")
    session.sparkContext.setLogLevel("OFF")
    session.conf.set("spark.sql.shuffle.partitions", "2")
    return session


def _spark(columns: Columns) -> Any:
    from shelfwise.engines import spark

    spark_session()
    return spark.of_frame(_polars(columns))


@dataclass(frozen=True)
class Engine:
    """One kind of frame: how to make it, and how to read what comes back."""

    name: str
    make: Callable[[Columns], Any]
    ordered: bool = True

    def __call__(self, rows: Rows) -> Any:
        return self.make(columns_of(rows))

    def read(self, native: Any, by: str = "product_id") -> list[dict[str, Any]]:
        """The rows as dicts of plain values; sorted where the engine keeps no order."""
        if self.name == "pandas":
            rows = native.astype(object).where(native.notna(), None).to_dict("records")
        elif self.name == "pyarrow":
            rows = native.to_pylist()
        elif self.name == "polars-lazy":
            rows = native.collect().to_dicts()
        elif self.name == "polars":
            rows = native.to_dicts()
        elif self.name == "ibis":
            rows = native.to_pyarrow().to_pylist()
        elif self.name == "spark":
            rows = native.toArrow().to_pylist()
        else:
            rows = native.pl().to_dicts()
        return rows if self.ordered else sorted(rows, key=lambda row: row[by])

    def column(self, native: Any, name: str) -> list[Any]:
        """One column of what came back."""
        return [row[name] for row in self.read(native)]


DUCKDB = Engine("duckdb", _duckdb, ordered=False)


def _ibis(columns: Columns) -> Any:
    ibis = pytest.importorskip("ibis", reason="ibis is not installed; make test-engines does it")
    return ibis.memtable(_polars(columns).to_arrow())


IBIS = Engine("ibis", _ibis, ordered=False)
SPARK = Engine("spark", _spark, ordered=False)
ENGINES = (
    Engine("pandas", _pandas),
    Engine("polars", _polars),
    Engine("polars-lazy", lambda columns: _polars(columns).lazy()),
    Engine("pyarrow", _arrow),
    DUCKDB,
)


def shop(n: int = 20, times: float = 1.0) -> list[dict[str, Any]]:
    """Products that all differ, the first ones best; `times` multiplies what they sold."""
    return [
        {"product_id": i, "name": f"Product {i:02}", "price": 10.0 + i % 3,
         "units_sold": (n + 1 - i) * 7 * times, "stock": 5 + i,
         "category": "Kitchen" if i % 2 else "Garden"}
        for i in range(1, n + 1)
    ]  # fmt: skip


def sold(weeks: int = 160, products: int = 12) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Order lines, one a product and week, and the catalogue of what they sell.

    The first third of the products rises by half a year, the second falls by a third, the
    others stay; a price is lowered now and then.
    """
    random = np.random.default_rng(5)
    rates = [(0.4, -0.4, 0.0)[3 * n // products] for n in range(products)]
    lines = [
        {"product_id": 100 + n, "date": date(2022, 1, 5) + timedelta(weeks=week),
         "quantity": int(random.poisson(60 * exp(rate * week / 52))),
         "unit_price": 10.0 + n - (week % 23 > 20)}
        for n, rate in enumerate(rates)
        for week in range(weeks)
    ]  # fmt: skip
    catalog = [
        {"product_id": 100 + n, "name": f"Product {n:02}", "category": ("Up", "Down", "Level")[
            3 * n // products]}
        for n in range(products)
    ]  # fmt: skip
    return [line for line in lines if line["quantity"]], catalog


def bargains(lines: list[dict[str, Any]], products: set[int]) -> list[dict[str, Any]]:
    """The lines, with six times the units of these products where their price is lowered."""
    return [
        line | {"quantity": 6 * line["quantity"]}
        if line["product_id"] in products and line["unit_price"] < line["product_id"] - 90
        else line
        for line in lines
    ]
