"""Somebody with a browser: opens pages, and keeps what went wrong on them."""

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

SIZES = {"desk": (1440, 900), "phone": (390, 844)}
THEMES = ("light", "dark")


@dataclass
class Visitor:
    """Opens pages of a server; `wrong` is what the browser complained of, and each dialog."""

    browser: Browser
    url: str
    wrong: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def page(self, size: str = "desk", theme: str = "light", **options: Any) -> Page:
        """An empty page in a context of its own, of a size and a theme."""
        width, height = SIZES[size]
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,  # type: ignore[arg-type]
            base_url=self.url,
            accept_downloads=True,
            **options,
        )
        context.set_default_timeout(20_000)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: said.type == "error" and self.wrong.append(said.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: (self.wrong.append(dialog.message), dialog.dismiss()))
        return page

    def open(self, path: str, size: str = "desk", theme: str = "light", **options: Any) -> Page:
        """A page that is loaded, its charts drawn."""
        page = self.page(size, theme, **options)
        answer = page.goto(path)
        assert answer is not None
        assert answer.ok, (path, answer.status)
        drawn(page)
        return page


def drawn(page: Page) -> None:
    """Wait until each chart of a page is drawn; without scripts there is nothing to wait for."""
    for chart in page.locator(".chart[data-chart]").all():
        chart.locator("svg").first.wait_for(state="attached")


def width_over(page: Page) -> int:
    """By how many pixels a page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))
