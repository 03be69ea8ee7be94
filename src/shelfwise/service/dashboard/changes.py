"""What changed between two runs: who moved, and why."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import polars as pl
from flask import Response, request

from shelfwise import charts
from shelfwise.errors import InputError, NotFoundError
from shelfwise.insights.bridges import CAUSES
from shelfwise.model import TIERS
from shelfwise.service import download
from shelfwise.service.dashboard.data import file_name
from shelfwise.service.dashboard.page import (
    RUNS_SHOWN,
    Seen,
    bound,
    days_of_run,
    drawn,
    screen,
    seen,
    show,
)
from shelfwise.service.dashboard.working import begin, working
from shelfwise.service.kept import store
from shelfwise.store.derived import Derived
from shelfwise.store.run import Run
from shelfwise.texts import text

LISTED, MOVED, CATEGORIES = 50, 12, 40
MONTHS_APART = 3
"""By how many days calendar months differ."""


@screen("/changes")
def changes() -> Any:
    """Two runs side by side: the shown one, and the one before, or `since`."""
    try:
        some = seen()
    except NotFoundError:
        if request.args.get("run"):
            raise
        return show("empty", "changes", title=text("empty.title"))
    made = some.derived.get("changes")
    older = _older(some.run)
    before = _before(some, made, older)
    if before is None:
        return show("changes_none", "changes", title=text("changes.title.alone"))
    if request.args.get("work") and (page := working("changes", "changes", since=before.id)):
        return page
    chosen = {
        "before": before,
        "before_name": before.label or file_name(before.source),
        "others": older if before in older else [before, *older],
    }
    if made is None or made.about.get("since") != before.id:
        title = text("changes.title.start", day=_day(some, before.as_of))
        lengths = _lengths(some.days, days_of_run(before))
        return show("changes_start", "changes", title=title, lengths=lengths, apart=MONTHS_APART,
                    **chosen)  # fmt: skip
    return _compared(some, made, chosen)


@screen("/changes", scope="analyze", methods=("POST",))
def compare() -> Any:
    """Start the comparison of the shown run with another."""
    since = store().runs.get(request.form.get("since", ""))
    if since.id == seen().run.id:
        raise InputError(text("changes.wrong.same"))
    policy = {"days_apart": request.form.get("days_apart", "")}
    return begin(seen(), "changes", "changes", policy, since=since.id)


@screen("/changes.<format:format>")
def changes_file(format: str) -> Response:
    """The comparison of all products, as a file."""
    some = seen()
    made = store().derived.get(some.run, "changes")
    options = {"limit": None, "raw": None}
    return download.attachment(made.scan(), some.run, format, options, "changes")


def _older(run: Run) -> list[Run]:
    """The runs that were made before one."""
    return store().runs.newest(RUNS_SHOWN, after=run.id)[0]


def _before(some: Seen, made: Derived | None, older: list[Run]) -> Run | None:
    """The run to compare with: as asked, as compared before, or the last one of the same kind."""
    if given := request.args.get("since"):
        found = store().runs.get(given)
        if found.id == some.run.id:
            raise InputError(text("changes.wrong.same"))
        return found
    known = {run.id: run for run in older}
    if made is not None and made.about.get("since") in known:
        return known[made.about["since"]]
    return next(iter(store().comparable(some.run)), None)


def _lengths(after: float | None, before: float | None) -> str:
    """Why two periods cannot be compared as they are; empty where they can."""
    if after is None or before is None:
        return text("changes.lengths.unknown")
    if abs(after - before) < 1e-6:
        return ""
    return text("changes.lengths", before=f"{before:g}", after=f"{after:g}")


def _compared(some: Seen, made: Derived, chosen: Mapping[str, Any]) -> str:
    summary, rows = made.about["summary"], made.scan().collect()
    day = _day(some, chosen["before"].as_of)
    told = {"since": day, "withheld": made.about["withheld"],
            "assumptions": made.about["assumptions"], **chosen}  # fmt: skip
    if "revenue" not in summary:
        return show("changes_start", "changes", title=text("changes.title.withheld"),
                    lengths=" ".join(one["why"] for one in told["withheld"]),
                    apart=MONTHS_APART, **told)  # fmt: skip
    really = rows.filter(pl.col("really_changed").fill_null(False)).sort(
        pl.col("revenue_change").abs(), descending=True, nulls_last=True
    )
    moved = rows.filter(pl.col("moved").fill_null(False)).sort(
        pl.col("score_change").abs(), descending=True, nulls_last=True
    )
    place = {tier: rank for rank, tier in enumerate(TIERS)}
    ups = [row for row in moved.to_dicts()
           if place[row["settled_after"]] < place[row["settled_before"]]]  # fmt: skip
    downs = [row for row in moved.to_dicts()
             if place[row["settled_after"]] > place[row["settled_before"]]]  # fmt: skip
    count = int(summary["really_changed"])
    key = "changes.title" if count else "changes.title.nothing"
    return show(
        "changes",
        "changes",
        title=text(key, n=count, day=day),
        tiles=_tiles(some, summary, day),
        bridge=_bridge(some, summary["revenue"]),
        causes=CAUSES,
        categories=_categories(summary["revenue_by_category"]),
        tiers=TIERS,
        matrix=summary["migration"],
        counted=sum(sum(row.values()) for row in summary["migration"].values()),
        really=really.head(LISTED).to_dicts(),
        really_all=really.height,
        moved={"up": ups[:MOVED], "down": downs[:MOVED]},
        moved_all={"up": len(ups), "down": len(downs)},
        movers=summary["movers"],
        there={str(one) for one in some.products.select("product_id").collect().to_series()}
        if summary["status"]["gone"] else None,
        files=[(kind, bound(f"changes.{kind}")) for kind in ("csv", "xlsx", "parquet", "json")],
        **told,
    )  # fmt: skip


def _bridge(some: Seen, revenue: Mapping[str, float]) -> dict[str, Any] | None:
    """The chart of the revenue's change; None where nothing was sold before."""
    if not revenue["before"] and not revenue["after"]:
        return None
    parts = [(text("changes.before"), float(revenue["before"]))]
    parts += [(text(f"changes.cause.{cause}"), float(revenue[cause])) for cause in CAUSES]
    return drawn(charts.bridge(parts, some.formats))


def _categories(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Categories by how much their revenue changed; none where products have no category."""
    named = [one for one in found if one["category"] is not None]
    if not named:
        return []
    return sorted(found, key=lambda one: -abs(one["change"]))[:CATEGORIES]


def _tiles(some: Seen, summary: Mapping[str, Any], day: str) -> list[dict[str, str]]:
    f, revenue, status = some.formats, summary["revenue"], summary["status"]
    grown = revenue["change"] / revenue["before"] if revenue["before"] else None
    own = summary["scores"]["mean_own_change"]
    tiles = [
        {"label": text("kpi.revenue"), "value": f.money_short(revenue["after"]),
         "note": text("changes.tile.revenue", change=f.change(grown, 1),
                      money=f.money_short(revenue["change"])),
         "tone": "good" if revenue["change"] >= 0 else "bad"},
        {"label": text("changes.tile.really"), "value": f.count(summary["really_changed"]),
         "note": text("changes.tile.really.note", n=sum(status.values()))},
        {"label": text("changes.tile.moved"), "value": f.count(summary["moves_that_count"]),
         "note": text("changes.tile.moved.note", n=summary["moves_seen"])},
        {"label": text("changes.tile.new"), "value": f.count(status["new"] + status["started"]),
         "note": text("changes.tile.new.note", n=status["gone"] + status["stopped"])},
    ]  # fmt: skip
    if own is not None:
        shift = f.number(summary["scores"]["mean_peer_shift"], 2)
        tiles.append({"label": text("changes.tile.score"), "value": f.number(own, 2),
                      "note": text("changes.tile.score.note", points=shift)})  # fmt: skip
    return tiles


def _day(some: Seen, day: dt.date) -> str:
    return some.formats.day(day)
