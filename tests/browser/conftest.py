"""Chromium on this machine, and real servers that it looks at.

A page is opened in a context of its own, under the strict content security policy; what the
browser complains of, and each dialog, fails the test that saw it.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from visitor import Visitor

from doors import LiveDoor, serving

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("There is no Chromium here. On Debian: apt install chromium")
    with sync_playwright() as driver:
        # Root may not use the sandbox; the pages are our own.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[[LiveDoor], Visitor]]:
    """Look at a server; at the end nothing may have gone wrong in the browser."""
    visitors: list[Visitor] = []

    def begin(door: LiveDoor) -> Visitor:
        visitors.append(Visitor(chromium, door.url))
        return visitors[-1]

    yield begin
    for visitor in visitors:
        with contextlib.ExitStack() as closing:
            for context in visitor.contexts:
                closing.callback(context.close)
        assert not visitor.wrong


@pytest.fixture(scope="session")
def demo(demo_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDoor]:
    """The demo, served. Tests that change what is kept take `own_demo`."""
    with serving(tmp_path_factory.mktemp("log"), SHELFWISE_DATA_DIR=str(demo_data)) as door:
        yield door


@pytest.fixture
def own_demo(demo_data: Path, tmp_path: Path) -> Iterator[LiveDoor]:
    """A copy of the demo that a test may change, with a worker for its jobs."""
    data = shutil.copytree(demo_data, tmp_path / "data")
    with serving(tmp_path, "--worker", SHELFWISE_DATA_DIR=str(data)) as door:
        yield door
