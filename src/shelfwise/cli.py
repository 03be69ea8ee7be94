"""The command line: parse, call, print. Exit codes stand in EXIT."""

import csv
import ipaddress
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid
from rich.text import Text

from shelfwise import __version__
from shelfwise.columns import COLUMNS
from shelfwise.errors import (
    InputError,
    MissingExtraError,
    ModelError,
    NotFoundError,
    OutputError,
    ProfileError,
    RejectedRowsError,
    SettingError,
    ShelfwiseError,
)
from shelfwise.settings import SETTINGS, load_settings

EXIT: dict[type[ShelfwiseError], int] = {
    RejectedRowsError: 3,
    NotFoundError: 4,
    ProfileError: 5,
    ModelError: 6,
    SettingError: 7,
    MissingExtraError: 8,
    OutputError: 9,
    InputError: 3,
    ShelfwiseError: 1,
}
"""Error -> exit code; the first class that fits counts. 2 is a wrong command line."""

LARGE_FILE = 200 * 2**20
"""Bytes above which a file is analyzed inside DuckDB instead of in memory."""

app = typer.Typer(
    name="shelfwise",
    help="Tells which products earn their place.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

File = Annotated[
    str, typer.Argument(help="CSV, JSON, NDJSON, Parquet, Arrow or XLSX; - reads stdin.")
]
ProfileOption = Annotated[str, typer.Option(help="standard, robust, margin, or a .toml file.")]
TieringOption = Annotated[str, typer.Option(help="quota or kmeans.")]
MapOption = Annotated[
    list[str] | None, typer.Option("--map", help="theirs=ours; may be given several times.")
]
ErrorOption = Annotated[str, typer.Option(help="For bad rows: reject, skip or repair.")]
ModelOption = Annotated[str | None, typer.Option(help="Score against a saved model, no fit.")]


def main() -> None:
    """Run the command line; errors of ours become one line, a hint and an exit code."""
    # `shelfwise ... | head` ends quietly, as other programs do.
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL) if hasattr(signal, "SIGPIPE") else None
    try:
        app(standalone_mode=True)
    except ShelfwiseError as error:
        _complain(error)
        sys.exit(next(code for kind, code in EXIT.items() if isinstance(error, kind)))
    except OSError as error:
        # What we write to is full or gone; nothing more may be flushed there at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        err.print(f"Error: the output cannot be written: {error}.", markup=False)
        sys.exit(EXIT[OutputError])
    finally:
        if before is not None:
            signal.signal(signal.SIGPIPE, before)


def _complain(error: ShelfwiseError) -> None:
    err.print(Text.assemble(("Error: ", "bold red"), error.message))
    for problem in getattr(error, "problems", ())[:20]:
        err.print(f"  {problem.pointer}  {problem.detail}", markup=False, highlight=False)
    count = getattr(error, "count", 0)
    if count > 20:
        err.print(f"  ... {count:,} in all", markup=False)
    if error.hint:
        err.print(error.hint, style="dim", markup=False)


@app.command()
def analyze(
    file: File,
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="Write all products there; - is stdout.")
    ] = None,
    profile: ProfileOption = "standard",
    tiering: TieringOption = "quota",
    group_by: Annotated[
        str | None, typer.Option(help="Also score within each value of this column.")
    ] = None,
    mapping: MapOption = None,
    on_error: ErrorOption = "reject",
    period_days: Annotated[float | None, typer.Option(help="Days that the sales cover.")] = None,
    model: ModelOption = None,
    save_model: Annotated[
        str | None, typer.Option(help="Keep what was learned: .json or .joblib.")
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(help="table, json, csv, ndjson, parquet, arrow; by -o's ending if not given."),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(help="polars or duckdb; by the file's size by default.")
    ] = None,
) -> None:
    """Score the products of a file."""
    kind = _output_kind(output, format)
    with _busy(f"Scoring {file}"):
        analysis = _analyze(
            file, profile, tiering, group_by, mapping, on_error, period_days, model, engine
        )
        if save_model:
            analysis.model.save(save_model)
        if kind != "table":
            _write(analysis, output or "-", kind)
    if kind == "table" or (output and output != "-"):
        _show(analysis, rows=kind == "table")
        if output and output != "-":
            out.print(f"Wrote {analysis.summary['products']:,} products to {escape(output)}.")
    else:
        for warning in analysis.warnings:
            err.print(f"{warning.code}: {warning.message}", style="yellow", markup=False)


def _analyze(
    file: str,
    profile: str = "standard",
    tiering: str = "quota",
    group_by: str | None = None,
    mapping: list[str] | None = None,
    on_error: str = "reject",
    period_days: float | None = None,
    model: str | None = None,
    engine: str | None = None,
) -> Any:
    from shelfwise.run import analyze as run

    if engine is None and file != "-" and Path(file).exists():
        engine = "duckdb" if _is_large(Path(file)) else None
    return run(
        file,
        profile=profile,
        tiering=tiering,  # type: ignore[arg-type]  # analyze() checks it and says what it may be
        group_by=group_by,
        period=period_days,
        columns=_mapping(mapping),
        on_error=on_error,  # type: ignore[arg-type]
        model=model,
        engine=engine,  # type: ignore[arg-type]
    )


def _is_large(path: Path) -> bool:
    from shelfwise.engines import files

    return path.stat().st_size > LARGE_FILE and files.kind_of(path) in ("csv", "parquet")


def _mapping(pairs: list[str] | None) -> dict[str, str]:
    mapping = {}
    for pair in pairs or []:
        theirs, found, ours = pair.rpartition("=")
        if not found or not theirs or not ours:
            raise typer.BadParameter(f"--map {pair!r}: write theirs=ours.")
        mapping[theirs] = ours
    return mapping


def _output_kind(output: str | None, format: str | None) -> str:
    from shelfwise.engines import files

    known = ("table", *files.OUTPUTS)
    if format is None:
        if output is None:
            return "table"
        kind = "csv" if output == "-" else files.kind_of(Path(output))
    else:
        kind = format
    if kind not in known:
        raise typer.BadParameter(f"{kind!r} cannot be written; known: {', '.join(known)}.")
    if kind == "table" and output:
        raise typer.BadParameter("A table is for the screen; leave -o out, or choose csv.")
    return kind


def _write(analysis: Any, target: str, kind: str) -> None:
    from shelfwise.engines import files

    if kind == "json":
        from shelfwise import answer

        files.put(b"".join([*answer.encode(analysis), b"\n"]), target)
    else:
        files.write(analysis.products, target, kind)


def _show(analysis: Any, *, rows: bool) -> None:
    summary = analysis.summary
    tiers = ", ".join(f"{label} {count:,}" for label, count in summary["tiers"].items())
    grid = Grid.grid(padding=(0, 2))
    for label, value in (
        ("Products", f"{summary['products']:,}"),
        ("Revenue", f"{summary['total_revenue']:,.2f}"),
        ("Mean score", f"{summary['avg_score']:.1f} of 100"),
        ("Best", summary["top_product"]),
        ("Tiers", tiers),
        *([("Concentration", _concentration(analysis))] if rows else []),
        ("Profile", f"{analysis.profile.name}, {analysis.model.tiering} tiers"),
        *([("Not scored", f"{summary['skipped']:,} rows")] if summary["skipped"] else []),
    ):
        grid.add_row(Text(label, style="dim"), Text(str(value)))
    if rows:
        out.print(_table(analysis))
    out.print(grid)
    for warning in analysis.warnings:
        err.print(Text.assemble((f"{warning.code}: ", "yellow"), warning.message))
        if warning.hint:
            err.print(f"  {warning.hint}", style="dim", markup=False)


def _concentration(analysis: Any) -> str:
    found = analysis.concentration()
    if found["top_share"] is None:
        return "nothing was earned"
    return f"{found['top']:,} products earn {found['top_share']:.0%} of the revenue"


STYLES = {"High": "green", "Medium": "", "Low": "dark_orange"}
SHOWN_ROWS = 15


def _table(analysis: Any) -> Grid:
    import polars as pl

    products = analysis.products
    if not isinstance(products, pl.DataFrame):
        products = products.order("rank").limit(SHOWN_ROWS).pl()
    shown = products.sort("rank").head(SHOWN_ROWS)
    total = analysis.summary["products"]
    caption = None if total <= len(shown) else f"best {len(shown)} of {total:,}; -o writes them all"
    grid = Grid(caption=caption, expand=True)
    for name in ("Rank", "Product", "Revenue", "Stock ratio", "Score", "Tier", "Flags"):
        left = name in ("Product", "Tier", "Flags")
        # A name is cut at the edge; numbers never are.
        width: dict[str, Any] = {"ratio": 1} if name == "Product" else {}
        grid.add_column(name, justify="left" if left else "right", no_wrap=True, **width)
    for row in shown.iter_rows(named=True):
        ratio = row.get("stock_ratio")
        grid.add_row(
            f"{row['rank']:,}",
            Text(str(row["name"])),
            f"{row['revenue']:,.2f}",
            "-" if ratio is None else f"{ratio:.0%}",
            f"{row['performance_score']:.1f}",
            Text(row["performance_tier"], style=STYLES[row["performance_tier"]]),
            Text(row["flags"].replace(" ", ", ")),
        )
    return grid


@contextmanager
def _busy(what: str) -> Iterator[None]:
    """A moving bar on the terminal once something takes longer than a second."""
    if not err.is_terminal:
        yield
        return
    from threading import Event, Thread

    done = Event()

    def show() -> None:
        if done.wait(1.0):
            return
        start = time.monotonic() - 1.0
        with err.status(escape(what)) as status:
            while not done.wait(0.5):
                status.update(f"{escape(what)} ({time.monotonic() - start:.0f} s)")

    thread = Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _number(value: float) -> str:
    """A metric's value: money with cents, small ratios with four digits that count."""
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.4g}"


@app.command()
def explain(
    file: File,
    product_id: Annotated[str, typer.Argument(help="Which product.")],
    profile: ProfileOption = "standard",
    mapping: MapOption = None,
    on_error: ErrorOption = "reject",
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Why one product scores what it scores."""
    with _busy(f"Scoring {file}"):
        analysis = _analyze(file, profile, mapping=mapping, on_error=on_error, model=model)
        why = analysis.explain(product_id)
    if as_json:
        out.print_json(json.dumps(why.to_dict()))
        return
    out.print(Text(f"{why.name}", style="bold"), Text(f"({why.product_id})", style="dim"))
    out.print(
        f"Score [bold]{why.score:.1f}[/] of 100, rank {why.rank:,} of {why.products:,}, "
        f"tier [bold]{why.tier}[/], cluster {why.cluster}, revenue class {why.abc_class}"
    )
    grid = Grid("Metric", "Value", "Scaled 0 to 1", "Weight", "Points")
    for column in grid.columns[1:]:
        column.justify = "right"
    for name, points in why.contributions.items():
        label = analysis.profile.metric(name).label
        value, scaled = why.metrics[name], why.normalized[name]
        grid.add_row(label, _number(value), f"{scaled:.3f}", f"{why.weights[name]:.0%}",
                     f"{points:.2f}")  # fmt: skip
    grid.add_section()
    grid.add_row("Score", "", "", "", f"{why.score:.2f}")
    out.print(grid)
    if why.flags:
        from shelfwise.pipeline.features import FLAGS

        for flag in why.flags:
            out.print(f"{flag}: {FLAGS[flag]}", markup=False)
    if why.to_high is None:
        out.print("No number of units sold would make it High, all else as it is.")
    elif why.to_high > 0:
        out.print(f"{why.to_high:,.6g} units more would make it High, all else as it is.")


@app.command()
def columns(
    as_csv: Annotated[
        bool, typer.Option("--csv", help="A CSV header with two sample rows.")
    ] = False,
) -> None:
    """The input columns, and what each optional one unlocks."""
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow([column.name for column in COLUMNS if column.required])
        writer.writerow([101, "Desk lamp", 199.99, 150, 50])
        writer.writerow([102, "Coffee mug", 9.5, 40, 160])
        return
    grid = Grid("Column", "Needed", "Kind", "Unit", "Meaning", "Unlocks", "Also read as")
    for column in COLUMNS:
        grid.add_row(
            column.name, "yes" if column.required else "", column.kind, column.unit,
            column.meaning, column.unlocks, ", ".join(column.aliases[:4]),
        )  # fmt: skip
    out.print(grid)


@app.command()
def settings() -> None:
    """The settings, their values and what they mean."""
    values = load_settings()
    grid = Grid("Variable", "Value", "Meaning")
    for setting in SETTINGS:
        value = getattr(values, setting.name)
        shown = ("set" if value else "not set") if setting.secret else str(value)
        grid.add_row(setting.variable, Text(shown), setting.help)
    out.print(grid)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Answer everybody who can connect, without a key.")
    ] = False,
) -> None:
    """Serve the API and its documentation."""
    _serve(host, port, no_auth=no_auth)


def _serve(host: str, port: int, *, no_auth: bool = False) -> None:
    try:
        from shelfwise.service import create_app, warm_up
        from shelfwise.service.server import serve as run
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"The service needs {error.name}.", "pip install 'shelfwise[serve]'"
        ) from error
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # A client that leaves ends no server.
    values = load_settings()
    if not values.api_key and not _is_loopback(host):
        if not no_auth:
            raise SettingError(
                f"{host} can be reached by others, and no key is set.",
                "Set SHELFWISE_API_KEY, or say --no-auth to answer everybody.",
            )
        values = replace(values, hosts=values.hosts or ("*",))
    service = create_app(values)
    with _busy("Starting"):
        warm_up()

    def ready(url: str) -> None:
        err.print(f"Shelfwise {__version__} listens on {url}", markup=False)
        err.print(f"API documentation: {url}/docs   Stop: Ctrl-C", markup=False)

    def draining() -> None:
        service.config["DRAINING"] = True

    try:
        run(service, values, host, port, ready=ready, draining=draining)
    except OSError as error:
        raise SettingError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}.",
            "Choose another --port, or 0 for a free one.",
        ) from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
    folder: Annotated[Path, typer.Option(help="Where the shop is written.")] = Path("demo"),
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Only write and score.")] = False,
) -> None:
    """Make a shop of 500 products, score it, and serve the API."""
    from shelfwise.demo import make_shop, write_shop

    with _busy("Making a shop"):
        paths = write_shop(make_shop(), folder)
        products = str(paths["products"])
        analysis = _analyze(products, period_days=365)
    _show(analysis, rows=True)
    out.print(
        f"\nThe shop is in {folder}: {', '.join(p.name for p in paths.values())}.", markup=False
    )
    here = "shelfwise" if shutil.which("shelfwise") else sys.argv[0]
    out.print("Try this:", style="bold")
    for command in (f"explain {products} 1001", f"analyze {products} --profile robust"):
        out.print(f"  {here} {command}", markup=False, highlight=False, soft_wrap=True)
    if no_serve:
        return
    example = '[{"product_id":1,"name":"Lamp","price":20,"units_sold":9,"stock":1}]'
    address = f"http://127.0.0.1:{port or 'PORT'}/product-analysis"
    out.print(
        f"  curl {address} -H 'Content-Type: application/json' -d '{example}'\n",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    _serve("127.0.0.1", port)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        out.print(__version__, highlight=False)
        raise typer.Exit


if __name__ == "__main__":
    main()
