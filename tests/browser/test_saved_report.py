"""The report as a web page, as whoever gets it by mail opens it: no server, no script."""

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from visitor import SIZES, THEMES, Visitor, width_over

from doors import LiveDoor


@pytest.fixture(scope="module")
def saved(demo: LiveDoor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, as it was saved."""
    place = tmp_path_factory.mktemp("saved") / "report.html"
    answer = demo.send("GET", "/report.html", {}, b"")
    assert answer.status == 200
    place.write_bytes(answer.body)
    return place


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_a_saved_report_is_whole(chromium: Browser, saved: Path, size: str, theme: str) -> None:
    width, height = SIZES[size]
    context = chromium.new_context(viewport={"width": width, "height": height},
                                   color_scheme=theme, java_script_enabled=True)  # fmt: skip
    page, wrong, asked = context.new_page(), [], []
    page.on("console", lambda said: wrong.append(said.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(saved.as_uri())
    assert page.locator("h1").count() == 1
    assert page.locator("section").count() == 10
    assert width_over(page) <= 0
    for picture in page.locator("img").all():
        assert picture.evaluate("one => one.complete && one.naturalWidth > 100")
        assert picture.evaluate("one => one.clientWidth") >= 500  # Its letters can be read.
    for cells, least in (("td.name", 100), ("td.medium", 40), ("td.prose", 180)):
        narrow = page.locator(cells).evaluate_all(
            "all => Math.min(...all.filter(one => one.clientWidth).map(one => one.clientWidth))"
        )
        assert narrow >= least, f"Words of {cells} are broken"
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    assert not wrong
    context.close()


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_in_a_saved_report(chromium: Browser, saved: Path, theme: str) -> None:
    context = chromium.new_context(color_scheme=theme, bypass_csp=True)
    page = context.new_page()
    page.goto(saved.as_uri())
    found = Axe().run(page)
    assert not found.response["violations"], found.generate_report()
    context.close()


def test_a_report_is_sent_from_the_page(
    own_demo: LiveDoor, visit: Callable[[LiveDoor], Visitor]
) -> None:
    page = visit(own_demo).open("/reports")
    page.get_by_label("One page about a supplier").select_option("Lastwick")
    with page.expect_download() as got:
        page.locator("#documents").get_by_role("button", name="PDF").click()
    assert got.value.suggested_filename.endswith("Lastwick.pdf")
    page.get_by_role("button", name="Make an address").click()
    address = page.locator("input.address").input_value()
    answer = page.request.get(address)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/csv")
