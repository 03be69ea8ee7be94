"""Requests through the Flask test client, against the plain program and the floor.

    python benchmarks/http_requests.py [rows ...]

Each program has a process of its own, so that none is slowed by what another keeps in
memory; rounds alternate between them, so that noise of the machine meets all alike.
"""

import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
from catalogue import rows

from reference import floor, reference_app

SIZES = (10, 1_000, 10_000, 100_000, 1_000_000)
ROUNDS = {10: 100, 1_000: 40, 10_000: 15, 100_000: 7, 1_000_000: 3}
LIMITS = {"max_rows": 2_000_000, "max_body_bytes": 2**30}
PROGRAMS = ("fit", "model", "plain", "floor")


def program(name: str, n: int, turns: Connection) -> None:
    """Answer each message with the seconds that one request of n products takes."""
    call = ready(name, n)
    call()
    while turns.recv():
        start = time.perf_counter()
        call()
        turns.send(time.perf_counter() - start)


def ready(name: str, n: int) -> Callable[[], object]:
    """One request of n products to a program."""
    from shelfwise import analyze
    from shelfwise.service import create_app

    products = rows(n)
    body = msgspec.json.encode(products)
    model = None
    if name == "model":
        with tempfile.TemporaryDirectory() as folder:
            model = analyze(products).model.save(Path(folder) / "model.json")
            app = create_app(model=model, **LIMITS)
    else:
        app = reference_app() if name == "plain" else create_app(**LIMITS)
    client = app.test_client()
    del products

    def post() -> bytes:
        answer = client.post("/product-analysis", data=body, content_type="application/json")
        assert answer.status_code == 200
        return answer.data

    return floor(body, post()) if name == "floor" else post


def one_size(n: int) -> dict[str, float]:
    """Median seconds of ours (with and without a fit), the plain program, and the floor."""
    context = multiprocessing.get_context("spawn")
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    turns = {}
    for name in PROGRAMS:
        turns[name], theirs = context.Pipe()
        context.Process(target=program, args=(name, n, theirs), daemon=True).start()
    for _ in range(ROUNDS.get(n, 3)):
        for name, turn in turns.items():
            turn.send(True)
            times[name].append(turn.recv())
    for turn in turns.values():
        turn.send(False)
    return {name: statistics.median(taken) for name, taken in times.items()}


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
