"""Products added up to what they belong to: a parent, a brand, a category, a supplier.

Sums come before anything is set aside, so what came back of one product is taken from
what its group sold.
"""

from typing import Any

import narwhals.stable.v2 as nw

from shelfwise.errors import InputError

LEVELS = ("parent_id", "brand", "category", "supplier")
"""What products can be added up to; `location` divides them instead."""
BY = ("product_id", "location", *LEVELS)
"""What a row of counted order lines can be."""
ADDED = ("units_sold", "net_revenue", "gross_units", "gross_revenue", "lines", "stock")
SHARED = ("currency", "location", *LEVELS)


def rolled_up(products: Any, by: str) -> Any:
    """One row for each value of a column, with the columns that products have.

    `product_id` is the value, `products` how many were added up. The unit cost is
    weighted by units. A text that all of a group share is kept. Variants without a
    parent stand for themselves; in other columns what is missing is one group, "(none)".
    """
    names = products.collect_schema().names()
    if by not in names:
        raise InputError(
            f"Nothing says the {by} of a product.", "Give it in the catalogue or in the lines."
        )
    text = nw.col(by).cast(nw.String)
    missing = nw.col("product_id") if by == "parent_id" else nw.lit("(none)")
    key = nw.when(~text.is_null() & (text != "")).then(text).otherwise(missing)
    products = products.with_columns(_key=key)
    sums: dict[str, nw.Expr] = {n: nw.col(n).sum() for n in ADDED if n in names}
    if "stock" in names:
        # A stock that is not known makes that of the group unknown, not smaller.
        unknown = nw.when(nw.col("stock").is_null()).then(1).otherwise(0)
        products = products.with_columns(_no_stock=unknown)
        sums["_no_stock"] = nw.col("_no_stock").sum()
    sums |= {"products": nw.len(), "first_sale": nw.col("first_sale").min(),
             "last_sale": nw.col("last_sale").max()}  # fmt: skip
    if "unit_cost" in names:
        known = nw.when(~nw.col("unit_cost").is_null()).then(nw.col("units_sold"))
        products = products.with_columns(
            _cost=nw.col("unit_cost") * nw.col("units_sold"), _costed=known
        )
        sums |= {"_cost": nw.col("_cost").sum(), "_costed": nw.col("_costed").sum()}
    if "price" in names:
        sums["price"] = nw.col("price").mean()
    for name in SHARED:
        if name in names and name != by:
            sums |= {name: nw.col(name).min(), f"_most_{name}": nw.col(name).max()}
    if "name" in names:
        # A parent's own row names it; else the name that all variants share.
        own = nw.when(nw.col("product_id") == nw.col("_key")).then(nw.col("name"))
        products = products.with_columns(_own=own)
        sums |= {"_own": nw.col("_own").max(), "name": nw.col("name").min(),
                 "_most_name": nw.col("name").max()}  # fmt: skip
    rows = products.group_by("_key").agg(**sums)
    found = rows.collect_schema().names()
    new: dict[str, nw.Expr] = {}
    for name in found:
        if f"_most_{name}" in found:
            new[name] = nw.when(nw.col(name) == nw.col(f"_most_{name}")).then(nw.col(name))
    if "name" in new:
        new["name"] = nw.coalesce("_own", new["name"]) if by == "parent_id" else nw.col("_key")
    if "_no_stock" in found:
        new["stock"] = nw.when(nw.col("_no_stock") == 0).then(nw.col("stock"))
    if "_cost" in found:
        costed = nw.col("_costed") > 0
        per_unit = nw.col("_cost") / nw.when(costed).then(nw.col("_costed")).otherwise(1.0)
        new["unit_cost"] = nw.when(costed).then(per_unit)
    rows = rows.with_columns(product_id=nw.col("_key"), **new)
    kept = ["product_id", *(n for n in rows.collect_schema().names()
                            if not n.startswith("_") and n != "product_id")]  # fmt: skip
    return rows.select(*kept)
