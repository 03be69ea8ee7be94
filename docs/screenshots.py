"""Pictures of every page of the dashboard, on a desk and on a phone, in light and in dark.

`make screenshots` writes them to build/screenshots; look at each as a demanding designer would.
`--docs` writes those that README.md and the documentation show to docs/images.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from rich.progress import track

PROJECT = Path(__file__).resolve().parent.parent
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
PRODUCT = "/product?id=1001"
SHOWN = {
    "overview": ("/", "desk", "light"),
    "product": (PRODUCT, "desk", "light"),
    "inventory": ("/inventory", "desk", "dark"),
    "overview-phone": ("/", "phone", "dark"),
}
"""Name of a picture in docs/images -> its page, size and theme."""


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """The address of the demo, served until the block ends."""
    command = [sys.executable, "-m", "shelfwise.cli", "demo", "--port", "0", "--folder"]
    log = folder / "log"
    with log.open("wb") as file:
        served = subprocess.Popen(
            [*command, str(folder)], stdout=subprocess.DEVNULL, stderr=file, cwd=folder
        )
    try:
        while "listens on " not in (said := log.read_text(encoding="utf-8")):
            if served.poll() is not None:
                sys.exit(f"The demo ended: {said}")
            try:
                served.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        yield said.split("listens on ")[1].split()[0]
    finally:
        served.terminate()
        served.wait()


def take(page: Page, url: str, file: Path, *, whole: bool) -> None:
    """Load a page, wait for its charts, and keep a picture of it."""
    page.goto(url)
    for chart in page.locator(".chart[data-chart]").all():
        chart.locator("svg").first.wait_for(state="attached")
    page.screenshot(path=file, full_page=whole)


def main() -> None:
    """Take the pictures that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--docs", action="store_true", help="those of the documentation only")
    asked = parser.parse_args()
    from shelfwise.service.dashboard.page import PLACES

    if not (chromium := shutil.which("chromium")):
        sys.exit("There is no Chromium here. On Debian: apt install chromium")
    target = PROJECT / ("docs/images" if asked.docs else "build/screenshots")
    target.mkdir(parents=True, exist_ok=True)
    pages = {place.name: place.path for place in PLACES} | {"product": PRODUCT}
    wanted = SHOWN if asked.docs else {
        f"{name}-{size}-{theme}": (path, size, theme)
        for name, path in pages.items() for size in SIZES for theme in ("light", "dark")
    }  # fmt: skip
    with (
        tempfile.TemporaryDirectory() as folder,
        demo(Path(folder)) as url,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (path, size, theme) in track(wanted.items(), "Pictures", total=len(wanted)):
            width, height = SIZES[size]
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if theme == "dark" else "light",
            )
            take(page, url + path, target / f"{name}.png", whole=not asked.docs)
            page.close()
        browser.close()
    print(f"{len(wanted)} pictures are in {target}.")


if __name__ == "__main__":
    main()
