"""Making a report of its material: the cover, the three sentences, the sections."""

from collections.abc import Sequence

from shelfwise import __version__
from shelfwise.reports.material import Material, short_name
from shelfwise.reports.report import Report, Section, Sentence
from shelfwise.reports.sections import SECTIONS, cover_facts
from shelfwise.texts import text

IN_SHORT = 3
FIRST = ("changes", "reorder", "revenue", "clear", "trends", "suppliers", "scores")
"""Which findings the cover has, the most urgent first."""
NOTHING_FOUND = {
    text(f"report.{name}")
    for name in ("revenue.none", "scores.none", "reorder.none", "reorder.unknown", "clear.none",
                 "clear.unknown", "trends.unknown", "trends.none", "changes.alone",
                 "suppliers.unknown", "suppliers.none")
}  # fmt: skip
"""Findings that say nothing a manager must know first."""


def of_material(m: Material) -> Report:
    """The report about a range of products."""
    sections = tuple(make(m) for make in SECTIONS)
    return Report(
        kind=text("report.kind"),
        title=m.name,
        period=period(m),
        facts=cover_facts(m),
        in_short=in_short(sections),
        sections=sections,
        formats=m.formats,
        about=about(m),
        material=m,
    )


def in_short(sections: Sequence[Section]) -> tuple[Sentence, ...]:
    """The findings that matter most, each with its section."""
    known = {section.key: section for section in sections}
    told = [known[key] for key in FIRST if known[key].finding not in NOTHING_FOUND]
    return tuple(Sentence(f"{one.finding}.", one.key) for one in told[:IN_SHORT])


def period(m: Material) -> str:
    """The products, the days and the profile, in one line."""
    day = m.formats.day(m.as_of)
    if m.days is None:
        days = text("report.no_days", day=day)
    elif abs(m.days % 7) < 1e-6 and m.days <= 1000:
        days = text("report.weeks", n=round(m.days / 7), day=day)
    else:
        days = text("report.days", n=round(m.days), day=day)
    count = text("report.product_count", n=m.products.height)
    return ", ".join([count, days, text("report.profile", name=m.model.profile.name)])


def about(m: Material) -> tuple[tuple[str, str], ...]:
    """What identifies the data."""
    found = [(text("report.about.source"), short_name(m.source))] if m.source else []
    if m.run_id:
        found.append((text("report.about.run"), m.run_id))
    found.append((text("report.about.model"), m.model.id))
    found.append((text("report.about.made"), f"Shelfwise {__version__}"))
    return tuple(found)


def digest(report: Report) -> str:
    """The report in a few lines of plain text, as a mail begins with."""
    lines = [report.title, report.period, ""]
    lines += [f"- {one.text}" for one in report.in_short]
    if report.in_short:
        lines.append("")
    lines += [f"{fact.label}: {fact.value}" + (f" ({fact.note})" if fact.note else "")
              for fact in report.facts]  # fmt: skip
    return "\n".join(lines) + "\n"
