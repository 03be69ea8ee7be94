"""What it rests on: the quality of the data, and how the scores are made."""

import polars as pl

from shelfwise.quality import OUTSIDE
from shelfwise.reports.material import Material
from shelfwise.reports.report import PROSE, Block, Column, Notes, Section, grid
from shelfwise.reports.sections.common import FINDINGS, date_of, has, left_out, stock_answer
from shelfwise.texts import text


def quality(m: Material) -> Section:
    """What went in, and what was left out."""
    f, name = m.formats, text("report.quality")
    lead: list[str] = []
    blocks: list[Block] = []
    if m.quality:
        apart = {one["name"]: one["lines"] for one in m.quality["findings"]}.get(OUTSIDE, 0)
        lines, counted = m.quality["lines"] - apart, m.quality["counted"]
        finding = text("report.quality.lines", counted=f.count(counted), n=lines)
        if m.quality["first"]:
            lead.append(text("report.quality.days", first=f.day(date_of(m.quality["first"])),
                             last=f.day(date_of(m.quality["last"]))))  # fmt: skip
        found = pl.DataFrame(
            [{n: one[n] for n in ("meaning", "action", "lines", "revenue")}
             for one in m.quality["findings"] if one["name"] != OUTSIDE],
            schema={"meaning": pl.String, "action": pl.String, "lines": pl.Int64,
                    "revenue": pl.Float64},
        )  # fmt: skip
        if found.height:
            blocks.append(grid(text("report.quality.findings"), found, {
                "meaning": Column(text("report.col.finding"), PROSE, wide=3),
                "action": Column(text("report.col.action")),
                "lines": Column(text("report.col.lines"), "count"),
                "revenue": Column(text("report.col.revenue"), "money_short"),
            }))  # fmt: skip
    skipped = int(m.summary.get("skipped") or 0)
    if not m.quality:
        key = "report.quality.some" if skipped else "report.quality.all"
        finding = text(key, n=m.products.height, skipped=f.count(skipped))
    elif skipped:
        lead.append(text("report.quality.skipped", n=skipped))
    if m.rejected:
        table = pl.DataFrame(m.rejected[:FINDINGS], schema=["reason", "rows"], orient="row")
        blocks.append(grid(text("report.quality.rejected"), table, {
            "reason": Column(text("report.col.reason"), PROSE, wide=3),
            "rows": Column(text("report.col.rows"), "count"),
        }, left_out(m, len(m.rejected), table.height)))  # fmt: skip
    if m.warnings:
        blocks.append(Notes(tuple((w.message, w.hint) for w in m.warnings)))
    return Section("quality", name, finding, tuple(lead), tuple(blocks))


def method(m: Material) -> Section:
    """How the scores are made, so that anybody could compute them again."""
    f, profile = m.formats, m.model.profile
    rows = []
    for scale in m.model.scales:
        metric = profile.metric(scale.metric)
        formula = metric.formula(set(m.products.columns)) or metric.formulas[0]
        rows.append((metric.label, scale.weight, formula, scale.scaling, scale.low, scale.high))
    names = ["metric", "weight", "formula", "scaling", "low", "high"]
    table = grid(text("report.method.metrics"), pl.DataFrame(rows, schema=names, orient="row"), {
        "metric": Column(text("report.col.metric")),
        "weight": Column(text("report.col.weight"), "share"),
        "formula": Column(text("report.col.formula"), PROSE, wide=3),
        "scaling": Column(text("report.col.scaling")),
        "low": Column(text("report.col.from"), "fine"),
        "high": Column(text("report.col.to"), "fine"),
    })  # fmt: skip
    lead = [text("report.method.score"), text(f"report.method.{m.tiering}")]
    if m.tiering == "quota" and m.model.cut_high is not None and m.model.cut_low is not None:
        lead.append(text("report.method.cuts", high=f.number(m.model.cut_high, 2),
                         low=f.number(m.model.cut_low, 2)))  # fmt: skip
    lead.append(text("report.method.abc"))
    limits = [(text(f"report.limit.{name}"), text(f"report.limit.{name}.why"))
              for name in ("relative", "period", "cause")]  # fmt: skip
    withheld = [profile.metric(name).label for name in m.model.withheld]
    if withheld:
        limits.append((text("report.limit.withheld", names=", ".join(withheld)),
                       text("report.limit.withheld.why")))  # fmt: skip
    words = grid(text("report.words"), pl.DataFrame(
        [(text(f"report.word.{name}"), text(f"report.word.{name}.means")) for name in _words(m)],
        schema=["word", "means"], orient="row",
    ), {"word": Column(text("report.col.word")),
        "means": Column(text("report.col.means"), PROSE, wide=3)})  # fmt: skip
    return Section("method", text("report.method"), text("report.method.finding"), tuple(lead),
                   (table, Notes(tuple(limits)), words))  # fmt: skip


def _words(m: Material) -> list[str]:
    """The words of this report that a reader may not know."""
    found, _ = stock_answer(m)
    suppliers, changes = m.answers.get("suppliers"), m.answers.get("changes")
    used = {
        "tier": True, "class": True, "sell_through": has(m.products, "stock_ratio"),
        "effect": bool(m.summary.get("effective_weights")),
        "stake": found["staked"], "risk": found["staked"], "dead": found["dead_known"],
        "confirmed": m.trends is not None,
        "changed": changes is not None and "revenue" in changes.summary,
        "otif": suppliers is not None and has(suppliers.rows, "otif"),
    }  # fmt: skip
    return [word for word, is_used in used.items() if is_used]
