"""analyze() and what it returns: explanations, comparisons, warnings, files, groups, periods."""

import datetime as dt
import gzip
import json
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shelfwise
from kinds import Engine, shop
from reference import judge, score_of, tiers, units_to_high, winsor
from shelfwise import analyze
from shelfwise.errors import InputError, NotFoundError, RejectedRowsError, UnreadableError


def product(
    i: int, price: float = 10.0, units: float = 5.0, stock: float = 5.0, **more: Any
) -> Any:
    return {"product_id": i, "name": f"P{i}", "price": price, "units_sold": units,
            "stock": stock} | more  # fmt: skip


RANGE = [product(i, 1.0 + i % 7, float(i * i % 31), float(i % 5)) for i in range(40)]


def codes(analysis: Any) -> set[str]:
    return {warning.code for warning in analysis.warnings}


def message(analysis: Any, code: str) -> str:
    (found,) = [warning.message for warning in analysis.warnings if warning.code == code]
    return str(found)


# Explain


def test_an_explanation_adds_up(frame: Engine) -> None:
    analysis = analyze(frame(RANGE))
    judged = judge(RANGE)
    for i in (0, 7, 23):
        found = analysis.explain(i)
        assert found.product_id == i
        assert found.name == f"P{i}"
        assert found.score == judged.scores[i] == sum(found.contributions.values())
        assert (found.rank, found.tier, found.abc_class) == (
            judged.ranks[i], judged.tiers[i], judged.abc[i],
        )  # fmt: skip
        assert found.metrics == judged.metrics[i]
        assert found.weights == judged.weights
        for name, z in found.normalized.items():
            assert z == pytest.approx(judged.normalized[name][i], abs=1e-12)
        assert found.percentile == pytest.approx(100 * (40 - judged.ranks[i]) / 39)
        assert found.products == 40


def test_to_high_is_what_brute_force_finds(frame: Engine) -> None:
    analysis, judged = analyze(frame(RANGE)), judge(RANGE)
    for i in (0, 3, 11, 20, 39):
        assert analysis.explain(i).to_high == units_to_high(RANGE[i], judged, 400)


catalogues = st.lists(
    st.tuples(st.floats(0.01, 100), st.integers(0, 40), st.integers(0, 40)), min_size=3, max_size=25
)


@given(catalogues)
@settings(max_examples=40)
def test_to_high_of_any_catalogue_is_what_brute_force_finds(
    found: list[tuple[float, int, int]],
) -> None:
    rows = [product(i, *values) for i, values in enumerate(found)]
    judged = judge(rows)
    answers = analyze(rows).to_dict(explain=True)["data"]
    for row, answer in zip(rows, answers, strict=True):
        expected = units_to_high(row, judged, 300)
        if expected is not None:
            assert answer["to_high"] == expected
        else:
            assert answer["to_high"] is None or answer["to_high"] > 300


def test_to_high_is_zero_for_high_products_and_none_where_nothing_helps() -> None:
    analysis = analyze(RANGE)
    high = analysis.products.filter(pl.col("performance_tier") == "High")["product_id"]
    assert {analysis.explain(i).to_high for i in high} == {0}
    profile = shelfwise.Profile.from_dict(
        {"name": "dear", "terms": {"price_alone": 1.0}, "metrics": {"price_alone": "price"}}
    )
    assert analyze(RANGE, profile=profile).explain(0).to_high is None


def test_to_high_of_a_fraction_is_a_fraction() -> None:
    rows = [row | {"units_sold": row["units_sold"] + 0.25} for row in RANGE]
    analysis, judged = analyze(rows), judge(rows)
    more = analysis.explain(0).to_high
    cut = analysis.model.cut_high
    assert more is not None
    assert more > 0
    assert cut is not None
    now = rows[0]["units_sold"]
    assert score_of(rows[0] | {"units_sold": now + more}, judged) >= cut - 1e-9
    assert score_of(rows[0] | {"units_sold": now + more * (1 - 1e-5)}, judged) < cut


def test_to_high_moves_net_revenue_with_the_units() -> None:
    rows = [row | {"net_revenue": row["price"] * row["units_sold"] * 0.8} for row in RANGE]
    analysis, judged = analyze(rows), judge(rows)
    for i in (3, 11, 20):
        now = rows[i]["units_sold"]
        more = analysis.explain(i).to_high
        tried = [
            score_of(rows[i] | {"units_sold": now + k, "net_revenue": rows[i]["net_revenue"]
                                * (now + k) / now}, judged) >= analysis.model.cut_high - 1e-9
            for k in range(400)
        ]  # fmt: skip
        assert more == tried.index(True)


def test_to_high_where_selling_less_is_better_is_not_claimed_wrongly() -> None:
    # One weight pulls up with units, the other down: no answer may miss the cut.
    profile = shelfwise.Profile.from_dict(
        {
            "name": "mixed",
            "terms": {"revenue": 0.5, "stock_ratio": {"weight": 0.5, "better": "lower"}},
        }
    )
    analysis = analyze(RANGE, profile=profile)
    cut = analysis.model.cut_high
    assert cut is not None
    for row in RANGE:
        more = analysis.explain(row["product_id"]).to_high
        if more:
            after = [row | {"units_sold": row["units_sold"] + more}]
            assert (
                analyze(after, model=analysis.model).products["performance_score"][0] >= cut - 1e-9
            )


def test_a_product_is_found_by_number_or_text() -> None:
    assert analyze(RANGE).explain("7") == analyze(RANGE).explain(7)


def test_an_unknown_product_is_not_found() -> None:
    with pytest.raises(shelfwise.NotFoundError, match="no product 999 among the 40"):
        analyze(RANGE).explain(999)


def test_an_explanation_is_plain_values() -> None:
    found = analyze(RANGE).explain(3).to_dict()
    assert json.loads(json.dumps(found))["contributions"] == found["contributions"]


def test_a_single_product_has_no_percentile() -> None:
    assert analyze([product(1)]).explain(1).percentile is None


# Compare

# Dear goods with much stock sell well, and are Low beside one giant.
SKEWED = [
    *(product(i, 1.0, 50.0 + i % 9, 10.0) for i in range(80)),
    *(product(80 + i, 500.0, 9.0, 400.0) for i in range(10)),
    product(90, 1e6, 1e4, 1.0),
]


def test_a_comparison_lists_who_changes_tier(frame: Engine) -> None:
    compared = analyze(frame(SKEWED)).compare("robust")
    before, after = judge(SKEWED), judge(SKEWED, winsor)
    expected = {
        i: (a, b) for i, (a, b) in enumerate(zip(before.tiers, after.tiers, strict=True)) if a != b
    }
    rows = compared.changed.rows(named=True)
    assert len(expected) > 0
    assert {row["product_id"]: (row["tier_before"], row["tier_after"]) for row in rows} == {
        SKEWED[i]["product_id"]: pair for i, pair in expected.items()
    }
    revenue = [row["revenue"] for row in rows]
    assert revenue == sorted(revenue, reverse=True)
    assert compared.products == len(SKEWED)


def test_a_comparison_counts_the_best_sellers_that_are_low(frame: Engine) -> None:
    compared = analyze(frame(SKEWED)).compare("robust")
    assert compared.best_sellers == len(SKEWED) // 10
    for name, judged in (("standard", judge(SKEWED)), ("robust", judge(SKEWED, winsor))):
        revenue = [found["revenue"] for found in judged.metrics]
        least = sorted(revenue, reverse=True)[compared.best_sellers - 1]
        low = sum(r >= least and t == "Low" for r, t in zip(revenue, judged.tiers, strict=True))
        assert compared.best_sellers_low[name] == min(low, compared.best_sellers)
    assert "products change tier" in repr(compared)


def test_a_comparison_with_a_profile_that_lacks_columns_is_refused() -> None:
    with pytest.raises(shelfwise.InputError, match="margin needs unit_cost"):
        analyze(RANGE).compare("margin")


def test_a_comparison_with_itself_changes_nobody() -> None:
    assert analyze(RANGE).compare("standard").changed.is_empty()


# Warnings


def test_a_usual_catalogue_under_robust_has_few_warnings() -> None:
    rows = [product(i, 1.0 + i % 13, float(1 + i * 7 % 97), float(i * 3 % 41)) for i in range(200)]
    assert codes(analyze(rows, profile="robust")) <= {"effective_weights", "best_sellers_low"}


@pytest.mark.parametrize(("n", "expected"), [(4, True), (5, False)])
def test_few_products_are_relative_scores(n: int, expected: bool) -> None:
    assert ("relative_scores" in codes(analyze(RANGE[:n]))) is expected


@pytest.mark.parametrize(("n", "expected"), [(9, True), (10, False)])
def test_few_products_make_unstable_clusters(n: int, expected: bool) -> None:
    assert ("unstable_clusters" in codes(analyze(RANGE[:n]))) is expected


def test_effective_weights_that_are_far_off_are_said() -> None:
    rows = [product(i, 10.0, float(i % 20), 5.0) for i in range(60)]
    rows.append(product(60, 1e6, 1e6, 1.0))
    analysis = analyze(rows)
    gaps = {
        m: abs(w - judge(rows).weights[m]) for m, w in analysis.summary["effective_weights"].items()
    }
    assert max(gaps.values()) > 0.15
    said = message(analysis, "effective_weights")
    assert {m for m in gaps if m in said} == {m for m, gap in gaps.items() if gap > 0.15}


def test_low_best_sellers_are_said_with_what_robust_would_do(frame: Engine) -> None:
    analysis = analyze(frame(SKEWED))
    compared = analysis.compare("robust")
    low = compared.best_sellers_low
    assert low["standard"] > 0
    assert message(analysis, "best_sellers_low") == (
        f"{low['standard']} of your {compared.best_sellers} best sellers are Low under this "
        f"profile; robust would make it {low['robust']}."
    )


def test_warnings_have_a_code_and_a_sentence() -> None:
    for rows in (RANGE[:1], RANGE[:4], SKEWED):
        for warning in analyze(rows).warnings:
            assert warning.code == warning.code.lower().replace(" ", "_")
            assert warning.message.rstrip().endswith(".")


# What is shown


def test_the_short_view_says_the_essentials() -> None:
    shown = repr(analyze(RANGE))
    assert "40 products, profile standard" in shown
    assert "High 8, Medium 24, Low 8" in shown


def test_the_notebook_view_escapes_names() -> None:
    rows = [row | {"name": "<script>alert('1')</script>&"} for row in RANGE[:6]]
    shown = analyze(rows)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert shown.startswith("<div>")
    assert shown.endswith("</div>")


def test_skipped_rows_are_named_in_the_short_view() -> None:
    analysis = analyze([*RANGE, product(99, price=-1.0)], on_error="skip")
    assert "not scored: 1 rows, see .rejected" in repr(analysis)


def test_rejected_rows_are_a_frame(frame: Engine) -> None:
    analysis = analyze(frame([*RANGE, product(99, price=-1.0)]), on_error="skip")
    assert analysis.rejected.schema == {
        "row": pl.Int64, "column": pl.String, "value": pl.String, "reason": pl.String,
    }  # fmt: skip
    assert analysis.rejected.rows() == [
        (40 if frame.ordered else None, "price", "-1.0", "price is -1; it must be 1e-06 or more")
    ]
    assert analyze(frame(RANGE)).rejected.is_empty()


def test_the_answer_has_the_products_in_order(frame: Engine) -> None:
    judged = judge(RANGE)
    data = analyze(frame(RANGE)).to_dict(precision="full")["data"]
    data = data if frame.ordered else sorted(data, key=lambda row: row["product_id"])
    assert [row["performance_score"] for row in data] == judged.scores
    assert [row["performance_tier"] for row in data] == judged.tiers
    assert data[0]["flags"] == ["no_sales", "never_stocked"]
    rounded = analyze(frame(RANGE)).to_dict()["data"]
    assert all(row["performance_score"] == round(row["performance_score"], 2) for row in rounded)


def test_the_answer_explains_when_asked() -> None:
    data = analyze(RANGE).to_dict(explain=True)["data"]
    for row, judged_class in zip(data, judge(RANGE).abc, strict=True):
        assert row["abc_class"] == judged_class
        assert sum(row["contributions"].values()) == pytest.approx(
            row["performance_score"], abs=0.006
        )
    assert "contributions" not in analyze(RANGE).to_dict()["data"][0]


def test_the_answer_is_json(frame: Engine) -> None:
    rows = [row | {"launch_date": "2026-01-31", "category": None} for row in RANGE]
    found = analyze(frame(rows)).to_dict(explain=True)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["status"] == "success"


def test_dates_and_gaps_in_the_answer_are_text_and_null() -> None:
    rows = [
        row | {"launch_date": dt.date(2026, 1, 31) if i else None} for i, row in enumerate(RANGE)
    ]
    for source in (rows, pl.DataFrame(rows)):
        data = analyze(source).to_dict()["data"]
        assert [row["launch_date"] for row in data[:2]] == [None, "2026-01-31"], type(source)


def test_a_pandas_date_that_is_missing_is_null_in_the_answer() -> None:
    pandas = pytest.importorskip("pandas")
    given = pandas.DataFrame(RANGE)
    given["launch_date"] = pandas.to_datetime(["2026-01-31"] * 39 + [None])
    data = analyze(given).to_dict()["data"]
    assert data[39]["launch_date"] is None
    assert data[0]["launch_date"].startswith("2026-01-31")


def test_decimals_in_the_answer_are_numbers() -> None:
    exact = pl.DataFrame(RANGE).with_columns(pl.col("price").cast(pl.Decimal(12, 2)))
    for source in (exact, exact.to_arrow(), duckdb.connect().from_arrow(exact)):
        data = analyze(source).to_dict()["data"]
        assert json.loads(json.dumps(data)) == data, type(source)


def test_two_columns_of_one_name_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    given = pandas.DataFrame(RANGE).assign(other=1.0).rename(columns={"other": "price"})
    with pytest.raises(shelfwise.InputError, match="price"):
        analyze(given)


def test_the_profile_is_at_hand() -> None:
    again = analyze(RANGE, profile=analyze(RANGE, profile="robust").profile)
    assert again.profile.name == "robust"


# Period


@pytest.mark.parametrize(
    ("period", "days"),
    [(30, 30), (90.5, 90.5), (("2026-01-01", "2026-03-31"), 90), ((dt.date(2024, 2, 1),
     dt.date(2024, 2, 29)), 29), (("2026-01-01", dt.date(2026, 1, 1)), 1)],
)  # fmt: skip
def test_a_period_gives_units_per_day(period: Any, days: float) -> None:
    got = analyze(RANGE, period=period).products["units_per_day"].to_list()
    assert got == [row["units_sold"] / days for row in RANGE]


def test_units_per_day_are_the_same_on_every_engine(frame: Engine) -> None:
    got = frame.column(analyze(frame(RANGE), period=90).products, "units_per_day")
    assert got == [row["units_sold"] / 90 for row in RANGE]


def test_without_a_period_there_are_no_units_per_day() -> None:
    assert "units_per_day" not in analyze(RANGE).products.columns


@pytest.mark.parametrize(
    "period",
    [0, -3, 1e9, True, "30", float("nan"), ("2026-03-31", "2026-01-01"), ("yesterday", "today"),
     ("2026-01-01",), ("2026-01-01", "2026-01-02", "2026-01-03"), ["2026-01-01", "2026-03-31"],
     (dt.date(2026, 1, 1), dt.datetime(2026, 2, 1, 8))],
    ids=repr,
)  # fmt: skip
def test_a_period_that_cannot_be_is_refused(period: Any) -> None:
    with pytest.raises(shelfwise.InputError, match="period"):
        analyze(RANGE, period=period)


# Lists


def test_a_list_of_dicts_keeps_its_other_keys() -> None:
    rows = [row | {"shelf": f"S{i}", "tags": ["a", "b"]} for i, row in enumerate(RANGE)]
    products = analyze(rows).products
    assert products["shelf"].to_list() == [row["shelf"] for row in rows]
    assert products["tags"].to_list() == [["a", "b"]] * len(rows)


def test_keys_in_another_order_or_missing_are_fine() -> None:
    rows: list[Any] = [dict(reversed(row.items())) for row in RANGE]
    rows[3] = rows[3] | {"category": "Tea"}
    products = analyze(rows).products
    assert products["performance_score"].to_list() == judge(RANGE).scores
    assert products["category"].to_list() == [None] * 3 + ["Tea"] + [None] * 36


def test_a_tuple_of_dicts_is_a_list_too() -> None:
    assert analyze(tuple(RANGE)).summary["products"] == 40


def test_a_key_that_is_no_text_is_said_so() -> None:
    with pytest.raises(shelfwise.InputError):
        _ = analyze([row | {7: 1} for row in RANGE]).products


def test_unknown_options_are_refused() -> None:
    for option in ({"tiering": "abc"}, {"engine": "dask"}):
        with pytest.raises(shelfwise.InputError, match="It is one of"):
            analyze(RANGE, **option)  # type: ignore[arg-type]


# Files

HEADER = ["product_id", "name", "price", "units_sold", "stock"]
SHOP = [
    {"product_id": f"00{i}", "name": f"Gießkanne «{i}», groß", "price": 1.5 + i,
     "units_sold": 3 * i, "stock": 9 - i}
    for i in range(8)
]  # fmt: skip


def csv(separator: str, quote: str = '"', decimal: str = ".") -> str:
    lines = [separator.join(HEADER)]
    for row in SHOP:
        cells = [quote + str(row["name"]) + quote if key == "name" else
                 str(row[key]).replace(".", decimal) for key in HEADER]  # fmt: skip
        lines.append(separator.join(cells))
    return "\n".join(lines) + "\n"


def xlsx(path: Path) -> None:
    """The smallest workbook: one sheet, texts inline, numbers as numbers."""

    def cell(value: Any) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    rows = [HEADER, *([row[key] for key in HEADER] for row in SHOP)]
    sheet = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/>'
        "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="Products" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData>'
        "</worksheet>",
    }
    with zipfile.ZipFile(path, "w") as file:
        for name, text in parts.items():
            file.writestr(name, text)


SHOP_FRAME = pl.DataFrame(SHOP)
WRITERS: dict[str, Any] = {
    "comma.csv": lambda p: p.write_text(csv(","), encoding="utf-8"),
    "semicolon.csv": lambda p: p.write_text(csv(";"), encoding="utf-8"),
    "byte_order_mark.csv": lambda p: p.write_text(csv(","), encoding="utf-8-sig"),
    "latin_1.csv": lambda p: p.write_text(csv(";"), encoding="latin-1"),
    "windows_lines.csv": lambda p: p.write_bytes(csv(",").replace("\n", "\r\n").encode()),
    "tabs.tsv": lambda p: p.write_text(csv("\t"), encoding="utf-8"),
    "text.txt": lambda p: p.write_text(csv(";"), encoding="utf-8"),
    "CAPITALS.CSV": lambda p: p.write_text(csv(","), encoding="utf-8"),
    "packed.csv.gz": lambda p: p.write_bytes(gzip.compress(csv(",").encode())),
    "array.json": lambda p: p.write_text(json.dumps(SHOP), encoding="utf-8"),
    "byte_order_mark.json": lambda p: p.write_text(json.dumps(SHOP), encoding="utf-8-sig"),
    "lines.ndjson": lambda p: SHOP_FRAME.write_ndjson(p),
    "lines.jsonl": lambda p: p.write_text("\r\n".join(map(json.dumps, SHOP)) + "\n\n"),
    "table.parquet": lambda p: SHOP_FRAME.write_parquet(p),
    "table.arrow": lambda p: SHOP_FRAME.write_ipc(p),
    "table.feather": lambda p: SHOP_FRAME.write_ipc(p, compression="zstd"),
    "book.xlsx": xlsx,
}


THERE = ("comma.csv", "latin_1.csv", "array.json", "table.parquet", "table.arrow", "book.xlsx")


@pytest.mark.parametrize(
    ("name", "engine"), [*((name, None) for name in WRITERS), *((name, "duckdb") for name in THERE)]
)
def test_every_kind_of_file_is_read(tmp_path: Path, name: str, engine: Any) -> None:
    if name.endswith(".xlsx"):
        pytest.importorskip("fastexcel")
    path = tmp_path / name
    WRITERS[name](path)
    products = analyze(path, engine=engine).products
    assert isinstance(products, duckdb.DuckDBPyRelation if engine else pl.DataFrame)
    rows = products.pl().sort("product_id") if engine else products
    for key in HEADER:
        assert rows[key].to_list() == [row[key] for row in SHOP], key
    judged = judge(SHOP)
    assert rows["performance_score"].to_list() == judged.scores
    assert rows["performance_tier"].to_list() == judged.tiers


@pytest.mark.parametrize("engine", [None, "duckdb"])
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("comma.csv", None),
        ("tabs.tsv", None),
        ("semicolon.csv", "The CSV was read with ; between cells."),
        ("latin_1.csv", "The CSV was read with ; between cells and letters of Windows-1252."),
    ],
)
def test_what_is_supposed_of_a_csv_is_told(
    tmp_path: Path, name: str, told: str | None, engine: Any
) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    warnings = analyze(path, engine=engine).warnings
    assert [w.message for w in warnings if w.code == "csv_read_as"] == ([told] if told else [])


@pytest.mark.parametrize("engine", [None, "duckdb"])
def test_a_product_in_two_locations_is_explained_in_one(engine: Any) -> None:
    rows = [row | {"location": place} for row in SHOP for place in ("Köln", "Bonn")]
    rows = [row | {"units_sold": i} for i, row in enumerate(rows)]
    analysis = analyze(pl.DataFrame(rows), engine=engine)
    asked = SHOP[0]["product_id"]
    with pytest.raises(InputError, match="stands in several locations: 'Bonn', 'Köln'"):
        analysis.explain(asked)
    why = analysis.explain(asked, location="Bonn")
    assert why.metrics["revenue"] == SHOP[0]["price"] * 1
    with pytest.raises(NotFoundError, match="in 'Rom'"):
        analysis.explain(asked, location="Rom")


def test_a_path_may_be_text(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text(csv(","), encoding="utf-8")
    assert analyze(str(path)).summary["products"] == len(SHOP)


def test_decimal_commas_of_a_csv_are_refused_and_put_right_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "comma.csv"
    path.write_text(csv(";", decimal=","), encoding="utf-8")
    with pytest.raises(shelfwise.RejectedRowsError, match="price is the text '1,5'"):
        analyze(path)
    products = analyze(path, on_error="repair").products
    assert products["price"].to_list() == [row["price"] for row in SHOP]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.json", b"[{"),
        ("broken.ndjson", b'{"a": 1\n'),
        ("broken.parquet", b"no parquet"),
        ("broken.arrow", b"no arrow"),
        ("empty.parquet", b""),
        (
            "ragged.csv",
            (csv(",") + "9,Rechen,1\n").encode(),
        ),
    ],
)
@pytest.mark.parametrize("engine", [None, "duckdb"])
def test_a_broken_file_is_unreadable_and_named(
    tmp_path: Path, name: str, content: bytes, engine: Any
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(shelfwise.InputError) as caught:
        analyze(path, engine=engine)
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize("name", ["header.csv", "empty.csv", "empty.json", "empty.ndjson"])
def test_a_file_without_rows_is_an_input_error(tmp_path: Path, name: str) -> None:
    content = {"header.csv": ",".join(HEADER) + "\n", "empty.json": "[]"}.get(name, "")
    (tmp_path / name).write_text(content)
    with pytest.raises(shelfwise.InputError):
        analyze(tmp_path / name)


def test_a_broken_workbook_is_unreadable(tmp_path: Path) -> None:
    pytest.importorskip("fastexcel")
    (tmp_path / "broken.xlsx").write_bytes(b"no workbook")
    with pytest.raises(shelfwise.InputError, match=r"broken\.xlsx cannot be read"):
        analyze(tmp_path / "broken.xlsx")


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    for name in ("none.csv", "none.json", "none.parquet", "none.arrow", "none.xlsx"):
        with pytest.raises(shelfwise.NotFoundError, match=f"no file .*{name}"):
            analyze(tmp_path / name)


def test_an_unknown_ending_is_unsupported(tmp_path: Path) -> None:
    (tmp_path / "shop.pickle").write_bytes(b"")
    with pytest.raises(shelfwise.InputError, match="no ending that says what it is"):
        analyze(tmp_path / "shop.pickle")


def test_wildcards_in_a_name_are_taken_as_they_stand(tmp_path: Path) -> None:
    for name in ("shop[1].csv", "shop1.csv"):
        text = csv(",") if "[" in name else csv(",").replace("Gießkanne", "Rechen")
        (tmp_path / name).write_text(text, encoding="utf-8")
    products = analyze(tmp_path / "shop[1].csv").products
    assert products["name"][0].startswith("Gießkanne")


@pytest.mark.parametrize("kind", ["csv", "ndjson", "json", "parquet", "arrow", "xlsx"])
@pytest.mark.parametrize("engine", [None, "duckdb"])
@pytest.mark.parametrize("place", ["shop", "shop/part*"])
def test_a_folder_or_a_pattern_is_its_files_together(
    tmp_path: Path, kind: str, engine: Any, place: str
) -> None:
    whole = pl.DataFrame(shop(30))
    how = {"arrow": "write_ipc", "xlsx": "write_excel"}.get(kind, f"write_{kind}")
    (tmp_path / "shop").mkdir()
    for n in range(3):
        getattr(whole[10 * n : 10 * n + 10], how)(tmp_path / "shop" / f"part{n}.{kind}")
    found = analyze(tmp_path / place, engine=engine)
    expected = analyze(whole)
    native = found.products.pl() if engine else found.products
    ids = [str(one) for one in native["product_id"].to_list()]
    if engine is None:
        assert ids == [str(one) for one in whole["product_id"]]
    scores = dict(zip(ids, native["performance_score"].to_list(), strict=True))
    assert scores == pytest.approx(
        {str(r["product_id"]): r["performance_score"] for r in expected.products.to_dicts()}
    )


def test_a_bad_row_of_a_folder_and_an_empty_folder_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    with pytest.raises(NotFoundError, match="no file of a known kind"):
        analyze(folder)
    with pytest.raises(NotFoundError, match="No file fits"):
        analyze(tmp_path / "shop*.csv")
    rows = pl.DataFrame(shop(20))
    rows[:10].write_csv(folder / "a.csv")
    rows[10:].with_columns(price=pl.lit("dear")).write_csv(folder / "b.csv")
    with pytest.raises(RejectedRowsError) as caught:
        analyze(folder)
    assert caught.value.problems[0].pointer == "/10/price"


# Groups beside files and lists


def test_a_group_of_a_list_may_be_any_key() -> None:
    rows = [row | {"aisle": i % 2} for i, row in enumerate(RANGE)]
    products = analyze(rows, group_by="aisle").products
    for aisle in (0, 1):
        mine = [row for row in rows if row["aisle"] == aisle]
        theirs = products.filter(pl.col("aisle") == aisle)
        assert theirs["score_in_group"].to_list() == pytest.approx(judge(mine).scores, abs=1e-9)
        assert theirs["tier_in_group"].to_list() == tiers(judge(mine).scores)


def test_a_group_of_a_frame_may_be_any_column(frame: Engine) -> None:
    rows = [row | {"aisle": "AB"[i % 2]} for i, row in enumerate(RANGE)]
    got = frame.read(analyze(frame(rows), group_by="aisle").products)
    for aisle in "AB":
        mine = judge([row for row in rows if row["aisle"] == aisle])
        theirs = [row for row in got if row["aisle"] == aisle]
        assert [row["tier_in_group"] for row in theirs] == mine.tiers
        assert [row["rank_in_group"] for row in theirs] == mine.ranks


MANY = 2_000


@pytest.mark.parametrize("size", [12, MANY])
@pytest.mark.parametrize(
    ("column", "values", "back"),
    [
        ("launch_date", [np.datetime64("2026-01-31")], None),
        ("units_sold", [np.int32(5), 2**40], [5, 2**40]),
        ("category", ["toys", float("nan"), np.str_("food")], ["toys", None, "food"]),
        ("discontinued", [True, None, False], [True, None, False]),
        ("note", [np.int64(3), 1.5, None], [3.0, 1.5, None]),
        ("price", [Decimal("1.50"), 2], [1.5, 2.0]),
    ],
)
def test_odd_values_of_a_list_come_back_plain(
    size: int, column: str, values: list[Any], back: list[Any] | None
) -> None:
    rows = [product(i) | {column: values[i % len(values)]} for i in range(size)]
    analysis = analyze(rows)
    found = analysis.products[column].to_list()[: len(values)]
    answered = [row[column] for row in analysis.to_dict()["data"][: len(values)]]
    if back is None:
        assert answered == ["2026-01-31"]
    else:
        assert found == back
        assert answered == back
        assert {type(value) for value in answered} <= {int, float, str, bool, type(None)}


@pytest.mark.parametrize("size", [12, MANY])
@pytest.mark.parametrize("value", ["nonsense", "false", 1])
def test_only_truths_are_truths_in_a_list(size: int, value: Any) -> None:
    with pytest.raises(RejectedRowsError):
        analyze([product(i, discontinued=value) for i in range(size)])


def test_a_product_without_a_location_can_be_asked_for() -> None:
    rows = [product(1, location=place, units=n) for n, place in enumerate((2, None))]
    analysis = analyze(pl.DataFrame(rows))
    with pytest.raises(InputError, match="several locations: '', '2'"):
        analysis.explain(1)
    assert analysis.explain(1, location="").metrics["revenue"] == 10.0
    assert analysis.explain(1, location=2).metrics["revenue"] == 0.0
    with pytest.raises(InputError, match="no column location"):
        analyze(RANGE).explain(1, location="Nowhere")


def test_a_csv_that_is_no_text_says_why(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv.gz"
    path.write_bytes(gzip.compress(csv(",").replace("Lamp", "Lämp").encode("latin-1") + b"\xe4"))
    with pytest.raises(UnreadableError, match="Invalid unicode"):
        analyze(path)
