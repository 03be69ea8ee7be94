"""The commands about what people say: the tiers that they set, their answers to proposals."""

import datetime as dt
import json
from typing import Annotated, Any

import typer
from rich.table import Table as Grid
from rich.text import Text

from shelfwise.cli.keeping import AsJson, store, whole_id
from shelfwise.cli.screen import err, out

override = typer.Typer(
    help="Tiers that people set, for a reason, until a day: set, list, end.", no_args_is_help=True
)
decision = typer.Typer(
    help="Answers to what is proposed: accept, dismiss, list.", no_args_is_help=True
)
WHO = "command line"
RunId = Annotated[
    str | None, typer.Option("--run", help="The run that it is about; the newest if not given.")
]


@override.command("set")
def set_override(
    product_id: Annotated[str, typer.Argument(help="Which product.")],
    tier: Annotated[str, typer.Argument(help="High, Medium or Low.")],
    reason: Annotated[str, typer.Option(help="Why; up to 500 characters.")],
    until: Annotated[
        str | None, typer.Option(help="The last day, 2026-06-30; until it is ended if not given.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="The first day; the day of the run if not given.")
    ] = None,
    location: Annotated[str | None, typer.Option(help="Where; everywhere if not given.")] = None,
    run_id: RunId = None,
) -> None:
    """Let a product of a run count as a tier, there and on later runs."""
    days = {"first_day": day_of("--from", since), "last_day": day_of("--until", until)}
    with store() as kept:
        made = kept.overrides.set(
            product_id, tier, reason, who=WHO, location=location,
            run_id=_run(kept, run_id), **days,
        )  # fmt: skip
        kept.audit.add(WHO, "override.set", made.id)
    out.print(f"{_what(made)} counts as {made.tier} {_days(made)}.", markup=False)
    out.print(f"`shelfwise override end {made.id}` ends it.", markup=False, soft_wrap=True)


@override.command("list")
def list_overrides(
    product_id: Annotated[str | None, typer.Option("--product", help="Of this product.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also those that do not count today, which have ended.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """The tiers that people have set and that count today."""
    with store() as kept:
        found, more = kept.overrides.newest(limit, active=not every, product_id=product_id)
    if as_json:
        out.print_json(json.dumps([one.to_dict() for one in found]))
        return
    if not found:
        err.print("No tier is set: shelfwise override set PRODUCT_ID TIER --reason sets one.")
        return
    grid = Grid(caption="there are more: --limit" if more else None, expand=True)
    for name in ("Override", "Product", "Tier", "From", "Until", "Reason"):
        cut: dict[str, Any] = {"ratio": 1} if name == "Reason" else {}
        grid.add_column(name, no_wrap=True, **cut)
    for one in found:
        grid.add_row(
            one.id, Text(_what(one)), one.tier, str(one.first_day), str(one.last_day or ""),
            Text(one.reason),
        )  # fmt: skip
    out.print(grid)


@override.command("end")
def end_override(
    override_id: Annotated[str, typer.Argument(help="The override's id.")],
    run_id: RunId = None,
) -> None:
    """Let an override hold no more, from the day of a run on; earlier runs still show it."""
    with store() as kept:
        ended = kept.overrides.end(override_id, _run(kept, run_id))
        kept.audit.add(WHO, "override.end", ended.id)
    out.print(f"{_what(ended)} counted as {ended.tier} {_days(ended)}.", markup=False)


def _run(kept: Any, run_id: str | None) -> str | None:
    """The run that is meant; none where none is kept, and then days are counted from today."""
    if run_id:
        return str(whole_id(kept, run_id))
    newest, _ = kept.runs.newest(1)
    return newest[0].id if newest else None


def _what(one: Any) -> str:
    return one.product_id if one.location is None else f"{one.product_id} at {one.location}"


def _days(one: Any) -> str:
    if one.last_day and one.last_day < one.first_day:
        return "on no day"
    return f"from {one.first_day} {f'to {one.last_day}' if one.last_day else 'on'}"


ProductArgument = Annotated[str, typer.Argument(help="Which product.")]
ActionArgument = Annotated[str, typer.Argument(help="What is proposed, such as reorder or clear.")]
ReasonOption = Annotated[str, typer.Option(help="Why; up to 500 characters.")]
UntilOption = Annotated[
    str | None, typer.Option(help="The last day, 2026-06-30; until a newer answer if not given.")
]
RunOption = Annotated[
    str | None, typer.Option("--run", help="The run that proposes it; the newest if not given.")
]


@decision.command("accept")
def accept(
    product_id: ProductArgument,
    action: ActionArgument,
    reason: ReasonOption,
    until: UntilOption = None,
    run_id: RunOption = None,
    amount: Annotated[
        float | None, typer.Option(help="Units; those that are proposed if not given.")
    ] = None,
) -> None:
    """Accept what is proposed for a product; later runs remember it."""
    _answer(product_id, action, "accepted", reason, until, run_id, amount)


@decision.command("dismiss")
def dismiss(
    product_id: ProductArgument,
    action: ActionArgument,
    reason: ReasonOption,
    until: UntilOption = None,
    run_id: RunOption = None,
) -> None:
    """Dismiss what is proposed for a product: `decide` leaves it out, in later runs too."""
    _answer(product_id, action, "dismissed", reason, until, run_id)


@decision.command("list")
def list_decisions(
    product_id: Annotated[str | None, typer.Option("--product", help="Of this product.")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """The answers that people have given."""
    with store() as kept:
        found, more = kept.decisions.newest(limit, product_id=product_id)
    if as_json:
        out.print_json(json.dumps([one.to_dict() for one in found]))
        return
    if not found:
        out.print("Nobody has answered yet.")
        return
    grid = Grid(caption=f"{limit} of more; --limit shows more" if more else None)
    for name in ("Product", "Action", "Answer", "From", "Until", "Who", "Why"):
        grid.add_column(name)
    for one in found:
        words = (one.product_id, one.action, one.verdict, str(one.first_day),
                 str(one.last_day or ""), one.who, one.reason)  # fmt: skip
        grid.add_row(*map(Text, words))
    out.print(grid)


def _answer(
    product_id: str,
    action: str,
    verdict: str,
    reason: str,
    until: str | None,
    run_id: str | None,
    amount: float | None = None,
) -> None:
    last = day_of("--until", until)
    with store() as kept:
        made = kept.decisions.add(
            product_id, action, verdict, reason, who=WHO, last_day=last,
            run_id=_run(kept, run_id), amount=amount,
        )  # fmt: skip
        kept.audit.add(WHO, "decision.add", made.id)
    out.print(f"{action} of {product_id} is {verdict} from {made.first_day} on.", markup=False)


def day_of(option: str, text: str | None) -> dt.date | None:
    """The day that an option names."""
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError as error:
        raise typer.BadParameter(f"{option} {text}: write 2026-06-30.") from error
