"""Analysis: scored products and their summary; what every surface shows, in one place."""

import html
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl

from shelfwise import answer, measures, notices
from shelfwise.charts import CHARTED, Chart, draw
from shelfwise.engines import frames
from shelfwise.engines.failures import refuse_changed
from shelfwise.errors import InputError, NotFoundError, excerpt
from shelfwise.formats import Formats
from shelfwise.formula import Values, where
from shelfwise.model import Model
from shelfwise.notices import Notice, best_sellers, best_sellers_low
from shelfwise.pipeline import tiers_under
from shelfwise.pipeline.features import SHOWN, features, flags
from shelfwise.pipeline.table import Arrays, Frame, Table
from shelfwise.pipeline.tier import LABELS, SMALL_GROUP
from shelfwise.pipeline.totals import (
    ABC,
    abc_class,
    abc_cuts,
    clustering,
    effective_weights,
    summarize,
)
from shelfwise.pipeline.unlock import units_to_reach
from shelfwise.profile import Profile, load_profile
from shelfwise.quality import Quality
from shelfwise.reasons import Comparison, Explanation
from shelfwise.source import Source, given_frame
from shelfwise.texts import counting

LISTED_PLACES = 20


class Analysis:
    """Scored products, their summary, and reasons for every number; made by `analyze`."""

    def __init__(
        self, source: Source, table: Table, model: Model, group_by: str | None, *, fitted: bool
    ) -> None:
        self.source = source
        self.table = table
        self.model = model
        self.group_by = group_by
        self.fitted = fitted
        # What is summed up several times is computed once, without names and texts.
        names = [n for n in _SCORED if n in table.columns]
        self._scored = scored = table.checkpoint(names + self._weighed())
        self._found = summarize(scored, model)
        self.summary = self._summary(scored)
        about = (
            notices.about_fit(scored, model, self.summary)
            if fitted
            else notices.about_apply(scored, model)
        )
        small = int(self._found.get("small_groups", 0))
        self.warnings: list[Notice] = [
            *source.notices,
            *about,
            *notices.about_groups(small, group_by or ""),
        ]

    @property
    def profile(self) -> Profile:
        """How the products were scored; with the same tiering, period and groups it repeats it."""
        return self.model.profile

    @property
    def quality(self) -> Quality | None:
        """The data-quality report of the order lines; None where products came as such."""
        return self.source.sold.quality if self.source.sold else None

    @cached_property
    def rejected(self) -> pl.DataFrame:
        """Rows that were not scored: row (from 0), column, value as text, reason."""
        rows = [(r.row, r.column, answer.text(r.value), r.reason) for r in self.source.rejected]
        schema = {"row": pl.Int64, "column": pl.String, "value": pl.String, "reason": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")

    @cached_property
    def ranked(self) -> Table:
        """The scored table with rank and ABC class, which need a look at all rows."""
        classes = abc_class(self.table.columns["revenue"], abc_cuts(self._scored))
        return self.table.with_columns({"abc_class": classes}).rank("_key", "rank")

    @cached_property
    def products(self) -> Any:
        """The input with metrics, contributions, score, rank, tiers and flags.

        In the kind of frame that came, in its order, with a pandas index kept; a Polars
        frame for a path or a list; a DuckDB relation where the engine is DuckDB. `flags`
        are names with a blank between.
        """
        table = self.ranked
        numeric = [name for name in self._numeric if name in table.columns]
        coded = [name for name in _CODED if name in table.columns]
        results = {*numeric, *coded, "flags"}
        if isinstance(table, Frame):
            # The engine reads the file once more for what memory does not hold.
            refuse_changed(*self.source.read_from)
            texts = {name: _label(nw.col(name), _CODED[name]) for name in coded}
            labeled = table.frame.with_columns(**texts, flags=_flag_text(flags(table.columns)))
            inputs = [
                nw.col(f"given {name}").alias(name)
                for name in self.source.names
                if name not in results
            ]
            return labeled.select(*inputs, *numeric, *coded, "flags").to_native()
        columns: Mapping[str, Any] = table.columns
        given = self.source.frame
        if given is None:
            given = nw.from_native(given_frame(self.source), eager_only=True)
        frame = given.drop(*(name for name in given.columns if name in results))
        marks = {f"_flag_{n}": np.asarray(v) for n, v in flags(columns).items()}
        codes = {f"_code_{n}": columns[n] for n in coded}
        numbers = {n: columns[n] for n in numeric}
        attached = frames.attach(frame, numbers | codes | marks)
        texts = {n: _label(nw.col(f"_code_{n}"), _CODED[n]) for n in coded}
        conditions = {n.removeprefix("_flag_"): nw.col(n) for n in marks}
        attached = attached.with_columns(**texts, flags=_flag_text(conditions))
        return self.source.give_back(attached.drop(*codes, *marks).to_native())

    def to_dict(self, *, explain: bool = False, precision: str = "short") -> dict[str, Any]:
        """The answer of `POST /product-analysis`, as plain values."""
        return answer.to_dict(self, explain=explain, full=precision == "full")

    def explain(self, product_id: int | str, location: str | None = None) -> Explanation:
        """Why a product scores what it scores; NotFoundError if it is not among them.

        A product that stands in several locations needs the `location` too.
        """
        row = self._row(product_id, location)
        scales = {scale.metric: scale for scale in self.model.scales}
        contributions = {name: float(row[f"contribution_{name}"]) for name in scales}
        one = Arrays({name: np.array([row[name]], float) for name in answer.numeric_inputs(row)})
        more = float(units_to_reach(one, self.model)[0])
        return Explanation(
            product_id=row["product_id"],
            name=str(row["name"]),
            score=float(row["performance_score"]),
            rank=int(row["rank"]),
            products=self.table.height,
            percentile=answer.percentile(int(row["rank"]), self.table.height),
            tier=row["performance_tier"],
            cluster=row["cluster"],
            abc_class=row["abc_class"],
            flags=tuple(row["flags"].split()),
            metrics={name: float(row[name]) for name in scales},
            normalized={
                name: contributions[name] / (100 * scale.weight) if scale.weight else 0.0
                for name, scale in scales.items()
            },
            contributions=contributions,
            weights={name: scale.weight for name, scale in scales.items()},
            cut_high=self.model.cut_high,
            to_high=None if np.isnan(more) else more,
        )

    def compare(self, profile: str | Path | Profile = "robust") -> Comparison:
        """Who changes tier under another profile, and the best sellers that are Low."""
        other = load_profile(profile)
        if missing := sorted(other.needs - set(self.table.columns) - {"stock"}):
            raise InputError(f"Profile {other.name} needs {', '.join(missing)}: it is not given.")
        before = self.table.with_columns({"_before": self.table.columns["_quota"]})
        after = tiers_under(features(before, other), other)
        k = best_sellers(self.table.height)
        mine = self.profile.name
        low = {mine: self.table, other.name if other.name != mine else f"{mine} (other)": after}
        return Comparison(
            self._changed(after),
            self.table.height,
            k,
            {name: best_sellers_low(table, k) for name, table in low.items()},
        )

    def concentration(self, measure: str = "revenue", within: str | None = None) -> Any:
        """HHI, effective number, Gini, and how few products earn 80% of a measure.

        A dict; or, `within` a column such as category, a frame with a row for each value.
        """
        return measures.concentrated(self, measure, within)

    def abc(self, measure: str = "revenue", within: str | None = None) -> pl.DataFrame:
        """ABC classes by any measure: product_id, the measure, abc_class, largest first.

        A metric (`gross_margin`, given unit costs) or a number column (`units_sold`);
        `within` a column such as category each value has classes of its own.
        """
        return measures.classed(self, measure, within)

    def chart(self, name: str, formats: Formats | None = None) -> Chart:
        """A chart of the dashboard: pareto, scores, portfolio_map or by_category.

        A notebook draws it; `.table` has its numbers, `.sentence` what they say.

        Args:
            name: Which chart.
            formats: How its numbers are written; Formats("en_US") without.

        Raises:
            InputError: There is no such chart, or the products lack a column that it needs.
        """
        found = nw.from_native(self.products)
        columns = [n for n in CHARTED if n in found.collect_schema().names()]
        chosen = found.select(columns)
        eager = chosen.collect("polars") if isinstance(chosen, nw.LazyFrame) else chosen
        with counting((formats or Formats()).count):
            return draw(name, eager.to_polars(), formats)

    @cached_property
    def clustering(self) -> dict[str, Any]:
        """How good the clusters are: sizes, silhouette, agreement with the quota tiers.

        The silhouette is of a sample of 3,000 (None for one cluster); the adjusted Rand
        index is 1 where clusters and quota tiers are the same partition, about 0 by chance.
        """
        return clustering(self.table, self.model)

    def _weighed(self) -> list[str]:
        kinds = ("", "contribution_")
        names = [f"{kind}{s.metric}" for s in self.model.scales for kind in kinds]
        return [name for name in names if name not in _SCORED]

    @property
    def _numeric(self) -> list[str]:
        metrics = dict.fromkeys((*SHOWN, *(s.metric for s in self.model.scales)))
        contributions = [f"contribution_{s.metric}" for s in self.model.scales]
        grouped = ["group_size", "score_in_group", "rank_in_group"]
        return [*metrics, "units_per_day", *contributions, "performance_score", "rank", *grouped]

    def _summary(self, scored: Table) -> dict[str, Any]:
        found = self._found
        if self.group_by:
            small = scored.columns["group_size"] < SMALL_GROUP
            found |= scored.collect({"small_groups": where(small, 1.0, 0.0).sum()})
        counted = scored.counts("performance_tier", "cluster")
        both = {(t, c): counted.get((t, c), 0) for t in LABELS for c in LABELS}
        return {
            "products": self.table.height,
            "avg_score": found["avg_score"],
            "top_product": self._top_product(),
            "total_revenue": found["total_revenue"],
            "tiers": {LABELS[t]: sum(both[t, c] for c in LABELS) for t in LABELS},
            "clusters": {LABELS[c]: sum(both[t, c] for t in LABELS) for c in LABELS},
            "tier_by_cluster": {LABELS[t]: {LABELS[c]: both[t, c] for c in LABELS} for t in LABELS},
            "effective_weights": effective_weights(found, self.model, self.table.height),
            "tied_at_cuts": {
                side: int(found[f"tied_{side}"]) if found[f"tied_{side}"] > 1 else 0
                for side in ("high", "low")
            },
            "skipped": self.source.rejected_rows,
        }

    def _top_product(self) -> str:
        """The name of the highest score, then most revenue, then first in the input."""
        best = self._found["max_score"]
        if isinstance(self.table, Frame):
            highest = self.table.frame.filter(nw.col("performance_score") == best)
            ordered = highest.select("given name", "revenue", "given product_id").sort(
                "revenue", "given product_id", descending=[True, False]
            )
            return str(ordered.head(1).collect(backend="polars")["given name"][0])
        columns = self.table.columns
        places = np.flatnonzero(columns["performance_score"] == best)
        place = int(places[np.argmax(columns["revenue"][places])])
        return str(self.given("name", [place])[0])

    def given(self, name: str, rows: Any) -> list[Any]:
        """Values of an input column at some rows, in memory."""
        if self.source.frame is None:
            values = self.source.given[name]
            return [values[int(row)] for row in rows]
        return self.source.frame[name][[int(row) for row in rows]].to_list()

    def _row(self, product_id: int | str, location: str | None) -> dict[str, Any]:
        products = nw.from_native(self.products)
        found = products.filter(nw.col("product_id").cast(nw.String) == str(product_id))
        if location is not None:
            if "location" not in found.collect_schema().names():
                raise InputError("These products have no column location.", "Leave it out.")
            place = nw.col("location").cast(nw.String).fill_null("")
            found = found.filter(place == str(location))
        found = found.head(LISTED_PLACES)
        if isinstance(found, nw.LazyFrame):
            found = found.collect(backend="polars")
        rows = found.rows(named=True)
        if not rows:
            where_ = "" if location is None else f" in {excerpt(location)}"
            raise NotFoundError(
                f"There is no product {excerpt(product_id)}{where_} among the "
                f"{self.table.height:,} that were scored.",
                "It may stand in the rejected rows.",
            )
        if len(rows) > 1:
            raise InputError(
                f"Product {excerpt(product_id)} stands in several locations: "
                f"{', '.join(sorted(repr(_place(row['location'])) for row in rows))}.",
                "Say which: explain(product_id, location=...), --location.",
            )
        return {k: v.as_py() if hasattr(v, "as_py") else v for k, v in rows[0].items()}

    def _changed(self, after: Table) -> pl.DataFrame:
        columns = after.columns
        wanted = ["revenue", "_before", "performance_tier"]
        if isinstance(after, Frame):
            moved = after.frame.filter(nw.col("performance_tier") != nw.col("_before"))
            ids = [nw.col(f"given {name}").alias(name) for name in ("product_id", "name")]
            selected = moved.select(*ids, *wanted)
            changed: pl.DataFrame = selected.collect(backend="polars").to_native()
        else:
            rows = np.flatnonzero(columns["performance_tier"] != columns["_before"])
            inputs = {name: self.given(name, rows) for name in ("product_id", "name")}
            results = {name: columns[name][rows] for name in wanted}
            changed = pl.DataFrame(inputs | results, strict=False)
        labels = {
            "tier_before": pl.col("_before").replace_strict(LABELS, return_dtype=pl.String),
            "tier_after": pl.col("performance_tier").replace_strict(LABELS, return_dtype=pl.String),
        }
        labeled = changed.with_columns(**labels).drop("_before", "performance_tier")
        return labeled.sort("revenue", descending=True)

    def __repr__(self) -> str:
        s = self.summary
        tiers = ", ".join(f"{label} {count:,}" for label, count in s["tiers"].items())
        lines = [
            f"Analysis of {s['products']:,} products, profile {self.profile.name}",
            f"  revenue {s['total_revenue']:,.2f}, mean score {s['avg_score']:.1f}, "
            f"best {s['top_product']!r}",
            f"  tiers: {tiers}",
        ]
        if s["skipped"]:
            lines.append(f"  not scored: {s['skipped']:,} rows, see .rejected")
        if self.quality:
            lines += [f"  {line.strip()}" for line in str(self.quality).splitlines()]
        return "\n".join(lines + [f"  {w.code}: {w.message}" for w in self.warnings])

    def _repr_html_(self) -> str:
        """The same in a notebook; names are escaped."""
        first, *rest = repr(self).splitlines()
        items = "".join(f"<li>{html.escape(line.strip())}</li>" for line in rest)
        return f"<div><strong>{html.escape(first)}</strong><ul>{items}</ul></div>"


def _place(location: Any) -> str:
    """A location as `explain` takes it; the empty text where there is none."""
    location = location.as_py() if hasattr(location, "as_py") else location
    return "" if frames.is_missing(location) else str(location)


_CODED = {
    "performance_tier": LABELS,
    "cluster": LABELS,
    "abc_class": ABC,
    "tier_in_group": LABELS,
}


_SCORED = (
    "revenue",
    "stock_ratio",
    "sales_velocity",
    "performance_score",
    "_key",
    "_quota",
    "performance_tier",
    "cluster",
    "group_size",
)
"""What summary and warnings read, beside the columns of the weighed metrics."""


def _label(code: nw.Expr, labels: Mapping[int, str]) -> nw.Expr:
    (_, last), *others = labels.items()
    text: Any = nw.lit(last)
    for value, label in others:
        text = nw.when(code == value).then(nw.lit(label)).otherwise(text)
    return text  # type: ignore[no-any-return]  # when/then chains are typed Any


def _flag_text(conditions: Mapping[str, Values]) -> nw.Expr:
    parts = [
        nw.when(condition).then(nw.lit(f"{name} ")).otherwise(nw.lit(""))
        for name, condition in conditions.items()
    ]
    return nw.concat_str(parts).str.strip_chars()
