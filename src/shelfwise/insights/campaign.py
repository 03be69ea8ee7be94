"""campaign(): which products to promote at which discount, for the most margin.

What each product would gain at each discount is computed for all products at once; which
offers to take, within the limits, is decided in `choice`.
"""

import datetime as dt
from typing import Annotated, Any

import msgspec
import numpy as np
import polars as pl

from shelfwise.analysis import Analysis
from shelfwise.errors import InputError, excerpt
from shelfwise.insights.choice import Choice, Floats, Ints, Limits, Offers, choose
from shelfwise.insights.decisions import (
    DECISION,
    PRODUCT,
    Quantity,
    Section,
    Withheld,
    checked,
    setting,
    table,
)
from shelfwise.insights.evidence import Evidence
from shelfwise.insights.exclusions import left_out, strangers
from shelfwise.insights.offers import offered_facts, offers_of, sureness
from shelfwise.insights.wording import many, money, number

Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class CampaignPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a campaign may spend, on what, and what is left out of it."""

    days: Annotated[int, setting("Days that the campaign takes.", ge=1, le=365)] = 14
    start: Annotated[
        dt.date | None, setting("Its first day; else the day after the last one that is known.")
    ] = None
    discounts: Annotated[
        tuple[Share, ...],
        setting("Shares of the price that may be taken off; one of them a product.", min_length=1),
    ] = (0.1, 0.2, 0.3)
    assumed_uplift: Annotated[
        Annotated[float, msgspec.Meta(ge=0)] | None,
        setting(
            "Units sold more at the largest discount, as a share (0.5 is half as many again), for "
            "products whose elasticity is not known; smaller discounts follow the same curve. It "
            "is your assumption, and stands beside every figure that rests on it."
        ),
    ] = None
    fixed_cost: Annotated[
        float, setting("What taking a product into the campaign costs, in money.", ge=0)
    ] = 0.0
    budget: Annotated[
        Annotated[float, msgspec.Meta(ge=0)] | None,
        setting("Money for price reductions and fixed costs; else no limit."),
    ] = None
    most_products: Annotated[
        Count | None, setting("Products in the campaign at most; null for no limit.")
    ] = 50
    category_cap: Annotated[
        Count | None, setting("Products of one category at most; else no limit.")
    ] = None
    category_caps: Annotated[
        dict[str, Count], setting("The same for categories by name, instead of category_cap.")
    ] = {}
    margin_floor: Annotated[
        float,
        setting(
            "Least margin of a unit at the campaign's price, as a share of that price.",
            ge=-10,
            lt=1,
        ),
    ] = 0.0
    exclude: Annotated[tuple[str, ...], setting("Ids of products that are left out.")] = ()
    exclude_categories: Annotated[tuple[str, ...], setting("Categories that are left out.")] = ()
    promoted: Annotated[
        dict[str, dt.date], setting("Ids of products and the last day of their last promotion.")
    ] = {}
    rest_days: Annotated[
        int, setting("Days after a promotion in which a product is left out.", ge=0, le=365)
    ] = 28
    low_price: Annotated[
        float,
        setting(
            "A week whose mean price is lower by this share than the median of the 13 weeks "
            "before the days of rest counts as a promotion.",
            gt=0,
            lt=1,
        ),
    ] = 0.08


USUAL = CampaignPolicy()

COLUMNS: tuple[Quantity, ...] = (
    *PRODUCT,
    Quantity("category", "", "What kind of product it is.", kind=pl.String),
    Quantity("price", "money a unit", "What it costs to buy now."),
    Quantity("unit_cost", "money a unit", "What it costs us."),
    Quantity("available", "units", "What there is to sell.", "stock + on_order"),
    Quantity("base_units", "units", "What would sell in these days without the campaign.",
             "d = daily_demand * days"),
    Quantity("elasticity", "", "By how many percent units rise where the price is one percent "
             "higher, shrunk to its category; an association.", "see shelfwise.elasticity"),
    Quantity("discount", "share, 0 to 1", "What is taken off the price; null for products not in "
             "the campaign.", "D"),
    Quantity("campaign_price", "money a unit", "The price in the campaign.", "p (1 - D)"),
    Quantity("campaign_units", "units", "What sells in the campaign.",
             "u = min(d (1 - D)^elasticity, available); with an assumed uplift A at the largest "
             "discount M: min(d (1 + A)^(log(1 - D) / log(1 - M)), available)"),
    Quantity("cost", "money", "What it takes of the budget.", "u p D + fixed_cost"),
    Quantity("profit", "money", "Margin that the campaign adds.",
             "u (p (1 - D) - c) - d (p - c) - fixed_cost"),
    Quantity("rests_on", "", "What campaign_units, cost and profit rest on: elasticity (an "
             "association) or assumed uplift (your assumption).", kind=pl.String),
    Quantity("left_out", "", "Why it is not in the campaign.", kind=pl.String),
    *DECISION,
)  # fmt: skip

ASSOCIATION = (
    "How units followed the price so far (the elasticity) is an association: something else may "
    "have moved both. Where promotions followed demand, estimates were off by -0.46 in simulation, "
    "and the 90% intervals held the truth in 62% of the cases; a confidence that rests on them "
    "is too high then. To be surer, lower the price of half of some alike products, chosen by lot, "
    "and compare."
)


def campaign(
    source: Analysis | Evidence, policy: CampaignPolicy = USUAL, **evidence: Any
) -> Section:
    """The products and discounts of the campaign that adds the most margin.

    For a product with d units expected in these days, price p, cost c and elasticity b, a
    discount D sells u = min(d (1 - D)^b, stock + on order) and adds
    u (p (1 - D) - c) - d (p - c) - fixed cost. The sum of that is made as large as the budget,
    the caps of categories, the margin floor, the count and the exclusions allow. `summary` has
    it with the bound that no campaign exceeds, and the `gap` between them.

    Products whose elasticity is not known follow `assumed_uplift`, marked beside each figure;
    without one, or without a cost, they are left out. Where none is left, the campaign is
    withheld: the rule lists of `marketing` are what is known then.

    Args:
        source: What `analyze` gave, of order lines best, or evidence.
        policy: See `CampaignPolicy`.
        evidence: Of `Evidence.of`: weeks, as_of, period_days, given. Rows of `inventory` that
            are made already may be given as `given={"inventory": rows}`.

    Raises:
        InputError: A setting is outside its limits, or names a category that is not there.

    Example:
        >>> import shelfwise
        >>> teas = shelfwise.analyze([
        ...     {"product_id": n, "name": f"Tea {n}", "price": 10, "units_sold": 60 + n,
        ...      "stock": 90, "unit_cost": n + 1} for n in range(5)], period=30)
        >>> best = campaign(teas, CampaignPolicy(assumed_uplift=0.9, most_products=2))
        >>> best.decisions.select("name", "discount", "rests_on").rows()
        [('Tea 0', 0.3, 'assumed uplift'), ('Tea 1', 0.3, 'assumed uplift')]
    """
    policy = checked(policy)
    known = Evidence.of(source, **evidence)
    start = policy.start or known.as_of + dt.timedelta(days=1)
    facts = offered_facts(known, policy)
    groups, limits = _limits(facts["category"], policy)
    shut = left_out(known, facts, policy, start)
    discounts = np.array(sorted(set(policy.discounts)))
    offers = offers_of(facts, discounts, policy)
    allowed = shut.is_null().to_numpy()[:, None] & offers["floor"]
    items, at = np.nonzero(allowed)
    choice = choose(
        Offers(items, groups[items], offers["profit"][allowed], offers["cost"][allowed]), limits
    )
    chosen = np.full(known.height, -1)
    chosen[items[choice.taken]] = at[choice.taken]
    frame = _taken(facts, offers, discounts, chosen).with_columns(
        shut=shut,
        floor=pl.Series(np.any(allowed, axis=1)),
        gains=pl.Series(np.any(allowed & (offers["profit"] > 0), axis=1)),
    )
    rows = table(COLUMNS, frame.select(*_columns(policy, start)).to_dict())
    possible = shut.null_count() > 0
    return Section(
        "campaign",
        COLUMNS,
        rows,
        () if possible else (_withheld(facts, shut),),
        strangers(known, policy) + _assumptions(rows, policy),
        _summary(rows, choice, policy, start) if possible else {},
    )


def _limits(category: pl.Series, policy: CampaignPolicy) -> tuple[Any, Limits]:
    """The number of each product's category, and the limits; products without one are one."""
    names = category.unique().sort().to_list()
    for name in ("category_caps", "exclude_categories"):
        if wrong := sorted(set(getattr(policy, name)) - set(names)):
            raise InputError(
                f"{name} names {excerpt(wrong[0])}, and no product has that category.",
                "Give the names as the products have them.",
            )
    place = {name: at for at, name in enumerate(names)}
    groups = category.replace_strict(place, return_dtype=pl.Int64).to_numpy()
    usual = np.inf if policy.category_cap is None else float(policy.category_cap)
    caps = np.array([float(policy.category_caps.get(name, usual)) for name in names])
    budget = np.inf if policy.budget is None else policy.budget
    most = np.inf if policy.most_products is None else float(policy.most_products)
    return groups, Limits(budget, most, caps)


def _taken(
    facts: dict[str, Any], offers: dict[str, Any], discounts: Floats, chosen: Ints
) -> pl.DataFrame:
    """The facts of each product, and those of its offer that is taken; null where none is."""
    inside, rows = chosen >= 0, np.arange(len(chosen))
    off = np.where(inside, discounts[chosen], np.nan)
    taken = {
        name: np.where(inside, offers[name][rows, chosen], np.nan)
        for name in ("units", "cost", "profit")
    }
    frame = pl.DataFrame(
        facts | taken | {
            "off": off,
            "now": facts["price"] * (1 - off),
            "short": offers["short"][rows, chosen],
            "inside": inside,
        },
        strict=False,
    )  # fmt: skip
    sure = pl.Series("sure", sureness(facts, frame))
    frame = frame.with_columns(sure).with_columns(pl.col(pl.Float64).fill_nan(None))
    return frame.with_columns(assumed=pl.col("elasticity").is_null())


def _columns(policy: CampaignPolicy, start: dt.date) -> list[pl.Expr]:
    """The columns of the section, of what `_taken` gives."""
    same = ("product_id", "name", "category", "price", "unit_cost", "available", "base_units",
            "elasticity", "profit", "cost")  # fmt: skip
    floor = f"below the margin floor of {100 * policy.margin_floor:g}% at every discount"
    why_not = (
        pl.when(pl.col("shut").is_not_null()).then("shut")
        .when(~pl.col("floor")).then(pl.lit(floor))
        .when(~pl.col("gains")).then(pl.lit("no discount adds margin"))
        .otherwise(pl.lit("others add more within the limits"))
    )  # fmt: skip
    basis = pl.when("assumed").then(pl.lit("assumed uplift")).otherwise(pl.lit("elasticity"))
    counted = pl.when("assumed").then(pl.lit("margin, with an assumed uplift")).otherwise(
        pl.lit("margin"))  # fmt: skip
    reason = pl.format(
        "{}% off, {} instead of {}: sells about {} instead of {} in {}{} and adds {} of "
        "margin; {}",
        number(100 * pl.col("off")), money(pl.col("now")), money(pl.col("price")),
        number(pl.col("units")), number(pl.col("base_units")), pl.lit(many(policy.days, "day")),
        pl.when("short").then(pl.lit(", all there is,")).otherwise(pl.lit("")),
        money(pl.col("profit")), _rests(policy),
    )  # fmt: skip
    inside = {
        "rests_on": basis,
        "action": pl.lit("promote"),
        "date": pl.lit(start),
        "money_basis": counted,
        "reason": reason,
    }
    return [
        *(pl.col(name) for name in same),
        pl.col("off").alias("discount"),
        pl.col("now").alias("campaign_price"),
        pl.col("units").alias("campaign_units"),
        pl.when(~pl.col("inside")).then(why_not).alias("left_out"),
        pl.col("units").alias("amount"),
        pl.col("profit").alias("money"),
        pl.col("sure").alias("confidence"),
        *(pl.when("inside").then(value).alias(name) for name, value in inside.items()),
    ]


def _rests(policy: CampaignPolicy) -> pl.Expr:
    """What a row's figures rest on, in words."""
    known = pl.format("rests on its elasticity of {}, an association",
                      pl.col("elasticity").round(2))  # fmt: skip
    if policy.assumed_uplift is None:
        return known
    off, more = 100 * max(policy.discounts), 100 * policy.assumed_uplift
    mine = f"rests on your assumption that {off:g}% off sells {more:g}% more"
    return pl.when("assumed").then(pl.lit(mine)).otherwise(known)


def _withheld(facts: dict[str, Any], shut: pl.Series) -> Withheld:
    """Why there is no campaign at all."""
    why, instead = "", "; the rule lists of marketing need none of it"
    if np.isnan(facts["unit_cost"]).all():
        why, needs = "no unit cost is known, so nobody knows what a discount leaves", "unit_cost"
    elif np.isnan(facts["available"]).all():
        why, needs = "no stock is known", "stock"
    elif np.isnan(facts["base_units"]).all():
        why, needs = "no demand is known", "order lines, or a period for units_sold"
    elif np.isnan(facts["response"]).all():
        why = "what a discount sells is not known: no elasticity, and no uplift is assumed"
        needs = "order lines with three changes of price or more, or assumed_uplift"
    else:
        most = shut.mode()
        why = f"every product is left out, most of them because: {most[0]}"
        needs = "fewer exclusions"
    return Withheld("campaign", why, needs + instead)


def _assumptions(rows: pl.DataFrame, policy: CampaignPolicy) -> tuple[str, ...]:
    inside = rows.filter(pl.col("action").is_not_null())
    if inside.is_empty():
        return ()
    counts = dict(inside.group_by("rests_on").len().iter_rows())
    told = [
        "What is on order is counted as if it arrived in time.",
        "Prices are what was paid on average in the period, where order lines tell them.",
        "What a campaign takes from the weeks after it, and from other products, is not counted.",
    ]
    if n := counts.get("assumed uplift"):
        off, more = 100 * max(policy.discounts), 100 * (policy.assumed_uplift or 0)
        told.append(f"You assume that {off:g}% off sells {more:g}% more; {n:,} of "
                    f"{many(inside.height, 'product')} in the campaign "
                    f"{'rests' if n == 1 else 'rest'} on that.")  # fmt: skip
    if counts.get("elasticity"):
        told.append(ASSOCIATION)
    return tuple(told)


def _summary(
    rows: pl.DataFrame, choice: Choice, policy: CampaignPolicy, start: dt.date
) -> dict[str, Any]:
    inside = rows.filter(pl.col("action").is_not_null())
    assumed = inside.filter(pl.col("rests_on") == "assumed uplift")
    return {
        "products": inside.height,
        "start": start,
        "end": start + dt.timedelta(days=policy.days - 1),
        "profit": choice.gain,
        "profit_with_assumed_uplift": float(assumed["profit"].sum()),
        "cost": float(inside["cost"].sum()),
        "budget": policy.budget,
        "bound": choice.bound,
        "linear_bound": choice.relaxed,
        "gap": choice.gap,
        "optimal": choice.optimal,
    }
