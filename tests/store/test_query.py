"""Pages of products: whatever is asked for, they miss nothing and double nothing."""

from typing import Any

import polars as pl
import pytest

from shelfwise.store.query import Query, page, select, value_of_product

ROWS = pl.LazyFrame(
    {
        "product_id": range(100, 140),
        "name": [f"Product {n % 7}" for n in range(40)],
        "performance_tier": ["High", "Low", "Low", "Medium"] * 10,
        "flags": ["no_sales" if n in (0, 13, 39) else "" for n in range(40)],
    }
)
QUERIES = [
    Query(), Query({"tier": "Low"}), Query(search="product 3"), Query(flag="no_sales"),
    Query({"product_id": "139"}), Query({"tier": "High"}, search="t 4"), Query({"tier": "None"}),
    Query(sort="-name"), Query({"tier": "Low"}, sort="name"),
]  # fmt: skip


@pytest.mark.parametrize("near", [1, 4, 65_536])
@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_pages_have_what_the_query_selects_however_far_apart_it_stands(
    query: Query, near: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shelfwise.store.query.ROW_GROUP", near)
    parts, after = [], 0
    while after is not None:
        rows, after = page(ROWS, query, 3, after)  # type: ignore[assignment]
        assert rows.height == 3 or after is None
        parts.append(rows)
    whole = select(ROWS, query).collect()
    assert pl.concat(parts).equals(whole)


def of_products(values: dict[tuple[str, str | None], Any], **columns: list[Any]) -> list[Any]:
    rows = pl.DataFrame(columns)
    return rows.select(value_of_product(values, rows.schema, pl.Int64).alias("x"))["x"].to_list()


def test_an_id_fits_only_as_it_is_written() -> None:
    odd = {(text, None): 1 for text in
           ("07", "7.0", "+7", "-0", " 8", "1e1", str(2**63), str(10**30), "x")}  # fmt: skip
    assert of_products(odd, product_id=[7, 0, 8, 10]) == [None] * 4
    assert of_products(odd | {("8", None): 2}, product_id=[7, 0, 8, 10]) == [None, None, 2, None]
    ends = {(str(2**63 - 1), None): 1, (str(-(2**63)), None): 2, ("0", None): 3, ("-5", None): 4}
    assert of_products(ends, product_id=[2**63 - 1, -(2**63), 0, -5, 5]) == [1, 2, 3, 4, None]
    assert of_products(odd, product_id=["07", "7", " 8", "x"]) == [1, None, 1, 1]
    assert of_products({("7", None): 1}, product_id=[7, 70]) == [1, None]
    assert of_products({}, product_id=[7]) == [None]
