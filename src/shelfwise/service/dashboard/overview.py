"""Overview: how are we doing, where is the money, what first?"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from shelfwise import charts
from shelfwise.errors import NotFoundError
from shelfwise.insights.proposals import figures, left
from shelfwise.service.dashboard.inventory import (
    clear_tile,
    reorder_tile,
    rows_of,
    stock_tile,
)
from shelfwise.service.dashboard.page import Seen, drawn, has, screen, seen, show, url
from shelfwise.texts import text

LISTED = 6
ALONE = 0.5
"""Below this share of a scale for the second product, the first one sets the scale alone."""


@screen("/")
def overview() -> str:
    """The overview of a run; where none is kept, how to get one."""
    from flask import request

    try:
        some = seen()
    except NotFoundError:
        if request.args.get("run"):
            raise
        return show("empty", "overview", title=text("empty.title"))
    products = some.products.collect()
    inventory = rows_of(some) if "inventory" in some.derived else None
    facts = figures(inventory) if inventory is not None else None
    changes = some.about("changes")
    if "revenue" not in changes.get("summary", {}):
        changes = {}  # What was withheld changes no figure here; its page says why.
    spread = charts.earned(products)
    return show(
        "overview",
        "overview",
        title=_finding(some, products, spread, changes),
        lead=_lead(some, products, spread, facts),
        tiles=_tiles(some, products, facts, changes),
        charts=_charts(some, products, some.table("inventory")),
        reorder=(reorder := _first(inventory, "reorder")),
        dated=any(row["date"] is not None for row in reorder),
        clear=_first(inventory, "clear"),
        inventory=inventory is not None,
        warnings=some.run.warnings,
        alone=(alone := _alone_on_top(some, products)),
        compare=_better(some, alone),
        changed="changes" in some.derived and has("changes"),
        as_of=some.run.as_of,
    )


def _better(some: Seen, alone: list[str]) -> str | None:
    """The profile to compare with, where warnings say that this one misleads."""
    misled = {"best_sellers_low", "effective_weights"}
    warned = alone or misled & {warning.code for warning in some.run.warnings}
    return "robust" if warned and some.run.profile != "robust" else None


def _alone_on_top(some: Seen, products: pl.DataFrame) -> list[str]:
    """Metrics whose scale one product stretches: the next one reaches less than half of it."""
    told = []
    for scale in some.run.model.scales:
        if scale.scaling != "minmax" or scale.metric not in products.columns:
            continue
        top = products.select("name", scale.metric).drop_nulls().top_k(2, by=scale.metric)
        if top.height < 2 or not scale.high > scale.low:
            continue
        second = float(top[scale.metric].sort()[0])
        reached = (second - scale.low) / (scale.high - scale.low)
        if reached < ALONE:
            most = top.sort(scale.metric, descending=True)["name"][0]
            metric = some.run.model.profile.metric(scale.metric).label.lower()
            told.append(text("overview.alone", name=most, metric=metric,
                             share=some.formats.share(reached)))  # fmt: skip
    return told


def _finding(
    some: Seen, products: pl.DataFrame, spread: Mapping[str, Any], changes: Mapping[str, Any]
) -> str:
    """What matters most now, in one sentence."""
    if changes:
        really = int(changes["summary"]["really_changed"])
        if really:
            day = _day(some, changes["summary"]["before"]["as_of"])
            return text("overview.title.changed", n=really, day=day)
    if not (products["revenue"] > 0).any():
        return text("overview.title.nothing", count=some.formats.count(products.height))
    return text("overview.title.pareto", share=some.formats.share(spread["a_products"]),
                of=some.formats.share(spread["a_revenue"]))  # fmt: skip


def _lead(
    some: Seen, products: pl.DataFrame, spread: Mapping[str, Any], facts: dict[str, Any] | None
) -> list[str]:
    found = []
    if (products["revenue"] > 0).any():
        found.append(text("overview.pareto", share=some.formats.share(spread["a_products"]),
                          of=some.formats.share(spread["a_revenue"])))  # fmt: skip
    if facts is not None:
        found.append(text("overview.reorder", n=facts["reorder"]))
    return found


def _day(some: Seen, iso: str) -> str:
    import datetime as dt

    return some.formats.day(dt.date.fromisoformat(iso[:10]))


def _tiles(
    some: Seen,
    products: pl.DataFrame,
    facts: dict[str, Any] | None,
    changes: Mapping[str, Any],
) -> list[dict[str, str]]:
    """The figures on top; what the data cannot tell has no tile."""
    f = some.formats
    revenue = float(products["revenue"].sum())
    units = f.count(float(products["units_sold"].sum()))
    tiles = [{"label": text("kpi.revenue"), "value": f.money_short(revenue),
              "note": text("kpi.revenue.units", units=units)}]  # fmt: skip
    if changes:
        bridge = changes["summary"]["revenue"]
        if bridge and bridge["before"]:
            grown = f.change(bridge["change"] / bridge["before"], 1)
            day = _day(some, changes["summary"]["before"]["as_of"])
            tiles[0] |= {"note": text("kpi.revenue.before", change=grown, day=day),
                         "href": url("changes") if has("changes") else "",
                         "tone": "good" if bridge["change"] >= 0 else "bad"}  # fmt: skip
    tiles += _margin(some, products) + _stock(some, products, facts)
    if facts is not None:
        for tile, action in (
            (reorder_tile(some, facts), "reorder"),
            (clear_tile(some, facts), "clear"),
        ):
            # A link has words, also where nothing is priced.
            note = tile["note"] or text("all")
            tiles.append(tile | {"note": note, "href": url("inventory", view=action)})
    else:
        model = some.run.model
        # Clusters have no score at which a tier begins.
        note = text("kpi.score.note.clusters") if some.run.tiering == "kmeans" else text(
            "kpi.score.note", high=f.number(model.cut_high), low=f.number(model.cut_low)
        )  # fmt: skip
        tiles.append({"label": text("kpi.score"), "value": f.number(some.run.summary["avg_score"]),
                      "note": note})  # fmt: skip
    return tiles


def _margin(some: Seen, products: pl.DataFrame) -> list[dict[str, str]]:
    if "unit_cost" not in products.columns:
        return []
    known = products.filter(pl.col("unit_cost").is_not_null())
    if not known.height:
        return []
    revenue = float(known["revenue"].sum())
    margin = revenue - float((known["unit_cost"] * known["units_sold"]).sum())
    share = some.formats.share(margin / revenue if revenue > 0 else None, 1)
    note = text("kpi.margin.share", share=share)
    if known.height < products.height:
        count = some.formats.count(known.height)
        note = text("kpi.margin.part", share=share, known=count)
    money = some.formats.money_short(margin)
    return [{"label": text("kpi.margin"), "value": money, "note": note}]


def _stock(
    some: Seen, products: pl.DataFrame, facts: dict[str, Any] | None
) -> list[dict[str, str]]:
    """Money in stock, counted as the inventory counts it."""
    if "stock" not in products.columns or products["stock"].null_count() == products.height:
        return []
    if facts is None:
        nothing = pl.lit(None, pl.Float64)
        cost = pl.col("unit_cost") if "unit_cost" in products.columns else nothing
        facts = products.filter(pl.col("stock") > 0).select(
            stock_money=(pl.col("stock") * pl.coalesce(cost, "price")).sum(),
            at_price=(cost.is_null() & pl.col("stock").is_not_null()).sum(),
            stocked=pl.len(),
        ).to_dicts()[0]  # fmt: skip
    units = some.formats.count(float(products["stock"].clip(0).sum()))
    return [stock_tile(some, facts) | {"note": text("kpi.stock.note", units=units)}]


def _charts(
    some: Seen, products: pl.DataFrame, inventory: pl.DataFrame | None
) -> dict[str, dict[str, Any]]:
    f = some.formats
    found = {"pareto": charts.pareto(products, f), "scores": charts.scores(products, f)}
    if products["stock_ratio"].null_count() < products.height:
        found["map"] = charts.portfolio_map(products, inventory, f)
    if "category" in products.columns:
        found["groups"] = charts.groups(products, "category", f)
    return {name: drawn(chart) for name, chart in found.items()}


def _first(inventory: pl.LazyFrame | None, action: str) -> list[dict[str, Any]]:
    """The products of an action with most money; without those that somebody has dismissed."""
    if inventory is None:
        return []
    rows = inventory.filter(left(action)).sort("money", descending=True, nulls_last=True)
    return rows.head(LISTED).collect().to_dicts()
