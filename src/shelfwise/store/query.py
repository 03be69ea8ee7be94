"""Filters, orders and pages over the products of a run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from shelfwise.engines.parquet import ROW_GROUP
from shelfwise.errors import InputError, excerpt

WHOLE = re.compile("0|-?[1-9][0-9]{0,17}")
"""How 64 bits write an integer; ids of 19 digits are compared as texts."""
FILTERS = {
    "product_id": "product_id",
    "category": "category",
    "brand": "brand",
    "supplier": "supplier",
    "location": "location",
    "tier": "performance_tier",
    "tier_in_group": "tier_in_group",
    "cluster": "cluster",
    "abc_class": "abc_class",
    "trend": "trend",
    "action": "action",
}
"""Name of a filter -> the column that must have its value; any other is called the same."""
MARK = "tier_override"
"""The column with the tiers that people have set; no file has it, `Overrides.marked` adds it."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which products, and in which order.

    `search` is a part of the name or the id, without case; `flag` one of the flags;
    `sort` a column, with - before it the largest first. Without it the rank orders.
    `overridden` leaves those whose tier somebody has set.
    """

    equal: Mapping[str, str] = field(default_factory=dict)
    search: str | None = None
    flag: str | None = None
    sort: str | None = None
    overridden: bool = False

    @property
    def reads(self) -> set[str]:
        """The columns that it filters or orders by."""
        columns = {FILTERS.get(name, name) for name in self.equal} | {
            (self.sort or "").removeprefix("-")
        }
        return columns | ({MARK} if self.overridden else set())


def select(products: pl.LazyFrame, query: Query) -> pl.LazyFrame:
    """The products that a query asks for, in its order."""
    chosen = _filtered(products, query)
    return chosen if query.sort is None else _ordered(chosen, query.sort)


def page(
    products: pl.LazyFrame, query: Query, limit: int, after: int = 0
) -> tuple[pl.DataFrame, int | None]:
    """Up to `limit` products, and where the next page begins (None: there is none).

    Results never change, so a place in them stays what it is; only where trends are made anew
    between two pages, the order by them may. In the order of the rank
    it is the row in the file: what comes before it is not read, and of what comes after it
    the columns that are filtered by, as far as the page needs; whole rows only around it.
    """
    if query == Query():
        found = products.slice(after, limit + 1).collect()
        return found.head(limit), after + limit if len(found) > limit else None
    if query.sort is not None:
        # Only places are sorted: whole rows of a million products would take a second.
        chosen = select(products.with_row_index("_place"), query).select("_place")
        places = chosen.slice(after, limit + 1).collect()["_place"].to_list()
        rising = sorted(places[:limit])
        rows = _rows_at(products, rising)
        return rows[[rising.index(place) for place in places[:limit]]], (
            after + limit if len(places) > limit else None
        )
    numbered = products.slice(after).with_row_index("_place", offset=after)
    fitting = _filtered(numbered, query).select("_place").head(limit + 1)
    places = fitting.collect()["_place"].to_list()
    following = places[limit] if len(places) > limit else None
    return _rows_at(products, places[:limit]), following


def _rows_at(products: pl.LazyFrame, places: list[int]) -> pl.DataFrame:
    """The rows at these places, which rise; those that stand close together are read at once."""
    stretches: list[list[int]] = []
    for place in places:
        if stretches and place - stretches[-1][-1] < ROW_GROUP:
            stretches[-1].append(place)
        else:
            stretches.append([place])
    if not stretches:
        return products.head(0).collect()
    spans = [products.slice(some[0], some[-1] - some[0] + 1) for some in stretches]
    parts = zip(pl.collect_all(spans), stretches, strict=True)
    return pl.concat([part[[place - some[0] for place in some]] for part, some in parts])


def value_of_product(
    values: Mapping[tuple[str, str | None], Any],
    schema: Mapping[str, pl.DataType],
    kind: type[pl.DataType],
) -> pl.Expr:
    """The value of each row's product at its location, else of the product everywhere, or null.

    The rows have that schema; keys are a product and a location, None for everywhere.
    """
    everywhere = {product_id: v for (product_id, place), v in values.items() if place is None}
    local = {f"{product_id}\n{place}": v for (product_id, place), v in values.items() if place}
    product = pl.col("product_id").cast(pl.String)
    if schema["product_id"] == pl.Int64 and all(map(WHOLE.fullmatch, everywhere)):
        # Saves a text for each of a million rows.
        whole = {int(product_id): value for product_id, value in everywhere.items()}
        found = _looked_up(pl.col("product_id"), whole, kind)
    else:
        found = _looked_up(product, everywhere, kind)
    if not local or "location" not in schema:
        return found
    # Neither an id nor a location can hold a control character.
    at_place = pl.concat_str(product, pl.lit("\n"), pl.col("location").cast(pl.String))
    return pl.coalesce(_looked_up(at_place, local, kind), found)


def _looked_up(key: pl.Expr, values: Mapping[Any, Any], kind: type[pl.DataType]) -> pl.Expr:
    if not values:
        return pl.lit(None, kind)
    return key.replace_strict(list(values), list(values.values()), default=None, return_dtype=kind)


def _filtered(products: pl.LazyFrame, query: Query) -> pl.LazyFrame:
    columns = products.collect_schema()
    for name, value in query.equal.items():
        column = FILTERS.get(name, name)
        if column not in columns:
            raise InputError(f"There is no column {column} here.", "Leave the filter out.")
        products = products.filter(pl.col(column).cast(pl.String) == value)
    if query.flag:
        flags = pl.col("flags").str.split(" ")
        products = products.filter(flags.list.contains(query.flag))
    if query.search:
        wanted = query.search.lower()
        texts = [pl.col(name).cast(pl.String) for name in ("name", "product_id")]
        found = [text.str.to_lowercase().str.contains(wanted, literal=True) for text in texts]
        products = products.filter(found[0].fill_null(False) | found[1])
    if query.overridden:
        products = products.filter(pl.col(MARK).is_not_null())
    return products


def _ordered(products: pl.LazyFrame, sort: str) -> pl.LazyFrame:
    column, largest_first = sort.removeprefix("-"), sort.startswith("-")
    if column not in products.collect_schema():
        raise InputError(
            f"There is no column {excerpt(column)} to sort by.",
            "Sort by one that the rows have; a - before it puts the largest first.",
        )
    # The rank decides between equals, because rows come in its order.
    return products.sort(column, descending=largest_first, nulls_last=True, maintain_order=True)
