"""analyze() on large frames and files, and KMeans on the coreset against ten starts.

python benchmarks/frames.py
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from catalogue import catalogue


def median_seconds(call: Callable[[], object], rounds: int = 3) -> float:
    """Median of a few runs, after one to warm up."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def in_memory(n: int = 1_000_000) -> tuple[float, float]:
    """Seconds to analyze n products in a Polars frame, without and with the result frame."""
    import shelfwise

    frame = pl.DataFrame(catalogue(n))
    return (
        median_seconds(lambda: shelfwise.analyze(frame), rounds=5),
        median_seconds(lambda: shelfwise.analyze(frame).products, rounds=5),
    )


def in_duckdb(path: str) -> None:
    """Print seconds and peak GB to analyze a Parquet file inside DuckDB, then to write it."""
    import shelfwise

    shelfwise.analyze(catalogue_rows(50))  # imports are not what is measured
    start = time.perf_counter()
    analysis = shelfwise.analyze(path, engine="duckdb")
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    analysis.products.write_parquet(path + ".out")
    written = time.perf_counter()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"analyze {done - start:.2f} s, peak {peak:.2f} GB; "
          f"rank and write {written - done:.2f} s, peak {after:.2f} GB")  # fmt: skip


def catalogue_rows(n: int) -> pl.DataFrame:
    """A small frame to warm up with."""
    return pl.DataFrame(catalogue(n))


def coreset(n: int = 1_000_000) -> None:
    """Print inertia and time of the coreset fit and of ten starts on all rows."""
    from sklearn.cluster import KMeans

    from shelfwise.pipeline.cluster import fit_centers
    from shelfwise.pipeline.features import features
    from shelfwise.pipeline.normalize import fit_scales, normalize
    from shelfwise.pipeline.table import Arrays
    from shelfwise.profile import PROFILES

    columns = {k: np.asarray(v, float) for k, v in catalogue(n).items() if k != "name"}
    for name in ("standard", "robust"):
        profile = PROFILES[name]
        table = features(Arrays(columns), profile)
        scales = fit_scales(table, profile, ())
        table = table.with_columns(normalize(table.columns, scales))
        z = table.matrix([f"z_{scale.metric}" for scale in scales])
        ours = median_seconds(lambda t=table, s=scales: fit_centers(t, s, 20_000))
        centers = np.array([center for _, center in fit_centers(table, scales, 20_000)])
        start = time.perf_counter()
        full = KMeans(3, n_init=10, random_state=42).fit(z)
        taken = time.perf_counter() - start
        inertia = sum(
            float(((z[i : i + 100_000, None] - centers) ** 2).sum(2).min(1).sum())
            for i in range(0, n, 100_000)
        )
        print(
            f"{name}: coreset {ours * 1e3:.0f} ms, ten starts {taken * 1e3:.0f} ms "
            f"({taken / ours:.0f} times), inertia {inertia / full.inertia_:.6f} of theirs"
        )


def main() -> None:
    """Print all figures."""
    alone, with_frame = in_memory()
    print(f"1,000,000 products in a Polars frame: {alone:.2f} s, with results {with_frame:.2f} s")
    coreset()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "products.parquet")
        pl.DataFrame(catalogue(10_000_000)).write_parquet(path)
        print("10,000,000 products in a Parquet file, DuckDB:", flush=True)
        setup = "import sys; sys.path[:0] = ['benchmarks']; import frames"
        code = f"{setup}; frames.in_duckdb({path!r})"
        for _ in range(3):
            subprocess.run([sys.executable, "-c", code], check=True)


if __name__ == "__main__":
    main()
