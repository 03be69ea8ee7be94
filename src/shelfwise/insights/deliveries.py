"""Receipts of goods: read, checked row by row, and counted up by supplier."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from shelfwise.columns import Column
from shelfwise.engines.failures import failures
from shelfwise.errors import InputError, excerpt
from shelfwise.pipeline.dates import WRITTEN, Order, days
from shelfwise.sales.reading import LINE, collected, opened

RECEIPTS = (
    Column("supplier", "text", "Who delivered.", "delivery", required=True,
           aliases=("vendor", "supplier_name", "vendor_name")),
    LINE["product_id"],
    Column("ordered", "date", "The day of the order.", "lead time", required=True,
           aliases=("order_date", "ordered_on", "ordered_at")),
    Column("promised", "date", "The day for which delivery was promised.", "on time, OTIF",
           aliases=("due", "due_date", "promised_date", "expected")),
    Column("received", "date", "The day of the delivery; empty while it is open.", "lead time",
           required=True, aliases=("received_date", "delivered", "receipt_date", "delivery_date")),
    Column("ordered_quantity", "number", "Units ordered.", "fill rate", unit="units",
           required=True, aliases=("quantity_ordered", "order_qty", "ordered_qty")),
    Column("received_quantity", "number", "Units received.", "fill rate", unit="units",
           required=True, aliases=("quantity_received", "received_qty", "delivered_quantity")),
)  # fmt: skip
"""The contract of receipts: a row is a line of an order and what came of it."""

DATES = ("ordered", "promised", "received")
QUANTITIES = ("ordered_quantity", "received_quantity")
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Receipts:
    """Receipts that can be used, and those set aside with the reason.

    `rows` has supplier, product_id, the three dates, both quantities, and `state`: received,
    overdue or open. `aside` has row (from 0), supplier, product_id and reason.
    """

    rows: pl.DataFrame
    aside: pl.DataFrame

    def told(self) -> dict[str, Any]:
        """How many there are, over which days, and which were set aside and why."""
        reasons = (
            self.aside.group_by("reason").len().sort("len", "reason", descending=[True, False])
        )
        first, last = self.rows["ordered"].min(), self.rows["received"].max()
        return {
            "used": self.rows.height,
            "first_ordered": first,
            "last_received": last,
            "open": self.rows.filter(state="open").height,
            "overdue": self.rows.filter(state="overdue").height,
            "set_aside": self.aside.height,
            "reasons": dict(reasons.iter_rows()),
            "examples": self.aside.head(EXAMPLES).to_dicts(),
        }


def read_receipts(
    source: Any, products: list[str], as_of: dt.date, dates: Order | None = None
) -> Receipts:
    """Receipts from a frame, a file, a table or a list of dicts, checked.

    A row is set aside, with its reason, where a product is unknown, a date or a quantity
    is missing, unreadable or impossible, or a delivery lies after the day of the evidence.
    A row without a receipt is open, and overdue once its promised day has passed.

    Args:
        source: Supplier, product_id, ordered, promised, received, ordered_quantity and
            received_quantity, under these names or usual others.
        products: The ids that are known.
        as_of: The day of the evidence.
        dates: How dates are written where their parts can be read both ways.

    Raises:
        InputError: A column is missing, or nobody can tell day and month apart.
    """
    with failures(source):
        frame = opened(source, None, RECEIPTS)
        names = frame.collect_schema().names()
        missing = [
            column.name for column in RECEIPTS if column.required and column.name not in names
        ]
        if missing:
            raise InputError(
                f"The receipts have no column {', '.join(missing)}.",
                f"They have {', '.join(column.name for column in RECEIPTS)}; promised is optional.",
            )
        raw = collected(frame)
    return _checked(raw, products, as_of, dates)


def _checked(
    raw: pl.DataFrame, products: list[str], as_of: dt.date, dates: Order | None
) -> Receipts:
    if "promised" not in raw.columns:
        raw = raw.with_columns(promised=pl.lit(None, dtype=pl.Date))
    rows = raw.with_row_index("row").with_columns(
        pl.col("supplier", "product_id").cast(pl.String).str.strip_chars().replace("", None)
    )
    reasons: list[pl.Expr] = [
        _when(pl.col("supplier").is_null(), "no supplier is named"),
        _when(pl.col("product_id").is_null(), "no product is named"),
        _when(~pl.col("product_id").is_in(products), "the product is not known"),
    ]
    for name in DATES:
        rows, unreadable = _dated(rows, name, dates)
        reasons.append(_when(unreadable, f"{name} is no date"))
    for name in QUANTITIES:
        was = _given(rows, name)
        rows = rows.with_columns(pl.col(name).cast(pl.Float64, strict=False).fill_nan(None))
        reasons.append(_when(was & rows[name].is_null(), f"{name} is no number"))
    came = pl.col("received").is_not_null()
    reasons += [
        _when(pl.col("ordered").is_null(), "the day of the order is missing"),
        _when(pl.col("ordered_quantity").is_null(), "ordered_quantity is missing"),
        _when(pl.col("ordered_quantity") <= 0, "ordered_quantity is not above 0"),
        _when(pl.col("received_quantity") < 0, "received_quantity is negative"),
        _when(pl.col("received") < pl.col("ordered"), "received before it was ordered"),
        _when(pl.col("promised") < pl.col("ordered"), "promised for a day before the order"),
        _when(came & pl.col("received_quantity").is_null(), "received_quantity is missing"),
        _when(pl.col("received") > as_of, "received after the day of the evidence"),
        _when(~came & (pl.col("received_quantity") > 0), "the day of the delivery is missing"),
        _when(pl.col("ordered") > as_of, "ordered after the day of the evidence"),
    ]
    overdue = ~came & (pl.col("promised") < as_of).fill_null(False)
    state = pl.when(came).then(pl.lit("received"))
    state_ = state.when(overdue).then(pl.lit("overdue")).otherwise(pl.lit("open"))
    found = rows.with_columns(reason=pl.coalesce(reasons), state=state_)
    kept = found.filter(pl.col("reason").is_null())
    aside = found.filter(pl.col("reason").is_not_null())
    return Receipts(
        kept.select("supplier", "product_id", *DATES, *QUANTITIES, "state"),
        aside.select("row", "supplier", "product_id", "reason"),
    )


def _when(condition: Any, reason: str) -> pl.Expr:
    return pl.when(condition).then(pl.lit(reason))


def _given(rows: pl.DataFrame, name: str) -> pl.Series:
    """Where a cell holds anything."""
    text = rows[name].cast(pl.String)
    return (text.is_not_null() & (text.str.strip_chars() != "")).fill_null(False)


def _dated(rows: pl.DataFrame, name: str, dates: Order | None) -> tuple[pl.DataFrame, pl.Series]:
    """The column as dates, and where it holds something that is none."""
    was = _given(rows, name)
    if not was.any():
        return rows.with_columns(pl.lit(None, dtype=pl.Date).alias(name)), was
    if not rows.schema[name].is_temporal() and rows.schema[name] != pl.String:
        some = rows.filter(was)[name][0]
        raise InputError(
            f"{name} of the receipts holds {excerpt(some)}.", "Give dates: 2026-01-31."
        )
    made = days(nw.from_native(rows), name, dates).to_native().drop(WRITTEN, strict=False)
    return made, was & made[name].is_null()


def by_supplier(receipts: Receipts, grace: int, full: float) -> pl.DataFrame:
    """What each supplier delivered, a row each: counts, shares, lead times.

    Late is what came more than `grace` days after the promised day, or is overdue; in full
    is what brought at least the share `full` of what was ordered.
    """
    came = pl.col("state") == "received"
    day = pl.duration(days=1)
    late_by = (pl.col("received") - pl.col("promised")) / day
    rows = receipts.rows.filter(pl.col("state") != "open").with_columns(
        promise=pl.col("promised").is_not_null(),
        on_time=(came & (late_by <= grace)).fill_null(False),
        in_full=came & (pl.col("received_quantity") >= full * pl.col("ordered_quantity") - 1e-9),
        took=pl.when(came).then((pl.col("received") - pl.col("ordered")) / day),
        late_by=pl.when(came & (late_by > grace)).then(late_by),
        filled=pl.when(came).then(pl.min_horizontal(*QUANTITIES[::-1])).otherwise(0.0),
    )
    both = pl.col("on_time") & pl.col("in_full")
    return rows.group_by("supplier").agg(
        deliveries=pl.len(),
        promises=pl.col("promise").sum(),
        otif_hits=(both & pl.col("promise")).sum(),
        on_time=pl.when(pl.col("promise")).then("on_time").mean(),
        in_full=pl.col("in_full").mean(),
        fill_rate=pl.col("filled").sum() / pl.col("ordered_quantity").sum(),
        lead_time=pl.col("took").mean(),
        lead_time_sd=pl.col("took").std(),
        days_late=pl.col("late_by").mean(),
    )
