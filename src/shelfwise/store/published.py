"""Runs published for other tools: their products copied into tables, read by views.

A run is published in one transaction: it is there whole or not at all, and who reads
meanwhile sees what was there before. Publishing it again puts its rows in their place.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl
import sqlalchemy as sa

from shelfwise.cells import FALSE, TRUE
from shelfwise.errors import InputError, NotFoundError, StoreError, excerpt
from shelfwise.store.database import Database, now
from shelfwise.store.derived import DerivedTables
from shelfwise.store.opinions import Overrides
from shelfwise.store.reporting import (
    PRODUCT,
    SCHEMA,
    VIEWS,
    Field,
    Kind,
    name_of,
    schema_comment,
    statements,
)
from shelfwise.store.run import Run
from shelfwise.store.runs import LATEST, Runs
from shelfwise.store.schema import published_products, published_runs

LOCK = 0x5075626C  # "Publ": whoever publishes waits for others who do, and for nobody else.
PART_ROWS = 50_000
ROLE = re.compile("[a-z_][a-z0-9_]{0,62}")
DENIED = "42501"
"""What PostgreSQL calls a lack of rights."""
_TYPES: dict[Kind, pl.DataType] = {
    "text": pl.String(), "number": pl.Float64(), "whole": pl.Int64(), "boolean": pl.Boolean(),
    "date": pl.Date(),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published, and the ids of runs that went to make room."""

    run: Run
    removed: tuple[str, ...]


class Published:
    """The published runs of a store."""

    def __init__(
        self, database: Database, runs: Runs, derived: DerivedTables, overrides: Overrides
    ) -> None:
        self._database = database
        self._runs, self._derived, self._overrides = runs, derived, overrides

    def publish(self, run_id: str = LATEST, keep: int = 0) -> Publication:
        """Copy the products of a run to where other tools read them.

        What was made of the run, and the tiers that people have set, go with them as they are
        now. With `keep` only that many runs stay published, those of the newest days.

        Raises:
            NotFoundError: There is no such run.
            InputError: It would itself be one of those that go.
            StoreError: The database does not answer, or its user lacks a right.
        """
        run = self._runs.get(run_id)
        rows = self._rows(run)
        with self._changing() as connection:
            ours = published_runs.c.run_id == run.id
            connection.execute(published_runs.delete().where(ours))
            connection.execute(published_products.delete().where(
                published_products.c.run_id == run.id))  # fmt: skip
            connection.execute(published_runs.insert().values(self._about(run, rows)))
            removed = self._beyond(connection, keep) if keep else []
            if run.id in removed:
                raise InputError(
                    f"Run {run.id} of {run.as_of} is older than the {keep} that stay published.",
                    "Keep more of them, or publish a newer run.",
                )
            self._remove(connection, removed)
            self._copy(connection, rows)
            self._make_views(connection)
        return Publication(run, tuple(removed))

    def withdraw(self, run_id: str) -> None:
        """Take a published run out of the views; NotFoundError where it is not in them."""
        with self._changing() as connection:
            if not self._remove(connection, [run_id]):
                raise NotFoundError(
                    f"No run {excerpt(run_id)} is published.",
                    "The view v1_runs has those that are.",
                )

    def all(self) -> list[str]:
        """The ids of the published runs, newest day first."""
        with self._database.read() as connection:
            return list(connection.scalars(_newest_first()))

    def let_read(self, role: str) -> str | None:
        """Let a role of PostgreSQL read the views, and nothing else.

        A role that is not there is made, and can log in: then its password is given back.

        Raises:
            InputError: The database is SQLite, or the role may do more than read.
            StoreError: The database's user may not make roles.
        """
        if self._database.is_sqlite:
            raise InputError(
                "SQLite has no roles.", "Who may read its file may read all of the store."
            )
        if not ROLE.fullmatch(role) or role.startswith("pg_"):
            raise InputError(
                f"The role {excerpt(role)} does not fit.",
                "It has small letters, digits and _, and does not begin with pg_.",
            )
        password = None
        with self._changing() as connection:
            self._make_views(connection)
            known = sa.text("SELECT rolsuper OR pg_has_role(:role, session_user, 'MEMBER') "
                            "FROM pg_roles WHERE rolname = :role")  # fmt: skip
            found = connection.execute(known, {"role": role}).first()
            if found and found[0]:
                raise InputError(
                    f"The role {role} may do more than read.", "Name another; it will be made."
                )
            if not found:
                password = secrets.token_urlsafe(24)
                driver: Any = connection.connection.driver_connection
                # As psql does it: a statement may stand in the server's log.
                kept = driver.pgconn.encrypt_password(
                    password.encode(), role.encode(), b"scram-sha-256"
                ).decode()
                connection.exec_driver_sql(f"CREATE ROLE \"{role}\" LOGIN PASSWORD '{kept}'")
                connection.exec_driver_sql(
                    f'ALTER ROLE "{role}" SET default_transaction_read_only = on'
                )
            connection.exec_driver_sql(f'GRANT USAGE ON SCHEMA {SCHEMA} TO "{role}"')
            names = ", ".join(name_of(view.name, sqlite=False) for view in VIEWS)
            connection.exec_driver_sql(f'GRANT SELECT ON {names} TO "{role}"')
        return password

    @contextmanager
    def _changing(self) -> Iterator[sa.Connection]:
        """A transaction that changes what is published; one at a time."""
        driver: Any = None
        try:
            with self._database.write() as connection:
                driver = connection.dialect.dbapi
                if not self._database.is_sqlite:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
                    # Millions of rows may take longer than a request of the API should.
                    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                yield connection
        except sa.exc.ProgrammingError as error:
            if getattr(error.orig, "sqlstate", "") != DENIED:
                raise
            raise StoreError(
                f"The database {self._database} does not allow it: "
                f"{str(error.orig).splitlines()[0]}.",
                f"As its owner: CREATE SCHEMA {SCHEMA} AUTHORIZATION user; to make roles the user "
                "needs CREATEROLE.",
            ) from error
        except Exception as error:
            # Rows go by the driver itself, whose errors SQLAlchemy does not see.
            if driver is None or not isinstance(error, driver.Error):
                raise
            raise self._database.complaint(error) from error

    def _rows(self, run: Run) -> pl.LazyFrame:
        """The products with every column of PRODUCT; null where the run lacks it."""
        products = self._overrides.marked(self._runs.products(run), run.as_of)
        products = self._derived.beside(run).joined(products)
        there = products.collect_schema()
        if "gross_margin" not in there and {"unit_cost", "units_sold"} <= set(there):
            margin = pl.col("revenue") - pl.col("unit_cost") * pl.col("units_sold")
            products = products.with_columns(gross_margin=margin)
            there = products.collect_schema()
        columns = [_column(field, there.get(field.name)) for field in PRODUCT]
        numbered = products.select(columns).with_row_index("place")
        return numbered.select(pl.lit(run.id).alias("run_id"), pl.all())

    def _about(self, run: Run, rows: pl.LazyFrame) -> dict[str, Any]:
        currencies = rows.select(pl.col("currency").drop_nulls().head(1)).collect()
        return {
            "run_id": run.id,
            "as_of": run.as_of,
            "saved_at": run.created_at,
            "published_at": now(),
            "label": run.label,
            "source": run.source,
            "profile": run.profile,
            "tiering": run.tiering,
            "currency": currencies.item() if currencies.height else None,
            "products": run.products,
            "revenue": run.summary["total_revenue"],
            "avg_score": run.summary["avg_score"],
            **{tier.lower(): count for tier, count in run.summary["tiers"].items()},
        }

    def _beyond(self, connection: sa.Connection, keep: int) -> list[str]:
        return list(connection.scalars(_newest_first().offset(keep)))

    def _remove(self, connection: sa.Connection, ids: Sequence[str]) -> int:
        gone = connection.execute(published_runs.delete().where(published_runs.c.run_id.in_(ids)))
        connection.execute(
            published_products.delete().where(published_products.c.run_id.in_(ids))
        )  # fmt: skip
        return gone.rowcount

    def _copy(self, connection: sa.Connection, rows: pl.LazyFrame) -> None:
        names = [column.name for column in published_products.columns]
        raw: Any = connection.connection.driver_connection
        if self._database.is_sqlite:
            # As SQLAlchemy would write days.
            rows = rows.with_columns(pl.col(pl.Date).cast(pl.String))
            marks = ", ".join("?" for _ in names)
            insert = f"INSERT INTO published_products ({', '.join(names)}) VALUES ({marks})"
            for part in rows.collect_batches(chunk_size=PART_ROWS, maintain_order=True):
                raw.executemany(insert, part.iter_rows())
            return
        copy = f"COPY published_products ({', '.join(names)}) FROM STDIN (FORMAT csv)"
        with raw.cursor() as cursor, cursor.copy(copy) as file:
            for part in rows.collect_batches(chunk_size=PART_ROWS, maintain_order=True):
                file.write(part.write_csv(include_header=False).encode())
        connection.exec_driver_sql("ANALYZE published_products")

    def _make_views(self, connection: sa.Connection) -> None:
        """Make the views, unless they stand as they are declared: whoever reads would wait."""
        sqlite = self._database.is_sqlite
        made = statements(sqlite=sqlite)
        if sqlite:
            known = "SELECT sql FROM sqlite_master WHERE type = 'view'"
            if {s for s in made if s.startswith("CREATE")} <= set(
                connection.exec_driver_sql(known).scalars()
            ):
                return
        else:
            there = "SELECT count(*) FROM pg_views WHERE schemaname = %s AND viewname = ANY(%s)"
            names = [view.name for view in VIEWS]
            count = connection.exec_driver_sql(there, (SCHEMA, names)).scalar_one()
            said = f"SELECT obj_description(to_regnamespace('{SCHEMA}'), 'pg_namespace')"
            comment = connection.exec_driver_sql(said).scalar_one()
            if count == len(VIEWS) and comment == schema_comment(made[:-1]):
                return
            asked = f"SELECT to_regnamespace('{SCHEMA}') IS NOT NULL"
            if not connection.exec_driver_sql(asked).scalar_one():
                connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
        for statement in made:
            connection.exec_driver_sql(statement.replace("%", "%%"))


def _newest_first() -> sa.Select[tuple[str]]:
    order = (published_runs.c.as_of.desc(), published_runs.c.run_id.desc())
    return sa.select(published_runs.c.run_id).order_by(*order)


def _column(field: Field, kind: pl.DataType | None) -> pl.Expr:
    """A column as it is published, out of one of that kind; null where there is none."""
    wanted, column = _TYPES[field.kind], pl.col(field.name)
    if kind is None:
        return pl.lit(None, wanted).alias(field.name)
    if kind == pl.String and wanted == pl.Date:
        return column.str.to_date("%Y-%m-%d", strict=False)
    if kind == pl.String and wanted == pl.Boolean:
        return (
            column.str.strip_chars()
            .str.to_lowercase()
            .replace_strict(TRUE | FALSE, default=None, return_dtype=wanted)
        )
    return column.cast(wanted, strict=False)
