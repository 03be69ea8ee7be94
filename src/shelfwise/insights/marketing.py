"""marketing(): what to feature, to clear, to promote as a hidden gem, and not to promote."""

from typing import Annotated, Any

import msgspec
import numpy as np
import polars as pl

from shelfwise.analysis import Analysis
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
from shelfwise.insights.inventory import stocked
from shelfwise.insights.sellthrough import posterior
from shelfwise.insights.stock_policy import StockSettings
from shelfwise.insights.wording import days, joined, many, money, number, percent


class MarketingPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a product is fit to be shown, and what a hidden gem is."""

    days: Annotated[
        int, setting("Days that stock must last for a product to be shown.", ge=1, le=365)
    ] = 14
    most_risk: Annotated[
        float, setting("A product with this risk of running out, or more, is not promoted.",
                        gt=0, le=1)
    ] = 0.2  # fmt: skip
    gem_share: Annotated[
        float, setting("A hidden gem is in this top share of its category by sell-through.",
                        gt=0, le=0.5)
    ] = 0.2  # fmt: skip
    gem_level: Annotated[
        float, setting("The lower end of an interval of this probability lies above the mean of "
                        "its category.", ge=0.5, le=0.999)
    ] = 0.9  # fmt: skip
    inventory: StockSettings = None


USUAL = MarketingPolicy()

BETA = "E. Kleinman 1973, J. Am. Stat. Assoc. 68 (moments of the beta-binomial)"
COLUMNS: tuple[Quantity, ...] = (
    *PRODUCT,
    Quantity("category", "", "What kind of product it is.", kind=pl.String),
    Quantity("performance_tier", "", "High, Medium or Low.", kind=pl.String),
    Quantity("stock", "units", "On hand."),
    Quantity("days_of_supply", "days", "How long that lasts.", "see inventory"),
    Quantity("stockout_risk", "share, 0 to 1", "How probable it is that it runs out before an "
             "order arrives.", "see inventory"),
    Quantity("trend", "", "Whether its sales rise or fall.", "see shelfwise.trends",
             kind=pl.String),
    Quantity("sell_through", "share, 0 to 1", "Sold, of what was sold and what is on hand.",
             "units_sold / (units_sold + stock)"),
    Quantity("likely_sell_through", "share, 0 to 1", "The same drawn to its category, the more the "
             "fewer units there are; null for what is sold out, where it would be 1 whatever "
             "sells.", "(units_sold + a) / (units_sold + stock + a + b), "
             "a and b of the category", BETA),
    Quantity("sell_through_low", "share, 0 to 1", "Lower end of its interval.",
             "(1 - gem_level) / 2 quantile of Beta(units_sold + a, stock + b)"),
    Quantity("category_sell_through", "share, 0 to 1", "The mean of its category; of all products "
             "where the category has fewer than 5.", "a / (a + b)", BETA),
    Quantity("sell_through_place", "share, 0 to 1", "Share of its category that sells through "
             "better.", "products with more likely_sell_through / products of the category"),
    Quantity("revenue_place", "share, 0 to 1", "Share of its category that earns more.",
             "products with more revenue / products of the category"),
    Quantity("base_units", "units", "What would sell in these days.", "daily_demand * days"),
    *DECISION,
)  # fmt: skip

FALLS = ("falling", "indicative_falling")
LISTS = {
    "feature": "feature",
    "clear": "clear",
    "promote": "hidden_gem",
    "do_not_promote": "do_not_promote",
}
"""The action of a list -> what it is called as a label."""


def marketing(
    source: Analysis | Evidence, policy: MarketingPolicy = USUAL, **evidence: Any
) -> Section:
    """Four lists, a product in one of them at most, each row with its reason.

    The first that fits: `clear` is what `inventory` says to clear. A hidden gem (`promote`)
    has a sell-through, drawn to its category, among the best of the category, surely above
    its mean, and earns less than half of the category does. `do_not_promote` may run out, or
    does not last for a campaign. `feature` is High, lasts, and does not fall.

    Args:
        source: What `analyze` gave, of order lines best, or evidence.
        policy: See `MarketingPolicy`.
        evidence: Of `Evidence.of`: weeks, as_of, period_days, given. Rows of `inventory` that
            are made already may be given as `given={"inventory": rows}`.

    Raises:
        InputError: A setting is outside its limits, or a product stands in several rows.

    Example:
        >>> import shelfwise
        >>> mugs = [{"product_id": n, "name": f"Mug {n}", "price": 20 - n, "units_sold": 30,
        ...          "stock": 30} for n in range(9)]
        >>> gem = {"product_id": 9, "name": "Saucer", "price": 1, "units_sold": 90, "stock": 5}
        >>> marketing(shelfwise.analyze([*mugs, gem])).decisions.select("name", "action").rows()
        [('Saucer', 'promote')]
    """
    policy = checked(policy)
    known = Evidence.of(source, **evidence)
    shelf = stocked(known, policy.inventory)
    values = _facts(known, shelf, policy)
    facts = pl.DataFrame(values, strict=False).with_columns(pl.col(pl.Float64).fill_nan(None))
    decided = _decided(facts, shelf, policy)
    names = {column.name for column in COLUMNS}
    shown = {name: facts[name] for name in facts.columns if name in names}
    rows = table(COLUMNS, shown | {name: decided[name] for name in decided.columns})
    counts = dict(rows.drop_nulls("action").group_by("action").len().iter_rows())
    return Section(
        "marketing",
        COLUMNS,
        rows,
        _withheld(rows),
        _assumptions(known, rows),
        {action: counts.get(action, 0) for action in LISTS},
    )


def _facts(known: Evidence, shelf: pl.DataFrame, policy: MarketingPolicy) -> dict[str, Any]:
    """What the rules look at."""
    stock, sold = known.number("stock"), known.number("units_sold")
    price, cost = known.number("price"), known.number("unit_cost")
    category, on_order = known.text("category"), np.nan_to_num(known.number("on_order"))
    counts = (stock > 0) & (sold >= 0)
    likely = posterior(np.where(counts, sold, np.nan), stock, category, policy.gem_level)
    places = pl.DataFrame(
        {"category": category, "likely": likely.mean, "revenue": known.number("revenue")}
    ).with_columns(pl.col("likely").fill_nan(None), pl.col("revenue").fill_nan(None))
    better, richer = (
        places.select((pl.col(n).rank("min", descending=True) - 1).over("category")
                      / pl.col(n).count().over("category"))[n]
        for n in ("likely", "revenue")
    )  # fmt: skip
    return {
        "product_id": known.products["product_id"],
        "name": known.text("name"),
        "category": category,
        "performance_tier": known.text("performance_tier"),
        "stock": stock,
        "days_of_supply": shelf["days_of_supply"],
        "stockout_risk": shelf["stockout_risk"],
        "trend": known.of_products(known.trends, "trend")["trend"].cast(pl.String),
        "sell_through": shelf["sell_through"],
        "likely_sell_through": likely.mean,
        "sell_through_low": likely.low,
        "category_sell_through": likely.centre,
        "sell_through_place": better,
        "revenue_place": richer,
        "base_units": shelf["daily_demand"] * policy.days,
        "above": likely.above,
        "on_order": on_order,
        "position": np.nan_to_num(stock) + on_order,
        "earns": np.where(np.isnan(cost), price, price - cost),
        "earns_basis": np.where(np.isnan(cost), "price", "margin").astype(object),
    }


def _decided(facts: pl.DataFrame, shelf: pl.DataFrame, policy: MarketingPolicy) -> pl.DataFrame:
    """The columns of the decision."""
    names = ("action", "amount", "money", "money_basis", "confidence", "reason", "dead")
    frame = facts.hstack(shelf.select(pl.col(*names).name.prefix("stock_")))
    gone = pl.col("stock") <= 0
    risky = pl.col("stockout_risk") >= policy.most_risk
    brief = pl.col("days_of_supply") < policy.days
    frame = frame.with_columns(
        gone=gone.fill_null(False),
        risky=risky.fill_null(False),
        brief=brief.fill_null(False),
        high=pl.col("performance_tier") == "High",
        falls=pl.col("trend").is_in(FALLS).fill_null(False),
        told=pl.col("stockout_risk").is_not_null() & pl.col("days_of_supply").is_not_null(),
        leaving=(pl.col("stock_action") == "run_out").fill_null(False),
        loses=(pl.col("earns") < 0).fill_null(False),
    ).with_columns(unfit=pl.col("gone") | pl.col("risky") | pl.col("brief"))
    welcome = ~pl.col("leaving") & ~pl.col("loses")
    gem = (
        (pl.col("sell_through_place") < policy.gem_share)
        & (pl.col("revenue_place") >= 0.5)
        & (pl.col("sell_through_low") > pl.col("category_sell_through"))
        & ~pl.col("stock_dead").fill_null(False)
        & welcome
    )
    frame = frame.with_columns(
        action=pl.when(pl.col("stock_action") == "clear").then(pl.lit("clear"))
        .when(gem).then(pl.lit("promote"))
        .when("unfit").then(pl.lit("do_not_promote"))
        .when(pl.col("high") & pl.col("told") & ~pl.col("falls") & welcome)
        .then(pl.lit("feature")),
    )  # fmt: skip
    action = pl.col("action")
    short = pl.max_horizontal(pl.col("base_units") - pl.col("position"), pl.lit(0.0))
    sells = pl.min_horizontal("base_units", "position")
    shows = pl.when(action == "do_not_promote").then(short).when(action == "promote").then(
        "base_units").when(action == "feature").then(sells)  # fmt: skip
    return frame.select(
        "action",
        pl.when(action == "clear").then("stock_amount").otherwise(shows).alias("amount"),
        pl.when(action == "clear").then("stock_money").otherwise(shows * pl.col("earns"))
        .alias("money"),
        pl.when(action == "clear").then("stock_money_basis")
        .when(action.is_not_null() & (shows * pl.col("earns")).is_not_null()).then("earns_basis")
        .alias("money_basis"),
        pl.when(action == "clear").then("stock_confidence")
        .when(action == "promote").then("above")
        .when((action == "do_not_promote") & pl.col("gone")).then(1.0)
        .when((action == "do_not_promote") & pl.col("risky")).then("stockout_risk")
        .when(action == "feature").then(1 - pl.col("stockout_risk")).alias("confidence"),
        _reasons(policy).alias("reason"),
    )  # fmt: skip


def _reasons(policy: MarketingPolicy) -> pl.Expr:
    """Why, in words; for products in no list, why not."""
    lasts = pl.format("stock lasts {}, a campaign takes {}", days(pl.col("days_of_supply")),
                      pl.lit(policy.days))  # fmt: skip
    risk = pl.format("{} risk of running out before an order arrives",
                     percent(pl.col("stockout_risk")))  # fmt: skip
    falls = pl.when("falls").then(pl.lit("its sales fall"))
    feature = joined(pl.lit("High tier"), risk, lasts, pl.lit("no confirmed fall of its sales"))
    unfit = joined(
        pl.when("gone").then(pl.lit("sold out")),
        pl.when(pl.col("risky") & ~pl.col("gone")).then(risk),
        pl.when(pl.col("brief") & ~pl.col("gone")).then(lasts),
    )
    coming = pl.when(pl.col("on_order") > 0).then(
        pl.format("wait for the {} on order", number(pl.col("on_order")))
    ).otherwise(pl.lit("order first"))  # fmt: skip
    gem = joined(
        pl.format(
            "sells {} of what it has, surely more than {}; its category {}",
            percent(pl.col("sell_through")), percent(pl.col("sell_through_low")),
            percent(pl.col("category_sell_through")),
        ),
        pl.format("yet {} of its category earn more", percent(pl.col("revenue_place"))),
        falls,
        pl.when("unfit").then(coming),
        pl.when("unfit").then(unfit),
    )  # fmt: skip
    loses = pl.format("not featured: each unit loses {}", money(-pl.col("earns")))
    action = pl.col("action")
    return (
        pl.when(action == "clear").then("stock_reason")
        .when(action == "promote").then(gem)
        .when(action == "do_not_promote").then(unfit)
        .when(action == "feature").then(feature)
        .when(pl.col("stock").is_null()).then(pl.lit("withheld: its stock is not known"))
        .when("leaving").then(pl.lit("in no list: it is discontinued"))
        .when(~pl.col("high")).then(
            pl.format("in no list: {} tier, and nothing against it", "performance_tier"))
        .when("falls").then(pl.lit("not featured: High tier, but its sales fall"))
        .when("loses").then(loses)
        .when(~pl.col("told"))
        .then(pl.lit("withheld: High tier, but its risk of running out is not known"))
    )  # fmt: skip


def _withheld(rows: pl.DataFrame) -> tuple[Withheld, ...]:
    """What is not told, and what would tell it."""

    def missing(name: str) -> bool:
        return rows[name].null_count() == rows.height

    if missing("stock"):
        return (Withheld("all lists", "no stock is known", "stock"),)
    told = []
    if missing("stockout_risk"):
        told.append(Withheld("feature", "the risk of running out is not known",
                             "order lines, and lead_time_days"))  # fmt: skip
    if missing("stockout_risk") and missing("days_of_supply"):
        told.append(Withheld("do_not_promote", "how long stock lasts is not known, only what is "
                             "sold out", "order lines, or a period for units_sold"))  # fmt: skip
    return tuple(told)


def _assumptions(known: Evidence, rows: pl.DataFrame) -> tuple[str, ...]:
    told = []
    if known.period_days and rows["likely_sell_through"].null_count() < rows.height:
        told.append(f"Sell-through is that of {known.period_days:,.0f} days.")
    if n := rows["category"].null_count():
        told.append(f"Products without a category are compared with each other: {n:,}.")
    at_price = rows.filter(pl.col("action") != "clear", pl.col("money_basis") == "price").height
    if at_price:
        told.append(f"Money of {many(at_price, 'product')} is at price: unit_cost is not known.")
    return tuple(told)
