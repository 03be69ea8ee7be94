"""What people do on the pages, from the first click to what they came for."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from visitor import Visitor

from doors import LiveDoor
from kinds import shop

Visit = Callable[[LiveDoor], Visitor]


def downloaded(page: Page, link: str) -> str:
    """The text of what a link gives."""
    with page.expect_download() as waiting:
        page.get_by_role("link", name=link, exact=True).click()
    return Path(waiting.value.path()).read_text(encoding="utf-8-sig")


def test_from_the_overview_to_a_filter_a_product_and_a_file(demo: LiveDoor, visit: Visit) -> None:
    page = visit(demo).open("/")
    page.get_by_role("link", name="Products").first.click()
    page.get_by_label("Tier", exact=True).select_option("Low")  # Submits by itself.
    expect(page).to_have_url(re.compile("tier=Low"))
    tiers = page.locator("table.rows .tier").all_inner_texts()
    assert tiers
    assert set(tiers) == {"Low"}
    page.get_by_role("link", name="Sort by Revenue").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text(re.compile("Revenue"))
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "CSV"))))
    counted = re.search(r"of ([\d,]+) products", page.locator(".count").inner_text())
    assert counted
    assert len(rows) == int(counted[1].replace(",", ""))
    assert {row["performance_tier"] for row in rows} == {"Low"}
    revenue = [float(row["revenue"]) for row in rows]
    assert revenue == sorted(revenue, reverse=True)
    first = page.locator("table.rows th a.name").first
    name = first.inner_text()
    first.click()
    expect(page.locator("h1")).to_contain_text(name)
    expect(page.get_by_role("heading", name=re.compile("Why it scores"))).to_be_visible()


def test_back_leads_to_the_same_list(demo: LiveDoor, visit: Visit) -> None:
    page = visit(demo).open("/products?tier=High&sort=-revenue")
    page.get_by_role("link", name="Next").click()
    expect(page).to_have_url(re.compile("after="))
    names = page.locator("table.rows th a.name").all_inner_texts()
    page.locator("table.rows th a.name").first.click()
    expect(page.locator("#override")).to_be_visible()
    page.go_back()
    expect(page.locator("table.rows th a.name").first).to_have_text(names[0])
    assert page.locator("table.rows th a.name").all_inner_texts() == names
    # What a script has disabled to keep the address short works again.
    page.get_by_label("Tier", exact=True).select_option("Low")
    expect(page).to_have_url(re.compile("tier=Low"))


def test_back_frees_only_what_the_script_itself_left_out(demo: LiveDoor, visit: Visit) -> None:
    page = visit(demo).open("/products")
    page.evaluate("""() => {
        document.querySelector("button.primary").disabled = true;
        const form = document.querySelector("form[data-filters]");
        form.addEventListener("submit", (event) => event.preventDefault());
        form.requestSubmit();
    }""")
    expect(page.locator("#search")).to_be_disabled()
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(page.locator("#search")).to_be_enabled()
    expect(page.locator("button.primary").first).to_be_disabled()


def test_a_tier_set_by_hand_is_kept_and_can_be_taken_back(own_demo: LiveDoor, visit: Visit) -> None:
    page = visit(own_demo).open("/product?id=1001")
    computed = page.locator(".top .tier, h1 ~ * .tier, .tier").first.inner_text()
    chosen = "Low" if "Low" not in computed else "High"
    page.locator("#tier").select_option(chosen)
    page.get_by_label("Reason").fill("the supplier ends it")
    page.locator("#override button.primary").click()
    expect(page.locator("#override")).to_contain_text("the supplier ends it")
    page.goto("/products?search=1001")
    expect(page.locator("table.rows tr", has_text="by hand").first).to_contain_text(chosen)
    # It holds in the next run, too.
    rows = [row | {"product_id": 1_000 + row["product_id"]} for row in shop(30)]
    saved = own_demo(json.dumps(rows).encode(), path="/product-analysis?save=1").ok()
    page.goto(f"/products?search=1001&run={saved['run_id']}")
    expect(page.locator("table.rows tr", has_text="by hand").first).to_contain_text(chosen)
    page.locator("table.rows th a.name").first.click()
    page.locator("#override button").click()
    expect(page.locator("#override #reason")).to_be_visible()


def test_a_chart_opens_the_product_that_is_chosen(demo: LiveDoor, visit: Visit) -> None:
    page = visit(demo).open("/")
    page.locator("[data-chart=portfolio_map] .mark-symbol path").first.click(force=True)
    expect(page).to_have_url(re.compile(r"/product\?.*id="))


def test_numbers_behind_a_chart_are_a_table(demo: LiveDoor, visit: Visit) -> None:
    page = visit(demo).open("/")
    card = page.locator(".card:has(> [data-chart=pareto])")
    card.locator("summary").click()
    expect(card.get_by_role("row").nth(1)).to_contain_text("A")


def test_everything_is_reached_by_the_keyboard(demo: LiveDoor, visit: Visit) -> None:
    page = visit(demo).open("/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    inside = page.evaluate("document.querySelector('main').contains(document.activeElement)")
    assert inside
    page.goto("/products")
    page.locator("#search").focus()
    page.keyboard.type("tent")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("search=tent"))
    reached = set()
    for _ in range(100):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break  # Out of the page, at the browser's own parts.
        reached.add(page.evaluate("document.activeElement.className"))
        ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert ring != "none", page.evaluate("document.activeElement.outerHTML")
    assert "name" in reached


def test_without_scripts_lists_are_filtered_sorted_and_paged(demo: LiveDoor, visit: Visit) -> None:
    page = visit(demo).open("/products", java_script_enabled=False)
    page.get_by_label("Tier", exact=True).select_option("Low")
    page.locator("form[data-filters] button.primary").click()
    expect(page).to_have_url(re.compile("tier=Low"))
    page.get_by_role("link", name="Sort by Revenue").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text(re.compile("Revenue"))
    first = page.locator("table.rows th a.name").first.inner_text()
    page.get_by_role("link", name="Next").click()
    expect(page.locator("table.rows th a.name").first).not_to_have_text(first)
    page.get_by_role("link", name="Previous").click()
    expect(page.locator("table.rows th a.name").first).to_have_text(first)


def test_without_scripts_each_chart_is_a_sentence_and_a_table(demo: LiveDoor, visit: Visit) -> None:
    page = visit(demo).page(java_script_enabled=False)
    page.goto("/")
    for card in page.locator(".card:has(> .chart)").all():
        expect(card.locator(".told")).to_be_visible()
        card.locator("summary").click()
        expect(card.locator("details table")).to_be_visible()


def test_the_chosen_theme_stays(demo: LiveDoor, visit: Visit) -> None:
    page = visit(demo).open("/", theme="light")
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/products")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_who_has_no_key_signs_in_first(demo_data: Path, tmp_path: Path, visit: Visit) -> None:
    from doors import serving

    key = "a-key-of-sixteen-letters"
    with serving(tmp_path, SHELFWISE_DATA_DIR=str(demo_data), SHELFWISE_API_KEY=key) as door:
        visitor = visit(door)
        page = visitor.page()
        page.goto("/products?tier=Low")
        page.get_by_label("key").fill("not-the-right-key")
        with page.expect_response(lambda answer: answer.status == 403):
            page.get_by_role("button").first.click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert len(visitor.wrong) == 1  # The browser notes that the key was refused.
        visitor.wrong.clear()
        page.get_by_label("key").fill(key)
        page.get_by_role("button").first.click()
        expect(page).to_have_url(re.compile(r"/products\?tier=Low"))
        page.get_by_role("button", name=re.compile("sign out", re.I)).click()
        expect(page).to_have_url(re.compile("/sign-in"))
