"""Lists to take elsewhere: CSV of one list, and custom labels for Google Merchant Center."""

import polars as pl

from shelfwise.engines.output import tamed
from shelfwise.errors import InputError, excerpt
from shelfwise.insights.decisions import Section
from shelfwise.insights.marketing import LISTS
from shelfwise.insights.wording import number

SHOWN = ("product_id", "name", "category", "amount", "money", "money_basis", "confidence", "reason")
LONGEST_ID = 50
"""Google Merchant Center takes no longer id."""
LABELS = {
    "custom_label_0": "Its list: feature, clear, hidden_gem or do_not_promote.",
    "custom_label_1": "Its tier: tier_high, tier_medium or tier_low.",
    "custom_label_2": "Whether its stock lasts for a campaign: stock_short or stock_enough.",
    "custom_label_3": "Its confirmed trend: rising or falling.",
    "custom_label_4": "Its discount in the campaign, in percent: off_20.",
}
"""What each label says; one that nothing is known for stays empty."""


def list_of(section: Section, action: str) -> pl.DataFrame:
    """The products of one list, most money first, with their reasons.

    Args:
        section: What `marketing` or `campaign` gave.
        action: feature, clear, promote or do_not_promote.

    Raises:
        InputError: There is no such list.
    """
    if action not in LISTS:
        raise InputError(f"The list is {excerpt(action)}.", f"It is one of {', '.join(LISTS)}.")
    more = ("discount", "campaign_price", "rests_on") if section.name == "campaign" else ()
    return section.decisions.filter(action=action).select(*SHOWN[:3], *more, *SHOWN[3:])


def merchant_labels(marketing: Section, campaign: Section | None = None) -> pl.DataFrame:
    """`id` and `custom_label_0` to `custom_label_4` of all products, for a supplemental feed.

    Ids stand as they are, since Google looks products up by them. Those of more than 50
    characters are left out: no product there can have one. What people have dismissed of a
    run that is kept has neither the label of its list nor that of its discount.
    """
    rows = _standing(marketing.rows, "action")
    off = pl.lit(None, pl.Float64).alias("discount")
    if campaign is None:
        rows = rows.with_columns(off)
    else:
        offered = _standing(campaign.rows, "discount").select("product_id", "discount")
        rows = rows.join(offered, on="product_id", how="left", maintain_order="left")
    labels = (
        pl.col("action").replace_strict(LISTS, default=None, return_dtype=pl.String),
        pl.format("tier_{}", pl.col("performance_tier").str.to_lowercase()),
        pl.when(pl.col("stock") < pl.col("base_units")).then(pl.lit("stock_short"))
        .when(pl.col("stock") >= pl.col("base_units")).then(pl.lit("stock_enough")),
        pl.when(pl.col("trend").is_in(["rising", "falling"])).then("trend"),
        pl.format("off_{}", number(100 * pl.col("discount"))),
    )  # fmt: skip
    fits = rows.filter(pl.col("product_id").str.len_chars() <= LONGEST_ID)
    named = dict(zip(LABELS, labels, strict=True))
    return fits.select(pl.col("product_id").alias("id"), **named)


def _standing(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """The rows, with no value where people have dismissed it."""
    if "verdict" not in rows.columns:
        return rows
    return rows.with_columns(pl.when(pl.col("verdict").ne_missing("dismissed")).then(name))


def to_csv(frame: pl.DataFrame, *, raw: bool = False) -> bytes:
    """A list as CSV; texts that a spreadsheet would take for formulas get an apostrophe.

    A feed for a machine needs `raw`: there the apostrophe would be a part of the id.

    Example:
        >>> to_csv(pl.DataFrame({"product_id": ["007"], "name": ["=1+1"]}))
        b"product_id,name\\n007,'=1+1\\n"
    """
    shown = frame if raw else tamed(frame.lazy()).collect()
    return shown.write_csv().encode()
