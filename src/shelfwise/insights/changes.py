"""What changed between two runs: revenue, scores and tiers, each taken apart without a rest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import msgspec
import polars as pl

from shelfwise.analysis import Analysis
from shelfwise.errors import InputError
from shelfwise.insights.bridges import CAUSES, added_up, matrix
from shelfwise.insights.decisions import PRODUCT, Quantity, Section, Withheld, checked, table
from shelfwise.insights.evidence import Evidence
from shelfwise.insights.sides import (
    STATUS,
    either,
    revenue_parts,
    score_parts,
    side,
    status,
    tier_parts,
    unit_parts,
)
from shelfwise.insights.wording import many, money, number
from shelfwise.model import TIERS


class ChangesPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a comparison of two runs goes by."""

    days_apart: Annotated[
        int,
        msgspec.Meta(
            description="By how many days the lengths of the "
            "periods may differ: 3 lets calendar months be compared.",
            ge=0,
            le=31,
        ),
    ] = 0
    counts_from: Annotated[
        float,
        msgspec.Meta(
            description="A move to another tier counts from this probability of the new tier on.",
            gt=0.5,
            le=1,
        ),
    ] = 0.7
    false_share: Annotated[
        float,
        msgspec.Meta(
            description="The share of chance among products whose units really changed.",
            gt=0,
            lt=0.5,
        ),
    ] = 0.05
    draws: Annotated[
        int,
        msgspec.Meta(
            description="How often weights and sales are drawn for the probability of a tier.",
            ge=20,
            le=100_000,
        ),
    ] = 300
    movers: Annotated[int, msgspec.Meta(description="How many products the lists of movers have.",
        ge=1, le=1000)] = 10  # fmt: skip


USUAL = ChangesPolicy()

COLUMNS: tuple[Quantity, ...] = (
    *PRODUCT,
    Quantity("category", "", "Its category, of the second run where it has one.", kind=pl.String),
    Quantity("status", "", ", ".join(STATUS), kind=pl.String),
    Quantity("revenue_before", "money", "Revenue of the first period."),
    Quantity("revenue_after", "money", "Revenue of the second period."),
    Quantity("revenue_change", "money", "What the causes add up to.",
             "revenue_after - revenue_before = volume + price + mix + new + lost"),
    Quantity("volume", "money", "What it would have gained had it moved as all units did.",
             "p0 q0 (Q1/Q0 - 1), p = revenue / units, Q = units of all that sold in both"),
    Quantity("price", "money", "What it gained by what a unit brought.", "(p1 - p0) q1"),
    Quantity("mix", "money", "What its units gained on those of the others.",
             "p0 (q1 - q0 Q1/Q0)"),
    Quantity("new", "money", "Revenue of what sold nothing before."),
    Quantity("lost", "money", "Revenue of what sells nothing any more, below 0."),
    Quantity("units_before", "units", "Units of the first period."),
    Quantity("units_after", "units", "Units of the second period."),
    Quantity("p_value", "share, 0 to 1", "How likely such a step of weekly units is by chance.",
             "2 P(t > |R.q / s|), R = sqrt(units + 3/8): see trends", "Smyth 2004; HAR test"),
    Quantity("q_value", "share, 0 to 1", "The share of chance if all up to this one are believed.",
             "Benjamini-Hochberg over all that are tested",
             "Y. Benjamini and Y. Hochberg 1995, JRSS B 57"),
    Quantity("score_before", "points", "Score of the first run."),
    Quantity("score_after", "points", "Score of the second run."),
    Quantity("score_change", "points", "The two parts add up to it.",
             "score_after - score_before = own_change + peer_shift"),
    Quantity("own_change", "points", "What its own numbers changed.",
             "score of the new values under the old model - score_before"),
    Quantity("peer_shift", "points", "What the others changed by moving the yardstick.",
             "score_after - score of the new values under the old model"),
    Quantity("driver", "", "The metric that moved its own change most, and its points.",
             kind=pl.String),
    Quantity("rank_before", "", "Rank in the first run.", kind=pl.Int64),
    Quantity("rank_after", "", "Rank in the second run.", kind=pl.Int64),
    Quantity("tier_before", "", "Tier in the first run.", kind=pl.String),
    Quantity("tier_after", "", "Tier in the second run.", kind=pl.String),
    Quantity("p_tier", "share, 0 to 1", "How sure the tier of the second run is.",
             "see confidence"),
    Quantity("settled_before", "", "The tier that counted at the first run.", kind=pl.String),
    Quantity("settled_after", "", "The tier that counts now.",
             "the new one if p_tier >= counts_from or if it held for two runs, else the one before",
             kind=pl.String),
    Quantity("moved", "", "Whether it moved to another tier in a way that counts.",
             kind=pl.Boolean),
    Quantity("really_changed", "", "Whether more than chance changed.",
             "new, gone, moved, or q_value <= false_share", kind=pl.Boolean),
    Quantity("reason", "", "What really changed, in words.", kind=pl.String),
)  # fmt: skip


def compare(
    before: Analysis | Evidence,
    after: Analysis | Evidence,
    policy: ChangesPolicy = USUAL,
    *,
    earlier: Sequence[Analysis | Evidence] = (),
    period_days: float | None = None,
) -> Section:
    """Compare two runs over periods of the same length.

    Args:
        before: The first run: what `analyze` gave, or evidence.
        after: The second run.
        policy: See `ChangesPolicy`.
        earlier: Runs before the first one, oldest first: a tier that has held for two runs
            counts. Without them a move counts by its probability alone.
        period_days: Days that `units_sold` took, of both, where the runs do not know.

    Returns:
        A row for each product of either run, with `COLUMNS`. `summary` has the bridge of
        revenue for all and by category, the migration of tiers, and the movers.
        P(tier) is that of `confidence`, unless the evidence is `given` it by that name.

    Raises:
        InputError: The runs are in different currencies.

    Example:
        >>> from shelfwise import analyze
        >>> rows = [{"product_id": n, "name": f"Tea {n}", "price": 2.0, "units_sold": 10 * n,
        ...          "stock": 5} for n in (1, 2, 3)]
        >>> first = analyze(rows, period=30)
        >>> second = analyze([*rows[:2], {**rows[2], "price": 2.5}], period=30)
        >>> compare(first, second).summary["revenue"]["price"]
        15.0
    """
    checked(policy)
    runs = [_evidence(one, period_days) for one in (*earlier, before, after)]
    first, second = runs[-2:]
    _one_currency(first, second)
    withheld: list[Withheld] = []
    ids = pl.DataFrame({"product_id": second.ids}, schema={"product_id": pl.String})
    old = pl.DataFrame({"product_id": first.ids}, schema={"product_id": pl.String})
    ids = pl.concat([ids, old.join(ids, on="product_id", how="anti", maintain_order="left")])
    one, two = side(first, ids), side(second, ids)
    comparable = _same_length(first, second, policy, withheld)
    values: dict[str, Any] = {
        "product_id": ids["product_id"],
        "name": either(two["name"], one["name"]),
        "category": either(two["category"], one["category"]),
        "status": status(one, two),
    }
    for name, column in (("revenue", "revenue"), ("units", "units_sold"),
                         ("score", "performance_score"), ("rank", "rank"),
                         ("tier", "performance_tier")):  # fmt: skip
        values |= {f"{name}_before": one[column], f"{name}_after": two[column]}
    if comparable:
        values |= revenue_parts(one, two)
        values |= score_parts(first, second, one, two, ids, withheld)
        values |= unit_parts(first, second, ids, withheld)
        values |= tier_parts(runs, ids, policy.counts_from, policy.draws, withheld)
    rows = table(COLUMNS, values)
    if comparable:
        rows = _reasoned(rows, policy)
    return Section(
        "changes", COLUMNS, rows, tuple(withheld),
        _assumptions(first, second, one, two) if comparable else (),
        _summary(first, second, rows, policy, comparable),
    )  # fmt: skip


def _evidence(source: Analysis | Evidence, period_days: float | None) -> Evidence:
    known = Evidence.of(source)
    return replace(known, period_days=period_days) if period_days else known


def _one_currency(*runs: Evidence) -> None:
    found = {one for run in runs for one in run.text("currency").drop_nulls().unique()}
    if len(found) > 1:
        raise InputError(
            f"The runs are in {' and '.join(sorted(found))}.",
            "Convert one of them, and analyze it again.",
        )


def _same_length(
    first: Evidence, second: Evidence, policy: ChangesPolicy, withheld: list[Withheld]
) -> bool:
    what = "comparison of revenue, scores and tiers"
    if first.period_days is None or second.period_days is None:
        withheld.append(Withheld(what, "nobody knows how long the periods are", "order lines, or "
                                 "the period of each run"))  # fmt: skip
        return False
    days, others = first.period_days, second.period_days
    if abs(days - others) > policy.days_apart + 1e-6 * max(days, others):
        withheld.append(
            Withheld(what, f"the periods have {days:g} and {others:g} days", "periods of the same "
                     "length; days_apart lets months of 28 to 31 days be compared")
        )  # fmt: skip
        return False
    return True


def _reasoned(rows: pl.DataFrame, policy: ChangesPolicy) -> pl.DataFrame:
    """The rows with `really_changed` and the reason in words."""
    units = (pl.col("q_value") <= policy.false_share).fill_null(False)
    moved = pl.col("moved").fill_null(False)
    kind = pl.col("status")
    units_told = [number(pl.col(f"units_{when}")) for when in ("before", "after")]
    sure = pl.when(pl.col("reason") == "sure").then(
        pl.format("{}% sure", (pl.col("p_tier") * 100).round(0).cast(pl.Int64))
    ).otherwise("reason")  # fmt: skip
    told = [
        pl.when(kind == "new").then(pl.format("new, brings {}", money(pl.col("revenue_after")))),
        pl.when(kind == "gone").then(
            pl.format("gone, brought {}", money(pl.col("revenue_before")))
        ),
        pl.when(moved).then(
            pl.format("from {} to {}, {}", "settled_before", "settled_after", sure)
        ),
        pl.when(units).then(pl.format("units {} to {}, more than chance", *units_told)),
    ]  # fmt: skip
    return rows.with_columns(
        really_changed=kind.is_in(["new", "gone"]) | moved | units,
        reason=pl.concat_str(told, separator="; ", ignore_nulls=True).replace("", None),
    )


def _assumptions(
    first: Evidence, second: Evidence, one: pl.DataFrame, two: pl.DataFrame
) -> tuple[str, ...]:
    told = []
    if abs(float(first.period_days or 0) - float(second.period_days or 0)) > 0.5:
        told.append(f"The periods have {first.period_days:g} and {second.period_days:g} days; "
                    "nothing is scaled.")  # fmt: skip
    if first.as_of > second.as_of:
        told.append(f"The first run speaks of a later day ({first.as_of}) than the second one "
                    f"({second.as_of}).")  # fmt: skip
    elsewhere = int((one["category"] != two["category"]).fill_null(False).sum())
    if elsewhere:
        told.append(many(elsewhere, "product has", "products have")
                    + " another category than before: both periods "
                    "count in the new one.")  # fmt: skip
    return tuple(told)


def _summary(
    first: Evidence,
    second: Evidence,
    rows: pl.DataFrame,
    policy: ChangesPolicy,
    comparable: bool,
) -> dict[str, Any]:
    counts: Mapping[str, int] = dict(rows["status"].value_counts().iter_rows())
    found: dict[str, Any] = {
        "before": {"as_of": first.as_of, "period_days": first.period_days,
                   "products": first.height},
        "after": {"as_of": second.as_of, "period_days": second.period_days,
                  "products": second.height},
        "status": {name: int(counts.get(name, 0)) for name in STATUS},
    }  # fmt: skip
    if not comparable:
        return found
    bridge = rows.select(
        "category", *CAUSES, before=pl.col("revenue_before").fill_null(0.0),
        after=pl.col("revenue_after").fill_null(0.0), change="revenue_change",
    )  # fmt: skip
    both = rows.filter(pl.col("tier_before").is_not_null(), pl.col("tier_after").is_not_null())
    scores = both.select(
        pl.col("own_change").abs().mean().alias("mean_own_change"),
        pl.col("peer_shift").abs().mean().alias("mean_peer_shift"),
    )
    return found | {
        "revenue": added_up(bridge, None).row(0, named=True),
        "revenue_by_category": added_up(bridge, "category").to_dicts(),
        "scores": scores.row(0, named=True),
        "migration": matrix(both, "settled_before", "settled_after", TIERS),
        "migration_seen": matrix(both, "tier_before", "tier_after", TIERS),
        "moves_seen": int((both["tier_before"] != both["tier_after"]).sum()),
        "moves_that_count": int(both["moved"].sum()),
        "really_changed": int(rows["really_changed"].sum()),
        "movers": {
            f"{what}_{way}": _movers(rows, column, way == "up", policy.movers)
            for what, column in (("revenue", "revenue_change"), ("score", "own_change"))
            for way in ("up", "down")
        },
    }


def _movers(rows: pl.DataFrame, column: str, up: bool, count: int) -> list[dict[str, Any]]:
    moved = rows.filter(pl.col(column) > 0 if up else pl.col(column) < 0)
    first = moved.sort(column, "product_id", descending=[up, False]).head(count)
    return first.select("product_id", "name", column, "really_changed").to_dicts()
