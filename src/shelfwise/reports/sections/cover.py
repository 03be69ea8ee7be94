"""The figures of the cover."""

import polars as pl

from shelfwise.reports.material import Material
from shelfwise.reports.report import Fact
from shelfwise.reports.sections.common import date_of, has, stock_answer
from shelfwise.texts import text


def cover_facts(m: Material) -> tuple[Fact, ...]:
    """The figures of the cover; what the data cannot tell has none."""
    f, products = m.formats, m.products
    units = float(products["units_sold"].sum())
    facts = [Fact(text("kpi.revenue"), f.money_short(float(products["revenue"].sum())),
                  _against(m) or text("kpi.revenue.units", units=f.count(units)))]  # fmt: skip
    if has(products, "unit_cost"):
        known = products.filter(pl.col("unit_cost").is_not_null())
        brought = float(known["revenue"].sum())
        margin = brought - float((known["unit_cost"] * known["units_sold"]).sum())
        share = f.share(margin / brought if brought > 0 else None, 1)
        note = text("kpi.margin.share", share=share)
        if known.height < products.height:
            note = text("kpi.margin.part", share=share, known=f.count(known.height))
        facts.append(Fact(text("kpi.margin"), f.money_short(margin), note))
    found, _ = stock_answer(m)
    if found["stocked"]:
        mixed = text("kpi.stock.mixed", count=f.count(found["at_price"]))
        label = (
            text("kpi.stock.price" if found["at_price"] == found["stocked"] else "kpi.stock.cost")
            if not 0 < found["at_price"] < found["stocked"]
            else mixed
        )
        on_hand = f.count(float(products["stock"].clip(0).sum()))
        facts.append(Fact(label, f.money_short(found["stock_money"]),
                          text("kpi.stock.note", units=on_hand)))  # fmt: skip
        cost = f.money_short(found["cost"]) if found["priced"] and found["reorder"] else ""
        facts.append(
            Fact(
                text("kpi.reorder"),
                f.count(found["reorder"]),
                text("kpi.reorder.note", money=cost) if cost else text("report.products"),
            )
        )
        stuck = text("kpi.clear.note", money=f.money_short(found["stuck"]))
        facts.append(Fact(text("kpi.clear"), f.count(found["clear"]),
                          stuck if found["clear"] else text("report.products")))  # fmt: skip
    facts.append(Fact(text("kpi.score"), f.number(m.summary["avg_score"]), text("report.score.of")))
    return tuple(facts)


def _against(m: Material) -> str:
    found = m.answers.get("changes")
    bridge = found.summary.get("revenue") if found else None
    if not found or not bridge or not bridge["before"]:
        return ""
    day = m.formats.day(date_of(found.summary["before"]["as_of"]))
    return text("kpi.revenue.before", day=day,
                change=m.formats.change(bridge["change"] / bridge["before"], 1))  # fmt: skip
