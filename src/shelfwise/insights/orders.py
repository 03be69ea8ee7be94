"""orders(): what to order from whom, whether that meets its minimum, and where cash goes first."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.analysis import Analysis
from shelfwise.columns import Column
from shelfwise.engines.failures import failures
from shelfwise.errors import InputError, excerpt
from shelfwise.insights.decisions import (
    DECISION,
    PRODUCT,
    Quantity,
    Section,
    Withheld,
    checked,
    table,
)
from shelfwise.insights.evidence import Evidence, Floats
from shelfwise.insights.inventory import inventory
from shelfwise.insights.stock_policy import USUAL, StockSettings
from shelfwise.insights.wording import many, money
from shelfwise.sales.reading import collected, opened

Mask = NDArray[np.bool_]

SUPPLIERS = (
    Column("supplier", "text", "Who delivers.", "minimum orders", required=True,
           aliases=("vendor", "supplier_name", "vendor_name")),
    Column("min_order_value", "number", "Smallest order that is taken.", "minimum orders",
           unit="money", required=True, low=0, aliases=("minimum_order", "min_order")),
)  # fmt: skip
"""The contract of suppliers: a row is one of them."""


class OrdersPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What orders may cost, and what they must."""

    cash: (
        Annotated[float, msgspec.Meta(description="Money that all orders together may cost.", gt=0)]
        | None
    ) = None
    min_order_value: Annotated[
        float,
        msgspec.Meta(description="Smallest order, of suppliers that tell none.", ge=0),
    ] | None = None  # fmt: skip
    inventory: StockSettings = None


NO_LIMIT = OrdersPolicy()
COLUMNS: tuple[Quantity, ...] = (
    *PRODUCT,
    Quantity("supplier", "", "Who delivers it.", kind=pl.String),
    Quantity("order_quantity", "units", "What it needs, see inventory."),
    Quantity("packs", "packs", "The same in packs."),
    Quantity("order_money", "money", "What that costs.", "order_quantity * unit_cost"),
    Quantity("stockout_risk", "share, 0 to 1", "How probable it is that it runs out, see "
             "inventory."),
    Quantity("at_stake", "money", "Margin that is lost on average if it is not ordered: the risk "
             "times the margin of the units that are then missing.",
             "expected shortage * (price - unit_cost)"),
    Quantity("place", "", "When its turn comes: the most at stake for the money first.",
             "rank of at_stake / order_money", kind=pl.Int64),
    Quantity("supplier_money", "money", "What all that is to be ordered from the supplier costs."),
    Quantity("supplier_minimum", "money", "The supplier's smallest order."),
    Quantity("minimum_met", "", "Whether the order is large enough; null where nobody can tell.",
             "supplier_money >= supplier_minimum", kind=pl.Boolean),
    *DECISION,
)  # fmt: skip


def orders(
    source: Section | Analysis | Evidence,
    policy: OrdersPolicy = NO_LIMIT,
    *,
    suppliers: Any = None,
    **evidence: Any,
) -> Section:
    """Order proposals: a row for each product to be ordered, suppliers together.

    Without a limit all is ordered; an order below its supplier's minimum is said to be. With
    one, cash goes where most margin is at stake for it, and to no order that stays below its
    minimum.

    Args:
        source: What `inventory` gave or takes.
        policy: See `OrdersPolicy`; its `inventory` counts where the source is no answer of
            `inventory` yet.
        suppliers: A frame, a file, a table or a list of dicts with supplier and
            min_order_value.
        evidence: The same.

    Raises:
        InputError: A setting is outside its limits, or a supplier stands there twice.
    """
    policy = checked(policy)
    if not isinstance(source, Section):
        source = inventory(source, policy.inventory or USUAL, **evidence)
    lines = source.rows.filter(pl.col("action") == "reorder")
    lines = _minimum(lines, suppliers, policy)
    cost, stake, minimum = (_floats(lines[n]) for n in ("order_money", "money", "supplier_minimum"))
    chosen, below = np.ones(lines.height, dtype=bool), np.zeros(lines.height, dtype=bool)
    if policy.cash is not None:
        of = lines["supplier"].fill_null("").rank("dense").cast(pl.Int64).to_numpy() - 1
        chosen, below = within(policy.cash, cost, stake, of, minimum)
    lines = lines.with_columns(chosen=pl.Series(chosen), below=pl.Series(below))
    told = _told(lines).sort("supplier", "place", nulls_last=True)
    rows = table(COLUMNS, told.select(column.name for column in COLUMNS).to_dict())
    return Section(
        "orders",
        COLUMNS,
        rows,
        _withheld(source, policy, rows),
        source.assumptions,
        _summary(rows, policy),
    )


def _told(lines: pl.DataFrame) -> pl.DataFrame:
    """The columns of the answer, from the orders and whether they are chosen."""
    cost, money, minimum = pl.col("order_money"), pl.col("supplier_money"), "supplier_minimum"
    spent = pl.when("chosen").then(cost).sum().over("supplier")
    unpriced = (pl.col("chosen") & cost.is_null()).any().over("supplier")
    worth = pl.when(cost > 0).then(pl.col("money") / cost)
    return lines.with_columns(
        at_stake="money",
        place=worth.fill_null(0).rank("ordinal", descending=True),
        supplier_money=spent,
        action=pl.when("chosen").then("action"),
        amount=pl.when("chosen").then("amount"),
    ).with_columns(
        minimum_met=pl.when(money >= pl.col(minimum)).then(True)
        .when(~(unpriced | pl.col(minimum).is_null())).then(False)
    ).with_columns(reason=_reason())  # fmt: skip


def _withheld(source: Section, policy: OrdersPolicy, rows: pl.DataFrame) -> tuple[Withheld, ...]:
    """What the orders do not tell: that of the inventory, costs, minimums."""
    told = [one for one in source.withheld if "lead time" in one.why or "snapshot" in one.why]
    if unpriced := rows["order_money"].null_count():
        what = "minimum orders" if policy.cash is None else "minimum orders, orders for the cash"
        told.append(Withheld(what, f"the cost of {many(unpriced, 'order')} is not known",
                             "unit_cost and lead_time_days"))  # fmt: skip
    if rows["supplier_minimum"].null_count():
        told.append(Withheld("whether minimum orders are met", "some suppliers tell none",
                             "suppliers with min_order_value"))  # fmt: skip
    return tuple(told)


def within(
    cash: float, cost: Floats, stake: Floats, supplier: NDArray[np.int64], minimum: Floats
) -> tuple[Mask, Mask]:
    """Which orders to place so that much margin at stake is saved for no more than the cash.

    Orders are taken by what is at stake for the money, and once more by what is at stake
    alone; the better of the two counts. Suppliers whose order stays below their minimum
    are left out, those with least at stake first, and the rest is chosen anew.

    Args:
        cash: What all together may cost.
        cost: Of each order; NaN is never chosen.
        stake: What is lost without it.
        supplier: A number from 0 for each order.
        minimum: The smallest sum of its supplier; NaN for none.

    Returns:
        Which orders are chosen; and which belong to a supplier that was left out.

    Example:
        >>> import numpy as np
        >>> cost, stake = np.array([60.0, 50.0, 40.0]), np.array([70.0, 50.0, 45.0])
        >>> within(100, cost, stake, np.array([0, 1, 2]), np.full(3, np.nan))[0].tolist()
        [True, False, True]
    """
    count = int(supplier.max(initial=-1)) + 1
    smallest, left_out = np.zeros(count), np.zeros(count, dtype=bool)
    smallest[supplier] = np.nan_to_num(minimum)
    while True:
        chosen = _best(cash, cost, stake, (stake > 0) & (cost >= 0) & ~left_out[supplier])
        sums = np.bincount(supplier, np.where(chosen, cost, 0.0), count)
        failing = np.flatnonzero((sums > 0) & (sums < smallest))
        if not len(failing):
            return chosen, left_out[supplier]
        saved = np.bincount(supplier, np.where(chosen, stake, 0.0), count)[failing]
        left_out[failing[np.argsort(saved, kind="stable")[: -(-len(failing) // 2)]]] = True


def _best(cash: float, cost: Floats, stake: Floats, open_: Mask) -> Mask:
    with np.errstate(divide="ignore", invalid="ignore"):
        worth = np.where(cost > 0, stake / cost, np.inf)
    one, other = (
        _greedy(cash, cost, np.flatnonzero(open_)[np.argsort(-by[open_], kind="stable")])
        for by in (worth, stake)
    )
    return one if stake[one].sum() >= stake[other].sum() else other


def _greedy(cash: float, cost: Floats, order: NDArray[np.int64]) -> Mask:
    """Take what still fits, in this order; whole runs of what fits at a time."""
    chosen, left = np.zeros(len(cost), dtype=bool), cash
    while len(order):
        sums = np.cumsum(cost[order])
        fits = int(np.searchsorted(sums, left + 1e-9, side="right"))
        chosen[order[:fits]] = True
        left -= float(sums[fits - 1]) if fits else 0.0
        rest = order[fits:]
        order = rest[cost[rest] <= left + 1e-9]
    return chosen


def _floats(column: pl.Series) -> Floats:
    return np.asarray(column.cast(pl.Float64).fill_null(np.nan).to_numpy(), dtype=np.float64)


def _minimum(lines: pl.DataFrame, suppliers: Any, policy: OrdersPolicy) -> pl.DataFrame:
    """The orders with the smallest one that their supplier takes; null where nobody tells."""
    usual = pl.when(pl.col("supplier").is_not_null()).then(
        pl.lit(policy.min_order_value, dtype=pl.Float64)
    )
    if suppliers is None:
        return lines.with_columns(supplier_minimum=usual)
    known = _read(suppliers)
    joined = lines.join(known, on="supplier", how="left", maintain_order="left")
    return joined.with_columns(pl.col("supplier_minimum").fill_null(usual))


def _read(suppliers: Any) -> pl.DataFrame:
    """supplier and supplier_minimum, checked."""
    with failures(suppliers):
        frame = opened(suppliers, None, SUPPLIERS)
        names = frame.collect_schema().names()
        if missing := {column.name for column in SUPPLIERS} - set(names):
            raise InputError(f"The suppliers have no column {min(missing)}.",
                             "They have supplier and min_order_value.")  # fmt: skip
        given = collected(frame.select(*(column.name for column in SUPPLIERS)))
    named = pl.col("supplier").cast(pl.String).str.strip_chars()
    least = pl.col("min_order_value").cast(pl.Float64, strict=False).fill_nan(None)
    known = given.select(named, "min_order_value", supplier_minimum=least)
    twice = known.filter(pl.col("supplier").is_duplicated())
    if twice.height:
        raise InputError(f"Supplier {excerpt(twice['supplier'][0])} stands there twice.",
                         "Give each one minimum.")  # fmt: skip
    text = pl.col("min_order_value").cast(pl.String).str.strip_chars()
    unreadable = pl.col("supplier_minimum").is_null() & (text.fill_null("") != "")
    wrong = known.filter(unreadable | (pl.col("supplier_minimum") < 0)).head(1)
    if wrong.height:
        name, value = wrong.select("supplier", "min_order_value").row(0)
        raise InputError(f"The min_order_value of {excerpt(name)} is {excerpt(value)}.",
                         "Give money, 0 or more, or leave it empty.")  # fmt: skip
    return known.select("supplier", "supplier_minimum")


def _reason() -> pl.Expr:
    """The reason of the inventory, and what the supplier's minimum or the cash make of it."""
    short = pl.format(
        "the order to {} is {}, below its minimum of {}", "supplier",
        money(pl.col("supplier_money")),
        money(pl.col("supplier_minimum")),
    )  # fmt: skip
    more = (
        pl.when(pl.col("chosen") & ~pl.col("minimum_met")).then(short)
        .when("chosen").then(None)
        .when(pl.col("order_money").is_null())
        .then(pl.lit("waits: what it costs is not known"))
        .when("below")
        .then(pl.lit("waits: what the cash allows to order from its supplier is below the minimum"))
        .when(pl.col("at_stake") > 0)
        .then(pl.lit("waits: the cash goes to orders with more at stake for the money"))
        .otherwise(pl.lit("waits: no margin is at stake"))
    )  # fmt: skip
    return pl.concat_str("reason", more, separator="; ", ignore_nulls=True)


def _summary(rows: pl.DataFrame, policy: OrdersPolicy) -> Mapping[str, Any]:
    """What is ordered from whom, and what waits."""
    placed = rows.drop_nulls("action")
    by = placed.group_by("supplier").agg(
        products=pl.len(), units=pl.col("amount").sum(), money=pl.col("order_money").sum(),
        minimum=pl.col("supplier_minimum").first(), minimum_met=pl.col("minimum_met").first(),
        order_by=pl.col("date").min(), at_stake=pl.col("at_stake").sum(),
    ).sort("at_stake", "supplier", descending=[True, False])  # fmt: skip
    return {
        "orders": placed.height,
        "waiting": rows.height - placed.height,
        "money": float(placed["order_money"].sum()),
        "cash": policy.cash,
        "at_stake": float(placed["at_stake"].sum()),
        "suppliers": by.to_dicts(),
    }
