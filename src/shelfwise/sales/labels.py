"""What a trend may be, and why a product has none; `trends` chooses among these."""

from typing import Literal

Trend = Literal["rising", "falling", "flat", "indicative_rising", "indicative_falling", "none",
                "too_short", "no_data"]  # fmt: skip

TRENDS: dict[Trend, str] = {
    "rising": "Grows by 5% a year or more, confirmed.",
    "falling": "Shrinks by 5% a year or more, confirmed.",
    "flat": "Changes by less than 10% a year: the whole interval lies within that.",
    "indicative_rising": "Seems to grow; not confirmed, the reason says why.",
    "indicative_falling": "Seems to shrink; not confirmed, the reason says why.",
    "none": "No confirmed trend. That is not the same as stable.",
    "too_short": "Fewer than 52 whole weeks: season and trend cannot be told apart.",
    "no_data": "Nothing to test: never sold, hardly ever, or out of stock too often.",
}
"""What a trend may be, and what it means."""

REASONS = {
    "too_short": "{weeks} whole weeks; 52 are needed",
    "never_sold": "not sold in these weeks",
    "constant": "sold the same every week",
    "sparse": "sold in {sold} weeks; 10 are needed",
    "out_of_stock": "out of stock in {masked:.0%} of its weeks; at most 20% can be left out",
    "short": "{weeks} weeks are fewer than two years: indicative only",
    "weak": "{weeks} weeks are fewer than three years: findings are less sure where sales move "
    "in long swings",
    "one_customer": "without one customer the change is not there",
    "level_jump": "a jump in the week of {monday}, not a steady trend",
    "small": "confirmed, but below 5% a year",
    "against": "test and growth point in different directions",
    "not_confirmed": "not confirmed",
}
"""Why a product has no trend, or a weaker one; `reason` joins them."""
