"""How numbers, money and days are written for people: by a locale and a currency.

Babel knows the customs; this says which of them a place of the program uses.
"""

import datetime as dt
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from shelfwise.errors import InputError, MissingExtraError, excerpt

NOTHING = "\N{EN DASH}"
"""What stands where there is no number."""


LONGEST = 520
"""Weeks of stock, ten years, beyond which nobody cares for how many."""


@dataclass(frozen=True, slots=True)
class Formats:
    """Writes numbers for people.

    Args:
        locale: A locale that Babel knows, such as en_US or de_DE.
        currency: An ISO 4217 code; without one money is a plain number.

    Example:
        >>> said = Formats("en_US", "EUR")
        >>> said.money(4851.29), said.money_short(5_627_434.17), said.share(0.2551)
        ('€4,851.29', '€5.63M', '26%')
        >>> said.money_short(11_000_000), said.money_short(3_300)
        ('€11.0M', '€3.30K')
        >>> Formats().count(50000), Formats().money_short(1234.5), Formats().number(92.14)
        ('50,000', '1.23K', '92.1')
    """

    locale: str = "en_US"
    currency: str = ""

    def __post_init__(self) -> None:
        """Refuse a locale that nobody knows, before it is used."""
        if self.locale == "en_US":
            return
        from babel import Locale, UnknownLocaleError

        try:
            Locale.parse(self.locale)
        except (UnknownLocaleError, ValueError) as error:
            raise InputError(
                f"There is no locale {excerpt(self.locale)}.", "Write one such as en_US or de_DE."
            ) from error

    def count(self, value: float | None) -> str:
        """Whole units, with separators of thousands."""
        return self.number(value, 0)

    def number(self, value: float | None, digits: int = 1) -> str:
        """A number with exactly so many digits after the point."""
        if value is None or math.isnan(value):
            return NOTHING
        return _signs(self.locale).write(f"{round(value, digits) + 0.0:,.{digits}f}")

    def units(self, value: float | None) -> str:
        """Units: whole where they are whole, else with one digit."""
        if value is None or math.isnan(value):
            return NOTHING
        return self.number(value, 0 if value == round(value) or abs(value) >= 100 else 1)

    def money(self, value: float | None, digits: int = 2) -> str:
        """Money to the cent, or to as many digits."""
        if value is None or math.isnan(value):
            return NOTHING
        if not self.currency:
            return self.number(value, digits)
        return self._paid(self.number(abs(value), digits), value)

    def money_short(self, value: float | None) -> str:
        """Money in three digits, as on a tile: 5.63M, and 11.0M beside 10.9M."""
        if value is None or math.isnan(value):
            return NOTHING
        if abs(value) < 1000:
            shown = self.number(abs(value), 0)
        else:
            shown = self._compact(float(f"{abs(value):.3g}"))
        return self._paid(shown, value)

    def _compact(self, rounded: float) -> str:
        """A number of three digits with the locale's word for its size, zeros kept."""
        babel = _babel()
        shown = str(babel.format_compact_decimal(
            rounded, format_type="short", locale=self.locale, fraction_digits=2
        ))  # fmt: skip
        if shown.isdecimal():  # Some languages have no short word for thousands.
            return self.number(rounded, 0)
        mark = babel.get_decimal_symbol(self.locale)

        def padded(found: re.Match[str]) -> str:
            whole, _, part = found[0].partition(mark)
            digits = max(0, 3 - sum(letter.isdigit() for letter in whole))
            return whole + (mark + part.ljust(digits, "0") if digits else "")

        # Babel leaves out zeros at the end: 11M beside 10.9M.
        return re.sub(r"\d+([.,\u066b]\d+)*", padded, shown, count=1)

    def share(self, value: float | None, digits: int = 0) -> str:
        """A share of 1 as percent."""
        if value is None or math.isnan(value):
            return NOTHING
        # As people round it: 57.5% is 58%, though 0.575 * 100 is a little less.
        percent = round(Decimal(repr(float(value))) * 100, digits) + 0
        signs = _signs(self.locale)
        return signs.percent[0] + signs.write(f"{percent:,.{digits}f}") + signs.percent[1]

    def change(self, value: float | None, digits: int = 0) -> str:
        """A growth as percent, with its sign."""
        if value is None or math.isnan(value):
            return NOTHING
        return ("+" if value > 0 else "") + self.share(value, digits)

    def day(self, value: dt.date | None) -> str:
        """A day with its year: 22 Nov 2026."""
        return NOTHING if value is None else _date(value, "d MMM y", self.locale)

    def weekday(self, value: dt.date | None) -> str:
        """A day near enough to need no year: Thu 3 Dec."""
        return NOTHING if value is None else _date(value, "EEE d MMM", self.locale)

    def told(self, value: Any, kind: str = "text") -> str:
        """A value as a table writes it; `kind` is one of `KINDS`.

        >>> Formats("en_US", "EUR").told(0.256, "share"), Formats().told(None, "count")
        ('26%', '\u2013')
        """
        return NOTHING if value is None else str(KINDS[kind](self, value))

    @property
    def symbol(self) -> str:
        """The sign of the currency; empty without one."""
        return _currency(self.currency, self.locale)[0]

    def _paid(self, shown: str, value: float) -> str:
        """A number with the sign of the currency where the locale puts it."""
        sign = "-" if value < 0 else ""
        if not self.currency:
            return sign + shown
        _, before, after = _currency(self.currency, self.locale)
        return sign + before + shown + after


def _fine(formats: Formats, value: float) -> str:
    """A number of any size with about four digits that count."""
    size = math.floor(math.log10(abs(value))) if value else 0
    return formats.number(value, min(max(3 - size, 0), 6) if value != round(value) else 0)


def _weeks(formats: Formats, value: float) -> str:
    """Weeks that stock lasts; what outlives everybody's plans is not counted to the tenth."""
    return f">{formats.count(LONGEST)}" if value > LONGEST else formats.number(value)


def _signed(formats: Formats, value: float) -> str:
    return ("+" if value > 0 else "") + formats.money(value, 0)


KINDS: dict[str, Callable[[Formats, Any], str]] = {
    "text": lambda _, value: str(value),
    "count": Formats.count,
    "units": Formats.units,
    "number": Formats.number,
    "fine": _fine,
    "money": Formats.money,
    "money_whole": lambda formats, value: formats.money(value, 0),
    "money_short": Formats.money_short,
    "money_signed": _signed,
    "share": Formats.share,
    "share_fine": lambda formats, value: formats.share(value, 1),
    "change": Formats.change,
    "change_fine": lambda formats, value: formats.change(value, 1),
    "weeks": _weeks,
    "day": Formats.day,
    "weekday": Formats.weekday,
}
"""How a column writes its values: by the name of its kind."""
WORDS = frozenset({"text", "day", "weekday"})
"""Kinds that are no numbers: their columns stand on the left."""


def _date(value: dt.date, pattern: str, locale: str) -> str:
    from babel.dates import format_date

    return format_date(value, pattern, locale)


@dataclass(frozen=True, slots=True)
class _Signs:
    """The signs that a locale puts into numbers; asking Babel for each number takes long."""

    minus: str
    group: str
    decimal: str
    percent: tuple[str, str]

    def write(self, plain: str) -> str:
        """A number that Python has written with commas and a point."""
        return plain.translate({ord("-"): self.minus, ord(","): self.group, ord("."): self.decimal})


@cache
def _signs(locale: str) -> _Signs:
    """The signs of a locale, read off numbers that Babel has written."""
    shown = str(_babel().format_decimal(-1234567.5, "#,##0.0", locale))
    minus, group, decimal = re.fullmatch(r"(\D*)1(\D*)234\D*567(\D*)5", shown).groups()  # type: ignore[union-attr]  # It is such a number.
    before, _, after = str(_babel().format_percent(0.5, "#,##0%", locale)).partition("50")
    return _Signs(minus, group, decimal, (before, after))


@cache
def _currency(currency: str, locale: str) -> tuple[str, str, str]:
    """The sign of a currency, and what the locale puts before and after an amount of it."""
    if not currency:
        return "", "", ""
    symbol = str(_babel().get_currency_symbol(currency, locale))
    shown = str(_babel().format_currency(0, currency, locale=locale))
    gap = "\u00a0" if "\u00a0" in shown else ""
    return (symbol, symbol + gap, "") if shown.startswith(symbol) else (symbol, "", gap + symbol)


def _babel() -> Any:
    """Babel's functions for numbers; MissingExtraError where it is not installed."""
    try:
        from babel import numbers
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "Writing numbers for people needs Babel.", "pip install 'shelfwise[serve]'"
        ) from error
    return numbers
