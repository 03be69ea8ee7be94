"""A report: its sections, figures and sentences are those of the data, whatever these lack."""

import datetime as dt
from typing import Any

import polars as pl
import pytest

from kinds import shop, sold
from shelfwise import analyze, from_sales, reports
from shelfwise.charts import Chart
from shelfwise.errors import InputError, NotFoundError
from shelfwise.formats import Formats
from shelfwise.reports.report import Column, Grid, Notes, Report, Section, clipped, grid, written
from shelfwise.texts import TEXTS, text

KEYS = ["revenue", "scores", "best", "reorder", "clear", "trends", "changes", "suppliers",
        "quality", "method"]  # fmt: skip
LINES, CATALOG = sold()
STOCKED = [
    row | {"unit_cost": 4.0, "lead_time_days": 14, "stock": (0, 400, 90_000)[n % 3],
           "supplier": f"S{n % 4}"}
    for n, row in enumerate(CATALOG)
]  # fmt: skip


def of_lines(**known: Any) -> Report:
    return reports.report(analyze(from_sales(LINES, catalog=STOCKED, stock=STOCKED)), **known)


def shelf(count: int = 12, **more: Any) -> list[dict[str, Any]]:
    return [
        {"product_id": n, "name": f"Tea {n}", "price": 2.0 + n, "units_sold": 10 * n, "stock": 5}
        | {name: value[n % len(value)] for name, value in more.items()}
        for n in range(1, count + 1)
    ]


def sections(report: Report) -> dict[str, Section]:
    return {section.key: section for section in report.sections}


def grids(section: Section) -> list[Grid]:
    return [block for block in section.blocks if isinstance(block, Grid)]


def test_the_sections_come_in_their_order_and_each_says_a_finding() -> None:
    report = of_lines(name="Spring")
    assert [section.key for section in report.sections] == KEYS
    assert all(section.finding and section.name for section in report.sections)
    assert report.title == "Spring"
    assert len(report.in_short) == 3
    assert {one.section for one in report.in_short} <= set(KEYS)
    assert len({one.section for one in report.in_short}) == 3


def test_the_figures_are_those_of_the_products() -> None:
    analysis = analyze(from_sales(LINES, catalog=STOCKED, stock=STOCKED))
    report = reports.report(analysis, name="Spring", formats=Formats("en_US", "EUR"))
    products = pl.DataFrame(analysis.products)
    f = report.formats
    facts = {fact.label: fact.value for fact in report.facts}
    assert facts["Revenue"] == f.money_short(products["revenue"].sum())
    margin = products["revenue"].sum() - 4.0 * products["units_sold"].sum()
    assert facts["Gross margin"] == f.money_short(margin)
    assert facts["Stock at cost"] == f.money_short(4.0 * products["stock"].sum())
    assert facts["Mean score"] == f.number(analysis.summary["avg_score"])
    best = grids(sections(report)["best"])[0]
    first = dict(zip([column.label for column in best.columns], best.rows[0], strict=True))
    top = products.sort("revenue", descending=True).row(0, named=True)
    assert (first["Product"], first["Revenue"]) == (top["name"], top["revenue"])
    tiers = grids(sections(report)["scores"])[0]
    assert [row[0] for row in tiers.rows] == ["High", "Medium", "Low"]
    assert sum(row[1] for row in tiers.rows) == products.height
    assert sum(row[3] for row in tiers.rows) == pytest.approx(products["revenue"].sum())


def test_what_to_do_is_what_was_decided() -> None:
    from shelfwise.insights import Evidence, decide

    analysis = analyze(from_sales(LINES, catalog=STOCKED, stock=STOCKED))
    report = reports.report(analysis)
    decided = decide(Evidence.of(analysis), "inventory").decisions
    for key, action in (("reorder", "reorder"), ("clear", "clear")):
        wanted = decided.filter(action=action).sort("money", descending=True, nulls_last=True)
        assert wanted.height
        shown = [row[0] for row in grids(sections(report)[key])[0].rows]
        assert shown == wanted["name"].head(20).to_list()
        assert str(wanted.height) in sections(report)[key].finding


@pytest.mark.parametrize("lacks", ["stock", "unit_cost", "category", "supplier", "nothing else"])
def test_what_the_data_lack_is_said_and_nothing_is_invented(lacks: str) -> None:
    full = {"unit_cost": [1.0], "category": ["Green", "Black"], "supplier": ["Ana", "Bo", "Cy"]}
    kept = {} if lacks == "nothing else" else {n: v for n, v in full.items() if n != lacks}
    rows = [{n: v for n, v in row.items() if n != lacks} for row in shelf(**kept)]
    report = reports.report(analyze(rows, period=30))
    found = sections(report)
    labels = {fact.label for fact in report.facts}
    assert ("Gross margin" in labels) == ("unit_cost" in kept)
    assert ("Stock at cost" in labels) == ("stock" in rows[0] and "unit_cost" in kept)
    assert ("Stock at list price" in labels) == ("stock" in rows[0] and "unit_cost" not in kept)
    charts = [block.name for section in report.sections for block in section.blocks
              if isinstance(block, Chart)]  # fmt: skip
    assert ("by_category" in charts) == ("category" in kept)
    assert ("portfolio_map" in charts) == ("stock" in rows[0])
    if "supplier" not in kept:
        assert found["suppliers"].finding == TEXTS["report.suppliers.unknown"]
        assert found["suppliers"].lead == (TEXTS["report.suppliers.needs"],)
    assert found["trends"].lead == (TEXTS["report.trends.needs"],)
    assert found["changes"].lead == (TEXTS["report.changes.needs"],)


@pytest.mark.parametrize(
    "rows",
    [
        shelf(1),
        shelf(2),
        [row | {"units_sold": 0} for row in shelf(4)],
        [row | {"stock": 0} for row in shelf(4)],
        [row | {"net_revenue": -5.0} for row in shelf(4)],
        [row | {"price": 1e12, "units_sold": 1e9} for row in shelf(3)],
        [row | {"price": 1e-6} for row in shelf(3)],
    ],
    ids=["one", "two", "unsold", "empty shelf", "at a loss", "huge", "free"],
)
@pytest.mark.parametrize("tiering", ["quota", "kmeans"])
def test_strange_ranges_have_a_report_too(rows: list[dict[str, Any]], tiering: Any) -> None:
    report = reports.report(analyze(rows, tiering=tiering, period=30))
    assert [section.key for section in report.sections] == KEYS
    shown = reports.render(report, "html").decode()
    assert "nan" not in shown.replace("data:image", "").lower().split("base64")[0]
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, Grid):
                cells = [value for row in written(block, report.formats) for value in row]
                assert not {"nan", "None", "inf"} & set(cells)


def test_without_stock_nobody_says_that_there_is_nothing_to_do() -> None:
    bare = [{n: v for n, v in row.items() if n != "stock"} for row in shelf()]
    report = reports.report(analyze(bare, period=30))
    found = sections(report)
    assert found["reorder"].finding == TEXTS["report.reorder.unknown"]
    assert found["clear"].finding == TEXTS["report.clear.unknown"]
    assert found["clear"].lead == (TEXTS["report.clear.needs"],)
    assert "To reorder now" not in {fact.label for fact in report.facts}
    assert not {"reorder", "clear"} & {one.section for one in report.in_short}


def test_what_is_sold_out_to_the_last_is_on_the_cover() -> None:
    rows = [row | {"stock": 0, "unit_cost": 1.0} for row in shelf(6)]
    report = reports.report(analyze(rows, period=30))
    facts = {fact.label: fact.value for fact in report.facts}
    assert facts["To reorder now"] == "6"
    assert facts["Stock at cost"] == "0"
    assert report.in_short[0].text == "6 products to reorder now."


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (shelf(1), {"revenue": "The only product earns all of the revenue",
                    "scores": "No product is High", "quality": "The only product was scored"}),
        ([row | {"price": 5.0, "units_sold": 7} for row in shelf(10)],
         {"revenue": "The revenue is spread evenly: all 10 products are class A",
          "scores": "No product is High"}),
        ([row | {"units_sold": 0, "supplier": f"S{n % 3}"} for n, row in enumerate(shelf(6))],
         {"revenue": "Nothing was sold", "best": "Nothing was sold",
          "suppliers": "No supplier earned anything"}),
        ([row | {"net_revenue": (-50.0, 10.0)[n % 2]} for n, row in enumerate(shelf(8))],
         {"revenue": "What came back is worth no less than what was sold",
          "best": "4 products earned something", "scores": "2 products are High"}),
    ],
    ids=["one", "all alike", "unsold", "returned"],
)  # fmt: skip
def test_a_finding_says_something_of_a_strange_range(
    rows: list[dict[str, Any]], told: dict[str, str]
) -> None:
    report = reports.report(analyze([row | {"unit_cost": 1.0} for row in rows], period=30))
    found = sections(report)
    assert {key: found[key].finding for key in told} == told
    for fact in report.facts:
        assert "\N{EN DASH}" not in fact.note
    for section in report.sections:
        assert "\N{EN DASH}" not in f"{section.finding} {' '.join(section.lead)}"
        for block in section.blocks:
            if isinstance(block, Chart):
                assert "\N{EN DASH}" not in block.sentence
            if isinstance(block, Grid):
                shares = [n for n, column in enumerate(block.columns) if column.label == "Share"]
                assert all((row[n] or 0) >= 0 for row in block.rows for n in shares)


def test_small_shares_are_not_called_nothing() -> None:
    rows = [row | {"units_sold": 10, "price": 5.0, "supplier": f"S{n}"}
            for n, row in enumerate(shelf(6000))]  # fmt: skip
    report = reports.report(analyze(rows, period=30), supplier="S7")
    assert report.facts[0].note.startswith("less than 0.1% of")
    report = reports.report(analyze(rows, period=30))
    found = sections(report)
    assert found["best"].finding == "The 25 best sellers earn less than 1% of the revenue"
    assert found["suppliers"].finding.endswith("earns most: less than 1% of the revenue")
    assert "less than 0.1% of the revenue" in found["revenue"].lead[0]


def test_rows_are_set_aside_for_reasons_not_for_values() -> None:
    rows = shelf(12)
    for place, row in enumerate(rows[:9]):
        row |= ({"price": -1.0 - place}, {"units_sold": f"; it must be {place}"})[place % 2]
    report = reports.report(analyze(rows, on_error="skip"))
    table = grids(sections(report)["quality"])[0]
    assert table.rows == (("price must be 1e-06 or more", 5), ("units_sold must be a number", 4))


def test_only_words_that_the_report_has_are_told() -> None:
    def words(report: Report) -> set[str]:
        return {row[0] for row in grids(sections(report)["method"])[-1].rows}

    bare = words(reports.report(analyze(shelf(), period=30)))
    assert bare == {"High, Medium, Low", "Class A, B, C", "Sell-through", "Effect"}
    assert words(of_lines()) - bare == {"At stake", "Risk", "Dead", "Confirmed"}


def test_two_analyses_tell_what_changed() -> None:
    before = analyze(shelf(40), period=30)
    rows = shelf(40)
    rows[7] |= {"units_sold": 900}
    report = reports.report(analyze(rows, period=30), before=before)
    found = sections(report)["changes"]
    assert "really changed" in found.finding
    assert [block.name for block in found.blocks if isinstance(block, Chart)] == ["bridge"]
    assert "Tea 8" in [row[0] for row in grids(found)[-1].rows]
    revenue = {fact.label: fact.note for fact in report.facts}["Revenue"]
    assert revenue.startswith("+")


def test_periods_of_other_lengths_are_not_compared() -> None:
    before, after = analyze(shelf(), period=30), analyze(shelf(), period=60)
    found = sections(reports.report(after, before=before))["changes"]
    assert "cannot be compared" in found.finding
    (notes,) = found.blocks
    assert isinstance(notes, Notes)
    assert "30 and 60 days" in notes.lines[0][0]


def test_the_currency_of_the_products_is_written() -> None:
    report = reports.report(analyze(shelf(currency=["eur"])))
    assert report.facts[0].value.startswith("\N{EURO SIGN}")


def test_a_page_about_one_supplier() -> None:
    report = of_lines(supplier="S1", name="Spring")
    own = [row for row in STOCKED if row["supplier"] == "S1"]
    assert report.one_page
    assert report.title == "S1"
    assert report.period.startswith(f"{len(own)} of {len(STOCKED)} products")
    names = {row["name"] for row in own}
    for section in report.sections:
        for block in grids(section):
            assert {row[0] for row in block.rows} <= names
    with pytest.raises(NotFoundError, match="no supplier 'Nobody'"):
        of_lines(supplier="Nobody")


def test_the_digest_has_the_findings_and_the_figures() -> None:
    report = of_lines(name="Spring")
    lines = reports.digest(report).splitlines()
    assert lines[:2] == ["Spring", report.period]
    assert [f"- {one.text}" for one in report.in_short] == lines[3:6]
    assert any(line.startswith("Revenue: ") for line in lines)


def test_a_format_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="'docx'"):
        reports.render(of_lines(), "docx")


def test_names_are_cut_by_the_room_they_take() -> None:
    assert clipped("Tea", 3) == "Tea"
    assert clipped("\u8d85\u957f\u7684\u540d", 5) == "\u8d85\u957f\N{HORIZONTAL ELLIPSIS}"
    table = grid("", pl.DataFrame({"name": ["x" * 200], "day": [dt.date(2026, 3, 1)]}),
                 {"name": Column("Name", "name"), "day": Column("Day", "day")})  # fmt: skip
    assert written(table, Formats()) == [["x" * 43 + "\N{HORIZONTAL ELLIPSIS}", "1 Mar 2026"]]


def test_names_that_turn_the_direction_of_writing_are_set_apart() -> None:
    told = text("report.reorder.next", name="\u202eabc", day="Tue")
    assert told == "Next is \u2068\u202eabc\u2069, by Tue."
    assert text("report.reorder.next", name="Lampe", day="Tue") == "Next is Lampe, by Tue."


def test_every_number_of_a_report_is_written_as_its_reader_writes() -> None:
    analysis = analyze(shop(1_234), period=30)
    made = reports.report(analysis, name="Laden", formats=Formats("de_DE", "EUR"))
    assert made.period.startswith("1.234 products, ")
    assert "1.234 products" in reports.render(made, "html").decode()
    told = [line for one in made.sections for line in (one.finding, *one.lead)]
    assert any("1.234" in line for line in told)
    assert not [line for line in (*told, *(one.text for one in made.in_short)) if "1,234" in line]
    # Who reads next is somebody else.
    assert reports.report(analysis, name="Shop").period.startswith("1,234 products, ")
