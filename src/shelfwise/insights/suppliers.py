"""suppliers(): what our range of each supplier earns and ties up, and how it delivers.

The two are kept apart. Scores of products say how our choice of a supplier's goods sells,
not how the supplier performs; what it performs is told by receipts alone.
"""

from typing import Annotated, Any

import msgspec
import numpy as np
import polars as pl

from shelfwise.analysis import Analysis
from shelfwise.insights.cards import (
    by_category,
    by_product,
    delivered,
    floats,
    of_range,
    scored,
    sole_sources,
)
from shelfwise.insights.decisions import DECISION, Quantity, Section, Withheld, checked, table
from shelfwise.insights.deliveries import Receipts, read_receipts
from shelfwise.insights.evidence import Evidence
from shelfwise.insights.shrinkage import FEWEST
from shelfwise.insights.stock_policy import StockSettings
from shelfwise.insights.wording import many
from shelfwise.pipeline.dates import Order

LISTED = 3
"""Categories that a reason names."""


class SuppliersPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What counts as delivered well, and from when on something is to be done."""

    otif_target: Annotated[
        float,
        msgspec.Meta(gt=0, lt=1, description="The share of deliveries to be on time and in full."),
    ] = 0.8
    sure: Annotated[
        float,
        msgspec.Meta(
            ge=0.5,
            lt=1,
            description="How probable it must be that a supplier misses the target before it is "
            "named.",
        ),
    ] = 0.9
    grace_days: Annotated[
        int, msgspec.Meta(ge=0, le=90, description="Days after the promise that are still on time.")
    ] = 0
    full_share: Annotated[
        float,
        msgspec.Meta(
            gt=0, le=1, description="The share of the ordered quantity that counts as in full."
        ),
    ] = 1.0
    draws: Annotated[
        int, msgspec.Meta(ge=100, le=100_000, description="Draws for the places in the ranking.")
    ] = 1_000
    seed: Annotated[
        int, msgspec.Meta(ge=0, le=2**63 - 1, description="The same seed gives the same draws.")
    ] = 42
    inventory: StockSettings = None


USUAL = SuppliersPolicy()

EB = "empirical Bayes"
RANGE = (
    Quantity("products", "products", "Products of theirs in our range.", kind=pl.Int64),
    Quantity("revenue", "money", "What these brought in."),
    Quantity("revenue_share", "share, 0 to 1", "Of the revenue of all products.",
             "revenue / revenue of all products"),
    Quantity("margin", "money", "Gross margin; null where the cost of a product is not known.",
             "sum of revenue - unit_cost * units_sold"),
    Quantity("score_mean", "points", "Mean score of the products that were stocked or sold."),
    Quantity("score", "points", "The same, moved towards the mean of all suppliers the more, the "
             "fewer products there are.",
             "(1 - B) mean + B mean of all, B = (s² / n) / (s² / n + t²), s² within suppliers, "
             "t² between them", f"{EB}, normal-normal; Paule and Mandel (1982), Morris (1983)"),
    Quantity("score_low", "points", "Lower end of its 90% interval.", "score - 1.645 sd"),
    Quantity("score_high", "points", "Upper end of its 90% interval.", "score + 1.645 sd"),
    Quantity("score_place_low", "place", "The better end of its places by score, 1 for the best.",
             "5% quantile of the ranks in posterior draws", kind=pl.Int64),
    Quantity("score_place_high", "place", "The worse end of its places by score.",
             "95% quantile of the ranks in posterior draws", kind=pl.Int64),
    Quantity("high_share", "share, 0 to 1", "Of its products that are High, moved towards the "
             "usual share.", "(k + a) / (n + a + b), (a, b) by maximum likelihood",
             f"{EB}, beta-binomial"),
    Quantity("low_share", "share, 0 to 1", "Of its products that are Low, moved towards the "
             "usual share.", "(k + a) / (n + a + b), (a, b) by maximum likelihood",
             f"{EB}, beta-binomial"),
    Quantity("stock_money", "money", "What its products in stock are worth, see stock_basis."),
    Quantity("overstock_money", "money", "What of this is more than is likely to sell.",
             "sum of overstock_money of inventory"),
    Quantity("dead_money", "money", "What of this is dead.", "sum of dead_money of inventory"),
    Quantity("stock_basis", "", "What money in stock is counted at: cost; price; or cost, and "
             "price where the cost is not known.", kind=pl.String),
    Quantity("sole_categories", "", "Categories in which no other supplier sells or delivers, "
             "with a comma between.", kind=pl.String),
    Quantity("sole_revenue", "money", "What these categories brought in."),
)  # fmt: skip
"""What our range of theirs earns and ties up."""

DELIVERY = (
    Quantity("deliveries", "lines", "Lines of orders that were received, or are overdue.",
             kind=pl.Int64),
    Quantity("on_time", "share, 0 to 1", "Of lines with a promise, received by the promised day.",
             "lines with received <= promised + grace_days / lines with a promise"),
    Quantity("in_full", "share, 0 to 1", "Of lines, received in full.",
             "lines with received_quantity >= full_share * ordered_quantity / lines"),
    Quantity("otif_counted", "share, 0 to 1", "Of lines with a promise, on time and in full, as "
             "counted.", "k / n"),
    Quantity("otif", "share, 0 to 1", "On time and in full (OTIF), moved towards what is usual the "
             "more, the fewer deliveries there are.",
             "(k + a) / (n + a + b), (a, b) by maximum likelihood", f"{EB}, beta-binomial"),
    Quantity("otif_low", "share, 0 to 1", "Lower end of its 90% interval.",
             "5% quantile of Beta(k + a, n - k + b), mixed over likely a and b"),
    Quantity("otif_high", "share, 0 to 1", "Upper end of its 90% interval.",
             "95% quantile of Beta(k + a, n - k + b), mixed over likely a and b"),
    Quantity("otif_place_low", "place", "The better end of its places by OTIF, 1 for the best.",
             "5% quantile of the ranks in posterior draws", kind=pl.Int64),
    Quantity("otif_place_high", "place", "The worse end of its places by OTIF.",
             "95% quantile of the ranks in posterior draws", kind=pl.Int64),
    Quantity("p_below_target", "share, 0 to 1", "How probable it is that its OTIF is below the "
             "target.", "P(Beta(k + a, n - k + b) < otif_target), mixed over likely a and b"),
    Quantity("fill_rate", "share, 0 to 1", "Of the units ordered, received; more than ordered "
             "does not count.", "sum of min(received, ordered) / sum of ordered"),
    Quantity("lead_time", "days", "Mean days from order to receipt."),
    Quantity("lead_time_cv", "", "How much it varies.", "standard deviation / mean"),
    Quantity("lead_time_planned", "days", "Mean of the lead times that its products have.",
             "mean of lead_time_days"),
    Quantity("days_late", "days", "How late late lines came, on average."),
)  # fmt: skip
"""How they deliver, from receipts."""

COLUMNS = (
    Quantity("supplier", "", "Who delivers.", kind=pl.String), *RANGE, *DELIVERY, *DECISION,
)  # fmt: skip


def suppliers(
    source: Analysis | Evidence,
    policy: SuppliersPolicy = USUAL,
    *,
    receipts: Any = None,
    dates: Order | None = None,
    **evidence: Any,
) -> Section:
    """Each supplier's card, in two parts, and what to do about two kinds of risk.

    `second_source`: a category has one supplier only. `renegotiate`: the supplier misses
    the target of deliveries on time and in full, with the probability that the policy asks
    for; product scores have no say in it.

    The summary has the dependency on suppliers (`hhi`, `effective_suppliers`, by category
    too), products without a supplier, and what came of the receipts: used, overdue, set
    aside and why.

    Args:
        source: What `analyze` gave, or evidence; inventory is taken from `given` if it is
            there.
        policy: What counts as delivered well.
        receipts: A frame, a file, a table or a list of dicts with supplier, product_id,
            ordered, promised, received, ordered_quantity and received_quantity.
        dates: How dates of the receipts are written where both ways are possible.
        evidence: As for `Evidence.of`.

    Raises:
        InputError: A setting is out of its bounds, or the receipts lack a column.

    Example:
        >>> import shelfwise
        >>> found = suppliers(shelfwise.analyze([
        ...     {"product_id": n, "name": f"No. {n}", "price": 9, "units_sold": n, "stock": 5,
        ...      "category": "Tea", "supplier": "ABC"[n % 3]} for n in range(30)]))
        >>> found.rows.select("supplier", "products", "revenue").row(0)
        ('C', 10, 1395.0)
        >>> found.withheld[0].needs.split(":")[0]
        'receipts'
    """
    policy = checked(policy)
    known = Evidence.of(source, **evidence)
    read = None if receipts is None else read_receipts(receipts, known.ids, known.as_of, dates)
    products = by_product(known, policy.inventory)
    delivering = set() if read is None else set(read.rows["supplier"])
    names = sorted(set(products["supplier"].drop_nulls()) | delivering)
    if len(names) < FEWEST:
        return _absent(len(names), known.has("supplier"))
    rng = np.random.default_rng(policy.seed)
    rows = pl.DataFrame({"supplier": names})
    rows = rows.join(of_range(products), on="supplier", how="left", maintain_order="left")
    rows = scored(rows, products, policy, rng)
    categories = by_category(products, read)
    rows = sole_sources(rows, categories)
    if read is not None:
        rows = delivered(rows, read, policy, rng)
    rows = rows.sort("revenue", "supplier", descending=[True, False], nulls_last=True)
    values = {name: rows[name] for name in rows.columns if name in {c.name for c in COLUMNS}}
    values |= _decided(rows, policy)
    return Section(
        "suppliers",
        COLUMNS,
        table(COLUMNS, values),
        _withheld(known, rows, read),
        _assumptions(policy, read),
        _summary(products, rows, categories, read),
    )


def _absent(count: int, named: bool) -> Section:
    why = (
        f"there {'is' if count == 1 else 'are'} only {count}"
        if named
        else "no product names its supplier"
    )
    told = Withheld("suppliers", f"{why}, and fewer than {FEWEST} cannot be compared",
                    f"a column supplier with {FEWEST} suppliers or more")  # fmt: skip
    empty = table(COLUMNS, {"supplier": []})
    return Section("suppliers", COLUMNS, empty, (told,), (), {"suppliers": count})


def _decided(rows: pl.DataFrame, policy: SuppliersPolicy) -> dict[str, Any]:
    """The decision of each supplier, in the order of the rows."""
    names = ("action", "money", "money_basis", "confidence", "reason")
    made: dict[str, list[Any]] = {name: [] for name in names}
    for row in rows.iter_rows(named=True):
        missed = (row.get("p_below_target") or 0) >= policy.sure
        sole = row["sole_categories"] is not None
        reasons = [_alone(row)] if sole else []
        reasons += [_late(row, policy)] if missed else []
        made["action"].append("second_source" if sole else "renegotiate" if missed else None)
        made["money"].append(row["sole_revenue"] if sole else row["revenue"] if missed else None)
        made["money_basis"].append("price" if reasons and made["money"][-1] is not None else None)
        sure = row["p_below_target"] if missed and not sole else None
        made["confidence"].append(sure)
        made["reason"].append(" ".join(reasons) or None)
    return made


def _alone(row: dict[str, Any]) -> str:
    names = row["_sole"]
    listed = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more"
                                          if len(names) > LISTED else "")  # fmt: skip
    share = row["revenue_share"]
    size = "" if share is None else f", and {share:.0%} of all revenue comes from it"
    return f"It is the only supplier of {listed}{size}: find a second one."


def _late(row: dict[str, Any], policy: SuppliersPolicy) -> str:
    missed = row["promises"] - row["otif_hits"]
    text = (
        f"{missed:,} of {many(row['promises'], 'delivery', 'deliveries')} came late or "
        f"short: on time and in full {row['otif']:.0%} ({row['otif_low']:.0%} to "
        f"{row['otif_high']:.0%}), the target is {policy.otif_target:.0%}."
    )
    if row["days_late"] is not None:
        text += f" Late ones came {many(round(row['days_late']), 'day')} late on average."
    planned, took = row["lead_time_planned"], row["lead_time"]
    if planned is not None and took is not None and took > planned + 1:
        text += f" Plan with {many(round(took), 'day')} of lead time instead of {planned:.0f}."
    return text


def _withheld(known: Evidence, rows: pl.DataFrame, read: Receipts | None) -> tuple[Withheld, ...]:
    told: list[Withheld] = []
    if read is None:
        told.append(
            Withheld("how they deliver", "no receipts are given, and scores of products do not "
                     "tell it", "receipts: supplier, product_id, ordered, promised and received "
                     "dates, quantities")
        )  # fmt: skip
    elif "otif" not in rows.columns:
        count = int((rows["promises"].fill_null(0) > 0).sum())
        told.append(
            Withheld("OTIF and its places", "deliveries with a promised day are known of "
                     + many(count, "supplier"),
                     f"receipts with promised dates of {FEWEST} suppliers or more")
        )  # fmt: skip
    if "score" not in rows.columns:
        told.append(
            Withheld("scores by supplier and their places", "no supplier has two products that "
                     f"were stocked or sold, or fewer than {FEWEST} have any", "more products")
        )  # fmt: skip
    if not known.has("category"):
        told.append(Withheld("sole sources", "products have no category", "a column category"))
    for name, what, needs in (
        ("margin", "gross margin", "the column unit_cost of all its products"),
        ("overstock_money", "overstock", "order lines with dates, and stock"),
        ("dead_money", "dead stock", "order lines with dates, and stock"),
    ):
        missing = int((rows[name].is_null() & (rows["products"] > 0)).sum())
        if missing:
            told.append(Withheld(what, f"it is not known of {many(missing, 'supplier')}", needs))
    return tuple(told)


def _assumptions(policy: SuppliersPolicy, read: Receipts | None) -> tuple[str, ...]:
    told = ["Scores, revenue and stock say how our range of theirs sells, not how they perform."]
    if read is not None:
        grace = f" by more than {many(policy.grace_days, 'day')}" if policy.grace_days else ""
        told.append(
            f"A row of receipts is a line of an order: late if it came after the promised "
            f"day{grace}, in full from {policy.full_share:.0%} of the quantity on; overdue lines "
            "count as late and empty, open ones not at all."
        )
    return tuple(told)


def _summary(
    products: pl.DataFrame, rows: pl.DataFrame, categories: pl.DataFrame, read: Receipts | None
) -> dict[str, Any]:
    nameless = products.filter(pl.col("supplier").is_null())
    earned = floats(rows["revenue"].fill_null(0)).clip(0)
    hhi = float(((earned / earned.sum()) ** 2).sum()) if earned.sum() > 0 else None
    told: dict[str, Any] = {
        "suppliers": rows.height,
        "hhi": hhi,
        "effective_suppliers": None if hhi is None else 1 / hhi,
        "categories": categories.to_dicts(),
        "without_supplier": {"products": nameless.height, "revenue": nameless["revenue"].sum()},
        "parts": {
            "what our range of theirs earns and ties up": [c.name for c in RANGE],
            "how they deliver": [c.name for c in DELIVERY],
        },
    }
    if read is not None:
        told["receipts"] = read.told()
    return told
