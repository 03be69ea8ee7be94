"""What a chart is: a specification with names of colors, a sentence and a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from shelfwise.errors import InputError, MissingExtraError, excerpt
from shelfwise.formats import KINDS, WORDS, Formats
from shelfwise.texts import text

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
VERSION = "6.4"
TIERS = ("High", "Medium", "Low")
THEMES: dict[str, dict[str, str]] = {
    "light": {
        "high": "#0f766e", "medium": "#8a9bb0", "low": "#c2571a", "accent": "#0f766e",
        "ink": "#17212e", "muted": "#566273", "grid": "#e7ebf0", "surface": "#ffffff",
        "soft": "#cfd8e3", "band_a": "#d5ebe7", "band_b": "#e9f2f1", "band_c": "#f3f6f8",
    },
    "dark": {
        "high": "#2aa99a", "medium": "#7688a0", "low": "#fb923c", "accent": "#2aa99a",
        "ink": "#e6ebf2", "muted": "#9aa7b8", "grid": "#273241", "surface": "#17202c",
        "soft": "#3a4859", "band_a": "#1b3f3e", "band_b": "#1b3036", "band_c": "#1b2833",
    },
}  # fmt: skip
"""Theme -> name of a color -> its value."""
FONT = "Inter, system-ui, sans-serif"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: what it is called, one line of meaning, what it says, and how it is drawn.

    Attributes:
        name: What the program calls it.
        title: Its heading.
        meaning: One line that says how to read it.
        sentence: What these very data say, for whoever does not see the drawing.
        spec: Vega-Lite, with names of colors such as `$high`.
        table: The numbers that are drawn.
        kinds: How each column of the table is written, one of `formats.KINDS`.
        height: Pixels.
    """

    name: str
    title: str
    meaning: str
    sentence: str
    spec: Mapping[str, Any]
    table: pl.DataFrame
    kinds: Sequence[str]
    height: int = 260

    def __post_init__(self) -> None:
        """Refuse a table whose columns nobody can write; keep names within their line."""
        object.__setattr__(self, "spec", _in_line(self.spec))
        unknown = set(self.kinds) - set(KINDS)
        if len(self.kinds) != self.table.width or unknown:
            raise ValueError(f"The chart {self.name} has {self.table.columns} as {self.kinds}.")

    def written(self, formats: Formats | None = None) -> list[list[str]]:
        """The rows of the table, as people read them.

        >>> from shelfwise.charts import bridge
        >>> bridge([("Before", 900.0), ("Price", -50.5)]).written(Formats("en_US", "EUR"))
        [['Before', '€900.00'], ['Price', '-€50.50'], ['After', '€849.50']]
        """
        formats = formats or Formats()
        return [
            [formats.told(value, kind) for value, kind in zip(row, self.kinds, strict=True)]
            for row in self.table.iter_rows()
        ]

    @property
    def columns(self) -> list[tuple[str, bool]]:
        """The headings of the table, each with whether numbers stand below it."""
        pairs = zip(self.table.columns, self.kinds, strict=True)
        return [(name, kind not in WORDS) for name, kind in pairs]

    def themed(self, theme: str = "light") -> dict[str, Any]:
        """The specification with the colors of a theme; it can be drawn as it is.

        Raises InputError for a theme that there is not.
        """
        if theme not in THEMES:
            raise InputError(
                f"There is no theme {excerpt(theme)}.", f"It is {' or '.join(THEMES)}."
            )
        spec: dict[str, Any] = _colored({**self.spec, "config": CONFIG}, THEMES[theme])
        return spec

    def to_svg(
        self,
        theme: str = "light",
        *,
        width: int = 560,
        highest: int | None = None,
        formats: Formats | None = None,
    ) -> str:
        """The chart as SVG, at most so high. Raises MissingExtraError without vl-convert."""
        try:
            import vl_convert
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "Drawing a chart needs vl-convert.", "pip install 'shelfwise[serve]'"
            ) from error
        spec = self.themed(theme) | {
            "width": width,
            "height": min(self.spec.get("height", self.height), highest or self.height),
            "autosize": {"type": "fit", "contains": "padding"},
        }
        locale = format_locale(formats or Formats())
        return str(vl_convert.vegalite_to_svg(spec, vl_version=VERSION, format_locale=locale))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """What a notebook draws, and what it says where it draws nothing."""
        return {
            "application/vnd.vegalite.v6+json": self.themed() | {"width": 560},
            "text/plain": f"{self.title}. {self.sentence}",
        }


CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "$muted", "titleColor": "$muted", "gridColor": "$grid",
        "domainColor": "$grid", "tickColor": "$grid", "labelFontSize": 11, "titleFontSize": 11,
        "titleFontWeight": 500, "titlePadding": 8, "labelPadding": 4, "tickSize": 4,
    },
    "legend": {
        "labelColor": "$muted", "title": None, "orient": "top", "symbolType": "circle",
        "labelFontSize": 12, "symbolSize": 80, "offset": 4, "direction": "horizontal",
    },
    "text": {"font": FONT, "color": "$ink", "fontSize": 12},
    "bar": {"color": "$accent"},
    "line": {"color": "$accent", "strokeWidth": 2},
}  # fmt: skip
"""How all charts look."""


def format_locale(formats: Formats) -> dict[str, Any]:
    """How D3 writes numbers on axes, as the rest of the program writes them."""
    shown = formats.number(1234567.5)
    paid = formats.money(1.0, 0) if formats.currency else "1"
    return {
        "decimal": shown[-2],
        "thousands": shown[1],
        "grouping": [3],
        "currency": [paid.partition("1")[0], paid.partition("1")[2]],
    }


def _in_line(value: Any) -> Any:
    """Without what ends a line in the expressions that Vega-Lite writes of names."""
    if isinstance(value, str):
        return value.replace("\u2028", " ").replace("\u2029", " ")
    if isinstance(value, Mapping):
        return {_in_line(key): _in_line(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_in_line(item) for item in value]
    return value


SHOP_NAMES = ("values", "domain", "sort")
"""Keys whose values may be names of the shop: a category may be called $high."""


def _colored(value: Any, colors: Mapping[str, str]) -> Any:
    if isinstance(value, str) and value.startswith("$") and value[1:] in colors:
        return colors[value[1:]]
    if isinstance(value, Mapping):
        return {
            key: item if key in SHOP_NAMES else _colored(item, colors)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_colored(item, colors) for item in value]
    return value


def tier_scale() -> dict[str, Any]:
    return {"domain": list(TIERS), "range": ["$high", "$medium", "$low"]}


def stacking(tier: str) -> pl.Expr:
    """Where a tier stands in a stack."""
    return pl.col(tier).replace_strict(list(TIERS), [0, 1, 2], return_dtype=pl.Int64).alias("place")


def heading(name: str) -> str:
    """What a column of a table, an axis or a tooltip is called."""
    return text(f"chart.col.{name}")


def spec(height: int, **parts: Any) -> dict[str, Any]:
    return {"$schema": SCHEMA, "width": "container", "height": height, **parts}


def data(frame: pl.DataFrame) -> dict[str, Any]:
    return {"values": frame.to_dicts()}
