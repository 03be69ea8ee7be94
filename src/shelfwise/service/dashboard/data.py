"""Data: what went into a run, what was refused, and the form that takes the next file."""

from flask import Response, current_app, request

from shelfwise.columns import COLUMNS
from shelfwise.errors import NotFoundError
from shelfwise.quality import OUTSIDE
from shelfwise.service import download
from shelfwise.service.dashboard.page import Seen, bound, screen, seen, show
from shelfwise.service.dashboard.upload import KINDS
from shelfwise.service.kept import store
from shelfwise.settings import Settings
from shelfwise.texts import text

LISTED = 50
ABOUT_DATA = ("csv_read_as", "columns_matched", "column_set_aside", "repaired", "no_stock",
              "result_keys_ignored", "unknown_keys_dropped")  # fmt: skip
"""Warnings that tell how it was read; what was left out has its own place."""


@screen("/data")
def data(wrong: str = "") -> str:
    """What went in, and what was refused; `wrong` is what a file that was sent did not fit."""
    settings: Settings = current_app.config["SHELFWISE"]
    limit = settings.max_upload_bytes
    taken = {"wrong": wrong, "limit": limit, "limit_text": _bytes(limit),
             "endings": ",".join([*KINDS, ".gz"])}  # fmt: skip
    try:
        some = seen()
    except NotFoundError:
        if request.args.get("run"):
            raise
        return show("data", "data", title=text("data.title.none"), tiles=[], **taken)
    quality, rejected = some.run.quality, store().runs.rejected(some.run.id)
    given = some.products.collect_schema().names()
    return show(
        "data",
        "data",
        title=_finding(some),
        source=file_name(some.run.source),
        tiles=_tiles(some),
        new=bool(request.args.get("new")),
        findings=quality["findings"] if quality else [],
        rejected=rejected.head(LISTED).to_dicts(),
        rejections=rejected.height,
        notes=[one for one in some.run.warnings if one.code in ABOUT_DATA],
        unlocks=[one for one in COLUMNS if not _is_there(some, one.name, given)],
        file=bound("data/rejected.csv"),
        **taken,
    )


@screen("/data/rejected.csv")
def rejected_file() -> Response:
    """All rows that were not scored, with their reasons, as CSV."""
    some = seen()
    rows = store().runs.rejected(some.run.id).lazy()
    return download.attachment(rows, some.run, "csv", {"limit": None, "raw": None}, "rejected")


def file_name(source: str) -> str:
    """The name of the file or table that a run came from; where it lies is the server's affair."""
    return source.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _is_there(some: Seen, name: str, given: list[str]) -> bool:
    return name in given and not (name == "stock" and "stock_ratio" in some.run.model.withheld)


def _asked_lines(some: Seen) -> tuple[int, int]:
    """The order lines of the period that was asked for, and how many of them count."""
    quality = some.run.quality or {}
    outside = sum(one["lines"] for one in quality["findings"] if one["name"] == OUTSIDE)
    return quality["lines"] - outside, quality["counted"]


def _finding(some: Seen) -> str:
    """What went in, in one sentence."""
    f = some.formats
    if some.run.quality:
        lines, counted = _asked_lines(some)
        key = "data.title.lines.all" if lines == counted else "data.title.lines"
        return text(key, n=lines, counted=f.count(counted), share=f.share(counted / lines, 1))
    skipped = int(some.run.summary["skipped"])
    if not skipped:
        return text("data.title.all", n=some.run.products)
    return text("data.title.some", n=skipped, all=f.count(some.run.products + skipped))


def _tiles(some: Seen) -> list[dict[str, str]]:
    f, quality, skipped = some.formats, some.run.quality, int(some.run.summary["skipped"])
    scored = {"label": text("data.tile.scored"), "value": f.count(some.run.products),
              "note": text("data.tile.scored.note", n=skipped)}  # fmt: skip
    if not quality:
        rows = {"label": text("data.tile.rows"), "value": f.count(some.run.products + skipped),
                "note": text("data.tile.rows.note")}  # fmt: skip
        return [rows, scored]
    lines, counted = _asked_lines(some)
    outside = quality["lines"] - lines
    left = quality["left_out"] - outside
    note = text("data.tile.lines.note", n=outside) if outside else text("data.tile.lines.all")
    return [
        {"label": text("data.tile.lines"), "value": f.count(lines),
         "note": note},
        {"label": text("data.tile.counted"), "value": f.count(counted),
         "note": text("data.tile.counted.note", share=f.share(counted / lines, 1))},
        {"label": text("data.tile.left"), "value": f.count(left),
         "note": text("data.tile.left.note", n=quality["unreadable"])},
        {"label": text("data.tile.revenue"), "value": f.money_short(quality["net_revenue"]),
         "note": text("data.tile.revenue.note", money=f.money_short(quality["gross_revenue"]))},
        scored,
    ]  # fmt: skip


def _bytes(count: int) -> str:
    """A size as people say it."""
    for name, size in (("GB", 2**30), ("MB", 2**20), ("KB", 2**10)):
        if count >= size:
            return f"{count / size:.3g} {name}"
    return f"{count} bytes"
