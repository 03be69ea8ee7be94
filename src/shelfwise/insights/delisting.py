"""delisting(): what goes and what comes back if some products are taken out of the range."""

from typing import Annotated, Any

import msgspec
import polars as pl

from shelfwise.analysis import Analysis
from shelfwise.insights.decisions import (
    PRODUCT,
    Quantity,
    Section,
    Withheld,
    checked,
    must_be_scored,
    setting,
    table,
)
from shelfwise.insights.evidence import Evidence
from shelfwise.insights.portfolio import PortfolioPolicy, portfolio
from shelfwise.insights.wording import many


class DelistingPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which products are taken out, and what others are assumed to take over."""

    products: Annotated[
        Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] | None,
        setting("Ids of the products; if not given, those that the portfolio proposes to delist."),
    ] = None
    transfer: Annotated[
        Annotated[float, msgspec.Meta(ge=0, le=1)] | None,
        setting(
            "The share of their sales that other products are assumed to take over; nothing here "
            "estimates it. If not given, that of the portfolio."
        ),
    ] = None
    portfolio: Annotated[
        PortfolioPolicy | None,
        setting(
            "By which settings products are proposed. If not given, those that the portfolio of "
            "the run was made with, else the usual ones."
        ),
    ] = None


USUAL = DelistingPolicy()
COLUMNS: tuple[Quantity, ...] = (
    *PRODUCT,
    Quantity("revenue_at_risk", "money, in the period", "Revenue that goes.",
             "revenue * (1 - transfer)"),
    Quantity("margin_at_risk", "money, in the period", "Margin that goes; below 0 it is a gain.",
             "margin * (1 - transfer)"),
    Quantity("units_at_risk", "units, in the period", "Units that nobody sells any more.",
             "units_sold * (1 - transfer)"),
    Quantity("stock", "units", "On hand: what there is to sell off."),
    Quantity("stock_freed", "money", "What its stock ties up.",
             "stock * unit_cost, else stock * price"),
    Quantity("stock_basis", "", "What the stock is counted at: cost or price.", kind=pl.String),
    Quantity("revenue_kept", "money, in the period", "Revenue that other products take over.",
             "revenue * transfer"),
    Quantity("margin_kept", "money, in the period", "Margin that other products take over.",
             "margin * transfer"),
    Quantity("units_kept", "units, in the period", "Units that other products take over.",
             "units_sold * transfer"),
    Quantity("category", "", "What kind of product it is.", kind=pl.String),
    Quantity("abc", "", "A, B, C, or N for what earned nothing: see portfolio.", kind=pl.String),
    Quantity("proposed", "", "Whether the portfolio proposes to delist it.", kind=pl.Boolean),
    Quantity("reason", "", "Why it proposes that; null where it does not.", kind=pl.String),
)  # fmt: skip


def delisting(
    source: Analysis | Evidence, policy: DelistingPolicy = USUAL, **evidence: Any
) -> Section:
    """What goes and what comes back if these products are taken out of the range.

    Args:
        source: What `analyze` gave, or evidence.
        policy: `products` names them; `transfer` is the share of their sales that others are
            assumed to take over.
        evidence: For `Evidence.of`.

    Returns:
        A row for each of these products. `summary` has revenue, margin and units at risk, what
        other products take over of them, the stock freed, and categories left empty.

    Raises:
        NotFoundError: A product is not among those that were scored.

    Example:
        >>> from shelfwise import analyze
        >>> rows = [{"product_id": n, "name": f"Tea {n}", "price": 2.0, "units_sold": 10 * n,
        ...          "stock": 5, "unit_cost": 1.5} for n in (1, 2, 3)]
        >>> found = delisting(analyze(rows), DelistingPolicy(products=("1", "2"))).summary
        >>> found["revenue_at_risk"], found["margin_at_risk"], found["stock_freed"]
        (60.0, 15.0, 15.0)
    """
    policy = checked(policy)
    known = Evidence.of(source, **evidence)
    rules = policy.portfolio or PortfolioPolicy()
    transfer = rules.transfer if policy.transfer is None else policy.transfer
    whole = portfolio(known, msgspec.structs.replace(rules, transfer=transfer))
    goes = whole.rows["action"].eq_missing("delist")
    if policy.products is not None:
        must_be_scored(policy.products, known.products["product_id"])
        goes = whole.rows["product_id"].is_in(policy.products)
    facts = whole.rows.with_columns(
        pl.Series("units", known.number("units_sold")).fill_nan(None),
        pl.Series("stock", known.number("stock")).fill_nan(None),
        pl.Series("coming", known.number("on_order")).fill_nan(None),
        proposed=pl.col("action").eq_missing("delist"),
    ).with_columns(
        units_at_risk=pl.col("units") * (1 - transfer),
        **{f"{name}_kept": pl.col(name) * transfer for name in ("revenue", "margin", "units")},
    )
    chosen, left = facts.filter(goes), facts.filter(~goes)
    rows = table(COLUMNS, {column.name: chosen[column.name] for column in COLUMNS})
    return Section(
        "delisting", COLUMNS, rows, _withheld(whole, policy),
        _assumptions(chosen, known, transfer), _summary(chosen, left, known),
    )  # fmt: skip


def _withheld(whole: Section, policy: DelistingPolicy) -> tuple[Withheld, ...]:
    """What the portfolio withholds, as far as this rests on it."""
    names = {"margin", "stock freed"}
    if policy.products is None:
        names.add("delisting of what falls or no longer sells")
    return tuple(one for one in whole.withheld if one.what in names)


def _assumptions(chosen: pl.DataFrame, known: Evidence, transfer: float) -> tuple[str, ...]:
    if chosen.is_empty():
        return ()
    taken = f"{transfer:.0%} of the sales of a delisted product go to other products"
    told = [f"{taken}: assumed, not estimated."]
    if transfer:
        told.append("What other products take over is counted at the price and the margin of "
                    "the product that goes.")  # fmt: skip
    days = f" of {known.period_days:,.0f} days" if known.period_days else ""
    told.append(f"Revenue, margin and units are those of the period{days}: the next one is taken "
                "to be like it.")  # fmt: skip
    if chosen["stock_freed"].is_not_null().any():
        told.append("Stock freed is what lies there at cost; sold off cheaply it brings less.")
    if n := chosen.filter(pl.col("stock_basis") == "price").height:
        told.append(f"Stock of {many(n, 'product')} is at price: unit_cost is not known.")
    if coming := chosen["coming"].sum():
        told.append(f"{many(round(coming), 'unit is', 'units are')} on order, and not counted: "
                    "cancel the order, or there is more to sell off.")  # fmt: skip
    return tuple(told)


def _summary(chosen: pl.DataFrame, left: pl.DataFrame, known: Evidence) -> dict[str, Any]:
    def total(name: str, rows: pl.DataFrame = chosen) -> float | None:
        """The sum of what is known; None where nothing is known of any product."""
        unknown = rows.height and rows[name].null_count() == rows.height
        return None if unknown else float(rows[name].sum())

    emptied = set(chosen["category"].drop_nulls()) - set(left["category"])
    at = ("revenue", "margin", "units")
    return {
        "products": chosen.height,
        "products_left": left.height,
        **{f"{name}_at_risk": total(f"{name}_at_risk") for name in at},
        **{f"{name}_kept": total(f"{name}_kept") for name in at},
        "margin_known_of": chosen["margin"].count(),
        "stock_units": total("stock"),
        "stock_freed": total("stock_freed"),
        "stock_freed_at_cost": total("stock_freed", chosen.filter(stock_basis="cost")),
        "stock_known_of": chosen["stock"].count(),
        "categories_emptied": sorted(emptied),
        "period_days": known.period_days,
    }
