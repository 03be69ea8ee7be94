"""Charts of one product: its weeks, and its score in each run."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import polars as pl

from shelfwise.charts.chart import Chart, data, spec, tier_scale
from shelfwise.formats import Formats


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
    y = {"field": "units", "type": "quantitative", "title": "Units a week",
         "axis": {"tickCount": 5}}  # fmt: skip
    width = max(1.5, min(12.0, 330 / max(sold.height, 1)))  # Bars of a chart in half a page.
    rows = sold.with_columns(pl.col("week").cast(pl.String))
    layers.append(
        {"data": data(rows),
         "mark": {"type": "bar", "color": "$soft", "width": width},
         "encoding": {"x": x, "y": y, "tooltip": [
             {"field": "week", "type": "temporal", "title": "Week from", "format": "%d %b %Y"},
             {"field": "units", "title": "Units", "format": ",.1f"}]}}
    )  # fmt: skip
    layers.append({"data": data(rows), "mark": {"type": "line"},
                   "encoding": {"x": x, "y": y | {"field": "average"}}})  # fmt: skip
    recent = sum(sold["units"].tail(8)) / max(len(sold["units"].tail(8)), 1)
    told = f"{formats.units(round(recent, 1))} units a week over the last eight weeks"
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
                 {"field": "expected", "title": "Expected a week", "format": ",.1f"},
                 {"field": "q5", "title": "5 % lie below", "format": ",.1f"},
                 {"field": "q95", "title": "5 % lie above", "format": ",.1f"}]}},
        ]  # fmt: skip
        told += (
            f"; {formats.units(round(float(forecast['expected']), 1))} expected in the next "
            f"{horizon} weeks, between {formats.units(round(float(forecast['q5']), 1))} and "
            f"{formats.units(round(float(forecast['q95']), 1))} with a probability of 90%"
        )
    shown = sold.select(
        pl.col("week").alias("Week from"), pl.col("units").alias("Units"),
        pl.col("average").alias("Average of 8 weeks"),
    )  # fmt: skip
    meaning = "Bars: units of each week. Line: average of eight weeks."
    if len(layers) > 2:
        meaning += " Dashed: the mean expected a week, with the range of 90%."
    return Chart(
        "weeks", "Units sold per week", meaning, told + ".", spec(260, layer=layers), shown,
        ("day", "units", "number"),
    )  # fmt: skip


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
        "y": {"field": "performance_score", "type": "quantitative", "title": "Score",
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
                     {"field": "as_of", "type": "temporal", "title": "Run of",
                      "format": "%d %b %Y"},
                     {"field": "performance_score", "title": "Score", "format": ".1f"},
                     {"field": "performance_tier", "title": "Tier"}]}},
        ],
    )  # fmt: skip
    first, last = scored["performance_score"][0], scored["performance_score"][-1]
    told = f"It scores {formats.number(last)}"
    if scored.height > 1:
        told += f" in the last of {scored.height:,} runs, and {formats.number(first)} in the first"
    shown = scored.select(
        pl.col("as_of").alias("Run of"), pl.col("performance_score").alias("Score"),
        pl.col("performance_tier").alias("Tier"),
    )  # fmt: skip
    of = f" of the profile {profile}" if profile else ""
    meaning = f"A point for each run{of} that has the product."
    kinds = ("day", "number", "text")
    return Chart("history", "Score by run", meaning, told + ".", drawn, shown, kinds, height=180)
