"""Every page, on a desk and on a phone, in light and in dark."""

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from visitor import SIZES, THEMES, Visitor, width_over

from doors import LiveDoor, serving
from kinds import shop
from shelfwise import analyze
from shelfwise.service.dashboard.page import PLACES
from shelfwise.settings import load_settings
from shelfwise.store import Store

Visit = Callable[[LiveDoor], Visitor]
PAGES = [
    *(place.path for place in PLACES),
    "/product?id=1001",
    "/products?sort=-revenue",
    "/profiles?with=robust",
]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_whole(demo: LiveDoor, visit: Visit, path: str, size: str, theme: str) -> None:
    page = visit(demo).open(path, size, theme)
    assert page.locator("h1").count() == 1
    assert width_over(page) <= 0
    assert page.locator("main").inner_text().strip()
    for card in page.locator(".card:has(> .chart)").all():
        sentence = card.locator(".told").inner_text()
        assert sentence.endswith(".")
        assert card.locator("> .chart").get_attribute("role") == "img"
        assert card.locator("> .chart").get_attribute("aria-label") == sentence
        assert card.locator("h2").first.inner_text()
        assert card.locator("details table tbody tr").count()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("path", [*PAGES, "/sign-in", "/products?search=nothing-of-the-kind"])
def test_axe_finds_nothing(demo: LiveDoor, visit: Visit, path: str, theme: str) -> None:
    # axe is a script of its own, which the policy of the pages would keep out.
    for size in SIZES:
        page = visit(demo).open(path, size, theme, bypass_csp=True)
        for details in page.locator("details:not(.more)").all():
            details.evaluate("one => one.open = true")
        found = Axe().run(page)
        assert not found.response["violations"], found.generate_report()


HOSTILE = (
    "<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "{{7*7}}",
    '#panic("x")', "=cmd|' /C calc'!A0", "\u0633\u0645\u0627\u0639\u0627\u062a",
    "\u8d85\u957f\u7684" * 24, "\u202eabc \N{HEADPHONE}",
)  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDoor]:
    """A shop whose best sellers, categories and suppliers have hostile names, in two runs."""
    home = tmp_path_factory.mktemp("hostile")
    rows = shop(60)
    for number, row in enumerate(rows):
        row["category"] = row["supplier"] = HOSTILE[number % len(HOSTILE)]
    for row, name in zip(rows, HOSTILE, strict=False):
        row["name"] = name
    with Store(load_settings({}, data_dir=home)) as store:
        for _ in range(2):
            store.runs.save(analyze(rows, period=28), label=HOSTILE[0])
    with serving(home) as door:
        yield door


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", [*(place.path for place in PLACES), "/product?id=1"])
def test_hostile_names_stay_text(hostile: LiveDoor, visit: Visit, path: str, size: str) -> None:
    page = visit(hostile).open(path, size)
    assert width_over(page) <= 0
    assert page.locator("img[src=x]").count() == 0
    assert "49" not in page.title()
    assert "49" not in page.locator("h1").inner_text()


def test_hostile_names_are_shown_as_they_are(hostile: LiveDoor, visit: Visit) -> None:
    page = visit(hostile).open("/products")
    shown = page.locator("table.rows th a.name").all_inner_texts()
    assert {name for name in HOSTILE if name in shown} == set(HOSTILE)


def test_a_hostile_name_stays_text_in_a_tooltip(hostile: LiveDoor, visit: Visit) -> None:
    page = visit(hostile).open("/")
    seen = ""
    for circle in page.locator("[data-chart=portfolio_map] .mark-symbol path").all():
        circle.hover(force=True)
        page.wait_for_timeout(100)
        seen += page.locator("#vg-tooltip-element").inner_text()
    assert any(name in seen for name in HOSTILE[:3])
    assert page.locator("img[src=x]").count() == 0
