"""Rows opened under our names, and order lines checked one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from shelfwise.cells import Rejection
from shelfwise.columns import LINES, Column, resolve
from shelfwise.engines import files, frames, spark, urls
from shelfwise.engines.frames import Engine
from shelfwise.errors import InputError, Problem, RejectedRowsError, excerpt
from shelfwise.pipeline.aggregate import valued
from shelfwise.pipeline.check import EXAMINED, explain, is_bad, number_of, refuse_kinds
from shelfwise.rules import Mark, Rules

LINE = {column.name: column for column in LINES}
UNREADABLE_KEPT = 1_000
"""Reasons kept in memory; all unreadable lines are counted."""


def opened(
    source: Any,
    mapping: Mapping[str, str] | None,
    contract: Sequence[Column],
    engine: Engine | None = None,
) -> Any:
    """The source as a Narwhals frame with our names, and our columns only."""
    if isinstance(source, str | Path):
        source = _opened(source, engine)
    elif isinstance(source, Sequence) and not isinstance(source, bytes):
        source = _of_dicts(source)
    if isinstance(source, pl.LazyFrame) and engine is None:
        # Read in parts by each pass, so that the lines may be more than memory holds.
        frame: Any = nw.from_native(source)
    else:
        frame = frames.open_frame(source, engine if engine == "spark" else None).frame
    theirs = frame.collect_schema().names()
    renaming, _ = resolve(theirs, mapping, tuple(contract))
    known = {column.name for column in contract}
    names = {t: renaming.get(t, t) for t in theirs if renaming.get(t, t) in known}
    if not names:
        some = ", ".join(map(excerpt, map(str, theirs[:10])))
        raise InputError(
            f"No column is known here: {some}.",
            f"It may have {', '.join(column.name for column in contract)}.",
        )
    opened = frame.select(*(nw.col(theirs).alias(ours) for theirs, ours in names.items()))
    if isinstance(opened, nw.DataFrame):
        # Products come back in Polars, so rows of pandas and PyArrow are counted there too.
        opened = nw.from_native(frames.plain_text(opened).to_polars())
    schema = opened.collect_schema()
    kinds = {column.name: column.kind for column in contract}
    texts = {n: _text(n, dtype) for n, dtype in schema.items() if kinds[n] == "text"}
    texts = {n: text for n, text in texts.items() if text is not None}
    return opened.with_columns(**texts) if texts else opened


def _of_dicts(rows: Sequence[Any]) -> pl.DataFrame:
    if not rows:
        raise InputError("There are no rows.", "Give at least one.")
    odd = next((n for n, row in enumerate(rows, 1) if not isinstance(row, Mapping)), None)
    if odd:
        raise InputError(
            f"Row {odd} is {excerpt(rows[odd - 1])}, no dict.", "Give a list of dicts."
        )
    try:
        return pl.DataFrame(rows, infer_schema_length=None, strict=False)
    except pl.exceptions.ComputeError as error:
        raise InputError(
            f"The rows differ in kind: {str(error).partition(';')[0]}.",
            "Write a column in one way: all dates as date, or all as text.",
        ) from error


def _text(name: str, dtype: Any) -> Any:
    """A column of numbers or of categories as text; None where it is text, or cannot be."""
    value = nw.col(name)
    if dtype == nw.String or not (dtype.is_numeric() or dtype in (nw.Categorical, nw.Enum)):
        return None
    if not dtype.is_float():
        return value.cast(nw.String)
    # 101.0 is how a frame holds the number 101 where others are missing.
    whole = (value == value.floor()) & (value.abs() < 2.0**53)
    number = nw.when(whole).then(value).cast(nw.Int64).cast(nw.String)
    return nw.when(whole).then(number).otherwise(value.cast(nw.String))


def _opened(source: str | Path, engine: Engine | None) -> Any:
    if engine == "spark":
        return spark.read(source)
    return urls.open_url(str(source)) if urls.is_url(source) else files.open_many(source)


def named_columns(source: str | Path, engine: Engine | None) -> list[str]:
    """The columns of a file, a folder, a pattern or a table by URL, before it is read."""
    return list(nw.from_native(_opened(source, engine)).collect_schema())


def contract_of(names: Sequence[str]) -> dict[str, Column]:
    """The columns of the lines, with the price required where there is no total."""
    absent = [column.name for column in LINES if column.required and column.name not in names]
    if absent or not {"unit_price", "line_total"} & set(names):
        missing = ", ".join([*absent, *([] if absent else ["unit_price (or line_total)"])])
        raise InputError(
            f"Missing column: {missing}.",
            "Rename yours, or map it: columns={'theirs': 'ours'}, --map theirs=ours.",
        )
    # Texts are judged once a product, not once a line: see `_identified`.
    judged = ("number", "date", "id")
    wanted = {name: LINE[name] for name in LINE if name in names and LINE[name].kind in judged}
    alone = {"unit_price", "line_total"} & set(names)
    if len(alone) == 1:
        (price,) = alone
        wanted[price] = replace(wanted[price], required=True)
    return wanted


@dataclass(frozen=True, slots=True)
class Readable:
    """The lines that keep the contract, valued; how many there are; and what the others lack.

    `marks` are those that some line has: what no line has need not be summed up.
    """

    lines: Any
    marks: list[Mark]
    total: int
    unreadable: int
    problems: list[Rejection]


def readable(
    frame: Any, contract: dict[str, Column], marks: Sequence[Mark], rules: Rules
) -> Readable:
    """One look at all lines: which can be read, with numbers as floats, and which marks occur."""
    if isinstance(frame, nw.DataFrame):
        frame = frame.with_row_index("_row")
    schema = frame.collect_schema()
    refuse_kinds(contract, schema)
    bad = nw.lit(False)
    for name, column in contract.items():
        absent = nw.col(name).is_null()
        bad = bad | (absent if column.kind == "id" else is_bad(column, schema[name]))
    if {"unit_price", "line_total"} <= contract.keys():
        prices = [number_of(n, schema[n]).is_null() for n in ("unit_price", "line_total")]
        bad = bad | (prices[0] & prices[1])
    frame = frame.with_columns(_bad=bad)
    numbers = {
        name: number_of(name, schema[name])
        for name, column in contract.items()
        if column.kind == "number"
    }
    lines = valued(frame.with_columns(**numbers))
    hits: dict[str, Any] = {f"_hits_{mark.name}": mark.may_be(rules) for mark in marks}
    found = collected(
        lines.select(
            n=nw.len(),
            bad=nw.when(nw.col("_bad")).then(1.0).otherwise(0.0).sum(),
            **{n: nw.when(hit).then(1.0).otherwise(0.0).sum() for n, hit in hits.items()},
        )
    ).row(0, named=True)
    total, unreadable = int(found["n"]), int(found["bad"] or 0)
    if not total:
        raise InputError("There are no order lines.", "Give at least one.")
    problems: list[Rejection] = []
    if unreadable:
        problems = explain(frame, contract, schema, most=UNREADABLE_KEPT)
        problems = problems or [Rejection(None, "unit_price", None, "no price and no total")]
        lines = lines.filter(~nw.col("_bad"))
    # A line that cannot be read may have a mark too: then it is summed up in vain, once.
    occurring = [mark for mark in marks if found[f"_hits_{mark.name}"]]
    return Readable(lines.drop("_bad"), occurring, total, unreadable, problems)


def refuse_above(share: float, total: int, unreadable: int, problems: Sequence[Rejection]) -> None:
    """RejectedRowsError where more than a share of the lines cannot be read, or all."""
    if unreadable and (unreadable == total or unreadable > share * total):
        raise RejectedRowsError(
            f"{unreadable:,} of {total:,} lines cannot be read: {unreadable / total:.2%}, more "
            f"than the {share:.2%} allowed. First: {problems[0].reason}.",
            "Mend them, or allow more with max_rejected (--max-rejected).",
            tuple(Problem(p.pointer, p.reason) for p in problems[:50]),
            unreadable,
        )


def held(sums: Any) -> tuple[Any, Any]:
    """The sums of products in memory; or kept on Spark where they are too many for that.

    With what keeps them there, which must live as long as they are read.
    """
    if isinstance(sums, nw.LazyFrame) and frames.is_spark(sums):
        keeper = frames.keeper(sums)
        sums = keeper.compute_once(sums)
        if int(collected(sums.select(n=nw.len())).item()) > EXAMINED:
            return sums, keeper
    return nw.from_native(collected(sums), eager_only=True), None


def beside(products: Any, frame: Any) -> Any:
    """A frame brought to where the products are."""
    if isinstance(products, nw.DataFrame):
        return nw.from_native(collected(frame), eager_only=True)
    if isinstance(frame, nw.LazyFrame) and frames.is_spark(frame):
        return frame
    return frames.open_frame(collected(frame), "spark").frame


def collected(frame: Any) -> pl.DataFrame:
    """The rows in memory."""
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, nw.LazyFrame):
        in_parts = {"engine": "streaming"} if frame.implementation.is_polars() else {}
        frame = frame.collect(backend="polars", **in_parts)
    native = frame.to_native()
    return native if isinstance(native, pl.DataFrame) else frame.to_polars()
