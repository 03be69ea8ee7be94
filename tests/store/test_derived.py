"""What is made of the order lines of a run: kept with it, joined to its products, gone with it."""

from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import sqlalchemy as sa

import shelfwise
from kinds import shop, sold
from shelfwise.errors import InputError, NotFoundError
from shelfwise.store import Run, Store
from shelfwise.store.schema import artifacts, derived_tables

LINES, CATALOG = sold()
FEW_DAYS = [
    line | {"date": day}
    for line in LINES
    if line["date"] == LINES[0]["date"]
    for day in ("2026-01-07", "2026-01-12")  # A Wednesday, and the Monday after it.
]


def save(store: Store, lines: Any = LINES, **options: Any) -> Run:
    counted = shelfwise.from_sales(lines, catalog=CATALOG, **options)
    return store.runs.save(shelfwise.analyze(counted))


def files(store: Store) -> set[str]:
    """The files there are; those that the database names, and no others."""
    found = {path.stem for path in store.runs.products_file().parent.glob("*.parquet")}
    with store.database.read() as connection:
        assert found == set(connection.scalars(sa.select(artifacts.c.sha256)))
    return found


def test_a_run_of_order_lines_keeps_its_weeks(store: Store) -> None:
    run = save(store)
    kept, counted = store.runs.weeks(run.id), shelfwise.weekly(LINES, catalog=CATALOG)
    assert (kept.first, kept.weeks) == (counted.first, counted.weeks)
    assert kept.products.equals(counted.products)
    for value in ("units", "revenue"):
        assert (kept.matrix(value=value)[1] == counted.matrix(value=value)[1]).all()
    assert store.derived.all(run) == []


def test_lines_counted_by_duckdb_keep_the_same_weeks(store: Store, tmp_path: Path) -> None:
    pl.DataFrame(LINES).write_parquet(tmp_path / "lines.parquet")
    here, there = save(store), save(store, tmp_path / "lines.parquet")
    frame = duckdb.connect().from_arrow(pl.DataFrame(LINES))
    other = save(store, frame)
    expected = store.runs.weeks(here).matrix()[1]
    assert (store.runs.weeks(there).matrix()[1] == expected).all()
    assert (store.runs.weeks(other).matrix()[1] == expected).all()


def test_trends_are_made_joined_and_made_anew(store: Store) -> None:
    run = save(store)
    made = store.derived.make(run.id, "trends")
    assert [table.name for table in made] == ["category_trends", "trends"]
    expected = shelfwise.trends(LINES, catalog=CATALOG)
    assert store.derived.get(run, "trends").scan().collect().equals(expected)
    products = store.derived.beside(run).joined(store.runs.products(run)).collect()
    assert products["rank"].is_sorted()
    told = dict(products.select(pl.col("product_id").cast(pl.Int64), "trend").iter_rows())
    assert [told[100 + n] for n in range(12)][:8] == ["rising"] * 4 + ["falling"] * 4
    assert products["trend_reason"].dtype == pl.String
    files(store)
    days = [{"product_id": 100, "date": date} for date in ("2023-03-01", "2023-03-02")]
    store.derived.make(run, "trends", out_of_stock=days)
    assert store.derived.get(run, "trends").about == {"weeks_out_of_stock": 1}
    assert files(store)
    store.runs.delete(run.id)
    with store.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(derived_tables)) == 0


def test_deleting_one_run_leaves_the_tables_of_another_with_the_same_lines(store: Store) -> None:
    first, second = save(store), save(store)
    for run in (first, second):
        store.derived.make(run, "trends")
    store.runs.delete(first.id)
    assert store.derived.get(second, "trends").scan().collect().height == 12
    assert files(store)
    with pytest.raises(NotFoundError):
        store.derived.all(first.id)


def test_forecasts_and_elasticities_join_too(store: Store) -> None:
    pytest.importorskip("statsforecast", reason="pip install 'shelfwise[forecast]'")
    run, told = save(store), []
    store.derived.make(run, "forecast", horizon=4, progress=told.append)
    store.derived.make(run, "elasticity")
    assert told[-1] == 1.0
    assert store.derived.get(run, "forecast").about == {"horizon": 4, "weeks_out_of_stock": 0}
    beside = store.derived.beside(run)
    found = beside.joined(store.runs.products(run)).collect()
    assert set(beside.columns) <= set(found.columns)
    assert found["forecast_weeks"].unique().to_list() == [4]
    assert (found["forecast_q5"] < found["forecast_q95"]).all()
    assert (found["elasticity_low"] < found["elasticity_high"]).all()
    rows = beside.of_rows(found.head(2), full=False)
    assert [row["forecast_q95"] for row in rows] == found["forecast_q95"].head(2).to_list()


@pytest.mark.parametrize(
    ("kept", "because"),
    [
        (lambda store: store.runs.save(shelfwise.analyze(shop())), "not made of order lines"),
        (lambda store: save(store, FEW_DAYS), "no whole week"),
        (lambda store: save(store, by="category"), "by product"),
    ],
    ids=["products", "few days", "by category"],
)
def test_a_run_without_weeks_says_so(store: Store, kept: Any, because: str) -> None:
    run = kept(store)
    with pytest.raises(InputError, match=because):
        store.derived.make(run.id, "trends")
    with pytest.raises(NotFoundError, match=f"POST /v1/runs/{run.id}/forecast"):
        store.derived.get(run.id, "forecast")
    assert store.derived.beside(run).joined(store.runs.products(run)).collect().height


def test_a_table_that_fails_leaves_the_one_before(store: Store) -> None:
    run = save(store)
    store.derived.make(run, "trends")
    before = store.derived.get(run, "trends")
    with pytest.raises(InputError, match="no column date"):
        store.derived.make(run, "trends", out_of_stock=[{"product_id": 100}])
    assert store.derived.get(run, "trends") == before


def test_a_product_that_a_table_lacks_has_nothing_there(store: Store) -> None:
    run = save(store)
    store.derived.make(run, "trends")
    rows = pl.DataFrame({"product_id": ["100", "unknown"]})
    known, unknown = store.derived.beside(run).of_rows(rows, full=True)
    assert known["trend"] == "rising"
    assert set(unknown.values()) == {None}
