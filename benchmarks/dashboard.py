"""What the dashboard weighs and how fast it is in Chromium, beside its targets.

    python benchmarks/dashboard.py [products [products of the deep list]]

A store of 50,000 products (and one of a million for deep pages) is made in a temporary folder
and served on loopback. Each figure is the median of several rounds in a cold browser context.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from catalogue import catalogue
from playwright.sync_api import Browser, sync_playwright

from shelfwise import Store, analyze
from shelfwise.settings import load_settings

ROUNDS = 7
DRAWN = """() => [...document.querySelectorAll(".chart[data-chart]")].every(
    one => one.dataset.drawn)"""


@contextmanager
def serving(products: int) -> Iterator[str]:
    """The address of a server whose store has one run of so many products."""
    with tempfile.TemporaryDirectory() as folder:
        with Store(load_settings({}, data_dir=Path(folder))) as store:
            store.runs.save(
                analyze(pl.DataFrame(catalogue(products)), period=28), label="Benchmark"
            )
        code = "import sys; from shelfwise.cli import main; sys.argv[0] = 'shelfwise'; main()"
        log = Path(folder, "log")
        with log.open("wb") as file:
            served = subprocess.Popen(
                [sys.executable, "-c", code, "serve", "--port", "0", "--no-worker"],
                env={"SHELFWISE_DATA_DIR": folder, "PATH": "/usr/bin:/bin"},
                stderr=file, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            while "Stop: Ctrl-C" not in (said := log.read_text(encoding="utf-8")):
                assert served.poll() is None, said
                time.sleep(0.1)
            yield said.split("listens on ")[1].split()[0]
        finally:
            served.terminate()
            served.wait()


def answered(url: str) -> tuple[float, int]:
    """Milliseconds until an answer is here whole, and its bytes as they were sent."""
    asked = urllib.request.Request(url, headers={"Accept-Encoding": "gzip", "Accept": "text/html"})
    start = time.perf_counter()
    with urllib.request.urlopen(asked) as answer:
        size = len(answer.read())
    return (time.perf_counter() - start) * 1000, size


def weight(browser: Browser, url: str) -> int:
    """Bytes that a cold browser is sent for a page and all that it loads."""
    context = browser.new_context()
    page = context.new_page()
    sizes: list[int] = []
    page.on("requestfinished", lambda asked: sizes.append(
        asked.sizes()["responseBodySize"] + asked.sizes()["responseHeadersSize"]))  # fmt: skip
    page.goto(url)
    page.wait_for_load_state("networkidle")
    context.close()
    return sum(sizes)


def charts(browser: Browser, url: str) -> float:
    """Milliseconds from asking for a page, in a cold context, until its last chart is drawn."""
    context = browser.new_context(bypass_csp=True)  # `wait_for_function` needs eval.
    page = context.new_page()
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator(".chart[data-drawn]").first.wait_for(state="attached")
    page.wait_for_function(DRAWN, polling="raf")
    took = (time.perf_counter() - start) * 1000
    context.close()
    return took


PAINTED = """() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime"""


def sort_click(browser: Browser, url: str) -> float:
    """Milliseconds from the browser leaving for sorted rows until it has painted them."""
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(f"{url}/products")
    page.wait_for_load_state("networkidle")
    page.get_by_role("link", name="Sort by Revenue").click()
    page.locator("th[aria-sort]").filter(has_text="Revenue").wait_for()
    took = page.wait_for_function(PAINTED).json_value()
    context.close()
    return float(took)


def deep_page(url: str, products: int) -> list[float]:
    """Milliseconds of pages here and there in a list."""
    places = [products * part // 8 for part in range(8)] + [products - 30]
    answered(f"{url}/products")
    return [answered(f"{url}/products?after={place}")[0] for place in places]


def main() -> None:
    """Print a row for each figure: what it is, its target, what was measured."""
    products = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    deep = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    chromium = shutil.which("chromium")
    assert chromium, "There is no Chromium here. On Debian: apt install chromium"
    rows: list[tuple[str, str, str]] = []
    with serving(products) as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        answered(f"{url}/")
        weights = {path: weight(browser, url + path) / 1000 for path in ("/", "/products")}
        only = answered(f"{url}/products")[1] / 1000
        rows += [
            ("overview, all that it loads, compressed", "400 KB", f"{weights['/']:.0f} KB"),
            ("table page, compressed", "60 KB", f"{only:.0f} KB"),
            ("table page, all that it loads", "60 KB", f"{weights['/products']:.0f} KB"),
        ]
        first = [answered(f"{url}/")[0] for _ in range(ROUNDS)]
        rows.append(("overview, the server's part", "", f"{statistics.median(first):.0f} ms"))
        drawn = [charts(browser, f"{url}/") for _ in range(ROUNDS)]
        rows.append(("charts drawn, cold", "1,200 ms", f"{statistics.median(drawn):,.0f} ms"))
        clicks = [sort_click(browser, url) for _ in range(ROUNDS)]
        rows.append(("sort click to new rows", "110 ms", f"{statistics.median(clicks):.0f} ms"))
        browser.close()
    with serving(deep) as url:
        pages = deep_page(url, deep)
        middle = f"{statistics.median(pages):.0f} ms, slowest {max(pages):.0f} ms"
        rows.append((f"any page of {deep:,} products", "50 ms", middle))
    for row in rows:
        print("{:45}{:>10}  {}".format(*row))


if __name__ == "__main__":
    main()
