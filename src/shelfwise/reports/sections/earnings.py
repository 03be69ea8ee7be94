"""What the range earns: where the revenue comes from, how products score, the best sellers."""

from collections.abc import Mapping

import polars as pl

from shelfwise import charts
from shelfwise.model import TIERS
from shelfwise.reports.material import Material
from shelfwise.reports.report import Block, Column, Grid, Section, clipped, grid
from shelfwise.reports.sections.common import CATEGORY, NAME, TIERED, has, left_out, part
from shelfwise.texts import text

BEST, CATEGORIES = 25, 15
"""How many rows of a list are shown."""


def revenue(m: Material) -> Section:
    """Where the revenue comes from: few products, and which categories."""
    f, products = m.formats, m.products
    spread = charts.earned(products)
    total = float(products["revenue"].sum())
    if not total > 0:
        key = "returned" if (products["revenue"] != 0).any() else "none"
        return Section("revenue", text("report.revenue"), text(f"report.revenue.{key}"))
    best = products.top_k(1, by="revenue").row(0, named=True)
    silent = int((products["revenue"] <= 0).sum())
    lead = [text("report.revenue.best", name=clipped(best["name"]),
                 money=f.money_short(best["revenue"]),
                 share=part(f, best["revenue"] / total, 1))]  # fmt: skip
    if silent:
        lead.append(
            text("report.revenue.silent", n=silent, share=part(f, silent / len(products), 1))
        )
    blocks: list[Block] = [charts.pareto(products, f)]
    if has(products, "category"):
        blocks += [charts.groups(products, "category", f), _categories(m, total)]
    if spread["a_count"] == products.height:
        finding = text("report.revenue.even", n=products.height)
    else:
        finding = text("report.revenue.finding", share=f.share(spread["a_products"]),
                       of=f.share(spread["a_revenue"]))  # fmt: skip
    return Section("revenue", text("report.revenue"), finding, tuple(lead), tuple(blocks))


def _categories(m: Material, total: float) -> Grid:
    """What each category has and brings, most revenue first."""
    high = pl.col("performance_tier") == "High"
    rows = (
        m.products.group_by(pl.col("category").cast(pl.String))
        .agg(pl.len().alias("products"), pl.col("revenue").sum(), pl.col("units_sold").sum(),
             pl.col("performance_score").mean().alias("score"), high.mean().alias("high"))
        .with_columns(pl.col("category").fill_null(text("report.no_category")),
                      share=pl.col("revenue") / total)
        .sort("revenue", "category", descending=[True, False])
    )  # fmt: skip
    shown = rows.head(CATEGORIES)
    return grid("", shown, {
        "category": CATEGORY,
        "products": Column(text("report.col.products"), "count"),
        "units_sold": Column(text("report.col.units"), "units"),
        "revenue": Column(text("report.col.revenue"), "money_short"),
        "share": Column(text("report.col.share"), "share_fine"),
        "score": Column(text("report.col.mean_score"), "number"),
        "high": Column(text("report.col.high"), "share"),
    }, left_out(m, rows.height, shown.height))  # fmt: skip


def scores(m: Material) -> Section:
    """How products score, what each tier holds, and what really moves the score."""
    f, products = m.formats, m.products
    total, worth = float(products["revenue"].sum()), _stock_money(m)
    tiers = (
        products.with_columns(worth)
        .group_by("performance_tier")
        .agg(pl.len().alias("products"), pl.col("performance_score").mean().alias("score"),
             pl.col("revenue").sum(), pl.col("stock_money").sum())
        .with_columns(share=pl.col("revenue") / total if total > 0 else pl.lit(None, pl.Float64))
    )  # fmt: skip
    if worth is _NO_STOCK:
        tiers = tiers.with_columns(pl.lit(None, pl.Float64).alias("stock_money"))
    order = pl.DataFrame({"performance_tier": list(TIERS)})
    tiers = order.join(tiers, on="performance_tier", how="inner", maintain_order="left")
    columns = {
        "performance_tier": TIERED,
        "products": Column(text("report.col.products"), "count"),
        "score": Column(text("report.col.mean_score"), "number"),
        "revenue": Column(text("report.col.revenue"), "money_short"),
        "share": Column(text("report.col.share"), "share"),
        "stock_money": Column(text("report.col.stock"), "money_short"),
    }
    count = products.filter(performance_tier="High").height
    lead = [text(f"report.scores.{m.tiering}")]
    if not count:
        finding = text("report.scores.none")
        if m.tiering == "quota":
            lead.append(text("report.scores.none.why"))
    elif total > 0:
        share = f.share(tiers.filter(performance_tier="High")["share"][0])
        finding = text("report.scores.finding", n=count, share=share)
    else:
        finding = text("report.scores.count", n=count)
    if m.set_by_hand:
        lead.append(text("report.scores.by_hand", n=m.set_by_hand))
    blocks: list[Block] = [
        charts.scores(products, f),
        grid(text("report.scores.tiers"), tiers, columns),
        _weights(m),
    ]
    if has(products, "stock_ratio"):
        inventory = m.answers.get("inventory")
        blocks.append(charts.portfolio_map(products, inventory.rows if inventory else None, f))
    return Section("scores", text("report.scores"), finding, tuple(lead), tuple(blocks))


def best_sellers(m: Material) -> Section:
    """The products that bring in most."""
    f, total = m.formats, float(m.products["revenue"].sum())
    rows = (
        m.products.filter(pl.col("revenue") > 0)
        .sort("revenue", "rank", descending=[True, False])
        .head(BEST)
        .with_columns(place=pl.int_range(1, pl.len() + 1),
                      share=pl.col("revenue") / (total if total > 0 else None))
    )  # fmt: skip
    if rows.is_empty():
        return Section("best", text("report.best"), text("report.revenue.none"))
    columns = {
        "place": Column("#", "count"),
        "name": NAME,
        "category": CATEGORY,
        "revenue": Column(text("report.col.revenue"), "money_whole"),
        "share": Column(text("report.col.share"), "share_fine"),
        "units_sold": Column(text("report.col.units"), "units"),
        "stock_ratio": Column(text("report.col.sell_through"), "share"),
        "performance_score": Column(text("report.col.score"), "number"),
        "performance_tier": TIERED,
    }
    low = rows.filter(performance_tier="Low").height
    finding = text("report.best.count", n=rows.height)
    if total > 0:
        finding = text(
            "report.best.finding", n=rows.height, share=part(f, float(rows["share"].sum()))
        )
    lead = [text("report.best.low", n=low)] if low else [text("report.best.none_low")]
    note = left_out(m, m.products.filter(pl.col("revenue") > 0).height, rows.height)
    return Section("best", text("report.best"), finding, tuple(lead),
                   (grid("", rows, there(rows, columns), note),))  # fmt: skip


def _weights(m: Material) -> Block:
    """The weights, and what really moves the score."""
    effective = m.summary.get("effective_weights") or {}
    rows = [
        (m.model.profile.metric(scale.metric).label, scale.weight, effective.get(scale.metric))
        for scale in m.model.scales
    ]
    frame = pl.DataFrame(
        rows, orient="row", schema={"metric": pl.String, "weight": pl.Float64, "real": pl.Float64}
    )
    return grid(text("report.scores.weights"), frame, {
        "metric": Column(text("report.col.metric")),
        "weight": Column(text("report.col.weight"), "share"),
        "real": Column(text("report.col.effect"), "share"),
    }, text("report.scores.weights.note"))  # fmt: skip


_NO_STOCK = pl.lit(0.0).alias("stock_money")


def _stock_money(m: Material) -> pl.Expr:
    """What the stock of a product is worth: at cost, at price where that is not known."""
    if not has(m.products, "stock"):
        return _NO_STOCK
    price = pl.coalesce("unit_cost", "price") if "unit_cost" in m.products.columns else "price"
    worth = pl.col("stock").clip(0) * (pl.col(price) if isinstance(price, str) else price)
    return worth.alias("stock_money")


def there(rows: pl.DataFrame, columns: Mapping[str, Column]) -> dict[str, Column]:
    return {name: column for name, column in columns.items() if name in rows.columns}
