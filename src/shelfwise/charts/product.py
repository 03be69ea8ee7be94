"""Charts of one product: its weeks, and its score in each run."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import polars as pl

from shelfwise.charts.chart import Chart, data, heading, spec, tier_scale
from shelfwise.formats import Formats
from shelfwise.texts import text


def weeks(
    units: pl.DataFrame,
    forecast: Mapping[str, Any] | None = None,
    formats: Formats | None = None,
) -> Chart:
    """The units a product sold each week, their average of eight weeks, and what is expected.

    Args:
        units: week (a date, Monday) and units.
        forecast: horizon (weeks), expected, q5 and q95 of their sum, where there is one.
        formats: How numbers are written.
    """
    formats = formats or Formats()
    sold = units.sort("week").with_columns(
        pl.col("units").rolling_mean(8, min_samples=4).alias("average")
    )
    layers: list[dict[str, Any]] = []
    x = {"field": "week", "type": "temporal", "title": None,
         "axis": {"format": "%b %y", "grid": False, "tickCount": 6}}  # fmt: skip
    y = {"field": "units", "type": "quantitative", "title": text("chart.weeks.y"),
         "axis": {"tickCount": 5}}  # fmt: skip
    width = max(1.5, min(12.0, 330 / max(sold.height, 1)))  # Bars of a chart in half a page.
    rows = sold.with_columns(pl.col("week").cast(pl.String))
    layers.append(
        {"data": data(rows),
         "mark": {"type": "bar", "color": "$soft", "width": width},
         "encoding": {"x": x, "y": y, "tooltip": [
             {"field": "week", "type": "temporal", "title": heading("week"), "format": "%d %b %Y"},
             {"field": "units", "title": heading("units"), "format": ",.1f"}]}}
    )  # fmt: skip
    layers.append({"data": data(rows), "mark": {"type": "line"},
                   "encoding": {"x": x, "y": y | {"field": "average"}}})  # fmt: skip
    recent = sum(sold["units"].tail(8)) / max(len(sold["units"].tail(8)), 1)
    told = [text("chart.weeks.told", units=formats.units(round(recent, 1)))]
    if forecast and forecast.get("expected") is not None and sold.height:
        horizon = int(forecast["horizon"])
        last = sold["week"][-1]
        ends = [last + dt.timedelta(weeks=1), last + dt.timedelta(weeks=horizon)]
        band = pl.DataFrame({
            "week": [end.isoformat() for end in ends],
            **{n: [float(forecast[n]) / horizon] * 2 for n in ("expected", "q5", "q95")},
        })  # fmt: skip
        layers += [
            {"data": data(band), "mark": {"type": "area", "color": "$accent", "opacity": 0.22},
             "encoding": {"x": x, "y": y | {"field": "q5"}, "y2": {"field": "q95"}}},
            {"data": data(band), "mark": {"type": "line", "strokeDash": [5, 4]},
             "encoding": {"x": x, "y": y | {"field": "expected"}, "tooltip": [
                 {"field": "expected", "title": text("chart.weeks.expected"), "format": ",.1f"},
                 {"field": "q5", "title": text("chart.weeks.below"), "format": ",.1f"},
                 {"field": "q95", "title": text("chart.weeks.above"), "format": ",.1f"}]}},
        ]  # fmt: skip
        expected, low, high = (
            formats.units(round(float(forecast[name]), 1)) for name in ("expected", "q5", "q95")
        )
        told.append(text("chart.weeks.told.forecast", units=expected, n=horizon, low=low,
                         high=high))  # fmt: skip
    shown = sold.select(
        pl.col("week").alias(heading("week")), pl.col("units").alias(heading("units")),
        pl.col("average").alias(heading("average")),
    )  # fmt: skip
    return Chart(
        "weeks",
        text("chart.weeks"),
        text("chart.weeks.meaning.forecast" if len(layers) > 2 else "chart.weeks.meaning"),
        "; ".join(told) + ".",
        spec(260, layer=layers),
        shown,
        ("day", "units", "number"),
    )


def history(
    scored: pl.DataFrame, formats: Formats | None = None, profile: str | None = None
) -> Chart:
    """The score of a product in each run: as_of, performance_score, performance_tier.

    Scores of several profiles are no series: pass the runs of one, and name it.
    """
    formats = formats or Formats()
    rows = scored.with_columns(pl.col("as_of").cast(pl.String))
    encoding = {
        "x": {"field": "as_of", "type": "temporal", "title": None,
              "axis": {"format": "%d %b %y", "grid": False,
                       "values": rows["as_of"].unique(maintain_order=True).tail(6).to_list()}},
        "y": {"field": "performance_score", "type": "quantitative", "title": heading("score"),
              "scale": {"domain": [0, 100]}, "axis": {"tickCount": 5}},
    }  # fmt: skip
    drawn = spec(
        180,
        data=data(rows),
        layer=[
            {"mark": {"type": "line", "color": "$soft"}, "encoding": encoding},
            {"mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
             "encoding": encoding | {
                 "color": {"field": "performance_tier", "type": "nominal", "scale": tier_scale()},
                 "tooltip": [
                     {"field": "as_of", "type": "temporal", "title": heading("run"),
                      "format": "%d %b %Y"},
                     {"field": "performance_score", "title": heading("score"), "format": ".1f"},
                     {"field": "performance_tier", "title": heading("tier")}]}},
        ],
    )  # fmt: skip
    first, last = scored["performance_score"][0], scored["performance_score"][-1]
    shown = scored.select(
        pl.col("as_of").alias(heading("run")), pl.col("performance_score").alias(heading("score")),
        pl.col("performance_tier").alias(heading("tier")),
    )  # fmt: skip
    return Chart(
        "history",
        text("chart.history"),
        text("chart.history.meaning.profile" if profile else "chart.history.meaning",
             profile=profile),
        text("chart.history.told.runs" if scored.height > 1 else "chart.history.told",
             score=formats.number(last), n=scored.height, first=formats.number(first)),
        drawn,
        shown,
        ("day", "number", "text"),
        height=180,
    )  # fmt: skip
