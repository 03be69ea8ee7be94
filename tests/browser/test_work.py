"""What people do who bring data, compare runs, and plan campaigns: the work is done by a worker."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import expect
from visitor import Visitor

from doors import LiveDoor
from kinds import shop

Visit = Callable[[LiveDoor], Visitor]
WORK = 180_000
"""Milliseconds that a job may take on a machine that does much else."""


def written(path: Path) -> Path:
    """A file of products with one that cannot be scored, and one that can be repaired."""
    rows = [{**row, "price": str(row["price"])} for row in shop(60)]
    rows[3]["price"], rows[5]["price"] = "12,50", "many"
    pl.DataFrame(rows).rename({"units_sold": "verkauft"}).write_csv(path)
    return path


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_from_a_file_to_the_overview_a_product_and_an_export(
    own_demo: LiveDoor, visit: Visit, tmp_path: Path, scripts: bool
) -> None:
    page = visit(own_demo).page(java_script_enabled=scripts)
    page.goto("/data")
    page.locator("#file").set_input_files(written(tmp_path / "week 9.csv"))
    page.get_by_role("button", name="Look at the file").click()
    expect(page.locator("h1")).to_have_text("This file cannot be analyzed yet")
    expect(page.get_by_text("Missing: units_sold.")).to_be_visible()
    page.get_by_label(re.compile("^verkauft")).select_option("units_sold")
    page.get_by_role("button", name="Look again").click()
    expect(page.locator("h1")).to_have_text("2 of 60 rows break the rules")
    expect(page.get_by_label(re.compile("Repair what is certainly meant"))).to_be_checked()
    expect(page.get_by_label(re.compile("^Standard"))).to_be_checked()
    page.get_by_label("Days", exact=True).fill("28")
    page.get_by_label(re.compile("Name of the run")).fill("Week 9")
    page.get_by_role("button", name="Analyze it").click()
    # The page of the job loads itself again by a header, with scripts or without.
    expect(page.locator("h1")).to_have_text("1 of 60 rows was refused", timeout=WORK)
    expect(page.get_by_text("price is the text 'many'")).to_be_visible()
    page.get_by_role("link", name="See the overview").click()
    expect(page.locator(".top")).to_contain_text("59 products, 4 weeks to")
    run = re.search(r"run=([^&]+)", page.url)
    assert run
    page.goto(f"/products?run={run[1]}&tier=High")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV", exact=True).click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["performance_tier"] for row in rows} == {"High"}
    page.locator("table.rows th a.name").first.click()
    expect(page.get_by_role("heading", name=re.compile("Why it scores"))).to_be_visible()


def test_a_file_that_is_none_of_ours_is_refused_on_the_page(
    demo: LiveDoor, visit: Visit, tmp_path: Path
) -> None:
    visitor = visit(demo)
    page = visitor.open("/data")
    (tmp_path / "shop.pdf").write_bytes(b"%PDF-1.7")
    page.locator("#file").set_input_files(tmp_path / "shop.pdf")
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_role("alert").first).to_contain_text("shop.pdf")
    expect(page.locator("#file")).to_be_visible()
    visitor.wrong.clear()  # The browser notes that it was answered by 415.


def test_two_runs_say_what_changed_and_lead_to_the_products(demo: LiveDoor, visit: Visit) -> None:
    page = visit(demo).open("/")
    page.get_by_role("link", name="See what changed.").click()
    expect(page.locator("h1")).to_contain_text("really changed since")
    expect(page.locator("[data-chart=bridge] svg").first).to_be_attached()
    counted = [int(n.replace(",", "")) for n in page.locator(".matrix td strong").all_inner_texts()]
    assert len(counted) == 9
    first = page.locator("table.rows th a.name").first
    name = first.inner_text()
    first.click()
    expect(page.locator("h1")).to_contain_text(name)


def test_a_campaign_is_planned_and_taken_along(own_demo: LiveDoor, visit: Visit) -> None:
    page = visit(own_demo).open("/campaigns")
    page.get_by_role("link", name="Change the settings").click()
    page.get_by_label("Budget", exact=True).fill("500")
    page.get_by_label("Products at most", exact=True).fill("3")
    page.get_by_role("button", name="Work it out again").click()
    expect(page.locator(".tiles")).to_contain_text("of €500", timeout=WORK)
    expect(page.locator("h1")).to_contain_text("on offer would add about")
    rows = page.locator("table.rows tbody tr").count()
    assert 1 <= rows <= 3
    expect(page.get_by_label("Budget", exact=True)).to_have_value("500")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV", exact=True).click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8-sig")
    taken = list(csv.DictReader(io.StringIO(text)))
    assert len(taken) == rows
    assert all(row["rests_on"] for row in taken)
