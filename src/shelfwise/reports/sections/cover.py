"""The figures of the cover."""

from dataclasses import replace

from shelfwise.insights import kpis
from shelfwise.insights.kpis import Fact
from shelfwise.reports.material import Material
from shelfwise.reports.sections.common import stock_answer
from shelfwise.texts import text


def cover_facts(m: Material) -> tuple[Fact, ...]:
    """The figures of the cover; what the data cannot tell has none."""
    f, products = m.formats, m.products
    changes = m.answers.get("changes")
    facts = [kpis.revenue(f, products, changes.summary if changes else None)]
    margin = kpis.margin(f, products)
    if margin:
        facts.append(margin)
    found, _ = stock_answer(m)
    if found["known"]:
        facts.append(kpis.stock(f, found, kpis.on_hand(f, products)))
        facts += [replace(fact, note=fact.note or text("report.products"))
                  for fact in (kpis.reorder(f, found), kpis.clear(f, found))]  # fmt: skip
    facts.append(Fact(text("kpi.score"), f.number(m.summary["avg_score"]), text("report.score.of")))
    return tuple(facts)
