"""What an analysis may be asked for in a body, and which places requests may read."""

import datetime as dt
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec
from flask import current_app
from msgspec import UNSET, UnsetType

from shelfwise.engines import files, untrusted, urls
from shelfwise.errors import InputError, TooManyRowsError, excerpt
from shelfwise.rules import Rules
from shelfwise.sales.lines import MAX_REJECTED
from shelfwise.sales.rollup import BY
from shelfwise.service.contract import ID, REFERENCE
from shelfwise.service.kept import store
from shelfwise.settings import Settings

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern="^[^\\x00-\\x1f]*$")]
Place = Annotated[str, msgspec.Meta(min_length=1, max_length=1000, pattern="^[^\\x00-\\x1f]*$")]
Day = Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class Source(msgspec.Struct, forbid_unknown_fields=True):
    """Where rows are: an upload, or a place that the settings allow."""

    upload: Annotated[str, msgspec.Meta(pattern=f"^{ID}$")] | UnsetType = UNSET
    place: Place | UnsetType = UNSET


OneSource = Annotated[Source, msgspec.Meta(
    extra_json_schema={"oneOf": [{"required": ["upload"]}, {"required": ["place"]}]})]  # fmt: skip
CountingRules = msgspec.defstruct(
    "CountingRules",
    [(rule.name, rule.type, rule.default) for rule in fields(Rules)],
    forbid_unknown_fields=True,
    module=__name__,
)
"""`Rules`, as a body has them."""


class Sales(msgspec.Struct, forbid_unknown_fields=True):
    """How order lines are counted: the options of `from_sales`."""

    catalog: OneSource | None = None
    stock: OneSource | None = None
    first_day: Day | None = msgspec.field(default=None, name="from")
    last_day: Day | None = msgspec.field(default=None, name="to")
    dates: Literal["day-first", "month-first"] | None = None
    by: Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(BY)})] = "product_id"
    max_rejected: Annotated[float, msgspec.Meta(ge=0, le=1)] = MAX_REJECTED
    find_duplicates: bool = False
    last_price: bool = False
    rules: CountingRules | None = None  # type: ignore[valid-type]  # It is a class, made above.


class NewRun(msgspec.Struct, forbid_unknown_fields=True):
    """An analysis to be done as a job; with `sales` the source has order lines."""

    source: OneSource
    profile: Literal["standard", "robust", "margin"] = "standard"
    tiering: Literal["quota", "kmeans"] = "quota"
    model: Annotated[str, msgspec.Meta(pattern=f"^{REFERENCE}$")] | None = None
    columns: dict[str, str] = {}
    on_error: Literal["reject", "skip", "repair"] = "reject"
    period_days: Annotated[float, msgspec.Meta(ge=1, le=36_600)] | None = None
    group_by: Text | None = None
    label: Text | None = None
    as_of: Day | None = None
    sales: Sales | None = None
    publish: bool = False


def as_request(asked: NewRun, origin: str = "api") -> dict[str, Any]:
    """What a job carries, after a look at where its sources are."""
    settings: Settings = current_app.config["SHELFWISE"]
    found: dict[str, Any] = msgspec.to_builtins(asked)
    found["source"] = source_of(asked.source)
    if asked.model is not None:
        store().models.get(asked.model)
    _must_be_day("as_of", asked.as_of)
    if asked.sales is None:  # Of order lines there may be more; their products are counted.
        refuse_beyond(_rows_of(found["source"]))
    if asked.sales is not None:
        sales = asked.sales
        if sales.by not in BY:
            raise InputError(f"sales.by is {excerpt(sales.by)}.", f"It is one of {', '.join(BY)}.")
        _must_be_day("sales.from", sales.first_day)
        _must_be_day("sales.to", sales.last_day)
        if (sales.first_day or "") > (sales.last_day or "9999"):
            raise InputError(f"sales.from is {sales.first_day}, after sales.to.")
        for name, source in (("catalog", sales.catalog), ("stock", sales.stock)):
            if source is not None:
                found["sales"][name] = source_of(source, f"sales.{name}")
        if sales.rules is not None:
            Rules.of(found["sales"]["rules"], "sales.rules")
    return found | {"origin": origin, "max_rows": settings.max_upload_rows}


def refuse_beyond(rows: int | None) -> None:
    """TooManyRowsError for more products than a job may have; None is not known yet."""
    settings: Settings = current_app.config["SHELFWISE"]
    if rows is not None and rows > settings.max_upload_rows:
        raise TooManyRowsError(rows, settings.max_upload_rows)


def _rows_of(source: dict[str, str]) -> int | None:
    """How many rows a source says that it has, without reading them."""
    if "upload" in source:
        upload = store().uploads.get(source["upload"])
        return untrusted.rows_in(store().uploads.path(upload.id), upload.kind)
    return None if urls.is_url(source["place"]) else files.rows_in(source["place"])


def source_of(source: Source, name: str = "source") -> dict[str, str]:
    """A source as a job carries it; NotFoundError, InputError where it may not be read."""
    settings: Settings = current_app.config["SHELFWISE"]
    if (source.upload is UNSET) is (source.place is UNSET):
        raise InputError(f"Give either {name}.upload or {name}.place.")
    if source.upload is not UNSET:
        return {"upload": store().uploads.get(str(source.upload)).id}
    return {"place": allowed(str(source.place), settings.sources)}


def _must_be_day(name: str, text: str | None) -> None:
    try:
        dt.date.fromisoformat(text or "2026-01-01")
    except ValueError as error:
        raise InputError(f"{name} is {text}: there is no such day.") from error


def allowed(place: str, sources: tuple[str, ...]) -> str:
    """The place, resolved; InputError where the settings do not open it to requests.

    A folder opens what is in it, after links are followed. A URL opens what has the same
    scheme, user and host, and a path that is its own or begins with it and a slash.
    """
    if urls.is_url(place):
        if any(_within(place, one) for one in sources if urls.is_url(one)):
            return place
    else:
        path = Path(place).resolve()
        folders = [Path(one).resolve() for one in sources if not urls.is_url(one)]
        if any(path == folder or folder in path.parents for folder in folders):
            return str(path)
    raise InputError(
        "This place may not be read over HTTP.",
        "SHELFWISE_SOURCES lists the folders and URLs that may; or upload the file.",
    )


def _within(place: str, source: str) -> bool:
    asked, opened = urlsplit(place), urlsplit(source)
    same = (asked.scheme.lower(), asked.netloc) == (opened.scheme.lower(), opened.netloc)
    steps = unquote(asked.path).replace("\\", "/").split("/")
    base = opened.path.rstrip("/")
    inside = asked.path == opened.path or asked.path.startswith(f"{base}/")
    return same and inside and ".." not in steps and asked.query == opened.query
