"""The lists of a workbook: all that there is, where sections show the first few."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from shelfwise.insights.proposals import left, proposed
from shelfwise.metrics import METRIC
from shelfwise.model import TIERS
from shelfwise.reports.material import Material
from shelfwise.reports.report import NAMED, PROSE, TIER, Column
from shelfwise.reports.sections.common import CATEGORY, NAME, SUPPLIER, TIERED, has
from shelfwise.texts import text


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that fills a sheet.

    Attributes:
        key: What texts call it.
        table: The name of its table, for formulas and pivot tables.
        rows: All of its rows, the most important first.
        columns: The columns that are shown, by their names in `rows`.
        bar: The column with bars.
    """

    key: str
    table: str
    rows: pl.DataFrame
    columns: Mapping[str, Column]
    bar: str = ""


ID = Column(text("book.col.id"), NAMED)
REASON = Column(text("report.col.reason"), PROSE)
ANSWER = Column(text("book.col.answer"))
MONEY = "money_whole"
TREND_ORDER = ("rising", "falling", "indicative_rising", "indicative_falling", "flat", "none",
               "too_short", "no_data")  # fmt: skip


def categories(m: Material) -> Listing | None:
    """What each category has, earns and ties up, most revenue first."""
    if not has(m.products, "category"):
        return None
    total = float(m.products["revenue"].sum())
    tier, money = pl.col("performance_tier"), pl.col("revenue")
    rows = (
        with_answers(m)
        .group_by(pl.col("category").cast(pl.String).fill_null(text("report.no_category")))
        .agg(pl.len().alias("products"), pl.col("units_sold").sum(), money.sum(),
             (money.sum() / total if total > 0 else pl.lit(None, pl.Float64)).alias("share"),
             *(_sum(m, name) for name in ("margin", "stock_money", "dead_money")),
             pl.col("performance_score").mean().alias("score"),
             *((tier == name).sum().alias(f"count_{name}") for name in TIERS),
             *(money.filter(tier == name).sum().alias(f"revenue_{name}") for name in TIERS))
        .sort("revenue", "category", descending=[True, False])
    )  # fmt: skip
    if m.category_trends is not None:
        known = m.category_trends.select("category", "growth", _worded("trend", TREND_ORDER))
        rows = rows.join(known, on="category", how="left", maintain_order="left")
    return Listing("categories", "Categories", rows, {
        "category": Column(text("report.col.category"), NAMED),
        "products": Column(text("report.col.products"), "count"),
        "units_sold": Column(text("report.col.units"), "units"),
        "revenue": Column(text("report.col.revenue"), MONEY),
        "share": Column(text("report.col.share"), "share_fine"),
        "margin": Column(text("book.col.margin"), MONEY),
        "stock_money": Column(text("report.col.stock"), MONEY),
        "dead_money": Column(text("report.col.dead"), MONEY),
        "score": Column(text("report.col.mean_score"), "number"),
        **{f"count_{name}": Column(text("book.col.of_tier", tier=name), "count")
           for name in TIERS},
        **{f"revenue_{name}": Column(text("book.col.revenue_of_tier", tier=name), MONEY)
           for name in TIERS},
        "trend": Column(text("book.col.trend")),
        "growth": Column(text("report.col.growth"), "change"),
    }, bar="share")  # fmt: skip


def suppliers(m: Material) -> Listing | None:
    """What the range of each supplier earns and ties up, and how they deliver."""
    found = m.answers.get("suppliers")
    if found is None or "revenue" not in found.rows.columns or found.rows.is_empty():
        return None
    rows = found.rows.sort("revenue", descending=True, nulls_last=True)
    if "verdict" in rows.columns:
        asked = pl.when(pl.col("verdict").ne_missing("dismissed"))
        rows = rows.with_columns(asked.then(name).alias(name) for name in ("action", "reason"))
    rows = rows.with_columns(_worded("action", ("renegotiate", "second_source"), "report"))
    return Listing("suppliers", "Suppliers", rows, {
        "supplier": Column(text("report.col.supplier"), NAMED),
        "products": Column(text("report.col.products"), "count"),
        "revenue": Column(text("report.col.revenue"), MONEY),
        "revenue_share": Column(text("report.col.share"), "share_fine"),
        "margin": Column(text("book.col.margin"), MONEY),
        "score": Column(text("report.col.score"), "number"),
        "stock_money": Column(text("report.col.stock"), MONEY),
        "overstock_money": Column(text("report.col.too_many"), MONEY),
        "dead_money": Column(text("report.col.dead"), MONEY),
        "deliveries": Column(text("book.col.deliveries"), "count"),
        "otif": Column(text("report.col.otif"), "share"),
        "otif_low": Column(text("book.col.otif_low"), "share"),
        "otif_high": Column(text("book.col.otif_high"), "share"),
        "fill_rate": Column(text("report.col.fill_rate"), "share_fine"),
        "lead_time": Column(text("report.col.lead_time"), "number"),
        "lead_time_planned": Column(text("book.col.planned"), "number"),
        "sole_categories": Column(text("book.col.sole")),
        "action": Column(text("report.col.to_do")),
        "reason": REASON,
    }, bar="revenue_share")  # fmt: skip


def reorder(m: Material) -> Listing | None:
    """All that has to be ordered, most money at stake first."""
    return _acted(m, "reorder", "Reorder", {
        "stock": Column(text("report.col.left"), "units"),
        "on_order": Column(text("book.col.on_order"), "units"),
        "weekly": Column(text("book.col.weekly"), "number"),
        "weeks": Column(text("report.col.weeks"), "weeks"),
        "runs_out": Column(text("book.col.runs_out"), "day"),
        "quantity": Column(text("report.col.order"), "units"),
        "date": Column(text("report.col.by"), "weekday"),
        "cost": Column(text("report.col.costs"), MONEY),
        "money": Column(text("report.col.at_stake"), MONEY),
        "stockout_risk": Column(text("report.col.risk"), "share"),
    })  # fmt: skip


def clear(m: Material) -> Listing | None:
    """All that has to be cleared out, most money tied up first."""
    return _acted(m, "clear", "ClearOut", {
        "stock": Column(text("report.col.left"), "units"),
        "quantity": Column(text("report.col.too_many"), "units"),
        "weekly": Column(text("book.col.weekly"), "number"),
        "weeks": Column(text("report.col.weeks"), "weeks"),
        "money": Column(text("report.col.tied"), MONEY),
        "money_basis": Column(text("report.col.basis")),
        "dead_money": Column(text("report.col.dead"), MONEY),
    })  # fmt: skip


def trends(m: Material) -> Listing | None:
    """The trend of every product: the confirmed ones first, then by revenue."""
    if m.trends is None or m.trends.is_empty():
        return None
    earned = m.products.select(pl.col("product_id").cast(pl.String), "revenue")
    order = dict(zip(TREND_ORDER, range(len(TREND_ORDER)), strict=True))
    rows = (
        m.trends.join(earned, on="product_id", how="left")
        .with_columns(place=pl.col("trend").replace_strict(order, default=len(order)))
        .sort(["place", "revenue"], descending=[False, True], nulls_last=True)
        .with_columns(_worded("trend", TREND_ORDER))
    )
    return Listing("trends", "Trends", rows, {
        "product_id": ID,
        "name": NAME,
        "category": CATEGORY,
        "trend": Column(text("book.col.trend")),
        "growth": Column(text("report.col.growth"), "change"),
        "growth_low": Column(text("book.col.growth_low"), "change"),
        "growth_high": Column(text("book.col.growth_high"), "change"),
        "shift": Column(text("book.col.shift"), "change"),
        "revenue": Column(text("report.col.revenue"), MONEY),
        "units": Column(text("report.col.units"), "units"),
        "weeks": Column(text("book.col.weeks_known"), "count"),
        "reason": REASON,
    })  # fmt: skip


def changes(m: Material) -> Listing | None:
    """What became of every product since the run before: what really changed first."""
    found = m.answers.get("changes")
    if found is None or "revenue" not in found.summary or found.rows.is_empty():
        return None
    really = pl.col("really_changed").fill_null(False)
    rows = (
        found.rows.sort([really, pl.col("revenue_change").abs()], descending=True, nulls_last=True)
        .with_columns(
            pl.when(really).then(pl.lit(text("book.yes"))).alias("really_changed"),
            _worded("status", ("kept", "new", "gone", "started", "stopped", "unsold")),
        )
    )  # fmt: skip
    return Listing("changes", "Changes", rows, {
        "product_id": ID,
        "name": NAME,
        "category": CATEGORY,
        "really_changed": Column(text("book.col.really")),
        "settled_before": Column(text("book.col.tier_before"), TIER),
        "settled_after": Column(text("book.col.tier_after"), TIER),
        "revenue_before": Column(text("book.col.revenue_before"), MONEY),
        "revenue_after": Column(text("book.col.revenue_after"), MONEY),
        "revenue_change": Column(text("book.col.revenue_change"), "money_signed"),
        "units_before": Column(text("book.col.units_before"), "units"),
        "units_after": Column(text("book.col.units_after"), "units"),
        "score_before": Column(text("book.col.score_before"), "number"),
        "score_after": Column(text("book.col.score_after"), "number"),
        "status": Column(text("book.col.status")),
        "reason": REASON,
    })  # fmt: skip


def products(m: Material) -> Listing:
    """All products by rank, with what is known of each."""
    total = float(m.products["revenue"].sum())
    rows = with_answers(m).with_columns(
        (pl.col("revenue") / total if total > 0 else pl.lit(None, pl.Float64)).alias("share")
    )
    if "flags" in rows.columns:
        rows = rows.with_columns(pl.col("flags").replace("", None).str.replace_all("_", " "))
    label = {scale.metric: m.model.profile.metric(scale.metric).label for scale in m.model.scales}
    own = {name: Column(label[name], "fine") for name in label if name not in METRIC}
    return Listing("products", "Products", rows, {
        "rank": Column(text("book.col.rank"), "count"),
        "product_id": ID,
        "name": NAME,
        "category": CATEGORY,
        "brand": Column(text("book.col.brand")),
        "supplier": SUPPLIER,
        "location": Column(text("book.col.location")),
        "performance_tier": TIERED,
        "performance_score": Column(text("report.col.score"), "number"),
        "abc_class": Column(text("book.col.abc")),
        "revenue": Column(text("report.col.revenue"), MONEY),
        "share": Column(text("report.col.share"), "share_fine"),
        "units_sold": Column(text("report.col.units"), "units"),
        "price": Column(text("book.col.price"), "money"),
        "unit_cost": Column(text("book.col.cost"), "money"),
        "margin": Column(text("book.col.margin"), MONEY),
        "stock": Column(text("report.col.stock"), "units"),
        "stock_ratio": Column(text("report.col.sell_through"), "share"),
        "weeks": Column(text("report.col.weeks"), "weeks"),
        "action": Column(text("report.col.to_do")),
        "trend": Column(text("book.col.trend")),
        "growth": Column(text("report.col.growth"), "change"),
        **own,
        **{f"contribution_{name}": Column(text("book.col.points", metric=label[name]), "number")
           for name in label},
        "flags": Column(text("book.col.flags")),
    }, bar="performance_score")  # fmt: skip


def with_answers(m: Material) -> pl.DataFrame:
    """The products, with what was answered about each: stock, what to do, and the trend."""
    rows = m.products.with_columns(pl.col("product_id").cast(pl.String))
    if has(rows, "unit_cost"):
        cost = pl.col("unit_cost") * pl.col("units_sold")
        rows = rows.with_columns(margin=pl.col("revenue") - cost)
    stock = m.answers["inventory"].rows.lazy()
    known = proposed(stock).select(
        "product_id", "weeks", "stock_money", "dead_money",
        pl.when(pl.col("verdict").ne_missing("dismissed")).then("action").alias("action"),
    ).with_columns(_worded("action", ("reorder", "clear", "run_out", "watch")))  # fmt: skip
    rows = rows.join(known.collect(), on="product_id", how="left", maintain_order="left")
    if m.trends is not None:
        told = m.trends.select("product_id", "growth", _worded("trend", TREND_ORDER))
        rows = rows.join(told, on="product_id", how="left", maintain_order="left")
    return rows


def _acted(m: Material, action: str, table: str, columns: Mapping[str, Column]) -> Listing | None:
    """The products of an action that nobody has dismissed."""
    rows = (
        proposed(m.answers["inventory"].rows.lazy())
        .filter(left(action))
        .sort("money", descending=True, nulls_last=True)
        .with_columns(_worded("verdict", ("accepted",)), weekly=pl.col("daily_demand") * 7)
        .collect()
    )
    if rows.is_empty():
        return None
    there = {"product_id": ID, "name": NAME, "category": CATEGORY, "supplier": SUPPLIER}
    return Listing(action, table, rows, {
        **there, **columns, "verdict": ANSWER, "verdict_reason": Column(text("book.col.remark")),
        "reason": REASON,
    }, bar="money")  # fmt: skip


def _sum(m: Material, name: str) -> pl.Expr:
    """A sum of what is known; null where nothing is."""
    if name == "margin" and not has(m.products, "unit_cost"):
        return pl.lit(None, pl.Float64).alias(name)
    return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)


def _worded(column: str, values: Iterable[str], part: str = "book") -> pl.Expr:
    """The words for what a column says."""
    words = {value: text(f"{part}.{column}.{value}") for value in values}
    return pl.col(column).cast(pl.String).replace(words).alias(column)
