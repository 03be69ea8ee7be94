"""Numbers are written as Babel writes them, many times faster."""

import random
from decimal import Decimal

import pytest
from babel import numbers
from babel.localedata import locale_identifiers

from shelfwise.formats import Formats

LOCALES = ("en_US", "en_GB", "de_DE", "de_AT", "de_CH", "fr_FR", "fr_CH", "es_ES", "it_IT", "pl_PL",
           "sv_SE", "nb_NO", "da_DK", "fi_FI", "cs_CZ", "hu_HU", "pt_BR", "pt_PT", "ru_RU", "tr_TR",
           "ja_JP", "zh_CN", "ko_KR", "hi_IN", "ar_EG", "he_IL", "fa_IR", "th_TH", "lt_LT",
           "et_EE", "eu_ES")  # fmt: skip


def some_values() -> list[float]:
    chance = random.Random(5)
    values = [chance.uniform(-1, 1) * 10**size for size in range(-3, 13) for _ in range(25)]
    ties = [n / 8 for n in range(-40, 41)] + [n / 1000 for n in range(-1000, 1001, 5)]
    return [0.0, -0.0, 1.0, 999.995, 1000.0, 0.575, 0.285, 1e15, *ties, *values]


def without_minus_zero(shown: str) -> bool:
    return any(letter in "123456789" for letter in shown)


@pytest.mark.parametrize("locale", LOCALES)
def test_numbers_and_shares_are_those_of_babel(locale: str) -> None:
    formats = Formats(locale)
    for value in some_values():
        for digits in (0, 1, 2, 3):
            pattern = "#,##0" + ("." + "0" * digits if digits else "")
            number = numbers.format_decimal(round(value, digits) + 0.0, pattern, locale)
            assert formats.number(value, digits) == number
            share = numbers.format_percent(Decimal(repr(value)), pattern + "%", locale)
            if without_minus_zero(share):  # Babel writes -0%.
                assert formats.share(value, digits) == share
    assert "0" in formats.share(-0.0001)
    assert formats.share(-0.0001) == formats.share(0.0)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("currency", ["EUR", "USD", "GBP", "JPY", "CHF", "BRL"])
def test_the_sign_of_a_currency_stands_where_babel_puts_it(locale: str, currency: str) -> None:
    formats = Formats(locale, currency)
    symbol = numbers.get_currency_symbol(currency, locale)
    babel = numbers.format_currency(5, currency, locale=locale)
    assert formats.symbol == symbol
    assert formats.money(5.0).startswith(symbol) == babel.startswith(symbol)


def test_every_locale_that_babel_knows_can_be_used() -> None:
    for name in locale_identifiers():
        assert Formats(name).number(-1234.5)
        assert Formats(name).share(0.5)
