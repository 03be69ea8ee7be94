"""Charts of two runs side by side."""

from collections.abc import Sequence

import polars as pl

from shelfwise.charts.chart import Chart, data, heading, spec
from shelfwise.formats import Formats
from shelfwise.metrics import METRIC
from shelfwise.texts import text


def bridge(parts: Sequence[tuple[str, float]], formats: Formats | None = None) -> Chart:
    """From one total to another: each part adds or takes; the parts add up exactly.

    The first part is the total before; then come the changes; the last total is their sum.
    """
    formats = formats or Formats()
    running, rows = 0.0, []
    for place, (label, value) in enumerate(parts):
        start = 0.0 if place == 0 else running
        running = running + value
        kind = "total" if place == 0 else "more" if value >= 0 else "less"
        rows.append((label, start, running, value, kind))
    rows.append((text("chart.bridge.after"), 0.0, running, running, "total"))
    names = ["part", "from", "to", "value", "kind"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    moving = [edge for row in rows[1:-1] for edge in row[1:3]]
    gap = max(max(moving) - min(moving), abs(running) * 0.002)
    # Where the changes are small beside the totals, the bars of these are cut off below.
    low = max(0.0, min(moving) - gap) if running > 0 else min(0.0, min(moving))
    drawn = spec(
        280,
        data=data(frame.with_columns(
            pl.max_horizontal("from", pl.lit(low)).alias("from"),
            pl.col("value").map_elements(formats.money_short, return_dtype=pl.String)
            .alias("text"),
        )),
        layer=[
            {"mark": {"type": "bar", "width": {"band": 0.66}},
             "encoding": {
                 "y": {"field": "from", "type": "quantitative", "title": METRIC["revenue"].label,
                       "scale": {"zero": low <= 0},
                       "axis": {"format": "$~s", "tickCount": 5}},
                 "y2": {"field": "to"},
                 "color": {"field": "kind", "type": "nominal", "legend": None,
                           "scale": {"domain": ["total", "more", "less"],
                                     "range": ["$medium", "$high", "$low"]}},
                 "tooltip": [{"field": "part", "title": heading("part")},
                             {"field": "value", "title": heading("money"), "format": "$,.2f"}]}},
            {"mark": {"type": "text", "dy": -8, "fontSize": 11, "fontWeight": 600},
             "encoding": {"y": {"field": "top", "type": "quantitative"},
                          "text": {"field": "text"}},
             "transform": [{"calculate": "max(datum.from, datum.to)", "as": "top"}]},
        ],
        encoding={"x": {"field": "part", "type": "nominal", "sort": frame["part"].to_list(),
                        "title": None,
                        "axis": {"labelAngle": 0, "labelLimit": 90, "labelFontSize": 10}}},
    )  # fmt: skip
    change = running - parts[0][1]
    largest = max(parts[1:], key=lambda part: abs(part[1]))
    told = text(
        "chart.bridge.more" if change >= 0 else "chart.bridge.less",
        money=formats.money_short(abs(change)), part=largest[0].lower(),
        by=formats.money_short(largest[1]),
    )  # fmt: skip
    shown = frame.select(
        pl.col("part").alias(heading("part")), pl.col("value").alias(heading("money"))
    )
    return Chart(
        "bridge",
        text("chart.bridge"),
        text("chart.bridge.meaning" if low <= 0 else "chart.bridge.meaning.cut"),
        told,
        drawn,
        shown,
        ("text", "money"),
        height=280,
    )
