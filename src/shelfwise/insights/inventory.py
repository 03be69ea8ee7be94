"""inventory(): what to reorder, how much and by when; what to clear; what stock earns and risks."""

from typing import Any

import numpy as np
import polars as pl

from shelfwise.analysis import Analysis
from shelfwise.insights import snapshot
from shelfwise.insights.actions import decided
from shelfwise.insights.decisions import (
    DECISION,
    PRODUCT,
    Quantity,
    Section,
    Withheld,
    checked,
    table,
)
from shelfwise.insights.deliveries import Receipts, read_receipts
from shelfwise.insights.evidence import Evidence
from shelfwise.insights.reordering import ordering, surplus
from shelfwise.insights.shelf import demand, rate_of_the_period, worth
from shelfwise.insights.stock_policy import USUAL, InventoryPolicy
from shelfwise.insights.wording import many

SNYDER = "L. Snyder, Z.-J. Shen 2019, Fundamentals of Supply Chain Theory"
CHOPRA = "S. Chopra, P. Meindl, Supply Chain Management"
COVERED = "lead_time_days + review_days"
NB = f"of the negative binomial demand over {COVERED}"
COLUMNS: tuple[Quantity, ...] = (
    *PRODUCT,
    Quantity("category", "", "What kind of product it is.", kind=pl.String),
    Quantity("supplier", "", "Who delivers it.", kind=pl.String),
    Quantity("stock", "units", "On hand."),
    Quantity("on_order", "units", "Ordered and not yet received; none where it is not given."),
    Quantity("daily_demand", "units a day", "What is expected to sell.",
             "units_per_week of the forecast / 7"),
    Quantity("demand_basis", "", "What it is known from: forecast, last 13 weeks, 13 weeks "
             "before sold out, or the period of a snapshot.", kind=pl.String),
    Quantity("days_of_supply", "days", "How long the stock on hand lasts; null without demand.",
             "stock / daily_demand"),
    Quantity("runs_out", "day", "When it is gone, at the expected demand.",
             "as_of + days_of_supply", kind=pl.Date),
    Quantity("sell_through", "share, 0 to 1", "Sold, of what was sold and what is on hand.",
             "units_sold / (units_sold + stock)"),
    Quantity("sell_through_received", "share", "Sold, of what was received in the period; above 1 "
             "where older stock was sold too.", "units_sold / units received"),
    Quantity("stock_turn", "times a year", "How often the stock is sold in a year; approximate, "
             "since the stock is that of one day.",
             "unit_cost * units_sold * 365 / period_days / (unit_cost * stock)"),
    Quantity("gmroi", "money a year", "Gross margin for each unit of money in stock; approximate, "
             "since the stock is that of one day.",
             "(revenue - unit_cost * units_sold) * 365 / period_days / (unit_cost * stock)"),
    Quantity("stock_money", "money", "What the stock is worth, see stock_basis.",
             "stock * unit_cost, or * price where the cost is not known"),
    Quantity("stock_basis", "", "What money in stock is counted at: cost or price.",
             kind=pl.String),
    Quantity("lead_time_demand", "units", "Expected to sell from now until an order of the next "
             "review arrives.", f"daily_demand * ({COVERED})"),
    Quantity("service_level", "share, 0 to 1", "How probable it shall be that stock lasts.",
             "by ABC class; or p / (p + h), p the margin of a unit, h what it costs to keep it "
             "from one review to the next", SNYDER),
    Quantity("reorder_point", "units", "On hand and on order below this, it is time to order.",
             f"service_level quantile {NB}, variance L s² + 0.05 L² s² + d² sL²"),
    Quantity("safety_stock", "units", "What is held beyond the expected demand.",
             "reorder_point - lead_time_demand"),
    Quantity("cycle_service", "share, 0 to 1", "How probable it is that the reorder point is "
             "enough.", "P(lead-time demand <= reorder_point)", CHOPRA),
    Quantity("fill_rate", "share, 0 to 1", "Share of demand met from the shelf with orders of "
             "the usual size.", "1 - (ESC(reorder_point) - ESC(reorder_point + Q)) / Q, Q a review "
             "period's demand or the economic quantity, in packs; for a large Q it is 1 - ESC / Q",
             CHOPRA),
    Quantity("stockout_risk", "share, 0 to 1", "How probable it is that it runs out before an "
             "order of the next review arrives.", f"P(demand > stock + on_order), {NB}"),
    Quantity("order_quantity", "units", "What to order now; null where nothing is.",
             "max(reorder_point - stock - on_order, daily_demand * review_days, "
             "sqrt(2 order_cost D / h), min_order_qty) in whole packs", SNYDER),
    Quantity("packs", "packs", "The same in packs; null where no pack size is given.",
             "order_quantity / pack_size"),
    Quantity("order_money", "money", "What the order costs; null where the cost is not known.",
             "order_quantity * unit_cost"),
    Quantity("order_by", "day", "The last day on which an order keeps the service level.",
             "last day t with P(demand over t + lead time <= stock + on_order) >= service_level, "
             "today where there is none", kind=pl.Date),
    Quantity("overstock_units", "units", "More than is likely to sell; dead stock is not counted.",
             "stock - max(0.95 quantile of the demand over max(overstock_days, lead time + "
             "review), reorder_point + demand of a review period)"),
    Quantity("overstock_money", "money", "What these are worth, see stock_basis.",
             "overstock_units * unit_cost, or * price"),
    Quantity("dead", "", "Whether the stock is dead: nothing is sold, and that is no chance.",
             "stock > 0, no sale for max(dead_days, 3 intervals between sales), "
             "(1 - 1 / interval)^weeks < dead_chance", kind=pl.Boolean),
    Quantity("dead_money", "money", "What dead stock is worth, see stock_basis."),
    Quantity("lost_units", "units", "Not sold in the weeks out of stock of the last year.",
             "units a week in stock * weeks out of stock - units sold in them"),
    Quantity("lost_money", "money", "The margin of these; price where the cost is not known.",
             "lost_units * (price - unit_cost)"),
    Quantity("same_weeks_last_year", "units", "What the coming overstock_days sold a year ago."),
    *DECISION,
)  # fmt: skip


def inventory(
    source: Analysis | Evidence,
    policy: InventoryPolicy = USUAL,
    *,
    receipts: Any = None,
    out_of_stock: Any = None,
    **evidence: Any,
) -> Section:
    """What to reorder, how much and by when, and what to clear; for each product.

    Reorder where stock on hand and on order is below the reorder point; clear what is dead, or
    more than is likely to sell. Discontinued products run out, new ones are watched. Where no
    dates are known, two rules for a snapshot stand in, named as such.

    Args:
        source: What `analyze` gave, of order lines best, or evidence.
        policy: See `InventoryPolicy`.
        receipts: Deliveries, see `read_receipts`; those of the period count.
        out_of_stock: Days on which products could not be bought, see `weekly`: such weeks say
            nothing of demand, and what was lost in them is told. Forecasts are made anew.
        evidence: Of `Evidence.of`: weeks, as_of, period_days, given.

    Raises:
        InputError: A setting is outside its limits, or a product stands in several rows.

    Example:
        >>> import shelfwise
        >>> lamps = shelfwise.analyze([
        ...     {"product_id": 1, "name": "Lamp", "price": 20, "units_sold": 150, "stock": 30},
        ...     {"product_id": 2, "name": "Shade", "price": 9, "units_sold": 4, "stock": 90}])
        >>> inventory(lamps).rows.select("name", "action").rows()
        [('Lamp', 'reorder'), ('Shade', 'clear')]
    """
    policy = checked(policy)
    known = Evidence.of(source, **evidence)
    if out_of_stock is not None:
        known = known.without(out_of_stock)
    dated = known.weeks is not None or known.forecasts is not None
    read = None if receipts is None else read_receipts(receipts, known.ids, known.as_of)
    values = worth(known, read)
    if dated:
        found = demand(known, round(policy.overstock_days / 7))
        values |= ordering(known, policy, found, values)
        values |= surplus(known, policy, found, values)
    else:
        values |= rate_of_the_period(known)
    values |= decided(known, policy, values, dated)
    names = {column.name for column in COLUMNS}
    rows = table(COLUMNS, {name: given for name, given in values.items() if name in names})
    return Section(
        "inventory",
        COLUMNS,
        rows,
        (
            *_withheld(known, policy, rows, dated, read is not None),
            *([] if dated else snapshot.unsaid(values["fits"], rows["action"])),
        ),
        _assumptions(known, policy, rows, dated, read),
        _summary(known, rows),
    )


def stocked(known: Evidence, policy: InventoryPolicy | None = None) -> pl.DataFrame:
    """The rows of `inventory`, in the order of the products; those given, without a policy."""
    given = known.given.get("inventory")
    if given is None or policy is not None:
        return inventory(known, policy or USUAL).rows
    return known.of_products(given, *(name for name in given.columns if name != "product_id"))


NEEDS_DATES = "order lines with dates (from_sales)"


def _withheld(
    known: Evidence, policy: InventoryPolicy, rows: pl.DataFrame, dated: bool, receipts: bool
) -> tuple[Withheld, ...]:
    """What is not told, and what would tell it."""
    missing = {name: rows[name].null_count() for name in ("stock", "reorder_point", "daily_demand")}
    unknown = int(np.isnan(known.number("lead_time_days")).sum())
    told: list[Withheld] = []
    if not dated:
        told.append(
            Withheld(
                "dates, reorder points, quantities, risks, overstock, dead stock",
                "the products are a snapshot without dates, so only two rules are applied: "
                "sells out within the period at its rate, more than four periods of stock",
                NEEDS_DATES,
            )
        )
        if not known.period_days:
            told.append(
                Withheld(
                    "demand a day, days of supply, turns, GMROI",
                    "how long the units took to sell is not known",
                    "the period of the analysis (period_days)",
                )
            )
    if missing["stock"]:
        told.append(
            Withheld(
                "decisions on stock",
                f"the stock of {many(missing['stock'], 'product')} is not known",
                "a column stock",
            )
        )
    if dated and unknown and policy.lead_time_days is None:
        told.append(
            Withheld(
                "reorder point, order quantity and risk",
                f"the lead time of {many(unknown, 'product')} is not known",
                "lead_time_days, as a column or as a setting",
            )
        )
    if dated and missing["daily_demand"]:
        told.append(
            Withheld(
                "cover and orders",
                many(missing["daily_demand"], "product has", "products have")
                + " no week on sale that tells the demand",
                "weeks of sales, or more of them",
            )
        )
    if costless := int(np.isnan(known.number("unit_cost")).sum()):
        told.append(
            Withheld(
                "turns, GMROI, margin at stake, what orders cost",
                f"the cost of {many(costless, 'product')} is not known; money of these is at price",
                "unit_cost",
            )
        )
    if dated and rows["lost_units"].null_count() == rows.height:
        told.append(
            Withheld(
                "lost sales",
                "it is not known when products were out of stock",
                "out_of_stock: product_id and date of days out of stock",
            )
        )
    if not receipts:
        told.append(Withheld("sell-through of what was received", "no deliveries are known",
                             "receipts"))  # fmt: skip
    return tuple(told)


def _assumptions(
    known: Evidence,
    policy: InventoryPolicy,
    rows: pl.DataFrame,
    dated: bool,
    receipts: Receipts | None,
) -> tuple[str, ...]:
    """What the numbers rest on that nobody measured."""
    told = ["Turns and GMROI take the stock of one day for the average of the year."]
    if receipts is not None and receipts.aside.height:
        told.append(
            many(
                receipts.aside.height,
                "receipt that cannot be used is",
                "receipts that cannot be used are",
            )
            + " left out."
        )
    if not dated:
        return tuple(told)
    told += [
        "The demand is level: it knows no season and no trend; same_weeks_last_year stands beside.",
        "What is on order arrives within its lead time.",
        f"Orders are looked at every {_days(policy.review_days)}.",
    ]
    bases = rows["demand_basis"]
    for basis in ("last 13 weeks", "13 weeks before sold out"):
        if some := int((bases == basis).sum()):
            told.append(f"The demand of {many(some, 'product')} is the mean of the {basis}.")
    unknown = np.isnan(known.number("lead_time_days"))
    if unknown.any() and policy.lead_time_days is not None:
        told.append(many(int(unknown.sum()), "product is", "products are")
                    + f" taken to arrive after {_days(policy.lead_time_days)}.")  # fmt: skip
    certain = int(np.isnan(known.number("lead_time_sd")).sum())
    if certain and policy.lead_time_sd is None:
        told.append(
            many(
                certain,
                "product has no lead_time_sd: it is",
                "products have no lead_time_sd: they are",
            )
            + " taken to be on time."
        )
    elif certain:
        told.append(f"The lead time of {many(certain, 'product')} is taken to have a standard "
                    f"deviation of {_days(policy.lead_time_sd)}.")  # fmt: skip
    if not known.has("on_order"):
        told.append("Nothing is taken to be on order: no product has on_order.")
    if policy.service == "cost" or policy.order_cost is not None:
        told.append(f"Keeping a unit for a year costs {policy.holding_share:.0%} of its cost.")
    return tuple(told)


def _days(number: float | None) -> str:
    return f"{number:g} {'day' if number == 1 else 'days'}"


def _summary(known: Evidence, rows: pl.DataFrame) -> dict[str, Any]:
    """The few figures of the whole."""
    counts = dict(rows.drop_nulls("action").group_by("action").len().sort("action").iter_rows())
    # What no row tells is not nothing.
    sums = {n: float(rows[n].sum()) if rows[n].count() else None
            for n in ("stock_money", "overstock_money", "dead_money", "order_money",
                      "lost_money")}  # fmt: skip
    at_stake = float(rows.filter(action="reorder")["money"].sum())
    at_price = int((rows["stock_basis"] == "price").sum())
    return {"as_of": known.as_of, "products": rows.height, **counts, **sums,
            "at_stake": at_stake, "valued_at_price": at_price}  # fmt: skip
