"""Forecasts, their evaluation and elasticities of many products, against statsforecast's own loop.

    python benchmarks/forecast.py [products] [weeks]

Weekly units are in memory; made-up products from one unit in ten weeks to forty a week, as
the tests have them. Each measurement has a process of its own; imports are not counted,
and are told apart.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent


def made(products: int, weeks: int) -> Any:
    """The weeks, with prices that move now and then."""
    import numpy as np
    from demand import mixed, weekly

    chance = np.random.default_rng(1)
    cut = np.repeat(chance.choice([1.0, 0.9, 0.8], (products, weeks // 4 + 1), p=[0.8, 0.1, 0.1]),
                    4, axis=1)[:, :weeks]  # fmt: skip
    return weekly(mixed(chance, products, weeks), 10 * cut)


def ours(data: Any) -> None:
    """Weekly units to forecasts with quantiles."""
    from shelfwise.sales.forecasting import forecast

    forecast(data, 4)


def evaluated(data: Any) -> None:
    """Four origins, 2,000 products."""
    from shelfwise.sales.evaluation import evaluate

    evaluate(data, 4)


def elastic(data: Any) -> None:
    """Elasticities, shrunk."""
    from shelfwise.sales.prices import elasticity

    elasticity(data)


def theirs(data: Any, jobs: int) -> None:
    """The six models by StatsForecast, on a frame that is ready: no combination, no quantiles."""
    from statsforecast import StatsForecast

    from shelfwise.sales.forecasting import models

    StatsForecast(models=models(), freq=1, n_jobs=jobs).forecast(df=data, h=1)


def framed(data: Any) -> Any:
    """What StatsForecast wants: a row for each week after the launch."""
    import numpy as np
    import polars as pl

    from shelfwise.sales.forecasting import FEWEST_WEEKS, histories

    ids, units = data.matrix()
    pairs = zip(ids, histories(units, np.zeros(units.shape, bool)), strict=True)
    known = [(i, y) for i, y in pairs if y is not None and len(y) >= FEWEST_WEEKS]
    return pl.DataFrame(
        {
            "unique_id": np.repeat([i for i, _ in known], [len(y) for _, y in known]),
            "ds": np.concatenate([np.arange(len(y)) for _, y in known]),
            "y": np.concatenate([y for _, y in known]),
        }
    )


def one(what: str, products: int, weeks: int) -> None:
    """Print seconds of import and of work, and the peak of memory before and after, in MB."""
    sys.path[:0] = [str(PROJECT / "tests" / "sales")]
    start = time.perf_counter()
    import statsforecast.models  # noqa: F401  (imports are not what is measured)

    imported = time.perf_counter() - start
    work = {"ours": ours, "evaluated": evaluated, "elastic": elastic,
            "theirs, 1 job": lambda data: theirs(data, 1),
            "theirs, 2 jobs": lambda data: theirs(data, 2)}[what]  # fmt: skip
    prepared = framed if what.startswith("theirs") else lambda data: data
    work(prepared(made(50, weeks)))
    data = prepared(made(products, weeks))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    start = time.perf_counter()
    work(data)
    taken = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps([imported, taken, before, after]))


def main() -> None:
    """A line for each measurement."""
    products, weeks = (
        int(sys.argv[n]) if len(sys.argv) > n else d for n, d in ((1, 30_000), (2, 260))
    )
    print(f"{products:,} products x {weeks} weeks")
    print(f"{'':>16} {'import':>8} {'work':>9} {'peak before and after':>24}")
    for what in ("ours", "theirs, 1 job", "theirs, 2 jobs", "evaluated", "elastic"):
        code = "import sys; sys.path[:0] = ['benchmarks']; import forecast; "
        code += f"forecast.one({what!r}, {products}, {weeks})"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT
        )
        imported, taken, before, after = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{what:>16} {imported:7.1f}s {taken:8.2f}s {before:14.0f} {after:6.0f} MB", flush=True
        )


if __name__ == "__main__":
    main()
