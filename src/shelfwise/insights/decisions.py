"""What a decision is: a product, an action, an amount, a date, money, and the reasons.

Each question (inventory, portfolio, ...) answers with a `Section`. Its columns are declared
once, as `Quantity`, and the reference, the tables and the checks are made of that.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import polars as pl

from shelfwise.errors import InputError, NotFoundError, excerpt
from shelfwise.insights.wording import many

Policy = TypeVar("Policy", bound=msgspec.Struct)
NAMED = 5
"""Unknown products that are named."""

ACTIONS = {
    "reorder": "Order more of it.",
    "clear": "Sell off what is too much of it.",
    "run_out": "Order no more of it, and sell what is left.",
    "watch": "It is too new to judge: look again later.",
    "feature": "Show it where everybody looks.",
    "promote": "Give it a campaign.",
    "do_not_promote": "Keep it out of campaigns.",
    "delist": "Take it out of the range.",
    "renegotiate": "Talk to the supplier about late or short deliveries.",
    "second_source": "Find another supplier too.",
}
"""What may be proposed for a product or a supplier, and what it means."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A column of a section: what it is, in which unit, and by which formula.

    `formula` is in words or symbols; `source` says who published it, where somebody did.
    """

    name: str
    unit: str
    meaning: str
    formula: str = ""
    source: str = ""
    kind: Any = pl.Float64


PRODUCT = (
    Quantity("product_id", "", "Identity of the product.", kind=pl.String),
    Quantity("name", "", "What people call it.", kind=pl.String),
)
DECISION = (
    Quantity("action", "", f"What to do: {', '.join(ACTIONS)}; null for nothing.", kind=pl.String),
    Quantity("amount", "units", "How many units the action is about."),
    Quantity("date", "day", "When to act, at the latest.", kind=pl.Date),
    Quantity("money", "money", "What is at stake."),
    Quantity("money_basis", "", "What the money is counted at: cost, price or margin.",
             kind=pl.String),
    Quantity("confidence", "share, 0 to 1", "How probable it is that the action is right; null "
             "where nothing tells."),
    Quantity("reason", "", "Why, in words.", kind=pl.String),
)  # fmt: skip
"""The columns that every decision has, after those of the product."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """What a section does not tell: which part, why, and the input that would give it."""

    what: str
    why: str
    needs: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}. It needs {self.needs}."


@dataclass(frozen=True, slots=True)
class Section:
    """The answer to one question.

    `rows` has the declared columns, for each product or supplier; rows with an action are
    decisions. `withheld` says what is not told, `assumptions` what the numbers rest on, and
    `summary` the few figures of the whole.
    """

    name: str
    columns: tuple[Quantity, ...]
    rows: pl.DataFrame
    withheld: tuple[Withheld, ...] = ()
    assumptions: tuple[str, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def decisions(self) -> pl.DataFrame:
        """The rows that ask for an action, most money first."""
        if "action" not in self.rows.columns:
            return self.rows.clear()
        some = self.rows.filter(pl.col("action").is_not_null())
        return some.sort("money", descending=True, nulls_last=True, maintain_order=True)

    def to_dict(self) -> dict[str, Any]:
        """The section as plain values: rows, and all that stands beside them."""
        return {
            "section": self.name,
            "summary": dict(self.summary),
            "withheld": [{"what": w.what, "why": w.why, "needs": w.needs} for w in self.withheld],
            "assumptions": list(self.assumptions),
            "rows": self.rows.to_dicts(),
        }

    def __repr__(self) -> str:
        counted = self.decisions.group_by("action").len().sort("action").iter_rows() if (
            "action" in self.rows.columns) else ()  # fmt: skip
        told = [f"  {action}: {count:,}" for action, count in counted]
        lines = [f"Section {self.name}, {many(self.rows.height, 'row')}", *told]
        return "\n".join(lines + [f"  withheld: {one}" for one in self.withheld])


def table(columns: Sequence[Quantity], values: Mapping[str, Any]) -> pl.DataFrame:
    """A frame with exactly the declared columns, in their order and types; NaN becomes null.

    A column that no value is given for is null throughout.
    """
    height = next(len(given) for given in values.values())
    made = []
    for column in columns:
        given = values.get(column.name)
        if given is None:
            made.append(pl.Series(column.name, [None] * height, dtype=column.kind))
            continue
        series = pl.Series(column.name, given, strict=False).cast(column.kind)
        made.append(series.fill_nan(None) if column.kind == pl.Float64 else series)
    if unknown := set(values) - {column.name for column in columns}:
        raise ValueError(f"not declared: {', '.join(sorted(unknown))}")
    return pl.DataFrame(made)


def setting(description: str, **limits: Any) -> Any:
    """What a setting of a policy means, and between which limits it lies (`msgspec.Meta`)."""
    return msgspec.Meta(description=description, **limits)


def checked(policy: Policy) -> Policy:
    """The policy, once its values are within their bounds; InputError that names the wrong one."""
    try:
        plain = msgspec.to_builtins(policy, builtin_types=(dt.date,))
        return msgspec.convert(plain, type(policy))
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`").split("[")[0]
        value: Any = policy
        for part in name.split("."):
            value = getattr(value, part, None)
        raise InputError(f"{name} is {excerpt(value)}.", f"{what.replace('`', '')}.") from error


def must_be_scored(wanted: Sequence[str], ids: pl.Series) -> None:
    """NotFoundError that names the products which are not among those with these ids."""
    missing = sorted(set(wanted) - set(ids))
    if missing:
        there = many(len(ids), "product")
        raise NotFoundError(
            f"`products` names {quoted(missing)}: not among the {there} scored.",
            "Name products by their id.",
        )


def quoted(ids: Sequence[str]) -> str:
    """The first of these ids, and how many more there are.

    Example:
        >>> quoted(["a", "b"]), quoted(list("abcdefg"))
        ("'a', 'b'", "'a', 'b', 'c', 'd', 'e' and 2 more")
    """
    more = f" and {len(ids) - NAMED:,} more" if len(ids) > NAMED else ""
    return ", ".join(map(excerpt, ids[:NAMED])) + more
