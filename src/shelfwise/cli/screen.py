"""What the commands print: results on `out`, and what went wrong or takes long on `err`."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid
from rich.text import Text

from shelfwise.errors import ShelfwiseError
from shelfwise.metrics import METRIC

out = Console()
err = Console(stderr=True)

STYLES = {"High": "green", "Medium": "", "Low": "dark_orange"}
SHOWN_ROWS = 15


def complain(error: ShelfwiseError) -> None:
    """What is wrong, the first 20 places where, and what to do about it."""
    # Not broken at a width: a path in it can be copied, and found by a program.
    err.print(Text.assemble(("Error: ", "bold red"), error.message), soft_wrap=True)
    for problem in getattr(error, "problems", ())[:20]:
        told = f"  {problem.pointer}  {problem.detail}"
        err.print(told, markup=False, highlight=False, soft_wrap=True)
    count = getattr(error, "count", 0)
    if count > 20:
        err.print(f"  ... {count:,} in all", markup=False)
    if error.hint:
        err.print(error.hint, style="dim", markup=False)


def show_analysis(analysis: Any, *, rows: bool) -> None:
    """The summary and the warnings; with `rows` the best products too."""
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
    if analysis.quality:
        out.print(_quality(analysis.quality))
    _warn(analysis.warnings)


def show_run(run: Any, best: Any, overridden: int) -> None:
    """A run that is kept: its best products, its summary and its warnings.

    In so many products of it people let another tier count.
    """
    summary = run.summary
    out.print(_rows(best, summary["products"]))
    tiers = ", ".join(f"{label} {count:,}" for label, count in summary["tiers"].items())
    grid = Grid.grid(padding=(0, 2))
    for label, value in (
        ("Run", run.id),
        ("Saved", run.created_at.astimezone().strftime("%Y-%m-%d %H:%M %Z")),
        ("As of", run.as_of),
        *([("Label", run.label)] if run.label else []),
        ("Source", run.source or "a frame in memory"),
        ("Products", f"{summary['products']:,}"),
        ("Revenue", f"{summary['total_revenue']:,.2f}"),
        ("Mean score", f"{summary['avg_score']:.1f} of 100"),
        ("Best", summary["top_product"]),
        ("Tiers", tiers),
        *([("Overridden", _products(overridden))] if overridden else []),
        ("Profile", f"{run.profile}, {run.tiering} tiers"),
        *([("Not scored", f"{summary['skipped']:,} rows")] if summary["skipped"] else []),
        *([("Pinned", "yes")] if run.pinned else []),
    ):
        grid.add_row(Text(label, style="dim"), Text(str(value)))
    out.print(grid)
    _warn(run.warnings)


def _warn(warnings: Iterable[Any]) -> None:
    for warning in warnings:
        err.print(Text.assemble((f"{warning.code}: ", "yellow"), warning.message))
        if warning.hint:
            err.print(f"  {warning.hint}", style="dim", markup=False)


def _quality(quality: Any) -> Grid:
    """What the rules touched among the order lines."""
    title = (
        f"{quality.lines:,} order lines, {quality.first} to {quality.last}: "
        f"{quality.counted:,} counted, {quality.left_out + quality.unreadable:,} not"
    )
    grid = Grid(title=title, title_justify="left")
    for name in ("Found", "Lines", "Products", "Revenue", "Done", "Meaning"):
        right = name in ("Lines", "Products", "Revenue")
        grid.add_column(name, justify="right" if right else "left", no_wrap=name != "Meaning")
    for found in quality.findings:
        grid.add_row(
            found.name.replace("_", " "),
            f"{found.lines:,}" if found.lines else "",
            f"{found.products:,}" if found.products else "",
            f"{found.revenue:,.2f}" if found.units or found.revenue else "",
            found.action,
            found.meaning,
        )
    return grid


def _concentration(analysis: Any) -> str:
    found = analysis.concentration()
    if found["top_share"] is None:
        return "nothing was earned"
    return f"{found['top']:,} products earn {found['top_share']:.0%} of the revenue"


def _table(analysis: Any) -> Grid:
    import polars as pl

    products = analysis.products
    if not isinstance(products, pl.DataFrame):
        products = products.order("rank").limit(SHOWN_ROWS).pl()
    return _rows(products.sort("rank").head(SHOWN_ROWS), analysis.summary["products"])


def _rows(shown: Any, total: int) -> Grid:
    """Products as a table, of `total` in all."""
    caption = None if total <= len(shown) else f"best {len(shown)} of {total:,}; -o writes them all"
    grid = Grid(caption=caption, expand=True)
    metrics = (METRIC["revenue"].label, METRIC["stock_ratio"].label)
    for name in ("Rank", "Product", *metrics, "Score", "Tier", "Flags"):
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
            _tier(row),
            Text(row["flags"].replace(" ", ", ")),
        )
    return grid


def _tier(row: dict[str, Any]) -> Text:
    """The tier of the score, and the one that people let count."""
    computed, set_to = row["performance_tier"], row.get("tier_override")
    shown = Text(computed, style=STYLES[computed])
    return shown.append(f", set to {set_to}", style=STYLES[set_to]) if set_to else shown


def _products(count: int) -> str:
    return f"{count:,} product{'' if count == 1 else 's'}"


def show_explanation(why: Any, profile: Any) -> None:
    """The points of a product by metric, which the profile names, and what they make it."""
    out.print(Text(f"{why.name}", style="bold"), Text(f"({why.product_id})", style="dim"))
    out.print(
        f"Score [bold]{why.score:.1f}[/] of 100, rank {why.rank:,} of {why.products:,}, "
        f"tier [bold]{why.tier}[/], cluster {why.cluster}, revenue class {why.abc_class}"
    )
    grid = Grid("Metric", "Value", "Scaled 0 to 1", "Weight", "Points")
    for column in grid.columns[1:]:
        column.justify = "right"
    for name, points in why.contributions.items():
        label = profile.metric(name).label
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


def _number(value: float) -> str:
    """A metric's value: money with cents, small ratios with four digits that count."""
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.4g}"


class Pace:
    """How far the pass over the data is, and how fast."""

    def __init__(self, rows: int | None) -> None:
        self._rows = rows
        self._before = 0.0
        self._start = time.monotonic()
        self.share: float | None = None

    def told(self) -> str:
        """For example ": 43% of this pass, 5.2 million rows/s"; nothing where nothing tells."""
        from shelfwise.engines import frames, spark

        now, done = time.monotonic(), frames.progress()
        done = spark.progress() if done is None else done
        self.share = done
        if done is None or done < self._before:
            self._start, self._before = now, done or 0.0
        if done is None:
            return ""
        self._before = done
        told = f": {done:.0%} of this pass"
        if self._rows and done > 0 and now > self._start:
            told += f", {self._rows * done / (now - self._start) / 1e6:.1f} million rows/s"
        return told


@contextmanager
def busy(what: str, rows: int | None = None) -> Iterator[Callable[[float], None]]:
    """What goes on, on the terminal, once it takes longer than a second.

    With a bar where something tells how much is done: the engine, of its pass over the
    data, with how many of its `rows` pass a second; or the work, through what this gives.
    """
    told: list[float] = []
    if not err.is_terminal:
        yield told.append
        return
    from threading import Event, Thread

    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed

    done = Event()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(),
               TaskProgressColumn(), Elapsed())  # fmt: skip

    def show() -> None:
        if done.wait(1.0):
            return
        pace = Pace(rows)
        with Progress(*columns, console=err, transient=True) as bar:
            task = bar.add_task(escape(what), total=None)
            while not done.wait(0.5):
                passed = pace.told()
                share = told[-1] if told else pace.share
                bar.update(task, description=escape(what) + passed, completed=share or 0.0,
                           total=None if share is None else 1.0)  # fmt: skip

    thread = Thread(target=show, daemon=True)
    thread.start()
    try:
        yield told.append
    finally:
        done.set()
        thread.join()
