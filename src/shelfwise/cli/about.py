"""The commands that say what there is: columns and settings."""

import csv
import sys
from typing import Annotated

import typer
from rich.table import Table as Grid
from rich.text import Text

from shelfwise.cli.screen import out
from shelfwise.columns import COLUMNS
from shelfwise.settings import SETTINGS, load_settings


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


def settings() -> None:
    """The settings, their values and what they mean."""
    values = load_settings()
    grid = Grid("Variable", "Value", "Meaning")
    for setting in SETTINGS:
        value = getattr(values, setting.name)
        shown = ("set" if value else "not set") if setting.secret else str(value)
        grid.add_row(setting.variable, Text(shown), setting.help)
    out.print(grid)
