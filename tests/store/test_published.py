"""Published runs: views say what the runs have, are replaced whole, and a role reads them alone."""

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import shelfwise
from kinds import shop, sold
from postgresql import Server, new_database
from shelfwise.errors import InputError, NotFoundError, StoreError
from shelfwise.settings import Settings, load_settings
from shelfwise.store import Run, Store
from shelfwise.store.reporting import PRODUCT, VIEW, VIEWS, name_of

ODD = (
    'a,"b"\\.',
    "\\.",
    "=cmd|' /C calc'!A0",
    "\u8d85\u957f" * 9,
    "\u202eabc \N{HEADPHONE}",
    "NULL",
)


def read(store: Store, view: str, order: str = "1") -> list[dict[str, Any]]:
    """The rows of a view."""
    name = name_of(view, sqlite=store.database.is_sqlite)
    with store.database.read() as connection:
        found = connection.exec_driver_sql(f"SELECT * FROM {name} ORDER BY {order}").mappings()
        return [dict(row) for row in found]


def keep(store: Store, day: int = 1, **more: Any) -> Run:
    """A run of a shop; later days sell in another order."""
    rows = [
        row | {"units_sold": (row["product_id"] * 7 * day) % 50} | more
        for row in shop(20)
    ]  # fmt: skip
    return store.runs.save(shelfwise.analyze(rows), as_of=dt.date(2026, 1, day), label=f"Day {day}")


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, float) and isinstance(found, float | int):
        return math.isclose(found, wanted, rel_tol=1e-15)
    if isinstance(wanted, dt.date) and isinstance(found, str):
        return found == wanted.isoformat()
    return bool(found == wanted)


def test_the_views_have_every_product_as_the_run_has_it(store: Store) -> None:
    rows = [
        row | {"name": ODD[n % len(ODD)], "supplier": "", "unit_cost": 3.3, "discontinued": n == 2,
               "launch_date": "2026-01-01", "brand": None, "lead_time_days": 3, "currency": "EUR"}
        for n, row in enumerate(shop())
    ]  # fmt: skip
    run = store.runs.save(shelfwise.analyze(rows, group_by="category"))
    made = store.published.publish()
    assert (made.run.id, made.removed) == (run.id, ())
    products = store.runs.products(run).collect()
    found = read(store, "v1_products_latest", "rank, product_id")
    assert found == read(store, "v1_products", "rank, product_id")
    assert len(found) == 20
    wanted = sorted(products.to_dicts(), key=lambda row: (row["rank"], str(row["product_id"])))
    for got, row in zip(found, wanted, strict=True):
        for name in {field.name for field in PRODUCT} & row.keys():
            if name == "product_id":
                assert got[name] == str(row[name])
            elif name == "launch_date":
                assert same(got[name], dt.date(2026, 1, 1))
            else:
                assert same(got[name], row[name]), name
        assert same(got["gross_margin"], row["revenue"] - 3.3 * row["units_sold"])
        assert same(got["stock_at_cost"], row["stock"] * 3.3)
        assert got["score_from"] == min(90, int(row["performance_score"] // 10) * 10)
        assert got["brand"] is got["trend"] is got["action"] is None
    (about,) = read(store, "v1_runs")
    assert (about["run_id"], about["products"], about["currency"]) == (run.id, 20, "EUR")
    assert bool(about["is_latest"])
    assert about["previous_run_id"] is None
    assert same(about["revenue"], products["revenue"].sum())
    assert (about["high"], about["medium"], about["low"]) == (4, 12, 4)


def test_what_was_made_of_a_run_and_what_people_set_goes_with_it(store: Store) -> None:
    lines, catalog = sold()
    stock = [row | {"stock": 5, "lead_time_days": 14, "unit_cost": 4.0} for row in catalog]
    run = store.runs.save(
        shelfwise.analyze(shelfwise.from_sales(lines, catalog=stock, stock=stock))
    )
    store.published.publish()
    assert {row["trend"] for row in read(store, "v1_products")} == {None}
    store.derived.make(run, "trends")
    store.derived.make(run, "inventory")
    product = store.runs.products(run).collect()["product_id"][0]
    store.overrides.set(product, "Low", "It leaves.", run_id=run.id)
    store.published.publish()
    joined = store.derived.beside(run).joined(store.runs.products(run)).collect()
    rows = {row["product_id"]: row for row in joined.to_dicts()}
    found = read(store, "v1_products")
    assert len(found) == len(rows) == 12
    for got in found:
        for name in ("trend", "growth", "action", "action_amount", "action_date", "action_money"):
            assert same(got[name], rows[got["product_id"]][name]), name
    assert [row["product_id"] for row in found if row["tier_override"]] == [str(product)]


def test_publishing_again_puts_the_same_rows_in_their_place(store: Store) -> None:
    run = keep(store)
    views = [view.name for view in VIEWS]
    store.published.publish(run.id)
    before = {name: read(store, name) for name in views}
    store.published.publish(run.id)
    after = {name: read(store, name) for name in views}
    first, again = before["v1_runs"][0].pop("published_at"), after["v1_runs"][0].pop("published_at")
    assert first < again
    assert sorted(map(str, before["v1_products"])) == sorted(map(str, after["v1_products"]))
    assert before["v1_runs"] == after["v1_runs"]
    assert store.published.all() == [run.id]


def test_only_so_many_runs_stay_and_the_newest_by_its_day_is_the_latest(store: Store) -> None:
    newest, oldest, middle = (keep(store, day) for day in (5, 1, 3))
    for run in (oldest, newest, middle):
        store.published.publish(run.id)
    assert store.published.all() == [newest.id, middle.id, oldest.id]
    assert {row["run_id"] for row in read(store, "v1_products_latest")} == {newest.id}
    chain = {row["run_id"]: row["previous_run_id"] for row in read(store, "v1_runs")}
    assert chain == {oldest.id: None, middle.id: oldest.id, newest.id: middle.id}
    made = store.published.publish(middle.id, keep=2)
    assert made.removed == (oldest.id,)
    assert {row["run_id"] for row in read(store, "v1_products")} == {newest.id, middle.id}
    with pytest.raises(InputError, match="is older than the 2 that stay published"):
        store.published.publish(oldest.id, keep=2)
    assert store.published.all() == [newest.id, middle.id]
    store.published.withdraw(newest.id)
    assert {row["run_id"] for row in read(store, "v1_products_latest")} == {middle.id}
    with pytest.raises(NotFoundError, match="No run"):
        store.published.withdraw(newest.id)
    with pytest.raises(NotFoundError, match="There is no run"):
        store.published.publish("nobody")


def test_tier_changes_are_those_between_runs_that_follow_each_other(store: Store) -> None:
    days = [keep(store, day) for day in (1, 2, 3)]
    for run in days:
        store.published.publish(run.id)
    tiers = [dict(store.runs.products(run).select("product_id", "performance_tier").collect()
                  .iter_rows()) for run in days]  # fmt: skip
    order = ["Low", "Medium", "High"]
    wanted = {
        (days[n].id, str(product), before[product], tier,
         "up" if order.index(tier) > order.index(before[product]) else "down")
        for n, before in enumerate(tiers[:2], 1)
        for product, tier in tiers[n].items() if tier != before[product]
    }  # fmt: skip
    found = read(store, "v1_tier_changes")
    assert {(r["run_id"], r["product_id"], r["previous_tier"], r["tier"], r["moved"])
            for r in found} == wanted  # fmt: skip
    assert len(found) == len(wanted) > 4
    for row in found:
        assert bool(row["is_latest"]) == (row["run_id"] == days[2].id)
    # A run that is scored in another way has no tiers to compare with.
    rows = [row | {"units_sold": 50 - row["product_id"]} for row in shop(20)]
    other = store.runs.save(shelfwise.analyze(rows, profile="robust"), as_of=dt.date(2026, 1, 9))
    store.published.publish(other.id)
    assert {row["run_id"] for row in read(store, "v1_tier_changes")} == {r[0] for r in wanted}


def test_products_of_several_places_are_compared_place_by_place(store: Store) -> None:
    for day in (1, 2):
        rows = [
            row | {"location": place, "units_sold": (row["product_id"] * 7 * day + 3 * n) % 50}
            for n, place in enumerate(("Rome", "Oslo"))
            for row in shop(10)
        ]  # fmt: skip
        store.runs.save(shelfwise.analyze(rows), as_of=dt.date(2026, 1, day))
        store.published.publish()
    later, earlier = store.runs.newest()[0]
    tiers = [
        {(row["product_id"], row["location"]): row["performance_tier"]
         for row in store.runs.products(run).collect().to_dicts()}
        for run in (earlier, later)
    ]  # fmt: skip
    wanted = {(str(p), place) for p, place in tiers[1] if tiers[0][p, place] != tiers[1][p, place]}
    found = read(store, "v1_tier_changes")
    assert len(found) == len(wanted) > 0
    assert {(row["product_id"], row["location"]) for row in found} == wanted


@pytest.mark.parametrize(("view", "column"), [("v1_categories", "category"),
                                              ("v1_suppliers", "supplier")])  # fmt: skip
def test_groups_add_up_and_are_empty_where_there_are_none(
    store: Store, view: str, column: str
) -> None:
    bare = [{name: row[name] for name in row if name != "category"} for row in shop()]
    store.runs.save(shelfwise.analyze(bare), as_of=dt.date(2026, 1, 1))
    store.published.publish()
    assert read(store, view) == []
    rows = [
        row | {column: None if n % 4 == 0 else f"G{n % 3}", "unit_cost": None if n == 1 else 2.0}
        for n, row in enumerate(bare)
    ]  # fmt: skip
    run = store.runs.save(shelfwise.analyze(rows), as_of=dt.date(2026, 1, 2))
    store.published.publish()
    products = store.runs.products(run).collect()
    found = {row[column]: row for row in read(store, view)}
    assert found.keys() == {None, "G0", "G1", "G2"}
    assert sum(row["products"] for row in found.values()) == 20
    assert math.isclose(sum(row["revenue_share"] for row in found.values()), 1)
    for group, row in found.items():
        mine = products.filter(pl.col(column).eq_missing(pl.lit(group)))
        assert row["products"] == mine.height
        assert same(row["revenue"], mine["revenue"].sum())
        assert same(row["avg_score"], mine["performance_score"].mean())
        assert row["high"] == (mine["performance_tier"] == "High").sum()
        costs = mine["unit_cost"]
        if costs.null_count():
            assert row["gross_margin"] is row["stock_at_cost"] is None
        else:
            assert same(row["stock_at_cost"], (mine["stock"] * costs).sum())


def test_deleting_a_run_takes_it_out_and_retention_does_not(
    settings_of: Callable[..., Settings],
) -> None:
    with Store(settings_of(keep_runs=1)) as store:
        first = keep(store, 1)
        store.published.publish()
        second = keep(store, 2)
        store.published.publish()
        assert [run.id for run in store.runs.newest()[0]] == [second.id]
        assert store.published.all() == [second.id, first.id]
        store.runs.delete(second.id)
        assert store.published.all() == [first.id]
        assert {row["run_id"] for row in read(store, "v1_products")} == {first.id}


def test_postgresql_knows_what_every_view_and_column_means(
    postgresql: Server, tmp_path: Path
) -> None:
    url = new_database(postgresql)
    with Store(load_settings({}, data_dir=tmp_path, database_url=url)) as store:
        keep(store)
        store.published.publish()
        asked = """SELECT c.relname, a.attname, col_description(c.oid, a.attnum),
            obj_description(c.oid), format_type(a.atttypid, NULL) FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relnamespace = 'reporting'::regnamespace AND a.attnum > 0"""
        with store.database.read() as connection:
            found = connection.exec_driver_sql(asked).all()
    assert {(view, name) for view, name, *_ in found} == {
        (view.name, field.name) for view in VIEWS for field in view.fields
    }
    types = {"text": {"text", "character varying"}, "number": {"double precision"},
             "whole": {"bigint", "integer"}, "boolean": {"boolean"}, "date": {"date"},
             "moment": {"timestamp with time zone"}}  # fmt: skip
    for view, name, comment, meaning, kind in found:
        field = next(one for one in VIEW[view].fields if one.name == name)
        assert (comment, meaning) == (field.comment, VIEW[view].meaning)
        assert kind in types[field.kind], (view, name)


def test_a_role_reads_the_views_and_nothing_else(postgresql: Server, tmp_path: Path) -> None:
    import psycopg

    url = new_database(postgresql)
    role = f"reader_{url[-6:]}"
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET log_statement = 'all'")
    with Store(load_settings({}, data_dir=tmp_path, database_url=url)) as store:
        keep(store)
        store.published.publish()
        password = store.published.let_read(role)
        assert password
        log = (postgresql.folder / "log").read_text()
        assert f'CREATE ROLE "{role}"' in log
        assert password not in log
        assert store.published.let_read(role) is None
        tables = store.database._engine.dialect.get_table_names
        with store.database.read() as connection:
            names = tables(connection)
        keep(store, 2)
        store.published.publish()  # The views are not made anew, so the right stays.
        theirs = url.replace("shop:s3cret", f"{role}:{password}")
        with psycopg.connect(theirs, autocommit=True) as reader:
            for view in VIEWS:
                reader.execute(f"SELECT * FROM reporting.{view.name}").fetchall()
            assert reader.execute("SELECT count(*) FROM reporting.v1_runs").fetchone() == (2,)
            assert {"api_keys", "models", "runs", "published_products"} <= set(names)
            for name in names:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(f"SELECT * FROM {name}")
            reader.execute("SET default_transaction_read_only = off")
            for tried in (
                "DELETE FROM published_products", "DROP VIEW reporting.v1_runs",
                "CREATE TABLE reporting.mine (a int)", "CREATE TABLE public.mine (a int)",
                "CREATE ROLE mine", "UPDATE reporting.v1_runs SET label = 'x'",
                "COPY (SELECT 1) TO '/tmp/x'", "CREATE SCHEMA mine",
            ):  # fmt: skip
                with pytest.raises(psycopg.Error):
                    reader.execute(tried)
        # Who lacks the right to make them is told what to ask for.
        with Store(load_settings({}, data_dir=tmp_path, database_url=url)) as store:
            for name in ("shop", "No Role", "pg_monitor", "x" * 64, ""):
                with pytest.raises(InputError, match="role"):
                    store.published.let_read(name)


def test_the_jobs_of_a_worker_stay_unread(postgresql: Server, tmp_path: Path) -> None:
    import psycopg

    from shelfwise.jobs.queue import Jobs

    url = new_database(postgresql)
    role = f"reader_{url[-6:]}"
    with Store(load_settings({}, data_dir=tmp_path, database_url=url)) as store:
        Jobs(store).close()
        keep(store)
        store.published.publish()
        password = store.published.let_read(role)
    theirs = url.replace("shop:s3cret", f"{role}:{password}")
    with psycopg.connect(theirs, autocommit=True) as reader:
        asked = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT LIKE 'pg_%' " \
            "AND schemaname <> 'information_schema'"  # fmt: skip
        tables = reader.execute(asked).fetchall()
        assert {"public", "dbos"} <= {schema for schema, _ in tables}
        for schema, table in tables:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f'SELECT * FROM "{schema}"."{table}"')


def test_a_user_without_the_right_is_told_what_is_missing(
    postgresql: Server, tmp_path: Path
) -> None:
    import psycopg

    url = new_database(postgresql)
    user = f"plain_{url[-6:]}"
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {user} LOGIN PASSWORD 's3cret'")
        owner.execute(f"GRANT CREATE ON SCHEMA public TO {user}")
    theirs = url.replace("//shop:", f"//{user}:")
    with Store(load_settings({}, data_dir=tmp_path, database_url=theirs)) as store:
        keep(store)
        with pytest.raises(StoreError, match="CREATE SCHEMA reporting AUTHORIZATION"):
            store.published.publish()
        assert store.published.all() == []
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute(f"CREATE SCHEMA reporting AUTHORIZATION {user}")
        store.published.publish()
        assert len(read(store, "v1_products")) == 20
        with pytest.raises(StoreError, match="CREATEROLE"):
            store.published.let_read("somebody")


def test_sqlite_has_no_roles(tmp_path: Path) -> None:
    with (
        Store(load_settings({}, data_dir=tmp_path)) as store,
        pytest.raises(InputError, match="SQLite has no roles"),
    ):
        store.published.let_read("reader")
