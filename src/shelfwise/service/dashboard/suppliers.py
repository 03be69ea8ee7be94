"""Suppliers: what our range of theirs earns and ties up, how they deliver, how we depend."""

import datetime as dt
from typing import Any

import polars as pl
from flask import Response, request

from shelfwise import charts
from shelfwise.insights.suppliers import USUAL
from shelfwise.service import download
from shelfwise.service.dashboard.page import (
    Seen,
    bound,
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
from shelfwise.service.dashboard.working import settings_of, working
from shelfwise.service.kept import store
from shelfwise.texts import text

VIEWS = ("range", "delivery", "dependency")
SETTINGS = ("otif_target", "sure", "grace_days", "full_share")
ROWS = 50
DRAWN = 14
"""How many suppliers a chart has; those that earn most."""
COLUMNS = {
    "range": ("supplier", "products", "revenue", "revenue_share", "margin", "score", "score_place",
              "low_products", "stock_money", "overstock_money", "dead_money"),
    "delivery": ("supplier", "deliveries", "otif", "otif_place", "on_time", "in_full", "fill_rate",
                 "lead_time", "days_late"),
}  # fmt: skip
PLACES = {"score_place": "score", "otif_place": "otif"}
"""What a column of places is sorted by."""
SORTED_BY = PLACES | {"low_products": "low_part"}


@screen("/suppliers")
def suppliers() -> Any:
    """One of the views: what our range earns, how they deliver, how we depend on them."""
    view = _view()
    if waiting := working("suppliers", "suppliers", view=view):
        return waiting
    some = seen()
    rows, about = some.derived["suppliers"].scan().collect(), some.about("suppliers")
    return show(
        "suppliers",
        "suppliers",
        title=_finding(some, rows, about),
        view=view,
        views=[(name, text(f"suppliers.view.{name}")) for name in VIEWS],
        tiles=_tiles(some, rows, about),
        decisions=rows.filter(pl.col("action").is_not_null()).to_dicts(),
        height=rows.height,
        about=about,
        settings=settings_of("suppliers", SETTINGS, some),
        file=bound("suppliers.csv"),
        **{"range": _range, "delivery": _delivery, "dependency": _dependency}[view](
            some, rows, about
        ),
    )


@screen("/suppliers.<format:format>")
def suppliers_file(format: str) -> Response:
    """Every supplier with all that is known of them, as a file."""
    some = seen()
    rows = store().derived.get(some.run, "suppliers").scan()
    options = {"limit": None, "raw": None}
    return download.attachment(rows, some.run, format, options, "suppliers")


def _finding(some: Seen, rows: pl.DataFrame, about: dict[str, Any]) -> str:
    """What matters most, in one sentence."""
    if not rows.height:
        return text("suppliers.title.none")
    missed = rows.filter(pl.col("action") == "renegotiate")
    sole = rows.filter(pl.col("action") == "second_source")
    best = rows.row(0, named=True)
    parts = [text("suppliers.title.best", name=best["supplier"],
                  share=some.formats.share(best["revenue_share"]))]  # fmt: skip
    if missed.height == 1:
        one = missed.row(0, named=True)
        parts.append(text("suppliers.title.missed.one", name=one["supplier"],
                          share=some.formats.share(one["otif"])))  # fmt: skip
    elif missed.height:
        parts.append(text("suppliers.title.missed", n=missed.height))
    elif sole.height:
        parts.append(text("suppliers.title.sole", n=sole.height))
    return "; ".join(parts)


def _tiles(some: Seen, rows: pl.DataFrame, about: dict[str, Any]) -> list[dict[str, str]]:
    f, summary = some.formats, about["summary"]
    if not rows.height:
        return []
    tiles = [{"label": text("nav.suppliers"), "value": f.count(rows.height)}]
    if summary.get("effective_suppliers"):
        tiles[0]["note"] = text("suppliers.effective",
                                count=f.number(summary["effective_suppliers"]))  # fmt: skip
    whole = float(rows["stock_money"].sum())
    for name, note in (("stock_money", "overstock_money"), ("dead_money", "dead_money")):
        if rows[name].null_count() == rows.height:
            continue
        tiles.append({"label": text(f"suppliers.{name}"),
                      "value": f.money_short(float(rows[name].sum()))})  # fmt: skip
        if whole and rows[note].null_count() < rows.height:
            share = float(rows[note].sum()) / whole
            tiles[-1]["note"] = text(f"suppliers.{name}.note", share=f.share(share))
    if rows["otif"].null_count() < rows.height:
        target = f.share(_target(about))
        below = int((rows["otif_high"] < _target(about)).sum())
        tiles.append({"label": text("suppliers.otif"), "value": f.share(_middle(rows, "otif")),
                      "note": text("suppliers.otif.note", n=below, target=target)})  # fmt: skip
    nameless = summary.get("without_supplier", {}).get("products", 0)
    if nameless:
        tiles.append({"label": text("suppliers.nameless"), "value": f.count(nameless),
                      "note": text("suppliers.nameless.note", n=nameless, money=f.money_short(
                          summary["without_supplier"]["revenue"]))})  # fmt: skip
    return tiles


def _middle(rows: pl.DataFrame, name: str) -> float | None:
    middle = rows[name].median()
    return float(middle) if isinstance(middle, int | float) else None


def _target(about: dict[str, Any]) -> float:
    return float(about.get("policy", {}).get("otif_target", USUAL.otif_target))


def _range(some: Seen, rows: pl.DataFrame, about: dict[str, Any]) -> dict[str, Any]:
    found = {}
    if (rows["revenue"] > 0).any():
        found["earns"] = charts.earns_and_ties_up(rows.head(DRAWN), some.formats)
    known = rows.drop_nulls("score").sort("score", descending=True)
    if known.height:
        lines = known.head(DRAWN).select(
            pl.col("supplier").alias("label"), pl.col("score").alias("value"),
            pl.col("score_low").alias("low"), pl.col("score_high").alias("high"),
            pl.lit("medium").alias("tone"),
        )  # fmt: skip
        first = known.row(0, named=True)
        found["score"] = charts.intervals(
            lines, name="score_by_supplier", title=text("chart.supplier_score"),
            meaning=text("chart.supplier_score.meaning"), by=text("suppliers.col.supplier"),
            axis=text("suppliers.col.score"), shares=False, sentence=text(
                "chart.supplier_score.told", name=first["supplier"],
                score=some.formats.number(first["score"]), low=first["score_place_low"],
                high=first["score_place_high"], count=known.height),
        )  # fmt: skip
    drawings = {name: drawn(chart) for name, chart in found.items()}
    return _table("range", _with_low(some, rows)) | {"charts": drawings}


def _with_low(some: Seen, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with how many products of theirs are Low, and which part of all of theirs."""
    low = pl.col("performance_tier").cast(pl.String) == "Low"
    if not rows.height or "supplier" not in some.products.collect_schema():
        nobody = pl.lit(None, pl.Int64)
        return rows.with_columns(low_products=nobody, low_part=nobody)
    name = pl.col("supplier").cast(pl.String).str.strip_chars()
    counted = some.products.group_by(name).agg(low_products=low.sum()).collect()
    part = pl.col("low_products") / pl.col("products")
    return rows.join(counted, on="supplier", how="left", maintain_order="left").with_columns(
        low_part=part
    )  # fmt: skip


def _delivery(some: Seen, rows: pl.DataFrame, about: dict[str, Any]) -> dict[str, Any]:
    told = rows.filter(pl.col("deliveries").is_not_null())
    known = told.drop_nulls("otif").sort("otif", descending=True)
    found = {}
    if known.height:
        target = _target(about)
        tone = (
            pl.when(pl.col("otif_high") < target).then(pl.lit("low"))
            .when(pl.col("otif_low") > target).then(pl.lit("high"))
            .otherwise(pl.lit("medium"))
        )  # fmt: skip
        # Both ends matter more than the middle.
        ends = known if known.height <= 2 * DRAWN else pl.concat(
            [known.head(DRAWN), known.tail(DRAWN)]
        )  # fmt: skip
        lines = ends.select(
            pl.col("supplier").alias("label"), pl.col("otif").alias("value"),
            pl.col("otif_low").alias("low"), pl.col("otif_high").alias("high"), tone.alias("tone"),
        )  # fmt: skip
        last = known.row(-1, named=True)
        f = some.formats
        found["otif"] = charts.intervals(
            lines, name="otif_by_supplier", title=text("chart.otif"),
            meaning=text("chart.otif.meaning", target=f.share(target)),
            by=text("suppliers.col.supplier"), axis=text("chart.otif"), line=target, sentence=text(
                "chart.otif.told", name=last["supplier"], share=f.share(last["otif"]),
                low=f.share(last["otif_low"]), high=f.share(last["otif_high"])),
        )  # fmt: skip
    drawings = {name: drawn(chart) for name, chart in found.items()}
    receipts = about["summary"].get("receipts")
    if receipts:
        since = receipts["first_ordered"]
        receipts = receipts | {"since": dt.date.fromisoformat(since) if since else None}
    return _table("delivery", told) | {"charts": drawings, "receipts": receipts}


def _dependency(some: Seen, rows: pl.DataFrame, about: dict[str, Any]) -> dict[str, Any]:
    summary = about["summary"]
    categories = sorted(summary.get("categories", ()), key=lambda one: -(one["hhi"] or 0))
    shares = rows.drop_nulls("revenue_share").sort("revenue_share", descending=True)
    return {"categories": categories, "summary": summary, "charts": {},
            "largest": shares.head(5).to_dicts()}  # fmt: skip


def _table(view: str, rows: pl.DataFrame) -> dict[str, Any]:
    """The rows in the order that is asked for, without columns that nobody knows."""
    known = {SORTED_BY.get(name, name) for name in COLUMNS[view]}
    given = ordered_by(known, "-revenue" if view == "range" else "otif")
    column = given.removeprefix("-")
    ordered = rows.sort(column, descending=given.startswith("-"), nulls_last=True)
    after = within(whole("after"), rows.height, ROWS)
    more = {"view": view, "sort": request.args.get("sort")}
    shown = [name for name in COLUMNS[view] if rows[_known(name)].null_count() < rows.height
             or name == "supplier"]  # fmt: skip
    links = {}
    for name in shown:
        by = SORTED_BY.get(name, name)
        first = by if name == "supplier" else f"-{by}"
        other = by if first.startswith("-") else f"-{by}"
        links[name] = url("suppliers", view=view, sort=other if given == first else first)
    return {"rows": ordered.slice(after, ROWS).to_dicts(), "count": rows.height,
            "first": after + 1, "columns": shown, "sort": given, "links": links,
            "next": url("suppliers", **more, after=after + ROWS)
            if after + ROWS < rows.height else None,
            "previous": url("suppliers", **more, after=max(0, after - ROWS) or None)
            if after else None,
            "sorted_by": {name: SORTED_BY.get(name, name) for name in shown}}  # fmt: skip


def _known(name: str) -> str:
    return f"{name}_low" if name in PLACES else name


def _view() -> str:
    return one_of(VIEWS, "view", request.args.get("view") or "range")
