"""The command that writes a report: PDF, a web page, or a workbook."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from shelfwise.cli.keeping import store, whole_id
from shelfwise.cli.opinions import day_of
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
from shelfwise.cli.screen import busy, out
from shelfwise.engines.failures import masked

KINDS = ("pdf", "html", "xlsx")
"""Names of `reports.FORMATS`, which loads an engine."""
RUN = re.compile(r"latest|[0-9a-f]{6,22}")


def report(
    what: Annotated[
        str | None,
        typer.Argument(help="A run that is kept (latest, or its id), or a file of products."),
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", help="The report: .pdf, .html or .xlsx.")
    ] = "report.pdf",
    format: Annotated[
        str | None, typer.Option(help="pdf, html or xlsx; by -o's ending without.")
    ] = None,
    supplier: Annotated[
        str | None, typer.Option(help="One page about this supplier instead.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="The run to compare a run with; the most alike before it without."),
    ] = None,
    before: Annotated[
        str | None, typer.Option(help="The file of products to compare a file with.")
    ] = None,
    sales: Annotated[
        str | None, typer.Option(help="Order lines: a file, a folder, or a 'pattern*'.")
    ] = None,
    catalog: CatalogOption = None,
    stock: StockOption = None,
    receipts: Annotated[
        str | None, typer.Option(help="Receipts of deliveries, for suppliers.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="What the report is called.")] = None,
    profile: ProfileOption = "standard",
    period_days: Annotated[float | None, typer.Option(help="Days that the sales cover.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="The day that dates are counted from, 2026-03-31.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="ISO 4217 code of money whose products name none: EUR.")
    ] = None,
    locale: Annotated[str | None, typer.Option(help="How numbers are written: de_DE.")] = None,
    on_error: ErrorOption = "reject",
    mapping: MapOption = None,
    first: FirstOption = None,
    last: LastOption = None,
    dates: DatesOption = None,
    rules: RulesOption = None,
    max_rejected: RejectedOption = "1%",
) -> None:
    """Write a report for people: what earns, what to do, what changed, and how sure that is."""
    kind = _kind(output, format)
    is_run = sales is None and what is not None and _is_run(what)
    if (what is None) == (sales is None):
        raise typer.BadParameter("Give a run or a file of products, or --sales.")
    scored = {"--profile": profile != "standard", "--on-error": on_error != "reject",
              "--map": mapping, "--as-of": as_of, "--receipts": receipts}  # fmt: skip
    snapshot = {"--before": before, "--period-days": period_days}
    lines = {"--catalog": catalog, "--stock": stock, "--from": first, "--to": last,
             "--dates": dates, "--rules": rules,
             "--max-rejected": max_rejected != "1%"}  # fmt: skip
    if is_run:
        _refuse(scored | snapshot | lines, "a file; a run has its own already")
    elif sales is None:
        _refuse(lines, "--sales")
    else:
        _refuse(snapshot, "a file of products; order lines have --from and --to")
    if since and not is_run:
        raise typer.BadParameter("--since goes with a run; --before with a file.")
    from shelfwise import reports
    from shelfwise.engines import files
    from shelfwise.engines import output as outputs

    outputs.check(output, [name for name in (what, sales, before, catalog, stock, receipts)
                           if name and not is_run])  # fmt: skip
    with busy(f"Writing a report on {masked(what or sales or '')}") as told:
        if is_run:
            made = _of_run(str(what), since, supplier, _formats(currency, locale), told)
        else:
            options: dict[str, Any] = {"mapping": mapping, "on_error": on_error,
                                       "period_days": period_days}  # fmt: skip
            counted = (mapping, catalog, stock, first, last, dates, rules, max_rejected)
            found = (
                score(what, profile, **options)
                if sales is None
                else score(sold(sales, **counting(*counted)), profile, on_error=on_error)
            )
            from shelfwise.insights import Evidence

            known: dict[str, Any] = {
                "source": str(what or sales), "formats": _formats(currency, locale),
                "evidence": Evidence.of(found, as_of=day_of("--as-of", as_of),
                                        period_days=period_days),
                "receipts": files.read_table(receipts) if receipts else None,
                "before": score(before, profile, **options)
                if before else None,
            }  # fmt: skip
            made = reports.report(found, supplier=supplier, **known)
        if title:
            import dataclasses

            made = dataclasses.replace(made, title=title)
        outputs.put(reports.render(made, kind), output)
    if output != "-":
        out.print(f"Wrote {escape(masked(output))}.")


def _refuse(options: Mapping[str, Any], where: str) -> None:
    """Refuse those that are given: what is not heeded must not look as if it were."""
    given = [name for name, value in options.items() if value]
    if given:
        goes = "goes" if len(given) == 1 else "go"
        raise typer.BadParameter(f"{' and '.join(given)} {goes} with {where}.")


def _kind(output: str, format: str | None) -> str:
    kind = format or ("pdf" if output == "-" else Path(output).suffix.removeprefix(".").lower())
    if kind not in KINDS:
        raise typer.BadParameter(
            f"{kind or output!r} is no report; write {', '.join(KINDS)}, as --format or as the "
            "ending of -o."
        )
    return kind


def _is_run(what: str) -> bool:
    """Whether it names a run; a file that is there is a file."""
    return bool(RUN.fullmatch(what)) and not Path(what).exists()


def _formats(currency: str | None, locale: str | None) -> Any:
    from shelfwise.formats import Formats
    from shelfwise.settings import load_settings

    given = {"SHELFWISE_CURRENCY": currency, "SHELFWISE_LOCALE": locale}
    settings = load_settings({**os.environ, **{name: value for name, value in given.items()
                                               if value}})  # fmt: skip
    return Formats(settings.locale, settings.currency)


def _of_run(run_id: str, since: str | None, supplier: str | None, formats: Any, told: Any) -> Any:
    from shelfwise import reports

    with store() as kept:
        run = kept.runs.get(whole_id(kept, run_id))
        other = kept.runs.get(whole_id(kept, since)) if since else None
        reports.prepare(kept, run, since=other, progress=told)
        return reports.of_run(kept, run, supplier=supplier, formats=formats)
