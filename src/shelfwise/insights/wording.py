"""How reasons write numbers: 12, 3.7, 14.50, 1 day, 20 %."""

import polars as pl


def number(value: pl.Expr) -> pl.Expr:
    """Up to one decimal, none where it is 0.

    Example:
        >>> pl.DataFrame({"n": [12.0, 3.71]}).select(number(pl.col("n")))["n"].to_list()
        ['12', '3.7']
    """
    return value.round(1).cast(pl.String).str.strip_suffix(".0")


def money(value: pl.Expr) -> pl.Expr:
    """Two decimals.

    Example:
        >>> pl.DataFrame({"n": [14.5, -0.049]}).select(money(pl.col("n")))["n"].to_list()
        ['14.50', '-0.05']
    """
    cents = (100 * value.abs()).round(0).cast(pl.Int64)
    sign = pl.when((value < 0) & (cents > 0)).then(pl.lit("-")).otherwise(pl.lit(""))
    return pl.format(
        "{}{}.{}", sign, cents // 100, (cents % 100).cast(pl.String).str.zfill(2)
    ).alias("n")


def percent(value: pl.Expr) -> pl.Expr:
    """A share as whole percent.

    Example:
        >>> pl.DataFrame({"n": [0.204]}).select(percent(pl.col("n")))["n"].to_list()
        ['20 %']
    """
    return pl.format("{} %", (100 * value).round(0).cast(pl.Int64)).alias("n")


def days(value: pl.Expr) -> pl.Expr:
    """Whole days, rounded down.

    Example:
        >>> pl.DataFrame({"n": [1.9, 3]}).select(days(pl.col("n")))["n"].to_list()
        ['1 day', '3 days']
    """
    whole = value.floor().cast(pl.Int64)
    word = pl.when(whole == 1).then(pl.lit("day")).otherwise(pl.lit("days"))
    return pl.format("{} {}", whole, word).alias("n")


def joined(*parts: pl.Expr) -> pl.Expr:
    """Those parts of a sentence that are there, with semicolons between."""
    return pl.concat_str(*parts, separator="; ", ignore_nulls=True)
