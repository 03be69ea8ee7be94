"""What a report speaks of: an analysis or a run that is kept, and what was made of it."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from shelfwise.analysis import Analysis
from shelfwise.formats import Formats
from shelfwise.insights.decisions import Section
from shelfwise.insights.evidence import Evidence
from shelfwise.insights.sections import QUESTIONS
from shelfwise.model import Model
from shelfwise.notices import Notice

if TYPE_CHECKING:
    from shelfwise.store import Store
    from shelfwise.store.derived import Derived
    from shelfwise.store.run import Run

ANSWERED = ("inventory", "suppliers", "changes")
"""The questions whose answers a report has, beside trends."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a question: its rows, and what stands beside them, as plain values."""

    rows: pl.DataFrame
    about: Mapping[str, Any]

    @property
    def summary(self) -> Mapping[str, Any]:
        """The few figures of the whole."""
        found: Mapping[str, Any] = self.about.get("summary", {})
        return found

    @property
    def withheld(self) -> Sequence[Mapping[str, str]]:
        """What it does not tell: what, why, and the input that it needs."""
        found: Sequence[Mapping[str, str]] = self.about.get("withheld", ())
        return found


@dataclass(frozen=True, slots=True)
class Material:
    """Scored products and all that a report says about them.

    Attributes:
        name: What people call it: the label of a run, or its file.
        source: Where the products came from.
        as_of: The day that it speaks of.
        days: The days that the sales cover; None where nobody knows.
        products: The scored products, by rank.
        model: What scored them.
        summary: That of the analysis.
        tiering: By quota or by k-means.
        warnings: What its reader should know.
        quality: The report about the order lines, as plain values, where there were any.
        rejected: How often each reason kept a row from being scored, most often first.
        answers: What was answered, by question.
        trends: Trends of products, and of categories, where order lines told them.
        formats: How numbers are written.
        run_id: The run, where one is kept.
        set_by_hand: The products whose tier people have set.
    """

    name: str
    source: str
    as_of: dt.date
    days: float | None
    products: pl.DataFrame
    model: Model
    summary: Mapping[str, Any]
    tiering: str
    warnings: Sequence[Notice]
    quality: Mapping[str, Any] | None
    rejected: Sequence[tuple[str, int]]
    answers: Mapping[str, Answer]
    trends: pl.DataFrame | None
    category_trends: pl.DataFrame | None
    formats: Formats
    run_id: str | None = None
    set_by_hand: int = 0


def of_analysis(
    analysis: Analysis,
    *,
    before: Analysis | None = None,
    name: str = "",
    source: str = "",
    formats: Formats | None = None,
    evidence: Evidence | None = None,
    receipts: Any = None,
) -> Material:
    """The material of an analysis, with decisions made of it now.

    Args:
        analysis: What `analyze` gave.
        before: What is compared with it, of a period as long.
        name: What people call it; the name of the source without.
        source: Where the products came from.
        formats: How numbers are written.
        evidence: The evidence, where more is known than the analysis has, such as the day.
        receipts: Receipts of deliveries, for suppliers.
    """
    known = evidence or Evidence.of(analysis)
    given: dict[str, dict[str, Any]] = {"inventory": {}, "suppliers": {}}
    if receipts is not None:
        given = {name: {"receipts": receipts} for name in given}
    answers = {
        question: _answered(QUESTIONS[question].answer(known, **tables))
        for question, tables in given.items()
        if question != "suppliers" or known.has("supplier")
    }
    if before is not None:
        compared = QUESTIONS["changes"].answer(known, since=[Evidence.of(before)])
        answers["changes"] = _answered(compared)
    found = analysis.rejected
    categories = None
    if known.weeks is not None and known.has("category"):
        from shelfwise.sales import trends

        categories = trends(known.weeks, by="category")
    return Material(
        name=name or short_name(source),
        source=source,
        as_of=known.as_of,
        days=known.period_days,
        products=known.products.sort("rank"),
        model=analysis.model,
        summary=analysis.summary,
        tiering=analysis.model.tiering,
        warnings=analysis.warnings,
        quality=_plain(analysis.quality.to_dict()) if analysis.quality else None,
        rejected=_reasons(found),
        answers=answers,
        trends=known.trends,
        category_trends=categories,
        formats=_in_currency(known.products, formats or Formats()),
    )


def of_run(store: "Store", run: "Run", *, formats: Formats | None = None) -> Material:
    """The material of a run that is kept: with what was made of it, as people have answered.

    What nobody has made is made now, of what the run has, and not kept; trends and what
    changed since another run are only those that somebody has made.
    """
    made = {table.name: table for table in store.derived.all(run)}
    answers = {name: _kept(store, run, made[name]) for name in ANSWERED if name in made}
    evidence = store.derived.evidence(run)
    if "inventory" not in answers:
        answers["inventory"] = _answered(QUESTIONS["inventory"].answer(evidence))
    if "suppliers" not in answers and evidence.has("supplier"):
        answers["suppliers"] = _answered(QUESTIONS["suppliers"].answer(evidence))
    tables = {name: made[name].scan().collect() for name in ("trends", "category_trends")
              if name in made}  # fmt: skip
    return Material(
        name=run.label or short_name(run.source),
        source=run.source,
        as_of=run.as_of,
        days=evidence.period_days,
        products=evidence.products.sort("rank"),
        model=run.model,
        summary=run.summary,
        tiering=run.tiering,
        warnings=run.warnings,
        quality=run.quality,
        rejected=_reasons(store.runs.rejected(run.id)),
        answers=answers,
        trends=tables.get("trends"),
        category_trends=tables.get("category_trends"),
        formats=_in_currency(evidence.products, formats or Formats()),
        run_id=run.id,
        set_by_hand=_set_by_hand(store, run),
    )


def prepare(
    store: "Store", run: "Run", *, since: "Run | None" = None,
    progress: Callable[[float], None] | None = None,
) -> None:  # fmt: skip
    """Make of a run what a report tells, where nobody has made it: it is kept with the run.

    Args:
        store: Where the run is kept.
        run: The run.
        since: The run that it is compared with; the most alike of those before it without.
        progress: Called now and then with the share of a forecast that is done.
    """
    made = {table.name: table for table in store.derived.all(run)}
    if "trends" not in made and store.runs.has_weeks(run):
        store.derived.make(run, "trends")
    if "inventory" not in made:
        store.derived.make(run, "inventory", progress=progress)
    if "suppliers" not in made and "supplier" in store.runs.products(run).collect_schema():
        store.derived.make(run, "suppliers")
    if since is None and "changes" not in made:
        alike = store.comparable(run)
        since = alike[0] if alike and store.days_of(alike[0]) == store.days_of(run) else None
    if since and ("changes" not in made or made["changes"].about.get("since") != since.id):
        store.derived.make(run, "changes", since=since)


def short_name(source: str) -> str:
    """The name of the file or table; where it lies is nobody's affair."""
    return source.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _set_by_hand(store: "Store", run: "Run") -> int:
    marked = store.overrides.marked(store.runs.products(run), run.as_of)
    return int(marked.select(pl.col("tier_override").is_not_null().sum()).collect().item())


def _kept(store: "Store", run: "Run", made: "Derived") -> Answer:
    return Answer(store.answered(run, made).collect(), made.about)


def _answered(section: Section) -> Answer:
    about = section.to_dict()
    del about["rows"]
    return Answer(section.rows, _plain(about))


def _plain(value: Any) -> Any:
    """As a run keeps it: days as text."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _reasons(rejected: pl.DataFrame) -> list[tuple[str, int]]:
    """How often each reason kept a row from being scored, whatever its value was."""
    kind = (
        pl.col("reason")
        .str.replace(r"(?s)^(\w+) is .*; it must be", "$1 must be")
        .str.replace(r"^-?[\d.]+ of (\w+) left", "no $1 left")
    )
    counts = (
        rejected.with_columns(kind)
        .group_by("reason")
        .len()
        .sort(["len", "reason"], descending=[True, False])
    )
    return list(counts.iter_rows())


def _in_currency(products: pl.DataFrame, formats: Formats) -> Formats:
    """With the currency of the products, where they name one; several are never analyzed."""
    if "currency" not in products.columns:
        return formats
    code = str(products["currency"].drop_nulls().first() or "").upper()
    known = len(code) == 3 and code.isalpha()
    return Formats(formats.locale, code) if known else formats
