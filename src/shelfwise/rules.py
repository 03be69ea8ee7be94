"""Which order lines count: every rule with its default, its meaning, and what it marks.

A rule marks lines by an expression; what happens to marked lines stands beside it. The
rules, the data-quality report and the reference page come from here.
"""

import operator
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import narwhals.stable.v2 as nw

from shelfwise.errors import InputError, NotFoundError, excerpt

Action = Literal["left out", "counted", "told"]

NOT_PRODUCTS = (
    "POST", "DOT", "M", "C2", "PADS", "CRUK", "BANK CHARGES", "AMAZONFEE",
    "SHIPPING", "FREIGHT", "POSTAGE", "DISCOUNT", "ADJUST", "FEE", "GIFTWRAP",
)  # fmt: skip
CANCELLED = ("cancelled", "canceled", "cancellation", "void", "voided", "storno")


@dataclass(frozen=True, slots=True)
class Rules:
    """How order lines are counted; each rule can be set, and says what it touched.

    `cancelled` are states of an order, in any case, whose lines are left out.
    `credit_notes` and `adjustments` are regular expressions on the order's number: credit
    notes are netted like returns (or left out with `net_credit_notes=False`),
    adjustments (bad debts and the like) are left out. `not_products` are codes, in any
    case, and `not_product_pattern` a regular expression on them: such lines (postage,
    fees) are left out. Patterns may be empty; then nothing matches.
    """

    cancelled: tuple[str, ...] = CANCELLED
    credit_notes: str = r"^[Cc][0-9]+$"
    net_credit_notes: bool = True
    adjustments: str = r"^[Aa][0-9]+$"
    not_products: tuple[str, ...] = NOT_PRODUCTS
    not_product_pattern: str = r"^gift_[0-9]+"

    def __post_init__(self) -> None:
        for name in ("cancelled", "not_products"):
            if isinstance(getattr(self, name), str):
                raise InputError(f"The rule {name} is one text.", 'It is several: ("POST", "FEE").')
        for name in ("credit_notes", "adjustments", "not_product_pattern"):
            try:
                re.compile(getattr(self, name))
            except re.error as error:
                raise InputError(
                    f"The rule {name} is {excerpt(getattr(self, name))}: {error}.",
                    "It is a regular expression, such as ^C[0-9]+$.",
                ) from error

    @classmethod
    def load(cls, path: str | Path) -> "Rules":
        """Rules from a TOML file, whose keys are the fields; the others keep their defaults."""
        try:
            given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NotFoundError(f"There is no file {path}.") from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"{path} cannot be read as TOML: {error}.") from error
        return cls.of(given, str(path))

    @classmethod
    def of(cls, given: Mapping[str, Any], where: str = "rules") -> "Rules":
        """Rules by name; the others keep their defaults. `where` they stand, for errors."""
        wanted = {tuple: "a list of texts", str: "a text", bool: "true or false"}
        kinds: dict[str, type] = {f.name: type(f.default) for f in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name not in kinds:
                raise InputError(
                    f"{where} has {excerpt(name)}, which is no rule.", f"Known: {', '.join(kinds)}."
                )
            texts = isinstance(value, list) and all(isinstance(v, str) for v in value)
            values[name] = tuple(value) if texts else value
            if not isinstance(values[name], kinds[name]):
                raise InputError(
                    f"The rule {name} is {excerpt(value)}.", f"It is {wanted[kinds[name]]}."
                )
        return cls(**values)

    @classmethod
    def none(cls) -> "Rules":
        """No rule at all: every line counts."""
        return cls((), "", True, "", (), "")


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that lines are marked for: where it shows, and what follows.

    A mark of products is looked for once a product, with all its lines; it comes after
    the marks of lines that leave out.
    """

    name: str
    action: Action
    meaning: str
    needs: frozenset[str]
    lines: Callable[[Rules], nw.Expr | None]
    of: Literal["line", "product"] = "line"
    likely: Callable[[Rules], nw.Expr | None] = lambda _: None

    def may_be(self, rules: Rules) -> nw.Expr | None:
        """The lines marked and perhaps others: a cheaper look, to see whether there are any."""
        found = self.likely(rules)
        return self.lines(rules) if found is None else found


def _in(column: str, values: Collection[str]) -> nw.Expr | None:
    folded = [value.casefold() for value in values]
    text = nw.col(column).cast(nw.String).str.strip_chars().str.to_lowercase()
    return text.is_in(folded) if folded else None


def _matches(column: str, pattern: str) -> nw.Expr | None:
    if not pattern:
        return None
    found = nw.col(column).cast(nw.String).str.contains(pattern)
    likely = _begins(column, pattern)
    # A look at the first character spares most lines the regular expression.
    return found if likely is None else nw.when(likely).then(found).otherwise(nw.lit(False))


def _begins(column: str, pattern: str) -> nw.Expr | None:
    """Whether a text has the first character that a pattern such as ^[Cc][0-9]+$ asks for."""
    first = re.fullmatch(r"\^\[([A-Za-z0-9]{1,4})\](?![?*{])[^|]*", pattern)
    if not first:
        return None
    text = nw.col(column).cast(nw.String)
    starts = [text.str.starts_with(character) for character in first[1]]
    return reduce(operator.or_, starts)


def _not_product(rules: Rules) -> nw.Expr | None:
    code = _in("product_id", rules.not_products)
    pattern = _matches("product_id", rules.not_product_pattern)
    return pattern if code is None else code if pattern is None else code | pattern


def _credit_note(rules: Rules, *, netted: bool) -> nw.Expr | None:
    return _matches("order_id", rules.credit_notes) if rules.net_credit_notes is netted else None


MARKS = (
    Mark("cancelled", "left out", "The order's status says that it was cancelled.",
         frozenset({"status"}), lambda rules: _in("status", rules.cancelled)),
    Mark("adjustment", "left out", "Bookkeeping, such as bad debts, by the order's number.",
         frozenset({"order_id"}), lambda rules: _matches("order_id", rules.adjustments),
         likely=lambda rules: _begins("order_id", rules.adjustments)),
    Mark("credit_note_left_out", "left out", "A credit note, by the order's number.",
         frozenset({"order_id"}), lambda rules: _credit_note(rules, netted=False),
         likely=lambda rules: _begins("order_id", rules.credit_notes)),
    Mark("not_a_product", "left out", "Postage, fees and other codes that are no product.",
         frozenset({"product_id"}), _not_product, of="product"),
    Mark("credit_note", "counted", "A credit note, by the order's number; netted.",
         frozenset({"order_id"}), lambda rules: _credit_note(rules, netted=True),
         likely=lambda rules: _begins("order_id", rules.credit_notes)),
    Mark("returned", "counted", "Units below 0: taken from what was sold.",
         frozenset({"quantity"}), lambda _: nw.col("quantity") < 0),
    Mark("zero_price", "counted", "Nothing was charged: the units count, no revenue comes.",
         frozenset({"quantity"}),
         lambda _: (nw.col("revenue") == 0) & (nw.col("quantity") != 0)),
    Mark("total_disagrees", "told", "The line's total is not price x units less the discount.",
         frozenset({"line_total", "unit_price"}),
         lambda _: (nw.col("line_total") - nw.col("_computed")).abs()
         > 0.01 + 0.001 * nw.col("line_total").abs()),
)  # fmt: skip
"""What lines are marked for, in the order in which lines are left out."""
