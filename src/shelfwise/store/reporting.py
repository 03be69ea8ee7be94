"""What other tools read: the published columns and the views over them, each declared once.

The tables, the views, their comments in PostgreSQL, the reference page and what is made for
Superset and Grafana come from here. A view is a promise: a column may come to its end, none
goes or changes its meaning. What must change gets views of the next version beside these.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from shelfwise.columns import COLUMN
from shelfwise.metrics import METRIC

Kind = Literal["text", "number", "whole", "boolean", "date", "moment"]
SCHEMA = "reporting"
"""Where the views stand in PostgreSQL; SQLite knows no schemas."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a view; `sql` is how the view gets it where it is not a column of that name."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    sql: str = ""

    @property
    def comment(self) -> str:
        """What PostgreSQL tells of it."""
        return f"{self.meaning} Unit: {self.unit}." if self.unit else self.meaning


@dataclass(frozen=True, slots=True)
class View:
    """A view: `sql` is what comes after its columns."""

    name: str
    meaning: str
    fields: tuple[Field, ...]
    sql: str


def _given(name: str, kind: Kind) -> Field:
    column = COLUMN[name]
    return Field(name, kind, column.meaning, column.unit)


def _measured(name: str) -> Field:
    metric = METRIC[name]
    return Field(name, "number", metric.meaning, metric.unit)


PRODUCT = (
    Field("product_id", "text", COLUMN["product_id"].meaning),
    _given("location", "text"),
    _given("name", "text"),
    *(_given(name, "text") for name in ("category", "brand", "supplier", "parent_id", "currency")),
    *(_given(name, "number") for name in ("price", "units_sold", "stock", "unit_cost", "on_order",
                                          "lead_time_days")),
    _given("launch_date", "date"),
    _given("discontinued", "boolean"),
    *(_measured(name) for name in ("revenue", "gross_margin", "stock_ratio", "sales_velocity")),
    Field("units_per_day", "number", "Units sold a day, where the period is known.", "units a day"),
    Field("performance_score", "number", "How well it does against the others.", "0 to 100"),
    Field("rank", "whole", "Its place by the score; 1 is best, and equal scores share one."),
    Field("performance_tier", "text", "High, Medium or Low, by its score."),
    Field("tier_override", "text", "The tier that people let it count as instead, if any."),
    Field("cluster", "text", "High, Medium or Low: its KMeans cluster, named by the mean score."),
    Field("score_in_group", "number", "The score within its group, where groups were asked for.",
          "0 to 100"),
    Field("rank_in_group", "whole", "Its place within its group."),
    Field("tier_in_group", "text", "Its tier within its group."),
    Field("abc_class", "text", "A: first 80 % of revenue, B: next 15 %, C: the rest, N: none."),
    Field("flags", "text", "What is special about it, separated by blanks."),
    Field("trend", "text", "Whether it rises or falls, where trends were made of the run."),
    Field("growth", "number", "Change a year.", "share"),
    Field("growth_low", "number", "Lower end of the 95 % interval of the growth.", "share"),
    Field("growth_high", "number", "Upper end of the 95 % interval of the growth.", "share"),
    Field("trend_reason", "text", "Why there is no trend, or only an indication."),
    Field("forecast_weeks", "whole", "How far the forecast reaches, where one was made.", "weeks"),
    Field("forecast_expected", "number", "Units expected in that time.", "units"),
    Field("forecast_q5", "number", "Sold at least with a probability of 95 %.", "units"),
    Field("forecast_q95", "number", "Sold at most with a probability of 95 %.", "units"),
    Field("action", "text", "What inventory proposes to do, where it was made of the run."),
    Field("action_amount", "number", "How many units the action is about.", "units"),
    Field("action_date", "date", "When to act, at the latest."),
    Field("action_money", "number", "What is at stake.", "money"),
    Field("action_reason", "text", "Why to act, in words."),
)  # fmt: skip
"""The columns of `published_products` beside the run and the place in it."""

_OF_RUN = (
    Field("run_id", "text", "The run; ids sort by the time of saving.", sql="r.run_id"),
    Field("as_of", "date", "The day that the run speaks of.", sql="r.as_of"),
)
_IS_LATEST = Field("is_latest", "boolean", "Whether it is of the newest day that is published.",
                   sql="r.is_latest")  # fmt: skip
# Neither floor nor a cast means the same everywhere.
_TENS = " ".join(f"WHEN p.performance_score >= {ten} THEN {ten}" for ten in range(90, 0, -10))
_PRODUCTS = (
    *_OF_RUN,
    *(Field(f.name, f.kind, f.meaning, f.unit, f"p.{f.name}") for f in PRODUCT),
    Field("stock_at_cost", "number", "Stock x unit cost; empty without a cost.", "money",
          "p.stock * p.unit_cost"),
    Field("score_from", "whole", "The ten that the score is in: 70 is from 70 to below 80.",
          "points", f"CASE {_TENS} ELSE 0 END"),
)  # fmt: skip
_TIERS = tuple(
    Field(tier.lower(), "whole", f"How many of the products are {tier}.", "products",
          f"sum(CASE WHEN p.performance_tier = '{tier}' THEN 1 ELSE 0 END)")
    for tier in ("High", "Medium", "Low")
)  # fmt: skip


def _whole_sum(name: str, meaning: str, unit: str, sql: str) -> Field:
    """A sum that is empty where one of the products lacks it: a part would pass for the whole."""
    every = f"CASE WHEN count({sql}) = count(*) THEN sum({sql}) END"
    return Field(name, "number", f"{meaning} Empty where a product lacks a cost.", unit, every)


def _groups(name: str, column: str, meaning: str, group: str) -> View:
    """A view with a row for each category, or whatever the column has."""
    return View(
        name, meaning,
        (
            *_OF_RUN, _IS_LATEST,
            Field(column, "text", f"{group} Empty: products without one.", sql=f"p.{column}"),
            Field("products", "whole", "How many products.", "products", "count(*)"),
            Field("revenue", "number", "What they brought in.", "money", "sum(p.revenue)"),
            Field("revenue_share", "number", "Their share of the run's revenue.", "share",
                  "sum(p.revenue) / nullif(r.revenue, 0)"),
            _whole_sum("gross_margin", "Revenue less cost.", "money", "p.gross_margin"),
            Field("units_sold", "number", "Units sold.", "units", "sum(p.units_sold)"),
            Field("stock", "number", "Units on hand.", "units", "sum(p.stock)"),
            _whole_sum("stock_at_cost", "Stock x unit cost.", "money", "p.stock * p.unit_cost"),
            Field("avg_score", "number", "The mean score.", "0 to 100", "avg(p.performance_score)"),
            *_TIERS,
        ),
        f"FROM {{v1_runs}} r JOIN {{products}} p ON p.run_id = r.run_id "
        f"GROUP BY r.run_id, r.as_of, r.is_latest, r.products, r.revenue, p.{column} "
        # A run in which nothing has a category has no categories.
        f"HAVING p.{column} IS NOT NULL OR count(*) < r.products",
    )  # fmt: skip


VIEWS = (
    View(
        "v1_runs",
        "The runs that are published, one a row.",
        (
            *_OF_RUN,
            Field("saved_at", "moment", "When the run was kept.", sql="r.saved_at"),
            Field("published_at", "moment", "When it was published last.", sql="r.published_at"),
            Field("label", "text", "Its name for people.", sql="r.label"),
            Field("source", "text", "Where its products came from.", sql="r.source"),
            Field("profile", "text", "How it was scored.", sql="r.profile"),
            Field("tiering", "text", "How tiers were told: quota or kmeans.", sql="r.tiering"),
            Field("currency", "text", "ISO 4217 code, where the products have one.",
                  sql="r.currency"),
            Field("products", "whole", "How many products it has.", "products", "r.products"),
            Field("revenue", "number", "What all of them brought in.", "money", "r.revenue"),
            Field("avg_score", "number", "The mean score.", "0 to 100", "r.avg_score"),
            *(Field(f.name, f.kind, f.meaning, f.unit, f"r.{f.name}") for f in _TIERS),
            Field("previous_run_id", "text", "The published run before it, by its day, of the "
                  "same profile and tiering.", sql="lag(r.run_id) OVER (PARTITION BY r.profile, "
                  "r.tiering ORDER BY r.as_of, r.run_id)"),
            Field("is_latest", "boolean", _IS_LATEST.meaning,
                  sql="row_number() OVER (ORDER BY r.as_of DESC, r.run_id DESC) = 1"),
            Field("is_last_of_day", "boolean", "Whether no later run speaks of the same day.",
                  sql="row_number() OVER (PARTITION BY r.as_of ORDER BY r.run_id DESC) = 1"),
        ),
        "FROM {runs} r",
    ),
    View(
        "v1_products",
        "The scored products of every published run.",
        _PRODUCTS,
        "FROM {products} p JOIN {runs} r ON r.run_id = p.run_id",
    ),
    View(
        "v1_products_latest",
        "The scored products of the newest published run.",
        _PRODUCTS,
        "FROM {products} p JOIN {runs} r ON r.run_id = p.run_id WHERE p.run_id = "
        "(SELECT n.run_id FROM {runs} n ORDER BY n.as_of DESC, n.run_id DESC LIMIT 1)",
    ),
    _groups("v1_categories", "category", "Each category in every published run.",
            "The category."),
    _groups("v1_suppliers", "supplier", "Each supplier in every published run.",
            "The supplier."),
    View(
        "v1_tier_changes",
        "Products whose tier differs from that in the published run before.",
        (
            *_OF_RUN, _IS_LATEST,
            Field("previous_run_id", "text", "The run before it.", sql="r.previous_run_id"),
            Field("previous_as_of", "date", "The day that one speaks of.", sql="b.as_of"),
            *(Field(f.name, f.kind, f.meaning, f.unit, f"p.{f.name}") for f in PRODUCT
              if f.name in ("product_id", "location", "name", "category", "supplier")),
            Field("previous_tier", "text", "The tier that it had.", sql="q.performance_tier"),
            Field("tier", "text", "The tier that it has.", sql="p.performance_tier"),
            Field("moved", "text", "up or down.", sql="CASE WHEN p.performance_tier = 'High' OR "
                  "q.performance_tier = 'Low' THEN 'up' ELSE 'down' END"),
            Field("previous_score", "number", "The score that it had.", "0 to 100",
                  "q.performance_score"),
            Field("score", "number", "The score that it has.", "0 to 100", "p.performance_score"),
            Field("previous_rank", "whole", "The place that it had.", sql="q.rank"),
            Field("rank", "whole", "The place that it has.", sql="p.rank"),
            Field("previous_revenue", "number", "What it brought in then.", "money", "q.revenue"),
            Field("revenue", "number", "What it brings in.", "money", "p.revenue"),
        ),
        "FROM {v1_runs} r JOIN {runs} b ON b.run_id = r.previous_run_id "
        "JOIN {products} p ON p.run_id = r.run_id "
        "JOIN {products} q ON q.run_id = b.run_id AND q.product_id = p.product_id "
        "AND coalesce(q.location, '') = coalesce(p.location, '') "
        "WHERE q.performance_tier <> p.performance_tier",
    ),
)  # fmt: skip
VIEW = {view.name: view for view in VIEWS}


def name_of(view: str, *, sqlite: bool) -> str:
    """A view's name as SQL writes it."""
    return view if sqlite else f"{SCHEMA}.{view}"


def definition(view: View, *, sqlite: bool) -> str:
    """The SELECT that a view is."""
    names = {v.name: name_of(v.name, sqlite=sqlite) for v in VIEWS}
    columns = ", ".join(f"{field.sql or field.name} AS {field.name}" for field in view.fields)
    rest = view.sql.format(runs="published_runs", products="published_products", **names)
    return f"SELECT {columns} {rest}"


def statements(*, sqlite: bool) -> list[str]:
    """What makes the views, and tells PostgreSQL what everything means.

    PostgreSQL keeps the rights of a view that is replaced, and what others have built on it.
    """
    if sqlite:
        dropped = [f"DROP VIEW IF EXISTS {view.name}" for view in reversed(VIEWS)]
        return dropped + [f"CREATE VIEW {v.name} AS {definition(v, sqlite=True)}" for v in VIEWS]
    made = []
    for view in VIEWS:
        name = name_of(view.name, sqlite=False)
        made.append(f"CREATE OR REPLACE VIEW {name} AS {definition(view, sqlite=False)}")
        made.append(f"COMMENT ON VIEW {name} IS {_literal(view.meaning)}")
        made += [f"COMMENT ON COLUMN {name}.{field.name} IS {_literal(field.comment)}"
                 for field in view.fields]  # fmt: skip
    return [*made, f"COMMENT ON SCHEMA {SCHEMA} IS {_literal(schema_comment(made))}"]


def schema_comment(made: Iterable[str]) -> str:
    """What the schema is for, and by which statements its views were made."""
    digest = hashlib.sha256("\n".join(made).encode()).hexdigest()[:12]
    return f"What `shelfwise publish` has copied, for other tools to read. Views: {digest}."


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
