"""What people do with decisions: reorder, order from suppliers, look at trends and deliveries."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from visitor import SIZES, THEMES, Visitor, width_over

from doors import LiveDoor

Visit = Callable[[LiveDoor], Visitor]
VIEWS = (
    "/inventory?view=orders", "/inventory?view=clear", "/inventory?view=stock",
    "/inventory?answer=dismissed", "/trends?view=indicative", "/trends?view=shifts",
    "/trends?view=categories", "/suppliers?view=delivery", "/suppliers?view=dependency",
)  # fmt: skip
LONG = 120_000
"""Milliseconds that a job may take on a machine that others use, too."""


def rows_of(page: Page, link: str) -> list[dict[str, str]]:
    with page.expect_download() as waiting:
        page.get_by_role("link", name=link, exact=True).click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("path", VIEWS)
def test_every_view_is_whole(demo: LiveDoor, visit: Visit, path: str, theme: str) -> None:
    for size in SIZES:
        page = visit(demo).open(path, size, theme, bypass_csp=True)
        for details in page.locator("details:not(.more)").all():
            details.evaluate("one => one.open = true")
        assert width_over(page) <= 0
        found = Axe().run(page)
        assert not found.response["violations"], found.generate_report()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_quantity_is_changed_accepted_and_taken_away(
    own_demo: LiveDoor, visit: Visit, scripts: bool
) -> None:
    page = visit(own_demo).open("/inventory", java_script_enabled=scripts)
    row = page.locator("table.list tbody tr").nth(1)
    name = row.locator("a.name").inner_text()
    row.locator("input.quantity").fill("61")
    row.get_by_role("button", name="Accept").click()
    expect(page.locator("table.list tbody tr").nth(1).locator(".verdict")).to_contain_text(
        "61 instead of"
    )
    other = page.locator("table.list tbody tr").nth(0)
    gone = other.locator("a.name").inner_text()
    other.locator("summary").click()
    other.get_by_label("Why?").fill("The supplier ends it")
    other.get_by_role("button", name="Dismiss").click()
    expect(page.locator("table.list")).not_to_contain_text(gone)
    rows = {one["name"]: one for one in rows_of(page, "Download as CSV")}
    assert float(rows[name]["quantity"]) == 61
    assert rows[name]["verdict"] == "accepted"
    assert gone not in rows
    page.goto("/inventory?answer=dismissed")
    expect(page.locator(".verdict")).to_contain_text("The supplier ends it")


@pytest.mark.parametrize("scripts", [True, False])
def test_orders_within_the_cash_are_worked_out_by_a_job(
    own_demo: LiveDoor, visit: Visit, scripts: bool
) -> None:
    page = visit(own_demo).open("/inventory?view=orders", java_script_enabled=scripts)
    page.get_by_label("Cash for all orders").fill("8000")
    page.get_by_role("button", name="Propose anew").click()
    # The page loads itself again until the answer is there.
    expect(page.locator(".count").first).to_contain_text("of €8,000", timeout=LONG)
    assert "work=" not in page.url
    rows = rows_of(page, "Download all as CSV")
    assert 0 < sum(float(row["cost"]) for row in rows) <= 8000
    expect(page.locator(".flag.met").first).to_be_visible()  # The minimums were kept.
    one = page.locator("table.rows tbody tr").first
    supplier = one.locator("a.name").inner_text()
    one.locator("a.name").click()
    expect(page).to_have_url(re.compile("supplier="))
    expect(page.locator("#f-supplier")).to_have_value(supplier)


def test_receipts_of_a_file_tell_who_is_late(own_demo: LiveDoor, visit: Visit) -> None:
    page = visit(own_demo).open("/suppliers?view=delivery")
    expect(page.locator("h1")).to_contain_text("Lastwick delivers")
    page.get_by_text("Work it out with other settings").click()
    lines = ["supplier,product_id,ordered,promised,received,ordered_quantity,received_quantity"]
    for n in range(60):
        day = f"2026-0{1 + n % 8}"
        late = 25 if n % 3 == 0 else 9
        supplier = ("Oddsock", "Moonbarrow", "Tinkerquay")[n % 3]
        lines.append(f"{supplier},{1001 + n},{day}-01,{day}-10,{day}-{late:02},10,10")
    page.get_by_label("Receipts", exact=True).set_input_files(
        {"name": "receipts.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}
    )
    page.get_by_role("button", name="Work it out anew").click()
    expect(page.locator("h1")).to_contain_text("Oddsock delivers", timeout=LONG)
    expect(page.locator("table.rows tbody tr").first).to_contain_text("Oddsock")
