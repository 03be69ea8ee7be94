"""The commands that decide: what to reorder, clear, feature, delist, and whom to buy from."""

import json
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table as Grid
from rich.text import Text

from shelfwise.cli.delivery import ModeOption, check_rows, deliver_rows, kind_of_output
from shelfwise.cli.keeping import store, whole_id
from shelfwise.cli.opinions import day_of
from shelfwise.cli.policies import settings_from
from shelfwise.cli.scoring import (
    CatalogOption,
    DatesOption,
    ErrorOption,
    FirstOption,
    LastOption,
    MapOption,
    ProfileOption,
    RejectedOption,
    RulesOption,
    StockOption,
    counting,
    score,
    sold,
)
from shelfwise.cli.screen import busy, err, out
from shelfwise.engines.failures import masked

SHOWN, SHOWN_EACH = 15, 8
"""Rows on the screen, where there is one action and where there are several."""
SECTIONS = (
    "inventory", "orders", "portfolio", "delisting", "marketing", "campaign", "suppliers",
    "confidence",
)  # fmt: skip
"""Names of QUESTIONS, which load an engine: `serve` sets up its memory before one is loaded."""
LABELED = ("marketing", "campaign")
PolicyOption = Annotated[
    str | None, typer.Option(help="The settings of the decisions, a .toml file.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="setting=value; a,b,c for a list, a=1,b=2 for pairs; inventory.setting=value where "
        "another question rests on stock. May be given several times.",
    ),
]
OutputOption = Annotated[
    str | None, typer.Option("-o", "--output", help="Write the decisions there; - is stdout.")
]
FormatOption = Annotated[
    str | None, typer.Option(help="table, csv, json, ndjson, parquet, arrow; by -o's ending.")
]
STYLES = {"reorder": "green", "clear": "dark_orange", "feature": "green", "promote": "green"}


def decide(
    section: Annotated[str, typer.Argument(help=f"Which question: {', '.join(SECTIONS)}.")],
    file: Annotated[
        str | None, typer.Argument(help="Products, as `analyze` takes them; or give --sales.")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", help="Of a run that is kept, by its id or latest; the result is kept with it."
        ),
    ] = None,
    sales: Annotated[
        str | None, typer.Option(help="Order lines: a file, a folder, or a 'pattern*'.")
    ] = None,
    catalog: CatalogOption = None,
    stock: StockOption = None,
    receipts: Annotated[
        str | None,
        typer.Option(
            help="For suppliers: supplier, product_id, ordered, promised, received, "
            "ordered_quantity, received_quantity."
        ),
    ] = None,
    out_of_stock: Annotated[
        str | None,
        typer.Option(help="For inventory: product_id and date of days out of stock."),
    ] = None,
    suppliers: Annotated[
        str | None, typer.Option(help="For orders: supplier and min_order_value.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="For marketing and campaign: write the custom labels of all products "
            "there, as a feed for Google Merchant Center."
        ),
    ] = None,
    policy: PolicyOption = None,
    set_: SetOption = None,
    output: OutputOption = None,
    format: FormatOption = None,
    mode: ModeOption = "error",
    every: Annotated[
        bool, typer.Option("--all", help="Also the rows that ask for nothing.")
    ] = False,
    profile: ProfileOption = "standard",
    period_days: Annotated[float | None, typer.Option(help="Days that the sales cover.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="The day that dates are counted from, 2026-03-31.")
    ] = None,
    on_error: ErrorOption = "reject",
    mapping: MapOption = None,
    first: FirstOption = None,
    last: LastOption = None,
    dates: DatesOption = None,
    rules: RulesOption = None,
    max_rejected: RejectedOption = "1%",
) -> None:
    """What to do about each product, how much, by when, for how much money, and why."""
    from shelfwise.engines import files

    if section not in SECTIONS:
        raise typer.BadParameter(f"{section}: write one of {', '.join(SECTIONS)}.")
    from shelfwise.insights.sections import QUESTIONS

    question = QUESTIONS[section]
    kind = kind_of_output(output, format, mode)
    inputs = (file, sales, catalog, stock, receipts, out_of_stock, suppliers)
    check_rows(output, kind, mode, inputs)
    settings = settings_from(policy, set_, question.policy)
    asked = (("receipts", receipts), ("out_of_stock", out_of_stock), ("suppliers", suppliers))
    beside = {name: path for name, path in asked if path}
    if wrong := [name for name in beside if name not in question.tables]:
        raise typer.BadParameter(f"--{wrong[0].replace('_', '-')} does not go with {section}.")
    if labels and section not in LABELED:
        raise typer.BadParameter(f"--labels goes with {' and '.join(LABELED)}.")
    check_rows(labels, "csv", "error", inputs)
    if sum(given is not None for given in (file, run, sales)) != 1:
        raise typer.BadParameter("Give a file of products, or --sales, or --run.")
    if sales is None and (catalog or stock or first or last or dates or rules):
        raise typer.BadParameter("--catalog, --stock, --from, --to, --dates and --rules go with "
                                 "--sales.")  # fmt: skip
    tables: dict[str, Any] = {name: files.read_table(path) for name, path in beside.items()}
    question.settings(settings)
    feed: Any = None
    with busy(f"Deciding on {section} of {masked(file or sales or f'run {run}')}") as told:
        if run is not None:
            found, feed = _of_run(run, question, settings, tables, told, bool(labels))
        else:
            known = _evidence(
                file,
                sales,
                profile,
                mapping,
                on_error,
                period_days,
                as_of,
                (mapping, catalog, stock, first, last, dates, rules, max_rejected),
            )
            found = question.answer(known, settings, **tables)
            feed = _feed(found, known) if labels else None
    if labels:
        from shelfwise.engines.output import write

        write(feed, labels, "csv")
        # Standard output may be the decisions.
        err.print(f"Wrote {feed.height:,} rows to {escape(masked(labels))}.")
    _deliver(found, output, kind, mode, every=every)


def compare(
    before: Annotated[str, typer.Argument(help="The first run: its id, its beginning, or latest.")],
    after: Annotated[str, typer.Argument(help="The second run.")] = "latest",
    policy: PolicyOption = None,
    set_: SetOption = None,
    output: OutputOption = None,
    format: FormatOption = None,
    mode: ModeOption = "error",
    every: Annotated[
        bool, typer.Option("--all", help="Also products that did not really change.")
    ] = False,
) -> None:
    """What changed between two runs that are kept, and what really did."""
    kind = kind_of_output(output, format, mode)
    check_rows(output, kind, mode)
    from shelfwise.insights.sections import QUESTIONS

    settings = settings_from(policy, set_, QUESTIONS["changes"].policy)
    with busy(f"Comparing {before} and {after}"), store() as kept:
        first, second = (kept.runs.get(whole_id(kept, one)) for one in (before, after))
        kept.derived.make(second, "changes", policy=settings, since=first)
        found = kept.section(second.id, "changes")
    _deliver(found, output, kind, mode, every=every)


def _deliver(found: Any, output: str | None, kind: str, mode: str, *, every: bool) -> None:
    from shelfwise.insights.wording import many

    rows, dismissed = (found.rows, 0) if every else _open(found)
    text = _json(found, rows) if kind == "json" else None
    deliver_rows(rows, output, kind, mode, text)
    if kind == "table":
        _show(found, rows)
    if kind == "table" or (output and output != "-"):
        _show_beside(found)
        if dismissed:
            told = many(dismissed, "proposal is", "proposals are")
            err.print(f"{told} dismissed; --all shows {'it' if dismissed == 1 else 'them'}.",
                      markup=False)  # fmt: skip


def _json(found: Any, rows: Any) -> str:
    told = found.to_dict() | {"rows": rows.to_dicts()}
    return json.dumps(told, default=str, ensure_ascii=False, indent=2)


def _open(found: Any) -> tuple[Any, int]:
    """The decisions that nobody has dismissed, and how many were; rows that propose nothing."""
    if "really_changed" in found.rows.columns:
        return found.rows.filter("really_changed"), 0
    if "action" not in found.rows.columns:
        return found.rows, 0
    rows = found.decisions
    if "verdict" not in rows.columns:
        return rows, 0
    left = rows.filter(rows["verdict"].ne_missing("dismissed"))
    return left, rows.height - left.height


def _evidence(
    file: str | None,
    sales: str | None,
    profile: str,
    mapping: list[str] | None,
    on_error: str,
    period_days: float | None,
    as_of: str | None,
    counted: Any,
) -> Any:
    from shelfwise.insights import Evidence

    day = day_of("--as-of", as_of)
    if sales is not None:
        analysis = score(sold(sales, **counting(*counted)), profile, on_error=on_error)
    else:
        analysis = score(file, profile, mapping=mapping, on_error=on_error, period_days=period_days)
    return Evidence.of(analysis, as_of=day, period_days=period_days)


def _of_run(
    run_id: str, question: Any, settings: Any, tables: Any, told: Any, labels: bool
) -> tuple[Any, Any]:
    """The section of a run that is kept, with the answers that people gave to its proposals.

    And the labels of its products, if somebody wants them.
    """
    with store() as kept:
        run = kept.runs.get(whole_id(kept, run_id))
        kept.derived.make(run, question.name, policy=settings, tables=tables, progress=told)
        if labels and "marketing" not in {one.name for one in kept.derived.all(run)}:
            kept.derived.make(run, "marketing")
        return kept.section(run.id, question.name), kept.labels(run.id) if labels else None


def _feed(found: Any, known: Any) -> Any:
    """The labels of all products: of their lists, and of a campaign's discounts."""
    from shelfwise.insights.lists import merchant_labels
    from shelfwise.insights.marketing import marketing

    if found.name == "marketing":
        return merchant_labels(found)
    return merchant_labels(marketing(known), found)


def _show(found: Any, rows: Any) -> None:
    """A table for each action: those with most money at stake."""
    from shelfwise.insights.decisions import ACTIONS
    from shelfwise.insights.sections import QUESTIONS

    if "action" not in rows.columns:
        _show_rows(found, rows)
        return
    if not rows.height:
        out.print("Nothing asks for an action.")
        return
    out.print(f"{QUESTIONS[found.name].asks}\n", style="bold")
    there = [action for action in (*ACTIONS, None) if (rows["action"].eq_missing(action)).any()]
    for action in there:
        some = rows.filter(rows["action"].eq_missing(action))
        _show_action(action, some, SHOWN if len(there) == 1 else SHOWN_EACH)


def _show_action(action: str | None, rows: Any, shown: int) -> None:
    """The first rows of one action, under its name, with what it means and how many there are."""
    from shelfwise.insights.decisions import ACTIONS
    from shelfwise.insights.wording import many

    what = "name" if "name" in rows.columns else "supplier"
    who = "Product" if what == "name" else "Supplier"
    if action is None:
        title = f"Nothing to do: {many(rows.height, who.lower())}"
    else:
        word = action.replace("_", " ").capitalize()
        title = f"{word}: {many(rows.height, who.lower())}. {ACTIONS[action]}"
    caption = f"{shown} of {rows.height:,}; -o writes all" if rows.height > shown else None
    grid = Grid(title=Text(title, style=STYLES.get(action or "", "")), title_justify="left",
                caption=caption, expand=True)  # fmt: skip
    bases = ", ".join(sorted(rows["money_basis"].drop_nulls().unique()))
    grid.add_column(who, no_wrap=True, ratio=1)
    for name in ("Amount", "By", "Money"):
        header = f"Money at\n{bases}" if name == "Money" and bases else name
        grid.add_column(header, justify="right", no_wrap=name != "Money")
    grid.add_column("Why", ratio=2)
    for row in rows.head(shown).iter_rows(named=True):
        grid.add_row(
            Text(str(row[what])),
            "" if row["amount"] is None else f"{row['amount']:,.0f}",
            "" if row["date"] is None else f"{row['date']:%-d %b %Y}",
            "" if row["money"] is None else f"{row['money']:,.0f}",
            Text(row["reason"] or ""),
        )
    out.print(grid)
    out.print()


def _show_rows(found: Any, rows: Any) -> None:
    """Rows that are no decisions, such as suppliers: their first columns."""
    from shelfwise.insights.sections import QUESTIONS

    columns = [column for column in found.columns if not rows[column.name].is_null().all()][:8]
    caption = f"{SHOWN} of {rows.height:,}; -o writes all" if rows.height > SHOWN else None
    grid = Grid(title=QUESTIONS[found.name].asks, title_justify="left", caption=caption)
    for column in columns:
        number = column.kind.is_numeric()
        grid.add_column(column.name.replace("_", " "), justify="right" if number else "left")
    for row in rows.head(SHOWN).iter_rows(named=True):
        grid.add_row(*(_cell(row[column.name]) for column in columns))
    out.print(grid)


def _cell(value: Any) -> Text:
    if value is None:
        return Text("")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, int):
        return Text(f"{value:,}")
    if isinstance(value, float):
        return Text(f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}")
    return Text(str(value))


def _show_beside(found: Any) -> None:
    """The figures of the whole, what is withheld, and what the numbers rest on."""
    for name, value in found.summary.items():
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            value = ", ".join(value)
        if isinstance(value, int | float | str):
            out.print(f"{name.replace('_', ' ').capitalize()}: {_cell(value)}", markup=False)
    for one in found.withheld:
        err.print(f"Not told: {one}", markup=False)
    for assumption in found.assumptions:
        err.print(f"Assumed: {assumption}", markup=False)
