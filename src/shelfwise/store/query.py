"""Filters, orders and pages over the products of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from shelfwise.engines.parquet import ROW_GROUP
from shelfwise.errors import InputError, excerpt

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
}
"""Name of a filter -> the column that must have its value."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which products, and in which order.

    `search` is a part of the name or the id, without case; `flag` one of the flags;
    `sort` a column, with - before it the largest first. Without it the rank orders.
    """

    equal: Mapping[str, str] = field(default_factory=dict)
    search: str | None = None
    flag: str | None = None
    sort: str | None = None


def select(products: pl.LazyFrame, query: Query) -> pl.LazyFrame:
    """The products that a query asks for, in its order."""
    chosen = _filtered(products, query)
    return chosen if query.sort is None else _ordered(chosen, query.sort)


def page(
    products: pl.LazyFrame, query: Query, limit: int, after: int = 0
) -> tuple[pl.DataFrame, int | None]:
    """Up to `limit` products, and where the next page begins (None: there is none).

    Results never change, so a place in them stays what it is. In the order of the rank
    it is the row in the file: what comes before it is not read, and of what comes after it
    the columns that are filtered by, as far as the page needs; whole rows only around it.
    """
    if query.sort is not None or query == Query():
        found = select(products, query).slice(after, limit + 1).collect()
        return found.head(limit), after + limit if len(found) > limit else None
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


def _filtered(products: pl.LazyFrame, query: Query) -> pl.LazyFrame:
    columns = products.collect_schema()
    for name, value in query.equal.items():
        column = FILTERS[name]
        if column not in columns:
            raise InputError(f"These products have no column {column}.", "Leave the filter out.")
        products = products.filter(pl.col(column).cast(pl.String) == value)
    if query.flag:
        flags = pl.col("flags").str.split(" ")
        products = products.filter(flags.list.contains(query.flag))
    if query.search:
        wanted = query.search.lower()
        texts = [pl.col(name).cast(pl.String) for name in ("name", "product_id")]
        found = [text.str.to_lowercase().str.contains(wanted, literal=True) for text in texts]
        products = products.filter(found[0].fill_null(False) | found[1])
    return products


def _ordered(products: pl.LazyFrame, sort: str) -> pl.LazyFrame:
    column, largest_first = sort.removeprefix("-"), sort.startswith("-")
    if column not in products.collect_schema():
        raise InputError(
            f"There is no column {excerpt(column)} to sort by.",
            "Sort by a column of the products, such as -revenue or name.",
        )
    # The rank decides between equals, because rows come in its order.
    return products.sort(column, descending=largest_first, nulls_last=True, maintain_order=True)
