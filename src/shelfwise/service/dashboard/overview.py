"""Overview: how are we doing, where is the money, what first?"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import polars as pl

from shelfwise import charts
from shelfwise.errors import NotFoundError
from shelfwise.insights import kpis
from shelfwise.insights.proposals import figures, left
from shelfwise.service.dashboard.inventory import rows_of
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
    if facts and not facts["known"]:
        facts = None  # Without stock nothing is known of it, not that there is nothing to do.
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
        inventory=facts is not None,
        unknown=inventory is not None and facts is None,
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
    if spread["a_count"] == products.height:
        return text("report.revenue.even", n=products.height)
    return text("overview.title.pareto", share=some.formats.share(spread["a_products"]),
                of=some.formats.share(spread["a_revenue"]))  # fmt: skip


def _lead(
    some: Seen, products: pl.DataFrame, spread: Mapping[str, Any], facts: dict[str, Any] | None
) -> list[str]:
    found = []
    if (products["revenue"] > 0).any() and spread["a_count"] < products.height:
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
    grown = kpis.grown_by(changes.get("summary"))
    tiles = [asdict(kpis.revenue(f, products, changes.get("summary")))]
    if grown is not None:
        tiles[0] |= {"href": url("changes") if has("changes") else "",
                     "tone": "good" if grown >= 0 else "bad"}  # fmt: skip
    margin = kpis.margin(f, products)
    tiles += ([asdict(margin)] if margin else []) + _stock(some, products, facts)
    if facts is not None:
        for fact, action in ((kpis.reorder(f, facts), "reorder"), (kpis.clear(f, facts), "clear")):
            # A link has words, also where nothing is priced.
            tile = asdict(replace(fact, note=fact.note or text("all")))
            tiles.append(tile | {"href": url("inventory", view=action)})
    else:
        model = some.run.model
        # Clusters have no score at which a tier begins.
        if some.run.tiering == "kmeans":
            note = text("kpi.score.note.clusters")
        elif model.cut_high is None or model.cut_low is None:
            note = text("report.scores.none")
        else:
            note = text("kpi.score.note", high=f.number(model.cut_high),
                        low=f.number(model.cut_low))  # fmt: skip
        tiles.append({"label": text("kpi.score"), "value": f.number(some.run.summary["avg_score"]),
                      "note": note})  # fmt: skip
    return tiles


def _stock(
    some: Seen, products: pl.DataFrame, facts: dict[str, Any] | None
) -> list[dict[str, str]]:
    """Money in stock, counted as the inventory counts it."""
    if not _known(products, "stock"):
        return []
    if facts is None:
        nothing = pl.lit(None, pl.Float64)
        cost = pl.col("unit_cost") if "unit_cost" in products.columns else nothing
        facts = products.filter(pl.col("stock") > 0).select(
            stock_money=(pl.col("stock") * pl.coalesce(cost, "price")).sum(),
            at_price=(cost.is_null() & pl.col("stock").is_not_null()).sum(),
            stocked=pl.len(),
        ).to_dicts()[0]  # fmt: skip
    fact = kpis.stock(some.formats, facts, kpis.on_hand(some.formats, products))
    return [asdict(fact)]


def _charts(
    some: Seen, products: pl.DataFrame, inventory: pl.DataFrame | None
) -> dict[str, dict[str, Any]]:
    f = some.formats
    found = {"pareto": charts.pareto(products, f), "scores": charts.scores(products, f)}
    if _known(products, "stock_ratio"):
        found["map"] = charts.portfolio_map(products, inventory, f)
    if _known(products, "category"):
        found["groups"] = charts.groups(products, "category", f)
    return {name: drawn(chart) for name, chart in found.items()}


def _known(products: pl.DataFrame, name: str) -> bool:
    return name in products.columns and products[name].null_count() < products.height


def _first(inventory: pl.LazyFrame | None, action: str) -> list[dict[str, Any]]:
    """The products of an action with most money; without those that somebody has dismissed."""
    if inventory is None:
        return []
    rows = inventory.filter(left(action)).sort("money", descending=True, nulls_last=True)
    return rows.head(LISTED).collect().to_dicts()
