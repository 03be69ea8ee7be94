"""Campaigns: whom to promote within a budget, and the lists that need no estimate of a discount."""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import polars as pl
from flask import Response, request

from shelfwise.errors import InputError, NotFoundError, ShelfwiseError, excerpt
from shelfwise.insights.decisions import Section
from shelfwise.insights.lists import LABELS, list_of
from shelfwise.insights.marketing import LISTS
from shelfwise.insights.sections import QUESTIONS
from shelfwise.service import download, media
from shelfwise.service.dashboard.page import Seen, bound, one_of, screen, seen, show
from shelfwise.service.dashboard.working import begin, working
from shelfwise.service.kept import store
from shelfwise.store.derived import Derived
from shelfwise.store.run import Run
from shelfwise.texts import TEXTS, text

PLAN = "plan"
VIEWS = (PLAN, *LISTS)
LISTED = 100
FIRST = ("budget", "days", "most_products", "discounts", "assumed_uplift", "start")
"""The settings that are needed most; the others stand behind them."""
PERCENT = ("assumed_uplift", "margin_floor", "low_price", "most_risk", "gem_share", "gem_level")
"""Shares, which people write as percent."""


@screen("/campaigns")
def campaigns() -> Any:
    """The campaign with its form, or a list (`view`)."""
    return _page("", {})


@screen("/campaigns", scope="analyze", methods=("POST",))
def plan() -> Any:
    """Work out a campaign, or the lists, by the settings of the form."""
    view = _view(request.form.get("view", PLAN))
    kind = "campaign" if view == PLAN else "marketing"
    try:
        policy = _policy(kind, seen())
        return begin(seen(), "campaigns", kind, policy, view=view)  # type: ignore[arg-type]
    except InputError as error:
        return Response(_page(str(error), request.form), 422, content_type="text/html")


@screen("/campaigns.<format:format>")
def campaigns_file(format: str) -> Response:
    """The list of a view as a file: most money first, with the reasons."""
    some, view = seen(), _view(request.args.get("view", PLAN))
    section = _section(some.run, "campaign" if view == PLAN else "marketing")
    rows = list_of(section, "promote" if view == PLAN else view).lazy()
    named = "campaign" if view == PLAN else LISTS[view]
    return download.attachment(rows, some.run, format, {"limit": None, "raw": None}, named)


@screen("/campaigns/labels.csv")
def labels_file() -> Response:
    """Custom labels of all products for a supplemental feed; ids stand as they are."""
    some = seen()
    rows = store().labels(some.run.id)
    response = Response(media.write(rows, "csv", raw=True), content_type=media.content_type("csv"))
    name = f"{some.run.as_of}-{some.run.id[:12]}-labels.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _section(run: Run, kind: Any) -> Section:
    """What was made of a run, as the section that it was made of; NotFoundError says how."""
    made = store().derived.get(run, kind)
    return Section(kind, QUESTIONS[kind].columns, made.scan().collect())


def _view(given: str) -> str:
    return one_of(VIEWS, "list", given)


def _page(wrong: str, form: Mapping[str, str]) -> Any:
    try:
        some = seen()
    except NotFoundError:
        if request.args.get("run"):
            raise
        return show("empty", "campaigns", title=text("empty.title"))
    view = _view(form.get("view") or request.args.get("view") or PLAN)
    kind: Any = "campaign" if view == PLAN else "marketing"
    # The plan has a form of its own, so it shows itself where nothing is made yet.
    if not wrong and (view != PLAN or request.args.get("work")):
        page = working("campaigns", kind, view=view)
        if page is not None:
            return page
    made = some.derived.get(kind)
    rows = some.table(kind) if made else None
    about = some.about(kind)
    inside = _inside(rows, "promote" if view == PLAN else view)
    counts, names = _counts(some), _names(kind)
    first = [name for name in names if name in FIRST or kind != "campaign"]
    return show(
        "campaigns",
        "campaigns",
        title=_plan_title(some, made) if view == PLAN else text(
            f"campaigns.title.{view}", n=inside.height if inside is not None else 0),
        view=view,
        views=[(one, counts.get(one)) for one in VIEWS],
        rows=inside.head(LISTED).to_dicts() if inside is not None else [],
        rows_all=inside.height if inside is not None else 0,
        made=made,
        summary=about.get("summary", {}),
        withheld=about.get("withheld", []),
        assumptions=about.get("assumptions", []),
        tiles=_tiles(some, about, rows) if view == PLAN and made else [],
        left_out=_left_out(rows) if view == PLAN else [],
        first=_fields(kind, first, some, form),
        others=_fields(kind, [name for name in names if name not in first], some, form),
        open_others=bool(wrong) or _differs(kind, about),
        wrong=wrong,
        labels=list(LABELS.items()) if "marketing" in some.derived else [],
        files=[(one, bound(f"campaigns.{one}", view=view)) for one in ("csv", "xlsx")],
        labels_file=bound("campaigns/labels.csv"),
    )  # fmt: skip


def _names(kind: str) -> list[str]:
    """The settings, those that are needed most first."""
    fields = msgspec.structs.fields(QUESTIONS[kind].policy)
    names = [one.name for one in fields if one.name != "inventory"]  # It has a page of its own.
    return [*(one for one in FIRST if one in names), *(one for one in names if one not in FIRST)]


def _inside(rows: pl.DataFrame | None, action: str) -> pl.DataFrame | None:
    """The products of a list, the most money first."""
    if rows is None:
        return None
    found = rows.filter(pl.col("action") == action)
    return found.sort("money", descending=True, nulls_last=True, maintain_order=True)


def _counts(some: Seen) -> dict[str, int]:
    counts = {PLAN: some.about("campaign").get("summary", {}).get("products")}
    return counts | dict(some.about("marketing").get("summary", {}))


def _plan_title(some: Seen, made: Derived | None) -> str:
    """What the campaign would bring, in one sentence."""
    if made is None:
        return text("campaigns.title.none")
    summary = made.about["summary"]
    if made.about["withheld"] or not summary:
        return text("campaigns.title.withheld")
    if not summary["products"]:
        return text("campaigns.title.nobody")
    money = some.formats.money_short(summary["profit"])
    return text("campaigns.title", n=summary["products"], money=money)


def _tiles(some: Seen, about: Mapping[str, Any], rows: pl.DataFrame | None) -> list[dict[str, str]]:
    """The figures of the campaign, each with what it rests on."""
    f, summary = some.formats, about.get("summary", {})
    if not summary:
        return []
    profit, assumed = summary["profit"], summary["profit_with_assumed_uplift"]
    share = f.share(assumed / profit if profit else None)
    if not summary["products"]:
        rests = ""
    elif not assumed:
        rests = text("campaigns.rests.elasticity")
    else:
        rests = text("campaigns.rests.assumed", share=share)
    optimal = text("campaigns.gap.optimal") if summary["optimal"] else text(
        "campaigns.gap.bound", bound=f.money_short(summary["bound"]))  # fmt: skip
    budget = summary["budget"]
    first, last = (dt.date.fromisoformat(summary[name]) for name in ("start", "end"))
    return [
        {"label": text("campaigns.tile.profit"), "value": f.money_short(profit), "note": rests},
        {"label": text("campaigns.tile.cost" if budget is not None else "campaigns.col.cost"),
         "value": f.money_short(summary["cost"]),
         "note": text("campaigns.tile.cost.budget", money=f.money_short(budget))
         if budget is not None else text("campaigns.tile.cost.free")},
        {"label": text("campaigns.tile.products"), "value": f.count(summary["products"]),
         "note": text("campaigns.tile.products.note", n=rows.height if rows is not None else 0)},
        {"label": text("campaigns.tile.gap"), "value": f.share(summary["gap"], 2),
         "note": optimal},
        {"label": text("campaigns.tile.days"), "value": f.weekday(first),
         "note": text("campaigns.tile.days.note", day=f.weekday(last))},
    ]  # fmt: skip


def _left_out(rows: pl.DataFrame | None) -> list[tuple[str, int]]:
    """Why products are not in the campaign, and how many for each reason."""
    if rows is None:
        return []
    reason = pl.col("left_out").str.split(":").list.first()
    found = rows.filter(pl.col("left_out").is_not_null()).group_by(reason).len()
    return [(why, count) for why, count in found.sort("len", descending=True).iter_rows()]


def _schema(kind: str) -> dict[str, Any]:
    policy = QUESTIONS[kind].policy
    found: dict[str, Any] = msgspec.json.schema(policy)["$defs"][policy.__name__]["properties"]
    return found


def _differs(kind: str, about: Mapping[str, Any]) -> bool:
    """Whether a setting that stands behind the others is not the usual one."""
    given = about.get("policy", {})
    usual = msgspec.to_builtins(QUESTIONS[kind].policy())
    return any(name not in FIRST and given.get(name, usual[name]) != usual[name] for name in usual)


def _fields(
    kind: str, names: list[str], some: Seen, form: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The fields of the form, with what was written, or what the last campaign was made by."""
    schema = _schema(kind)
    given = msgspec.to_builtins(QUESTIONS[kind].policy()) | some.about(kind).get("policy", {})
    fields = []
    for name in names:
        told = schema[name]
        value = _written(name, given[name])
        if name == "most_products" and given[name] == some.run.products:
            value = ""
        fields.append({
            "name": name, "label": text(f"campaigns.field.{name}"),
            "hint": text(f"campaigns.hint.{name}") if f"campaigns.hint.{name}" in TEXTS
            else told.get("description", ""),
            "value": form.get(name, "") if name in form or form.get("view") else value,
            "kind": _kind(name, told),
            "unit": "%" if name in (*PERCENT, "discounts") else "",
            "choices": _categories(some) if name == "exclude_categories" else [],
            "chosen": request.form.getlist(name) if form.get("view") else given[name],
        })  # fmt: skip
    return [one for one in fields if one["kind"] != "categories" or one["choices"]]


def _kind(name: str, told: Mapping[str, Any]) -> str:
    if name in ("category_caps", "promoted", "exclude"):
        return "lines"
    if name in ("exclude_categories", "start", "discounts"):
        return {"start": "day", "discounts": "text"}.get(name, "categories")
    return "number"


def _categories(some: Seen) -> list[str]:
    if "category" not in some.products.collect_schema():
        return []
    found = some.products.select(pl.col("category").cast(pl.String).unique().drop_nulls())
    return sorted(found.collect().to_series())


def _written(name: str, value: Any) -> str:
    """A setting as it stands in the form."""
    if value is None or value == "":
        return ""
    if name == "discounts":
        return ", ".join(f"{100 * share:g}" for share in value)
    if name in PERCENT:
        return f"{100 * value:g}"
    if isinstance(value, Mapping):
        return "\n".join(f"{key} = {what}" for key, what in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _policy(kind: str, some: Seen) -> dict[str, Any]:
    """The settings that the form has; InputError says what is wrong with which."""
    found: dict[str, Any] = {}
    for name in _names(kind):
        given = request.form.get(name, "").strip()
        if name == "exclude_categories":
            found[name] = [one for one in request.form.getlist(name) if one]
        elif name == "most_products" and not given:
            found[name] = some.run.products  # As many as there are: no limit.
        elif given:
            found[name] = _read(name, given)
    return found


def _read(name: str, given: str) -> Any:
    if name == "discounts":
        return [_number(name, one) / 100 for one in given.replace(";", ",").split(",") if one]
    if name in PERCENT:
        return _number(name, given) / 100
    if name == "exclude":
        return [one.strip() for one in given.replace(",", "\n").splitlines() if one.strip()]
    if name == "category_caps":
        return _pairs(name, given, int)
    if name == "promoted":
        return _pairs(name, given, str)
    return given


def _number(name: str, given: str) -> float:
    try:
        return float(given.strip().removesuffix("%"))
    except ValueError as error:
        label = text(f"campaigns.field.{name}")
        raise InputError(
            text("campaigns.wrong.number", field=label, given=excerpt(given))
        ) from error


def _pairs(name: str, given: str, kind: Callable[[str], Any]) -> dict[str, Any]:
    """Lines such as `Tea = 3`."""
    found = {}
    for line in filter(None, map(str.strip, given.splitlines())):
        key, between, value = line.rpartition("=")
        try:
            found[key.strip()] = kind(value.strip())
        except ValueError as error:
            between = ""
            raise _no_pair(name, line) from error
        if not between or not key.strip():
            raise _no_pair(name, line)
    return found


def _no_pair(name: str, line: str) -> ShelfwiseError:
    label, example = text(f"campaigns.field.{name}"), text(f"campaigns.example.{name}")
    told = text("campaigns.wrong.pair", field=label, given=excerpt(line), example=example)
    return InputError(told)
