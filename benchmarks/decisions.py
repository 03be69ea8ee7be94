"""Decisions about many products, from weekly sums, forecasts, trends and elasticities in memory.

    python benchmarks/decisions.py [products] [weeks]
    python benchmarks/decisions.py confidence [products] [draws]

Each measurement has a process of its own, three times, and the median counts. What a section
is made of is ready, except where it says so; imports are not counted.
"""

import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
import polars as pl
from catalogue import catalogue

ROUNDS = 3
CATEGORIES, SUPPLIERS = 40, 200
SECTIONS = ("inventory", "orders", "portfolio", "marketing", "campaign", "suppliers", "confidence")


def made(products: int, weeks: int) -> Any:
    """Evidence of a shop: costs, suppliers, lead times, weeks, and what follows from them."""
    import shelfwise
    from shelfwise.insights import Evidence

    chance = np.random.default_rng(7)
    columns = catalogue(products) | {
        "unit_cost": np.round(catalogue(products)["price"] * 0.6, 2) + 0.01,
        "category": np.array([f"C{n}" for n in chance.integers(0, CATEGORIES, products)], object),
        "supplier": np.array([f"S{n}" for n in chance.integers(0, SUPPLIERS, products)], object),
        "lead_time_days": chance.integers(3, 45, products),
        "pack_size": chance.choice([1, 6, 12], products),
    }
    analysis = shelfwise.analyze(pl.DataFrame(columns, strict=False), period=365)
    rate = np.maximum(columns["units_sold"] / 52, 0.02)
    units = chance.poisson(rate[:, None] * chance.gamma(2, 0.5, (products, 1)), (products, weeks))
    at, week = np.nonzero(units)
    count = units[at, week]
    price = columns["price"][at] * chance.choice([1, 1, 1, 1, 0.8], len(at))
    days = np.datetime64("2021-01-04") + 7 * week
    rows = pl.DataFrame({"product_id": at.astype(str), "week": days.astype("M8[D]"),
                         "units": count.astype(float), "revenue": count * price})  # fmt: skip
    known = Evidence.of(analysis, weeks=rows)
    for name in ("trends", "forecasts", "elasticities"):
        getattr(known, name)  # Made once, and kept.
    return known


def measured(what: str, *size: int) -> dict[str, float]:
    """Seconds of a section, and the most memory of the process in MB."""
    from shelfwise.insights import Evidence
    from shelfwise.insights.sections import QUESTIONS

    policy: dict[str, Any] = {}
    if what == "draws":
        import shelfwise

        products, draws = size
        frame = pl.DataFrame(catalogue(products), strict=False)
        known, policy, what = Evidence.of(shelfwise.analyze(frame)), {"draws": draws}, "confidence"
    else:
        known = made(*size)
        policy = {"assumed_uplift": 0.5, "budget": 100_000} if what == "campaign" else {}
    question = QUESTIONS[what]
    question.settings(policy)
    small = Evidence(known.products.head(200), known.as_of, known.period_days, model=known.model)
    question.answer(small, policy)  # What is imported and compiled at the first call.
    began = time.perf_counter()
    question.answer(known, policy)
    took = time.perf_counter() - began
    return {"seconds": took, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def median_of(what: str, *size: int) -> None:
    """Print the median of some processes."""
    found = []
    for _ in range(ROUNDS):
        command = [sys.executable, __file__, "one", what, *map(str, size)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    found.sort(key=lambda one: one["seconds"])
    middle = found[ROUNDS // 2]
    print(f"{what:12} {' x '.join(f'{n:,}' for n in size):18} {middle['seconds']:6.2f} s "
          f"{middle['mb']:7,.0f} MB", flush=True)  # fmt: skip


def main() -> None:
    """Measure what is asked for."""
    asked = sys.argv[1:]
    if asked[:1] == ["one"]:
        print(json.dumps(measured(asked[1], *map(int, asked[2:]))))
    elif asked[:1] == ["confidence"]:
        median_of("draws", *(map(int, asked[1:]) if asked[1:] else (1_000_000, 300)))
    else:
        size = tuple(map(int, asked)) if asked else (30_000, 104)
        for section in SECTIONS:
            median_of(section, *size)


if __name__ == "__main__":
    main()
