"""What every page has: its place, who may see it, the run it shows, and how it is drawn."""

import gzip
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import polars as pl
from flask import Blueprint, Response, current_app, g, render_template, request
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from shelfwise import __version__
from shelfwise.charts import CONFIG, THEMES, Chart, format_locale
from shelfwise.errors import InputError, NotFoundError, excerpt
from shelfwise.formats import Formats
from shelfwise.insights.evidence import days_of
from shelfwise.service.access import SCREENS
from shelfwise.service.kept import store
from shelfwise.settings import Settings
from shelfwise.store.derived import Derived
from shelfwise.store.keys import Scope
from shelfwise.store.run import Run
from shelfwise.store.runs import LATEST
from shelfwise.texts import column, counting, text

site = Blueprint("dashboard", __name__)
RUNS_SHOWN = 50
SMALLEST = 1_000
"""Bytes below which an answer is not worth compressing."""


@dataclass(frozen=True, slots=True)
class Place:
    """A page in the navigation: its endpoint's name, its path, whether a phone has a tab for it."""

    name: str
    path: str
    tab: bool = False


PLACES = (
    Place("overview", "/", tab=True),
    Place("products", "/products", tab=True),
    Place("inventory", "/inventory", tab=True),
    Place("trends", "/trends"),
    Place("campaigns", "/campaigns"),
    Place("suppliers", "/suppliers"),
    Place("changes", "/changes"),
    Place("data", "/data"),
    Place("reports", "/reports"),
    Place("method", "/method"),
)


def screen(
    path: str, *, scope: Scope | None = "read", methods: tuple[str, ...] = ("GET",)
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a page, or what its forms post to, with the scope that it needs."""

    def declare(view: Callable[..., Any]) -> Callable[..., Any]:
        SCREENS[f"{site.name}.{view.__name__}"] = scope

        @wraps(view)
        def counted(**values: Any) -> Any:
            settings: Settings = current_app.config["SHELFWISE"]
            with counting(Formats(settings.locale).count):
                return view(**values)

        site.add_url_rule(path, view.__name__, counted, methods=list(methods))
        return view

    return declare


@dataclass(frozen=True, slots=True)
class Seen:
    """The run that a page shows, and how its numbers are written."""

    run: Run
    formats: Formats
    days: float | None
    derived: dict[str, Derived]

    @property
    def products(self) -> pl.LazyFrame:
        """The scored products, by rank."""
        return store().runs.products(self.run)

    def table(self, name: str) -> pl.DataFrame | None:
        """What was made of the run, with people's answers; None where nobody made it."""
        made = self.derived.get(name)
        return None if made is None else store().answered(self.run, made).collect()

    def about(self, name: str) -> dict[str, Any]:
        """What stands beside a table: summary, withheld, assumptions."""
        made = self.derived.get(name)
        return {} if made is None else dict(made.about)


def seen() -> Seen:
    """The run that the address asks for, or the latest; NotFoundError where there is none."""
    if "seen" not in g:
        run = store().runs.get(request.args.get("run") or LATEST)
        facts = _facts(store().runs.products_file(run))
        settings: Settings = current_app.config["SHELFWISE"]
        formats = Formats(settings.locale, facts[1] or settings.currency)
        derived = {table.name: table for table in store().derived.all(run)}
        g.seen = Seen(run, formats, facts[0], derived)
    found: Seen = g.seen
    return found


@lru_cache(maxsize=64)
def _facts(file: Path) -> tuple[float | None, str]:
    """The days that the sales of a run cover, and its currency; results never change."""
    products = pl.scan_parquet(file)
    columns = products.collect_schema().names()
    wanted = [n for n in ("units_sold", "units_per_day", "currency") if n in columns]
    some = products.select(wanted).collect()
    kinds = some["currency"].drop_nulls().unique().to_list() if "currency" in wanted else []
    code = kinds[0].upper() if len(kinds) == 1 else ""
    return days_of(some), code if len(code) == 3 and code.isalpha() else ""


def show(template: str, place: str, *, title: str, **values: Any) -> str:
    """A page: `title` is its H1, the finding itself."""
    some = _seen_or_none()
    runs, _ = store().runs.newest(RUNS_SHOWN)
    known = {run.id for run in runs}
    if some and some.run.id not in known:
        runs = [*runs, some.run]
    formats = some.formats if some else Formats(current_app.config["SHELFWISE"].locale)
    return render_template(
        f"dashboard/{template}.html",
        place=place, places=PLACES, title=title, seen=some, run=some.run if some else None,
        runs=runs, t=text, column=column, f=formats, url=url, bound=bound, has=has, theme=theme(),
        version=__version__,
        config=lambda: chart_config(formats), period=period(some) if some else "",
        may=lambda scope: bool(g.scopes & {scope, "admin"}), csrf=csrf_token,
        signed_in=current_app.config["KEY_NEEDED"], **values,
    )  # fmt: skip


def _seen_or_none() -> Seen | None:
    try:
        return seen()
    except NotFoundError:
        return None


def days_of_run(run: Run) -> float | None:
    """The days that the sales of a run cover; None where it does not say."""
    return _facts(store().runs.products_file(run))[0]


def period(some: Seen) -> str:
    """The days that a run's sales cover, in words."""
    day = some.formats.day(some.run.as_of)
    if some.days is None:
        return text("period.unknown", day=day)
    if abs(some.days % 7) < 1e-6 and some.days <= 1000:
        return text("period.weeks", n=round(some.days / 7), day=day)
    return text("period.days", n=round(some.days), day=day)


def has(place: str) -> bool:
    """Whether there is such a page."""
    return any(one.name == place for one in PLACES)


def url(place: str, **given: Any) -> str:
    """The address of a page, about the run that is shown; None leaves a part out."""
    paths = {one.name: one.path for one in PLACES}
    path = paths.get(place, f"/{place}")
    if "run" not in given and request.args.get("run"):
        given["run"] = request.args["run"]
    # What a template does not know is written as nothing, too.
    parts = {name: value for name, value in given.items() if value is not None and str(value)}
    return f"{path}?{urlencode(parts)}" if parts else path


def bound(place: str, **given: Any) -> str:
    """The address that a form posts to, or of a file: it stays with the run that is shown.

    A run that arrives between the look and the click gets none of what was meant for this one.
    """
    some = _seen_or_none()
    return url(place, **{"run": some.run.id if some else None, **given})


def whole(name: str) -> int:
    """A place in a list, from the address; 0 where none is given."""
    given = request.args.get(name, "0") or "0"
    # isdigit alone takes ², which int refuses; and int refuses thousands of digits.
    if not (given.isascii() and given.isdigit() and len(given) <= 10):
        raise InputError(text("wrong.place", name=name), text("wrong.place.instead"))
    return int(given)


def one_of(known: Collection[str], name: str, given: str) -> str:
    """What an address says, where it is known; InputError for anything else."""
    if given not in known:
        raise InputError(
            text("wrong.choice", name=name, given=excerpt(given)),
            text("wrong.choice.instead", known=", ".join(known)),
        )
    return given


def ordered_by(known: Collection[str], usual: str) -> str:
    """The column that orders a list, with a minus for the largest first; InputError else."""
    given = request.args.get("sort") or usual
    one_of(sorted(known), "sort", given.removeprefix("-"))
    return given


def within(after: int, count: int, rows: int) -> int:
    """A place in a list of `count` rows; beyond its end the last page of `rows` begins there.

    >>> within(50, 60, 25), within(10_000, 60, 25), within(25, 0, 25)
    (50, 50, 0)
    """
    return after if after < count else max(0, (count - 1) // rows * rows)


def theme() -> str:
    """light or dark, where the viewer has chosen; else empty: the system decides."""
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in THEMES else ""


def csrf_token() -> Markup:
    """The hidden field that every form carries."""
    from shelfwise.service.dashboard.session import token

    return Markup('<input type="hidden" name="csrf" value="{}">').format(token())


def chart_config(formats: Formats) -> Markup:
    """What the script needs to draw: the themes, and how numbers are written."""
    told = htmlsafe_json_dumps(
        {"themes": THEMES, "config": CONFIG, "locale": format_locale(formats)}
    )
    return Markup('<script type="application/json" id="chart-config">{}</script>').format(told)


def drawn(chart: Chart) -> dict[str, Any]:
    """A chart as the template shows it."""
    return {"chart": chart, "spec": dict(chart.spec)}


def own_referrer(response: Response) -> Response:
    """Let browsers say where a form of ours came from: without it they send `Origin: null`."""
    if request.blueprint == site.name:
        response.headers["Referrer-Policy"] = "same-origin"
    return response


def compressed(response: Response) -> Response:
    """The page, gzipped where the browser takes that."""
    if (
        request.blueprint == site.name
        and not response.direct_passthrough
        and not response.is_streamed
        and "gzip" in request.headers.get("Accept-Encoding", "")
        and response.mimetype in ("text/html", "application/json", "text/javascript")
        and "Content-Encoding" not in response.headers
        and len(response.get_data()) > SMALLEST
    ):
        response.set_data(gzip.compress(response.get_data(), 5, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
        response.headers.add("Vary", "Accept-Encoding")
    return response
