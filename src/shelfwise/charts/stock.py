"""Charts of stock: where its money lies, and how long it lasts."""

from itertools import pairwise

import polars as pl

from shelfwise.charts.catalogue import split_by_tier
from shelfwise.charts.chart import TIERS, Chart, data, heading, spec, tier_scale
from shelfwise.formats import Formats
from shelfwise.metrics import METRIC
from shelfwise.texts import text

COVERS = (1, 2, 4, 8, 13, 26, 52)
"""Weeks at which a bar of `cover` ends."""
LONG = 26
"""Weeks of stock from which on a bar is marked: half a year."""


def stocked(rows: pl.DataFrame, by: str = "category", formats: Formats | None = None) -> Chart:
    """The money in stock of each category, or of each tier.

    `rows` are of the inventory, with stock_money and performance_tier.
    """
    formats = formats or Formats()
    if by != "performance_tier":
        return split_by_tier(rows, by, "stock_money", f"stock_by_{by}", formats)
    sums = rows.group_by(pl.col(by).alias("tier")).agg(
        money=pl.col("stock_money").sum(), products=(pl.col("stock_money") > 0).sum()
    )
    order = pl.DataFrame({"tier": list(TIERS)})
    shown = order.join(sums, on="tier", how="inner", maintain_order="left")
    whole = float(shown["money"].sum())
    drawn = spec(
        150,
        data=data(shown),
        mark={"type": "bar", "height": {"band": 0.6}},
        encoding={
            "y": {"field": "tier", "type": "nominal", "sort": list(TIERS), "title": None,
                  "axis": {"ticks": False, "domain": False}},
            "x": {"field": "money", "type": "quantitative", "title": text("chart.stock_money"),
                  "axis": {"format": "$~s", "tickCount": 5}},
            "color": {"field": "tier", "type": "nominal", "scale": tier_scale(), "legend": None},
            "tooltip": [{"field": "tier", "title": heading("tier")},
                        {"field": "money", "title": text("chart.stock_money"), "format": "$,.2f"},
                        {"field": "products", "title": text("chart.stock_by_tier.products"),
                         "format": ","}],
        },
    )  # fmt: skip
    low = float(shown.filter(pl.col("tier") == "Low")["money"].sum())
    return Chart(
        "stock_by_tier",
        text("chart.stock_by_tier"),
        text("chart.stock_by_tier.meaning"),
        text("chart.stock_by_tier.told", money=formats.money_short(low),
             share=formats.share(low / whole if whole else 0)),
        drawn,
        shown.select(pl.col("tier").alias(heading("tier")), pl.col("money").alias(heading("money")),
                     pl.col("products").alias(heading("products"))),
        ("text", "money", "count"),
        height=150,
    )  # fmt: skip


def cover(rows: pl.DataFrame, formats: Formats | None = None) -> Chart:
    """For how many weeks the stock lasts, by the money that is in it.

    `rows` are of the inventory, with stock, stock_money and weeks.
    """
    formats = formats or Formats()
    names = [text("chart.cover.under", weeks=COVERS[0])]
    names += [text("chart.cover.between", low=low, high=high) for low, high in pairwise(COVERS)]
    names.append(text("chart.cover.over", weeks=COVERS[-1]))
    some = rows.filter((pl.col("stock") > 0) & pl.col("weeks").is_not_null())
    binned = some.with_columns(
        bar=pl.sum_horizontal(pl.col("weeks") >= edge for edge in COVERS)
        .replace_strict(list(range(len(names))), names, return_dtype=pl.String)
    ).group_by("bar").agg(money=pl.col("stock_money").sum(), products=pl.len())  # fmt: skip
    shown = pl.DataFrame({"bar": names}).join(binned, on="bar", how="left", maintain_order="left")
    shown = shown.with_columns(pl.col("money", "products").fill_null(0))
    long = [name for name, edge in zip(names[1:], COVERS, strict=True) if edge >= LONG]
    kind = pl.when(pl.col("bar").is_in(long)).then(pl.lit("long")).otherwise(pl.lit("usual"))
    drawn = spec(
        220,
        data=data(shown.with_columns(kind.alias("kind"))),
        mark={"type": "bar", "width": {"band": 0.8}},
        encoding={
            "x": {"field": "bar", "type": "nominal", "sort": names,
                  "title": text("chart.cover.x"), "axis": {"labelAngle": 0}},
            "y": {"field": "money", "type": "quantitative", "title": text("chart.stock_money"),
                  "axis": {"format": "$~s", "tickCount": 5}},
            "color": {"field": "kind", "type": "nominal", "legend": None,
                      "scale": {"domain": ["usual", "long"], "range": ["$high", "$low"]}},
            "tooltip": [{"field": "bar", "title": heading("weeks")},
                        {"field": "money", "title": text("chart.stock_money"), "format": "$,.2f"},
                        {"field": "products", "title": heading("products"), "format": ","}],
        },
    )  # fmt: skip
    whole = float(shown["money"].sum())
    stuck = float(shown.filter(pl.col("bar").is_in(long))["money"].sum())
    middle = some["weeks"].median()
    middle = float(middle) if isinstance(middle, int | float) else None
    return Chart(
        "cover",
        text("chart.cover"),
        text("chart.cover.meaning", n=LONG),
        text("chart.cover.told" if middle is None else "chart.cover.told.middle", n=LONG,
             money=formats.money_short(stuck), share=formats.share(stuck / whole if whole else 0),
             middle=formats.number(middle)),
        drawn,
        shown.select(pl.col("bar").alias(heading("weeks")),
                     pl.col("products").alias(heading("products")),
                     pl.col("money").alias(heading("money"))),
        ("text", "count", "money"),
        height=220,
    )  # fmt: skip


def earns_and_ties_up(rows: pl.DataFrame, formats: Formats | None = None) -> Chart:
    """What the range of each supplier earns, and beside it what its stock ties up.

    `rows` are of suppliers, with supplier, revenue and stock_money, in the order to be drawn.
    """
    formats = formats or Formats()
    order = rows["supplier"].to_list()
    kinds = {"revenue": METRIC["revenue"].label, "stock_money": text("chart.stock_money")}
    long = rows.select("supplier", *kinds).unpivot(
        index="supplier", variable_name="kind", value_name="money"
    ).with_columns(pl.col("kind").replace_strict(kinds), pl.col("money").fill_null(0))  # fmt: skip
    height = max(150, 30 * rows.height + 50)
    drawn = spec(
        height,
        data=data(long),
        mark={"type": "bar"},
        encoding={
            "y": {"field": "supplier", "type": "nominal", "sort": order, "title": None,
                  "axis": {"labelLimit": 150, "ticks": False, "domain": False}},
            "yOffset": {"field": "kind", "type": "nominal", "sort": list(kinds.values())},
            "x": {"field": "money", "type": "quantitative", "title": heading("money"),
                  "axis": {"format": "$~s", "tickCount": 5}},
            "color": {"field": "kind", "type": "nominal",
                      "scale": {"domain": list(kinds.values()), "range": ["$high", "$medium"]}},
            "tooltip": [{"field": "supplier", "title": heading("supplier")},
                        {"field": "kind", "title": heading("what")},
                        {"field": "money", "title": heading("money"), "format": "$,.2f"}],
        },
    )  # fmt: skip
    tied = rows.sort("stock_money", descending=True, nulls_last=True).row(0, named=True)
    first = rows.sort("revenue", descending=True, nulls_last=True).row(0, named=True)
    return Chart(
        "earns_and_ties_up",
        text("chart.earns"),
        text("chart.earns.meaning"),
        text("chart.earns.told.tied" if tied["stock_money"] else "chart.earns.told",
             first=first["supplier"], money=formats.money_short(first["revenue"]),
             tied=tied["supplier"], stock=formats.money_short(tied["stock_money"])),
        drawn,
        long.select(pl.col("supplier").alias(heading("supplier")),
                    pl.col("kind").alias(heading("what")), pl.col("money").alias(heading("money"))),
        ("text", "text", "money"),
        height=height,
    )  # fmt: skip
