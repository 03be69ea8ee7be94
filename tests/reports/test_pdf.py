"""The report as PDF: read back, page by page, it has the numbers of the run, for every reader."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pytest
from figures import FIGURES, shaded

from shelfwise import analyze, reports
from shelfwise.errors import OutputError
from shelfwise.formats import Formats
from shelfwise.reports import pdf as module
from shelfwise.reports.pdf import pdf
from shelfwise.reports.report import Grid, Report, written
from shelfwise.settings import load_settings
from shelfwise.store import Store

HOSTILE = (
    "<img src=x onerror=alert(1)>", "</script><script>", "{{7*7}}", '#panic("x")', "$x^2$",
    "*bold* _it_ `raw`", "@label <label>", "\\u{41} // no", "=1+1", "a" * 300,
)  # fmt: skip


@pytest.fixture(scope="module")
def demo(demo_data: Path) -> Report:
    """The report on the demo's shop."""
    with Store(load_settings({}, data_dir=demo_data)) as store:
        return reports.of_run(store, store.runs.get(), formats=Formats())


@pytest.fixture(scope="module")
def made(demo: Report) -> bytes:
    return pdf(demo)


@pytest.fixture(scope="module")
def pages(made: bytes) -> list[str]:
    return list(texts(made))


def texts(made: bytes) -> Iterator[str]:
    document = pdfium.PdfDocument(made)
    for number in range(len(document)):
        found = document[number].get_textpage().get_text_range()
        yield re.sub(r"\s+", " ", found)


def test_every_finding_and_every_figure_can_be_read(demo: Report, pages: list[str]) -> None:
    whole = " ".join(pages)
    for fact in demo.facts:
        assert f"{fact.label} {fact.value}" in pages[0]
    for one in demo.in_short:
        assert one.text in pages[0]
    for section in demo.sections:
        assert section.finding in whole
        for line in section.lead:
            assert line.split(".")[0] in whole


def test_the_rows_of_a_table_stand_in_it_as_written(demo: Report, pages: list[str]) -> None:
    whole = " ".join(pages)
    best = next(section for section in demo.sections if section.key == "best")
    table = next(block for block in best.blocks if isinstance(block, Grid))
    for row in written(table, demo.formats):
        if row[1].isascii():
            assert " ".join(row) in whole


def test_orders_say_when_the_first_and_the_last_are_due(demo: Report) -> None:
    m, f = demo.material, demo.formats
    dates = m.answers["inventory"].rows.filter(action="reorder")["date"]
    lead = next(section for section in demo.sections if section.key == "reorder").lead
    assert dates.max() > m.as_of
    assert f"{(dates <= m.as_of).sum()} of them are due by {f.day(m.as_of)}." in lead
    assert f"The last is due by {f.day(dates.max())}." in lead


def test_page_references_hit(demo: Report, pages: list[str]) -> None:
    findings = {section.key: section.finding for section in demo.sections}
    for one in demo.in_short:
        told = re.search(re.escape(one.text) + r" page (\d+)", pages[0])
        assert told
        assert findings[one.section] in pages[int(told[1]) - 1]
    for section in demo.sections:
        listed = re.search(re.escape(section.name) + r" [. ]*(\d+)", pages[0])
        assert listed
        assert section.finding in pages[int(listed[1]) - 1]


def test_no_page_is_nearly_empty(made: bytes) -> None:
    document = pdfium.PdfDocument(made)
    assert 8 <= len(document) <= 14
    for number in range(len(document)):
        image = document[number].render(scale=0.5, grayscale=True).to_numpy()
        body = image[: int(image.shape[0] * 0.93)]
        inked = np.flatnonzero((body < 200).any(axis=1))
        assert inked[-1] > 0.5 * image.shape[0], f"page {number + 1}"


def test_it_is_tagged_and_says_that_it_conforms(made: bytes, demo: Report) -> None:
    document = pdfium.PdfDocument(made)
    assert pdfium.raw.FPDFCatalog_IsTagged(document)
    assert b"pdfuaid:part" in made
    assert document.get_metadata_dict()["Title"] == f"{demo.kind}: {demo.title}"
    outline = [item.get_title() for item in document.get_toc() if item.level == 0]
    assert outline == ["In short", "Contents", *(section.finding for section in demo.sections)]


def test_pages_look_as_they_did(demo: Report) -> None:
    """Against kept figures, with the fonts that Typst brings, so that machines agree.

    `python tests/reports/figures.py` keeps what is drawn now.
    """
    kept = np.load(FIGURES)["pages"]
    drawn = shaded(pdf(demo, fonts=False))
    assert drawn.shape == kept.shape
    for number, (now, then) in enumerate(zip(drawn, kept, strict=True), 1):
        apart = np.abs(now.astype(int) - then.astype(int))
        assert apart.mean() < 4, f"page {number}"
        assert (apart > 90).mean() < 0.02, f"page {number}"


def shelf(names: tuple[str, ...]) -> Report:
    rows: list[dict[str, Any]] = [
        {"product_id": n, "name": name, "price": 3.0 + n, "units_sold": 90 - n, "stock": 400 * n,
         "category": name[:200], "supplier": name[:200], "unit_cost": 1.0}
        for n, name in enumerate(names)
    ]  # fmt: skip
    return reports.report(analyze(rows, period=30), name=names[0])


def test_names_are_never_markup() -> None:
    whole = re.sub(r"\s", "", " ".join(texts(pdf(shelf(HOSTILE)))))
    for name in HOSTILE[:-1]:
        assert re.sub(r"\s", "", name) in whole
    assert "a" * 300 not in whole


def test_a_long_word_stays_in_its_column() -> None:
    made = pdf(shelf(("w" * 60, "Mug", "Lamp", "Tray")))
    document = pdfium.PdfDocument(made)
    raw = "".join(page.get_textpage().get_text_range() for page in document)
    cell = "w" * 43 + "\N{HORIZONTAL ELLIPSIS}"
    rows = raw[raw.index("Best sellers".upper()) :]
    assert cell not in rows
    assert cell in re.sub(r"[\s\u200b]", "", rows)


@pytest.mark.parametrize("fonts", [True, False])
def test_letters_that_no_font_has_are_said_and_break_nothing(fonts: bool) -> None:
    odd = (
        "\U00013000 falcon",
        "\U0010fffe end",
        "\ue000 private",
        "\u8336 tea",
        "\u202e turned",
        "\N{HEADPHONE} sound",
        "plain",
        "\u0000 nothing"[2:],
        "e\u0301\u0301\u0301 marks",
    )
    made = pdf(shelf(odd), fonts=fonts)
    whole = " ".join(texts(made))
    assert "? falcon" in whole
    assert "for want of a font" in whole


@pytest.mark.parametrize(
    "name",
    ["Set 1\ufe0f\u20e3", "\ufeffbom", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0301\u0301",
     "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2028 line", "\u2029 paragraph"],
    ids=ascii,
)  # fmt: skip
def test_joined_letters_break_no_report(name: str) -> None:
    rows: list[dict[str, Any]] = [
        {"product_id": n, "name": f"{name} {n}", "price": 3.0 + n, "units_sold": 90 - n,
         "stock": 400 * n, "category": name, "supplier": f"{name}{n}", "unit_cost": 1.0}
        for n in range(5)
    ]  # fmt: skip
    report = reports.report(analyze(rows, period=30), name=name)
    whole = " ".join(texts(pdf(report)))
    assert "5 products, 30 days" in whole
    assert "earns most" in whole


def test_a_report_that_cannot_be_set_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STANDARD", "a-1a")  # It forbids what the charts have.
    with pytest.raises(OutputError, match="cannot be set"):
        pdf(shelf(("Tea", "Mug", "Lamp")))


@pytest.mark.parametrize("count", [1, 3, 400])
def test_a_page_about_a_supplier_is_one_page(count: int) -> None:
    rows: list[dict[str, Any]] = [
        {"product_id": n, "name": f"{n} " + "A long name of a product " * 3, "price": 3.0,
         "units_sold": 900 - n, "stock": (0, 90_000)[n % 2], "supplier": "Ana" if n else "Bo",
         "unit_cost": 1.0, "lead_time_days": 9, "category": "Tea"}
        for n in range(count + 1)
    ]  # fmt: skip
    report = reports.report(analyze(rows, period=90), supplier="Ana", name="Shop")
    (page,) = texts(pdf(report))
    assert page.startswith("SUPPLIER Ana")


def test_many_may_be_set_at_once() -> None:
    from concurrent.futures import ThreadPoolExecutor

    report = shelf(("Tea", "Mug", "Lamp"))
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: pdf(report), range(6)))
    assert {len(list(texts(one))) for one in made} == {len(list(texts(made[0])))}
