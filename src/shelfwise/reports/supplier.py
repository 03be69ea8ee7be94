"""One page about one supplier: what a purchasing lead takes into a talk."""

from typing import Any

import polars as pl

from shelfwise.errors import NotFoundError, excerpt
from shelfwise.insights.kpis import Fact
from shelfwise.insights.proposals import left, proposed
from shelfwise.reports.making import about, period
from shelfwise.reports.material import Material
from shelfwise.reports.report import Block, Column, Notes, Report, Section, clipped, grid
from shelfwise.reports.sections.common import NAME, TIERED, left_out, part
from shelfwise.texts import text

PRODUCTS, ORDERED, CLEARED = 10, 8, 5
"""How many rows of a list fit on the page."""


def of_supplier(m: Material, name: str) -> Report:
    """The page about a supplier; NotFoundError where no product names it."""
    own = m.products
    if "supplier" in own.columns:
        own = own.filter(pl.col("supplier").cast(pl.String) == name)
    if "supplier" not in own.columns or own.is_empty():
        raise NotFoundError(
            f"There is no supplier {excerpt(name)} among these products.",
            "It is written as in the column supplier.",
        )
    answer = m.answers.get("suppliers")
    cards = answer.rows.filter(pl.col("supplier") == name) if answer else pl.DataFrame()
    card = cards.row(0, named=True) if cards.height else {}
    stock = proposed(m.answers["inventory"].rows.lazy())
    stock = stock.filter(pl.col("supplier").cast(pl.String) == name)
    sections = [_talk(card), _products(m, own), _reorder(m, stock), _clear(m, stock)]
    return Report(
        kind=text("report.kind.supplier"),
        title=name,
        period=text("supplier.period", n=own.height, period=period(m)),
        facts=_facts(m, own, card),
        in_short=(),
        sections=tuple(section for section in sections if section),
        formats=m.formats,
        about=about(m),
        material=m,
        one_page=True,
    )


def _facts(m: Material, own: pl.DataFrame, card: dict[str, Any]) -> tuple[Fact, ...]:
    """The figures on top; what the data cannot tell has none."""
    f, total = m.formats, float(m.products["revenue"].sum())
    earned = float(own["revenue"].sum())
    note = text("supplier.revenue.note", share=part(f, earned / total, 1)) if total > 0 else ""
    facts = [Fact(text("supplier.revenue"), f.money_short(earned), note)]
    if card.get("margin") is not None:
        share = f.share(card["margin"] / earned, 1) if earned > 0 else ""
        facts.append(Fact(text("supplier.margin"), f.money_short(card["margin"]),
                          text("kpi.margin.share", share=share) if share else ""))  # fmt: skip
    if card.get("score") is not None:
        facts.append(Fact(text("supplier.score"), f.number(card["score"]),
                          text("supplier.score.note", low=f.number(card["score_low"]),
                               high=f.number(card["score_high"]))))  # fmt: skip
    held = card.get("stock_money")
    if held:
        over = f.share(card["overstock_money"] / held) if card.get("overstock_money") else ""
        facts.append(Fact(text("supplier.stock"), f.money_short(held),
                          text("supplier.stock.note", share=over) if over else ""))  # fmt: skip
        if card.get("dead_money"):
            facts.append(Fact(text("supplier.dead"), f.money_short(card["dead_money"]),
                              text("supplier.dead.note",
                                   share=f.share(card["dead_money"] / held))))  # fmt: skip
    if card.get("otif") is not None:
        facts.append(Fact(text("supplier.otif"), f.share(card["otif"]),
                          text("supplier.otif.note", low=f.share(card["otif_low"]),
                               high=f.share(card["otif_high"]))))  # fmt: skip
    if card.get("fill_rate") is not None:
        facts.append(
            Fact(
                text("supplier.fill"),
                f.share(card["fill_rate"]),
                text("supplier.fill.note", lines=f.count(card["deliveries"])),
            )
        )
    if card.get("lead_time") is not None:
        planned = card.get("lead_time_planned")
        note = text("supplier.lead.seen") if planned is None else text(
            "supplier.lead.note", n=f.number(planned)
        )  # fmt: skip
        facts.append(
            Fact(
                text("supplier.lead"),
                text("supplier.lead.value", n=f.number(card["lead_time"])),
                note,
            )
        )
    return tuple(facts)


def _talk(card: dict[str, Any]) -> Section:
    """What to talk about, from how they deliver and what hangs on them."""
    lines: list[tuple[str, str]] = []
    if card.get("action") and card.get("verdict") != "dismissed":
        lines.append((f"{text('report.action.' + card['action'])}.", card["reason"] or ""))
    if card.get("sole_categories"):
        lines.append((text("supplier.sole", names=card["sole_categories"]), ""))
    if card.get("otif") is None:
        lines.append((f"{text('supplier.talk.no_receipts')}.", text("supplier.talk.needs")))
    finding = lines[0][0].rstrip(".") if lines else text("supplier.talk.none")
    more = tuple((first if place else second, second if place else "")
                 for place, (first, second) in enumerate(lines) if place or second)  # fmt: skip
    return Section("talk", text("supplier.talk"), finding, (), (Notes(more),) if more else ())


def _products(m: Material, own: pl.DataFrame) -> Section:
    rows = own.sort("revenue", "rank", descending=[True, False]).head(PRODUCTS)
    columns = {
        "name": NAME,
        "revenue": Column(text("report.col.revenue"), "money_whole"),
        "units_sold": Column(text("report.col.units"), "units"),
        "stock": Column(text("report.col.left"), "units"),
        "performance_score": Column(text("report.col.score"), "number"),
        "performance_tier": TIERED,
    }
    there = {key: column for key, column in columns.items() if key in rows.columns}
    best = rows.row(0, named=True)
    finding = text("supplier.products.finding.none")
    if best["revenue"] > 0:
        finding = text("supplier.products.finding", name=clipped(best["name"]))
    note = left_out(m, own.height, rows.height)
    return Section("products", text("supplier.products"), finding, (),
                   (grid("", rows, there, note),))  # fmt: skip


def _reorder(m: Material, stock: pl.LazyFrame) -> Section | None:
    rows = _most(stock, "reorder")
    if rows.is_empty():
        return None
    columns = {
        "name": NAME,
        "stock": Column(text("report.col.left"), "units"),
        "quantity": Column(text("report.col.order"), "units"),
        "date": Column(text("report.col.by"), "weekday"),
        "cost": Column(text("report.col.costs"), "money_whole"),
    }
    shown = rows.head(ORDERED)
    table: Block = grid("", shown, columns, left_out(m, rows.height, shown.height))
    finding = text("supplier.reorder.finding", n=rows.height)
    return Section("reorder", text("supplier.reorder"), finding, (), (table,))


def _clear(m: Material, stock: pl.LazyFrame) -> Section | None:
    rows = _most(stock, "clear")
    if rows.is_empty():
        return None
    columns = {
        "name": NAME,
        "stock": Column(text("report.col.left"), "units"),
        "quantity": Column(text("report.col.too_many"), "units"),
        "money": Column(text("report.col.tied"), "money_whole"),
    }
    shown = rows.head(CLEARED)
    table: Block = grid("", shown, columns, left_out(m, rows.height, shown.height))
    money = m.formats.money_short(float(rows["money"].sum()))
    finding = text("supplier.clear.finding", money=money, n=rows.height)
    return Section("clear", text("supplier.clear"), finding, (), (table,))


def _most(stock: pl.LazyFrame, action: str) -> pl.DataFrame:
    found = stock.filter(left(action)).sort("money", descending=True, nulls_last=True)
    return found.collect()
