"""The workbook: true numbers of the run, texts that stay texts, sheets that can be printed."""

import dataclasses
import datetime as dt
import shutil
import subprocess
import zipfile
from functools import cache
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from kinds import shop, sold
from shelfwise import analyze, from_sales
from shelfwise.charts import Chart
from shelfwise.errors import InputError
from shelfwise.formats import Formats
from shelfwise.reports import FORMATS, Report, render, report
from shelfwise.reports.spreadsheet import CELL, lines_of, plain
from shelfwise.reports.workbook import LIST_ROW, xlsx

# openpyxl does not know the part of a file that has solid bars.
pytestmark = pytest.mark.filterwarnings("ignore:.*extension is not supported")

HOSTILE = (
    "=1+1", "@SUM(A1)", "+1", "-1", "{=1+1}", '=HYPERLINK("http://a.example","x")',
    "<img src=x onerror=alert(1)>", "漢" * 72, "\u202egnp.exe \U0001f600", "a\x07b\x00c",
    "line\nbreak\ttab", "_x0041_", "http://a.example", "mailto:a@b.example", "0042", "TRUE",
    "\ufffe&[Picture]&G", "'quoted", "#REF!", "1e5",
)  # fmt: skip
HEAD = LIST_ROW + 1
"""The row of headings, as openpyxl counts."""
RECEIPTS = pl.DataFrame([
    {"supplier": name, "product_id": str(100 + n % 12), "ordered": dt.date(2024, 6, 1),
     "promised": dt.date(2024, 6, 10), "received": dt.date(2024, 6, 9 + 3 * (n % 2)),
     "ordered_quantity": 10, "received_quantity": 10}
    for name in ("Acme", "Bolt", "Core") for n in range(20)
])  # fmt: skip


@cache
def whole_report() -> Report:
    """A report in which nothing is missing: order lines, stock, suppliers, and a run before."""
    lines, catalog = sold()
    for place, row in enumerate(catalog):
        row |= {"supplier": ("Acme", "Bolt", "Core")[place // 4], "currency": "EUR",
                "category": ("Light", "Home", None)[place % 3], "lead_time_days": 14,
                "unit_cost": 4.0, "stock": (3, 4000, 400)[place % 3]}  # fmt: skip
    last = max(row["date"] for row in lines)

    def counted(end: dt.date) -> Any:
        found = from_sales(lines, catalog=catalog, period=(end - dt.timedelta(days=727), end))
        return analyze(found)

    return report(counted(last), before=counted(last - dt.timedelta(days=364)), name="Shop",
                  source="/home/me/lines.csv", receipts=RECEIPTS)  # fmt: skip


def opened(made: bytes) -> openpyxl.Workbook:
    return openpyxl.load_workbook(BytesIO(made))


@cache
def whole() -> openpyxl.Workbook:
    return opened(render(whole_report(), "xlsx"))


def table(sheet: Any) -> list[dict[str, Any]]:
    """The rows of a list, by heading."""
    rows = sheet.iter_rows(min_row=HEAD, values_only=True)
    heads = next(rows)
    found = []
    for row in rows:
        if row[0] is None:
            break
        found.append(dict(zip(heads, row, strict=True)))
    return found


def texts(book: openpyxl.Workbook) -> list[str]:
    return [cell.value for sheet in book for row in sheet.iter_rows() for cell in row
            if isinstance(cell.value, str)]  # fmt: skip


def test_it_is_a_format_of_reports() -> None:
    assert FORMATS["xlsx"].endswith("spreadsheetml.sheet")


def test_the_sheets_and_what_is_seen_first() -> None:
    book = whole()
    assert book.sheetnames == ["Overview", "Categories", "Suppliers", "Reorder", "Clear out",
                               "Trends", "What changed", "Products", "Method"]  # fmt: skip
    assert book.active.title == "Overview"
    assert book.properties.title == "Product performance: Shop"
    assert book.properties.creator == "Shelfwise"
    assert "lines.csv" in book.properties.description
    assert "/home" not in "".join(texts(book))


def test_the_overview_says_what_the_report_says() -> None:
    made, said = whole_report(), texts(whole())
    for fact in made.facts:
        assert {fact.label, fact.value, fact.note} <= set(said) | {""}
    for place, one in enumerate(made.in_short, 1):
        assert f"{place}. {one.text}" in said
    for section in made.sections:
        assert any(one.startswith(f"{section.finding}. {' '.join(section.lead)}") for one in said)


def test_products_have_the_numbers_of_the_run() -> None:
    made = whole_report()
    rows = table(whole()["Products"])
    m = made.material
    assert [row["Product id"] for row in rows] == m.products["product_id"].to_list()
    for row, one in zip(rows, m.products.iter_rows(named=True), strict=True):
        assert row["Product"] == one["name"]
        assert row["Tier"] == one["performance_tier"]
        assert row["Rank"] == one["rank"]
        assert row["ABC"] == one["abc_class"]
        assert row["Score"] == pytest.approx(one["performance_score"], rel=1e-12)
        assert row["Revenue"] == pytest.approx(one["revenue"], rel=1e-12)
        assert row["Gross margin"] == pytest.approx(one["revenue"] - 4.0 * one["units_sold"])
        assert row["In stock"] == one["stock"]
        assert row["Sell-through"] == one["stock_ratio"]
        points = [value for name, value in row.items() if name.startswith("Points: ")]
        assert sum(points) == pytest.approx(row["Score"])
    inventory = dict(m.answers["inventory"].rows.select("product_id", "action").iter_rows())
    words = {"reorder": "Reorder", "clear": "Clear out", None: None}
    assert {row["Product id"]: row["What to do"] for row in rows} == {
        key: words[action] for key, action in inventory.items()
    }


def test_categories_add_up_to_the_whole() -> None:
    rows, products = table(whole()["Categories"]), whole_report().material.products
    assert {row["Category"] for row in rows} == {"Light", "Home", "No category"}
    assert sum(row["Products"] for row in rows) == products.height
    assert sum(row["Revenue"] for row in rows) == pytest.approx(products["revenue"].sum())
    assert sum(row["Share"] for row in rows) == pytest.approx(1)
    assert [row["Revenue"] for row in rows] == sorted((r["Revenue"] for r in rows), reverse=True)
    for row in rows:
        parts = [row[f"{tier} revenue"] for tier in ("High", "Medium", "Low")]
        assert sum(parts) == pytest.approx(row["Revenue"])
        assert sum(row[f"{tier} products"] for tier in ("High", "Medium", "Low")) == row["Products"]


def test_lists_go_to_their_last_row() -> None:
    m, book = whole_report().material, whole()
    stock = m.answers["inventory"].rows
    for sheet, action in (("Reorder", "reorder"), ("Clear out", "clear")):
        rows, known = table(book[sheet]), stock.filter(action=action)
        assert {row["Product id"] for row in rows} == set(known["product_id"])
        assert rows
        key = "At stake" if action == "reorder" else "Tied up"
        assert sum(row[key] for row in rows) == pytest.approx(known["money"].sum())
    orders = {row["Product id"]: row for row in table(book["Reorder"])}
    for one in stock.filter(action="reorder").iter_rows(named=True):
        assert orders[one["product_id"]]["Order"] == one["amount"]
        assert orders[one["product_id"]]["By"] == dt.datetime.combine(one["date"], dt.time())
    assert len(table(book["Trends"])) == m.trends.height
    assert table(book["Trends"])[0]["Trend"] in ("Rising", "Falling")
    changed = table(book["What changed"])
    assert sum(row["Change"] for row in changed) == pytest.approx(
        m.answers["changes"].summary["revenue"]["change"]
    )
    assert {row["Supplier"] for row in table(book["Suppliers"])} == {"Acme", "Bolt", "Core"}


def test_each_column_is_written_in_one_way_and_with_its_unit() -> None:
    sheet = whole()["Products"]
    heads = {cell.value: cell.column for cell in sheet[HEAD]}

    def format_of(name: str) -> str:
        found = {sheet.cell(row, heads[name]).number_format for row in range(HEAD + 1, HEAD + 13)}
        assert len(found) == 1
        return found.pop()

    # openpyxl reads € between quotes as it was written.
    assert format_of("Revenue") == '"€"#,##0'
    assert format_of("Price") == '"€"#,##0.00'
    assert format_of("Share") == "0.0%"
    assert format_of("Score") == "#,##0.0"
    assert format_of("Rank") == "#,##0"
    assert format_of("Weeks").startswith('[>520]">520"')
    by = whole()["Reorder"]
    at = {cell.value: cell.column for cell in by[HEAD]}["By"]
    assert by.cell(HEAD + 1, at).is_date
    assert by.cell(HEAD + 1, at).number_format.startswith("ddd")
    german = Formats("de_DE", "EUR")
    book = opened(render(report(analyze(shop()), formats=german), "xlsx"))
    at = {cell.value: cell.column for cell in book["Products"][HEAD]}["Revenue"]
    assert book["Products"].cell(HEAD + 1, at).number_format == '#,##0"\u00a0€"'


def test_sheets_can_be_printed_filtered_and_scrolled() -> None:
    book = whole()
    for sheet in book:
        assert sheet.page_setup.orientation == "landscape"
        assert sheet.page_setup.paperSize == 9
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert (sheet.page_setup.fitToWidth or 1, sheet.page_setup.fitToHeight) == (1, 0)
        assert sheet.oddFooter.right.text == "Page &P of &N"
        assert "Shop" in sheet.oddHeader.left.text
        if sheet.title in ("Overview", "Method"):
            continue
        assert sheet.print_title_rows == f"${HEAD}:${HEAD}"
        assert sheet.freeze_panes is not None
        assert sheet.freeze_panes.endswith(str(HEAD + 1))
        (one,) = sheet.tables.values()
        assert one.autoFilter is not None
        assert one.ref.startswith(f"A{HEAD}:")
    names = [name for sheet in book for name in sheet.tables]
    assert names == ["Categories", "Suppliers", "Reorder", "ClearOut", "Trends", "Changes",
                     "Products"]  # fmt: skip


def test_tiers_have_a_word_and_a_color_and_money_has_bars() -> None:
    rules = [rule for sheet in whole() for area in sheet.conditional_formatting
             for rule in area.rules]  # fmt: skip
    assert {rule.formula[0] for rule in rules if rule.type == "cellIs"} == {
        '"High"',
        '"Medium"',
        '"Low"',
    }
    assert any(rule.type == "dataBar" for rule in rules)


def test_charts_are_native_and_say_what_they_show() -> None:
    with zipfile.ZipFile(BytesIO(render(whole_report(), "xlsx"))) as file:
        charts = [name for name in file.namelist() if name.startswith("xl/charts/chart")]
        drawings = "".join(file.read(name).decode() for name in file.namelist()
                           if name.startswith("xl/drawings/drawing"))  # fmt: skip
    assert len(charts) == 5
    assert drawings.count("descr=") == 5
    assert 'descr=""' not in drawings
    said = {one.name: one.sentence for section in whole_report().sections
            for one in section.blocks if isinstance(one, Chart)}  # fmt: skip
    for name in ("pareto", "scores", "by_category"):
        assert said[name] in unescape(drawings)


@pytest.mark.parametrize("where", ["name", "category", "supplier", "title"])
def test_hostile_texts_stay_texts(where: str) -> None:
    rows = shop(len(HOSTILE))
    for row, text in zip(rows, HOSTILE, strict=True):
        row |= {"category": "Light", "supplier": "Acme"}
        if where != "title":
            row[where] = text
    # The input refuses control characters.
    kept = [row for row in rows if where == "title" or plain(row[where]) == row[where]]
    analysis = analyze(kept)
    for title in HOSTILE if where == "title" else ("Shop",):
        made = render(report(analysis, name=title), "xlsx")
        book = opened(made)
        assert not [cell for sheet in book for row in sheet.iter_rows() for cell in row
                    if cell.data_type in ("f", "e")]  # fmt: skip
        links = [cell.hyperlink for sheet in book for row in sheet.iter_rows() for cell in row
                 if cell.hyperlink]  # fmt: skip
        assert links
        assert all(link.target is None for link in links)
        with zipfile.ZipFile(BytesIO(made)) as file:
            sheets = "".join(file.read(name).decode() for name in file.namelist()
                             if name.startswith("xl/worksheets/"))  # fmt: skip
        assert "<f>" not in sheets
        assert "TargetMode" not in sheets
    if where == "name":
        said = {row["Product"] for row in table(book["Products"])}
        assert said == {plain(row["name"]) for row in kept}
        assert {"=1+1", "@SUM(A1)", "{=1+1}", "0042", "_x0041_", "漢" * 72} <= said


def test_a_text_is_cut_where_a_cell_ends() -> None:
    emoji = "\U0001f600" * 20_000
    for text in ("x" * 40_000, emoji):
        found = plain(text)
        assert len(found.encode("utf-16-le")) // 2 <= CELL
        assert found.endswith("\u2026")
    assert plain("a\x00b\x1f\x7f\ufffe\tc\r\nd") == "ab c d"
    rows = shop(3)
    rows[0]["name"] = "n" * 1000
    sheet = opened(render(report(analyze(rows)), "xlsx"))["Products"]
    assert "n" * 1000 in {row["Product"] for row in table(sheet)}


def test_rows_beyond_the_limit_are_told() -> None:
    made = report(analyze(shop(12)), name="Shop")
    book = opened(xlsx(made, most=5))
    assert [row["Rank"] for row in table(book["Products"])] == [1, 2, 3, 4, 5]
    assert book["Products"]["A2"].value.startswith("Only the first 5 of 12 rows")
    full = opened(xlsx(made))
    assert "Only the first" not in full["Products"]["A2"].value


def test_what_the_data_cannot_tell_is_said() -> None:
    rows = shop(6)
    for row in rows:
        del row["category"], row["stock"]
    book = opened(render(report(analyze(rows), name="Bare"), "xlsx"))
    assert book.sheetnames == ["Overview", "Categories", "Suppliers", "Products", "Method"]
    assert book["Categories"]["A2"].value == "It needs a column category."
    assert "supplier" in book["Suppliers"]["A2"].value
    assert "What rises and falls is not known" in " ".join(texts(book))
    heads = {cell.value for cell in book["Products"][HEAD]}
    assert "In stock" not in heads
    assert "Category" not in heads
    assert "Revenue" in heads


def test_two_suppliers_are_too_few_and_the_sheet_says_so() -> None:
    rows = [row | {"supplier": ("Acme", "Bolt")[place % 2]} for place, row in enumerate(shop(8))]
    sheet = opened(render(report(analyze(rows)), "xlsx"))["Suppliers"]
    assert sheet["A1"].value == "Whose range earns is not known"
    assert "fewer than 3 cannot be compared" in sheet["A2"].value


@pytest.mark.parametrize("count", [1, 2])
def test_few_products_without_sales(count: int) -> None:
    rows = [row | {"units_sold": 0} for row in shop(count)]
    book = opened(render(report(analyze(rows)), "xlsx"))
    assert len(table(book["Products"])) == count
    assert "No category earned anything" in texts(book)


def test_returns_clusters_and_large_numbers() -> None:
    rows = shop(9)
    rows[0] |= {"net_revenue": 9.87e14, "price": 1e12, "units_sold": 987}
    for row in rows[1:]:
        row["net_revenue"] = -5.5
    book = opened(render(report(analyze(rows, tiering="kmeans")), "xlsx"))
    revenue = [row["Revenue"] for row in table(book["Products"])]
    assert sorted(revenue) == [-5.5] * 8 + [9.87e14]


def test_nothing_is_written_for_what_is_no_number() -> None:
    made = report(analyze(shop(4)))
    given = made.material.products.with_columns(
        stock_ratio=pl.Series([float("nan"), float("inf"), float("-inf"), 0.5])
    )
    odd = dataclasses.replace(made, material=dataclasses.replace(made.material, products=given))
    assert [row["Sell-through"] for row in table(opened(xlsx(odd))["Products"])] == [
        None, None, None, 0.5
    ]  # fmt: skip


def test_one_supplier_has_no_workbook() -> None:
    made = report(analyze([row | {"supplier": "Acme"} for row in shop(4)]), supplier="Acme")
    with pytest.raises(InputError, match="no workbook"):
        render(made, "xlsx")


def test_lines_of_a_text() -> None:
    assert [lines_of(words, 10) for words in ("", "one", "one two three", "x" * 25)] == [1, 1, 2, 3]


@pytest.mark.slow
def test_libreoffice_opens_every_sheet(tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if not office:
        pytest.skip("LibreOffice is not installed (Debian: apt install libreoffice-calc-nogui)")
    import pypdfium2

    path = tmp_path / "report.xlsx"
    path.write_bytes(render(whole_report(), "xlsx"))

    def convert(kind: str) -> None:
        subprocess.run([office, f"-env:UserInstallation={(tmp_path / 'home').as_uri()}",
                        "--headless", "--convert-to", kind, "--outdir", str(tmp_path), str(path)],
                       check=True, capture_output=True, timeout=300)  # fmt: skip

    convert("pdf")
    pages = pypdfium2.PdfDocument(tmp_path / "report.pdf")
    said = [page.get_textpage().get_text_bounded() for page in pages]
    for name in whole().sheetnames:
        assert any(text.splitlines()[0].endswith(name) for text in said), name
    assert f"Page 1 of {len(said)}" in said[0]
    convert("csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1")
    listed = pl.read_csv(tmp_path / "report-Products.csv", skip_rows=LIST_ROW,
                         infer_schema=False)  # fmt: skip
    assert listed["Product id"].to_list() == (
        whole_report().material.products["product_id"].to_list()
    )
    assert listed["Revenue"].cast(pl.Float64).to_list() == pytest.approx(
        whole_report().material.products["revenue"].to_list(), abs=1
    )
