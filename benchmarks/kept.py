"""What is kept: saving a million products, pages of them, and the history of one product.

    python benchmarks/kept.py [uploaded]

Saving is measured against `analyze` on the same file, in one process, five rounds; pages
and histories are medians of twenty. `uploaded` sends a million products to a server with a
worker and waits for the kept run, against `shelfwise analyze` on the same file, in turns.
"""

import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
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


def command(folder: Path, *words: str) -> tuple[list[str], dict[str, str]]:
    """A command line, and an environment with a data folder of its own."""
    mine = {n: v for n, v in os.environ.items() if not n.startswith("SHELFWISE_")}
    return [sys.executable, "-m", "shelfwise.cli", *words], mine | {
        "SHELFWISE_DATA_DIR": str(folder)
    }


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[http.client.HTTPConnection]:
    """A connection to `shelfwise serve` with its worker."""
    folder.mkdir()
    line, environ = command(folder, "serve", "--port", "0")
    said = folder / "said.txt"
    with said.open("wb") as file, subprocess.Popen(line, env=environ, stderr=file) as server:
        while "Stop: Ctrl-C" not in said.read_text():
            assert server.poll() is None, said.read_text()
            time.sleep(0.05)
        host = said.read_text().split("http://")[1].split()[0]
        try:
            yield http.client.HTTPConnection(host, timeout=120)
        finally:
            server.terminate()


def ask(to: http.client.HTTPConnection, method: str, path: str, body: Any, kind: str) -> Any:
    """The JSON of an answer that is a success."""
    to.request(method, path, body, {"Content-Type": kind})
    with to.getresponse() as answer:
        content = answer.read()
        assert answer.status < 300, content
        return json.loads(content)


def sent(to: http.client.HTTPConnection, path: Path) -> tuple[float, float, float]:
    """Seconds until a file is uploaded, until a worker begins, until its run is kept."""
    kind = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}[path.suffix]
    start = time.perf_counter()
    with path.open("rb") as file:
        upload = ask(to, "POST", "/v1/uploads", file.read(), kind)
    times = [time.perf_counter() - start]
    asked = json.dumps({"source": {"upload": upload["id"]}})
    job = ask(to, "POST", "/v1/runs", asked, "application/json")
    for states in (("queued",), ("queued", "running")):
        while job["state"] in states:
            time.sleep(0.1)
            job = ask(to, "GET", f"/v1/jobs/{job['id']}", None, "application/json")
        times.append(time.perf_counter() - start)
    assert job["state"] == "succeeded", job
    return times[0], times[1], times[2]


def uploaded(rounds: int = 5) -> None:
    """A million products over HTTP to a kept run, against the command line, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        million = catalogue(1_000_000)
        million.write_parquet(Path(folder, "million.parquet"))
        million.write_csv(Path(folder, "million.csv"))
        with serving(Path(folder, "served")) as to:
            for kind in ("csv", "parquet"):
                path = Path(folder, f"million.{kind}")
                line, environ = command(Path(folder), "analyze", str(path))
                alone, kept = [], []
                for _ in range(rounds):
                    quiet = subprocess.DEVNULL
                    run = partial(subprocess.run, line, env=environ, check=True, stdout=quiet,
                                  stderr=quiet)  # fmt: skip
                    alone.append(seconds(run, 1))
                    kept.append(sent(to, path))
                here = statistics.median(alone)
                up, begun, over = (statistics.median(times) for times in zip(*kept, strict=True))
                print(f"1,000,000 products, {kind}: `shelfwise analyze` {here:.2f} s, over HTTP to "
                      f"a kept run {over:.2f} s ({over / here:.2f} times): uploaded after "
                      f"{up:.2f} s, begun after {begun:.2f} s")  # fmt: skip


def overridden(store: Store) -> pl.DataFrame:
    """The first products of the latest run whose tier people have set."""
    run = store.runs.get()
    marked = store.overrides.marked(store.runs.products(run), run.as_of)
    return page(marked, Query(overridden=True), 50)[0]


def main() -> None:
    if sys.argv[1:] == ["uploaded"]:
        uploaded()
        return
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
