"""Pages of products: whatever is asked for, they miss nothing and double nothing."""

import polars as pl
import pytest

from shelfwise.store.query import Query, page, select

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
