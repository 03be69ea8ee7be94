"""Weekly units of 30,000 products to their labels, against pymannkendall on a sample.

    python benchmarks/trends.py [products] [weeks]

From a matrix in memory to t, moderation, false discovery rates, growth with its interval,
recent shift and labels; then the same z and s2 inside DuckDB, by a join with the weights.
Each measurement has a process of its own, five rounds in it; pymannkendall does 200 series.
Without pymannkendall (the dependency group `figures`) its line is left out.
"""

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "sales"))

ROUNDS, SAMPLE = 5, 200


def seconds(work: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """The median time of some rounds, after one to warm up."""
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_memory(*, anew: bool = False) -> float:
    """MB that this process has taken at most, since its start or since it was asked `anew`.

    What `getrusage` tells begins with the peak of the process that started this one.
    """
    if anew:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1e3


def labels(path: str) -> dict[str, float]:
    """All that `trends` says about a product, and parts of it on one thread."""
    from shelfwise.sales.courses import RATE, judge, measure
    from shelfwise.sales.growth import fit_growth, shift_share
    from shelfwise.sales.har import WINDOW, basis, benjamini_hochberg, moderated, root, statistic

    units = np.load(path)
    before = peak_memory(anew=True)

    def told() -> Any:
        found = judge(measure(units))
        return found, shift_share(units[found.shift_q <= RATE], WINDOW)

    whole = seconds(told)
    peak = peak_memory()
    seen, made = measure(units), basis(units.shape[1])

    def tested() -> Any:
        z, s2 = statistic(root(units), made)
        return benjamini_hochberg(moderated(z, s2, made.terms, units.mean(axis=1)).p)

    return {
        "labels": whole,
        "of which judged": seconds(lambda: judge(seen)),
        "test alone, one block": seconds(tested),
        "growth alone, one block": seconds(lambda: fit_growth(units, made.c)),
        "MB beyond the matrix": peak - before,
    }


def rival(path: str) -> dict[str, float]:
    """Seconds that pymannkendall takes for one series."""
    import pymannkendall

    units = np.load(path)
    sample = units[:: max(1, len(units) // SAMPLE)][:SAMPLE]
    taken = seconds(lambda: [pymannkendall.original_test(y) for y in sample], 1)
    return {"a series": taken / len(sample)}


def in_duckdb(path: str) -> dict[str, float]:
    """z and s2 by a join with the weights and GROUP BY, held against numpy."""
    import duckdb
    import polars as pl

    from shelfwise.sales.har import OFFSET, basis, root, statistic

    units = np.load(path)
    made = basis(units.shape[1])
    product, week = np.nonzero(units)
    names = ["q", *(f"c{j}" for j in range(made.terms))]
    rows = pl.DataFrame({"product_id": product, "week": week, "units": units[product, week]})
    weights = pl.DataFrame(
        {"week": range(units.shape[1])} | dict(zip(names, made.rows, strict=True))
    )
    engine = duckdb.connect()
    engine.register("given", rows)
    engine.sql("CREATE TABLE weekly AS FROM given")
    engine.register("weights", weights)
    sums = ", ".join(f"sum(r * {name}) AS {name}" for name in names)
    noise = " + ".join(f"{name} * {name}" for name in names[1:])
    query = f"""
        SELECT product_id, q AS z, ({noise}) / {made.terms} AS s2 FROM (
            SELECT product_id, {sums} FROM (
                SELECT product_id, week, sqrt(units + {OFFSET}) - sqrt({OFFSET}) AS r FROM weekly
            ) JOIN weights USING (week) GROUP BY product_id
        ) ORDER BY product_id"""
    found = engine.sql(query).fetchnumpy()
    z, s2 = statistic(root(units[found["product_id"]]), made)
    assert np.allclose(found["z"], z, rtol=0, atol=1e-10)
    assert np.allclose(found["s2"], s2, rtol=0, atol=1e-10)
    return {
        "z and s2 in DuckDB": seconds(lambda: engine.sql(query).fetchnumpy()),
        "product-weeks with a sale": float(len(rows)),
    }


def apart(what: str, path: str) -> dict[str, float]:
    """A measurement in a process of its own."""
    code = f"import sys, json; sys.path[:0] = [{str(Path(__file__).parent)!r}]; import trends; "
    code += f"print(json.dumps(trends.{what}({path!r})))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def main() -> None:
    from series import catalogue

    n, weeks = map(int, sys.argv[1:] or (30_000, 260))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "units.npy")
        np.save(path, catalogue(np.random.default_rng(1), n, weeks)[0])
        print(f"{n:,} products x {weeks} weeks, {n * weeks * 8 / 1e6:.0f} MB")
        ours = apart("labels", path)
        for name, value in (ours | apart("in_duckdb", path)).items():
            print(f"{name:>32}: {value:,.3f}")
        if importlib.util.find_spec("pymannkendall"):
            series = apart("rival", path)["a series"]
            print(f"{'pymannkendall':>32}: {1 / series:,.0f} series/s; labels are "
                  f"{series * n / ours['labels']:,.0f} times as fast")  # fmt: skip


if __name__ == "__main__":
    main()
