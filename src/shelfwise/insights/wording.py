"""How reasons write numbers: 1,200, 3.7, 14.50, 1 day, 20%."""

import polars as pl


def many(count: int, one: str, several: str = "") -> str:
    """A number with its noun, and its verb where there is one.

    Example:
        >>> many(1, "product"), many(1200, "product"), many(1, "product has", "products have")
        ('1 product', '1,200 products', '1 product has')
    """
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def number(value: pl.Expr) -> pl.Expr:
    """Up to one decimal, none where it is 0, with commas between thousands.

    Example:
        >>> pl.DataFrame({"n": [1200.0, -3.71]}).select(number(pl.col("n")))["n"].to_list()
        ['1,200', '-3.7']
    """
    tenths = (10 * value.abs()).round(0).cast(pl.Int64, strict=False)
    rest = pl.when(tenths % 10 > 0).then(pl.format(".{}", tenths % 10)).otherwise(pl.lit(""))
    return pl.format("{}{}{}", _sign(value, tenths), _grouped(tenths // 10), rest).alias("n")


def money(value: pl.Expr) -> pl.Expr:
    """Two decimals, with commas between thousands.

    Example:
        >>> pl.DataFrame({"n": [14000.5, -0.049]}).select(money(pl.col("n")))["n"].to_list()
        ['14,000.50', '-0.05']
    """
    cents = (100 * value.abs()).round(0).cast(pl.Int64, strict=False)
    rest = (cents % 100).cast(pl.String).str.zfill(2)
    return pl.format("{}{}.{}", _sign(value, cents), _grouped(cents // 100), rest).alias("n")


def _sign(value: pl.Expr, shown: pl.Expr) -> pl.Expr:
    """The minus of what is not shown as 0."""
    return pl.when((value < 0) & (shown > 0)).then(pl.lit("-")).otherwise(pl.lit(""))


def _grouped(whole: pl.Expr) -> pl.Expr:
    """A whole number of 0 or more, with commas between thousands."""
    backwards = whole.cast(pl.String).str.reverse().str.replace_all(r"(\d{3})", "${1},")
    return backwards.str.strip_suffix(",").str.reverse()


def percent(value: pl.Expr) -> pl.Expr:
    """A share as whole percent.

    Example:
        >>> pl.DataFrame({"n": [0.204]}).select(percent(pl.col("n")))["n"].to_list()
        ['20%']
    """
    return pl.format("{}%", (100 * value).round(0).cast(pl.Int64)).alias("n")


def days(value: pl.Expr) -> pl.Expr:
    """Whole days, rounded down.

    Example:
        >>> pl.DataFrame({"n": [1.9, 3]}).select(days(pl.col("n")))["n"].to_list()
        ['1 day', '3 days']
    """
    return counted(value.floor(), "day")


def counted(value: pl.Expr, one: str) -> pl.Expr:
    """A whole number, rounded, with its noun.

    Example:
        >>> pl.DataFrame({"n": [1.2, 3000]}).select(counted(pl.col("n"), "week"))["n"].to_list()
        ['1 week', '3,000 weeks']
    """
    whole = value.round(0).cast(pl.Int64)
    word = pl.when(whole == 1).then(pl.lit(one)).otherwise(pl.lit(f"{one}s"))
    return pl.format("{} {}", number(whole), word).alias("n")


def joined(*parts: pl.Expr) -> pl.Expr:
    """Those parts of a sentence that are there, with semicolons between."""
    return pl.concat_str(*parts, separator="; ", ignore_nulls=True)
