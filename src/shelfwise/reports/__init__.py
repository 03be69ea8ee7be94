"""Reports: one `Report` of an analysis or a run, drawn as PDF, as a web page and as a workbook.

analysis or run -> material -> report (cover, sections) -> pdf | html | xlsx
"""

from typing import TYPE_CHECKING, Any

from shelfwise.errors import InputError, excerpt
from shelfwise.reports.making import digest, of_material
from shelfwise.reports.material import Material, of_analysis, prepare
from shelfwise.reports.material import of_run as material_of_run
from shelfwise.reports.report import Report
from shelfwise.reports.supplier import of_supplier
from shelfwise.texts import counting

if TYPE_CHECKING:
    from shelfwise.analysis import Analysis
    from shelfwise.formats import Formats
    from shelfwise.store import Store
    from shelfwise.store.run import Run

__all__ = ["FORMATS", "Material", "Report", "digest", "of_run", "prepare", "render", "report"]

FORMATS = {
    "pdf": "application/pdf",
    "html": "text/html; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""The formats of a report, and what they are called over HTTP."""


def report(
    analysis: "Analysis", before: "Analysis | None" = None, *, supplier: str | None = None,
    **known: Any,
) -> Report:  # fmt: skip
    """The report on an analysis.

    Args:
        analysis: What `analyze` gave.
        before: An analysis of a period as long, to tell what changed.
        supplier: One page about this supplier instead.
        known: What else is known: see `reports.material.of_analysis`.

    Example:
        >>> from shelfwise import analyze
        >>> made = report(analyze([
        ...     {"product_id": 1, "name": "Lamp", "price": 20.0, "units_sold": 9, "stock": 1},
        ...     {"product_id": 2, "name": "Mug", "price": 5.0, "units_sold": 2, "stock": 80},
        ... ], period=30), name="Shop")
        >>> made.title, made.sections[0].finding
        ('Shop', '50% of products earn 95% of the revenue')
    """
    return _about(of_analysis(analysis, before=before, **known), supplier)


def of_run(
    store: "Store", run: "Run", *, supplier: str | None = None, formats: "Formats | None" = None
) -> Report:
    """The report on a run that is kept, with what was made of it and what people answered.

    Args:
        store: Where the run is kept.
        run: The run; `prepare` makes of it what nobody has made.
        supplier: One page about this supplier instead.
        formats: How numbers are written.

    Raises:
        NotFoundError: There is no such supplier.
    """
    return _about(material_of_run(store, run, formats=formats), supplier)


def _about(material: Material, supplier: str | None) -> Report:
    with counting(material.formats.count):
        return of_material(material) if supplier is None else of_supplier(material, supplier)


def render(report: Report, format: str) -> bytes:
    """The report in one of the `FORMATS`; InputError for another one."""
    with counting(report.formats.count):
        if format == "pdf":
            from shelfwise.reports.pdf import pdf

            return pdf(report)
        if format == "html":
            from shelfwise.reports.web import html

            return html(report)
        if format == "xlsx":
            from shelfwise.reports.workbook import xlsx

            return xlsx(report)
    raise InputError(f"A report is no {excerpt(format)}.", f"It is {', '.join(FORMATS)}.")
