"""The portfolio: which part each product plays, where revenue hangs on few, what to take out."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import polars as pl

from shelfwise.analysis import Analysis
from shelfwise.errors import InputError
from shelfwise.insights.assortment import abc, band_cuts, bands, concentrated
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
from shelfwise.insights.roles import (
    LIFECYCLE,
    QUADRANTS,
    delisted,
    demand,
    growth_share,
    lives,
)
from shelfwise.insights.stock_policy import StockSettings
from shelfwise.insights.wording import many

Measure = Literal["revenue", "gross_margin", "units_sold"]


class PortfolioPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the portfolio goes by."""

    measure: Annotated[
        Measure,
        msgspec.Meta(
            description="What ABC classes and concentration "
            "are of: revenue, gross_margin or units_sold."
        ),
    ] = "revenue"
    x_cut: Annotated[
        float,
        msgspec.Meta(description="Weekly demand is X up to this coefficient of variation.", ge=0),
    ] = 0.5
    y_cut: Annotated[
        float, msgspec.Meta(description="It is Y up to this one, and Z beyond.", ge=0)
    ] = 1.0
    xyz_weeks: Annotated[
        int, msgspec.Meta(description="The last so many weeks count for XYZ.", ge=8)
    ] = 52
    share_cut: Annotated[
        float,
        msgspec.Meta(description="From this relative share on a product has a high share.", gt=0),
    ] = 1.0
    growth_cut: Annotated[
        float,
        msgspec.Meta(
            description="Above this growth a year a product grows; 0.1 is a tenth.", gt=-1
        ),
    ] = 0.0
    certainty: Annotated[
        float,
        msgspec.Meta(
            description="How probable growth must be above or below the cut for a quadrant.",
            gt=0.5,
            lt=1,
        ),
    ] = 0.8
    introduction_weeks: Annotated[
        int,
        msgspec.Meta(description="A product on sale for fewer weeks is in its introduction.", ge=1),
    ] = 26
    mature_weeks: Annotated[
        int, msgspec.Meta(description="So many weeks of flat sales make a product mature.", ge=52)
    ] = 104
    transfer: Annotated[float, msgspec.Meta(description="The share of a delisted product's sales "
        "that other products are assumed to take over; nothing here estimates it.",
        ge=0, le=1)] = 0.0  # fmt: skip
    inventory: StockSettings = None


USUAL = PortfolioPolicy()
HENDERSON = "B. Henderson 1970, The product portfolio"
COLUMNS: tuple[Quantity, ...] = (
    *PRODUCT,
    Quantity("category", "", "What it is compared within.", kind=pl.String),
    Quantity("revenue", "money, in the period", "What it brought in."),
    Quantity("margin", "money, in the period", "Revenue less what the units sold cost.",
             "revenue - unit_cost * units_sold"),
    Quantity("share", "share, 0 to 1", "Its part of the measure that ABC is of.",
             "value / sum of values above 0"),
    Quantity("abc", "", "A, B, C, or N for what earned nothing.",
             "A while strictly larger values hold less than 80% of the total, B less than 95%, "
             "else C", kind=pl.String),
    Quantity("weeks", "weeks", "Weeks of demand that XYZ is of: whole, since launch, in stock.",
             kind=pl.Int64),
    Quantity("weekly_cv", "", "How much weekly units vary; null below 8 weeks.",
             "standard deviation / mean of weekly units"),
    Quantity("xyz", "", "X even, Y with swings, Z unsteady.",
             "X: weekly_cv <= x_cut, Y: <= y_cut, else Z", kind=pl.String),
    Quantity("cell", "", "ABC and XYZ together.", kind=pl.String),
    Quantity("policy", "", "What the cell asks for.", kind=pl.String),
    Quantity("relative_share", "", "Its revenue against the strongest other of its category.",
             "revenue / largest revenue of the others in the category", HENDERSON),
    Quantity("growth", "share a year", "How much it grows in a year.", "see trends"),
    Quantity("growth_low", "share a year", "Lower end of the 95% interval."),
    Quantity("growth_high", "share a year", "Upper end of the 95% interval."),
    Quantity("p_growing", "share, 0 to 1", "How probable it is that it grows by more than the cut.",
             "Phi((log(1 + growth) - log(1 + growth_cut)) / s), s = (log(1 + growth_high) - "
             "log(1 + growth_low)) / 3.92"),
    Quantity("quadrant", "", f"{', '.join(QUADRANTS)}; null where growth is not known.",
             "high share: relative_share >= share_cut; grows: p_growing >= certainty; shrinks: "
             "p_growing <= 1 - certainty", HENDERSON, pl.String),
    Quantity("growth_reason", "", "What limits what is known of its growth.", kind=pl.String),
    Quantity("weeks_on_sale", "weeks", "Since launch_date, or since the first sale where that was "
             "a launch; null where nobody knows.",
             "as_of - launch; a first sale was one if (1 - 1 / interval)^(weeks before it) < 0.05, "
             "interval the mean weeks between sales since"),
    Quantity("lifecycle", "", ", ".join(LIFECYCLE), kind=pl.String),
    Quantity("lifecycle_reason", "", "What the stage rests on.", kind=pl.String),
    Quantity("price", "money per unit", "What a unit costs a customer."),
    Quantity("price_band", "", "low, middle or high within its category.",
             "low: at most the lower tercile, high: at least the upper one; both or neither: "
             "middle; null below 3 products", kind=pl.String),
    Quantity("revenue_at_risk", "money, in the period", "Revenue that goes if it is taken out.",
             "revenue * (1 - transfer)"),
    Quantity("margin_at_risk", "money, in the period", "Margin that goes if it is taken out; below "
             "0 it is a gain.", "margin * (1 - transfer)"),
    Quantity("stock_freed", "money", "What its stock ties up.",
             "stock * unit_cost, else stock * price"),
    Quantity("stock_basis", "", "What the stock is counted at: cost or price.", kind=pl.String),
    *DECISION,
)  # fmt: skip


def portfolio(
    source: Analysis | Evidence, policy: PortfolioPolicy = USUAL, **evidence: Any
) -> Section:
    """The part that each product plays in the range, and which to take out of it.

    Args:
        source: What `analyze` gave, or evidence.
        policy: Cut-offs and weeks; see `PortfolioPolicy`.
        evidence: For `Evidence.of`: weeks, as_of, period_days, given.

    Returns:
        A row a product, with `COLUMNS`. `summary` has the cut-offs, cells, quadrants, stages,
        price bands, and the concentration of the whole and of each category.

    Example:
        >>> from shelfwise import analyze
        >>> section = portfolio(analyze([
        ...     {"product_id": n, "name": f"Tea {n}", "price": 1.0, "units_sold": units,
        ...      "stock": 5} for n, units in enumerate((90, 5, 5))]))
        >>> section.rows["abc"].to_list()
        ['A', 'B', 'B']
        >>> print(section.withheld[3])
        growth-share map: without dates nobody knows what grows. It needs order lines.
    """
    policy = _fitting(checked(policy))
    known = Evidence.of(source, **evidence)
    withheld: list[Withheld] = []
    revenue, units, cost = (known.number(n) for n in ("revenue", "units_sold", "unit_cost"))
    margin = revenue - cost * units
    measured = {"revenue": revenue, "gross_margin": margin, "units_sold": units}
    value = measured[policy.measure]
    if np.isnan(value).all() and known.height:
        raise InputError(
            f"No product has a {policy.measure}.", "Give unit_cost, or choose another measure."
        )
    stock, price = known.number("stock"), known.number("price")
    if not known.has("unit_cost"):
        withheld.append(Withheld("margin", "what the products cost is not known", "unit_cost"))
    if not known.has("stock"):
        withheld.append(Withheld("stock freed", "what lies in stock is not known", "stock"))
    at = np.where(np.isnan(cost), price, cost)
    values: dict[str, Any] = {
        "product_id": known.ids,
        "name": known.text("name"),
        "category": known.text("category"),
        "revenue": revenue,
        "margin": margin,
        "share": value / max(float(np.nansum(value[value > 0])), np.finfo(float).tiny),
        "abc": abc(value),
        "price": price,
        "price_band": bands(price, known.text("category")),
        "revenue_at_risk": revenue * (1 - policy.transfer),
        "margin_at_risk": margin * (1 - policy.transfer),
        "stock_freed": stock * at,
        "stock_basis": pl.select(
            pl.when(pl.Series(np.isnan(stock))).then(None)
            .when(pl.Series(np.isnan(cost))).then(pl.lit("price")).otherwise(pl.lit("cost"))
        ).to_series(),
    }  # fmt: skip
    values |= demand(known, policy, values["abc"], withheld)
    values |= growth_share(known, policy, revenue, withheld)
    facts, stages = lives(known, policy, withheld)
    values |= stages
    values |= delisted(known, facts, values, withheld)
    rows = table(COLUMNS, values)
    return Section(
        "portfolio", COLUMNS, rows, tuple(withheld), _assumptions(policy),
        _summary(known, policy, rows, measured),
    )  # fmt: skip


def _fitting(policy: PortfolioPolicy) -> PortfolioPolicy:
    if policy.x_cut > policy.y_cut:
        raise InputError(
            f"x_cut is {policy.x_cut:g} and y_cut {policy.y_cut:g}.", "x_cut is at most y_cut."
        )
    return policy


def _assumptions(policy: PortfolioPolicy) -> tuple[str, ...]:
    taken = f"{policy.transfer:.0%} of the sales of a delisted product go to other products"
    return (
        f"{taken}: assumed, not estimated.",
        "Relative share compares with our own products; the market's share is not known.",
        "The probability of growth takes its logarithm as normal within the 95% interval.",
    )


def _summary(
    known: Evidence, policy: PortfolioPolicy, rows: pl.DataFrame, measured: Mapping[str, Floats]
) -> dict[str, Any]:
    value = measured[policy.measure]
    whole = concentrated(value)
    told = None
    if whole["top"]:
        hold = "holds" if whole["top"] == 1 else "hold"
        told = f"{whole['top']:,} of {many(known.height, 'product')} {hold} "
        told += f"{whole['top_share']:.0%} of {policy.measure}"
    groups = rows.select("category").with_columns(value=pl.Series(value).fill_nan(None))
    groups = groups.filter(pl.col("category").is_not_null())
    each = [
        {"category": name, "products": group.height, policy.measure: group["value"].sum()}
        | concentrated(np.asarray(group["value"].fill_null(0.0).to_numpy(), dtype=np.float64))
        for (name,), group in sorted(groups.partition_by("category", as_dict=True).items())
    ]
    cells = rows.group_by("cell", "policy").agg(products=pl.len(), revenue=pl.col("revenue").sum())
    banded = {
        f"revenue_{band}": pl.col("revenue").filter(pl.col("price_band") == band).sum()
        for band in ("low", "middle", "high")
    }
    by_band = rows.group_by("category").agg(**banded)
    cuts = band_cuts(known.number("price"), known.text("category"))
    return {
        "period_days": known.period_days,
        "measure": policy.measure,
        "told": told,
        "cut_offs": {"A": 0.8, "B": 0.95, "X": policy.x_cut, "Y": policy.y_cut,
                     "weeks": policy.xyz_weeks, "share": policy.share_cut,
                     "growth": policy.growth_cut, "certainty": policy.certainty},
        "cells": cells.drop_nulls("cell").sort("cell").to_dicts(),
        "quadrants": _counted(rows["quadrant"], QUADRANTS),
        "lifecycle": _counted(rows["lifecycle"], LIFECYCLE),
        "concentration": whole,
        "concentration_by_category": each,
        "concentration_of_categories": concentrated(np.array([g[policy.measure] for g in each])),
        "price_bands": cuts.join(by_band, on="category", how="left").sort("category").to_dicts(),
    }  # fmt: skip


def _counted(keys: pl.Series, words: Mapping[str, str]) -> dict[str, int]:
    counts = dict(keys.drop_nulls().value_counts().iter_rows())
    return {word: int(counts.get(word, 0)) for word in words}
