"""Requests per second behind waitress, and the times of answers, with wrk.

    python benchmarks/served.py [seconds [connections]]
    python benchmarks/served.py sustained

Servers run one after the other in processes of their own, on loopback; wrk (Debian's
package) sends for a few seconds each over 8 connections, three rounds, and the median
counts. wrk and the server share the machine's cores. `sustained` sends 1,000 products
over 16 connections for five minutes.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

from catalogue import rows

BARE = "from flask import Flask; app = Flask('hello'); app.get('/')(lambda: 'hello')"
PLAIN = "from reference import reference_app; app = reference_app()"
OURS = "from shelfwise.service import create_app, warm_up; app = create_app({given}); warm_up()"
RUN = """
import sys
sys.path.insert(0, "benchmarks")
{app}
from shelfwise.service.server import serve
from shelfwise.settings import load_settings
serve(app, load_settings(), "127.0.0.1", 0, ready=lambda url: print(url, flush=True))
"""


@dataclass(frozen=True)
class Load:
    """What wrk saw: requests a second, and milliseconds to the answer."""

    rate: float
    p50: float
    p99: float


def load(
    app: str, products: list[dict[str, object]] | None, seconds: int, folder: Path, connections: int
) -> Load:
    """Send to the app for some seconds, GET / without products; no request may fail."""
    script = folder / "post.lua"
    path = "/"
    if products is not None:
        path = "/product-analysis"
        script.write_text(
            'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            f"wrk.body = [=[{json.dumps(products)}]=]\n",
            encoding="utf-8",
        )
    else:
        script.write_text("", encoding="utf-8")
    code = textwrap.dedent(RUN).format(app=app)
    environ = {k: v for k, v in os.environ.items() if not k.startswith("SHELFWISE_")}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environ
    ) as server:
        assert server.stdout
        url = server.stdout.readline().strip()
        done = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "30s",
             "-s", str(script), url + path],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        server.terminate()
        server.wait(60)
    assert not re.search(r"Non-2xx|Socket errors", done.stdout), done.stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert found, done.stdout
    return Load(float(found[1]), _milliseconds(done.stdout, 50), _milliseconds(done.stdout, 99))


def _milliseconds(told: str, share: int) -> float:
    found = re.search(rf"\b{share}%\s+([\d.]+)(us|ms|s)\b", told)
    assert found, told
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def main() -> None:
    """Print the rates and their ratios to the bare server."""
    if shutil.which("wrk") is None:
        sys.exit("There is no wrk here; on Debian: apt install wrk")
    if sys.argv[1:] == ["sustained"]:
        with tempfile.TemporaryDirectory() as name:
            found = load(OURS.format(given=""), rows(1_000), 300, Path(name), 16)
        print(f"five minutes of 1,000 products over 16 connections: {found.rate:.0f} requests/s, "
              f"p50 {found.p50:.0f} ms, p99 {found.p99:.0f} ms, none failed")  # fmt: skip
        return
    seconds, connections = (*map(int, sys.argv[1:3]), *(4, 8)[len(sys.argv) - 1 :])
    from shelfwise import analyze

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = analyze(rows(100)).model.save(folder / "model.json")
        stored = OURS.format(given=f"model=__import__('pathlib').Path({str(model)!r})")
        cases = {
            "bare Flask hello": (BARE, None),
            "10 rows, stored model": (stored, rows(10)),
            "10 rows, fitted": (OURS.format(given=""), rows(10)),
            "1,000 rows, fitted": (OURS.format(given=""), rows(1_000)),
            "1,000 rows, plain program": (PLAIN, rows(1_000)),
        }
        loads: dict[str, list[Load]] = {case: [] for case in cases}
        for _ in range(3):
            for case, (app, products) in cases.items():
                loads[case].append(load(app, products, seconds, folder, connections))
    medians = {case: statistics.median(one.rate for one in found) for case, found in loads.items()}
    bare = medians["bare Flask hello"]
    for case, median in medians.items():
        p50 = statistics.median(one.p50 for one in loads[case])
        p99 = statistics.median(one.p99 for one in loads[case])
        print(f"{case:28} {median:9.1f} requests/s   {median / bare:6.3f} of the bare server   "
              f"p50 {p50:6.1f} ms   p99 {p99:6.1f} ms")  # fmt: skip
    ratio = medians["1,000 rows, fitted"] / medians["1,000 rows, plain program"]
    print(f"1,000 rows: {ratio:.1f} times the plain program")


if __name__ == "__main__":
    main()
