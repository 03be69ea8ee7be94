"""shelfwise report: what it writes of files and runs, and what it refuses."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pypdfium2 as pdfium
import pytest
from typer.testing import CliRunner

from kinds import sold
from shelfwise import cli
from shelfwise.errors import InputError, NotFoundError, RejectedRowsError
from shelfwise.store import Store

LINES, CATALOG = sold()
STOCKED = [
    row | {"unit_cost": 4.0, "lead_time_days": 14, "stock": (0, 400, 90_000)[n % 3],
           "supplier": f"S{n % 4}"}
    for n, row in enumerate(CATALOG)
]  # fmt: skip
SALES = ("--sales", "lines.parquet", "--catalog", "catalog.csv", "--stock", "catalog.csv")
ROWS = [
    {"product_id": n, "name": f"Tea {n}", "price": 2.0 + n, "units_sold": 10 * n, "stock": 5}
    for n in range(1, 9)
]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    pl.DataFrame(LINES).write_parquet("lines.parquet")
    pl.DataFrame(STOCKED).write_csv("catalog.csv")
    pl.DataFrame(ROWS).write_csv("products.csv")

    def invoke(*arguments: str | Path) -> Any:
        return CliRunner().invoke(cli.app, list(map(str, arguments)), catch_exceptions=False)

    return invoke


def first_page(made: bytes) -> str:
    return str(pdfium.PdfDocument(made)[0].get_textpage().get_text_range())


@pytest.mark.parametrize(("kind", "begins"), [("pdf", b"%PDF-"), ("html", b"<!doctype"),
                                              ("xlsx", b"PK")])  # fmt: skip
def test_a_file_of_products_is_reported(call: Callable[..., Any], kind: str, begins: bytes) -> None:
    found = call("report", "products.csv", "--title", "Teas", "-o", f"out.{kind}")
    assert found.exit_code == 0
    assert f"Wrote out.{kind}." in found.output
    made = Path(f"out.{kind}").read_bytes()
    assert made.startswith(begins)
    if kind == "pdf":
        assert "Teas" in first_page(made)


def test_order_lines_are_reported_with_what_follows_of_them(call: Callable[..., Any]) -> None:
    assert call("report", *SALES, "-o", "-", "--format", "html").exit_code == 0
    assert call("report", *SALES, "-o", "out.html").exit_code == 0
    shown = Path("out.html").read_text()
    assert "to reorder now" in shown
    assert "confirmed" in shown


def test_a_run_gets_what_it_lacks_and_is_compared(call: Callable[..., Any]) -> None:
    for units in (10, 30):
        pl.DataFrame([row | {"units_sold": units * row["units_sold"]} for row in ROWS]).write_csv(
            "products.csv"
        )
        saved = call("analyze", "products.csv", "--period-days", "30", "--save", "-o", "s.csv")
        assert saved.exit_code == 0
    assert call("report", "latest", "-o", "out.html", "--currency", "EUR").exit_code == 0
    with Store() as store:
        assert {"inventory", "changes"} <= {table.name for table in store.derived.all()}
        runs, _ = store.runs.newest()
    shown = Path("out.html").read_text()
    assert "+200.0% on the run of" in shown
    assert "\N{EURO SIGN}" in shown
    assert call("report", runs[0].id[:12], "--since", runs[1].id, "-o", "two.pdf").exit_code == 0
    assert "Product performance" in first_page(Path("two.pdf").read_bytes()).capitalize()


def test_a_page_about_a_supplier(call: Callable[..., Any]) -> None:
    assert call("report", *SALES, "--supplier", "S2", "-o", "s2.pdf").exit_code == 0
    made = Path("s2.pdf").read_bytes()
    assert len(pdfium.PdfDocument(made)) == 1
    assert "S2" in first_page(made)
    with pytest.raises(NotFoundError, match="no supplier"):
        call("report", *SALES, "--supplier", "Nobody", "-o", "x.pdf")


def test_good_rows_are_reported_beside_bad_ones(call: Callable[..., Any]) -> None:
    text = Path("products.csv").read_text() + "9,Tea 9,cheap,1,1\n"
    Path("products.csv").write_text(text)
    with pytest.raises(RejectedRowsError, match="cheap"):
        call("report", "products.csv", "-o", "x.html")
    assert call("report", "products.csv", "--on-error", "skip", "-o", "x.html").exit_code == 0
    assert "8 products were scored, 1 set aside" in Path("x.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["products.csv", "-o", "x.docx"], "is no report"),
        ([], "Give a run or a file"),
        (["products.csv", *SALES], "Give a run or a file"),
        (["products.csv", "--since", "latest"], "--since goes with a run"),
        (["latest", "--before", "products.csv"], "--before goes with a file; a run"),
        (
            ["latest", "--profile", "robust", "--on-error", "skip"],
            "--profile and --on-error go with a file; a run",
        ),
        (["latest", "--catalog", "catalog.csv"], "--catalog goes with a file; a run"),
        (["products.csv", "--catalog", "catalog.csv"], "--catalog goes with --sales"),
        (["products.csv", "--max-rejected", "5%"], "--max-rejected goes with --sales"),
        ([*SALES, "--period-days", "30"], "--period-days goes with a file of products"),
        ([*SALES, "--before", "products.csv"], "--before goes with a file of products"),
    ],
)
def test_what_does_not_go_together_is_said(
    call: Callable[..., Any], arguments: list[str], told: str
) -> None:
    found = call("report", *arguments)
    assert found.exit_code == 2
    assert told in found.output


def test_what_cannot_be_is_refused_before_it_is_made(call: Callable[..., Any]) -> None:
    with pytest.raises(NotFoundError, match="no folder"):
        call("report", "products.csv", "-o", "nowhere/x.pdf")
    with pytest.raises(NotFoundError):
        call("report", "latest", "-o", "x.pdf")
    with pytest.raises(InputError, match="locale"):
        call("report", "products.csv", "--locale", "xx_YY", "-o", "x.pdf")


def test_a_report_goes_to_standard_output(call: Callable[..., Any]) -> None:
    found = call("report", "products.csv", "-o", "-", "--format", "xlsx")
    assert found.exit_code == 0
    assert BytesIO(found.stdout_bytes).read(2) == b"PK"
