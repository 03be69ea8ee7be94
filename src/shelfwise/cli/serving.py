"""The commands that serve the API: serve, and demo with a shop made for it."""

import ctypes
import datetime as dt
import ipaddress
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from shelfwise import __version__
from shelfwise.cli.scoring import score
from shelfwise.cli.screen import busy, err, out, show_analysis
from shelfwise.errors import MissingExtraError, SettingError
from shelfwise.settings import load_settings

DEMO_END = dt.date(2026, 10, 25)
"""The last Sunday of the shop's order lines."""
DEMO_WEEKS = 104
DEMO_SCHEDULE = "weekly"
M_ARENA_MAX = -8  # Of glibc's malloc.h.


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Answer everybody who can connect, without a key.")
    ] = False,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Leave jobs to `shelfwise worker` elsewhere.")
    ] = False,
) -> None:
    """Serve the dashboard and the API, with a worker for jobs beside them."""
    _give_memory_back()
    try:
        from shelfwise.jobs.supervised import Supervised
        from shelfwise.service import close, create_app, has_key, store, warm_up
        from shelfwise.service.server import serve as run
        from shelfwise.service.watch import set_up_logs
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"The service needs {error.name}.", "pip install 'shelfwise[serve]'"
        ) from error
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # A client that leaves ends no server.
    values = load_settings()
    from_afar = not _is_loopback(host)
    if from_afar and no_auth and not values.api_key:
        values = replace(values, hosts=values.hosts or ("*",))
    service = create_app(values, key_needed=from_afar and not no_auth)
    # The first start makes the tables, and a database that is away is said at once.
    if from_afar and not no_auth and not has_key(service):
        raise SettingError(
            f"{host} can be reached by others, and there is no key.",
            "Set SHELFWISE_API_KEY, make a key with `shelfwise key create`, or say --no-auth "
            "to answer everybody.",
        )
    store(service)
    set_up_logs(values.log)
    with busy("Starting"):
        warm_up()
    worker = None if no_worker else Supervised(values)

    def ready(url: str) -> None:
        err.print(f"Shelfwise {__version__} listens on {url}", markup=False)
        err.print(f"Open {url} for the dashboard, {url}/docs for the API.", markup=False,
                  soft_wrap=True)  # fmt: skip
        err.print("Stop: Ctrl-C", markup=False)

    def draining() -> None:
        service.config["DRAINING"] = True

    try:
        needed = bool(service.config["KEY_NEEDED"])
        run(service, values, host, port, key_needed=needed, ready=ready, draining=draining)
    except OSError as error:
        raise SettingError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}.",
            "Choose another --port, or 0 for a free one.",
        ) from error
    finally:
        if worker:
            worker.stop(values.drain_seconds)
        close(service)


def _give_memory_back() -> None:
    """Have the allocators return at once what a large request took; before Polars is loaded.

    By default glibc keeps a heap for each thread, and Polars what it frees for a while: four
    large requests in a row took the memory of all four. It costs such requests a tenth of
    their time. Jobs end with their memory, so they keep the defaults.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_ARENA_MAX, 1)
    os.environ["_RJEM_MALLOC_CONF"] = "dirty_decay_ms:0,muzzy_decay_ms:0"
    import polars  # noqa: F401  (its allocator reads the variable now)

    del os.environ["_RJEM_MALLOC_CONF"]


def worker(
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Do the jobs of the queue: analyses of uploads, and scheduled ones."""
    try:
        from shelfwise.jobs.worker import run
        from shelfwise.service.watch import set_up_logs
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"A worker needs {error.name}.", "pip install 'shelfwise[serve]'"
        ) from error

    def ready() -> None:
        if not with_parent:
            err.print(f"Shelfwise {__version__} works.   Stop: Ctrl-C", markup=False)

    values = load_settings()
    set_up_logs(values.log)
    run(values, ready=ready, with_parent=with_parent)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def demo(
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
    folder: Annotated[Path, typer.Option(help="Where the shop is written.")] = Path("demo"),
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Only write and score.")] = False,
) -> None:
    """Make a shop of 500 products, score it twice, and serve the dashboard and the API."""
    _give_memory_back()
    from shelfwise.cli.keeping import store
    from shelfwise.demo import make_shop, write_shop

    # What the demo keeps stays in its folder, apart from what is kept in earnest.
    os.environ.setdefault("SHELFWISE_DATA_DIR", str(folder / "data"))
    reports = (folder / "reports").absolute()
    opened = os.environ.get("SHELFWISE_DELIVERY_FOLDERS")
    os.environ["SHELFWISE_DELIVERY_FOLDERS"] = ",".join(filter(None, (opened, str(reports))))
    with busy("Making a shop"):
        paths = write_shop(make_shop(), folder)
    products = str(paths["products"])
    show_analysis(score(products, period_days=365), rows=True)
    with store() as kept:
        known, _ = kept.runs.newest(1_000)
        if not known:
            _keep_runs(kept, paths)
    out.print(
        f"\nThe shop is in {folder}: {', '.join(p.name for p in paths.values())}.", markup=False
    )
    kept_ones = f"{len(known):,} runs of earlier starts are" if known else "Two runs are"
    out.print(f"{kept_ones} kept in {load_settings().data_dir}.", markup=False)
    here = "shelfwise" if shutil.which("shelfwise") else sys.argv[0]
    out.print("Try this:", style="bold")
    for command in (
        f"explain {products} 1001",
        f"analyze {products} --profile robust",
        f"trends {paths['order_lines']} --catalog {products}",
        f"decide inventory --sales {paths['order_lines']} --catalog {products} --stock {products}",
    ):
        out.print(f"  {here} {command}", markup=False, highlight=False, soft_wrap=True)
    if no_serve:
        return
    example = '[{"product_id":1,"name":"Lamp","price":20,"units_sold":9,"stock":1}]'
    address = f"http://127.0.0.1:{port or 'PORT'}/product-analysis"
    out.print(
        f"  curl {address} -H 'Content-Type: application/json' -d '{example}'",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    out.print(f"  curl http://127.0.0.1:{port or 'PORT'}/v1/runs", markup=False, highlight=False)
    with store() as kept:
        _schedule_report(kept, reports)
    out.print(f"The report of the latest run comes to {reports}, now and each Monday.\n",
              markup=False, soft_wrap=True)  # fmt: skip
    serve("127.0.0.1", port)


def _schedule_report(kept: Any, folder: Path) -> None:
    """Have the report of the latest run delivered each Monday, and at the first start."""
    from importlib.util import find_spec

    from shelfwise.jobs.queue import Jobs

    formats = ["pdf", "xlsx", "html"] if find_spec("typst") else ["xlsx", "html"]
    target = {"folder": str(folder), "formats": formats}
    jobs = Jobs(kept)
    try:
        if DEMO_SCHEDULE not in {one.name for one in jobs.schedules()}:
            deliver = {"targets": [target], "make": []}
            jobs.add_schedule(DEMO_SCHEDULE, "monday 06:00", {"deliver": deliver})
            jobs.trigger(DEMO_SCHEDULE)
    finally:
        jobs.close()


def _keep_runs(kept: Any, paths: Mapping[str, Path]) -> None:
    """Keep two runs of the shop's order lines, four weeks apart, and all that follows of them."""
    from shelfwise.engines import files
    from shelfwise.insights.sections import QUESTIONS
    from shelfwise.run import analyze
    from shelfwise.sales import from_sales

    lines, products = str(paths["order_lines"]), str(paths["products"])
    made = []
    for end in (DEMO_END - dt.timedelta(weeks=4), DEMO_END):
        with busy(f"Scoring two years of order lines, to {end}"):
            period = (end - dt.timedelta(weeks=DEMO_WEEKS, days=-1), end)
            sold = from_sales(lines, catalog=products, stock=products, period=period)
            run = kept.runs.save(analyze(sold), source=lines, label="Demo", origin="command line")
            made.append(run)
    before, run = made
    receipts, suppliers = (files.read_table(str(paths[name])) for name in ("receipts", "suppliers"))
    given = {"receipts": receipts, "suppliers": suppliers}
    with busy("Working out what to do"):
        for name in ("trends", "forecast", "elasticity"):
            kept.derived.make(run, name)
        for name, question in QUESTIONS.items():
            since = before if question.compares else None
            tables = {table: given[table] for table in question.tables if table in given}
            kept.derived.make(run, name, since=since, tables=tables)
