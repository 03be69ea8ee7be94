"""Runs: analyses that are kept, with everything that repeats and explains them."""

import datetime as dt
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import polars as pl
import sqlalchemy as sa

from shelfwise.analysis import Analysis
from shelfwise.engines import parquet
from shelfwise.engines.failures import masked
from shelfwise.errors import (
    InputError,
    NotFoundError,
    NoWeekError,
    OutputError,
    StoreError,
    excerpt,
)
from shelfwise.sales import Sold
from shelfwise.sales.weeks import Weekly, weekly
from shelfwise.store.database import Database, new_id, now
from shelfwise.store.history import History
from shelfwise.store.query import Query, select
from shelfwise.store.results import Artifact, Results
from shelfwise.store.run import Run, run_of
from shelfwise.store.schema import derived_tables, published_products, published_runs, runs

log = logging.getLogger("shelfwise.store")
LATEST = "latest"
WEEKS = "weeks"
"""What the table of a run's weekly sums is called among those derived from it."""
MAX_LABEL, MAX_SOURCE = 200, 300


class _Weeks(NamedTuple):
    """Weekly sums that go with a run: what writes them, and what to know of them."""

    write: Callable[[Path], int]
    about: dict[str, Any]


class Runs:
    """The runs of a store, newest first."""

    def __init__(self, database: Database, results: Results, keep: int, keep_days: int) -> None:
        self._database = database
        self._results = results
        self._keep, self._keep_days = keep, keep_days
        self.history = History(database, results)

    def save(
        self,
        analysis: Analysis,
        *,
        source: str = "",
        label: str | None = None,
        as_of: dt.date | None = None,
        origin: str = "library",
        run_id: str | None = None,
    ) -> Run:
        """Keep an analysis: results as Parquet, all else in the database.

        Args:
            analysis: What `analyze` gave.
            source: Where the products came from; passwords in it are masked.
            label: A name for people, up to 200 characters.
            as_of: The day that it speaks of; else the last day of the order lines, or today.
            origin: Which door it came through: library, command line, api or schedule.
            run_id: The id it gets. A run that has it already is given back as it is, so that
                a job that is repeated saves once.

        Raises:
            InputError: The label is too long or has control characters.
            OutputError: The results cannot be written.
            StoreError: The database does not answer.
        """
        _plain_text("label", label or "", MAX_LABEL)
        if run_id and (found := self._find(run_id)):
            return found
        day = as_of or _last_day(analysis) or now().date()
        weeks = _weeks_of(analysis.source.sold)
        written = self._publish(analysis, weeks)
        values = {
            "id": run_id or new_id(),
            "created_at": now(),
            "as_of": day,
            "label": label,
            "source": masked(source)[:MAX_SOURCE],
            "origin": origin,
            "pinned": False,
            "profile": analysis.profile.name,
            "tiering": analysis.model.tiering,
            "group_by": analysis.group_by,
            "fitted": analysis.fitted,
            "parameters": analysis.model.parameters,
            "parameters_sha256": analysis.model.parameters_sha256,
            "products": analysis.table.height,
            "summary": analysis.summary,
            "warnings": [notice.to_dict() for notice in analysis.warnings],
            "quality": _plain(analysis.quality.to_dict()) if analysis.quality else None,
            **{name: file.sha256 for name, file in written.items() if name != WEEKS},
        }
        for _ in range(3):
            with self._database.write() as connection:
                self._database.lock(connection)
                taken = sa.select(runs.c.id).where(runs.c.id == values["id"])
                if connection.execute(taken).first():
                    break  # Another process has saved it meanwhile.
                if all(self._results.name(connection, file) for file in written.values()):
                    connection.execute(runs.insert().values(values))
                    if weeks:
                        row = {"run_id": values["id"], "name": WEEKS, "about": weeks.about,
                               "results": written[WEEKS].sha256, "created_at": now()}  # fmt: skip
                        connection.execute(derived_tables.insert().values(row))
                    break
            # The same content was deleted with another run meanwhile: it is written again.
            written = self._publish(analysis, weeks)
        else:
            raise StoreError("The results were removed while they were saved.", "Try again.")
        kept = self.get(str(values["id"]))
        self.history.add(kept.id, self._results.must_exist(kept.results))
        try:
            self.retain()
        except (OutputError, StoreError, OSError) as error:
            log.warning("runs beyond their time were not deleted: %s", error)
        return kept

    def get(self, run_id: str = LATEST) -> Run:
        """A run by its id, or the latest; NotFoundError where there is none."""
        found = self._find(run_id)
        if found is None:
            raise NotFoundError(
                f"There is no run {excerpt(run_id)}."
                if run_id != LATEST
                else "No run is kept yet.",
                "`shelfwise runs list` shows those that are kept.",
            )
        return found

    def newest(self, limit: int = 50, after: str | None = None) -> tuple[list[Run], str | None]:
        """Runs, newest first, and what to pass as `after` for the next ones (None: no more)."""
        wanted = sa.select(runs).order_by(runs.c.id.desc()).limit(limit + 1)
        if after:
            wanted = wanted.where(runs.c.id < after)
        with self._database.read() as connection:
            found = [run_of(row) for row in connection.execute(wanted).mappings()]
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    def alike(self, run: Run) -> set[str]:
        """The ids of runs of the same profile and tiering, up to this one by their days."""
        same = (runs.c.profile == run.profile) & (runs.c.tiering == run.tiering)
        earlier = (runs.c.as_of < run.as_of) | (
            (runs.c.as_of == run.as_of) & (runs.c.id <= run.id)
        )  # fmt: skip
        with self._database.read() as connection:
            return set(connection.scalars(sa.select(runs.c.id).where(same & earlier)))

    def beginning_with(self, start: str) -> list[str]:
        """The ids of up to ten runs that begin like this."""
        wanted = sa.select(runs.c.id).where(runs.c.id.startswith(start, autoescape=True))
        with self._database.read() as connection:
            return list(connection.scalars(wanted.order_by(runs.c.id).limit(10)))

    def pin(self, run_id: str, pinned: bool = True) -> Run:
        """Keep a run from retention and deletion, or let it go again."""
        run = self.get(run_id)
        with self._database.write() as connection:
            connection.execute(runs.update().where(runs.c.id == run.id).values(pinned=pinned))
        return self.get(run.id)

    def delete(self, run_id: str) -> None:
        """Delete a run, its results where no other run has the same ones, and what is published.

        What `retain` deletes stays published: `publish` says itself how many runs it keeps.
        """
        run = self.get(run_id)
        if run.pinned:
            raise InputError(f"Run {run.id} is pinned.", "Unpin it first.")
        if not self._delete([run.id], published=True):
            raise InputError(f"Run {run.id} is pinned.", "Unpin it first.")

    def retain(self) -> int:
        """Delete what the settings do not keep: runs beyond the last N, older than D days.

        Pinned runs and the newest stay. Returns how many were deleted.
        """
        if not (self._keep or self._keep_days):
            return 0
        ids = sa.select(runs.c.id, runs.c.created_at, runs.c.pinned).order_by(runs.c.id.desc())
        with self._database.read() as connection:
            rows = connection.execute(ids).all()
        oldest = now() - dt.timedelta(days=self._keep_days)
        gone = [
            run_id
            for place, (run_id, created_at, pinned) in enumerate(rows)
            if place
            and not pinned
            and ((self._keep and place >= self._keep) or (self._keep_days and created_at < oldest))
        ]
        return self._delete(gone) if gone else 0

    def products(self, run: str | Run = LATEST) -> pl.LazyFrame:
        """The scored products by rank, read from their file as far as they are asked for."""
        return parquet.scan(self.products_file(run))

    def products_file(self, run: str | Run = LATEST) -> Path:
        """The Parquet file with the scored products, by rank."""
        return self._results.must_exist((self.get(run) if isinstance(run, str) else run).results)

    def has_product(self, run: Run, product_id: str, location: str | None = None) -> bool:
        """Whether a run has a product, at a location if one is given."""
        products = self.products(run)
        equal = {"product_id": product_id} | ({} if location is None else {"location": location})
        if not equal.keys() <= set(products.collect_schema()):
            return False
        found = select(products, Query(equal)).select(pl.len()).collect()
        return bool(found.item())

    def rejected(self, run_id: str = LATEST) -> pl.DataFrame:
        """The rows that were not scored: row, column, value, reason."""
        name = self.get(run_id).rejected
        if name is None:
            return pl.DataFrame(schema=_REJECTED)
        return pl.read_parquet(self._results.must_exist(name))

    def has_weeks(self, run: Run) -> bool:
        """Whether a run was made of order lines, and keeps their weekly sums."""
        return self._weeks_row(run) is not None

    def must_have_weeks(self, run: Run) -> Mapping[Any, Any]:
        """What the database knows of a run's weekly sums; InputError where it has none."""
        row = self._weeks_row(run)
        if row is None:
            raise InputError(
                f"Run {run.id} has no weeks: it was not made of order lines by product, or they "
                "cover no whole week.",
                "Analyze order lines and keep that run: `sales` in POST /v1/runs, or "
                "`shelfwise analyze --sales FILE --save`.",
            )
        return row

    def _weeks_row(self, run: Run) -> Mapping[Any, Any] | None:
        place = (derived_tables.c.run_id == run.id) & (derived_tables.c.name == WEEKS)
        with self._database.read() as connection:
            return connection.execute(sa.select(derived_tables).where(place)).mappings().first()

    def weeks(self, run: str | Run = LATEST) -> Weekly:
        """The weekly sums of a run that was made of order lines.

        Raises InputError where it was not, or the lines cover no whole week.
        """
        run = self.get(run) if isinstance(run, str) else run
        row = self.must_have_weeks(run)
        products = self.products(run)
        texts = ["product_id", "name"]
        known = products.select(pl.col(texts).cast(pl.String), _category(products))
        return Weekly(
            nw.from_native(parquet.scan(self._results.must_exist(row["results"]))),
            dt.date.fromisoformat(row["about"]["first"]),
            int(row["about"]["weeks"]),
            known.sort("product_id").collect(),
        )

    def sweep(self) -> int:
        """Remove files that no run names and that are older than a day; how many."""
        return self._results.sweep(self._database)

    def _publish(self, analysis: Analysis, weeks: _Weeks | None) -> dict[str, Artifact]:
        """The files of a run, by what they hold."""
        height = analysis.table.height

        def products(path: Path) -> int:
            parquet.write_ranked(analysis.products, path, height)
            return height

        def rejected(path: Path) -> int:
            analysis.rejected.write_parquet(path, compression="zstd")
            return len(analysis.rejected)

        writers: dict[str, Callable[[Path], int]] = {"results": products}
        if len(analysis.rejected):
            writers["rejected"] = rejected
        if weeks:
            writers[WEEKS] = weeks.write
        return {name: self._results.publish(writer) for name, writer in writers.items()}

    def _find(self, run_id: str) -> Run | None:
        wanted = sa.select(runs).where(runs.c.id == run_id)
        if run_id == LATEST:
            wanted = sa.select(runs).order_by(runs.c.id.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(wanted).mappings().first()
        return run_of(row) if row else None

    def _delete(self, ids: list[str], *, published: bool = False) -> int:
        """Rows first, then files: a crash between leaves files that nobody names.

        Runs that are pinned stay; how many were deleted.
        """
        with self._database.write() as connection:
            self._database.lock(connection)
            loose = runs.c.id.in_(ids) & runs.c.pinned.is_(False)
            deleted = connection.execute(runs.delete().where(loose)).rowcount
            if deleted and published:
                for table in (published_runs, published_products):
                    connection.execute(table.delete().where(table.c.run_id.in_(ids)))
            gone = self._results.release(connection)
        self._results.sweep(self._database, gone)
        return deleted


_REJECTED = {"row": pl.Int64, "column": pl.String, "value": pl.String, "reason": pl.String}


def _category(products: pl.LazyFrame) -> pl.Expr:
    known = "category" in products.collect_schema()
    category = pl.col("category") if known else pl.lit(None)
    return category.cast(pl.String).alias("category")


def _weeks_of(sold: Sold | None) -> _Weeks | None:
    """The weekly sums of order lines.

    None where they were added up to something else than products, or cover no whole week.
    """
    if sold is None or sold.by != "product_id":
        return None
    try:
        sums = weekly(sold)
    except NoWeekError:
        return None
    if not parquet.can_keep(sums.frame):
        log.warning("the weeks stay on Spark: they are too many to keep in a file")
        return None
    about = {"first": sums.first.isoformat(), "weeks": sums.weeks}
    return _Weeks(lambda path: parquet.write_weeks(sums.frame, path), about)


def _last_day(analysis: Analysis) -> dt.date | None:
    sold = analysis.source.sold
    return sold.period[1] if sold else None


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _plain_text(what: str, text: str, limit: int) -> None:
    if len(text) > limit or any(ord(letter) < 32 for letter in text):
        raise InputError(
            f"The {what} {excerpt(text)} does not fit.",
            f"It has at most {limit} characters, and no control characters.",
        )
