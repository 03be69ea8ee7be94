"""A report as one web page: no script, nothing loaded, light and dark."""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from shelfwise.charts import THEMES, Chart
from shelfwise.reports.report import Block, Column, Grid, Notes, Report, written
from shelfwise.texts import text

WIDTH = 760
"""Pixels of a chart."""


def html(report: Report) -> bytes:
    """The report as a page that stands by itself, in UTF-8."""
    page: str = _template().render(
        report=report, t=text, style=Markup(_style()), policy=policy(),  # It is ours.
        kind=_kind, rows=lambda grid: _rows(grid, report),
        pictures=lambda chart: _pictures(chart, report),
    )  # fmt: skip
    return page.encode()


@cache
def policy() -> str:
    """What the page may do: use its own style, and pictures that stand in it; nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; " \
           "form-action 'none'"  # fmt: skip


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("shelfwise.reports", "")
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined,
                        trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    return found.get_template("report.html")


@cache
def _style() -> str:
    return files("shelfwise.reports").joinpath("report.css").read_text("utf-8")


def _kind(block: Block) -> str:
    """Which part of the template draws a block."""
    if isinstance(block, Chart):
        return "chart"
    if isinstance(block, Grid):
        return "grid"
    return "notes" if isinstance(block, Notes) else "facts"


def _rows(grid: Grid, report: Report) -> list[list[tuple[str, Column]]]:
    """The cells as written, each with its column."""
    return [list(zip(row, grid.columns, strict=True)) for row in written(grid, report.formats)]


def _pictures(chart: Chart, report: Report) -> dict[str, str]:
    """The chart in light and dark, as addresses that have all of it."""
    light = chart.to_svg("light", width=WIDTH, formats=report.formats)
    # Drawing takes most of the time; only the colors differ.
    dark = _LIGHT.sub(lambda found: _DARK[found[0]], light)
    return {
        theme: "data:image/svg+xml;base64," + base64.b64encode(drawn.encode()).decode()
        for theme, drawn in (("light", light), ("dark", dark))
    }


_DARK = {color: THEMES["dark"][name] for name, color in THEMES["light"].items()}
_LIGHT = re.compile("|".join(map(re.escape, _DARK)))
