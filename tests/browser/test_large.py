"""Large stores: the pages stay as light, and lists can be read to their end."""

import re
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import expect
from visitor import Visitor, width_over

from doors import LiveDoor, serving
from shelfwise import Store, analyze
from shelfwise.settings import load_settings

Visit = Callable[[LiveDoor], Visitor]
MOST = 500_000
"""Characters that a page may have, however many products there are."""


@pytest.fixture(scope="module", params=[50_000, 1_000_000], ids="{:,}".format)
def large(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LiveDoor, int]]:
    """A store with one run of so many products."""
    count, home = request.param, tmp_path_factory.mktemp("large")
    random = np.random.default_rng(3)
    products = pl.DataFrame({
        "product_id": np.arange(count),
        "name": pl.select(pl.format("Product {}", pl.int_range(count))).to_series(),
        "price": np.round(random.lognormal(3, 1, count), 2) + 0.01,
        "units_sold": np.floor(random.lognormal(3, 1.5, count)),
        "stock": np.floor(random.lognormal(3, 1.5, count)),
        "category": random.choice(["Garden", "Kitchen", "Toys"], count),
    })  # fmt: skip
    with Store(load_settings({}, data_dir=home)) as store:
        store.runs.save(analyze(products, period=28))
    with serving(home) as door:
        yield door, count


def test_every_page_is_light_and_whole(large: tuple[LiveDoor, int], visit: Visit) -> None:
    door, count = large
    visitor = visit(door)
    for path in ("/", "/products", "/products?category=Toys&sort=-stock", "/product?id=7",
                 "/inventory", "/data", "/method", "/profiles"):  # fmt: skip
        page = visitor.open(path)
        assert len(page.content()) < MOST, path
        assert width_over(page) <= 0
    page = visitor.open("/")
    expect(page.locator(".lead").first).to_contain_text(f"{count:,} products")


def test_the_end_of_a_list_is_reached(large: tuple[LiveDoor, int], visit: Visit) -> None:
    door, count = large
    page = visit(door).open(f"/products?after={count - 30}")
    expect(page.locator(".count")).to_contain_text(f"of {count:,} products")
    page.get_by_role("link", name="Next").click()
    expect(page).to_have_url(re.compile(f"after={count - 5}"))
    assert page.locator("table.rows tbody tr").count() == 5
    assert page.get_by_role("link", name="Next").count() == 0
