"""What is kept: saving a million products, pages of them, and the history of one product.

    python benchmarks/kept.py

Saving is measured against `analyze` on the same file, in one process, five rounds; pages
and histories are medians of twenty.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import shelfwise
from shelfwise.settings import load_settings
from shelfwise.store import Store
from shelfwise.store.query import Query, page


def catalogue(rows: int, seed: int = 1) -> pl.DataFrame:
    chance = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "product_id": np.arange(rows),
            "name": [f"Product {n}" for n in range(rows)],
            "price": chance.lognormal(2, 1, rows).round(2) + 0.01,
            "units_sold": chance.poisson(20, rows),
            "stock": chance.poisson(50, rows),
        }
    )


def seconds(work: Callable[[], Any], rounds: int) -> float:
    """The median time of some rounds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def side_by_side(store: Store, path: Path) -> tuple[float, float]:
    """The median times of five rounds: `analyze` alone, and with the run kept, in turns."""
    alone, kept = [], []
    for _ in range(5):
        alone.append(seconds(lambda: shelfwise.analyze(path), 1))
        kept.append(seconds(lambda: store.runs.save(shelfwise.analyze(path)), 1))
    return statistics.median(alone), statistics.median(kept)


def overridden(store: Store) -> pl.DataFrame:
    """The first products of the latest run whose tier people have set."""
    run = store.runs.get()
    marked = store.overrides.marked(store.runs.products(run), run.as_of)
    return page(marked, Query(overridden=True), 50)[0]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        million = catalogue(1_000_000)
        million.write_parquet(Path(folder, "million.parquet"))
        million.write_csv(Path(folder, "million.csv"))
        with Store(load_settings({}, data_dir=Path(folder, "one"))) as store:
            for kind in ("csv", "parquet"):
                alone, kept = side_by_side(store, Path(folder, f"million.{kind}"))
                print(f"1,000,000 products, {kind}: analyze {alone:.2f} s, analyzed and kept "
                      f"{kept:.2f} s, {kept / alone:.1f} times")  # fmt: skip
            products = store.runs.products()
            for place in (0, 500_000, 999_950):
                took = seconds(partial(page, products, Query(), 50, place), 20)
                print(f"a page of 50 at rank {place:,}: {1000 * took:.1f} ms")
            for query in (Query(search="99999"), Query(sort="-units_sold"), Query({"tier": "Low"})):
                took = seconds(partial(page, products, query, 50, 0), 5)
                print(f"the first page of {query}: {1000 * took:.0f} ms")
            run, overrides = store.runs.get(), store.overrides
            for product_id in range(0, 1_000_000, 1_000):
                overrides.set(product_id, "High", "measured", first_day=run.as_of)
            rows, _ = page(products, Query(), 50, 500_000)
            took = seconds(partial(overrides.of_rows, rows, run.as_of), 20)
            print(f"the overrides of a page, of 1,000: {1000 * took:.1f} ms")
            took = seconds(partial(overridden, store), 5)
            print(f"the first page of those with one: {1000 * took:.0f} ms")
        for rows in (30_000, 300_000):
            with Store(load_settings({}, data_dir=Path(folder, str(rows)))) as store:
                analyses = (shelfwise.analyze(catalogue(rows, n)) for n in range(100))
                saved = [seconds(partial(store.runs.save, one), 1) for one in analyses]
                took = seconds(partial(store.runs.history.of, str(rows // 2)), 20)
                assert len(store.runs.history.of(str(rows // 2))) == 100
                usual, most = statistics.median(saved), max(saved)
                print(f"history over 100 runs of {rows:,} products: {1000 * took:.1f} ms; "
                      f"a save {usual:.2f} s, with a merge {most:.1f} s")  # fmt: skip


if __name__ == "__main__":
    main()
