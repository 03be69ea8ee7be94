"""Charts: what they say is what the products say, and each can be drawn in both themes."""

import dataclasses
import datetime as dt
import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from kinds import ENGINES, Engine, shop
from shelfwise import analyze
from shelfwise.charts import CHARTS, THEMES, Chart, bridge, draw, history, intervals, weeks
from shelfwise.errors import InputError
from shelfwise.formats import WORDS, Formats

HOSTILE = "</script><img src=x onerror=alert(1)>{{7*7}}"


def some_shop() -> list[dict[str, Any]]:
    rows = shop(120)
    for number, row in enumerate(rows):
        row["category"] = ("Light", "Home", HOSTILE)[number % 3]
    rows[3]["name"] = HOSTILE
    return rows


def all_charts() -> list[Chart]:
    analysis = analyze(some_shop())
    sold = pl.DataFrame({
        "week": [dt.date(2026, 1, 5) + dt.timedelta(weeks=n) for n in range(30)],
        "units": [float(n % 7) for n in range(30)],
    })  # fmt: skip
    scored = pl.DataFrame({
        "as_of": [dt.date(2026, 1, 5), dt.date(2026, 2, 2)],
        "performance_score": [40.0, 71.5],
        "performance_tier": ["Medium", "High"],
    })  # fmt: skip
    expected = {"horizon": 8, "expected": 24.0, "q5": 10.0, "q95": 40.0}
    return [
        *(analysis.chart(name) for name in CHARTS),
        bridge([("Before", 900.0), ("Volume", 80.0), ("Price", -130.5)]),
        weeks(sold, expected),
        history(scored),
    ]


@pytest.mark.parametrize("theme", THEMES)
def test_each_chart_is_drawn_with_no_color_left_unnamed(theme: str) -> None:
    for chart in all_charts():
        names = {f"${name}" for name in THEMES[theme]}
        assert names.isdisjoint(_texts(chart.themed(theme)))
        assert not names.isdisjoint(_texts(dict(chart.spec)))
        drawn = chart.to_svg(theme)
        assert drawn.startswith("<svg")
        assert "<img" not in drawn
        assert "onerror=alert(1)>" not in drawn
        assert "NaN" not in drawn


def _texts(value: Any) -> list[str]:
    """All texts of a specification beside its data."""
    if isinstance(value, dict):
        return [t for key, part in value.items() if key != "values" for t in _texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    return [value] if isinstance(value, str) else []


def test_each_chart_has_a_heading_a_meaning_a_sentence_and_its_numbers() -> None:
    for chart in all_charts():
        assert chart.title
        assert chart.meaning.endswith(".")
        assert chart.sentence.endswith(".")
        assert chart.table.height > 0
        json.dumps(chart.spec, allow_nan=False)


def test_each_table_is_written_by_the_kinds_of_its_columns() -> None:
    euros = Formats("de_DE", "EUR")
    for chart in all_charts():
        rows = chart.written(euros)
        assert len(rows) == chart.table.height
        assert [name for name, _ in chart.columns] == chart.table.columns
        for (name, numbers), kind in zip(chart.columns, chart.kinds, strict=True):
            # A column of numbers is one of numbers also in the table, and the other way round.
            assert numbers == chart.table[name].dtype.is_numeric(), (chart.name, name)
            assert numbers == (kind not in WORDS)
    pareto = analyze(some_shop()).chart("pareto")
    first = pareto.table.row(0, named=True)
    assert pareto.written(euros)[0] == [
        "A", str(first["Products"]), euros.share(first["Share of products"], 1),
        euros.money(first["Revenue"]), euros.share(first["Share of revenue"], 1),
    ]  # fmt: skip
    lines = next(chart for chart in all_charts() if chart.name == "history").written()
    assert lines == [["5 Jan 2026", "40.0", "Medium"], ["2 Feb 2026", "71.5", "High"]]
    assert all_charts()[-2].written()[0] == ["5 Jan 2026", "0", "\N{EN DASH}"]


def test_a_column_that_nobody_can_write_is_refused() -> None:
    chart = analyze(some_shop()).chart("scores")
    for kinds in (("text",), ("text", "number", "number", "pounds")):
        with pytest.raises(ValueError, match="scores"):
            dataclasses.replace(chart, kinds=kinds)


def test_pareto_says_what_the_revenue_says() -> None:
    rows = some_shop()
    revenue = np.sort([row["price"] * row["units_sold"] for row in rows])[::-1]
    first = int(np.searchsorted(np.cumsum(revenue), 0.8 * revenue.sum())) + 1
    chart = analyze(rows).chart("pareto")
    table = {row["Class"]: row for row in chart.table.to_dicts()}
    assert abs(table["A"]["Products"] - first) <= 1
    assert sum(row["Products"] for row in table.values()) == len(rows)
    assert sum(row["Revenue"] for row in table.values()) == pytest.approx(revenue.sum())
    assert f"{table['A']['Products'] / len(rows):.0%} of products" in chart.sentence


def test_scores_and_categories_count_each_product_once() -> None:
    analysis = analyze(some_shop())
    assert analysis.chart("scores").table["Products"].sum() == 120
    by_category = analysis.chart("by_category").table
    assert by_category["Products"].sum() == 120
    assert by_category["Revenue"].sum() == pytest.approx(analysis.summary["total_revenue"])


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_the_same_from_every_kind_of_frame(engine: Engine, name: str) -> None:
    rows = some_shop()
    expected = analyze(rows).chart(name)
    found = analyze(engine(rows)).chart(name)
    assert found.sentence == expected.sentence
    assert found.table.equals(expected.table)


def test_scores_that_lie_close_together_have_an_axis_of_their_own() -> None:
    scored = pl.DataFrame({
        "performance_score": [*np.linspace(20, 31.5, 400), 3.0, 98.0],
        "performance_tier": [*["Low"] * 80, *["Medium"] * 240, *["High"] * 80, "Low", "High"],
    })  # fmt: skip
    chart = draw("scores", scored)
    drawn = [row["from"] for row in chart.spec["data"]["values"]]
    assert min(drawn) == 20.0
    assert max(drawn) < 32.5
    assert chart.spec["encoding"]["x"]["scale"]["domain"] == [20.0, 32.5]
    assert "here 20 to 32.5 of 0 to 100" in chart.spec["encoding"]["x"]["title"]
    # What is beyond is told, and stands in the table.
    assert chart.table["Products"].sum() == 402
    assert "2 products lie outside of 20 to 32.5" in chart.sentence
    wide = analyze(some_shop()).chart("scores")
    assert wide.spec["encoding"]["x"]["scale"]["domain"] == [0.0, 100.0]


def test_no_score_is_named_as_a_cut_where_tiers_overlap() -> None:
    scored = pl.DataFrame({
        "performance_score": [10.0, 50.0, 60.0, 40.0],
        "performance_tier": ["Low", "Medium", "Low", "High"],
    })  # fmt: skip
    told = draw("scores", scored).sentence
    assert "High begins" not in told
    assert "Low ends" not in told


def test_parts_of_a_bridge_add_up() -> None:
    chart = bridge([("Before", 900.0), ("Volume", 80.0), ("Price", -130.5)])
    *parts, after = chart.table["Money"].to_list()
    assert sum(parts) == after == 849.5
    assert "50 less than before" in chart.sentence
    assert "price" in chart.sentence


def test_numbers_are_written_by_locale_and_currency() -> None:
    euros = analyze(some_shop()).chart("by_category", Formats("de_DE", "EUR"))
    assert "€" in euros.sentence


def test_a_notebook_gets_a_drawing_and_a_sentence() -> None:
    chart = analyze(some_shop()).chart("pareto")
    bundle = chart._repr_mimebundle_()
    assert bundle["application/vnd.vegalite.v6+json"]["$schema"].endswith("/v6.json")
    assert chart.sentence in bundle["text/plain"]


def test_what_cannot_be_drawn_is_refused_with_a_way_out() -> None:
    asked = ("product_id", "name", "price", "units_sold", "stock")
    bare = analyze([{name: row[name] for name in asked} for row in shop(9)])
    with pytest.raises(InputError, match=r"no chart 'pie'.*pareto"):
        bare.chart("pie")
    with pytest.raises(InputError, match=r"no category.*Give the column category"):
        bare.chart("by_category")
    with pytest.raises(InputError, match=r"no stock.*Give the column stock"):
        draw("portfolio_map", pl.DataFrame({"stock_ratio": [None]}))
    with pytest.raises(InputError, match=r"no theme 'pink'.*light or dark"):
        bare.chart("pareto").themed("pink")


@pytest.mark.parametrize(
    ("locale", "value", "told"),
    [("en_US", 11e6, "€11.0M"), ("en_US", 10.9e6, "€10.9M"), ("en_US", 3_300, "€3.30K"),
     ("en_US", -3_370, "-€3.37K"), ("en_US", 999_600, "€1.00M"), ("en_US", 110_000, "€110K"),
     ("en_US", 999, "€999"), ("de_DE", 11e6, "11,0 Mio. €"), ("de_DE", 3_300, "3.300 €"),
     ("fr_FR", 3_300, "3,30 k €"), ("ja_JP", 11_000, "€1.10万")],
)  # fmt: skip
def test_short_money_always_has_three_digits(locale: str, value: float, told: str) -> None:
    assert Formats(locale, "EUR").money_short(value).replace("\u00a0", " ") == told


def test_scores_on_an_axis_are_plain_numbers() -> None:
    rows = pl.DataFrame({"label": ["A", "B"], "value": [52.0, 48.0], "low": [33.0, 36.0],
                         "high": [71.0, 66.0], "tone": ["medium", "medium"]})  # fmt: skip
    chart = intervals(rows, name="score", title="Score", meaning="", sentence="", axis="Score",
                      by="Supplier", shares=False)  # fmt: skip
    drawn = chart.to_svg("light")
    assert ">50</text>" in drawn
    assert "e+1<" not in drawn


@pytest.mark.parametrize("theme", THEMES)
def test_a_category_may_be_called_as_a_color(theme: str) -> None:
    rows = [row | {"category": "$high"} for row in shop(9)]
    assert "$high" in analyze(rows).chart("by_category").to_svg(theme)
