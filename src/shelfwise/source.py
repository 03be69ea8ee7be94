"""Any source of products, opened, matched to the contract and checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.cells import OnError, Rejection
from shelfwise.columns import COLUMN, contract, resolve
from shelfwise.engines import decode, files, frames, records, spark, urls
from shelfwise.engines.columnwise import Values
from shelfwise.engines.failures import Stamp
from shelfwise.engines.frames import Engine
from shelfwise.errors import InputError, excerpt
from shelfwise.metrics import is_result
from shelfwise.notices import Notice
from shelfwise.pipeline.check import check
from shelfwise.pipeline.table import Arrays, Frame, Table
from shelfwise.pipeline.tier import GROUP
from shelfwise.profile import Profile
from shelfwise.sales import Sold


@dataclass
class Source:
    """Checked products: a table to compute with, and the rows to give back.

    The rows are an in-memory `frame`, or lists `given` as they came in JSON, or, on an
    engine, the table itself (`names` are then its input columns).
    """

    table: Table
    frame: nw.DataFrame[Any] | None = None
    given: Mapping[str, Values] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    give_back: Callable[[Any], Any] = lambda native: native
    rejected: list[Rejection] = field(default_factory=list)
    rejected_rows: int = 0
    notices: list[Notice] = field(default_factory=list)
    sold: Sold | None = None
    read_from: tuple[Any, Stamp] = (None, {})


def open_source(
    source: Any,
    profile: Profile,
    *,
    mapping: Mapping[str, str] | None = None,
    on_error: OnError = "reject",
    engine: Engine | None = None,
    group_by: str | None = None,
) -> Source:
    """Open what the user gave: a path, a frame, or a list of dicts."""
    supposed: list[str] = []
    if isinstance(source, str | Path):
        source, supposed = _open_path(source, engine)
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        return _from_rows(source, profile, mapping, on_error, engine, group_by)
    opened = frames.open_frame(source, engine)
    frame = opened.frame
    theirs = frame.collect_schema().names()
    renaming, found = resolve(theirs, mapping)
    notices = _supposed(supposed) + _renamed(found)
    aside = _aside(theirs, renaming)
    notices += _stepped_aside(aside)
    names_now = aside | {t: o for t, o in renaming.items() if t != o}
    frame = frame.rename(names_now) if names_now else frame
    names = frame.collect_schema().names()
    group_by = names_now.get(group_by, group_by) if group_by else None
    wanted = contract(names, profile.needs, profile.zero_price)
    _group_known(group_by, names)
    if isinstance(frame, nw.LazyFrame):
        # What the contract does not know keeps out of the way of our own names.
        unknown = {name: f"given {name}" for name in names if name not in wanted}
        checked = check(frame.rename(unknown) if unknown else frame, wanted, on_error)
        lazy = _computable(checked.frame, names, group_by)
        result = Source(Frame(lazy, checked.height, frames.keeper(lazy)), names=tuple(names))
    else:
        extra = [group_by] if group_by and group_by not in wanted else []
        checked = check(frames.plain_text(frame.select(*wanted, *extra)), wanted, on_error)
        good = checked.frame
        assert isinstance(good, nw.DataFrame)
        result = Source(
            _arrays(good, group_by),
            frame=_typed_rows(frame, good, list(wanted), checked.repaired),
            give_back=opened.give_back,
        )
    result.rejected, result.rejected_rows = checked.rejected, checked.rejected_rows
    result.notices = notices + _noted(checked.repaired, checked.rejected_rows)
    return result


def from_records(found: records.Records, group_by: str | None = None) -> Source:
    """A source from rows that `records` has read."""
    table = Arrays(found.numbers)
    if group_by:
        _group_known(group_by, [*found.given, *found.extra])
        values = {**found.given, **found.extra}[group_by]
        table = table.with_columns({GROUP: _codes(["" if v is None else str(v) for v in values])})
    return Source(
        table,
        given={**found.given, **found.extra},
        rejected=found.rejected,
        rejected_rows=found.rejected_rows,
        notices=_noted(found.repaired, found.rejected_rows),
    )


def given_frame(source: Source) -> pl.DataFrame:
    """The rows that came as JSON, as a Polars frame."""
    return pl.DataFrame([series(name, values) for name, values in source.given.items()])


def series(name: str, values: Values) -> pl.Series:
    """A list of Python values as a column; a mixture of text and numbers becomes text."""
    if isinstance(values, pl.Series):
        return values.alias(name)
    if not set(map(type, values)) - {type(None)} <= {str}:
        values = [_plain(value) for value in values]
    if name in COLUMN and COLUMN[name].kind == "id" and len(set(map(type, values))) > 1:
        values = [str(value) for value in values]
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        kinds = set(map(type, values)) - {type(None)}
        if kinds <= {int, float}:
            return pl.Series(name, values, strict=False)
        # A mixture of kinds fits no column: each value stands as its JSON.
        texts = [
            None if v is None else msgspec.json.encode(v, enc_hook=str).decode() for v in values
        ]
        return pl.Series(name, texts)


def _plain(value: Any) -> Any:
    """A value as Python has it: None for what is missing, numpy's own and decimals as numbers."""
    if frames.is_missing(value):
        return None
    if isinstance(value, np.generic):
        return value.item()
    return float(value) if isinstance(value, Decimal) else value


def _open_path(source: str | Path, engine: Engine | None) -> tuple[Any, list[str]]:
    """What a path holds, and what was supposed in reading it."""
    if engine == "spark":
        return spark.read(source), []
    if urls.is_url(source):
        relation = urls.open_url(str(source))
        return relation if engine == "duckdb" else files.collect(relation, str(source)), []
    path = Path(source)
    if str(path) == "-":
        return _from_input(files.read_bytes(path))
    if files.names_many(path):
        return _open_many(path, engine)
    kind = files.kind_of(path)
    if kind in ("json", "ndjson"):
        return decode.rows_of(files.read_bytes(path), lines=kind == "ndjson"), []
    if kind in ("arrow", "xlsx"):
        return files.read_frame(path, kind), []
    relation = files.open_relation(path, kind, keep=engine == "duckdb")
    supposed = files.guessed(path) if kind == "csv" else []
    return relation if engine == "duckdb" else files.collect(relation, path), supposed


def _open_many(path: Path, engine: Engine | None) -> tuple[Any, list[str]]:
    """All files of a folder, or those that a pattern fits, one after the other."""
    first = files.expanded(path)[0]
    opened = files.open_many(path, keep=engine == "duckdb")
    supposed = files.guessed(first) if files.kind_of(first) == "csv" else []
    in_memory = engine == "duckdb" or isinstance(opened, pl.DataFrame)
    return opened if in_memory else files.collect(opened, path), supposed


def _from_input(body: bytes) -> tuple[Any, list[str]]:
    """Standard input: a JSON array, JSON lines, or else CSV."""
    first = body.removeprefix(decode.BOM).lstrip()[:1]
    if first in (b"[", b"{", b""):
        return decode.rows_of(body, lines=first == b"{"), []
    return files.parse_csv(body)


def _from_rows(
    rows: Sequence[Any],
    profile: Profile,
    mapping: Mapping[str, str] | None,
    on_error: OnError,
    engine: Engine | None,
    group_by: str | None,
) -> Source:
    keys = dict.fromkeys(key for row in rows if isinstance(row, dict) for key in row)
    if odd := next((key for key in keys if not isinstance(key, str)), None):
        raise InputError(f"A key of the rows is {excerpt(odd)}.", "Keys are text.")
    renaming, found = resolve(list(keys), mapping)
    aside = _aside(list(keys), renaming)
    names = aside | renaming
    if names:
        rows = records.renamed(names, rows)
    group_by = names.get(group_by, group_by) if group_by else None
    read = records.read_rows(
        rows,
        needs=profile.needs,
        zero_price=profile.zero_price,
        on_error=on_error,
        keep_extra=True,
        stock_optional=True,
    )
    source = from_records(read, group_by)
    source.notices = _renamed(found) + _stepped_aside(aside) + source.notices
    if engine not in ("duckdb", "spark"):
        return source
    frame = given_frame(source)
    if "_oversold" in source.table.columns:
        frame = frame.with_columns(_oversold=pl.Series(source.table.columns["_oversold"]))
    lazy = open_source(frame, profile, engine=engine, group_by=group_by)
    lazy.names = tuple(name for name in lazy.names if name in source.given)
    if "_oversold" in source.table.columns:
        lazy.table = lazy.table.with_columns({"_oversold": nw.col("given _oversold")})
    lazy.rejected, lazy.rejected_rows = source.rejected, source.rejected_rows
    lazy.notices = source.notices
    return lazy


def _arrays(good: nw.DataFrame[Any], group_by: str | None) -> Arrays:
    names = [
        n
        for n, dtype in good.collect_schema().items()
        if n == "_oversold" or (n in COLUMN and COLUMN[n].kind == "number")
    ]
    table = Arrays(frames.numbers(good, names))
    if group_by:
        values = good[group_by].cast(nw.String).fill_null("")
        table = table.with_columns({GROUP: _codes(values.to_list())})
    return table


def _codes(values: list[str]) -> NDArray[np.int64]:
    """Each text as its place among the distinct ones, first come first counted."""
    places: dict[str, int] = {}
    return np.array([places.setdefault(value, len(places)) for value in values], np.int64)


def _computable(
    frame: nw.LazyFrame[Any], names: list[str], group_by: str | None
) -> nw.LazyFrame[Any]:
    """The rows twice: as `given ...`, to give back, and as floats, to compute with.

    The names of the computation can thus never meet a column of the user's.
    """
    schema = frame.collect_schema()
    known = [name for name in names if name in schema]
    given = [nw.col(name).alias(f"given {name}") for name in known]
    given += [nw.col(f"given {name}") for name in names if name not in schema]
    numeric = [name for name in names if name in COLUMN and COLUMN[name].kind == "number"]
    floats = [
        nw.when(~nw.col(name).cast(nw.Float64).is_nan())
        .then(nw.col(name).cast(nw.Float64))
        .alias(name)
        for name in numeric
    ]
    marks = [nw.col("_oversold")] if "_oversold" in schema else []
    groups = []
    if group_by:
        place = group_by if group_by in schema else f"given {group_by}"
        groups = [nw.col(place).cast(nw.String).fill_null("").alias(GROUP)]
    return frame.select(*given, *floats, *marks, *groups)


def _typed_rows(
    frame: nw.DataFrame[Any],
    good: nw.DataFrame[Any],
    wanted: list[str],
    repaired: Mapping[str, int],
) -> nw.DataFrame[Any]:
    """The rows that were kept, every column of theirs, ours as the check typed them."""
    if len(good) < len(frame):
        frame = frame[good["_row"].to_list(), :]
    before, after = frame.collect_schema(), good.collect_schema()
    changed = [n for n in wanted if after[n] != before[n] or n in repaired]
    return frame.with_columns(*(good[n] for n in changed)) if changed else frame


def _aside(theirs: Sequence[str], renaming: Mapping[str, str]) -> dict[str, str]:
    """Their columns whose name is taken: by a mapped column, or by one of our results.

    Case does not count, because engines do not tell names apart by it.
    """
    ours = {name.casefold() for name in (*renaming.values(), *(t for t in theirs if t in COLUMN))}
    blocked = [
        name
        for name in theirs
        if name not in renaming
        and (is_result(name.casefold()) or (name.casefold() in ours and not _stays(name, renaming)))
    ]
    free = {name: f"{name}_given" for name in blocked}
    if taken := set(free.values()) & set(theirs):
        raise InputError(f"The data has both {', '.join(blocked)} and {', '.join(sorted(taken))}.")
    return free


def _stays(name: str, renaming: Mapping[str, str]) -> bool:
    return name in COLUMN and name not in renaming.values()


def _supposed(supposed: Sequence[str]) -> list[Notice]:
    if not supposed:
        return []
    return [
        Notice(
            "csv_read_as",
            f"The CSV was read with {' and '.join(supposed)}.",
            "Save it as UTF-8 with commas if that is wrong.",
        )
    ]


def _stepped_aside(aside: Mapping[str, str]) -> list[Notice]:
    if not aside:
        return []
    listed = ", ".join(f"{theirs!r} is now {new!r}" for theirs, new in aside.items())
    return [Notice("column_set_aside", f"Columns whose names we need were renamed: {listed}.")]


def _renamed(found: Mapping[str, str]) -> list[Notice]:
    if not found:
        return []
    pairs = ", ".join(f"{theirs!r} as {ours}" for theirs, ours in found.items())
    return [Notice("columns_matched", f"Read {pairs}.", "Map columns explicitly to be sure.")]


def _noted(repaired: Mapping[str, int], rejected_rows: int) -> list[Notice]:
    notices = []
    if repaired:
        parts = ", ".join(f"{name} in {count:,}" for name, count in repaired.items())
        notices.append(Notice("repaired", f"Values were put right: {parts} rows."))
    if rejected_rows:
        notices.append(
            Notice(
                "rows_skipped",
                f"{rejected_rows:,} rows were not scored.",
                "`rejected` says which and why.",
            )
        )
    return notices


def _group_known(group_by: str | None, names: Sequence[str]) -> None:
    if group_by is not None and group_by not in names:
        raise InputError(
            f"There is no column {group_by!r} to group by.",
            f"The data has {', '.join(map(str, names[:30]))}.",
        )
