"""What people say about products: the tier that one shall count as, and answers to proposals.

Each opinion holds from its `first_day` to its `last_day`; these are days that runs speak of.
Of several about the same the newest counts, and one about a location goes before one about
the product everywhere. Results never change: opinions are joined to them when they are read.
No row changes but that of an override that is ended, so the tables keep the past.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, TypeVar

import polars as pl
import sqlalchemy as sa

from shelfwise.cells import complaint
from shelfwise.columns import COLUMN, Column
from shelfwise.errors import InputError, NotFoundError, excerpt
from shelfwise.insights.decisions import ACTIONS, Quantity
from shelfwise.model import TIERS
from shelfwise.store.database import Database, new_id, now
from shelfwise.store.query import MARK, value_of_product
from shelfwise.store.run import Run
from shelfwise.store.runs import Runs
from shelfwise.store.schema import REASON_LETTERS, decisions, runs, tier_overrides

VERDICTS = ("accepted", "dismissed")
ANSWER = (
    Quantity("verdict", "", f"What somebody answered: {' or '.join(VERDICTS)}.", kind=pl.String),
    Quantity("verdict_reason", "", "Why they answered so.", kind=pl.String),
    Quantity(
        "verdict_amount",
        "units",
        "How many units they accepted instead of `amount`, on the day of this run.",
    ),
)
"""The columns that answers add to proposals."""
MOST_UNITS = 10**12
_LOCATION = replace(COLUMN["location"], required=True)
_REASON = Column("reason", "text", "Why.", "", required=True, max_length=REASON_LETTERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What somebody says about a product, or about it at one location; why, and for which days.

    A `location` of None is everywhere, a `last_day` of None until something newer is said.
    """

    id: str
    product_id: str
    location: str | None
    reason: str
    who: str
    created_at: dt.datetime
    first_day: dt.date
    last_day: dt.date | None

    def to_dict(self) -> dict[str, Any]:
        """The opinion as the API shows it."""
        return {field.name: _text(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Override(Opinion):
    """The tier that a product shall count as, whatever its score says."""

    tier: str
    ended_at: dt.datetime | None

    def shown(self) -> dict[str, Any]:
        """What the row of a product tells of it."""
        return {
            "tier": self.tier,
            "reason": self.reason,
            "who": self.who,
            "last_day": _text(self.last_day),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Opinion):
    """An answer to a proposal: one of ACTIONS, accepted or dismissed.

    `amount` is how many units are accepted, where it is not what was proposed.
    """

    action: str
    verdict: str
    run_id: str | None
    amount: float | None


T = TypeVar("T", bound=Opinion)


class _Opinions(Generic[T]):
    """Opinions of one kind; of those that agree in `same` and the location the newest counts."""

    def __init__(
        self,
        database: Database,
        runs: Runs,
        table: sa.Table,
        kind: type[T],
        same: tuple[str, ...],
    ) -> None:
        self._database, self._runs = database, runs
        self._table, self._kind, self._same = table, kind, same

    def get(self, opinion_id: str) -> T:
        """One of them by its id; NotFoundError where there is none."""
        with self._database.read() as connection:
            wanted = sa.select(self._table).where(self._table.c.id == opinion_id)
            row = connection.execute(wanted).mappings().first()
        if row is None:
            what = self._kind.__name__.lower()
            raise NotFoundError(f"There is no {what} {excerpt(opinion_id)}.")
        return self._kind(**row)

    def newest(
        self,
        limit: int = 50,
        after: str | None = None,
        *,
        active: bool = False,
        **equal: str | None,
    ) -> tuple[list[T], str | None]:
        """Those with these values, newest first, and what to pass as `after` for the next ones.

        `active` leaves those that count today.
        """
        wanted = sa.select(self._table).order_by(self._table.c.id.desc()).limit(limit + 1)
        if after:
            wanted = wanted.where(self._table.c.id < after)
        if active:
            wanted = wanted.where(self._counts(now().date()))
        given = [self._table.c[name] == value for name, value in equal.items() if value is not None]
        wanted = wanted.where(*given)
        with self._database.read() as connection:
            found = [self._kind(**row) for row in connection.execute(wanted).mappings()]
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    def on(self, day: dt.date, product_ids: Collection[str] | None = None) -> list[T]:
        """Those that count on a day: of all products, or of these."""
        wanted = sa.select(self._table).where(self._counts(day))
        if product_ids is not None:
            wanted = wanted.where(self._table.c.product_id.in_(product_ids))
        with self._database.read() as connection:
            return [self._kind(**row) for row in connection.execute(wanted).mappings()]

    def _counts(self, day: dt.date) -> sa.ColumnElement[bool]:
        """It holds on the day, and nothing newer about the same does."""
        newer = self._table.alias()

        def holds(table: sa.FromClause) -> sa.ColumnElement[bool]:
            return (table.c.first_day <= day) & (
                table.c.last_day.is_(None) | (table.c.last_day >= day)
            )

        same = [newer.c[name] == self._table.c[name] for name in self._same]
        same.append(newer.c.location.is_not_distinct_from(self._table.c.location))
        overruled = sa.exists().where(*same, newer.c.id > self._table.c.id, holds(newer))
        return holds(self._table) & ~overruled

    def _add(
        self,
        product_id: str | int,
        location: str | None,
        reason: str,
        run: Run | None,
        days: tuple[dt.date | None, dt.date | None],
        **values: Any,
    ) -> T:
        _must_fit(COLUMN["product_id"], product_id)
        _must_fit(_REASON, reason)
        if location is not None:
            _must_fit(_LOCATION, location)
        if run and not self._runs.has_product(run, str(product_id), location):
            there = "" if location is None else f" at {excerpt(location)}"
            raise InputError(
                f"Run {run.id} has no product {excerpt(str(product_id))}{there}.",
                "Ids are compared letter by letter.",
            )
        first_day, last_day = days
        first_day = first_day or (run.as_of if run else now().date())
        if last_day and last_day < first_day:
            raise InputError(
                f"The last day, {last_day}, is before the first, {first_day}.",
                "Give a later last day, or none.",
            )
        with self._database.write() as connection:
            self._database.lock(connection)
            newest = connection.scalar(sa.select(sa.func.max(self._table.c.id)))
            values |= {
                "id": _after(newest),
                "product_id": str(product_id),
                "location": location,
                "reason": reason,
                "created_at": now(),
                "first_day": first_day,
                "last_day": last_day,
            }
            connection.execute(self._table.insert().values(values))
        return self.get(values["id"])


class Overrides(_Opinions[Override]):
    """The tiers that people have set."""

    def __init__(self, database: Database, runs: Runs) -> None:
        super().__init__(database, runs, tier_overrides, Override, ("product_id",))

    def set(
        self,
        product_id: str | int,
        tier: str,
        reason: str,
        *,
        who: str = "library",
        location: str | None = None,
        first_day: dt.date | None = None,
        last_day: dt.date | None = None,
        run_id: str | None = None,
    ) -> Override:
        """Let a product count as a tier, on this and on later runs.

        Args:
            product_id: Which product.
            tier: High, Medium or Low.
            reason: Why, in up to 500 characters.
            who: Who says so.
            location: Where; everywhere if not given.
            first_day: The first day that it holds; else that of the run, or today.
            last_day: The last day that it holds; else it holds until it is ended.
            run_id: The run that it is about, or latest; it must have the product.

        Raises:
            InputError: A value does not fit, the days are in the wrong order, or the run
                lacks the product.
            NotFoundError: There is no such run.
        """
        _one_of("tier", tier, TIERS)
        run = self._runs.get(run_id) if run_id else None
        days = (first_day, last_day)
        return self._add(product_id, location, reason, run, days, tier=tier, who=who[:200])

    def end(self, override_id: str, run_id: str | None = None) -> Override:
        """Let an override hold no more from the day of a run on, or from today.

        It stays in the table, and on runs of earlier days. What has ended stays as it is.
        """
        day = self._runs.get(run_id).as_of if run_id else now().date()
        before = dt.date.fromordinal(max(1, day.toordinal() - 1))  # There is no day before 1.
        table = self._table.c
        holds = table.ended_at.is_(None) & (table.last_day.is_(None) | (table.last_day > before))
        ended = self._table.update().where((table.id == override_id) & holds)
        with self._database.write() as connection:
            connection.execute(ended.values(last_day=before, ended_at=now()))
        return self.get(override_id)

    def state(self) -> tuple[int, int]:
        """How many were set and how many ended: no change leaves both as they are."""
        counts = sa.select(sa.func.count(), sa.func.count(self._table.c.ended_at))
        with self._database.read() as connection:
            row = connection.execute(counts.select_from(self._table)).one()
        return row[0], row[1]

    def marked(self, products: pl.LazyFrame, day: dt.date) -> pl.LazyFrame:
        """The products with the column tier_override, null where no override counts that day."""
        table = self._table.c
        wanted = sa.select(table.product_id, table.location, table.tier).where(self._counts(day))
        with self._database.read() as connection:
            found = connection.execute(wanted).all()
        tiers = {(product_id, location): tier for product_id, location, tier in found}
        chosen = value_of_product(tiers, products.collect_schema(), pl.String)
        return products.with_columns(chosen.alias(MARK))

    def of_rows(self, rows: pl.DataFrame, day: dt.date) -> list[Override | None]:
        """For each of some products the override that counts that day, or None."""
        found = self.on(day, set(rows["product_id"].cast(pl.String)))
        places = {(one.product_id, one.location): place for place, one in enumerate(found)}
        chosen = value_of_product(places, rows.schema, pl.UInt32)
        marks = rows.with_columns(chosen.alias(MARK))[MARK]
        return [None if place is None else found[place] for place in marks]


class Decisions(_Opinions[Decision]):
    """The proposals that people have accepted or dismissed."""

    def __init__(self, database: Database, runs: Runs) -> None:
        super().__init__(database, runs, decisions, Decision, ("product_id", "action"))

    def add(
        self,
        product_id: str | int,
        action: str,
        verdict: str,
        reason: str,
        *,
        who: str = "library",
        location: str | None = None,
        last_day: dt.date | None = None,
        run_id: str | None = None,
        amount: float | None = None,
    ) -> Decision:
        """Accept or dismiss what is proposed for a product, in this and in later runs.

        Args:
            product_id: Which product.
            action: What is proposed: one of ACTIONS.
            verdict: accepted or dismissed.
            reason: Why, in up to 500 characters.
            who: Who says so.
            location: Where; everywhere if not given.
            last_day: The last day that it holds; else it holds until there is a newer one.
            run_id: The run that proposes it, or latest; it must have the product. The
                decision holds from its day on, else from today.
            amount: How many units are accepted, where it is not what is proposed. It
                counts on the day of the run alone: a later run proposes anew.

        Raises:
            InputError: A value does not fit, the days are in the wrong order, or the run
                lacks the product.
            NotFoundError: There is no such run.
        """
        _one_of("action", action, ACTIONS)
        _one_of("verdict", verdict, VERDICTS)
        if amount is not None and (verdict != "accepted" or not 0 < amount <= MOST_UNITS):
            raise InputError(
                f"The amount is {amount:g}.",
                f"It is above 0, at most {MOST_UNITS:,}, and of what is accepted.",
            )
        run = self._runs.get(run_id) if run_id else None
        # Null where the run is deleted meanwhile, as it would be afterwards.
        known = sa.select(runs.c.id).where(runs.c.id == run.id).scalar_subquery() if run else None
        return self._add(
            product_id, location, reason, run, (None, last_day),
            action=action, verdict=verdict, who=who[:200], run_id=known, amount=amount,
        )  # fmt: skip

    def state(self) -> int:
        """How many there are: no new one leaves it as it is."""
        with self._database.read() as connection:
            count = sa.select(sa.func.count()).select_from(self._table)
            return int(connection.execute(count).scalar_one())

    def answered(self, rows: pl.LazyFrame, day: dt.date) -> pl.LazyFrame:
        """Proposals (product_id, action) with the answers that count that day: ANSWER."""
        keys = ("product_id", "action")
        given = [
            (one.product_id, one.action, one.verdict, one.reason,
             one.amount if one.first_day == day else None)
            for one in self.on(day)
            if one.location is None
        ]  # fmt: skip
        schema = dict.fromkeys(keys, pl.String) | {one.name: one.kind for one in ANSWER}
        answers = pl.DataFrame(given, schema=schema, orient="row")
        return rows.join(answers.lazy(), on=keys, how="left", maintain_order="left")


def _after(newest: str | None) -> str:
    """A new id above the newest, also where clocks differ: the order of ids tells what counts."""
    fresh = new_id()
    return fresh if newest is None or fresh > newest else f"{int(newest, 16) + 1:022x}"


def _must_fit(column: Column, value: object) -> None:
    if found := complaint(column, value):
        raise InputError(f"{found}.")


def _one_of(what: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise InputError(f"{what} is {excerpt(value)}.", f"It is one of {', '.join(known)}.")


def _text(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="milliseconds")
    return value.isoformat() if isinstance(value, dt.date) else value
