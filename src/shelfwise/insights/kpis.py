"""The figures on top of the overview and on the cover of a report, declared once for both."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from shelfwise.formats import Formats
from shelfwise.texts import text


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure with what it is and one line about it."""

    label: str
    value: str
    note: str = ""


def revenue(f: Formats, products: pl.DataFrame, changes: Mapping[str, Any] | None) -> Fact:
    """The revenue, and how it changed since another run (the summary of `changes`) if known."""
    grown = grown_by(changes)
    if changes is None or grown is None:
        note = text("kpi.revenue.units", units=f.count(float(products["units_sold"].sum())))
    else:
        day = dt.date.fromisoformat(changes["before"]["as_of"][:10])
        note = text("kpi.revenue.before", day=f.day(day), change=f.change(grown, 1))
    return Fact(text("kpi.revenue"), f.money_short(float(products["revenue"].sum())), note)


def grown_by(changes: Mapping[str, Any] | None) -> float | None:
    """The growth of the revenue; None where nothing tells it."""
    bridge = (changes or {}).get("revenue")
    return bridge["change"] / bridge["before"] if bridge and bridge["before"] else None


def margin(f: Formats, products: pl.DataFrame) -> Fact | None:
    """Revenue less what was sold costs, of the products whose cost is known; None without any."""
    if "unit_cost" not in products.columns:
        return None
    known = products.filter(pl.col("unit_cost").is_not_null())
    if known.is_empty():
        return None
    brought = float(known["revenue"].sum())
    left = brought - float((known["unit_cost"] * known["units_sold"]).sum())
    part = known.height < products.height
    if brought > 0:
        values = {"share": f.share(left / brought, 1), "known": f.count(known.height)}
        note = text("kpi.margin.part" if part else "kpi.margin.share", **values)
    else:  # A share of nothing says nothing.
        note = text("kpi.margin.known", known=f.count(known.height)) if part else ""
    return Fact(text("kpi.margin"), f.money_short(left), note)


def stock(f: Formats, figures: Mapping[str, Any], note: str = "") -> Fact:
    """Money in stock: at cost where that is known, else at list price; the label says which."""
    at_price = int(figures["at_price"])
    if not at_price:
        label = text("kpi.stock.cost")
    elif at_price == figures["stocked"]:
        label = text("kpi.stock.price")
    else:
        label = text("kpi.stock.mixed", count=f.count(at_price))
    return Fact(label, f.money_short(figures["stock_money"]), note)


def on_hand(f: Formats, products: pl.DataFrame) -> str:
    """How many units are in stock."""
    return text("kpi.stock.note", units=f.count(float(products["stock"].clip(0).sum())))


def reorder(f: Formats, figures: Mapping[str, Any]) -> Fact:
    """How much to reorder, as people have answered."""
    paid = figures["priced"] and figures["reorder"]
    note = text("kpi.reorder.note", money=f.money_short(figures["cost"])) if paid else ""
    return Fact(text("kpi.reorder"), f.count(figures["reorder"]), note)


def clear(f: Formats, figures: Mapping[str, Any]) -> Fact:
    """How much to clear out, as people have answered."""
    tied = text("kpi.clear.note", money=f.money_short(figures["stuck"]))
    return Fact(text("kpi.clear"), f.count(figures["clear"]), tied if figures["clear"] else "")
