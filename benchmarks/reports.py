"""How long a report takes in each format, and what it weighs.

    python benchmarks/reports.py [products]

Products with a category, a supplier, cost and stock, without order lines. Each figure is the
median of several rounds in one process, the first of which is not counted; beside the time on
the wall stands that of the processor, which other programs disturb less.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from catalogue import catalogue

from shelfwise import analyze
from shelfwise.reports import Report, render, report
from shelfwise.reports.report import Column
from shelfwise.reports.spreadsheet import Book

ROUNDS = 5
TWELVE = {
    "product_id": Column("Product id"), "name": Column("Product"),
    "category": Column("Category"), "supplier": Column("Supplier"),
    "performance_tier": Column("Tier", "tier"), "performance_score": Column("Score", "number"),
    "revenue": Column("Revenue", "money_whole"), "units_sold": Column("Sold", "units"),
    "price": Column("Price", "money"), "unit_cost": Column("Cost", "money"),
    "stock": Column("In stock", "units"), "stock_ratio": Column("Sell-through", "share"),
}  # fmt: skip


def products(count: int) -> pl.DataFrame:
    """A catalogue of so many products in 40 categories, from 200 suppliers."""
    made = catalogue(count)
    random = np.random.default_rng(2)
    price = made["price"]
    more = {
        "category": [f"Category {n}" for n in random.integers(0, 40, count)],
        "supplier": [f"Supplier {n}" for n in random.zipf(1.5, count) % 200],
        "unit_cost": np.round(price * random.uniform(0.4, 0.9, count), 2),
        "currency": ["EUR"] * count,
    }
    return pl.DataFrame(made | more)


def median(work: Callable[[], Any]) -> tuple[str, Any]:
    """Seconds of a round, on the wall and of the processor, and what it gave."""
    given, walls, busy = work(), [], []
    for _ in range(ROUNDS):
        wall, processor = time.perf_counter(), time.process_time()
        given = work()
        walls.append(time.perf_counter() - wall)
        busy.append(time.process_time() - processor)
    return f"{statistics.median(walls):7.2f} s {statistics.median(busy):7.2f} s", given


def table(made: Report) -> bytes:
    """A workbook of twelve columns of all products, and nothing else."""
    book = Book(made.formats, made.title, {"title": made.title})
    rows = made.material.products
    book.table(book.sheet("Products"), 3, 0, rows, TWELVE, name="Products")
    return book.done()


def main(count: int) -> None:
    analysis = analyze(products(count), period=28)
    seconds, made = median(lambda: report(analysis, name="Benchmark"))
    print(f"{count:,} products")
    print(f"{'the report':24}{seconds}")
    for kind in ("pdf", "html", "xlsx"):
        seconds, given = median(lambda kind=kind: render(made, kind))
        print(f"{kind:24}{seconds} {len(given) / 1e6:7.2f} MB")
    seconds, given = median(lambda: table(made))
    print(f"{'xlsx of 12 columns':24}{seconds} {len(given) / 1e6:7.2f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
