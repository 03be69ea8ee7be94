"""A report as PDF, set by Typst: tagged for screen readers (PDF/UA-1), without a browser.

The report goes in as JSON, so that a name can never become markup, and the template is ours.
"""

import datetime as dt
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from shelfwise.charts import Chart
from shelfwise.errors import MissingExtraError, OutputError
from shelfwise.reports.report import Block, Column, Grid, Notes, Report, written
from shelfwise.texts import text

STANDARD = "ua-1"
UNKNOWN = "?"
"""What stands for a letter that no font has."""
WIDTH, HIGHEST = 700, 360
"""Pixels of a chart: those of a page at the size of its text; and how high it may be, so that
two of them and a table share a page."""
LATIN = 0x17F
"""Letters up to this one are in every font."""
TRIES = 5
JOINING = dict.fromkeys(map(ord, "\ufeff\ufe0e\ufe0f\u20e3"))
"""Signs that only say how the letter before is drawn: with them a digit is an emoji."""
MARKS = ("Mn", "Mc", "Me", "Cf")
OURS = frozenset("\N{HORIZONTAL ELLIPSIS}\N{EN DASH}\N{MINUS SIGN}\N{EURO SIGN}")
"""Signs of our own texts that every font has."""


def pdf(report: Report, *, fonts: bool = True) -> bytes:
    """The report as PDF.

    Args:
        report: What to set.
        fonts: Whether to use the fonts of this machine (Inter, else Noto or DejaVu), which
            have more letters than those that Typst brings.

    Raises:
        MissingExtraError: Typst is not installed.
        OutputError: Typst cannot set it.
    """
    plain = json.dumps(_plain(report), ensure_ascii=False).translate(JOINING)
    table: dict[int, str] = {ord(letter): UNKNOWN for letter in _unknown(plain, fonts)}
    wrong: Any = None
    for more in (None, _marks, _foreign):
        table |= more(plain) if more else {}
        try:
            made = _compiler("report.typ", fonts).compile(
                format="pdf", pdf_standards=[STANDARD],
                sys_inputs={"report": _without(plain, table) if table else plain},
                timestamp=dt.datetime.now(dt.UTC).replace(microsecond=0),
            )  # fmt: skip
        except _typst().TypstError as error:
            wrong = error
        else:
            return bytes(made)
    raise OutputError(f"The PDF cannot be set: {wrong.message[:200]}.") from wrong


def _typst() -> Any:
    try:
        import typst
    except ModuleNotFoundError as error:
        raise MissingExtraError("A PDF needs Typst.", "pip install 'shelfwise[reports]'") from error
    return typst


def _compiler(template: str, fonts: bool) -> Any:
    """What sets a template; one for each report, since threads cannot share it.

    The root is the folder of the template: nothing outside of it can be read.
    """
    folder = files("shelfwise.reports")
    return _typst().Compiler(
        str(folder.joinpath(template)), root=str(folder), font_paths=_fonts(fonts)
    )


@cache
def _fonts(fonts: bool) -> Any:
    """The fonts; finding them takes longer than setting a report."""
    return _typst().Fonts(include_system_fonts=fonts)


def _unknown(plain: str, fonts: bool) -> set[str]:
    """The letters of a report that no font has: PDF/UA refuses a page with one of them."""
    letters = sorted({letter for letter in plain if ord(letter) > LATIN})
    unknown: set[str] = set()
    for _ in range(TRIES if letters else 0):
        left = [letter for letter in letters if letter not in unknown]
        try:
            _compiler("letters.typ", fonts).compile(
                format="pdf", pdf_standards=[STANDARD],
                sys_inputs={"letters": json.dumps(left, ensure_ascii=False)},
            )  # fmt: skip
            break
        except _typst().TypstError as error:
            told = set("".join(_missing(error.diagnostic))) - unknown
            if not told:
                break  # Setting the report says what is wrong.
            unknown |= told
    return unknown


def _missing(diagnostic: str) -> Iterator[str]:
    """The texts that no font could show, as Typst names them."""
    for found in re.findall(r'the text `"(.*?)"` could not be displayed', diagnostic):
        yield re.sub(r"\\u\{([0-9a-f]+)\}", lambda m: chr(int(m[1], 16)), found)


def _marks(plain: str) -> dict[int, str]:
    """Marks and joiners: letters that a font has each by itself may be none when joined."""
    return {ord(letter): "" for letter in set(plain)
            if ord(letter) > LATIN and unicodedata.category(letter) in MARKS}  # fmt: skip


def _foreign(plain: str) -> dict[int, str]:
    """All that some font may lack: the last way to set a report at all."""
    return {ord(letter): UNKNOWN for letter in set(plain)
            if ord(letter) > LATIN and letter not in OURS}  # fmt: skip


def _without(plain: str, table: Mapping[int, str]) -> str:
    """The report without letters that cannot be set, which it then says."""
    found = json.loads(plain.translate(table))
    found["missing"] = text("report.missing", n=len(table))
    return json.dumps(found, ensure_ascii=False)


def _plain(report: Report) -> dict[str, Any]:
    return {
        "kind": report.kind,
        "title": report.title,
        "period": report.period,
        "footer": f"{report.kind}: {report.title}, {report.period}",
        "facts": [_fact(fact) for fact in report.facts],
        "in_short": [{"text": one.text, "section": one.section} for one in report.in_short],
        "sections": [
            {
                "key": one.key,
                "name": one.name,
                "finding": one.finding,
                "lead": list(one.lead),
                "blocks": [_block(block, report) for block in one.blocks],
            }
            for one in report.sections
        ],
        "about": [list(one) for one in report.about],
        "missing": "",
        "one_page": report.one_page,
        "words": {"page": text("report.page"), "in_short": text("report.in_short"),
                  "contents": text("report.contents")},
    }  # fmt: skip


def _fact(fact: Any) -> dict[str, str]:
    return {"label": fact.label, "value": fact.value, "note": fact.note}


def _block(block: Block, report: Report) -> dict[str, Any]:
    if isinstance(block, Chart):
        drawn = block.to_svg(width=WIDTH, highest=HIGHEST, formats=report.formats)
        return {"type": "chart", "title": block.title, "meaning": block.meaning,
                "sentence": block.sentence, "svg": drawn}  # fmt: skip
    if isinstance(block, Grid):
        return {
            "type": "grid",
            "title": block.title,
            "note": block.note,
            "columns": [_column(one) for one in block.columns],
            "rows": written(block, report.formats),
        }
    if isinstance(block, Notes):
        return {"type": "notes", "lines": [list(line) for line in block.lines]}
    return {"type": "facts", "list": [_fact(fact) for fact in block]}


def _column(column: Column) -> dict[str, Any]:
    return {"label": column.label, "kind": column.kind, "right": not column.is_text,
            "wide": column.wide}  # fmt: skip
