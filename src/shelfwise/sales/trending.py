"""trends(): which products rise, fall or stay, how sure that is, and why some cannot be told.

The sums that the tests need are linear in the weeks, so an engine makes them by a join with
a table of weights and a group-by; in memory they are a matrix product. What comes back is
some thirty numbers a product, and everything after that is the same.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from shelfwise.engines import frames
from shelfwise.errors import InputError, excerpt
from shelfwise.sales import on_engine
from shelfwise.sales.courses import MOST_MASKED, RATE, Judged, Measured, judge, measure
from shelfwise.sales.growth import shift_share
from shelfwise.sales.har import WINDOW, YEAR, Floats, Mask, basis, level_jump, root, two_sided
from shelfwise.sales.labels import REASONS
from shelfwise.sales.reading import collected
from shelfwise.sales.weeks import Weekly, keeper_of, weekly

Ints = NDArray[np.int64]

CONFIRMS, STRONG = 104, 156
"""Weeks below which a finding is only indicative; and below which it is weak."""
SPARSE = 10
NUMBERS = ("growth", "growth_low", "growth_high", "p_value", "q_value", "shift")
MISSING = 0.05
"""The share of a category that may be out of stock. As a step in two years it would be a trend
of 4% a year, which is no label."""
BLOCK = 50_000


class Part(NamedTuple):
    """Weeks of some products since their launch: units, those without one customer, and which
    weeks count. `places` says which products.
    """

    places: Ints
    units: Floats
    others: Floats
    kept: Mask


def trends(
    source: Any, *, by: Literal["product_id", "category"] = "product_id", **options: Any
) -> pl.DataFrame:
    """Tell which products rise and which fall, by how much a year, and how sure that is.

    A moderated orthonormal-series HAR test on the square roots of weekly units, after the
    yearly season; Benjamini-Hochberg over all products that are tested, at 5%. Growth is
    by Poisson pseudo-likelihood with the same season.

    Args:
        source: What `weekly` gave or takes: order lines, what `from_sales` counted, or rows
            of weeks.
        by: What is tested: each product, or each category (products without one are left
            out).
        options: Of `weekly`, such as catalog, out_of_stock and period.

    Returns:
        A row for each product, in order of its id: product_id, name, category, weeks (whole
        weeks since it was first sold), units, trend (see `shelfwise.sales.labels`), growth,
        growth_low and growth_high (share a year, 95% interval), p_value, q_value, shift
        (the last 13 weeks against what was usual, as a share; null where that is not
        confirmed) and reason.

    Raises:
        InputError: As `weekly` does.

    Example:
        >>> from datetime import date, timedelta
        >>> rows = [{"product_id": 7, "week": date(2024, 1, 1) + timedelta(7 * n), "units": 5 + n}
        ...         for n in range(60)]
        >>> trends(rows).select("trend", "reason").row(0)
        ('indicative_rising', '60 weeks are fewer than two years: indicative only')
    """
    if by not in ("product_id", "category"):
        raise InputError(f"by is {excerpt(by)}.", "It is product_id or category.")
    weeks = weekly(source, **options)
    if by == "category":
        weeks = _of_categories(weeks)
    facts = _facts(weeks)
    told = _told(weeks, facts)
    found = facts.select("product_id", "name", "category", "weeks", "units").with_columns(**told)
    if by == "category":
        found = found.drop("name", "category").rename({"product_id": "category"})
    return found


def _of_categories(weeks: Weekly) -> Weekly:
    """The weeks of categories instead of products."""
    known = weeks.products.filter(pl.col("category").is_not_null()).select("product_id", "category")
    if known.is_empty():
        raise InputError("No product has a category.", "Give a catalogue with one (catalog=...).")
    joined = weeks.frame.join(frames.near(known, weeks.frame), on="product_id")
    sums = {n: nw.col(n).sum() for n in weeks.values}
    summed = joined.drop("product_id").rename({"category": "product_id"})
    summed = summed.group_by("product_id", "week").agg(**sums)
    names = known.select(product_id=pl.col("category"), name=pl.col("category")).unique()
    products = names.with_columns(category=pl.col("name")).sort("product_id")
    keeper = keeper_of(summed)
    summed = keeper.compute_once(summed)
    masked = None if weeks.masked is None else _partly_missing(weeks, weeks.masked, known)
    return replace(weeks, frame=summed, products=products, masked=masked, _keeper=keeper)


def _partly_missing(weeks: Weekly, masked: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The weeks in which products that sell a good part of a category were out of stock."""
    units = collected(weeks.frame.group_by("product_id").agg(units=nw.col("units").sum()))
    units = known.join(units, on="product_id")
    part = pl.col("units") / pl.col("units").sum().over("category")
    missing = masked.join(units.with_columns(part=part), on="product_id")
    missing = missing.group_by(pl.col("category").alias("product_id"), "week").agg(
        pl.col("part").sum()
    )
    return missing.filter(pl.col("part") > MISSING).drop("part")


def _facts(weeks: Weekly) -> pl.DataFrame:
    """What decides whether a product is tested: `start`, its first week that counts, and so on.

    `sold` counts the weeks with a sale among those that count.
    """
    sold = weeks.frame.filter(nw.col("units") > 0).select("product_id", "week", "units")
    found = sold.group_by("product_id").agg(
        first=nw.col("week").min(), sold=nw.len(), units=nw.col("units").sum()
    )
    facts = weeks.products.join(
        collected(found), on="product_id", how="left", maintain_order="left"
    )
    # Weeks before a launch are cut, and the launch week with them: it is there because of a
    # sale, and would make each series begin with one.
    launched = pl.col("first") > 0
    facts = facts.with_columns(
        pl.col("units").fill_null(0.0),
        sold=(pl.col("sold").cast(pl.Int64) - launched).fill_null(0),
        start=pl.when(launched).then(pl.col("first") + 1).otherwise(0).cast(pl.Int64),
    )
    facts = facts.with_columns(weeks=weeks.weeks - pl.col("start"))
    if weeks.masked is None:
        return facts.with_columns(masked=pl.lit(0, pl.Int64))
    inside = weeks.masked.join(facts.select("product_id", "start"), on="product_id")
    inside = inside.filter(pl.col("week") >= pl.col("start")).select("product_id", "week")
    hidden = collected(sold.join(frames.near(inside, sold), on=["product_id", "week"]))
    counts = {"masked": inside, "hidden": hidden}
    for name, rows in counts.items():
        count = rows.group_by("product_id").agg(pl.len().cast(pl.Int64).alias(name))
        facts = facts.join(count, on="product_id", how="left", maintain_order="left")
    facts = facts.with_columns(pl.col(*counts).fill_null(0))
    return facts.with_columns(sold=pl.col("sold") - pl.col("hidden"))


def _why_not(facts: pl.DataFrame) -> pl.Series:
    """The key of REASONS for which a product is not tested; null for those that are."""
    cases = {
        "too_short": pl.col("weeks") < YEAR,
        "never_sold": pl.col("units") == 0,
        "out_of_stock": pl.col("masked") > MOST_MASKED * pl.col("weeks"),
        "sparse": pl.col("sold") < SPARSE,
    }
    why: Any = pl.lit(None, pl.String)
    for name, hit in reversed(cases.items()):
        why = pl.when(hit).then(pl.lit(name)).otherwise(why)
    return facts.select(why.alias("why"))["why"]


def _told(weeks: Weekly, facts: pl.DataFrame) -> dict[str, pl.Series]:
    """The columns of the answer."""
    why = _why_not(facts)
    places = np.flatnonzero(why.is_null().to_numpy())
    tested = facts[places]
    kinds = ["too_short" if one == "too_short" else "no_data" for one in why]
    texts = [one and _reason(one, row)
             for one, row in zip(why, facts.iter_rows(named=True), strict=True)]  # fmt: skip
    numbers = dict.fromkeys(NUMBERS, np.full(0, np.nan))
    if len(places):
        found = judge(_measured(weeks, tested), RATE)
        labels, reasons, jumps = _labels(weeks, tested, found)
        for place, label, reason in zip(places, labels, reasons, strict=True):
            kinds[place], texts[place] = label, reason
        moved = np.full(len(places), np.nan)
        sure = np.flatnonzero(found.shift_q <= RATE)
        moved[sure] = _shifts(weeks, tested[sure])
        no_rate = jumps | np.isnan(found.p)
        rates = [np.where(no_rate, np.nan, r) for r in (found.growth, found.low, found.high)]
        numbers = dict(zip(NUMBERS, (*rates, found.p, found.q, moved), strict=True))
    columns: dict[str, pl.Series] = {"trend": pl.Series(kinds, dtype=pl.String)}
    for name, values in numbers.items():
        whole = np.full(facts.height, np.nan)
        whole[places] = values
        columns[name] = pl.Series(whole).fill_nan(None)
    return columns | {"reason": pl.Series(texts, dtype=pl.String)}


def _labels(
    weeks: Weekly, facts: pl.DataFrame, found: Judged
) -> tuple[list[str], list[str | None], Mask]:
    """Label and reason of each tested product; and whose growth is a jump, which has no rate."""
    suspects = np.flatnonzero(found.trend)
    jumps, alone = np.full(facts.height, -1), np.zeros(facts.height, dtype=bool)
    if len(suspects):
        jumps[suspects], alone[suspects] = _doubted(weeks, facts[suspects], found, suspects)
    labels: list[str] = []
    reasons: list[str | None] = []
    for n, row in enumerate(facts.iter_rows(named=True)):
        told: list[str] = []
        young = ["short"] if row["weeks"] < CONFIRMS else ["weak"] if row["weeks"] < STRONG else []
        if found.trend[n]:
            told += young if row["weeks"] < CONFIRMS else []
            told += ["one_customer"] if alone[n] else []
            told += ["level_jump"] if jumps[n] >= 0 else []
            way = "rising" if found.trend[n] > 0 else "falling"
            labels.append(f"indicative_{way}" if told else way)
            told += [] if told else young
        elif np.isnan(found.p[n]):
            labels.append("no_data")
            told.append("constant")
        elif found.flat[n]:
            labels.append("flat")
            told += young
        else:
            labels.append("none")
            same_way = found.t[n] * found.growth[n] > 0
            told.append("not_confirmed" if not found.q[n] <= RATE
                        else "small" if same_way else "against")  # fmt: skip
        monday = weeks.monday(row["start"] + int(jumps[n])) if jumps[n] >= 0 else None
        reasons.append("; ".join(_reason(one, row, monday) for one in told) or None)
    return labels, reasons, jumps >= 0


def _reason(name: str, row: dict[str, Any], monday: Any = None) -> str:
    share = row["masked"] / max(1, row["weeks"])
    return REASONS[name].format(weeks=row["weeks"], sold=row["sold"], masked=share, monday=monday)


def _measured(weeks: Weekly, facts: pl.DataFrame) -> Measured:
    """What the weeks of the tested products say, in their order."""
    masked = facts["masked"].to_numpy() > 0
    if weeks.in_memory or masked.all():
        return _in_memory(weeks, facts)
    there = on_engine.measured(weeks.frame, facts.filter(~masked), weeks.weeks)
    if not masked.any():
        return there
    # Each mask has weights of its own: these few come into memory.
    return _placed([(~masked, there), (masked, _in_memory(weeks, facts.filter(masked)))])


def _of_one_length(weeks: Weekly, facts: pl.DataFrame) -> Iterator[Part]:
    """Products of one length at a time, so many that memory is bounded."""
    start = facts["start"].to_numpy()
    order = np.argsort(start, kind="stable")  # Products of one length side by side.
    for block in np.array_split(order, -(-len(order) // BLOCK)) if len(order) else []:
        ids = facts["product_id"][block].to_list()
        _, units = weeks.matrix(ids)
        others = weeks.matrix(ids, "others")[1] if "others" in weeks.values else units
        kept = ~weeks.mask(ids)
        for some in np.split(np.arange(len(block)), np.flatnonzero(np.diff(start[block])) + 1):
            since = int(start[block[some[0]]])
            yield Part(block[some], units[some, since:], others[some, since:], kept[some, since:])


def _in_memory(weeks: Weekly, facts: pl.DataFrame) -> Measured:
    """The same, block by block."""
    parts = _of_one_length(weeks, facts)
    return _placed([(part.places, measure(part.units, part.kept)) for part in parts])


def _shifts(weeks: Weekly, facts: pl.DataFrame) -> Floats:
    """How far the last weeks of products are from what was usual, as a share."""
    share = np.full(facts.height, np.nan)
    for part in _of_one_length(weeks, facts):
        kept = None if part.kept.all() else part.kept
        share[part.places] = shift_share(part.units, WINDOW, kept=kept)
    return share


def _placed(parts: list[tuple[Any, Measured]]) -> Measured:
    """Measurements of several groups, each where it belongs."""
    count = sum(len(part.z) for _, part in parts)
    columns = []
    for values in zip(*(part for _, part in parts), strict=True):
        column = np.empty(count, values[0].dtype)
        for (where, _), some in zip(parts, values, strict=True):
            column[where] = some
        columns.append(column)
    return Measured(*columns)


def _doubted(weeks: Weekly, facts: pl.DataFrame, found: Judged, places: Ints) -> tuple[Ints, Mask]:
    """Of products with a trend: the week of a jump that explains it better (or -1); and
    whether it is gone without the one customer whose purchases changed most.
    """
    jumps, gone = np.full(facts.height, -1), np.zeros(facts.height, dtype=bool)
    for part in _of_one_length(weeks, facts):
        masks, which = np.unique(part.kept, axis=0, return_inverse=True)
        for n, kept in enumerate(masks):
            some = np.flatnonzero(which.ravel() == n)
            own, series = part.places[some], root(part.units[some])
            jump = level_jump(series, kept=kept)
            jumps[own] = np.where(jump.jump, jump.week, -1)
            q = basis(len(kept), kept=kept).q
            rest = (root(part.others[some]) @ q) / (series @ q)
            # Against the noise that the product has with all of them.
            t, df = found.t[places[own]] * rest, found.df[places[own]]
            gone[own] = (rest < 0) | (two_sided(t, df) > RATE)
    return jumps, gone
