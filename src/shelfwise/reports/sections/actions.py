"""What to do: what to order, what to clear out, whom to talk to."""

from collections.abc import Mapping

import polars as pl

from shelfwise import charts
from shelfwise.insights.proposals import left, next_order
from shelfwise.reports.material import Material
from shelfwise.reports.report import PROSE, Block, Column, Grid, Section, clipped, grid
from shelfwise.reports.sections.common import (
    FINDINGS,
    NAME,
    SUPPLIER,
    left_out,
    part,
    stock_answer,
    withheld,
)
from shelfwise.texts import text

LISTED, SUPPLIERS = 20, 25
"""How many rows of a list are shown."""
DRAWN = 8
"""How many suppliers are drawn."""


def reorder(m: Material) -> Section:
    """What to order: how much, until when, and what it costs not to."""
    found, rows = stock_answer(m)
    f = m.formats
    told = withheld(m.answers["inventory"])
    if not found["known"]:
        return Section("reorder", text("report.reorder"), text("report.reorder.unknown"), (),
                       (told,) if told else ())  # fmt: skip
    if not found["reorder"]:
        soonest = _next_order(m, rows)
        return Section("reorder", text("report.reorder"), text("report.reorder.none"),
                       soonest, (told,) if told else ())  # fmt: skip
    finding = text("report.reorder.finding", n=found["reorder"])
    lead = []
    if found["priced"]:
        lead.append(text("report.reorder.cost", money=f.money_short(found["cost"])))
        unpriced = found["reorder"] - found["priced"]
        if unpriced:
            lead.append(text("report.reorder.unpriced", n=unpriced))
    if found["staked"]:
        lead.append(text("report.reorder.stake", money=f.money_short(found["at_stake"])))
    due = pl.col("date").filter(left("reorder"))
    overdue, last = rows.select((due <= m.as_of).sum(), due.max().alias("last")).collect().row(0)
    if overdue:
        lead.append(text("report.reorder.now", n=overdue, day=f.day(m.as_of)))
        if overdue < found["reorder"]:
            lead.append(text("report.reorder.last", day=f.day(last)))
    columns = {
        "name": NAME,
        "supplier": SUPPLIER,
        "stock": Column(text("report.col.left"), "units"),
        "quantity": Column(text("report.col.order"), "units"),
        "date": Column(text("report.col.by"), "weekday"),
        "cost": Column(text("report.col.costs"), "money_whole"),
        "money": Column(text("report.col.at_stake"), "money_whole"),
        "stockout_risk": Column(text("report.col.risk"), "share"),
    }
    risk = text("report.reorder.risk") if found["staked"] else ""
    table = _most(m, rows, "reorder", columns, found["reorder"], risk)
    return Section("reorder", text("report.reorder"), finding, tuple(lead),
                   tuple(block for block in (table, told) if block))  # fmt: skip


def clear(m: Material) -> Section:
    """What to clear out: where money is stuck."""
    found, rows = stock_answer(m)
    f = m.formats
    if not found["known"]:
        return Section("clear", text("report.clear"), text("report.clear.unknown"),
                       (text("report.clear.needs"),))  # fmt: skip
    if not found["clear"]:
        return Section("clear", text("report.clear"), text("report.clear.none"))
    finding = text("report.clear.finding", n=found["clear"], money=f.money_short(found["stuck"]))
    lead = []
    if found["stock_money"]:
        share = part(f, found["stuck"] / found["stock_money"])
        lead.append(text("report.clear.share", share=share))
    if found["dead_known"] and found["dead"]:
        lead.append(text("report.clear.dead", money=f.money_short(found["dead"])))
    columns = {
        "name": NAME,
        "supplier": SUPPLIER,
        "stock": Column(text("report.col.left"), "units"),
        "quantity": Column(text("report.col.too_many"), "units"),
        "weeks": Column(text("report.col.weeks"), "weeks"),
        "money": Column(text("report.col.tied"), "money_whole"),
        "money_basis": Column(text("report.col.basis")),
    }
    blocks: list[Block] = [_most(m, rows, "clear", columns, found["clear"])]
    if found["covered"]:
        blocks.append(charts.cover(rows.collect(), f))
    return Section("clear", text("report.clear"), finding, tuple(lead), tuple(blocks))


def suppliers(m: Material) -> Section:
    """Whose range earns, what it ties up, and who delivers."""
    f, name, found = m.formats, text("report.suppliers"), m.answers.get("suppliers")
    if found is None or "revenue" not in found.rows.columns or not found.rows.height:
        told = withheld(found) if found else None
        return Section("suppliers", name, text("report.suppliers.unknown"),
                       () if told else (text("report.suppliers.needs"),),
                       (told,) if told else ())  # fmt: skip
    rows = found.rows.sort("revenue", descending=True, nulls_last=True)
    best = rows.row(0, named=True)
    finding = text("report.suppliers.none")
    if best["revenue"] and best["revenue"] > 0:
        finding = text("report.suppliers.finding", n=rows.height, name=clipped(best["supplier"]),
                       share=part(f, best["revenue_share"]))  # fmt: skip
    lead = []
    if rows["otif"].null_count() < rows.height:
        worst = rows.drop_nulls("otif").sort("otif").row(0, named=True)
        lead.append(text("report.suppliers.worst", name=clipped(worst["supplier"]),
                         share=f.share(worst["otif"]), low=f.share(worst["otif_low"]),
                         high=f.share(worst["otif_high"])))  # fmt: skip
    equal = found.summary.get("effective_suppliers")
    if equal:
        lead.append(text("report.suppliers.equal", count=f.number(equal)))
    if rows["stock_money"].sum() or rows["revenue"].sum():
        drawn: tuple[Block, ...] = (charts.earns_and_ties_up(rows.head(DRAWN), f),)
    else:
        drawn = ()
    columns = {
        "supplier": SUPPLIER,
        "products": Column(text("report.col.products"), "count"),
        "revenue": Column(text("report.col.revenue"), "money_short"),
        "revenue_share": Column(text("report.col.share"), "share"),
        "score": Column(text("report.col.score"), "number"),
        "stock_money": Column(text("report.col.stock"), "money_short"),
        "dead_money": Column(text("report.col.dead"), "money_short"),
        "otif": Column(text("report.col.otif"), "share"),
        "fill_rate": Column(text("report.col.fill_rate"), "share"),
        "lead_time": Column(text("report.col.lead_time"), "number"),
    }
    note = left_out(m, rows.height, min(rows.height, SUPPLIERS))
    table = grid("", rows.head(SUPPLIERS), columns, note)
    told = withheld(found)
    return Section("suppliers", name, finding, tuple(lead),
                   tuple(b for b in (table, *drawn, _to_do(m, rows), told) if b))  # fmt: skip


def _most(
    m: Material, rows: pl.LazyFrame, action: str, columns: Mapping[str, Column], count: int,
    note: str = "",
) -> Grid:  # fmt: skip
    """The products of an action, most money first."""
    found = rows.filter(left(action)).sort("money", descending=True, nulls_last=True)
    shown = found.head(LISTED).collect()
    notes = [one for one in (left_out(m, count, shown.height), note) if one]
    return grid("", shown, columns, " ".join(notes))


def _next_order(m: Material, rows: pl.LazyFrame) -> tuple[str, ...]:
    """The next product to order, where nothing has to be ordered now."""
    row = next_order(rows, m.as_of)
    if row is None:
        return ()
    day = m.formats.weekday(row["order_by"])
    return (text("report.reorder.next", name=clipped(row["name"]), day=day),)


def _to_do(m: Material, rows: pl.DataFrame) -> Grid | None:
    """What to talk about with whom."""
    asked = rows.filter(pl.col("action").is_not_null())
    if "verdict" in asked.columns:
        asked = asked.filter(pl.col("verdict").ne_missing("dismissed"))
    if asked.is_empty():
        return None
    said = {name: text(f"report.action.{name}") for name in ("renegotiate", "second_source")}
    asked = asked.with_columns(pl.col("action").replace(said))
    return grid(text("report.suppliers.to_do"), asked.head(FINDINGS), {
        "supplier": SUPPLIER,
        "action": Column(text("report.col.to_do")),
        "reason": Column(text("report.col.reason"), PROSE, wide=3),
    }, left_out(m, asked.height, min(asked.height, FINDINGS)))  # fmt: skip
