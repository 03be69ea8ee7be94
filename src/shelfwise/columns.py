"""The input contract: every product column, its type, limits, meaning and other names.

The checks, the HTTP schema, `shelfwise columns` and the reference page come from here.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from shelfwise.errors import InputError, excerpt

Kind = Literal["id", "text", "number", "boolean", "date"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the contract; `low` and `high` include themselves.

    `besides` is a value that is fine though it lies outside.
    """

    name: str
    kind: Kind
    meaning: str
    unlocks: str
    unit: str = ""
    required: bool = False
    low: float | None = None
    high: float | None = None
    besides: float | None = None
    max_length: int = 255
    aliases: tuple[str, ...] = ()


MONEY = 1e12
UNITS = 1e15

COLUMNS = (
    Column("product_id", "id", "Identity of the product; 1 and \"1\" are the same.",
           "everything", required=True,
           aliases=("sku", "id", "item", "item_id", "product", "product_code", "product_number",
                    "article", "article_number", "asin", "stock_code")),
    Column("name", "text", "What people call it.", "everything", required=True, max_length=1000,
           aliases=("product_name", "title", "item_name", "description", "label")),
    Column("price", "number", "Price of one unit, above 0.", "revenue, sales velocity",
           unit="money per unit", required=True, low=1e-6, high=MONEY,
           aliases=("unit_price", "list_price", "sales_price", "retail_price", "price_each")),
    Column("units_sold", "number", "Units sold in the period; 3.7 kg of cheese is fine.",
           "everything", unit="units", required=True, low=0, high=UNITS,
           aliases=("units", "sold", "qty_sold", "quantity_sold", "quantity", "qty", "sales_units",
                    "sales_qty")),
    Column("stock", "number", "Units on hand.", "sell-through", unit="units", required=True,
           low=0, high=UNITS,
           aliases=("on_hand", "stock_on_hand", "units_in_stock", "in_stock", "inventory",
                    "quantity_on_hand", "qty_on_hand", "stock_qty", "stock_level")),
    Column("net_revenue", "number", "What was really taken; replaces price x units.",
           "revenue after discounts and returns", unit="money", low=-MONEY * UNITS,
           high=MONEY * UNITS, aliases=("revenue_net", "net_sales", "turnover")),
    Column("unit_cost", "number", "What one unit costs us.", "gross margin, stock at cost",
           unit="money per unit", low=0, high=MONEY,
           aliases=("cost", "cost_price", "standard_cost", "cogs_per_unit")),
    Column("category", "text", "Kind of product.", "roll-ups, scores within groups",
           aliases=("category_name", "product_category", "department")),
    Column("brand", "text", "Brand.", "roll-ups, scores within groups", aliases=("brand_name",)),
    Column("supplier", "text", "Who delivers it.", "supplier scorecards",
           aliases=("supplier_name", "vendor", "vendor_name")),
    Column("location", "text", "Shop or warehouse.", "scores by location",
           aliases=("store", "warehouse", "site")),
    Column("parent_id", "text", "Product this is a variant of.", "roll-up of variants",
           aliases=("parent", "parent_sku")),
    Column("on_order", "number", "Units ordered and not yet received.", "order quantities",
           unit="units", low=0, high=UNITS, aliases=("units_on_order", "qty_on_order")),
    Column("lead_time_days", "number", "Days from order to receipt.", "order dates", unit="days",
           low=0, high=3650, aliases=("lead_time",)),
    Column("lead_time_sd", "number", "Standard deviation of the lead time.", "safety stock",
           unit="days", low=0, high=3650),
    Column("pack_size", "number", "Units in one order pack.", "order quantities", unit="units",
           low=1e-6, high=UNITS, aliases=("case_size",)),
    Column("min_order_qty", "number", "Smallest order.", "order quantities", unit="units",
           low=0, high=UNITS, aliases=("moq", "min_order")),
    Column("launch_date", "date", "First day on sale.", "new products are not judged too early",
           aliases=("launched",)),
    Column("discontinued", "boolean", "True when it is leaving the range.",
           "leaving products are never reordered"),
    Column("currency", "text", "ISO 4217 code; a mixture is refused.", "money with its unit",
           max_length=3, aliases=("currency_code",)),
)  # fmt: skip

LINES = (
    Column("product_id", "id", "Identity of the product.", "everything", required=True,
           aliases=("sku", "item", "item_id", "product", "product_code", "product_number",
                    "product_key", "product_sku", "article", "article_number", "asin",
                    "stock_code")),
    Column("date", "date", "Day of the sale; a time of day is cut off.", "everything",
           required=True,
           aliases=("order_date", "invoice_date", "sale_date", "sold_at", "day", "datetime",
                    "timestamp")),
    Column("quantity", "number", "Units; below 0 for a return.", "everything", unit="units",
           required=True, low=-UNITS, high=UNITS,
           aliases=("qty", "units", "units_sold", "order_quantity", "quantity_sold")),
    Column("unit_price", "number", "Price of one unit before the discount.",
           "revenue, where no line total is given", unit="money per unit", low=-MONEY, high=MONEY,
           aliases=("price", "sales_price", "price_each")),
    Column("line_total", "number", "What the line brought in; wins over price x quantity.",
           "revenue after discounts", unit="money", low=-MONEY * UNITS, high=MONEY * UNITS,
           aliases=("amount", "line_amount", "total", "net_amount", "net_revenue", "sales",
                    "revenue")),
    Column("discount", "number", "Share of the price that was not asked, 0 to 1.",
           "revenue after discounts", unit="share", low=0, high=1),
    Column("order_id", "text", "Order, invoice or receipt.", "credit notes, adjustments",
           aliases=("order", "order_number", "order_no", "invoice", "invoice_no",
                    "invoice_number", "receipt")),
    Column("status", "text", "What became of the order.", "cancelled orders are left out",
           aliases=("order_status", "state")),
    Column("name", "text", "What people call the product.", "names without a catalogue",
           max_length=1000,
           aliases=("product_name", "description", "item_name", "title")),
    Column("location", "text", "Shop or warehouse.", "scores by location",
           aliases=("store", "warehouse", "site")),
    Column("customer", "text", "Who bought.", "customers",
           aliases=("customer_id", "customer_key")),
    Column("cost", "number", "What one unit cost us.", "gross margin", unit="money per unit",
           low=0, high=MONEY, aliases=("unit_cost", "product_cost")),
    Column("currency", "text", "ISO 4217 code; a mixture is refused.", "money with its unit",
           max_length=3, aliases=("currency_code",)),
)  # fmt: skip
"""The contract of order lines; each needs `unit_price` or `line_total`."""

RESULTS = (
    "units_per_day", "performance_score", "rank", "performance_tier", "cluster", "flags",
    "contributions", "percentile", "abc_class", "to_high", "group_size", "score_in_group",
    "rank_in_group", "tier_in_group", "tier_override",
)  # fmt: skip
"""Names that results have, beside the metrics: no input and no metric may take them."""

COLUMN = {column.name: column for column in COLUMNS}
REQUIRED = tuple(column.name for column in COLUMNS if column.required)


def plain(name: str) -> str:
    """A column's name without case, blanks and punctuation.

    >>> plain(" Units Sold ")
    'units_sold'
    """
    return re.sub(r"[^0-9a-z]+", "_", name.strip().lower()).strip("_")


def joined(name: str) -> str:
    """A column's plain name in one word: UnitPrice and unit_price are the same.

    >>> joined("UnitPrice"), joined("unit price")
    ('unitprice', 'unitprice')
    """
    return plain(name).replace("_", "")


def contract(given: Collection[str], needs: Collection[str], zero_price: str) -> dict[str, Column]:
    """The columns as one analysis wants them, for those that are given.

    What the profile needs becomes required. Stock may be absent altogether, and then the
    sell-through is withheld. Raises InputError for a required column that is not given.
    """
    absent = [n for n in (*REQUIRED, *sorted(needs)) if n not in given and n != "stock"]
    if absent:
        names = ", ".join(dict.fromkeys(absent))
        raise InputError(
            f"Missing column: {names}.",
            "Rename yours, or map it: columns={'theirs': 'ours'}, --map theirs=ours.",
        )
    wanted = {name: COLUMN[name] for name in COLUMN if name in given}
    for name in needs:
        if name in wanted and not wanted[name].required:
            wanted[name] = replace(wanted[name], required=True)
    if zero_price == "allow":
        wanted["price"] = replace(wanted["price"], besides=0.0)
    return wanted


NOT_USED = "-"
"""What a mapping says of a column that is to be none of ours."""


def resolve(
    theirs: Collection[str],
    mapping: Mapping[str, str] | None = None,
    columns: tuple[Column, ...] = COLUMNS,
) -> tuple[dict[str, str], dict[str, str]]:
    """Which of their columns are ours: (every renaming, those that we found ourselves).

    An explicit mapping {theirs: ours} wins, then the exact name, then the name without
    case and blanks, then the aliases. Two columns that could be the same one are refused.
    Mapped to `NOT_USED`, a column is taken for none of ours, whatever its name.

    >>> resolve(["SKU", "name", "Price", "sold", "stock"])[1]
    {'Price': 'price', 'SKU': 'product_id', 'sold': 'units_sold'}
    >>> resolve(["stock", "on_hand"], {"stock": "-"})[0]
    {'stock': 'stock_given', 'on_hand': 'stock'}
    """
    mapping = dict(mapping or {})
    known = {column.name for column in columns}
    for theirs_name, ours in mapping.items():
        if theirs_name not in theirs:
            raise InputError(
                f"The mapping names {excerpt(theirs_name)}, which is no column of the data.",
                f"The data has {', '.join(map(str, list(theirs)[:30]))}.",
            )
        if ours not in known and ours != NOT_USED:
            raise InputError(
                f"The mapping names {excerpt(ours)}, which is no column of the contract.",
                "`shelfwise columns` lists them.",
            )
    mapping |= {name: f"{name}_given" for name, ours in mapping.items() if ours == NOT_USED}
    if there := {new for name, new in mapping.items() if new == f"{name}_given"} & set(theirs):
        raise InputError(f"The data has a column {excerpt(min(there))} already.", "Rename it.")
    if len(set(mapping.values())) < len(mapping):
        raise InputError("The mapping gives two columns the same name.")
    found: dict[str, str] = {}
    taken = set(mapping.values()) | {n for n in theirs if n in known and n not in mapping}
    for tier in (lambda c: (c.name,), lambda c: c.aliases):
        for column in columns:
            if column.name in taken:
                continue
            free = [t for t in theirs if t not in mapping and t not in found and t not in known]
            names = {joined(name) for name in tier(column)}
            fitting = [t for t in free if joined(str(t)) in names]
            if len(fitting) > 1:
                raise InputError(
                    f"The columns {' and '.join(map(repr, fitting))} could both be {column.name}.",
                    f"Say which: columns={{{fitting[0]!r}: {column.name!r}}} or "
                    f"--map {fitting[0]}={column.name}.",
                )
            if fitting:
                found[fitting[0]] = column.name
                taken.add(column.name)
    return mapping | found, found
