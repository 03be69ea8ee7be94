"""The English texts of pages and charts, all in one place, ready for another language.

A file for each subject has its texts by their keys. A text may have `{name}` for what is filled
in; a `|` parts the text for one from that for another number, which is chosen by `n`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from unicodedata import bidirectional

from shelfwise.metrics import METRIC
from shelfwise.texts import (
    campaigns,
    changes,
    charts,
    data,
    inventory,
    method,
    overview,
    pages,
    products,
    reports,
    sharing,
    suppliers,
    trends,
)

SUBJECTS = (
    pages,
    charts,
    overview,
    products,
    inventory,
    trends,
    suppliers,
    data,
    changes,
    method,
    campaigns,
    reports,
    sharing,
)
TEXTS: dict[str, str] = {key: told for subject in SUBJECTS for key, told in subject.TEXTS.items()}


def column(name: str, place: str = "col") -> str:
    """What a column is called in one place; a metric has its one name from METRICS.

    >>> column("stock_ratio"), column("price")
    ('Sell-through', 'Price')
    """
    return METRIC[name].label if name in METRIC else text(f"{place}.{name}")


def text(key: str, **values: Any) -> str:
    """A text, filled in; the form for one where `n` is 1.

    What turns the direction of writing is set apart, so that the rest of the sentence stays.

    >>> text("products.title", n=1), text("products.title", n=3)
    ('1 product', '3 products')
    """
    found = TEXTS[key]
    if "|" in found and "n" in values:
        one, many = found.split("|")
        found = one if values["n"] == 1 else many
        if isinstance(values["n"], int):
            values["n"] = _count.get()(values["n"])
    values = {n: _apart(v) if isinstance(v, str) else v for n, v in values.items()}
    return found.format(**values) if values else found


@contextmanager
def counting(write: Callable[[int], str]) -> Iterator[None]:
    """Within the block `n` is written as the reader's locale does, by `Formats.count`.

    A whole page or report has one reader; to hand it to each text would be said a hundred times.

    >>> from shelfwise.formats import Formats
    >>> with counting(Formats("de_DE").count):
    ...     text("products.title", n=12_345)
    '12.345 products'
    """
    before = _count.set(write)
    try:
        yield
    finally:
        _count.reset(before)


_count: ContextVar[Callable[[int], str]] = ContextVar("count", default="{:,}".format)


def _apart(value: str) -> str:
    if value.isascii() or not any(bidirectional(letter) in TURNING for letter in value):
        return value
    return FIRST_STRONG_ISOLATE + value + POP_DIRECTIONAL_ISOLATE


TURNING = {"R", "AL", "RLE", "RLO", "LRE", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI"}
"""Kinds of letters that do not stand from left to right, or change how others do."""
FIRST_STRONG_ISOLATE = "\N{FIRST STRONG ISOLATE}"
POP_DIRECTIONAL_ISOLATE = "\N{POP DIRECTIONAL ISOLATE}"
