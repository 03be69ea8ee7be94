"""The commands that score a file: analyze and explain."""

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from shelfwise.cli.delivery import (
    TABLES,
    ModeOption,
    check_analysis,
    deliver,
    kind_of_output,
    kind_on_spark,
    put_report,
)
from shelfwise.cli.screen import busy, err, out, show_analysis, show_explanation
from shelfwise.engines.failures import masked

File = Annotated[
    str, typer.Argument(help="CSV, JSON, NDJSON, Parquet, Arrow or XLSX; - reads stdin.")
]
ProfileOption = Annotated[str, typer.Option(help="standard, robust, margin, or a .toml file.")]
TieringOption = Annotated[str, typer.Option(help="quota or kmeans.")]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", help="theirs=ours, or theirs=- to leave one out; may be repeated."),
]
ErrorOption = Annotated[str, typer.Option(help="For bad rows: reject, skip or repair.")]
ModelOption = Annotated[
    str | None, typer.Option(help="Score against a saved model (a file, or NAME@current), no fit.")
]
CatalogOption = Annotated[
    str | None, typer.Option(help="With order lines: the products' names, costs, categories.")
]
StockOption = Annotated[str | None, typer.Option(help="With order lines: product_id and stock.")]
FirstOption = Annotated[
    str | None, typer.Option("--from", help="With order lines: first day, 2026-01-01.")
]
LastOption = Annotated[
    str | None, typer.Option("--to", help="With order lines: last day, 2026-03-31.")
]
DatesOption = Annotated[
    str | None, typer.Option(help="With order lines: day-first or month-first.")
]
RulesOption = Annotated[
    str | None, typer.Option(help="With order lines: which of them count, a .toml file.")
]
RejectedOption = Annotated[
    str, typer.Option(help="With order lines: share of them that may be unreadable.")
]


def analyze(
    file: Annotated[
        str | None,
        typer.Argument(help="CSV, JSON, NDJSON, Parquet, Arrow or XLSX; - reads stdin."),
    ] = None,
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
        str | None, typer.Option(help="polars, duckdb or spark; by the file's size by default.")
    ] = None,
    master: Annotated[
        str | None, typer.Option(help="With spark: local[2], spark://..., yarn, sc://host.")
    ] = None,
    input: Annotated[
        str | None, typer.Option("--input", help="FILE in another way; with spark also a table.")
    ] = None,
    mode: ModeOption = "error",
    as_of: Annotated[
        str | None, typer.Option(help="With --save or a table as output: its day, 2026-03-31.")
    ] = None,
    sales: Annotated[
        str | None,
        typer.Option(help="Order lines instead of products: a file, a folder, or a 'pattern*'."),
    ] = None,
    catalog: CatalogOption = None,
    stock: StockOption = None,
    first: FirstOption = None,
    last: LastOption = None,
    dates: DatesOption = None,
    rules: RulesOption = None,
    by: Annotated[
        str,
        typer.Option(
            help="With --sales, what a row is: product_id, location (a product there), "
            "parent_id, brand, category or supplier."
        ),
    ] = "product_id",
    find_duplicates: Annotated[
        bool, typer.Option("--find-duplicates", help="With --sales: report lines that stand twice.")
    ] = False,
    last_price: Annotated[
        bool, typer.Option("--last-price", help="With --sales: keep the last price beside.")
    ] = False,
    max_rejected: RejectedOption = "1%",
    save: Annotated[bool, typer.Option("--save", help="Keep the run in the store.")] = False,
    label: Annotated[str | None, typer.Option(help="With --save: a name for it.")] = None,
) -> None:
    """Score the products of a file, or those that order lines sold."""
    choose = kind_on_spark if engine == "spark" else kind_of_output
    kind = choose(output, format, mode)
    file = file or input
    if (file is None) is (sales is None):
        raise typer.BadParameter("Give a file of products, or --sales with order lines.")
    if engine != "spark" and master:
        raise typer.BadParameter("--master goes with --engine spark.")
    if as_of and kind != TABLES and not save:
        raise typer.BadParameter("--as-of goes with --save, or with a table as output.")
    if label and not save:
        raise typer.BadParameter("--label goes with --save.")
    if sales is None and (
        catalog or stock or first or last or dates or rules or find_duplicates or last_price
        or by != "product_id" or max_rejected != "1%"
    ):  # fmt: skip
        raise typer.BadParameter(
            "--catalog, --stock, --from, --to, --dates, --rules, --by, --find-duplicates, "
            "--last-price and --max-rejected go with --sales."
        )
    if sales is not None and engine not in (None, "duckdb", "spark"):
        raise typer.BadParameter("--sales counts with --engine duckdb or spark.")
    day = _day(as_of)
    with busy(f"Scoring {masked(file or str(sales))}", _rows(file or str(sales))):
        if engine == "spark":
            _start_spark(master)
        _check(profile, model, save_model)
        check_analysis(output, kind, mode, (file, sales, catalog, stock))
        source: Any = file
        if sales is not None:
            source = sold(
                sales,
                by=by,
                find_duplicates=find_duplicates,
                last_price=last_price,
                engine="spark" if engine == "spark" else None,
                **counting(mapping, catalog, stock, first, last, dates, rules, max_rejected),
            )
            mapping = None
        # What was counted comes in memory, or in the engine that counted it.
        where = engine if sales is None else None
        analysis = score(
            source, profile, tiering, group_by, mapping, on_error, period_days, model, where
        )
        if save_model:
            analysis.model.save(save_model)
        if kind != "table":
            deliver(analysis, output or "-", kind, mode, day)
        report = put_report(analysis, output, kind)
        kept = _save(analysis, file or str(sales), label, day) if save else None
    if kind == "table" or (output and output != "-"):
        show_analysis(analysis, rows=kind == "table")
        if output and output != "-":
            beside = f", and the data-quality report to {escape(masked(report))}" if report else ""
            out.print(
                f"Wrote {analysis.summary['products']:,} products to "
                f"{escape(masked(output))}{beside}."
            )
    else:
        for warning in analysis.warnings:
            err.print(f"{warning.code}: {warning.message}", style="yellow", markup=False)
        if analysis.quality and kind != "json":  # JSON holds it; rows alone would hide it.
            err.print(str(analysis.quality), markup=False, soft_wrap=True)
    if kept:
        err.print(f"Kept as run {kept.id}.", markup=False)


def _check(profile: str, model: str | None, save_model: str | None) -> None:
    """Refuse what is not there, or cannot be written, before many lines are counted."""
    from shelfwise.model import Model, check_ending
    from shelfwise.profile import load_profile

    chosen = _model(model)
    if isinstance(chosen, str):
        Model.load(chosen)
    elif chosen is None:
        load_profile(profile)
    if save_model:
        check_ending(Path(save_model))


def _save(analysis: Any, source: str, label: str | None, day: date | None) -> Any:
    from shelfwise.cli.keeping import store

    with store() as opened:
        return opened.runs.save(
            analysis, source=source, label=label, as_of=day, origin="command line"
        )


def explain(
    file: File,
    product_id: Annotated[str, typer.Argument(help="Which product.")],
    profile: ProfileOption = "standard",
    mapping: MapOption = None,
    on_error: ErrorOption = "reject",
    model: ModelOption = None,
    location: Annotated[
        str | None, typer.Option(help="Where, for a product that stands in several locations.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Why one product scores what it scores."""
    with busy(f"Scoring {masked(file)}"):
        analysis = score(file, profile, mapping=mapping, on_error=on_error, model=model)
        why = analysis.explain(product_id, location)
    if as_json:
        out.print_json(json.dumps(why.to_dict()))
    else:
        show_explanation(why, analysis.profile)


def sold(sales: str, **options: Any) -> Any:
    """What order lines sold, as `analyze` takes it."""
    from shelfwise.sales import from_sales

    return from_sales(sales, **options)


def counting(
    mapping: list[str] | None,
    catalog: str | None,
    stock: str | None,
    first: str | None,
    last: str | None,
    dates: str | None,
    rules: str | None,
    max_rejected: str,
) -> dict[str, Any]:
    """How order lines are counted, as `from_sales` takes it."""
    if dates not in (None, "day-first", "month-first"):
        raise typer.BadParameter(f"--dates {dates}: write day-first or month-first.")
    return {
        "columns": _mapping(mapping),
        "catalog": catalog,
        "stock": stock,
        "period": (first, last),
        "dates": dates,
        "rules": _rules(rules),
        "max_rejected": _share(max_rejected),
    }


def _rules(path: str | None) -> Any:
    from shelfwise.rules import Rules

    return Rules.load(path) if path else None


def _share(text: str) -> float:
    """0.1% or 0.001 as a share."""
    number = text.strip().removesuffix("%")
    try:
        share = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise typer.BadParameter(f"--max-rejected {text}: write a share such as 0.1%.")
    return share


def score(
    file: Any,
    profile: str = "standard",
    tiering: str = "quota",
    group_by: str | None = None,
    mapping: list[str] | None = None,
    on_error: str = "reject",
    period_days: float | None = None,
    model: str | None = None,
    engine: str | None = None,
) -> Any:
    """The Analysis of a file, or of what was sold.

    A large file is analyzed inside DuckDB, unless an engine is named.
    """
    from shelfwise.engines import files
    from shelfwise.run import analyze as run

    if engine is None and isinstance(file, str) and files.is_large(file):
        engine = "duckdb"
    return run(
        file,
        profile=profile,
        tiering=tiering,  # type: ignore[arg-type]  # analyze() checks it and says what it may be
        group_by=group_by,
        period=period_days,
        columns=_mapping(mapping),
        on_error=on_error,  # type: ignore[arg-type]
        model=_model(model),
        engine=engine,  # type: ignore[arg-type]
    )


def _model(reference: str | None) -> Any:
    """A file by its ending; what has none is a name in the store."""
    if reference is None or Path(reference).suffix:
        return reference
    from shelfwise.cli.keeping import store

    with store() as kept:
        return kept.models.get(reference).model


def _mapping(pairs: list[str] | None) -> dict[str, str]:
    mapping = {}
    for pair in pairs or []:
        theirs, found, ours = pair.rpartition("=")
        if not found or not theirs or not ours:
            raise typer.BadParameter(f"--map {pair!r}: write theirs=ours.")
        mapping[theirs] = ours
    return mapping


def _rows(source: str) -> int | None:
    from shelfwise.engines import files

    return files.rows_in(source)


def _start_spark(master: str | None) -> None:
    from shelfwise.engines import spark

    spark.session(master)


def _day(as_of: str | None) -> date | None:
    """The day of the run; what cannot be meant is said before anything is computed."""
    try:
        return date.fromisoformat(as_of) if as_of else None
    except ValueError as error:
        raise typer.BadParameter(f"--as-of {as_of}: write 2026-03-31.") from error
