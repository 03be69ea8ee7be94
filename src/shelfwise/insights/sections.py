"""The questions that decisions answer, declared once: every surface asks them through here."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import msgspec

from shelfwise.analysis import Analysis
from shelfwise.errors import InputError, excerpt
from shelfwise.insights.decisions import Quantity, Section
from shelfwise.insights.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Question:
    """A question: who answers it, by which settings, and from what beside the products.

    `uses` names what is made of order lines for it; `tables` what its asker may give.
    `compares` says that it asks about two runs: the one before is given as `since`.
    """

    name: str
    asks: str
    policy_name: str
    uses: tuple[str, ...]
    tables: tuple[str, ...] = ()
    compares: bool = False

    @property
    def _module(self) -> Any:
        return import_module(f"shelfwise.insights.{self.name}")

    @property
    def policy(self) -> type[msgspec.Struct]:
        """Its settings, with their defaults and meanings."""
        found: type[msgspec.Struct] = getattr(self._module, self.policy_name)
        return found

    @property
    def columns(self) -> tuple[Quantity, ...]:
        """The columns of its rows."""
        declared: tuple[Quantity, ...] = self._module.COLUMNS
        return declared

    def answer(
        self,
        evidence: Evidence,
        policy: Mapping[str, Any] | None = None,
        *,
        since: Sequence[Evidence] = (),
        **tables: Any,
    ) -> Section:
        """The section, by a policy of plain values; InputError for a setting that is wrong.

        `since` has the run that is compared with, last, and runs before it.
        """
        settings = self.settings(policy)
        if self.compares:
            *earlier, before = since
            compared: Section = self._module.compare(before, evidence, settings, earlier=earlier)
            return compared
        found: Section = getattr(self._module, self.name)(evidence, settings, **tables)
        return found

    def settings(self, policy: Mapping[str, Any] | None = None) -> Any:
        """The policy from plain values, numbers also as text; InputError names what is wrong."""
        names = [field.name for field in msgspec.structs.fields(self.policy)]
        for name in policy or {}:
            if name not in names:
                raise InputError(
                    f"There is no setting {excerpt(name)} for {self.name}.",
                    f"There are {', '.join(names)}.",
                )
        try:
            found = msgspec.convert(dict(policy or {}), self.policy, strict=False)
        except msgspec.ValidationError as error:
            raise InputError(f"The policy for {self.name} is wrong: {error}.") from error
        for name in names:
            if not _is_finite(getattr(found, name)):
                raise InputError(
                    f"The policy for {self.name} is wrong: {name} is no finite number.",
                    "Write a number such as 1000, or leave it out.",
                )
        return found


def _is_finite(value: Any) -> bool:
    """Whether every number of a setting is one; `inf` and `1e999` are read, and mean none."""
    if isinstance(value, msgspec.Struct):
        return all(_is_finite(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


QUESTIONS = {
    question.name: question
    for question in (
        Question("inventory", "What to reorder, and what to clear?", "InventoryPolicy",
                 ("forecast",), ("receipts", "out_of_stock")),
        Question("orders", "What to order from whom, for how much?", "OrdersPolicy",
                 ("forecast",), ("suppliers",)),
        Question("portfolio", "Which part does each product play?", "PortfolioPolicy",
                 ("forecast", "trends")),
        Question("delisting", "What goes, and what comes back, without some products?",
                 "DelistingPolicy", ("forecast", "trends")),
        Question("marketing", "What to feature, promote, clear, or leave alone?",
                 "MarketingPolicy", ("forecast", "trends", "elasticity")),
        Question("campaign", "Which products at which discount add most margin?",
                 "CampaignPolicy", ("forecast", "elasticity")),
        Question("suppliers", "Whose range earns, and who delivers?", "SuppliersPolicy",
                 ("forecast",), ("receipts",)),
        Question("confidence", "How sure is each tier?", "ConfidencePolicy", ()),
        Question("changes", "What changed since another run, and what really did?",
                 "ChangesPolicy", (), compares=True),
    )
}  # fmt: skip


def decide(
    source: Analysis | Evidence,
    section: str,
    policy: Mapping[str, Any] | msgspec.Struct | None = None,
    **given: Any,
) -> Section:
    """Answer a question about an analysis: what to do, how much, by when, and why.

    Args:
        source: What `analyze` gave, or evidence.
        section: One of QUESTIONS, such as inventory, portfolio or delisting.
        policy: Its settings, as plain values or as its policy.
        given: What the section takes beside the products, such as receipts for suppliers;
            and what `Evidence.of` takes: weeks, as_of, period_days.

    Raises:
        InputError: There is no such section, or a setting is wrong.

    Example:
        >>> from shelfwise import analyze
        >>> analysis = analyze([
        ...     {"product_id": 1, "name": "Lamp", "price": 20.0, "units_sold": 9, "stock": 1},
        ...     {"product_id": 2, "name": "Mug", "price": 5.0, "units_sold": 2, "stock": 80},
        ... ], period=30)
        >>> decide(analysis, "inventory").rows["product_id"].to_list()
        ['1', '2']
    """
    asked = QUESTIONS.get(section)
    if asked is None or asked.compares:
        known = [name for name, question in QUESTIONS.items() if not question.compares]
        raise InputError(f"There is no section {excerpt(section)}.", f"It is {', '.join(known)}.")
    tables = {name: given.pop(name) for name in asked.tables if name in given}
    plain: Any = policy
    if isinstance(policy, msgspec.Struct):
        plain = msgspec.to_builtins(policy, builtin_types=(dt.date,))
    return asked.answer(Evidence.of(source, **given), plain, **tables)
