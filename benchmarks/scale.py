"""Order lines to analyzed products, against the engine's bare GROUP BY on the same file.

    python benchmarks/scale.py [lines ...]

300,000 products whose sales follow Zipf's law, two years with a season and a trend, some
returns, on one Parquet file. Each measurement has a process of its own; they take turns.
"""

import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

SIZES = (1_000_000, 10_000_000)
ROUNDS = 3
PRODUCTS = 300_000

LINES = """
COPY (
    WITH drawn AS (
        SELECT i, random() AS r, random() AS s, random() AS t, random() AS q
        FROM range({n}) AS numbers(i)
    ), placed AS (
        SELECT i, q, t,
            floor(pow({products}, r))::BIGINT AS product_id,
            -- More towards the end of each year, and a little more in the second.
            (730 * (s * 0.9 + 0.1 * sqrt(t)))::INTEGER AS day
        FROM drawn
    )
    SELECT
        (i // 3)::VARCHAR AS order_id,
        product_id,
        DATE '2024-01-01' + day AS date,
        CASE WHEN t < 0.03 THEN -1 ELSE 1 + floor(-2 * ln(q + 1e-9)) END::INTEGER AS quantity,
        round(1 + (hash(product_id) % 9000) / 100 * (0.8 + 0.2 * q), 2) AS unit_price
    FROM placed
) TO '{path}' (FORMAT parquet)
"""

GROUP_BY = """
SELECT product_id, sum(quantity), sum(quantity * unit_price), min(date), max(date)
FROM '{path}' GROUP BY product_id
"""


def floor(path: str) -> None:
    """The bare GROUP BY, with its result in memory as ours is."""
    duckdb.sql(GROUP_BY.format(path=path)).fetch_arrow_table()


def counted(path: str) -> None:
    """Lines to products with all default rules and the report."""
    import shelfwise

    shelfwise.from_sales(path)


def analyzed(path: str) -> None:
    """Lines to scored products."""
    import shelfwise

    shelfwise.analyze(shelfwise.from_sales(path)).products  # noqa: B018  (makes the frame)


def warm() -> None:
    """What a process waits for once: imports, and the first query."""
    lines = [
        {"product_id": n, "date": "2026-01-05", "quantity": n, "unit_price": 2.0 * n}
        for n in range(1, 40)
    ]
    import shelfwise

    shelfwise.analyze(shelfwise.from_sales(lines)).products  # noqa: B018


def one(what: str, path: str) -> None:
    """Print seconds and the peak of memory in GB."""
    warm()
    start = time.perf_counter()
    {"floor": floor, "counted": counted, "analyzed": analyzed}[what](path)
    taken = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps([taken, peak]))


def main() -> None:
    """Print a line a size, and the exponent of growth."""
    sizes = [int(arg) for arg in sys.argv[1:]] or list(SIZES)
    print(f"{'lines':>12} {'GROUP BY':>9} {'counted':>9} {'analyzed':>9} {'ratio':>6} {'peak':>8}")
    seen = []
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "lines.parquet")
            duckdb.sql(LINES.format(n=n, products=PRODUCTS, path=path))
            found: dict[str, list[list[float]]] = {"floor": [], "counted": [], "analyzed": []}
            for _ in range(ROUNDS if n < 100_000_000 else 1):
                for what, runs in found.items():
                    code = f"import sys; sys.path[:0] = ['benchmarks']; import scale; scale.one({what!r}, {path!r})"  # noqa: E501
                    done = subprocess.run(
                        [sys.executable, "-c", code], capture_output=True, text=True, check=True
                    )
                    runs.append(json.loads(done.stdout.splitlines()[-1]))
        seconds = {what: statistics.median(run[0] for run in runs) for what, runs in found.items()}
        peak = max(run[1] for run in found["analyzed"])
        ratio = seconds["counted"] / seconds["floor"]
        print(
            f"{n:>12,} {seconds['floor']:8.2f}s {seconds['counted']:8.2f}s "
            f"{seconds['analyzed']:8.2f}s {ratio:6.1f} {peak:6.2f}GB", flush=True,
        )  # fmt: skip
        seen.append((math.log(n), math.log(seconds["analyzed"])))
    if len(seen) > 1:
        slope = statistics.linear_regression(*zip(*seen, strict=True)).slope
        print(f"time grows with lines^{slope:.2f}")


if __name__ == "__main__":
    main()
