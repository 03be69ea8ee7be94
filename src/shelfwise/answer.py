"""The answer of `POST /product-analysis`: its shape, and its bytes.

`to_dict` and `encode` give the same answer. Small ones are encoded row by row from
structs; large ones as columns, which is several times faster.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.cells import Rejection, as_date
from shelfwise.columns import COLUMN
from shelfwise.engines import frames
from shelfwise.engines.columnwise import Values
from shelfwise.engines.decode import PLAIN_KEY, Huge
from shelfwise.engines.records import COLUMNAR_ROWS
from shelfwise.metrics import is_result
from shelfwise.model import Model
from shelfwise.pipeline.features import FLAGS, SHOWN, flags
from shelfwise.pipeline.table import Arrays, Frame
from shelfwise.pipeline.tier import LABELS
from shelfwise.pipeline.totals import ABC, abc_class, abc_cuts
from shelfwise.pipeline.unlock import units_to_reach

if TYPE_CHECKING:
    from shelfwise.analysis import Analysis

MONEY_DECIMALS, RATIO_DECIMALS = 2, 6
PART_ROWS = 10_000
_SCALARS = {int, float, str, bool, type(None)}
MAX_REJECTED = 1_000


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of few distinct values: codes, and what each code stands for."""

    codes: NDArray[np.int64]
    meanings: list[Any]

    def tolist(self) -> list[Any]:
        """The values themselves; equal ones are one object."""
        return [self.meanings[code] for code in self.codes.tolist()]

    def series(self, name: str) -> pl.Series:
        """The values as a column of few texts, or of lists of flags."""
        text = isinstance(self.meanings[0], str)
        kind = pl.Enum(self.meanings) if text else pl.List(pl.Enum(list(FLAGS)))
        return pl.Series(name, self.meanings, kind).gather(self.codes)


_TIER_TEXTS = [LABELS[code] for code in sorted(LABELS)]
_ABC_TEXTS = [ABC[code] for code in sorted(ABC)]


def to_dict(analysis: "Analysis", *, explain: bool, full: bool) -> dict[str, Any]:
    """The answer as plain values, in the order of the request."""
    given, table = _rows(analysis)
    columns = given | _results(table, analysis, explain=explain, full=full)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*_lists(columns), strict=True)]
    return {"status": "success", "data": rows} | _tail(analysis, full=full)


def encode(
    analysis: "Analysis",
    *,
    explain: bool = False,
    full: bool = False,
    more: Mapping[str, Any] | None = None,
) -> list[bytes] | Iterator[bytes]:
    """The same answer as JSON: in a list, or, if it is long, in parts made as they are sent.

    `more` are keys that follow all others.
    """
    given, table = _rows(analysis)
    results = _results(table, analysis, explain=explain, full=full)
    head = b'{"status":"success","data":['
    tail = b"]," + msgspec.json.encode(_tail(analysis, full=full) | dict(more or {}))[1:]
    if analysis.table.height >= COLUMNAR_ROWS and not explain:
        series = _series(given, results)
        if series is not None:
            parts = itertools.chain([head], _json_rows(*series), [tail])
            # What fits one part is sent with its length; only the longest answers are not.
            return parts if analysis.table.height > PART_ROWS else list(parts)
    columns = given | results
    make = _row_maker(tuple(columns))
    rows = [make(*values) for values in zip(*_lists(columns), strict=True)]
    return [head, _ENCODER.encode(rows)[1:-1], tail]


def numeric_inputs(names: Mapping[str, Any]) -> list[str]:
    """The columns of a row that metrics are computed from."""
    return [n for n in names if n in COLUMN and COLUMN[n].kind == "number" and names[n] is not None]


def percentile(rank: int, n: int) -> float | None:
    """The share of the other products that score no better, 0 to 100; None for one product."""
    return None if n < 2 else 100 * (n - rank) / (n - 1)


def text(value: Any) -> str | None:
    """A rejected value as short text."""
    shown = None if value is None else str(value)
    return shown if shown is None or len(shown) <= 100 else shown[:99] + "…"


def _rows(analysis: "Analysis") -> tuple[dict[str, Any], Arrays]:
    """The columns as they came, without names of results, and the ranked table.

    An engine gives rows in any order, so both come out of one collection.
    """
    source = analysis.source
    if isinstance(analysis.table, Frame):
        ranked = analysis.ranked
        assert isinstance(ranked, Frame)
        frame = ranked.frame.sort("rank", "given product_id").collect(backend="polars")
        given = {name: _plain(frame[f"given {name}"].to_list()) for name in source.names}
        numeric = [n for n, dtype in frame.collect_schema().items() if dtype.is_numeric()]
        table = Arrays({name: frame[name].to_numpy() for name in numeric})
    else:
        table = analysis.table.rank("_key", "rank")  # type: ignore[assignment]  # Arrays stay so
        given = {
            name: values if isinstance(values, pl.Series) else _plain(values)
            for name, values in source.given.items()
        }
        if source.frame is not None:
            columns = source.frame.columns
            given = {name: _plain(source.frame[name].to_list()) for name in columns}
    return {name: values for name, values in given.items() if not is_result(name)}, table


def _plain(values: Values) -> Values:
    """Values of a frame as JSON has them: dates as text, decimals as numbers, gaps as null."""
    kinds = set(map(type, values))
    plain = kinds <= _SCALARS and not (float in kinds and any(value != value for value in values))
    return values if plain else [_plain_value(value) for value in values]


def _plain_value(value: Any) -> Any:
    if frames.is_missing(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, str):
        return str(value)
    return value.isoformat() if as_date_like(value) else value


def as_date_like(value: Any) -> bool:
    """True for dates and times, which JSON writes as text."""
    return hasattr(value, "isoformat") and as_date(value) is not None


def _results(table: Arrays, analysis: "Analysis", *, explain: bool, full: bool) -> dict[str, Any]:
    """The computed columns: arrays of floats, or codes of what is no number."""
    columns = table.columns
    metrics = dict.fromkeys((*SHOWN, *(scale.metric for scale in analysis.model.scales)))
    results: dict[str, Any] = {}
    for name in metrics:
        decimals = analysis.profile.metric(name).decimals
        results[name] = (
            _rounded(columns[name], decimals, full) if name in columns else [None] * table.height
        )
    if "units_per_day" in columns:
        results["units_per_day"] = _rounded(columns["units_per_day"], RATIO_DECIMALS, full)
    results["performance_score"] = _rounded(columns["performance_score"], MONEY_DECIMALS, full)
    results["rank"] = columns["rank"]
    results["performance_tier"] = Coded(columns["performance_tier"], _TIER_TEXTS)
    results["cluster"] = Coded(columns["cluster"], _TIER_TEXTS)
    if "tier_in_group" in columns:
        results["score_in_group"] = _rounded(columns["score_in_group"], MONEY_DECIMALS, full)
        results["rank_in_group"] = columns["rank_in_group"]
        results["tier_in_group"] = Coded(columns["tier_in_group"], _TIER_TEXTS)
    results["flags"] = _flags(table)
    if explain:
        results |= _explained(table, analysis, full=full)
    return results


def _explained(table: Arrays, analysis: "Analysis", *, full: bool) -> dict[str, Any]:
    columns, n = table.columns, table.height
    names = [scale.metric for scale in analysis.model.scales]
    parts = [columns[f"contribution_{name}"].tolist() for name in names]
    more = units_to_reach(table, analysis.model)
    return {
        "contributions": [dict(zip(names, row, strict=True)) for row in zip(*parts, strict=True)],
        "percentile": [None] * n
        if n < 2
        else _rounded(100 * (n - columns["rank"]) / (n - 1), MONEY_DECIMALS, full),
        "abc_class": Coded(abc_class(columns["revenue"], abc_cuts(table)), _ABC_TEXTS),
        "to_high": [None if np.isnan(units) else units for units in more.tolist()],
    }


def _flags(table: Arrays) -> Coded:
    """The flags of each row, coded by one bit a flag."""
    marks = flags(table.columns)
    codes = np.zeros(table.height, np.int64)
    for bit, condition in enumerate(marks.values()):
        codes |= np.asarray(condition, np.int64) << bit
    sets = range(1 << len(marks))
    return Coded(codes, [[n for b, n in enumerate(marks) if value >> b & 1] for value in sets])


def _rounded(values: NDArray[np.float64], decimals: int, full: bool) -> NDArray[np.float64]:
    # Adding 0 turns a rounded -0.0 into 0.0.
    return values if full else np.round(values, decimals) + 0.0


def _lists(columns: Mapping[str, Any]) -> list[list[Any]]:
    return [
        v if isinstance(v, list) else list(v) if isinstance(v, pl.Series) else v.tolist()
        for v in columns.values()
    ]


@lru_cache(maxsize=64)
def _row_maker(keys: tuple[str, ...]) -> Callable[..., Any]:
    """What makes a row to encode of its values: a struct, or a dict for unusual keys."""
    if not all(PLAIN_KEY.fullmatch(key) for key in keys):
        return lambda *values: dict(zip(keys, values, strict=True))
    names = {f"f{i}": key for i, key in enumerate(keys)}
    return msgspec.defstruct("Row", [(name, Any) for name in names], rename=names, gc=False)


def _as_it_came(value: Any) -> msgspec.Raw:
    """A number that no float holds, given back in its own digits."""
    if isinstance(value, Huge):
        return msgspec.Raw(value.text.encode())
    raise NotImplementedError(f"{type(value)} cannot be encoded")


_ENCODER = msgspec.json.Encoder(enc_hook=_as_it_came)


def _series(
    given: Mapping[str, Values], results: Mapping[str, Any]
) -> tuple[pl.DataFrame, list[str]] | None:
    """The columns as a frame, and the keys that follow numbers to be mended (`_json_rows`).

    None where a column could not be given back as it came.
    """
    series, mend_before = [], []
    keys = [*given, *results]
    if not all(PLAIN_KEY.fullmatch(key) for key in keys):
        return None
    for place, (name, values) in enumerate(given.items()):
        types = set() if isinstance(values, pl.Series) else set(map(type, values))
        mixed = types == {int, float} and _mends(values)
        if mixed:
            # One column of floats would write 150 as 150.0.
            mend_before.append(keys[place + 1])
        elif not types <= _SCALARS or len(types - {type(None)}) > 1:
            return None
        try:
            series.append(pl.Series(name, values, strict=not mixed))
        except (TypeError, ValueError, OverflowError):
            return None
    for name, values in results.items():
        series.append(values.series(name) if isinstance(values, Coded) else pl.Series(name, values))
    return pl.DataFrame(series), mend_before


def _mends(values: Values) -> bool:
    """True where every float has a fraction, so that `.0` marks just the integers."""
    try:
        numbers = np.array(values, np.float64)
    except OverflowError:
        return False
    whole = np.count_nonzero(numbers == np.floor(numbers))
    integers = sum(map(int.__instancecheck__, values))
    return whole == integers and bool(np.abs(numbers).max() < 1e15)


class _Rows:
    """A file for NDJSON that keeps it with a comma for each newline."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        # A newline in NDJSON only ever ends a row; in strings it is escaped.
        self.parts.append(data.replace(b"\n", b","))
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""


def _json_rows(frame: pl.DataFrame, mend_before: list[str]) -> Iterator[bytes]:
    """The rows as JSON objects with commas between, a part of the frame after the other."""
    for start in range(0, len(frame), PART_ROWS):
        rows = _Rows()
        frame[start : start + PART_ROWS].write_ndjson(rows)  # type: ignore[call-overload]
        parts = rows.parts
        if mend_before:
            text = b"".join(parts)
            for key in mend_before:
                # Cannot match inside a string: there every quote is escaped.
                text = text.replace(b'.0,"%s":' % key.encode(), b',"%s":' % key.encode())
            parts = [text]
        if start + PART_ROWS >= len(frame):
            parts[-1] = parts[-1][:-1]
        yield from parts


def kept_rows(
    rows: pl.DataFrame, model: Model, products: int, *, explain: bool, full: bool
) -> list[dict[str, Any]]:
    """Products of a run that is kept, as `to_dict` shows them; `products` are in the run."""
    height = rows.height
    given = {n: _plain(rows[n].to_list()) for n in rows.columns if not is_result(n)}
    numbers = {n: rows[n].cast(pl.Float64).to_numpy() for n in rows.columns
               if rows[n].dtype.is_numeric()}  # fmt: skip
    results: dict[str, Any] = {}
    for name in dict.fromkeys((*SHOWN, *(scale.metric for scale in model.scales))):
        decimals = model.profile.metric(name).decimals
        results[name] = (
            _rounded(numbers[name], decimals, full) if name in numbers else [None] * height
        )
    for name, decimals in (
        ("units_per_day", RATIO_DECIMALS), ("performance_score", MONEY_DECIMALS)
    ):  # fmt: skip
        if name in numbers:
            results[name] = _rounded(numbers[name], decimals, full)
    for name in ("rank", "performance_tier", "cluster"):
        results[name] = rows[name].to_list()
    if "tier_in_group" in rows.columns:
        results["score_in_group"] = _rounded(numbers["score_in_group"], MONEY_DECIMALS, full)
        results |= {name: rows[name].to_list() for name in ("rank_in_group", "tier_in_group")}
    results["flags"] = [text.split() for text in rows["flags"].to_list()]
    if explain:
        names = [scale.metric for scale in model.scales]
        parts = [rows[f"contribution_{name}"].to_list() for name in names]
        inputs = Arrays({n: numbers[n] for n in numeric_inputs(dict(given))})
        more = units_to_reach(inputs, model).tolist() if height else []
        shares = [percentile(rank, products) for rank in results["rank"]]
        results |= {
            "contributions": [
                dict(zip(names, row, strict=True)) for row in zip(*parts, strict=True)
            ],
            "percentile": shares if full else [s and round(s, MONEY_DECIMALS) for s in shares],
            "abc_class": rows["abc_class"].to_list(),
            "to_high": [None if np.isnan(units) else units for units in more],
        }
    columns = given | results
    return [dict(zip(columns, row, strict=True)) for row in zip(*_lists(columns), strict=True)]


def rejected_rows(rejected: list[Rejection]) -> list[dict[str, str]]:
    """The first 1,000 reasons why rows were skipped; `summary.skipped` counts the rows."""
    return [{"pointer": r.pointer, "detail": r.reason} for r in rejected[:MAX_REJECTED]]


def _tail(analysis: "Analysis", *, full: bool) -> dict[str, Any]:
    summary = dict(analysis.summary)
    if not full:
        summary["avg_score"] = round(summary["avg_score"], MONEY_DECIMALS)
        summary["total_revenue"] = round(summary["total_revenue"], MONEY_DECIMALS)
        summary["effective_weights"] = {
            name: None if weight is None else round(weight, RATIO_DECIMALS)
            for name, weight in summary["effective_weights"].items()
        }
    quality = {"quality": analysis.quality.to_dict()} if analysis.quality else {}
    return quality | {
        "rejected": rejected_rows(analysis.source.rejected),
        "summary": summary,
        "model": analysis.model.to_dict(),
        "warnings": [notice.to_dict() for notice in analysis.warnings],
    }
