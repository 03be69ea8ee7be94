"""The report as one web page: nothing is loaded, nothing runs, names stay text."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from shelfwise import analyze, reports
from shelfwise.reports.report import Report
from shelfwise.reports.web import policy

HOSTILE = (
    "<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "{{7*7}}",
    '#panic("x")', "</style><b>", "\u202eabc \N{HEADPHONE}", "\u8d85\u957f\u7684" * 24,
    '"onload="alert(3)',
)  # fmt: skip


@pytest.fixture(scope="module")
def hostile() -> Report:
    rows = [
        {"product_id": n, "name": name, "price": 3.0 + n, "units_sold": 90 - n, "stock": 400 * n,
         "category": name, "supplier": name, "unit_cost": 1.0}
        for n, name in enumerate(HOSTILE)
    ]  # fmt: skip
    return reports.report(analyze(rows, period=30), name=HOSTILE[0], source=HOSTILE[1])


class Page(HTMLParser):
    """The elements of a page, its addresses and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_loads_nothing_and_runs_nothing(hostile: Report) -> None:
    page = Page(reports.render(hostile, "html"))
    assert "script" not in {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "srcset", "href"):
            if name in attributes:
                expected = "#" if tag == "a" else "data:image/svg+xml;base64,"
                assert str(attributes[name]).startswith(expected)
    named = {attributes.get("http-equiv"): attributes.get("content") for _, attributes in page.tags}
    assert named["Content-Security-Policy"] == policy()


def test_the_policy_lets_its_own_style_in(hostile: Report) -> None:
    page = reports.render(hostile, "html").decode()
    (style,) = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy()
    assert policy().startswith("default-src 'none'")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_text(hostile: Report, name: str) -> None:
    page = Page(reports.render(hostile, "html"))
    assert name[:20] in page.text
    for tag, attributes in page.tags:
        if tag == "img":
            drawn = base64.b64decode(str(attributes["src"]).partition(",")[2]).decode()
            assert "<img" not in drawn
            assert "<script" not in drawn


def test_each_chart_says_in_words_what_it_shows(hostile: Report) -> None:
    found: list[Any] = [attributes for tag, attributes in
                        Page(reports.render(hostile, "html")).tags if tag == "img"]  # fmt: skip
    assert found
    assert all(one["alt"] and one["alt"].endswith(".") for one in found)
