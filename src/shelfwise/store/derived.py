"""Tables derived from a run: trends, forecasts, elasticities, and decisions.

A run of order lines keeps its weekly sums, so these can be made of it when somebody asks;
decisions are made of any run. Each is a Parquet file named by its hash, as the results are.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import polars as pl
import polars.selectors as cs
import sqlalchemy as sa

from shelfwise.errors import InputError, MissingExtraError, NotFoundError, StoreError
from shelfwise.insights.decisions import must_be_scored
from shelfwise.insights.evidence import Evidence, days_of, identified
from shelfwise.insights.sections import QUESTIONS
from shelfwise.sales.forecasting import HORIZON
from shelfwise.sales.weeks import Weekly, weekly
from shelfwise.store.database import Database, now
from shelfwise.store.results import Results
from shelfwise.store.run import Run
from shelfwise.store.runs import LATEST, WEEKS, Runs
from shelfwise.store.schema import derived_tables, runs

Kind = Literal[
    "trends", "forecast", "elasticity", "inventory", "orders", "portfolio", "delisting",
    "marketing", "campaign", "suppliers", "confidence", "changes",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
Name = Literal[
    "trends", "category_trends", "forecast", "elasticity",
    "inventory", "orders", "portfolio", "delisting", "marketing", "campaign", "suppliers",
    "confidence", "changes",
]  # fmt: skip
NAMES: tuple[Name, ...] = get_args(Name)
DIGITS = 6
EARLIER, EARLIER_SEEN = 2, 50
"""How many runs of the same source before a comparison are used, and looked for among."""
ROW_GROUP = 16_384
BENEATH: dict[Kind, Kind] = {"orders": "inventory", "delisting": "portfolio"}
"""Orders are those of the inventory that people have seen, and proposals those of the portfolio."""

JOINED: dict[Kind, dict[str, str]] = {
    "trends": {
        **{name: name for name in ("trend", "growth", "growth_low", "growth_high", "p_value",
                                   "q_value", "shift")},
        "reason": "trend_reason",
    },
    "forecast": {
        "horizon": "forecast_weeks",
        **{name: f"forecast_{name}" for name in ("expected", "q5", "q50", "q95", "reason")},
    },
    "elasticity": {
        "elasticity": "elasticity",
        **{name: f"elasticity_{name}" for name in ("low", "high", "reason", "warning")},
    },
    "inventory": {
        "action": "action",
        **{name: f"action_{name}" for name in ("amount", "date", "money", "reason")},
    },
}  # fmt: skip
"""Which columns of a table join the products of its run, and what they are called there."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A table of a run: when it was made, with which options, and its file."""

    name: str
    created_at: dt.datetime
    about: Mapping[str, Any]
    sha256: str
    path: Path

    def scan(self) -> pl.LazyFrame:
        """The rows, read as far as they are asked for."""
        return pl.scan_parquet(self.path)

    def to_dict(self) -> dict[str, Any]:
        """The table as the API shows it."""
        made = self.created_at.isoformat(timespec="milliseconds")
        return {"name": self.name, "created_at": made, "about": dict(self.about)}


class DerivedTables:
    """The tables derived from the runs of a store."""

    def __init__(self, database: Database, results: Results, runs: Runs) -> None:
        self._database = database
        self._results = results
        self._runs = runs

    def all(self, run: str | Run = LATEST) -> list[Derived]:
        """What was made of a run, by name."""
        run_id = (self._runs.get(run) if isinstance(run, str) else run).id
        made = (derived_tables.c.run_id == run_id) & (derived_tables.c.name != WEEKS)
        wanted = sa.select(derived_tables).where(made).order_by(derived_tables.c.name)
        with self._database.read() as connection:
            rows = connection.execute(wanted).mappings().all()
        return [
            Derived(row["name"], row["created_at"], row["about"], row["results"],
                    self._results.must_exist(row["results"]))
            for row in rows
        ]  # fmt: skip

    def get(self, run: str | Run, name: Name) -> Derived:
        """A table of a run; NotFoundError says how to make it."""
        for found in self.all(run):
            if found.name == name:
                return found
        run_id = run if isinstance(run, str) else run.id
        kind = name.removeprefix("category_")
        command = "" if kind == "elasticity" else f", or `shelfwise {kind} --run {run_id}`"
        if kind in QUESTIONS:
            command = f", or `shelfwise decide {kind} --run {run_id}`"
        raise NotFoundError(
            f"Nobody has made {name.replace('_', ' ')} of run {run_id} yet.",
            f"POST /v1/runs/{run_id}/{kind}{command}.",
        )

    def make(
        self,
        run: str | Run,
        kind: Kind,
        *,
        out_of_stock: Any = None,
        horizon: int = HORIZON,
        policy: Mapping[str, Any] | None = None,
        tables: Mapping[str, Any] | None = None,
        since: str | Run | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> list[Derived]:
        """Make trends, a forecast, elasticities or decisions of a run, instead of those before.

        Args:
            run: A run; for all but decisions one that was made of order lines.
            kind: What to make. Trends are also made by category, where there are any.
            out_of_stock: Days on which products could not be bought; see `weekly`.
            horizon: Weeks of a forecast.
            policy: The settings of decisions, as plain values.
            tables: What decisions take beside the products, such as receipts.
            since: For changes, the run that this one is compared with.
            progress: Called now and then with the share of a forecast that is done.

        Raises:
            InputError: The run has no weeks, or the options do not fit.
            NotFoundError: There is no such run, or it was deleted meanwhile.
            MissingExtraError: A forecast needs statsforecast.
        """
        run = self._runs.get(run) if isinstance(run, str) else run
        if kind in QUESTIONS:
            return self._decide(run, kind, policy, tables or {}, since, progress)
        weeks = weekly(self._runs.weeks(run), out_of_stock=out_of_stock)
        about = {"weeks_out_of_stock": 0 if weeks.masked is None else weeks.masked.height}
        if kind == "forecast":
            about["horizon"] = horizon
        try:
            made = _made(kind, weeks, horizon, progress)
        except FileNotFoundError as error:
            raise _deleted(run) from error
        return self._put(run, made, about)

    def evidence(self, run: str | Run = LATEST) -> Evidence:
        """What decisions about a run rest on: its products, its weeks, what was made of them."""
        run = self._runs.get(run) if isinstance(run, str) else run
        products = identified(self._runs.products(run).collect())
        return Evidence(
            products,
            run.as_of,
            days_of(products),
            self._runs.weeks(run) if self._runs.has_weeks(run) else None,
            {table.name: table.scan().collect() for table in self.all(run) if table.name in KINDS},
            run.model,
        )

    def _decide(
        self,
        run: Run,
        kind: Kind,
        policy: Mapping[str, Any] | None,
        tables: Mapping[str, Any],
        since: str | Run | None,
        progress: Callable[[float], None] | None,
    ) -> list[Derived]:
        question = QUESTIONS[kind]
        policy = dict(policy or {})
        beneath = BENEATH.get(kind)
        if beneath and policy.get(beneath) is None:
            kept = next((one for one in self.all(run) if one.name == beneath), None)
            policy |= {} if kept is None else {beneath: kept.about.get("policy", {})}
        self.must_fit(run, kind, policy)  # What is wrong is said before anything is made.
        if self._runs.has_weeks(run):
            there = {table.name for table in self.all(run)}
            for name in question.uses:
                if name not in there:
                    with suppress(MissingExtraError):  # The section says what it lacks then.
                        self.make(run, name, progress=progress)  # type: ignore[arg-type]
        compared = self._before(run, since) if question.compares else []
        before = [self.evidence(one) for one in compared]
        section = question.answer(self.evidence(run), policy, since=before, **tables)
        about = section.to_dict() | {"policy": policy, "given": sorted(tables)}
        del about["rows"]
        if compared:
            about["since"] = compared[-1].id
        about = msgspec.json.decode(msgspec.json.encode(about))  # With dates as text.
        return self._put(run, {kind: section.rows}, about)

    def must_fit(self, run: Run, kind: str, policy: Mapping[str, Any]) -> None:
        """InputError for a setting that is wrong, NotFoundError for a product the run lacks."""
        settings = QUESTIONS[kind].settings(policy)
        wanted: tuple[str, ...] | None = getattr(settings, "products", None)
        if wanted is not None:
            ids = self._runs.products(run).select(pl.col("product_id").cast(pl.String))
            must_be_scored(wanted, ids.collect()["product_id"])

    def _before(self, run: Run, since: str | Run | None) -> list[Run]:
        """The run that one is compared with, last, and the two before it of the same source."""
        if since is None:
            raise InputError("Nobody says since when.", "Name the run to compare with: since.")
        found = self._runs.get(since) if isinstance(since, str) else since
        if found.id == run.id:
            raise InputError(f"Run {run.id} is compared with itself.", "Name another run.")
        older, _ = self._runs.newest(EARLIER_SEEN, after=found.id)
        same = [one for one in older if one.source == found.source and one.id != run.id]
        return [*reversed(same[:EARLIER]), found]

    def beside(self, run: str | Run = LATEST) -> "Beside":
        """What was made of a run, as it joins the products."""
        return Beside([table for table in self.all(run) if table.name in JOINED])

    def _put(
        self, run: Run, made: Mapping[Name, pl.DataFrame], about: Mapping[str, Any]
    ) -> list[Derived]:
        """Keep tables instead of those of the same names, all of them or none."""
        for _ in range(3):
            files = {name: self._results.publish(partial(_write, rows))
                     for name, rows in made.items()}  # fmt: skip
            at = now()
            with self._database.write() as connection:
                self._database.lock(connection)
                known = sa.select(runs.c.id).where(runs.c.id == run.id)
                if connection.execute(known).first() is None:
                    raise _deleted(run)
                if not all(self._results.name(connection, file) for file in files.values()):
                    continue  # The same content was swept with another run meanwhile.
                mine = derived_tables.c.run_id == run.id
                connection.execute(
                    derived_tables.delete().where(mine, derived_tables.c.name.in_(files))
                )
                rows = [
                    {"run_id": run.id, "name": name, "results": file.sha256, "about": about,
                     "created_at": at}
                    for name, file in files.items()
                ]  # fmt: skip
                connection.execute(derived_tables.insert(), rows)
                # Whoever reads one of those before may finish: they are swept after a day.
                self._results.rest(self._results.release(connection))
            return [Derived(name, at, about, file.sha256, self._results.path(file.sha256))
                    for name, file in files.items()]  # fmt: skip
        raise StoreError("The tables were removed while they were saved.", "Try again.")


def _deleted(run: Run) -> NotFoundError:
    return NotFoundError(f"Run {run.id} was deleted meanwhile.")


def _write(rows: pl.DataFrame, path: Path) -> int:
    rows.write_parquet(path, compression="zstd", row_group_size=ROW_GROUP)
    return rows.height


class Beside:
    """What was made of a run, as it joins the products; `JOINED` says what of it does."""

    def __init__(self, tables: Sequence[Derived]) -> None:
        self._tables = [(table, JOINED[table.name]) for table in tables]  # type: ignore[index]
        self.columns = [name for _, columns in self._tables for name in columns.values()]
        self.sha256 = [table.sha256 for table in tables]

    def joined(self, products: pl.LazyFrame, ids: Sequence[str] | None = None) -> pl.LazyFrame:
        """The products, in their order, with the columns; null where a table lacks a product.

        With the `ids` of all of them only the rows of these are read.
        """
        there = products.collect_schema().names()
        products = products.with_columns(pl.col("product_id").cast(pl.String).alias(_KEY))
        for table, columns in self._tables:
            rows = table.scan()
            if ids is not None:
                rows = rows.filter(pl.col("product_id").is_in(ids))
            named = [pl.col(theirs).alias(ours) for theirs, ours in columns.items()
                     if ours not in there]  # fmt: skip
            some = rows.select(pl.col("product_id").alias(_KEY), *named)
            products = products.join(some, on=_KEY, how="left", maintain_order="left")
        return products.drop(_KEY)

    def of_rows(self, rows: pl.DataFrame, *, full: bool) -> list[dict[str, Any]]:
        """The columns of some products; shares with 6 digits that count, unless `full`."""
        if not self.columns:
            return [{}] * rows.height
        ids = rows["product_id"].cast(pl.String).to_list()
        found = self.joined(rows.lazy().select("product_id"), ids).select(self.columns).collect()
        if not full:
            units = cs.starts_with("forecast_") & cs.float()
            found = found.with_columns((cs.float() - units).round_sig_figs(DIGITS), units.round(2))
        return found.to_dicts()


_KEY = "_product_id"


def _made(
    kind: Kind, weeks: Weekly, horizon: int, progress: Callable[[float], None] | None
) -> dict[Name, pl.DataFrame]:
    from shelfwise.sales import elasticity, forecast, trends  # They load SciPy.

    if kind == "trends":
        found: dict[Name, pl.DataFrame] = {"trends": trends(weeks)}
        if weeks.products["category"].null_count() < weeks.products.height:
            found["category_trends"] = trends(weeks, by="category")
        return found
    if kind == "forecast":
        return {"forecast": forecast(weeks, horizon, progress=progress)}
    return {"elasticity": elasticity(weeks)}
