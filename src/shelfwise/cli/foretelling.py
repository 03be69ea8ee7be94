"""The commands that look at order lines over time: trends and forecast."""

from typing import Annotated, Any

import typer
from rich.table import Table as Grid
from rich.text import Text

from shelfwise.cli.delivery import ModeOption, check_rows, deliver_rows, kind_of_output
from shelfwise.cli.scoring import (
    CatalogOption,
    DatesOption,
    FirstOption,
    LastOption,
    MapOption,
    RejectedOption,
    RulesOption,
    counting,
)
from shelfwise.cli.screen import busy, err, out
from shelfwise.engines.failures import masked
from shelfwise.errors import InputError, excerpt

Lines = Annotated[
    str | None,
    typer.Argument(
        help="Order lines (a file, a folder, or a 'pattern*'), or rows of weeks: product_id, "
        "week, units."
    ),
]
RunOption = Annotated[
    str | None,
    typer.Option("--run", help="Of a run of order lines that is kept, by its id or latest; "
                 "the result is kept with it."),
]  # fmt: skip
OutputOption = Annotated[
    str | None, typer.Option("-o", "--output", help="Write all of them there; - is stdout.")
]
FormatOption = Annotated[
    str | None, typer.Option(help="table, csv, json, ndjson, parquet, arrow; by -o's ending.")
]
OutOption = Annotated[
    str | None,
    typer.Option(help="product_id and date of days out of stock: such weeks are not counted."),
]
EngineOption = Annotated[str | None, typer.Option(help="duckdb, or spark.")]
Counted = tuple[
    list[str] | None, str | None, None, str | None, str | None, str | None, str | None, str
]
"""The options of `counting`, in its order; there is no stock."""
MADE = {"product_id": "trends", "category": "category_trends"}
STYLES = {"rising": "green", "falling": "dark_orange"}
SHOWN = 12


def trends(
    file: Lines = None,
    run: RunOption = None,
    output: OutputOption = None,
    format: FormatOption = None,
    mode: ModeOption = "error",
    by: Annotated[str, typer.Option(help="product_id, or category.")] = "product_id",
    mapping: MapOption = None,
    catalog: CatalogOption = None,
    out_of_stock: OutOption = None,
    first: FirstOption = None,
    last: LastOption = None,
    dates: DatesOption = None,
    rules: RulesOption = None,
    max_rejected: RejectedOption = "1%",
    engine: EngineOption = None,
) -> None:
    """Which products rise or fall, by how much a year, and how sure that is."""
    from shelfwise.sales import trends as found_in

    kind = kind_of_output(output, format, mode)
    check_rows(output, kind, mode, (file, catalog, out_of_stock))
    counted = (mapping, catalog, None, first, last, dates, rules, max_rejected)
    with busy(f"Looking for trends in {_named(file, run)}"):
        if run:
            _refuse_counting(counted, engine)
            if by not in MADE:
                raise InputError(f"by is {excerpt(by)}.", "It is product_id or category.")
            weeks, made = _of_run(run, "trends", out_of_stock=out_of_stock)
            if MADE[by] not in made:
                raise InputError("No product of this run has a category.", "Leave --by out.")
            found = made[MADE[by]]
        else:
            weeks = _weekly(file, counted, out_of_stock, engine)
            found = found_in(weeks, by=by)  # type: ignore[arg-type]  # It says what it may be.
    deliver_rows(found, output, kind, mode)
    if kind == "table":
        _show_trends(found, weeks)


def forecast(
    file: Lines = None,
    run: RunOption = None,
    horizon: Annotated[int, typer.Option(help="Weeks ahead, 1 to 104.")] = 13,
    output: OutputOption = None,
    format: FormatOption = None,
    mode: ModeOption = "error",
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Also try it on the past, beside naive forecasts.")
    ] = False,
    mapping: MapOption = None,
    catalog: CatalogOption = None,
    out_of_stock: OutOption = None,
    first: FirstOption = None,
    last: LastOption = None,
    dates: DatesOption = None,
    rules: RulesOption = None,
    max_rejected: RejectedOption = "1%",
    engine: EngineOption = None,
) -> None:
    """What each product will sell in the next weeks, and how far off that may be."""
    from shelfwise.sales import evaluate as tried
    from shelfwise.sales import forecast as forecast_of

    kind = kind_of_output(output, format, mode)
    check_rows(output, kind, mode, (file, catalog, out_of_stock))
    counted = (mapping, catalog, None, first, last, dates, rules, max_rejected)
    with busy(f"Forecasting {_named(file, run)}") as told:
        if run:
            _refuse_counting(counted, engine)
            weeks, made = _of_run(
                run, "forecast", out_of_stock=out_of_stock, horizon=horizon, progress=told
            )
            found = made["forecast"]
        else:
            weeks = _weekly(file, counted, out_of_stock, engine)
            found = forecast_of(weeks, horizon, progress=told)
        errors = tried(weeks, horizon, progress=told) if evaluate else None
    deliver_rows(found, output, kind, mode)
    if kind == "table":
        _show_forecast(found, horizon)
    if errors is not None:
        _show_errors(errors)


def _named(file: str | None, run: str | None) -> str:
    if (file is None) is (run is None):
        raise typer.BadParameter("Give order lines, or --run with a run that is kept.")
    return f"run {run}" if run else masked(str(file))


def _refuse_counting(counted: Counted, engine: str | None) -> None:
    if engine or counted != (None, None, None, None, None, None, None, "1%"):
        raise typer.BadParameter(
            "--map, --catalog, --from, --to, --dates, --rules, --max-rejected and --engine go "
            "with order lines: those of a run are counted already."
        )


def _of_run(run_id: str, kind: str, **options: Any) -> tuple[Any, dict[str, Any]]:
    """The weeks of a run that is kept, and what was made of them, by name."""
    from shelfwise.cli.keeping import store, whole_id
    from shelfwise.sales import weekly

    with store() as kept:
        run = kept.runs.get(whole_id(kept, run_id))
        made = kept.derived.make(run, kind, **options)
        weeks = weekly(kept.runs.weeks(run), out_of_stock=options["out_of_stock"])
        return weeks, {table.name: table.scan().collect() for table in made}


def _weekly(
    file: str | None, counted: Counted, out_of_stock: str | None, engine: str | None
) -> Any:
    from shelfwise.sales import weekly

    if engine not in (None, "duckdb", "spark"):
        raise typer.BadParameter(f"--engine {engine}: write duckdb or spark.")
    where: Any = "spark" if engine == "spark" else None
    return weekly(file, out_of_stock=out_of_stock, engine=where, **counting(*counted))


def _show_trends(found: Any, weeks: Any) -> None:
    """The confirmed ones, the fastest first; then how many there are of each kind."""
    import polars as pl

    from shelfwise.sales.labels import TRENDS

    what = "Product" if "product_id" in found.columns else "Category"
    some = found.filter(pl.col("trend").is_in(["rising", "falling"])).sort(
        pl.col("growth").log1p().abs(), descending=True, nulls_last=True
    )
    title = f"{weeks.weeks} whole weeks from {weeks.first}, units a week net of returns"
    caption = f"{SHOWN} of {some.height:,}; -o writes all" if some.height > SHOWN else None
    grid = Grid(title=title, title_justify="left", caption=caption, expand=True)
    grid.add_column(what, no_wrap=True, ratio=1)
    for name in ("Units", "Trend", "Growth a year", "95% interval", "q", "Last 13 weeks"):
        grid.add_column(name, justify="left" if name == "Trend" else "right", no_wrap=True)
    for row in some.head(SHOWN).iter_rows(named=True):
        grid.add_row(
            Text(str(row.get("name") or row.get("category"))),
            f"{row['units']:,.0f}",
            Text(row["trend"], style=STYLES[row["trend"]]),
            _percent(row["growth"]),
            f"{_percent(row['growth_low'])} to {_percent(row['growth_high'])}",
            f"{row['q_value']:.1g}",
            _percent(row["shift"]),
        )
    if some.height:
        out.print(grid)
    else:
        out.print(title, markup=False)
        out.print("No trend is confirmed.")
    counts = dict(found.group_by("trend").len().iter_rows())
    lines = Grid.grid(padding=(0, 2))
    for name, meaning in TRENDS.items():
        if name in counts:
            lines.add_row(Text(name.replace("_", " "), style="dim"), f"{counts[name]:,}", meaning)
    out.print(lines)
    for reason, count in found.group_by("reason").len().sort("len", descending=True).iter_rows():
        if reason and count == found.height:
            err.print(f"All of them: {reason}.", markup=False)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:+.0%}"


def _show_forecast(found: Any, horizon: int) -> None:
    """The products with most units ahead."""
    some = found.sort("expected", descending=True, nulls_last=True).head(SHOWN)
    caption = f"{SHOWN} of {found.height:,}; -o writes all" if found.height > SHOWN else None
    grid = Grid(title=f"Units in the next {horizon} weeks", title_justify="left",
                caption=caption, expand=True)  # fmt: skip
    grid.add_column("Product", no_wrap=True, ratio=1)
    for name in ("Expected", "5%", "50%", "95%", "Demand", "Method"):
        left = name in ("Demand", "Method")
        grid.add_column(name, justify="left" if left else "right", no_wrap=True)
    for row in some.iter_rows(named=True):
        numbers = [row["expected"], row["q5"], row["q50"], row["q95"]]
        told = ["" if number is None else f"{number:,.0f}" for number in numbers]
        grid.add_row(Text(str(row["name"])), *told, row["demand_class"] or "", row["method"] or "")
    out.print(grid)
    withheld = found["reason"].drop_nulls().len()
    if withheld:
        out.print(f"{withheld:,} products have no forecast; their column reason says why.")


def _show_errors(errors: Any) -> None:
    """How far off the forecasts would have been, beside those of the rivals."""
    title = (
        f"On the past: {errors.evaluated:,} of {errors.of:,} products, {errors.horizon} weeks from "
        f"each of {len(errors.origins)} weeks"
    )
    grid = Grid(title=title, title_justify="left")
    grid.add_column("Forecast")
    for name in ("RMSSE", "WAPE", "Bias", "Within 90%", "95%", "99%"):
        grid.add_column(name, justify="right")
    for row in errors.pooled.iter_rows(named=True):
        shares = [row[n] for n in ("wape", "bias", "covered_90", "covered_95", "covered_99")]
        told = ["" if share is None else f"{share:.1%}" for share in shares]
        rmsse = "" if row["rmsse"] is None else f"{row['rmsse']:.3f}"
        grid.add_row(row["method"], rmsse, *told)
    out.print(grid)
