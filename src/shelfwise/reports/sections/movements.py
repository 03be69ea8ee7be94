"""What moves: trends, and what changed since another run."""

import polars as pl

from shelfwise import charts
from shelfwise.insights.bridges import CAUSES
from shelfwise.model import TIERS
from shelfwise.reports.material import Answer, Material
from shelfwise.reports.report import PROSE, TIER, Block, Column, Grid, Notes, Section, grid
from shelfwise.reports.sections.common import CATEGORY, MOVED, NAME, date_of, left_out, withheld
from shelfwise.texts import text

STRONGEST = 5
"""How many are drawn on either side."""


def trends(m: Material) -> Section:
    """What rises and falls, for sure."""
    f, name = m.formats, text("report.trends")
    if m.trends is None:
        return Section("trends", name, text("report.trends.unknown"),
                       (text("report.trends.needs"),))  # fmt: skip
    sure = m.trends.filter(pl.col("trend").is_in(["rising", "falling"]))
    counts = dict(m.trends.group_by("trend").len().iter_rows())
    rising, falling = counts.get("rising", 0), counts.get("falling", 0)
    perhaps = counts.get("indicative_rising", 0) + counts.get("indicative_falling", 0)
    lead = [text("report.trends.perhaps", n=perhaps)] if perhaps else []
    lead.append(text("report.trends.how"))
    # Tables first: they fill the page that the section begins on.
    blocks: list[Block] = [one for one in (_growing(m, sure, 1), _growing(m, sure, -1)) if one]
    known = sure.drop_nulls(["growth", "growth_low", "growth_high"])
    ends = pl.concat(
        [
            known.filter(pl.col("growth") > 0).top_k(STRONGEST, by="growth"),
            known.filter(pl.col("growth") <= 0).bottom_k(STRONGEST, by="growth"),
        ]
    )
    if ends.height:
        blocks.append(charts.growths(charts.labeled(ends), text("report.col.name"), f))
    if m.category_trends is not None:
        grown = m.category_trends.drop_nulls(["growth", "growth_low", "growth_high"])
        if grown.height:
            labeled = grown.with_columns(label=pl.col("category"))
            blocks.append(charts.growths(labeled, text("report.col.category"), f))
    if not rising and not falling:
        finding = text("report.trends.none")
    else:
        finding = text("report.trends.finding", rising=text("report.trends.rising", n=rising),
                       falling=text("report.trends.falling", n=falling))  # fmt: skip
    return Section("trends", name, finding, tuple(lead), tuple(blocks))


def changes(m: Material) -> Section:
    """What changed since another run, and what really did."""
    f, name, found = m.formats, text("report.changes"), m.answers.get("changes")
    if found is None:
        return Section("changes", name, text("report.changes.alone"),
                       (text("report.changes.needs"),))  # fmt: skip
    since = m.formats.day(date_of(found.summary["before"]["as_of"]))
    if "revenue" not in found.summary:
        told = withheld(found)
        return Section("changes", name, text("report.changes.withheld", day=since), (),
                       (told,) if told else ())  # fmt: skip
    count, bridge = int(found.summary["really_changed"]), found.summary["revenue"]
    key = "report.changes.finding" if count else "report.changes.nothing"
    finding = text(key, n=count, day=since)
    lead = []
    if bridge["before"]:
        grown = f.change(bridge["change"] / bridge["before"], 1)
        lead.append(text("report.changes.revenue", change=grown,
                         money=f.money_short(bridge["after"])))  # fmt: skip
    moves = int(found.summary["moves_that_count"])
    seen = int(found.summary["moves_seen"])
    lead.append(text("report.changes.moves", n=moves, seen=f.count(seen)))
    blocks: list[Block] = []
    if bridge["before"] or bridge["after"]:
        parts = [(text("report.changes.before"), float(bridge["before"]))]
        parts += [(text(f"report.cause.{cause}"), float(bridge[cause])) for cause in CAUSES]
        blocks.append(charts.bridge(parts, f))
    matrix = found.summary["migration"]
    rows = pl.DataFrame([{"from": tier, **{to: matrix[tier][to] for to in TIERS}}
                         for tier in TIERS])  # fmt: skip
    shown = {"from": Column(text("report.changes.from"), TIER)}
    blocks.append(grid(text("report.changes.matrix"), rows,
                       shown | {tier: Column(tier, "count") for tier in TIERS}))  # fmt: skip
    blocks.append(_really(m, found, count))
    return Section("changes", name, finding, tuple(lead), tuple(blocks))


def _growing(m: Material, sure: pl.DataFrame, sign: int) -> Grid | None:
    """The confirmed trends in one direction, the most revenue first."""
    name = "rising" if sign > 0 else "falling"
    mine = sure.filter(trend=name)
    if mine.is_empty():
        return None
    earned = m.products.select(pl.col("product_id").cast(pl.String), "revenue")
    rows = mine.join(earned, on="product_id", how="left").sort(
        "revenue", descending=True, nulls_last=True
    )
    columns = {
        "name": NAME,
        "category": CATEGORY,
        "growth": Column(text("report.col.growth"), "change"),
        "growth_low": Column(text("report.col.sure_from"), "change"),
        "growth_high": Column(text("report.col.sure_to"), "change"),
        "revenue": Column(text("report.col.revenue"), "money_whole"),
    }
    shown = rows.head(MOVED)
    note = left_out(m, rows.height, shown.height)
    return grid(text(f"report.trends.table.{name}"), shown, columns, note)


def _really(m: Material, found: Answer, count: int) -> Block:
    rows = found.rows.filter(pl.col("really_changed").fill_null(False)).sort(
        pl.col("revenue_change").abs(), descending=True, nulls_last=True
    )
    shown = rows.head(MOVED)
    if shown.is_empty():
        return Notes(((text("report.changes.chance"), ""),))
    columns = {
        "name": NAME,
        "settled_before": Column(text("report.col.before"), TIER),
        "settled_after": Column(text("report.col.after"), TIER),
        "revenue_change": Column(text("report.col.change"), "money_signed"),
        "reason": Column(text("report.col.reason"), PROSE, wide=3),
    }
    note = left_out(m, rows.height, shown.height)
    return grid(text("report.changes.really"), shown, columns, note)
