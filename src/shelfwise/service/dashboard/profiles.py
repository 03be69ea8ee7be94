"""Profiles: who would change tier if other weights or scalings were chosen."""

from functools import lru_cache
from pathlib import Path

import polars as pl
from flask import request

from shelfwise.columns import COLUMNS
from shelfwise.errors import InputError
from shelfwise.model import Tiering
from shelfwise.notices import best_sellers
from shelfwise.profile import PROFILES
from shelfwise.reasons import Comparison
from shelfwise.run import analyze
from shelfwise.service.dashboard.page import one_of, screen, seen, show
from shelfwise.service.kept import store
from shelfwise.texts import text

LISTED = 50
TIERS = ("High", "Medium", "Low")


@screen("/profiles")
def profiles() -> str:
    """The products of a run under another profile than its own."""
    some = seen()
    mine = some.run.model.profile
    others = [name for name in PROFILES if name != mine.name]
    wanted = one_of(PROFILES, "with", request.args.get("with") or others[0])
    try:
        file = store().runs.products_file(some.run)
        found = _compared(file, mine.name, wanted, some.run.model.tiering, some.days)
    except InputError as error:
        title = text("profiles.title.impossible", name=wanted)
        return show("profiles", "profiles", title=title, missing=error, found=None,
                    others=others, wanted=wanted)  # fmt: skip
    changed = found.changed
    count = some.formats.count
    before, after = map(count, found.best_sellers_low.values())
    return show(
        "profiles",
        "profiles",
        title=text("profiles.title", n=changed.height, name=wanted),
        found=found,
        missing=None,
        lead=text("profiles.lead", best=count(found.best_sellers), mine=mine.name, before=before,
                  name=wanted, after=after),
        moves=_moves(changed),
        rows=changed.head(LISTED).to_dicts(),
        left=max(changed.height - LISTED, 0),
        others=others,
        wanted=wanted,
    )  # fmt: skip


def _moves(changed: pl.DataFrame) -> list[tuple[str, str, int]]:
    """How many go from which tier to which."""
    counted = changed.group_by("tier_before", "tier_after").len()
    found = {(before, after): count for before, after, count in counted.iter_rows()}
    return [(before, after, found[before, after]) for before in TIERS for after in TIERS
            if (before, after) in found]  # fmt: skip


@lru_cache(maxsize=8)
def _compared(
    file: Path, mine: str, wanted: str, tiering: Tiering, days: float | None
) -> Comparison:
    """The kept tiers against those of another profile; what is kept of a run never changes."""
    products = pl.scan_parquet(file)
    given = {column.name for column in COLUMNS}
    names = [n for n in products.collect_schema().names() if n in given]
    other = analyze(products.select(names), profile=wanted, tiering=tiering, period=days).products
    # Both are in the order of the file, and neither has fewer rows.
    both = (
        products.select(
            "product_id", "name", "revenue", tier_before=pl.col("performance_tier").cast(pl.String)
        )
        .collect()
        .with_columns(tier_after=other.lazy().collect()["performance_tier"].cast(pl.String))
    )
    k = best_sellers(both.height)
    best = pl.col("revenue") >= both["revenue"].sort(descending=True)[k - 1]
    low = both.filter(best, pl.col("revenue") > 0).select("tier_before", "tier_after") == "Low"
    # Products that earn the same as the last best seller may bring more.
    counts = [min(k, int(low[name].sum())) for name in ("tier_before", "tier_after")]
    changed = both.filter(pl.col("tier_before") != pl.col("tier_after"))
    return Comparison(
        changed.sort("revenue", descending=True), both.height, k,
        dict(zip((mine, wanted), counts, strict=True)),
    )  # fmt: skip
