"""Products: which ones match, in which order, and all of them as a file."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
from flask import Response, request

from shelfwise.sales.labels import TRENDS
from shelfwise.service import download
from shelfwise.service.dashboard.page import (
    Seen,
    bound,
    one_of,
    screen,
    seen,
    show,
    url,
    whole,
    within,
)
from shelfwise.service.kept import store
from shelfwise.store.query import FILTERS, MARK, Query, page, select
from shelfwise.texts import text

ROWS = 25
CHOICES = ("category", "supplier", "brand", "location", "tier", "tier_in_group", "abc_class",
           "trend", "action")  # fmt: skip
"""Filters that are chosen from the values that there are."""
COLUMNS = ("name", "category", "supplier", "location", "price", "units_sold", "stock", "revenue",
           "stock_ratio", "performance_score", "performance_tier")  # fmt: skip
TEXTS_FIRST = ("name", "category", "supplier", "location")
MOST_CHOICES = 500
"""Above so many values a filter is typed; the first of them are offered."""
TIER = "_tier"
"""The column with the tier that counts: as somebody has set it, else as it was computed."""
PLACE = "_at"
FILES = ("csv", "xlsx", "parquet", "json")


@screen("/products")
def products() -> str:
    """A page of products."""
    some = seen()
    asked, rows = _asked(), _rows(some)
    count = _count(some, asked)
    after, first, before = _place(some, rows, asked, count)
    found, following = page(rows, asked, ROWS, after)
    filters = {**asked.equal, "search": asked.search, "flag": asked.flag}
    if TIER in filters:
        filters["tier"] = filters.pop(TIER)
    shown = [name for name in COLUMNS if name in found.columns]
    given = {name: value for name, value in filters.items() if value}
    here = given | {"sort": asked.sort}
    key = "products.title.some" if given else "products.title"
    title = text(key, n=count) if count else text("products.title.none")
    overrides = store().overrides.of_rows(found, some.run.as_of) if found.height else []
    return show(
        "products",
        "products",
        title=title,
        rows=found.to_dicts(),
        overrides=overrides,
        columns=shown,
        sortable={name: _toggled(asked.sort, name) for name in shown},
        sort=asked.sort or "rank",
        **_fields(some, given),
        filters=given,
        here=here,
        count=count,
        first=first + 1,
        next=url("products", **here, after=following) if following is not None else None,
        previous=url("products", **here, after=before or None) if before is not None else None,
        files=[(kind, bound(f"products.{kind}", **here)) for kind in FILES],
        texts=TEXTS_FIRST,
    )  # fmt: skip


@screen("/products.<format:format>")
def products_file(format: str) -> Response:
    """All products that the filters leave, in their order, as a file."""
    some = seen()
    rows = select(_rows(some), _asked()).drop(TIER, strict=False)
    rows = store().overrides.marked(rows, some.run.as_of)
    options = {"limit": None, "raw": None}
    return download.attachment(rows, some.run, format, options, "products")


def _rows(some: Seen) -> pl.LazyFrame:
    """The products of the run with what was made of it."""
    rows = some.products
    wanted = {request.args.get("sort", "").removeprefix("-"), *request.args}
    beside = store().derived.beside(some.run)
    if not wanted.isdisjoint(beside.columns) or request.path != "/products":
        rows = beside.joined(rows)
    if request.args.get("tier"):
        rows = store().overrides.marked(rows, some.run.as_of)
        rows = rows.with_columns(pl.coalesce(MARK, "performance_tier").alias(TIER)).drop(MARK)
    return rows


def _asked() -> Query:
    equal = {name: request.args[name] for name in FILTERS if request.args.get(name)}
    if trend := equal.get("trend"):
        one_of(TRENDS, "trend", trend)
    if "tier" in equal:
        equal[TIER] = equal.pop("tier")
    sort = request.args.get("sort") or None
    return Query(
        equal=equal,
        search=request.args.get("search", "").strip() or None,
        flag=request.args.get("flag") or None,
        sort=None if sort == "rank" else sort,
    )


def _count(some: Seen, asked: Query) -> int:
    if asked == Query(sort=asked.sort):
        return some.run.products
    unsorted = Query(asked.equal, asked.search, asked.flag)
    return int(select(_rows(some), unsorted).select(pl.len()).collect().item())


def _place(some: Seen, rows: pl.LazyFrame, asked: Query, count: int) -> tuple[int, int, int | None]:
    """Where the page begins: its place, how many products come before, and the page before it.

    Beyond the end it is the last page. In the order of the rank a place is a row of the whole
    file, so that it takes counting how many before it fit.
    """
    after = min(whole("after"), some.run.products)
    if asked.sort is not None or asked == Query():
        after = within(after, count, ROWS)
        return after, after, max(0, after - ROWS) if after else None
    if not after:
        return 0, 0, None
    numbered = rows.head(after).with_row_index(PLACE)
    fitting = select(numbered, asked).select(PLACE).collect()[PLACE]
    if len(fitting) >= count:
        last = within(count, count, ROWS)
        after = int(fitting[last]) if count else 0
        fitting = fitting.head(last)
    first = len(fitting)
    return after, first, (int(fitting[max(0, first - ROWS)]) if first else None)


def _toggled(sort: str | None, column: str) -> str:
    """What a click on a heading sorts by: numbers the largest first, texts from A."""
    first = column if column in TEXTS_FIRST else f"-{column}"
    other = f"-{column}" if column in TEXTS_FIRST else column
    return other if sort == first else first


def _fields(some: Seen, given: Mapping[str, str]) -> dict[str, Any]:
    """The fields of the filters; every filter that counts has one, so that none is lost."""
    found = {name: values for name, values in _choices(some).items() if len(values) > 1}
    choices = {name: values for name, values in found.items() if len(values) <= MOST_CHOICES}
    flags = _flags(some)
    for name in choices:
        if given.get(name) and given[name] not in choices[name]:
            choices[name].append(given[name])
    if flags and given.get("flag") and given["flag"] not in flags:
        flags.append(given["flag"])
    here = {**given, "sort": request.args.get("sort")}
    shown = {*found, "search", *(["flag"] if flags else [])}
    return {
        "choices": choices,
        "typed": {name: values[:MOST_CHOICES] for name, values in found.items()
                  if name not in choices},
        "flags": flags,
        "chips": [(name, value, url("products", **{**here, name: None}))
                  for name, value in given.items() if name not in shown],
    }  # fmt: skip


def _choices(some: Seen) -> dict[str, list[str]]:
    file = store().runs.products_file(some.run)
    found = dict(_values(file))
    for name, table in (("trend", "trends"), ("action", "inventory")):
        if made := some.derived.get(table):
            values = made.scan().select(pl.col(name).unique().drop_nulls()).collect()
            found[name] = tuple(sorted(values.to_series().to_list()))
    return {name: list(found[name]) for name in CHOICES if name in found}


@lru_cache(maxsize=32)
def _values(file: Path) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The values of each filter in the products of a run; results never change."""
    products = pl.scan_parquet(file)
    columns = products.collect_schema().names()
    found = []
    for name in CHOICES:
        column = FILTERS.get(name, name)
        if column not in columns:
            continue
        some = products.select(pl.col(column).cast(pl.String).unique().drop_nulls()).collect()
        values = sorted(some.to_series().to_list())
        if name in ("tier", "tier_in_group"):
            values = [tier for tier in ("High", "Medium", "Low") if tier in values]
        # One more than the most tells that there are too many to choose from.
        found.append((name, tuple(values[: MOST_CHOICES + 1])))
    return tuple(found)


def _flags(some: Seen) -> list[str]:
    return list(_known_flags(store().runs.products_file(some.run)))


@lru_cache(maxsize=32)
def _known_flags(file: Path) -> tuple[str, ...]:
    flags = pl.scan_parquet(file).select(pl.col("flags").unique()).collect()["flags"]
    return tuple(sorted({one for text in flags.drop_nulls() for one in text.split()}))
