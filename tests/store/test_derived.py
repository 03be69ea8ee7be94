"""What is made of the order lines of a run: kept with it, joined to its products, gone with it."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import narwhals.stable.v2 as nw
import polars as pl
import pytest
import sqlalchemy as sa

import shelfwise
from kinds import shop, sold
from shelfwise.errors import InputError, NotFoundError, OutputError, UnreadableError
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


def files(store: Store, resting: int = 0) -> set[str]:
    """The files that the database names; of others there are so many."""
    found = {path.stem for path in store.runs.products_file().parent.glob("*.parquet")}
    with store.database.read() as connection:
        named = set(connection.scalars(sa.select(artifacts.c.sha256)))
    assert named <= found
    assert len(found - named) == resting
    return named


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
    assert {table.name for table in made} == {"category_trends", "trends"}
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
    assert files(store, resting=2)  # The product is a quarter of its category.
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


@pytest.mark.parametrize(
    ("days", "because"),
    [
        ([{"product_id": 100}], "no column date"),
        ([{"a": 1}], "No column is known here: 'a'"),
        ([{"product_id": 100, "date": "not a date"}], "product '100', date 'not a date'"),
        ([{"product_id": 100, "date": "2022-02-31"}], "date '2022-02-31'"),
        ([{"product_id": 100, "date": None}], "date ''"),
        ([{"product_id": 99, "date": "2022-02-01"}], "product '99'"),
        ([{"product_id": None, "date": "2022-02-01"}], "product ''"),
        ([{"product_id": 100, "date": True}], "has the type Boolean"),
        ([{"product_id": 100, "date": 20220301}], "has the type Int64"),
        ([{"product_id": [100], "date": "2022-02-01"}], "has the type List"),
    ],
)
@pytest.mark.parametrize("kind", ["frame", "file"])
def test_days_that_cannot_be_used_are_refused_and_leave_the_table_before(
    store: Store, tmp_path: Path, days: list[dict[str, Any]], because: str, kind: str
) -> None:
    run = save(store)
    store.derived.make(run, "trends")
    before = store.derived.get(run, "trends")
    source: Any = days
    if kind == "file":
        source = tmp_path / "days.parquet"
        pl.DataFrame(days).write_parquet(source)
    with pytest.raises(InputError, match=because.replace("[", r"\[")):
        store.derived.make(run, "trends", out_of_stock=source)
    assert store.derived.get(run, "trends") == before


def test_both_tables_are_replaced_or_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = save(store)
    store.derived.make(run, "trends")
    before = store.derived.all(run)
    publish, count = store.runs._results.publish, []

    def failing(write: Any) -> Any:
        count.append(write)
        if len(count) == 2:
            raise OutputError("The disk is full.")
        return publish(write)

    monkeypatch.setattr(store.derived._results, "publish", failing)
    with pytest.raises(OutputError):
        store.derived.make(run, "trends", out_of_stock=[{"product_id": 100, "date": "2022-02-01"}])
    assert store.derived.all(run) == before


@pytest.mark.parametrize("when", ["before its weeks are read", "before the tables are named"])
def test_a_run_that_is_deleted_meanwhile_is_an_error_of_ours(
    store: Store, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    run = save(store)
    weeks = store.runs.weeks(run)
    if "named" in when:
        rows = weeks.frame.to_native().collect().lazy()
        weeks = replace(weeks, frame=nw.from_native(rows))
    monkeypatch.setattr(store.runs, "weeks", lambda run: weeks)
    store.runs.delete(run.id)
    with pytest.raises(NotFoundError, match="deleted meanwhile"):
        store.derived.make(run, "trends")


def test_a_replaced_table_can_be_read_to_its_end(store: Store) -> None:
    run = save(store)
    store.derived.make(run, "trends")
    beside = store.derived.beside(run)
    before = store.derived.get(run, "trends")
    os.utime(before.path, (1, 1))
    store.derived.make(run, "trends", out_of_stock=[{"product_id": 100, "date": "2022-02-01"}])
    store.runs.sweep()
    assert beside.joined(store.runs.products(run)).collect()["trend"].null_count() == 0
    os.utime(before.path, (1, 1))
    store.runs.sweep()
    assert not before.path.exists()


def test_weeks_are_those_of_the_lines_that_were_counted(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "lines.parquet"
    pl.DataFrame(LINES).write_parquet(path)
    analysis = shelfwise.analyze(shelfwise.from_sales(path, catalog=CATALOG))
    pl.DataFrame(LINES[:50]).write_parquet(path)
    with pytest.raises(UnreadableError, match="changed while it was read"):
        store.runs.save(analysis)
    path.unlink()
    with pytest.raises(UnreadableError, match="changed while it was read"):
        store.runs.save(analysis)
    assert store.runs.newest()[0] == []


def test_a_product_that_a_table_lacks_has_nothing_there(store: Store) -> None:
    run = save(store)
    store.derived.make(run, "trends")
    rows = pl.DataFrame({"product_id": ["100", "unknown"]})
    known, unknown = store.derived.beside(run).of_rows(rows, full=True)
    assert known["trend"] == "rising"
    assert set(unknown.values()) == {None}
    assert store.derived.beside(run).of_rows(rows.clear(), full=True) == []
