"""The map of a portfolio: what each product earns, and how much of it is sold."""

import numpy as np
import polars as pl

from shelfwise.charts.chart import Chart, data, heading, spec, tier_scale
from shelfwise.formats import Formats
from shelfwise.metrics import METRIC
from shelfwise.texts import text

MAP_ROWS, MAP_COLUMNS = 24, 30
CIRCLES = 60


def portfolio_map(
    products: pl.DataFrame, worth: pl.DataFrame | None = None, formats: Formats | None = None
) -> Chart:
    """Where all products lie by sell-through and revenue, and those worth a decision.

    Args:
        products: With product_id, name, revenue, stock_ratio and performance_tier.
        worth: Decisions, with product_id, action and money; the largest are drawn as circles.
            Without them the best sellers are.
        formats: How numbers are written.
    """
    formats = formats or Formats()
    some = products.filter((pl.col("revenue") > 0) & pl.col("stock_ratio").is_not_null())
    x, y = some["stock_ratio"].to_numpy(), np.log10(some["revenue"].to_numpy())
    low, high = (float(np.floor(y.min())), float(np.ceil(y.max()))) if len(y) else (0.0, 1.0)
    high = max(high, low + 1)
    column = np.minimum((x * MAP_COLUMNS).astype(int), MAP_COLUMNS - 1)
    row = np.minimum(((y - low) / (high - low) * MAP_ROWS).astype(int), MAP_ROWS - 1)
    cells, counts = np.unique(row * MAP_COLUMNS + column, return_counts=True)
    step = (high - low) / MAP_ROWS
    density = pl.DataFrame({
        "x": (cells % MAP_COLUMNS) / MAP_COLUMNS,
        "x2": (cells % MAP_COLUMNS + 1) / MAP_COLUMNS,
        "y": 10 ** (low + (cells // MAP_COLUMNS) * step),
        "y2": 10 ** (low + (cells // MAP_COLUMNS + 1) * step),
        "products": counts,
    })  # fmt: skip
    if worth is None:
        chosen = some.top_k(min(CIRCLES, some.height), by="revenue").with_columns(
            pl.lit(text("chart.map.best")).alias("action"), pl.col("revenue").alias("money")
        )
    else:
        keyed = some.with_columns(pl.col("product_id").cast(pl.String))
        taken = worth.filter(pl.col("action").is_not_null() & pl.col("money").is_not_null())
        per = CIRCLES // max(taken["action"].n_unique(), 1)
        taken = taken.sort("money", descending=True).group_by("action").head(per)
        chosen = keyed.join(taken.select("product_id", "action", "money"), on="product_id")
    circles = chosen.select(
        pl.col("product_id").cast(pl.String), "name", "stock_ratio", "revenue", "money",
        pl.col("performance_tier").alias("tier"),
        pl.col("action").str.replace_all("_", " "),
    ).sort("money", descending=True)  # fmt: skip
    revenue_label, sold_label = METRIC["revenue"].label, METRIC["stock_ratio"].label
    xs = {"field": "x", "type": "quantitative", "scale": {"domain": [0, 1]},
          "axis": {"format": "%", "grid": False, "tickCount": 5},
          "title": text("chart.map.x", metric=sold_label)}  # fmt: skip
    ys = {"field": "y", "type": "quantitative",
          "scale": {"type": "log", "domain": [10**low, 10**high]},
          "axis": {"format": "$~s", "tickCount": int(high - low)},
          "title": text("chart.map.y")}  # fmt: skip
    drawn = spec(
        460,
        layer=[
            {"data": data(density), "mark": {"type": "rect", "color": "$medium"},
             "encoding": {"x": xs, "x2": {"field": "x2"}, "y": ys, "y2": {"field": "y2"},
                          "opacity": {"field": "products", "type": "quantitative", "legend": None,
                                      "scale": {"type": "sqrt", "range": [0.08, 0.6]}},
                          "tooltip": [{"field": "products", "title": text("chart.map.here"),
                                       "format": ","}]}},
            {"data": data(circles),
             "mark": {"type": "circle", "opacity": 0.85, "stroke": "$surface", "strokeWidth": 1,
                      "cursor": "pointer"},
             "encoding": {
                 "x": xs | {"field": "stock_ratio"}, "y": ys | {"field": "revenue"},
                 "size": {"field": "money", "type": "quantitative", "legend": None,
                          "scale": {"range": [30, 500]}},
                 "color": {"field": "tier", "type": "nominal", "scale": tier_scale()},
                 "tooltip": [{"field": "name", "title": heading("product")},
                             {"field": "action", "title": heading("action")},
                             {"field": "tier", "title": heading("tier")},
                             {"field": "revenue", "title": revenue_label, "format": "$,.2f"},
                             {"field": "money", "title": heading("at_stake"),
                              "format": "$,.2f"}]}},
        ],
    )  # fmt: skip
    sold = some.height / max(products.height, 1)
    middle = some.select(pl.col("revenue", "stock_ratio").median()).row(0)
    shown = circles.select(
        pl.col("product_id").alias(heading("product_id")),
        pl.col("name").alias(heading("product")), pl.col("tier").alias(heading("tier")),
        pl.col("action").alias(heading("action")), pl.col("stock_ratio").alias(sold_label),
        pl.col("revenue").alias(revenue_label), pl.col("money").alias(heading("at_stake")),
    )  # fmt: skip
    return Chart(
        "portfolio_map",
        text("chart.map"),
        text("chart.map.meaning" if worth is not None else "chart.map.meaning.best"),
        text(
            "chart.map.told" if sold else "chart.map.told.none",
            share=formats.share(sold),
            money=formats.money_short(middle[0]),
            sold=formats.share(middle[1]),
        ),
        drawn,
        shown,
        ("text", "text", "text", "text", "share_fine", "money", "money"),
        height=460,
    )
