"""Charts of stock: where its money lies, and how long it lasts."""

from itertools import pairwise

import polars as pl

from shelfwise.charts.catalogue import split_by_tier
from shelfwise.charts.chart import TIERS, Chart, data, spec, tier_scale
from shelfwise.formats import Formats

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
        return split_by_tier(
            rows, by, "stock_money", formats, f"stock_by_{by}", "Money in stock",
            f"Money in stock by {by}",
            "{first} ties up most: {money}, {share} of the money in stock.",
        )  # fmt: skip
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
            "x": {"field": "money", "type": "quantitative", "title": "Money in stock",
                  "axis": {"format": "$~s", "tickCount": 5}},
            "color": {"field": "tier", "type": "nominal", "scale": tier_scale(), "legend": None},
            "tooltip": [{"field": "tier", "title": "Tier"},
                        {"field": "money", "title": "Money in stock", "format": "$,.2f"},
                        {"field": "products", "title": "Products in stock", "format": ","}],
        },
    )  # fmt: skip
    low = float(shown.filter(pl.col("tier") == "Low")["money"].sum())
    return Chart(
        "stock_by_tier",
        "Money in stock by tier",
        "What stands on the shelves, by how well it performs.",
        f"{formats.money_short(low)}, {formats.share(low / whole if whole else 0)} of the money "
        f"in stock, lies in Low products.",
        drawn,
        shown.select(pl.col("tier").alias("Tier"), pl.col("money").alias("Money"),
                     pl.col("products").alias("Products")),
        ("text", "money", "count"),
        height=150,
    )  # fmt: skip


def cover(rows: pl.DataFrame, formats: Formats | None = None) -> Chart:
    """For how many weeks the stock lasts, by the money that is in it.

    `rows` are of the inventory, with stock, stock_money and weeks.
    """
    formats = formats or Formats()
    names = [f"under {COVERS[0]}"]
    names += [f"{low} to {high}" for low, high in pairwise(COVERS)]
    names.append(f"over {COVERS[-1]}")
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
                  "title": "Weeks that the stock lasts", "axis": {"labelAngle": 0}},
            "y": {"field": "money", "type": "quantitative", "title": "Money in stock",
                  "axis": {"format": "$~s", "tickCount": 5}},
            "color": {"field": "kind", "type": "nominal", "legend": None,
                      "scale": {"domain": ["usual", "long"], "range": ["$high", "$low"]}},
            "tooltip": [{"field": "bar", "title": "Weeks"},
                        {"field": "money", "title": "Money in stock", "format": "$,.2f"},
                        {"field": "products", "title": "Products", "format": ","}],
        },
    )  # fmt: skip
    whole = float(shown["money"].sum())
    stuck = float(shown.filter(pl.col("bar").is_in(long))["money"].sum())
    middle = some["weeks"].median()
    told = f"{formats.money_short(stuck)}, {formats.share(stuck / whole if whole else 0)} of it, " \
           f"lasts {LONG} weeks or more"  # fmt: skip
    if isinstance(middle, int | float):
        told += f"; the middle product in stock lasts {formats.number(float(middle))} weeks"
    return Chart(
        "cover",
        "How long the stock lasts",
        f"Money in stock by weeks of cover, at the expected demand; marked from {LONG} weeks on.",
        told + ".",
        drawn,
        shown.select(pl.col("bar").alias("Weeks"), pl.col("products").alias("Products"),
                     pl.col("money").alias("Money")),
        ("text", "count", "money"),
        height=220,
    )  # fmt: skip


def earns_and_ties_up(rows: pl.DataFrame, formats: Formats | None = None) -> Chart:
    """What the range of each supplier earns, and beside it what its stock ties up.

    `rows` are of suppliers, with supplier, revenue and stock_money, in the order to be drawn.
    """
    formats = formats or Formats()
    order = rows["supplier"].to_list()
    kinds = {"revenue": "Revenue", "stock_money": "Money in stock"}
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
            "x": {"field": "money", "type": "quantitative", "title": "Money",
                  "axis": {"format": "$~s", "tickCount": 5}},
            "color": {"field": "kind", "type": "nominal",
                      "scale": {"domain": list(kinds.values()), "range": ["$high", "$medium"]}},
            "tooltip": [{"field": "supplier", "title": "Supplier"},
                        {"field": "kind", "title": "What"},
                        {"field": "money", "title": "Money", "format": "$,.2f"}],
        },
    )  # fmt: skip
    tied = rows.sort("stock_money", descending=True, nulls_last=True).row(0, named=True)
    first = rows.sort("revenue", descending=True, nulls_last=True).row(0, named=True)
    told = f"{first['supplier']} brings in most, {formats.money_short(first['revenue'])}"
    if tied["stock_money"]:
        told += f"; the stock of {tied['supplier']} ties up most, " \
                f"{formats.money_short(tied['stock_money'])}"  # fmt: skip
    return Chart(
        "earns_and_ties_up",
        "What their range earns and ties up",
        "Revenue of the period, and what stands in stock now; those that earn most.",
        told + ".",
        drawn,
        long.select(pl.col("supplier").alias("Supplier"), pl.col("kind").alias("What"),
                    pl.col("money").alias("Money")),
        ("text", "text", "money"),
        height=height,
    )  # fmt: skip
