"""Requests through the Flask test client, against the plain program and the floor.

    python benchmarks/http_requests.py [rows ...]

Rounds alternate between the programs, so that noise of the machine meets all alike.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from catalogue import rows

from reference import floor, reference_app

SIZES = (10, 1_000, 10_000, 100_000, 1_000_000)
ROUNDS = {10: 60, 1_000: 25, 10_000: 11, 100_000: 5, 1_000_000: 3}
LIMITS = {"max_rows": 2_000_000, "max_body_bytes": 2**30}


def measure(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each call, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def one_size(n: int) -> dict[str, float]:
    """Median seconds of ours (with and without a fit), the plain program, and the floor."""
    from shelfwise import analyze
    from shelfwise.service import create_app

    products = rows(n)
    body = msgspec.json.encode(products)
    with tempfile.TemporaryDirectory() as folder:
        model = analyze(products).model.save(Path(folder) / "model.json")
        clients = {
            "fit": create_app(**LIMITS).test_client(),
            "model": create_app(model=model, **LIMITS).test_client(),
            "plain": reference_app().test_client(),
        }

    def post(name: str) -> Callable[[], object]:
        def call() -> object:
            answer = clients[name].post(
                "/product-analysis", data=body, content_type="application/json"
            )
            assert answer.status_code == 200
            return answer.data

        return call

    calls = {name: post(name) for name in clients}
    calls["floor"] = floor(body, calls["fit"]())
    return measure(calls, ROUNDS.get(n, 3))


def peak_memory(n: int) -> float:
    """MB that a process of ours needs at most to answer one request of n products.

    The body comes from a file, as it does behind waitress, and the answer goes to nowhere
    part by part.
    """
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body.json"
        body.write_bytes(msgspec.json.encode(rows(n)))
        code = "import sys; sys.path[:0] = ['benchmarks']; import http_requests as r; "
        code += f"print(r._peak({str(body)!r}))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
    return float(done.stdout)


def _peak(path: str) -> float:
    from shelfwise.service import create_app

    app = create_app(**LIMITS)
    with open(path, "rb") as body:
        environ = {
            "REQUEST_METHOD": "POST", "PATH_INFO": "/product-analysis", "SERVER_NAME": "localhost",
            "SERVER_PORT": "80", "HTTP_HOST": "localhost", "wsgi.url_scheme": "http",
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(Path(path).stat().st_size),
            "REMOTE_ADDR": "127.0.0.1", "wsgi.input": body, "wsgi.errors": sys.stderr,
        }  # fmt: skip
        status: list[str] = []
        for _ in app(environ, lambda line, headers: status.append(line)):
            pass
    assert status[0].startswith("200"), status
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    """Print one line a size."""
    sizes = [int(arg) for arg in sys.argv[1:]] or SIZES
    print(
        f"{'rows':>9} {'fit':>10} {'model':>10} {'plain':>10} {'floor':>10} "
        f"{'plain/fit':>9} {'fit/floor':>9}"
    )
    for n in sizes:
        t = one_size(n)
        line = " ".join(f"{1e3 * t[name]:8.2f}ms" for name in ("fit", "model", "plain", "floor"))
        print(f"{n:>9,} {line} {t['plain'] / t['fit']:9.1f} {t['fit'] / t['floor']:9.2f}")
    if max(sizes) >= 1_000_000:
        print(f"peak memory at {max(sizes):,} rows: {peak_memory(max(sizes)):,.0f} MB")


if __name__ == "__main__":
    main()
