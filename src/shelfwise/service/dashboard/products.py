"""Products: which ones match, in which order, and all of them as a file."""

from functools import lru_cache
from pathlib import Path

import polars as pl
from flask import Response, request

from shelfwise.service import download
from shelfwise.service.dashboard.page import Seen, screen, seen, show, url, whole
from shelfwise.service.dashboard.texts import text
from shelfwise.service.kept import store
from shelfwise.store.query import FILTERS, Query, page, select

ROWS = 25
CHOICES = ("category", "supplier", "brand", "location", "tier", "tier_in_group", "abc_class",
           "trend", "action")  # fmt: skip
"""Filters that are chosen from the values that there are."""
COLUMNS = ("name", "category", "supplier", "location", "price", "units_sold", "stock", "revenue",
           "stock_ratio", "performance_score", "performance_tier")  # fmt: skip
TEXTS_FIRST = ("name", "category", "supplier", "location")
MOST_CHOICES = 500
FILES = ("csv", "xlsx", "parquet", "json")


@screen("/products")
def products() -> str:
    """A page of products."""
    some = seen()
    asked, rows = _asked(some), _rows(some)
    after = whole("after")
    found, following = page(rows, asked, ROWS, after)
    count = _count(some, asked)
    trail = [int(part) for part in request.args.get("trail", "").split(",") if part.isdigit()][-40:]
    filters = {**asked.equal, "search": asked.search, "flag": asked.flag}
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
        choices=_choices(some),
        flags=_flags(some),
        filters=given,
        here=here,
        count=count,
        first=after + 1 if not given or asked.sort else len(trail) * ROWS + 1,
        next=url("products", **here, after=following, trail=",".join(map(str, [*trail, after])))
        if following is not None
        else None,
        previous=url("products", **here, after=trail[-1] or None,
                     trail=",".join(map(str, trail[:-1]))) if trail else None,
        files=[(kind, url(f"products.{kind}", **here)) for kind in FILES],
        texts=TEXTS_FIRST,
    )  # fmt: skip


@screen("/products.<format:format>")
def products_file(format: str) -> Response:
    """All products that the filters leave, in their order, as a file."""
    some = seen()
    rows = store().overrides.marked(_rows(some), some.run.as_of)
    options = {"limit": None, "raw": None}
    return download.attachment(select(rows, _asked(some)), some.run, format, options, "products")


def _rows(some: Seen) -> pl.LazyFrame:
    """The products of the run with what was made of it."""
    rows = some.products
    wanted = {request.args.get("sort", "").removeprefix("-"), *request.args}
    beside = store().derived.beside(some.run)
    if not wanted.isdisjoint(beside.columns) or request.path != "/products":
        rows = beside.joined(rows)
    return rows


def _asked(some: Seen) -> Query:
    equal = {name: request.args[name] for name in FILTERS if request.args.get(name)}
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


def _toggled(sort: str | None, column: str) -> str:
    """What a click on a heading sorts by: numbers the largest first, texts from A."""
    first = column if column in TEXTS_FIRST else f"-{column}"
    other = f"-{column}" if column in TEXTS_FIRST else column
    return other if sort == first else first


def _choices(some: Seen) -> dict[str, list[str]]:
    file = store().runs.products_file(some.run)
    found = dict(_values(file))
    for name, table in (("trend", "trends"), ("action", "inventory")):
        if made := some.derived.get(table):
            values = made.scan().select(pl.col(name).unique().drop_nulls()).collect()
            found[name] = tuple(sorted(values.to_series().to_list()))
    return {name: list(found[name]) for name in CHOICES if len(found.get(name, ())) > 1}


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
        if len(values) <= MOST_CHOICES:
            found.append((name, tuple(values)))
    return tuple(found)


def _flags(some: Seen) -> list[str]:
    return list(_known_flags(store().runs.products_file(some.run)))


@lru_cache(maxsize=32)
def _known_flags(file: Path) -> tuple[str, ...]:
    flags = pl.scan_parquet(file).select(pl.col("flags").unique()).collect()["flags"]
    return tuple(sorted({one for text in flags.drop_nulls() for one in text.split()}))
