"""The action for the stock of each product: amount, date, money, confidence, reason in words."""

import datetime as dt
from typing import Any

import numpy as np
import polars as pl

from shelfwise.insights.evidence import Evidence
from shelfwise.insights.reordering import FARTHEST
from shelfwise.insights.snapshot import snapshot
from shelfwise.insights.stock_policy import InventoryPolicy
from shelfwise.insights.stocking import NOTHING
from shelfwise.insights.wording import counted, joined, money, number

SEASONAL = 1.5
"""The season is named where last year's weeks sold so many times more, or less, than expected."""


def decided(
    known: Evidence, policy: InventoryPolicy, values: dict[str, Any], dated: bool
) -> dict[str, Any]:
    """The columns of the decision, and those that only products to be ordered have.

    One action a product, the first that fits: a discontinued one runs out, a new one is
    watched, dead stock and overstock are cleared, and what is left may be reordered.
    """
    facts = {name: given for name, given in values.items() if name not in ("name", "category")}
    frame = pl.DataFrame(facts, strict=False).with_columns(pl.col(pl.Float64).fill_nan(None))
    frame = frame.with_columns(
        least=pl.Series(np.nan_to_num(known.number("min_order_qty"))),
        cost=pl.Series(known.number("unit_cost")).fill_nan(None),
        sold=pl.Series(known.number("units_sold")),
        leaving=pl.Series(known.truth("discontinued")),
    )
    made = _dated(frame, known.as_of, policy) if dated else snapshot(frame, known, policy)
    return dict(zip(made.columns, made.iter_columns(), strict=True))


def _dated(frame: pl.DataFrame, as_of: dt.date, policy: InventoryPolicy) -> pl.DataFrame:
    sells = pl.col("daily_demand") > NOTHING
    out = (pl.col("stock") <= 0) & (pl.col("on_order") <= 0)
    # Without a lead time nobody knows how much to order; that it is needed is plain.
    wanted = (pl.col("low") | (out & sells)) & ~pl.col("asleep")
    action = (
        pl.when("leaving").then(pl.lit("run_out"))
        .when("new").then(pl.lit("watch"))
        .when("dead").then(pl.lit("clear"))
        .when(pl.col("overstock_units") > 0).then(pl.lit("clear"))
        .when(wanted).then(pl.lit("reorder"))
    )  # fmt: skip
    frame = frame.with_columns(action=action)
    ordered = pl.col("action") == "reorder"
    frame = frame.with_columns(
        order_quantity=pl.when(ordered).then("quantity"),
        order_by=pl.when(ordered).then(pl.coalesce("by", pl.lit(as_of))),
    ).with_columns(packs=pl.col("order_quantity") / pl.col("pack"),
                   order_money=pl.col("order_quantity") * pl.col("cost"))  # fmt: skip
    over = (pl.col("action") == "clear") & ~pl.col("dead")
    return frame.select(
        "action", "order_quantity", "packs", "order_money", "order_by",
        _chosen("amount", pl.col("order_quantity"), pl.col("overstock_units"), pl.col("stock")),
        pl.when(ordered).then("order_by").when(pl.col("action") == "watch").then("judged")
        .when(pl.col("action") == "clear").then(pl.lit(as_of)).alias("date"),
        _chosen("money", pl.col("short") * pl.col("earns"), pl.col("overstock_money"),
                pl.col("stock_money")),
        _chosen("money_basis", pl.col("earns_basis"), pl.col("stock_basis"), pl.col("stock_basis")),
        pl.when(ordered).then("stockout_risk")
        .when(over).then("not_sold")
        .when(pl.col("action") == "clear").then(1 - pl.col("chance")).alias("confidence"),
        _reasons(as_of, policy).alias("reason"),
    )  # fmt: skip


def _chosen(name: str, reorder: pl.Expr, over: pl.Expr, whole: pl.Expr) -> pl.Expr:
    """What an action is about: the order, what is too much, or all the stock."""
    return (
        pl.when(pl.col("action") == "reorder").then(reorder)
        .when((pl.col("action") == "clear") & ~pl.col("dead")).then(over)
        .when(pl.col("action") == "watch").then(None if name == "amount" else whole)
        .when(pl.col("action").is_not_null()).then(whole)
        .alias(name)
    )  # fmt: skip


def _reasons(as_of: dt.date, policy: InventoryPolicy) -> pl.Expr:
    """Why, in words; for products without an action, what keeps it from being told."""
    empty = pl.col("stock") <= 0
    after, rate = _date("runs_out", as_of), number(7 * pl.col("daily_demand"))
    sells = pl.format("sells about {} a week", rate)
    gone = pl.when(empty).then(pl.format("sold out; {}", sells)).otherwise(
        pl.coalesce(pl.format("runs out about {}", after), sells))  # fmt: skip
    more = pl.format(
        "{} on order {} counted, with {} it runs out about {}",
        number(pl.col("on_order")), _verb(pl.col("on_order"), "is", "are"),
        _verb(pl.col("on_order"), "it", "them"),
        pl.coalesce(_date("runs_out_later", as_of), pl.lit("never")),
    )  # fmt: skip
    packs = pl.when(pl.col("pack") != 1).then(
        pl.format(" ({})", counted(pl.col("packs"), "pack"))).otherwise(pl.lit(""))  # fmt: skip
    today = pl.col("order_by") <= pl.lit(as_of)
    when = pl.when(today).then(pl.lit("today")).otherwise(
        pl.format("by {}", _date("order_by", as_of)))  # fmt: skip
    order = pl.format(
        "order {}{} {}, it takes {} to arrive", number(pl.col("order_quantity")), packs, when,
        counted(pl.col("lead_days"), "day"),
    )  # fmt: skip
    order = pl.coalesce(
        order, pl.lit("order it; how much is withheld, since its lead time is not known")
    )
    too_late = pl.format("it may be gone before that ({}%)", _share("late"))
    large = pl.format("the minimum order is {}, {} {} needed", number(pl.col("least")),
                      number(pl.col("need").ceil()),
                      _verb(pl.col("need").ceil(), "was", "were"))  # fmt: skip
    loses = pl.format("each unit loses {}", money(-pl.col("earns")))
    reorder = joined(
        gone,
        pl.when(pl.col("on_order") > 0).then(more),
        order,
        pl.when(today & ~empty & (pl.col("late") > 1 - pl.col("service_level"))).then(too_late),
        pl.when((pl.col("least") > pl.col("need")) & pl.col("order_quantity").is_not_null())
        .then(large),
        pl.when(pl.col("earns") < 0).then(loses),
        _season(),
    )  # fmt: skip

    supply = pl.col("days_of_supply")
    weeks = (
        pl.when(supply.is_null()).then(pl.lit("no demand is expected"))
        .when(supply > FARTHEST).then(pl.lit("lasts more than 10 years"))
        .when(supply < 7).then(pl.format("lasts {}", counted(supply, "day")))
        .otherwise(pl.format("lasts {}", counted(supply / 7, "week")))
    )  # fmt: skip
    too_much = pl.format(
        "{}; {} hardly {} more than {}, so {} of {} {} too many",
        weeks, counted(pl.col("span"), "week"), _verb(pl.col("span"), "sells", "sell"),
        number(pl.col("stock") - pl.col("overstock_units")),
        number(pl.col("overstock_units")), number(pl.col("stock")),
        _verb(pl.col("overstock_units"), "is", "are"),
    )  # fmt: skip
    coming = pl.when(pl.col("on_order") > 0).then(
        pl.format(
            "{} more {} on order: cancel {} if you can",
            number(pl.col("on_order")),
            _verb(pl.col("on_order"), "is", "are"),
            _verb(pl.col("on_order"), "it", "them"),
        )
    )
    before = pl.format("before, one week in {} had a sale",
                       (pl.col("interval") / 7).round(1).cast(pl.String))  # fmt: skip
    silence = pl.coalesce(
        pl.format("not sold since {} ({})", _date("sold_last", as_of),
                  counted(pl.col("silent"), "day")),
        pl.format("never sold in {}", counted(pl.col("silent"), "day")),
    )  # fmt: skip
    dead = joined(silence, before, pl.format("{} in stock", number(pl.col("stock"))), coming)
    leave = joined(
        pl.lit("discontinued: order no more"),
        pl.when(empty).then(pl.lit("sold out")).otherwise(
            pl.format("{} left", number(pl.col("stock")))),
        pl.when(pl.col("dead")).then(silence).when(~empty).then(
            pl.format("the stock lasts until about {}", after)),
        coming,
    )  # fmt: skip
    new = joined(
        pl.format("new since {}: too early to judge, look again on {}",
                  _date("launched", as_of), _date("judged", as_of)),
        pl.when(pl.col("daily_demand").is_not_null()).then(sells),
        pl.when(empty).then(pl.lit("sold out")).otherwise(
            pl.format("the stock lasts until about {}", after)),
    )  # fmt: skip
    return (
        pl.when(pl.col("action") == "run_out").then(leave)
        .when(pl.col("action") == "watch").then(new)
        .when((pl.col("action") == "clear") & pl.col("dead")).then(dead)
        .when(pl.col("action") == "clear").then(joined(too_much, coming, _season()))
        .when(pl.col("action") == "reorder").then(reorder)
        .when(pl.col("asleep")).then(joined(pl.lit("none in stock"), silence, pl.lit(
            "whether it would still sell is not known")))
        .when(empty & (pl.col("on_order") > 0) & pl.col("reorder_point").is_not_null())
        .then(pl.format("sold out, but the {} on order {} enough: see that {}",
                        number(pl.col("on_order")), _verb(pl.col("on_order"), "is", "are"),
                        _verb(pl.col("on_order"), "it comes", "they come")))
        .when(pl.col("stock").is_null()).then(pl.lit("withheld: its stock is not known"))
        .when(pl.col("daily_demand").is_null()).then(pl.lit("withheld: its demand is not known"))
        .when(pl.col("reorder_point").is_null())
        .then(pl.lit("withheld: its lead time is not known"))
    )  # fmt: skip


def _season() -> pl.Expr:
    """What the same weeks sold a year ago, where that is far from what is expected."""
    then, now = pl.col("same_weeks_last_year"), pl.col("expected")
    far = ((then > SEASONAL * now) | (then < now / SEASONAL)) & (
        (then - now).abs() > 3 * pl.max_horizontal(then, now).sqrt()
    )
    return pl.when(far).then(
        pl.format("the coming {} sold {} a year ago, {} {} expected",
                  counted(pl.col("span"), "week"), number(then), number(now.round(0)),
                  _verb(now.round(0), "is", "are"))
    )  # fmt: skip


def _verb(count: pl.Expr, one: str, several: str) -> pl.Expr:
    return pl.when(number(count) == "1").then(pl.lit(one)).otherwise(pl.lit(several))


def _share(name: str) -> pl.Expr:
    return (100 * pl.col(name)).round(0).cast(pl.Int64).cast(pl.String)


def _date(name: str, as_of: dt.date) -> pl.Expr:
    """A day as people write it: Thu 3 Dec; with the year where it is another one."""
    day = pl.col(name).cast(pl.Date)
    short = day.dt.strftime("%a %-d %b")
    return pl.when(day.dt.year() == as_of.year).then(short).otherwise(
        day.dt.strftime("%a %-d %b %Y"))  # fmt: skip
