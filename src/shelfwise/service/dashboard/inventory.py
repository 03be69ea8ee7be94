"""Inventory: what to reorder, by when and why; what money is stuck; what to order from whom."""

import io
import math
from dataclasses import asdict
from typing import Any

import polars as pl
from flask import Response, g, redirect, request
from werkzeug.datastructures import FileStorage

from shelfwise import charts
from shelfwise.errors import InputError, excerpt
from shelfwise.insights import kpis
from shelfwise.insights.proposals import as_answered, figures, left, next_order, proposed
from shelfwise.service import download
from shelfwise.service.access import audited
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
from shelfwise.service.dashboard.session import inside
from shelfwise.service.dashboard.working import begin, plain, settings_of, working
from shelfwise.service.kept import store
from shelfwise.store.database import now
from shelfwise.store.opinions import MOST_UNITS
from shelfwise.store.query import Query, page
from shelfwise.texts import text

ROWS = 25
WAITING = 10
"""How many orders that wait are listed."""
VIEWS = ("reorder", "orders", "clear", "stock")
ANSWERS = ("open", "accepted", "dismissed", "any")
"""Which rows of a list are shown by what people answered; without one all but those dismissed."""
SORTS = {
    "reorder": {"name": "name", "supplier": "supplier", "left": "stock", "order": "-quantity",
                "by": "date", "cost": "-cost", "money": "-money"},
    "clear": {"name": "name", "category": "category", "left": "-stock", "too_many": "-amount",
              "weeks": "-weeks", "tied": "-money"},
}  # fmt: skip
"""The columns of the lists, and what a click on their heading sorts by first."""
SETTINGS = ("review_days", "lead_time_days", "lead_time_sd", "service_a", "service_b", "service_c",
            "overstock_days", "dead_days", "new_days")  # fmt: skip
FILE_COLUMNS = ("product_id", "name", "supplier", "quantity", "cost", "date", "money", "verdict",
                "verdict_reason", "reason")  # fmt: skip


@screen("/inventory")
def inventory() -> Any:
    """One of the views: what to reorder, orders by supplier, what to clear, where stock is."""
    view = _view()
    if waiting := working("inventory", "inventory", view=view):
        return waiting
    some = seen()
    if view == "orders" and (waiting := working("inventory", "orders", needed=False, view=view)):
        return waiting
    rows = rows_of(some)
    facts = figures(rows)
    return show(
        "inventory",
        "inventory",
        title=_finding(some, rows, facts),
        view=view,
        views=[(name, text(f"inventory.view.{name}")) for name in VIEWS],
        unknown=not facts["known"],
        tiles=_tiles(some, rows, facts),
        age=(now().date() - some.run.as_of).days,
        about=some.about("inventory"),
        settings=settings_of("inventory", SETTINGS, some),
        **{"reorder": _list, "clear": _list, "orders": _orders, "stock": _stock}[view](some, rows),
    )


@screen("/inventory.<format:format>")
def inventory_file(format: str) -> Response:
    """The rows of a list that its filters leave, or with `view=orders` the order proposal."""
    some, view = seen(), _view()
    if view == "orders":
        rows = _proposed(some).filter("placed")
        if supplier := request.args.get("supplier"):
            rows = rows.filter(pl.col("supplier").cast(pl.String) == supplier)
        rows = rows.sort("supplier", "date", nulls_last=True, maintain_order=True)
    else:
        rows = _asked(rows_of(some), "clear" if view == "clear" else "reorder")
    options = {"limit": None, "raw": None}
    return download.attachment(rows.select(FILE_COLUMNS), some.run, format, options, view)


@screen("/answer", scope="analyze", methods=("POST",))
def answer() -> Any:
    """Accept or dismiss what is proposed for a product, by the rules of the API."""
    some, form = seen(), request.form
    product_id, action = form.get("id", ""), form.get("action", "")
    verdict, reason = form.get("verdict", ""), form.get("reason", "").strip()
    amount = _amount(form.get("amount", "")) if verdict == "accepted" else None
    proposed = _amount(form.get("proposed", ""))
    if amount == proposed:
        amount = None
    if verdict == "accepted" and not reason:
        f = some.formats
        reason = text("inventory.accepted") if amount is None else text(
            "inventory.accepted.other", units=f.units(amount), instead=f.units(proposed)
        )  # fmt: skip
    made = store().decisions.add(
        product_id, action, verdict, reason, who=g.who, run_id=some.run.id, amount=amount
    )
    audited("decision.add", made.id, verdict=made.verdict)
    return redirect(inside(form.get("next", "")))


def rows_of(some: Seen) -> pl.LazyFrame:
    """The rows of the inventory with people's answers; `quantity` and `cost` follow these."""
    rows = store().answered(some.run, some.derived["inventory"])
    return proposed(rows)


def _finding(some: Seen, rows: pl.LazyFrame, facts: dict[str, Any]) -> str:
    """What matters most now, in one sentence."""
    if not facts["known"]:
        return text("inventory.title.unknown")
    parts = [text("inventory.title.reorder", n=facts["reorder"])]
    if not facts["reorder"]:
        coming = next_order(rows, some.run.as_of)
        parts = [text("inventory.title.later")] if coming is None else [
            text("inventory.title.next", name=coming["name"],
                 day=some.formats.weekday(coming["order_by"]))
        ]  # fmt: skip
    if facts["clear"]:
        stuck = some.formats.money_short(facts["stuck"])
        parts.append(text("inventory.title.clear", n=facts["clear"], money=stuck))
    elif not facts["reorder"]:
        parts.append(text("inventory.title.none_to_clear"))
    return "; ".join(parts)


def _tiles(some: Seen, rows: pl.LazyFrame, facts: dict[str, Any]) -> list[dict[str, str]]:
    """The figures on top; what the data cannot tell has no tile."""
    if not facts["known"]:
        return []
    f = some.formats
    tiles = [asdict(kpis.reorder(f, facts))]
    if facts["staked"]:
        tiles.append({"label": text("inventory.at_stake"),
                      "value": f.money_short(facts["at_stake"]),
                      "note": text("inventory.at_stake.note")})  # fmt: skip
    tiles += [asdict(kpis.clear(f, facts)), asdict(kpis.stock(f, facts))]
    if facts["at_price"]:
        tiles[-1]["note"] = text("inventory.at_price", n=facts["at_price"])
    elif facts["dead_known"]:
        tiles[-1]["note"] = text("inventory.dead", money=f.money_short(facts["dead"]))
    if facts["covered"]:
        tiles.append({"label": text("inventory.cover"), "value": f.number(facts["weeks"]),
                      "note": text("inventory.cover.note")})  # fmt: skip
    return tiles


def _list(some: Seen, rows: pl.LazyFrame) -> dict[str, Any]:
    """A page of what to reorder, or to clear."""
    view = _view()
    action = "clear" if view == "clear" else "reorder"
    wanted = _asked(rows, action)
    count = int(wanted.select(pl.len()).collect().item())
    after = within(whole("after"), count, ROWS)
    found, following = page(wanted, Query(sort=_sort(view)), ROWS, after)
    given = {n: request.args[n] for n in ("supplier", "category", "answer") if request.args.get(n)}
    here = {"view": view, **given, "sort": request.args.get("sort")}
    choices = {
        name: wanted_values(rows, action, name) for name in ("supplier", "category")
    }  # fmt: skip
    return {
        "action": action,
        "rows": found.to_dicts(),
        "count": count,
        "first": after + 1,
        "next": url("inventory", **here, after=following) if following else None,
        "previous": url("inventory", **here, after=max(0, after - ROWS) or None) if after else None,
        "sortable": {name: _toggled(view, name, first) for name, first in SORTS[view].items()},
        "sort": _sort(view),
        "here": here,
        "filters": given,
        "choices": {name: values for name, values in choices.items() if len(values) > 1},
        "answers": ANSWERS,
        "columns": [n for n in SORTS[view] if n not in ("order", "by", "cost")
                    or found[{"order": "quantity", "by": "date"}.get(n, n)].is_not_null().any()],
        "as_of": some.run.as_of,
        "file": bound("inventory.csv", **here),
    }  # fmt: skip


def wanted_values(rows: pl.LazyFrame, action: str, name: str) -> list[str]:
    """The suppliers, or categories, of the rows of an action."""
    values = rows.filter(pl.col("action") == action).select(pl.col(name).drop_nulls().unique())
    return sorted(values.collect().to_series().cast(pl.String).to_list())


def _asked(rows: pl.LazyFrame, action: str) -> pl.LazyFrame:
    """The rows that the filters leave."""
    rows = rows.filter(pl.col("action") == action)
    for name in ("supplier", "category"):
        if value := request.args.get(name):
            rows = rows.filter(pl.col(name).cast(pl.String) == value)
    given = request.args.get("answer") or ""
    if given:
        one_of(ANSWERS, "answer", given)
    if given in ("accepted", "dismissed"):
        return rows.filter(pl.col("verdict") == given)
    if given == "open":
        return rows.filter(pl.col("verdict").is_null())
    return rows if given == "any" else rows.filter(left(action))


def _orders(some: Seen, rows: pl.LazyFrame) -> dict[str, Any]:
    """Orders by supplier, with what waits for cash or for a minimum; the form that asks."""
    policy = some.about("orders").get("policy", {})
    found: dict[str, Any] = {
        "policy": policy, "cash": plain(policy.get("cash")), "made": "orders" in some.derived,
        "minimum": plain(policy.get("min_order_value")), "minimums": _minimums(some).height,
    }  # fmt: skip
    if not found["made"]:
        return found
    lines = _proposed(some).collect()
    placed = lines.filter("placed")
    suppliers = placed.group_by("supplier").agg(
        pl.len().alias("products"), pl.col("quantity").sum(), pl.col("cost").sum(),
        unpriced=pl.col("cost").null_count(), minimum=pl.col("supplier_minimum").first(),
        by=pl.col("date").min(), at_stake=pl.col("at_stake").sum(),
    ).with_columns(
        met=pl.when(pl.col("cost") >= pl.col("minimum")).then(True)
        .when((pl.col("unpriced") == 0) & pl.col("minimum").is_not_null()).then(False)
    ).sort("at_stake", "supplier", descending=[True, False], nulls_last=True)  # fmt: skip
    cost = float(placed["cost"].sum())
    waiting = lines.filter(~pl.col("placed")).sort("at_stake", descending=True, nulls_last=True)
    return found | {
        "suppliers": suppliers.to_dicts(),
        "waiting": waiting.head(WAITING).to_dicts(),
        "waiting_count": waiting.height,
        "cost": cost,
        "unpriced": int(suppliers["unpriced"].sum()),
        "over": policy.get("cash") is not None and cost > policy["cash"],
        "below": int((suppliers["met"] == False).sum()),  # noqa: E712  (null is neither)
        "lines": placed.height,
        "about_orders": some.about("orders"),
        "file": bound("inventory.csv", view="orders"),
    }  # fmt: skip


def _minimums(some: Seen) -> pl.DataFrame:
    """The minimum orders that suppliers have told, of the proposal that there is."""
    made = some.derived.get("orders")
    schema = {"supplier": pl.String, "min_order_value": pl.Float64}
    if made is None:
        return pl.DataFrame(schema=schema)
    told = made.scan().select("supplier", min_order_value="supplier_minimum").drop_nulls().unique()
    usual = some.about("orders").get("policy", {}).get("min_order_value")
    return told.filter(pl.col("min_order_value").ne_missing(usual)).sort("supplier").collect()


@screen("/orders", scope="analyze", methods=("POST",))
def propose_orders() -> Any:
    """Start the job that proposes orders, with the minimums of a file or of the last time."""
    some, form = seen(), request.form
    policy = {name: form.get(name, "").strip() for name in ("cash", "min_order_value")}
    file = request.files.get("suppliers")
    if form.get("keep") and not (file and file.filename):
        content = io.BytesIO(_minimums(some).write_csv().encode())
        file = FileStorage(content, "minimums.csv")
    files = {"suppliers": file} if file else {}
    return begin(some, "inventory", "orders", policy, files, view="orders")


def _proposed(some: Seen) -> pl.LazyFrame:
    """The lines of the order proposal; `placed` are those that are ordered and not dismissed."""
    rows = some.derived["orders"].scan()
    # What waits has no action here, but its reorder may have been answered.
    rows = rows.with_columns(
        placed=pl.col("action").is_not_null(), action=pl.lit("reorder"), money=pl.col("at_stake")
    )
    rows = as_answered(store().decisions.answered(rows, some.run.as_of))
    return rows.filter(pl.col("verdict").ne_missing("dismissed"))


def _stock(some: Seen, rows: pl.LazyFrame) -> dict[str, Any]:
    """Where the money in stock lies, and how long stock lasts."""
    tiers = some.products.select(
        pl.col("product_id").cast(pl.String), "performance_tier"
    ).unique("product_id")  # fmt: skip
    kept = rows.join(tiers, on="product_id", how="left").collect()
    f, found = some.formats, {}
    if (kept["stock_money"] > 0).any():
        found["tiers"] = charts.stocked(kept, "performance_tier", f)
        if kept["category"].null_count() < kept.height:
            found["categories"] = charts.stocked(kept, "category", f)
    if kept["weeks"].null_count() < kept.height:
        found["cover"] = charts.cover(kept, f)
    by = "category" if "categories" in found else "performance_tier"
    groups = kept.group_by(pl.col(by).alias("group")).agg(
        pl.len().alias("products"), pl.col("stock_money").sum(), pl.col("overstock_money").sum(),
        pl.col("dead_money").sum(), pl.col("weeks").filter(pl.col("stock") > 0).median(),
        known=pl.col("overstock_money").is_not_null().any(),
    ).sort("stock_money", descending=True)  # fmt: skip
    drawings = {name: drawn(chart) for name, chart in found.items()}
    return {"charts": drawings, "groups": groups.to_dicts(), "by": by}


def _view() -> str:
    return one_of(VIEWS, "view", request.args.get("view") or "reorder")


def _sort(view: str) -> str:
    """The column that orders a list, as the frame calls it."""
    return ordered_by({first.removeprefix("-") for first in SORTS[view].values()}, "-money")


def _toggled(view: str, name: str, first: str) -> str:
    """What a click on a heading sorts by: the useful end first, then the other."""
    other = first.removeprefix("-") if first.startswith("-") else f"-{first}"
    return other if _sort(view) == first else first


def _amount(given: str) -> float | None:
    """Units from a form; None where it is empty."""
    if not given.strip():
        return None
    try:
        amount = float(given)
    except ValueError:
        amount = math.nan
    # It is written into a sentence before it is kept.
    if not abs(amount) <= MOST_UNITS:
        raise InputError(
            text("inventory.wrong.units", given=excerpt(given)),
            text("inventory.wrong.units.instead", most=f"{MOST_UNITS:,}"),
        )
    return amount
