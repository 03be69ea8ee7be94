"""Tables of databases and files in stores: PostgreSQL started for real, SQLite, DuckDB."""

import sqlite3
from pathlib import Path

import duckdb
import polars as pl
import pytest

import shelfwise
from postgresql import Server
from shelfwise.engines.failures import masked
from shelfwise.errors import InputError, NotFoundError, UnreadableError, UnsupportedError

PRODUCTS = pl.DataFrame(
    {
        "product_id": ["007", "08", "9"],
        "name": ["Lämp", "Mug", None],
        "price": [19.99, 9.5, 3.0],
        "units_sold": [150, 40, 7],
        "stock": [50, 160, 0],
    }
)
GOOD = PRODUCTS.head(2)


def scored(source: str, **options: str) -> pl.DataFrame:
    return shelfwise.analyze(source, **options).products  # type: ignore[arg-type]


@pytest.fixture
def expected() -> pl.DataFrame:
    return shelfwise.analyze(GOOD).products.select("product_id", "performance_score", "rank")


@pytest.fixture
def url(postgresql: Server) -> str:
    """The URL of a database of PostgreSQL, where its driver is installed."""
    pytest.importorskip("adbc_driver_postgresql")
    return postgresql.url


def test_a_table_of_postgresql(url: str, expected: pl.DataFrame) -> None:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(url) as database, database.cursor() as cursor:
        cursor.execute("CREATE SCHEMA shop")
        cursor.execute(
            "CREATE TABLE shop.products (product_id text, name varchar(20), "
            "price numeric(12, 4), units_sold bigint, stock integer, since timestamp)"
        )
        for row in GOOD.iter_rows():
            cursor.execute(
                "INSERT INTO shop.products VALUES ($1, $2, $3::float8::numeric, $4, $5, now())", row
            )
        database.commit()
    for options in ({}, {"engine": "duckdb"}):
        found = scored(f"{url}/shop.products", **options)
        found = found if isinstance(found, pl.DataFrame) else found.pl()
        assert found.sort("rank").select(expected.columns).equals(expected.sort("rank"))
    with pytest.raises(NotFoundError, match="does not exist") as caught:
        scored(f"{url}/nothing")
    assert "s3cret" not in str(caught.value)
    with pytest.raises(UnreadableError, match="cannot be read") as refused:
        scored(url.replace("s3cret", "wrong") + "/shop.products")
    assert "wrong" not in str(refused.value)


def test_order_lines_in_postgresql(url: str) -> None:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(url) as database, database.cursor() as cursor:
        cursor.execute("CREATE TABLE lines (product_id int, date date, quantity int, "
                       "unit_price numeric)")  # fmt: skip
        cursor.execute("INSERT INTO lines SELECT i % 50, date '2026-01-01' + i % 90, 1 + i % 3, "
                       "9.99 FROM generate_series(1, 20000) AS numbers(i)")  # fmt: skip
        database.commit()
    sold = shelfwise.from_sales(f"{url}/lines")
    assert sold.quality.lines == 20_000
    assert sold.products["units_sold"].sum() == sum(1 + i % 3 for i in range(1, 20_001))
    assert sold.quality.net_revenue == pytest.approx(9.99 * sold.quality.net_units)


def test_tables_of_sqlite_and_duckdb(tmp_path: Path, expected: pl.DataFrame) -> None:
    pytest.importorskip("adbc_driver_sqlite")
    path = tmp_path / "our shop.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE products (product_id TEXT, name TEXT, price REAL, "
                         "units_sold INTEGER, stock INTEGER)")  # fmt: skip
        database.executemany("INSERT INTO products VALUES (?, ?, ?, ?, ?)", GOOD.rows())
    database.close()
    other = tmp_path / "shop.duckdb"
    with duckdb.connect(other) as connection:
        connection.register("given", GOOD.to_arrow())
        connection.execute("CREATE SCHEMA s; CREATE TABLE s.products AS FROM given")
    quoted = str(path).replace(" ", "%20")
    for url in (f"sqlite:///{path}/products", f"sqlite:///{quoted}/products",
                f"duckdb:///{other}/s.products"):  # fmt: skip
        assert scored(url).select(expected.columns).equals(expected), url
    for url in (f"sqlite:///{path}/none", f"duckdb:///{tmp_path}/none.duckdb/a"):
        with pytest.raises(NotFoundError):
            scored(url)
    with pytest.raises(UnreadableError, match=r"none"):
        scored(f"duckdb:///{other}/none")


def test_files_in_a_store(tmp_path: Path, expected: pl.DataFrame) -> None:
    GOOD.write_parquet(tmp_path / "a.parquet")
    GOOD.write_csv(tmp_path / "a.csv", separator=";")
    GOOD.write_ipc(tmp_path / "a.arrow")
    (tmp_path / "parts").mkdir()
    for part in (0, 1):
        GOOD[part : part + 1].write_parquet(tmp_path / "parts" / f"{part}.parquet")
    for name in ("a.parquet", "a.csv", "a.arrow", "parts"):
        found = scored(f"file://{tmp_path}/{name}")
        assert found.sort("rank").select(expected.columns).equals(expected.sort("rank")), name
        kept = scored(f"file://{tmp_path}/{name}", engine="duckdb")
        assert kept.filter("product_id = '007'").fetchall()[0][0] == "007", name
    with pytest.raises(NotFoundError, match="nothing at"):
        scored(f"file://{tmp_path}/none.parquet")
    with pytest.raises(UnsupportedError, match="a pattern"):
        scored("s3://bucket/*.parquet")
    with pytest.raises(UnsupportedError, match="In a store"):
        scored("gs://bucket/a.xlsx")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("ftp://host/file.csv", UnsupportedError),
        ("postgresql://host/table", InputError),
        ("sqlite:///table", InputError),
    ],
)
def test_urls_that_name_nothing_are_refused(url: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        scored(url)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:secret@h/d/t", "postgresql://h/d/t?user=u&password=secret",
     "postgresql://u:se/cret@h/d/t", "s3://KEY:secret@bucket/a.csv", "postgresql://u:p#secret@h/d"],
)  # fmt: skip
def test_no_message_tells_a_password(url: str) -> None:
    assert "cret" not in masked(f"{url} cannot be read")
    with pytest.raises(shelfwise.ShelfwiseError) as caught:
        scored(url)
    assert "cret" not in str(caught.value)
