"""One product: why this score, which way is it going, against what?"""

import datetime as dt
from typing import Any

import polars as pl
from flask import g, redirect, request

from shelfwise import answer, charts
from shelfwise.errors import InputError, NotFoundError, excerpt
from shelfwise.service.access import audited
from shelfwise.service.dashboard.page import Seen, drawn, screen, seen, show, url
from shelfwise.service.kept import store
from shelfwise.store.query import Query, page, select
from shelfwise.texts import text

NEIGHBORS, PLACES_LISTED = 6, 200


@screen("/product")
def product() -> str:
    """A product by its `id`, and its `location` where it stands in several."""
    some = seen()
    row = _row(some)
    if row.height > 1:
        places = row.to_dicts()
        title = text("product.places", name=row["name"][0], n=row.height)
        return show("product_places", "products", title=title, rows=places)
    overrides = store().overrides.of_rows(row, some.run.as_of)
    shown = answer.kept_rows(row, some.run.model, some.run.products, explain=True, full=True)[0]
    product_id = str(shown["product_id"])
    tables = {name: _one(some, name, product_id) for name in
              ("trends", "forecast", "inventory", "marketing", "confidence")}  # fmt: skip
    return show(
        "product",
        "products",
        title=str(shown["name"]),
        row=shown,
        override=overrides[0],
        parts_of_score=_parts(some, shown),
        cuts={"high": some.run.model.cut_high, "low": some.run.model.cut_low},
        trend=tables["trends"],
        action=tables["inventory"],
        marketing=tables["marketing"],
        confidence=tables["confidence"],
        charts=_charts(some, shown, tables["forecast"]),
        neighbors=_neighbors(some, shown),
        today=some.run.as_of.isoformat(),
    )


@screen("/override", scope="analyze", methods=("POST",))
def set_override() -> Any:
    """Set the tier of a product, or end what was set."""
    some = seen()
    form = request.form
    if ended := form.get("end"):
        store().overrides.end(ended, some.run.id)
        audited("override.end", ended)
    else:
        made = store().overrides.set(
            form.get("id", ""), form.get("tier", ""), form.get("reason", "").strip(),
            location=form.get("location") or None, run_id=some.run.id,
            last_day=_day(form.get("until", "")), who=g.who,
        )  # fmt: skip
        audited("override.set", made.id)
    return redirect(url("product", id=form.get("id"), location=form.get("location")))


def _day(given: str) -> dt.date | None:
    if not given:
        return None
    try:
        return dt.date.fromisoformat(given)
    except ValueError as error:
        raise InputError(
            text("wrong.day", given=excerpt(given)), text("wrong.day.instead")
        ) from error


def _row(some: Seen) -> pl.DataFrame:
    """The row that the address asks for; all its locations where it does not say which."""
    product_id, location = request.args.get("id", ""), request.args.get("location")
    equal = {"product_id": product_id} | ({"location": location} if location else {})
    rows = some.products
    if location == "" and "location" in rows.collect_schema():
        rows = rows.filter(pl.col("location").is_null())
    found, _ = page(rows, Query(equal), PLACES_LISTED)
    if not found.height:
        raise NotFoundError(
            text("product.wrong.id", id=excerpt(product_id)), text("product.wrong.id.instead")
        )
    return found


def _one(some: Seen, table: str, product_id: str) -> dict[str, Any] | None:
    made = some.derived.get(table)
    if made is None:
        return None
    rows = store().answered(some.run, made).filter(pl.col("product_id") == product_id)
    found = rows.head(1).collect()
    return found.to_dicts()[0] if found.height else None


def _parts(some: Seen, shown: dict[str, Any]) -> list[dict[str, Any]]:
    """What each metric adds to the score, and the most that it could."""
    model = some.run.model
    return [
        {
            "name": scale.metric,
            "label": model.profile.metric(scale.metric).label,
            "points": shown["contributions"][scale.metric],
            "most": 100 * scale.weight,
            "value": shown.get(scale.metric),
            "unit": model.profile.metric(scale.metric).unit,
        }
        for scale in model.scales
    ]


def _charts(
    some: Seen, shown: dict[str, Any], forecast: dict[str, Any] | None
) -> dict[str, dict[str, Any]]:
    found = {}
    product_id = str(shown["product_id"])
    alike = store().runs.alike(some.run)
    scored = [row for row in store().runs.history.of(product_id, shown.get("location"))
              if row["run_id"] in alike]  # fmt: skip
    if len(scored) > 1:
        frame = pl.DataFrame(scored).with_columns(pl.col("as_of").str.to_date())
        found["history"] = drawn(charts.history(frame, some.formats, some.run.profile))
    if (units := _units(some, product_id)) is not None:
        found["weeks"] = drawn(charts.weeks(units, forecast, some.formats))
    return found


def _units(some: Seen, product_id: str) -> pl.DataFrame | None:
    """The units of each week since its first sale; None where the run has no weeks of it."""
    if not store().runs.has_weeks(some.run):
        return None
    weeks = store().runs.weeks(some.run)
    sums: pl.LazyFrame = weeks.frame.to_native()
    sold = sums.filter(pl.col("product_id") == product_id).select("week", "units").collect()
    if not sold.height:
        return None
    every = pl.DataFrame({"week": range(weeks.weeks)}, schema={"week": sold["week"].dtype})
    units = every.join(sold, on="week", how="left").with_columns(pl.col("units").fill_null(0.0))
    # Weeks before its first sale are not weeks without one.
    units = units.filter(pl.col("units").cum_sum() > 0)
    day = pl.lit(weeks.first) + pl.duration(weeks=pl.col("week"))
    return units.select(day.cast(pl.Date).alias("week"), "units")


def _neighbors(some: Seen, shown: dict[str, Any]) -> list[dict[str, Any]]:
    """The products nearest by score, in its category where it has one."""
    rows = some.products
    if shown.get("category") is not None and "category" in rows.collect_schema():
        rows = select(rows, Query({"category": str(shown["category"])}))
    far = (pl.col("rank") - shown["rank"]).abs()
    mine = pl.col("product_id").cast(pl.String) == str(shown["product_id"])
    if "location" in rows.collect_schema():
        mine &= (
            pl.col("location").cast(pl.String).eq_missing(pl.lit(shown.get("location"), pl.String))
        )
    near = rows.filter(~mine).with_columns(far.alias("_far")).bottom_k(NEIGHBORS, by="_far")
    found = near.sort("rank").collect()
    set_by_hand = store().overrides.of_rows(found, some.run.as_of)
    return [row | {"override": one} for row, one in zip(found.to_dicts(), set_by_hand, strict=True)]
