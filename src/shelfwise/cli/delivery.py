"""Where a result goes, and what it is written as: the screen, a file, tables."""

import json
from collections.abc import Collection
from datetime import date
from typing import Annotated, Any

import typer
from rich.markup import escape

from shelfwise.cli.screen import err, out
from shelfwise.engines.failures import masked

ModeOption = Annotated[
    str, typer.Option(help="For a table that is there: error, overwrite or append.")
]
TABLES = "tables"
SPARK = "spark"
"""Kinds of output that are no file's: tables of a database or of Spark; files by Spark."""


def kind_of_output(output: str | None, format: str | None, mode: str = "error") -> str:
    """What is written: table for the screen, a kind of file, or `tables` of a database."""
    from shelfwise.engines import databases, files, urls
    from shelfwise.engines import output as outputs

    _known_mode(mode)
    if databases.is_table(output):
        if format:
            raise typer.BadParameter("--format goes with a file, not with a table of a database.")
        return TABLES
    if mode != "error":
        raise typer.BadParameter(
            "--mode goes with a table as output; a file is always written anew."
        )
    if urls.is_url(output):
        urls.refuse_unknown(str(output))
    known = ("table", *outputs.KINDS)
    if format is None:
        if output is None:
            return "table"
        kind = "csv" if output == "-" else files.kind_of(urls.path_of(output))
    else:
        kind = format
    if kind not in known:
        raise typer.BadParameter(f"{kind!r} cannot be written; known: {', '.join(known)}.")
    if kind == "table" and output:
        raise typer.BadParameter("A table is for the screen; leave -o out, or choose csv.")
    return kind


def _known_mode(mode: str) -> None:
    from shelfwise.engines.databases import MODES

    if mode not in MODES:
        raise typer.BadParameter(f"--mode {mode}: write one of {', '.join(MODES)}.")


def kind_on_spark(output: str | None, format: str | None, mode: str) -> str:
    """The same where Spark computes: it writes tables of its own, and folders of files."""
    from shelfwise.engines import databases, files, spark, urls

    _known_mode(mode)
    if output in (None, "-") or format is not None:
        return kind_of_output(output, format, mode)
    if spark.is_table(str(output)):
        return TABLES
    if databases.is_table(output):
        raise typer.BadParameter(
            "Spark writes its own tables, and files; a database is written with --engine duckdb."
        )
    kind = files.kind_of(urls.path_of(str(output)))
    if kind not in spark.KINDS:
        raise typer.BadParameter(f"Spark writes {', '.join(spark.KINDS)}, not {kind}.")
    return SPARK


Inputs = Collection[str | None]


def check_rows(output: str | None, kind: str, mode: str, inputs: Inputs = ()) -> None:
    """Refuse, before anything is computed, a place where `deliver_rows` could not write.

    Neither may it be one of the inputs.
    """
    _check(output, kind, mode, inputs, [""])


def check_analysis(output: str | None, kind: str, mode: str, inputs: Inputs) -> None:
    """The same for `deliver`, which writes three tables; on Spark it starts Spark."""
    from shelfwise import tables

    _check(output, kind, mode, inputs, tables.SUFFIXES, tables.KEYS)


def _check(
    target: str | None,
    kind: str,
    mode: str,
    inputs: Inputs,
    tables: Collection[str],
    needs: Collection[str] = (),
) -> None:
    from shelfwise.engines import databases, output, spark

    if kind == "table" or target is None:
        return
    if databases.is_table(target):
        databases.check_target(target, tables, mode, needs)
    elif kind in (TABLES, SPARK):
        spark.check_target(target, tables, mode)
    else:
        output.check(target, [name for name in inputs if name])


def deliver(analysis: Any, target: str, kind: str, mode: str, day: date | None) -> None:
    """Write the products to where they go, as `kind_of_output` or `kind_on_spark` said."""
    from shelfwise import tables
    from shelfwise.engines import files, output, spark, urls

    if kind == TABLES:
        run = tables.write(analysis, target, mode, day)  # type: ignore[arg-type]  # Checked above.
        name = urls.path_of(target).name
        err.print(f"Run {run.run_id} of {run.as_of} stands in {name}, {name}_rejected and "
                  f"{name}_quality.", markup=False, soft_wrap=True)  # fmt: skip
    elif kind == SPARK:
        spark.write(analysis.products, target, mode, files.kind_of(urls.path_of(target)))
    elif kind == "json":
        from shelfwise import answer

        output.put(b"".join([*answer.encode(analysis), b"\n"]), target)
    else:
        output.write(spark.in_memory(analysis.products), target, kind)


def deliver_rows(
    rows: Any, target: str | None, kind: str, mode: str, text: str | None = None
) -> None:
    """Write a Polars frame to where it goes, as `kind_of_output` said; as JSON the `text`."""
    from shelfwise.engines import databases, output

    if kind == "table":
        return
    if kind == TABLES:
        databases.write_tables({"": rows}, str(target), mode)  # type: ignore[arg-type]
    elif kind == "json":
        output.put((text or rows.write_json()).encode() + b"\n", target or "-")
    else:
        output.write(rows, target or "-", kind)
    if target and target != "-":
        out.print(f"Wrote {rows.height:,} rows to {escape(masked(target))}.")


def put_report(analysis: Any, target: str | None, kind: str) -> str | None:
    """The data-quality report of order lines beside the file; JSON and tables hold it already."""
    from shelfwise.engines import output, urls

    if analysis.quality is None or target in (None, "-") or kind in ("table", "json", TABLES):
        return None
    if kind == SPARK and "://" in str(target):
        return None  # Stores that only Spark knows.
    path = urls.beside(str(target), ".quality.json")
    text = json.dumps(analysis.quality.to_dict(), indent=2, default=str, ensure_ascii=False)
    output.put(text.encode() + b"\n", path)
    return path
