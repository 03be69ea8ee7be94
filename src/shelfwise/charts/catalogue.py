"""Charts of a whole catalogue: where revenue comes from, how products score."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from shelfwise.charts.chart import TIERS, Chart, data, heading, spec, stacking, tier_scale
from shelfwise.charts.portfolio import portfolio_map
from shelfwise.errors import InputError, excerpt
from shelfwise.formats import Formats
from shelfwise.metrics import METRIC
from shelfwise.texts import text

CURVE_POINTS = 200
BINS = 50
NARROW = 50.0
"""Points within which scores lie close together."""
WIDTHS = (0.1, 0.2, 0.5, 1.0, 2.0)
"""How wide the bins of scores may be."""
LISTED = 12


def pareto(products: pl.DataFrame, formats: Formats | None = None) -> Chart:
    """Which share of the products earns which share of the revenue, with A, B and C.

    `products` has revenue and abc_class; products without revenue count among the products.
    A holds the first 80% of revenue, B the next 15%, C the rest (Juran's Pareto analysis).
    """
    formats = formats or Formats()
    found = earned(products, formats)
    share_a = found["a_products"]
    curve, bands = found["curve"], found["bands"]
    last_b = bands["to"][1]
    marks = pl.DataFrame({"x": [share_a], "y": [found["a_revenue"]],
                          "text": [text("chart.pareto.mark", share=formats.share(share_a),
                                        of=formats.share(found["a_revenue"]))]})  # fmt: skip
    x = {"field": "x", "type": "quantitative", "title": text("chart.pareto.x"),
         "axis": {"format": "%", "grid": False, "tickCount": 5},
         "scale": {"domain": [0, 1]}}  # fmt: skip
    y = {"field": "y", "type": "quantitative", "title": heading("share_of_revenue"),
         "axis": {"format": "%", "tickCount": 5}, "scale": {"domain": [0, 1]}}  # fmt: skip
    drawn = spec(
        260,
        layer=[
            {
                "data": data(bands),
                "mark": {"type": "rect"},
                "encoding": {
                    "x": x | {"field": "from"},
                    "x2": {"field": "to"},
                    "color": {"field": "class", "type": "nominal", "legend": None,
                              "scale": {"domain": ["A", "B", "C"],
                                        "range": ["$band_a", "$band_b", "$band_c"]}},
                    "tooltip": [{"field": "told", "title": heading("class")}],
                },
            },
            {
                "data": data(bands.filter(pl.col("to") - pl.col("from") > 0.04)),
                "mark": {"type": "text", "baseline": "bottom", "dy": -6, "fontWeight": 600},
                "encoding": {"x": x | {"field": "middle"}, "y": {"datum": 0},
                             "text": {"field": "class"}},
            },
            {"data": data(curve), "mark": {"type": "line", "interpolate": "monotone"},
             "encoding": {"x": x, "y": y}},
            {"data": data(marks), "mark": {"type": "point", "filled": True, "size": 60,
                                            "color": "$accent", "opacity": 1},
             "encoding": {"x": x, "y": y}},
            {"data": data(marks),
             "mark": {"type": "text", "align": "left", "dx": 9, "dy": 13, "fontWeight": 600},
             "encoding": {"x": x, "y": y, "text": {"field": "text"}}},
        ],
    )  # fmt: skip
    key = "chart.pareto.told.all" if found["a_count"] == products.height else "chart.pareto.told"
    told = text(
        key, n=products.height, share=formats.share(share_a),
        count=formats.count(found["a_count"]),
        of=formats.share(found["a_revenue"]), last=formats.share(1 - last_b),
        rest=formats.share(1 - found["b_revenue"]),
    )  # fmt: skip
    shown = bands.select(
        pl.col("class").alias(heading("class")),
        pl.col("count").alias(heading("products")),
        (pl.col("to") - pl.col("from")).alias(heading("share_of_products")),
        pl.col("revenue").alias(METRIC["revenue"].label),
        pl.col("share").alias(heading("share_of_revenue")),
    )
    return Chart(
        "pareto",
        text("chart.pareto"),
        text("chart.pareto.meaning"),
        told,
        drawn,
        shown,
        ("text", "count", "share_fine", "money", "share_fine"),
    )


def earned(products: pl.DataFrame, formats: Formats | None = None) -> dict[str, Any]:
    """How revenue is spread: the curve, the bands of A, B and C, and the ends of A and B."""
    formats = formats or Formats()
    revenue = products["revenue"].fill_null(0.0).to_numpy()
    classes = products["abc_class"].to_numpy()
    order = np.argsort(-revenue, kind="stable")
    total = float(revenue.sum())
    running = np.cumsum(revenue[order]) / total if total > 0 else np.zeros(len(order))
    n = len(order)
    places = np.unique(np.linspace(0, n, min(n, CURVE_POINTS) + 1).astype(int))
    ys = np.where(places > 0, running[np.maximum(places, 1) - 1], 0.0)
    curve = pl.DataFrame({"x": places / n, "y": np.round(np.minimum(ys, 1.0), 5)})
    rows, start, shares = [], 0, 0.0
    for label in ("A", "B", "C"):
        mine = classes == label
        count = int(mine.sum())
        money = float(revenue[mine].sum())
        share = money / total if total > 0 else 0.0
        end = start + count
        told = text("chart.pareto.class", **{"class": label}, count=formats.count(count),
                    share=formats.share(share, 1))  # fmt: skip
        rows.append((label, count, start / n, end / n, (start + end) / 2 / n, money, share, told))
        start, shares = end, shares + share
    names = ["class", "count", "from", "to", "middle", "revenue", "share", "told"]
    bands = pl.DataFrame(rows, schema=names, orient="row")
    return {
        "curve": curve,
        "bands": bands,
        "a_count": rows[0][1],
        "a_products": rows[0][3],
        "a_revenue": rows[0][6],
        "b_revenue": rows[0][6] + rows[1][6],
    }


def scores(products: pl.DataFrame, formats: Formats | None = None) -> Chart:
    """How many products score how much, by tier. `products` has performance_score and tier."""
    formats = formats or Formats()
    score = products["performance_score"].to_numpy()
    tiers = products["performance_tier"].to_numpy()
    start, end, width = score_axis(score)
    bins = round((end - start) / width)
    # Those beyond the axis are counted in one bin on either side, which the table has.
    place = np.floor((score - start) / width + 1e-9).astype(int)
    place = np.where(score <= end, np.minimum(place, bins - 1), bins).clip(-1)
    edges = [0.0, *(round(start + width * n, 6) for n in range(bins + 1)), 100.0]
    rows = [
        (tier, edges[b + 1], edges[b + 2], int(count))
        for tier in TIERS
        for b, count in zip(*np.unique(place[tiers == tier], return_counts=True), strict=True)
    ]
    binned = pl.DataFrame(rows, schema=["tier", "from", "to", "products"], orient="row")
    beyond = int(((place < 0) | (place == bins)).sum())
    high, low = score[tiers == "High"], score[tiers == "Low"]
    part = end - start < 100
    axis = text("chart.scores.x.part", low=formats.units(start), high=formats.units(end)) if part \
        else text("chart.scores.x")  # fmt: skip
    # Bins would each have a tick else: at most about six of them, at whole numbers of bins.
    apart = next(n for n in (5, 10) if bins <= 6 * n) * width
    first = int(np.ceil(start / apart - 1e-9))
    ticks = [round(apart * n, 6) for n in range(first, int(end / apart + 1e-9) + 1)]
    drawn = spec(
        260,
        data=data(binned.filter(pl.col("from") >= start, pl.col("to") <= end)
                  .with_columns(stacking("tier"))),
        mark={"type": "bar", "binSpacing": 1},
        encoding={
            "x": {"field": "from", "type": "quantitative", "bin": {"binned": True, "step": width},
                  "title": axis, "axis": {"grid": False, "values": ticks},
                  "scale": {"domain": [start, end], "zero": False, "nice": False}},
            "x2": {"field": "to"},
            "y": {"field": "products", "type": "quantitative", "title": heading("products"),
                  "stack": True, "axis": {"format": "~s", "tickCount": 5, "tickMinStep": 1}},
            "color": {"field": "tier", "type": "nominal", "scale": tier_scale()},
            "order": {"field": "place", "sort": "descending"},
            "tooltip": [{"field": "tier", "title": heading("tier")},
                        {"field": "from", "title": heading("score_from")},
                        {"field": "to", "title": heading("to")},
                        {"field": "products", "title": heading("products"), "format": ","}],
        },
    )  # fmt: skip
    told = [text("chart.scores.told", middle=formats.number(float(np.median(score))))]
    # Where tiers are clusters, or set by hand, no score need part them.
    if len(high) and high.min() >= score[tiers != "High"].max(initial=-np.inf):
        told.append(text("chart.scores.high", score=formats.number(float(high.min()))))
    if len(low) and low.max() <= score[tiers != "Low"].min(initial=np.inf):
        told.append(text("chart.scores.low", score=formats.number(float(low.max()))))
    shown = binned.select(
        pl.col("tier").alias(heading("tier")), pl.col("from").alias(heading("score_from")),
        pl.col("to").alias(heading("to")), pl.col("products").alias(heading("products")),
    )  # fmt: skip
    if beyond:
        told.append(text("chart.scores.beyond", n=beyond, low=formats.units(start),
                         high=formats.units(end)))  # fmt: skip
    by_fifths = abs(len(high) / max(len(score), 1) - 0.2) < 0.02
    return Chart(
        "scores",
        text("chart.scores"),
        text("chart.scores.meaning.quota" if by_fifths else "chart.scores.meaning"),
        "; ".join(told) + ".",
        drawn,
        shown,
        ("text", "number", "number", "count"),
    )


def score_axis(score: np.ndarray) -> tuple[float, float, float]:
    """Where an axis of scores begins and ends, and how wide its bins are.

    Scores that lie close together, all or the middle 98% of them, have an axis of their own.

    >>> score_axis(np.array([0.0, 44.0, 97.5]))
    (0.0, 100.0, 2.0)
    >>> score_axis(np.array([11.2, 14.0, 22.9]))
    (10.0, 25.0, 0.5)
    """
    for outside in (0.0, 0.01):
        low, high = np.quantile(score, [outside, 1 - outside]) if len(score) else (0.0, 100.0)
        if high - low <= NARROW:
            width = next(width for width in WIDTHS if high - low <= width * BINS)
            step = 5 * width
            start = max(0.0, float(np.floor(low / step)) * step)
            return start, min(100.0, max(float(np.ceil(high / step)) * step, start + step)), width
    return 0.0, 100.0, 100 / BINS


def groups(products: pl.DataFrame, by: str = "category", formats: Formats | None = None) -> Chart:
    """The revenue of each category (or supplier, brand), split by tier; the largest first."""
    return split_by_tier(products, by, "revenue", f"by_{by}", formats or Formats())


def split_by_tier(
    products: pl.DataFrame, grouped: str, value: str, name: str, formats: Formats
) -> Chart:
    """Bars of money, revenue or stock_money, for each group, split by tier."""
    axis, by = text(f"chart.{value}"), text(f"chart.group.{grouped}")
    named = products.with_columns(
        pl.col(grouped).cast(pl.String).fill_null(text("chart.group.none", by=by)).alias("group"),
        pl.col(value).alias("revenue"),
    )
    totals = named.group_by("group").agg(pl.col("revenue").sum()).sort(
        ["revenue", "group"], descending=[True, False]
    )  # fmt: skip
    first = totals.head(LISTED)["group"].to_list()
    more = totals.height - LISTED
    rest = text("chart.group.others", n=more) if more > 0 else None
    shown = (
        named.with_columns(
            pl.when(pl.col("group").is_in(first)).then(pl.col("group")).otherwise(pl.lit(rest))
            .alias("group")
        )
        .group_by("group", "performance_tier")
        .agg(pl.col("revenue").sum(), pl.len().alias("products"))
        .rename({"performance_tier": "tier"})
        .sort("group", "tier")
    )  # fmt: skip
    order = [*first, *([rest] if rest else [])]
    drawn = spec(
        max(120, 26 * len(order) + 40),
        data=data(shown.with_columns(stacking("tier"))),
        mark={"type": "bar", "height": {"band": 0.72}},
        encoding={
            "y": {"field": "group", "type": "nominal", "sort": order, "title": None,
                  "axis": {"labelLimit": 140, "ticks": False, "domain": False}},
            "x": {"field": "revenue", "type": "quantitative", "title": axis,
                  "axis": {"format": "$~s", "tickCount": 5}},
            "color": {"field": "tier", "type": "nominal", "scale": tier_scale()},
            "order": {"field": "place", "sort": "ascending"},
            "tooltip": [{"field": "group", "title": by.capitalize()},
                        {"field": "tier", "title": heading("tier")},
                        {"field": "revenue", "title": axis, "format": "$,.2f"},
                        {"field": "products", "title": heading("products"), "format": ","}],
        },
    )  # fmt: skip
    all_of = float(totals["revenue"].sum())
    best = totals.row(0)
    share = formats.share(best[1] / all_of) if all_of > 0 else formats.share(0)
    table = shown.select(
        pl.col("group").alias(by.capitalize()), pl.col("tier").alias(heading("tier")),
        pl.col("revenue").alias(axis), pl.col("products").alias(heading("products")),
    )  # fmt: skip
    return Chart(
        name,
        text(f"chart.{value}.by", by=by),
        text("chart.group.meaning"),
        text(f"chart.{value}.told", first=best[0], money=formats.money_short(best[1]), share=share),
        drawn,
        table,
        ("text", "text", "money", "count"),
        height=max(120, 26 * len(order) + 40),
    )


CHARTS: dict[str, Callable[..., Chart]] = {
    "pareto": pareto,
    "scores": scores,
    "portfolio_map": portfolio_map,
    "by_category": groups,
}
"""Charts of scored products alone, by name."""
CHARTED = (
    "product_id", "name", "category", "revenue", "stock_ratio", "performance_score",
    "performance_tier", "abc_class",
)  # fmt: skip
"""The columns that they look at."""


def draw(name: str, products: pl.DataFrame, formats: Formats | None = None) -> Chart:
    """A chart of scored products by its name.

    Raises InputError for a name that there is not, or products without the columns it needs.
    """
    if name not in CHARTS:
        raise InputError(f"There is no chart {excerpt(name)}.", f"There are {', '.join(CHARTS)}.")
    if name == "by_category" and "category" not in products.columns:
        raise InputError("These products have no category.", "Give the column category.")
    if name == "portfolio_map" and products["stock_ratio"].null_count() == products.height:
        raise InputError("These products have no stock.", "Give the column stock.")
    return CHARTS[name](products, formats=formats)
