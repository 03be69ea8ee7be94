"""Trends: what rises and what falls, by how much, and how sure that is."""

from typing import Any

import polars as pl
from flask import request

from shelfwise import charts
from shelfwise.sales.labels import TRENDS
from shelfwise.service.dashboard.page import (
    Seen,
    drawn,
    one_of,
    ordered_by,
    screen,
    seen,
    show,
    url,
    whole,
    within,
)
from shelfwise.service.dashboard.working import working
from shelfwise.store.query import Query, page
from shelfwise.texts import text

ROWS = 25
DRAWN = 7
"""How many of the strongest are drawn on either side."""
VIEWS = ("confirmed", "indicative", "shifts", "categories")
LABELS = {
    "confirmed": ("rising", "falling"),
    "indicative": ("indicative_rising", "indicative_falling"),
}
COLUMNS: tuple[str, ...] = ("name", "category", "trend", "growth", "interval", "units")
SHIFTED: tuple[str, ...] = ("name", "category", "shift", "trend", "units")
SORTS = {"name": "name", "category": "category", "trend": "trend", "growth": "-growth",
         "interval": "-sure", "units": "-units", "shift": "-shift"}  # fmt: skip


@screen("/trends")
def trends() -> Any:
    """One of the views: confirmed trends, indicative ones, recent shifts, categories."""
    view = one_of(VIEWS, "view", request.args.get("view") or "confirmed")
    if waiting := working("trends", "trends", view=view):
        return waiting
    some = seen()
    rows = some.derived["trends"].scan()
    counts = dict(rows.group_by("trend").len().collect().iter_rows())
    shifts = int(rows.select(pl.col("shift").is_not_null().sum()).collect().item())
    return show(
        "trends",
        "trends",
        title=_finding(counts),
        view=view,
        views=[(name, text(f"trends.view.{name}")) for name in VIEWS],
        tiles=_tiles(some, counts, shifts),
        labels=[(name, meaning, counts.get(name, 0)) for name, meaning in TRENDS.items()],
        about=some.about("trends"),
        **(_categories(some) if view == "categories" else _list(some, rows, view)),
    )


def _finding(counts: dict[str, int]) -> str:
    rising, falling = counts.get("rising", 0), counts.get("falling", 0)
    if not rising and not falling:
        return text("trends.title.none")
    parts = [text(f"trends.title.{name}", n=counts[name]) for name in LABELS["confirmed"]
             if counts.get(name)]  # fmt: skip
    return text("trends.title", parts=text("trends.title.and").join(parts))


def _tiles(some: Seen, counts: dict[str, int], shifts: int) -> list[dict[str, str]]:
    f = some.formats
    tiles = [
        {"label": text(f"trend.{name}"), "value": f.count(counts.get(name, 0)),
         "note": text("trends.confirmed"), "href": url("trends", trend=name)}
        for name in LABELS["confirmed"]
    ]  # fmt: skip
    perhaps = sum(counts.get(name, 0) for name in LABELS["indicative"])
    tiles.append({"label": text("trends.view.indicative"), "value": f.count(perhaps),
                  "note": text("trends.not_confirmed"),
                  "href": url("trends", view="indicative")})  # fmt: skip
    tiles.append({"label": text("trends.view.shifts"), "value": f.count(shifts),
                  "note": text("trends.shifts.note" if shifts else "trends.shifts.none"),
                  "href": url("trends", view="shifts")})  # fmt: skip
    tiles.append({"label": text("trend.flat"), "value": f.count(counts.get("flat", 0)),
                  "note": text("trends.flat.note")})  # fmt: skip
    return tiles


def _list(some: Seen, rows: pl.LazyFrame, view: str) -> dict[str, Any]:
    """A page of a list, and the strongest of it drawn."""
    is_shift = view == "shifts"
    wanted = rows.filter(pl.col("shift").is_not_null() if is_shift else
                         pl.col("trend").is_in(LABELS[view]))  # fmt: skip
    shown = SHIFTED if is_shift else COLUMNS
    strongest = _strongest(wanted) if view != "shifts" else None
    trend, category = request.args.get("trend"), request.args.get("category")
    if trend:
        wanted = wanted.filter(pl.col("trend") == one_of(TRENDS, "trend", trend))
    known = wanted.select(pl.col("category").drop_nulls().unique()).collect()["category"]
    if category:
        wanted = wanted.filter(pl.col("category") == category)
    # Where all of an interval is far from zero, the trend is surest.
    sure = pl.min_horizontal(pl.col("growth_low").abs(), pl.col("growth_high").abs())
    count = int(wanted.select(pl.len()).collect().item())
    sort, after = _sort(view), within(whole("after"), count, ROWS)
    found, following = page(wanted.with_columns(sure=sure), Query(sort=sort), ROWS, after)
    here = {"view": view, "trend": trend, "category": category, "sort": request.args.get("sort")}
    with_category = rows.select(pl.col("category").is_not_null().any()).collect().item()
    return {
        "rows": found.to_dicts(),
        "common": _common(wanted),
        "columns": [name for name in shown if name != "category" or with_category],
        "count": count,
        "first": after + 1,
        "next": url("trends", **here, after=following) if following else None,
        "previous": url("trends", **here, after=max(0, after - ROWS) or None) if after else None,
        "sortable": {name: _toggled(sort, name) for name in shown},
        "sort": sort,
        "here": here,
        "choices": {"trend": list(LABELS.get(view, ())), "category": sorted(known.to_list())},
        "filters": {name: value for name, value in (("trend", trend), ("category", category))
                    if value},
        "charts": {} if strongest is None else
                  {"growth": drawn(charts.growths(strongest, text("trends.col.name"),
                                                  some.formats))},
    }  # fmt: skip


def _strongest(wanted: pl.LazyFrame) -> pl.DataFrame | None:
    """Those that grow and shrink most; None where there is none."""
    known = wanted.filter(
        pl.all_horizontal(pl.col("growth", "growth_low", "growth_high").is_not_null())
    )
    ends = [known.filter(pl.col("growth") > 0).top_k(DRAWN, by="growth"),
            known.filter(pl.col("growth") <= 0).bottom_k(DRAWN, by="growth")]  # fmt: skip
    found = charts.labeled(pl.concat(pl.collect_all(ends)))
    return found if found.height else None


def _categories(some: Seen) -> dict[str, Any]:
    made = some.derived.get("category_trends")
    if made is None:
        return {"rows": [], "charts": {}, "common": None}
    rows = made.scan().sort("growth", descending=True, nulls_last=True).collect()
    known = rows.drop_nulls(["growth", "growth_low", "growth_high"])
    known = known.with_columns(label=pl.col("category"))
    chart = {}
    if known.height:
        heading = text("trends.col.category")
        chart = {"growth": drawn(charts.growths(known, heading, some.formats))}
    return {"rows": rows.to_dicts(), "charts": chart,
            "common": _common(rows.lazy())}  # fmt: skip


def _common(rows: pl.LazyFrame) -> str | None:
    """The reason of most rows, which is then said once and not in each."""
    counts = rows.group_by("reason").len().sort("len", descending=True).collect()
    for reason, count in counts.head(1).iter_rows():
        if reason and count > 1 and count * 2 > counts["len"].sum():
            return str(reason)
    return None


def _sort(view: str) -> str:
    known = {first.removeprefix("-") for first in SORTS.values()}
    return ordered_by(known, "-shift" if view == "shifts" else "-growth")


def _toggled(sort: str, name: str) -> str:
    first = SORTS[name]
    other = first.removeprefix("-") if first.startswith("-") else f"-{first}"
    return other if sort == first else first
