"""Intervals: estimates with the range in which the truth probably lies, one below the other."""

import polars as pl

from shelfwise.charts.chart import Chart, data, heading, spec
from shelfwise.formats import Formats
from shelfwise.texts import text

ROW = 24


def intervals(
    rows: pl.DataFrame,
    *,
    name: str,
    title: str,
    meaning: str,
    sentence: str,
    axis: str,
    by: str,
    line: float | None = None,
    shares: bool = True,
    signed: bool = False,
) -> Chart:
    """A point and a bar for each row, in their order.

    Args:
        rows: With label, value, low and high, and tone: high, medium or low.
        name: What the program calls it.
        title: Its heading.
        meaning: One line that says how to read it.
        sentence: What these data say.
        axis: What is measured.
        by: What a row is, such as Product.
        line: A value that is marked: nothing changes, or a target.
        shares: Whether the values are shares; else they are plain numbers.
        signed: Whether numbers above zero have a plus.
    """
    order = rows["label"].to_list()
    kind = ("+" if signed else "") + ("~%" if shares else "~f")
    zero = {"labelExpr": "datum.value == 0 ? '0%' : datum.label"} if shares else {}
    x = {"type": "quantitative", "title": axis, "axis": {"format": kind, "tickCount": 5, **zero},
         "scale": {"zero": False, "nice": True}}  # fmt: skip
    y = {"field": "label", "type": "nominal", "sort": order, "title": None,
         "axis": {"labelLimit": 190, "ticks": False, "domain": False}}  # fmt: skip
    color = {"field": "tone", "type": "nominal", "legend": None,
             "scale": {"domain": ["high", "medium", "low"],
                       "range": ["$high", "$medium", "$low"]}}  # fmt: skip
    fine = ("+" if signed else "") + (".0%" if shares else ".1f")
    told = [{"field": "label", "title": by}, {"field": "value", "title": axis, "format": fine},
            {"field": "low", "title": heading("from"), "format": fine},
            {"field": "high", "title": heading("to"), "format": fine}]  # fmt: skip
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.45},
         "encoding": {"y": y, "x": x | {"field": "low"}, "x2": {"field": "high"}, "color": color,
                      "tooltip": told}},
        {"mark": {"type": "point", "filled": True, "size": 64, "opacity": 1},
         "encoding": {"y": y, "x": x | {"field": "value"}, "color": color, "tooltip": told}},
    ]  # fmt: skip
    if line is not None:
        layers.insert(0, {"data": {"values": [{"at": line}]},
                          "mark": {"type": "rule", "color": "$muted", "strokeDash": [4, 3]},
                          "encoding": {"x": x | {"field": "at"}}})  # fmt: skip
    height = max(120, ROW * rows.height + 40)
    shown = rows.select(
        pl.col("label").alias(by), pl.col("value").alias(axis),
        pl.col("low").alias(heading("from")), pl.col("high").alias(heading("to")),
    )  # fmt: skip
    written = ("change_fine" if signed else "share_fine") if shares else "number"
    kinds = ("text", written, written, written)
    drawn = spec(height, data=data(rows), layer=layers)
    return Chart(name, title, meaning, sentence, drawn, shown, kinds, height=height)


def labeled(products: pl.DataFrame) -> pl.DataFrame:
    """Products with a `label`: the name, and the id with it where several have that name.

    Example:
        >>> two = pl.DataFrame({"product_id": ["1", "2"], "name": ["Cap", "Cap"]})
        >>> labeled(two)["label"].to_list()
        ['Cap (1)', 'Cap (2)']
    """
    name, whole = pl.coalesce("name", "product_id"), pl.format("{} ({})", "name", "product_id")
    several = pl.col("name").is_not_null() & (pl.len().over("name") > 1)
    return products.with_columns(label=pl.when(several).then(whole).otherwise(name))


def growths(rows: pl.DataFrame, by: str, formats: Formats | None = None) -> Chart:
    """The growth of products or categories with its 95% interval, the strongest first.

    `rows` are of trends, with name or category as `label`, growth, growth_low, growth_high
    and trend.
    """
    formats = formats or Formats()
    tone = (
        pl.when(pl.col("trend") == "rising").then(pl.lit("high"))
        .when(pl.col("trend") == "falling").then(pl.lit("low"))
        .otherwise(pl.lit("medium"))
    )  # fmt: skip
    shown = rows.sort("growth", descending=True).select(
        "label", pl.col("growth").alias("value"), pl.col("growth_low").alias("low"),
        pl.col("growth_high").alias("high"), tone.alias("tone"),
    )  # fmt: skip
    best, worst = shown.row(0, named=True), shown.row(-1, named=True)
    told = [text("chart.growth.told" if best["value"] > 0 else "chart.growth.told.shrinks",
                 best=best["label"], growth=formats.change(best["value"]))]  # fmt: skip
    if worst["value"] < 0 and shown.height > 1:
        told.append(text("chart.growth.worst", worst=worst["label"],
                         growth=formats.change(worst["value"])))  # fmt: skip
    return intervals(
        shown,
        name=f"growth_by_{by.lower()}",
        title=text("chart.growth.title", by=by.lower()),
        meaning=text("chart.growth.meaning"),
        sentence="; ".join(told) + ".",
        axis=text("chart.growth"),
        by=by,
        line=0.0,
        signed=True,
    )
