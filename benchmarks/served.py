"""Requests per second behind waitress, with wrk at 8 connections.

    python benchmarks/served.py [seconds]

Servers run one after the other in processes of their own, on loopback; wrk (Debian's
package) sends for a few seconds each, three rounds, and the median counts. wrk and the
server share the machine's cores.
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


def rate(app: str, products: list[dict[str, object]] | None, seconds: int, folder: Path) -> float:
    """Requests per second that the app answers, GET / without products."""
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
            ["wrk", "-t1", "-c8", f"-d{seconds}s", "-s", str(script), url + path],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        server.terminate()
        server.wait(60)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    assert not refused, done.stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


def main() -> None:
    """Print the rates and their ratios to the bare server."""
    if shutil.which("wrk") is None:
        sys.exit("There is no wrk here; on Debian: apt install wrk")
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
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
        rates: dict[str, list[float]] = {case: [] for case in cases}
        for _ in range(3):
            for case, (app, products) in cases.items():
                rates[case].append(rate(app, products, seconds, folder))
    medians = {case: statistics.median(found) for case, found in rates.items()}
    bare = medians["bare Flask hello"]
    for case, median in medians.items():
        print(f"{case:28} {median:9.1f} requests/s   {median / bare:6.3f} of the bare server")
    ratio = medians["1,000 rows, fitted"] / medians["1,000 rows, plain program"]
    print(f"1,000 rows: {ratio:.1f} times the plain program")


if __name__ == "__main__":
    main()
