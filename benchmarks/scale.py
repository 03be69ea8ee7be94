"""Order lines to analyzed products, against the engine's bare GROUP BY on the same file.

    python benchmarks/scale.py [engine=lines ...]

For example duckdb=100_000_000 spark=10_000_000: that engine up to so many lines.
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
from typing import Any

import duckdb

SIZES = (1_000_000, 10_000_000, 100_000_000)
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
SELECT product_id, sum(quantity) AS units, sum(quantity * unit_price) AS revenue,
       min(date) AS first, max(date) AS last
FROM {source} GROUP BY product_id
"""


def bare(engine: str, path: str) -> None:
    """The engine's GROUP BY alone, with its result in memory as ours is."""
    if engine == "duckdb":
        duckdb.sql(GROUP_BY.format(source=f"'{path}'")).to_arrow_table()
    elif engine == "spark":
        from shelfwise.engines import spark

        spark.session().read.parquet(path).createOrReplaceTempView("lines")
        spark.session().sql(GROUP_BY.format(source="lines")).toArrow()
    elif engine == "polars":
        import polars as pl

        revenue = (pl.col("quantity") * pl.col("unit_price")).sum()
        date = pl.col("date")
        pl.scan_parquet(path).group_by("product_id").agg(
            pl.col("quantity").sum(), revenue=revenue, first=date.min(), last=date.max()
        ).collect(engine="streaming")
    else:
        import pandas as pd

        lines = pd.read_parquet(path)
        lines["date"] = pd.to_datetime(lines["date"])
        lines["revenue"] = lines["quantity"] * lines["unit_price"]
        lines.groupby("product_id").agg(
            units=("quantity", "sum"), revenue=("revenue", "sum"),
            first=("date", "min"), last=("date", "max"),
        )  # fmt: skip


def counted(engine: str, path: str) -> Any:
    """Lines to products with all default rules and the report."""
    import shelfwise

    if engine in ("duckdb", "spark"):
        return shelfwise.from_sales(path, engine="spark" if engine == "spark" else None)
    if engine == "polars":
        import polars as pl

        return shelfwise.from_sales(pl.scan_parquet(path))
    import pandas as pd

    return shelfwise.from_sales(pd.read_parquet(path))


def analyzed(engine: str, path: str) -> None:
    """Lines to scored products."""
    import shelfwise

    shelfwise.analyze(counted(engine, path)).products  # noqa: B018  (makes the frame)


def warm(engine: str) -> None:
    """What a process waits for once: imports, Spark's start, and the first query."""
    import polars as pl

    rows = range(1, 40)
    lines = pl.DataFrame({"product_id": rows, "date": ["2026-01-05"] * 39, "quantity": rows,
                          "unit_price": [2.0 * n for n in rows]})  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "few.parquet")
        lines.with_columns(pl.col("date").str.to_date()).write_parquet(path)
        bare(engine, path)
        analyzed(engine, path)


def one(what: str, engine: str, path: str) -> None:
    """Print seconds and the peak of memory in GB; Spark's with that of its Java."""
    if engine == "spark":
        from shelfwise.engines import spark

        spark.session("local[2]")
    warm(engine)
    start = time.perf_counter()
    {"bare": bare, "counted": counted, "analyzed": analyzed}[what](engine, path)
    taken = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    if engine == "spark":
        from pyspark import SparkContext

        java = SparkContext._gateway.proc.pid
        status = Path(f"/proc/{java}/status").read_text()
        peak += int(status.split("VmHWM:")[1].split()[0]) / 1e6
    print(json.dumps([taken, peak]))


def measured(engine: str, n: int, path: str) -> dict[str, float]:
    """Medians in seconds of each measurement, and the largest peak in GB."""
    found: dict[str, list[list[float]]] = {"bare": [], "counted": [], "analyzed": []}
    for _ in range(ROUNDS if n < 100_000_000 else 1):
        for what, runs in found.items():
            code = "import sys; sys.path[:0] = ['benchmarks']; import scale; "
            code += f"scale.one({what!r}, {engine!r}, {path!r})"
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            )
            runs.append(json.loads(done.stdout.splitlines()[-1]))
    seconds = {what: statistics.median(run[0] for run in runs) for what, runs in found.items()}
    return seconds | {"peak": max(run[1] for run in found["analyzed"])}


def plot(times: dict[str, list[tuple[int, float]]]) -> str:
    """Seconds against lines, both logarithmic, as SVG; engine -> (lines, seconds)."""
    left, top, wide, high = 60, 20, 420, 300
    lowest, highest = -1.0, 2.0

    def place(lines: float, seconds: float) -> tuple[float, float]:
        x = left + wide * (math.log10(lines) - 6) / 2
        y = top + high * (highest - math.log10(seconds)) / (highest - lowest)
        return round(x, 1), round(y, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + wide + 90} {high + 75}" '
        'font-family="sans-serif" font-size="13" fill="#333">',
        "<title>Seconds to scored products against order lines, by engine</title>",
        f'<rect width="{left + wide + 90}" height="{high + 75}" fill="#fff"/>',
    ]
    for power, name in ((6, "1 million"), (7, "10 million"), (8, "100 million")):
        x, y = place(10**power, 10**lowest)
        parts.append(f'<text x="{x}" y="{y + 20}" text-anchor="middle">{name}</text>')
    parts.append(f'<text x="{left + wide / 2}" y="{high + 65}" text-anchor="middle">lines</text>')
    for power in range(int(lowest), int(highest) + 1):
        x, y = place(10**6, 10.0**power)
        parts.append(f'<path d="M{x} {y}h{wide}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 8}" y="{y + 4}" text-anchor="end">{10.0**power:g} s</text>')
    colors = {"duckdb": "#1b6ca8", "polars": "#c2571a", "spark": "#2e7d32", "pandas": "#7b4b94"}
    for engine, seen in times.items():
        points = [place(*point) for point in seen]
        path = "L".join(f"{x} {y}" for x, y in points)
        color = colors[engine]
        parts.append(f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3.5" fill="{color}"/>' for x, y in points]
        x, y = points[-1]
        shift = -4 if engine == "duckdb" else 13 if engine == "polars" else 4
        parts.append(f'<text x="{x + 8}" y="{y + shift}" fill="{color}">{engine}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Print a line for each engine and size, and the exponents of growth."""
    known = {
        name: int(size.replace("_", "")) for name, size in [a.split("=") for a in sys.argv[1:]]
    }
    engines = known or {"duckdb": SIZES[-1], "polars": SIZES[-1], "spark": SIZES[-1],
                        "pandas": 10_000_000}  # fmt: skip
    print(f"{'engine':>8} {'lines':>12} {'GROUP BY':>9} {'counted':>9} {'analyzed':>9} "
          f"{'ratio':>6} {'peak':>8}")  # fmt: skip
    times: dict[str, list[tuple[int, float]]] = {engine: [] for engine in engines}
    for n in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "lines.parquet")
            if n <= max(engines.values()):
                duckdb.sql(LINES.format(n=n, products=PRODUCTS, path=path))
            for engine in (name for name, most in engines.items() if n <= most):
                s = measured(engine, n, path)
                print(
                    f"{engine:>8} {n:>12,} {s['bare']:8.2f}s {s['counted']:8.2f}s "
                    f"{s['analyzed']:8.2f}s {s['counted'] / s['bare']:6.1f} {s['peak']:6.2f}GB",
                    flush=True,
                )  # fmt: skip
                times[engine].append((n, s["analyzed"]))
    for engine, seen in times.items():
        if len(seen) > 1:
            logarithms = ([math.log(point[side]) for point in seen] for side in (0, 1))
            slope = statistics.linear_regression(*logarithms).slope
            print(f"{engine}: time grows with lines^{slope:.2f}")
    picture = Path(__file__).resolve().parent.parent / "docs" / "images" / "lines.svg"
    picture.write_text(plot({engine: seen for engine, seen in times.items() if seen}))


if __name__ == "__main__":
    main()
