"""The questions that a dashboard answers, and their SQL over the views."""

from dataclasses import dataclass
from typing import Literal

from shelfwise.store.reporting import VIEW, Field, name_of

Shape = Literal["number", "bars", "lines", "table"]
Unit = Literal["money", "count", "share", "score"]
TITLE = "Shelfwise: which products earn their place"
ABOUT = "Made by `shelfwise connect` over the views that `shelfwise publish` fills."
WIDTH = 12
"""Columns of a row; the widths of its questions add up to it."""
TIER_COLORS = {"High": "#0f766e", "Medium": "#8a9bb0", "Low": "#c2571a"}


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that is asked for; an aggregate of a column, `*` for the rows themselves."""

    label: str
    unit: Unit
    column: str = "*"
    aggregate: Literal["COUNT", "SUM"] = "SUM"

    @property
    def sql(self) -> str:
        """How SQL writes it."""
        return f"{self.aggregate}({self.column})"


@dataclass(frozen=True, slots=True)
class Question:
    """One question: measures `by` columns of a view, or the rows of a table as they are.

    A table has `by` as its columns and no measures. `order` is what it is ordered by, with -
    before it the largest first; without it the first measure orders.
    """

    name: str
    title: str
    meaning: str
    view: str
    shape: Shape
    by: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ()
    where: str = ""
    order: str = ""
    limit: int = 100
    width: int = WIDTH
    height: int = 8

    @property
    def columns(self) -> list[Field]:
        """What it groups by or shows."""
        fields = {field.name: field for field in VIEW[self.view].fields}
        return [fields[name] for name in self.by]

    @property
    def ordering(self) -> tuple[str, bool]:
        """A column or the label of a measure, and whether the smallest comes first."""
        chosen = self.order or f"-{self.measures[0].label}"
        return chosen.removeprefix("-"), not chosen.startswith("-")


def label(name: str) -> str:
    """A column's name for people.

    >>> label("performance_tier"), label("abc_class"), label("product_id")
    ('Performance tier', 'ABC class', 'Product ID')
    """
    words = name.replace("_", " ").capitalize()
    return words.replace("Abc", "ABC").replace(" id", " ID")


def sql(question: Question) -> str:
    """The question as PostgreSQL is asked it; columns are called as people read them."""
    chosen = [f'{name} AS "{label(name)}"' for name in question.by]
    if question.shape == "lines":
        chosen = [f'CAST({question.by[0]} AS timestamp) AS "time"']
    elif question.shape == "bars":
        # A bar is called by a text, also where it stands for a number.
        chosen = [f'CAST({name} AS text) AS "{label(name)}"' for name in question.by]
    chosen += [f'{m.sql} AS "{m.label}"' for m in question.measures]
    text = f"SELECT {', '.join(chosen)} FROM {name_of(question.view, sqlite=False)}"
    if question.where:
        text += f" WHERE {question.where}"
    if question.measures and question.by:
        text += f" GROUP BY {', '.join(question.by)}"
    if question.by:
        by, ascending = question.ordering
        column = f'"{by}"' if by in {m.label for m in question.measures} else by
        # Nulls would be the largest.
        way = "ASC" if ascending else "DESC NULLS LAST"
        text += f" ORDER BY {column} {way} LIMIT {question.limit}"
    return text


LATEST, PRODUCTS = "is_latest", "v1_products_latest"
REVENUE, COUNT = Measure("Revenue", "money", "revenue"), Measure("Products", "count", "*", "COUNT")

QUESTIONS = (
    Question("revenue", "Revenue", "What the newest published run brought in.", PRODUCTS,
             "number", measures=(REVENUE,), width=3, height=4),
    Question("products", "Products", "How many products it has.", PRODUCTS, "number",
             measures=(COUNT,), width=3, height=4),
    Question("high", "Revenue of High products", "What the best fifth by score brought in.",
             PRODUCTS, "number", measures=(REVENUE,), where="performance_tier = 'High'",
             width=3, height=4),
    Question("moved", "Products that changed their tier", "Since the published run before.",
             "v1_tier_changes", "number", measures=(COUNT,), where=LATEST, width=3, height=4),
    Question("tiers", "Revenue by tier", "Where the money comes from, by the tier of the score.",
             PRODUCTS, "bars", ("performance_tier",), (REVENUE,), width=4),
    Question("pareto", "Revenue by ABC class", "A: the first 80 % of revenue, B: the next 15 %, "
             "C: the rest.", PRODUCTS, "bars", ("abc_class",), (REVENUE, COUNT),
             order="abc_class", width=4),
    Question("scores", "Products by score", "How many products are in each ten of the score.",
             PRODUCTS, "bars", ("score_from",), (COUNT,), order="score_from", width=4),
    Question("best", "Best sellers", "Products with most revenue, their score and tier.", PRODUCTS,
             "table", ("product_id", "location", "name", "category", "supplier", "revenue",
                       "performance_score", "performance_tier"),
             order="-revenue", limit=50, width=12),
    Question("course", "Revenue by run", "What each published run brought in.", "v1_runs", "lines",
             ("as_of",), (REVENUE,), "is_last_of_day", "as_of", limit=1000, width=6),
    Question("tier_course", "Tiers by run", "How many products are in each tier.", "v1_runs",
             "lines", ("as_of",), (Measure("High", "count", "high"),
                                   Measure("Medium", "count", "medium"),
                                   Measure("Low", "count", "low")),
             "is_last_of_day", "as_of", limit=1000, width=6),
    Question("changes", "Who moved", "Products whose tier differs from that of the run before.",
             "v1_tier_changes", "table", ("product_id", "location", "name", "previous_tier", "tier",
                                          "previous_score", "score", "previous_revenue", "revenue"),
             where=LATEST, order="-revenue", width=12),
    Question("categories", "Revenue by category", "The categories that earn most.",
             "v1_categories", "bars", ("category",), (REVENUE,), where=LATEST, limit=15, width=6),
    Question("actions", "What inventory proposes", "Money at stake by action, where inventory was "
             "made of the run.", PRODUCTS, "bars", ("action",),
             (Measure("Money", "money", "action_money"), COUNT), where="action IS NOT NULL",
             width=6),
    Question("suppliers", "Suppliers", "What our range of theirs earns.", "v1_suppliers", "table",
             ("supplier", "products", "revenue", "revenue_share", "gross_margin", "stock_at_cost",
              "avg_score", "high", "medium", "low"),
             where=LATEST, order="-revenue", width=12),
)  # fmt: skip


def rows() -> list[list[Question]]:
    """The questions as they stand beside each other."""
    found: list[list[Question]] = [[]]
    for question in QUESTIONS:
        if sum(one.width for one in found[-1]) + question.width > WIDTH:
            found.append([])
        found[-1].append(question)
    return found
