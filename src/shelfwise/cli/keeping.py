"""The commands about what is kept: runs, model, key, migrate."""

import datetime as dt
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table as Grid
from rich.text import Text

from shelfwise.cli.screen import err, out, show_run
from shelfwise.errors import InputError, NotFoundError

runs = typer.Typer(help="Runs that are kept: list, show, delete, pin.", no_args_is_help=True)
model = typer.Typer(
    help="Models that are kept by name, with versions and aliases.", no_args_is_help=True
)

key = typer.Typer(help="Keys of the API: create, list, revoke, rotate.", no_args_is_help=True)

Prefix = Annotated[str, typer.Argument(help="The eight characters after swk_, or the whole key.")]
RunId = Annotated[str, typer.Argument(help="The run's id, its beginning, or latest.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def store() -> Any:
    """The store that the settings name; opened late, for commands that need none."""
    from shelfwise.store import Store

    return Store()


@runs.command("list")
def list_runs(
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """The newest runs."""
    with store() as kept:
        found, more = kept.runs.newest(limit)
    if as_json:
        out.print_json(json.dumps([run.to_dict() for run in found]))
        return
    if not found:
        err.print("No run is kept yet: shelfwise analyze FILE --save keeps one.")
        return
    caption = "there are more: --limit" if more else None
    grid = Grid(caption=caption, expand=True)
    for name in ("Run", "Saved", "As of", "Source", "Products"):
        right = "right" if name == "Products" else "left"
        # Ids are copied and times compared; only a long source is cut.
        width: dict[str, Any] = {"ratio": 1} if name == "Source" else {}
        grid.add_column(name, justify=right, no_wrap=True, **width)  # type: ignore[arg-type]
    for run in found:
        pinned = " (pinned)" if run.pinned else ""
        source = Text(f"{run.label or run.source or 'a frame'}{pinned}")
        grid.add_row(run.id, _local(run.created_at), str(run.as_of), source, f"{run.products:,}")
    out.print(grid)


@runs.command("show")
def show(run_id: RunId = "latest", as_json: AsJson = False) -> None:
    """A run: its summary, its warnings, and its best products."""
    with store() as kept:
        run = kept.runs.get(whole_id(kept, run_id))
        if as_json:
            out.print_json(json.dumps(run.to_dict()))
            return
        products = kept.overrides.marked(kept.runs.products(run), run.as_of)
        best = products.head(15).collect()
        overridden = products.select("tier_override").count().collect().item()
    show_run(run, best, overridden)


@runs.command("delete")
def delete(
    run_id: Annotated[str, typer.Argument(help="The run's id, or its beginning.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a run and its results."""
    with store() as kept:
        run = kept.runs.get(whole_id(kept, run_id))
        told = f"run {run.id} of {run.as_of}, {run.products:,} products from {run.source}"
        if not yes:
            typer.confirm(f"Delete {told}?", abort=True)
        kept.runs.delete(run.id)
    out.print(f"Deleted {told}.", markup=False)


@runs.command("pin")
def pin(
    run_id: RunId,
    off: Annotated[bool, typer.Option("--off", help="Unpin it.")] = False,
) -> None:
    """Keep a run from retention and from deletion."""
    with store() as kept:
        run = kept.runs.pin(whole_id(kept, run_id), not off)
    out.print(f"Run {run.id} is {'pinned' if run.pinned else 'not pinned'}.", markup=False)


@runs.command("history")
def history(
    product_id: Annotated[str, typer.Argument(help="Which product.")],
    location: Annotated[
        str | None, typer.Option(help="Where, for one that stands in several.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What became of a product: its score, rank and tier in each run, oldest first."""
    with store() as kept:
        rows = kept.runs.history.of(product_id, location)
    if not rows:
        raise NotFoundError(f"No run has the product {product_id!r}.", "`shelfwise runs list`.")
    if as_json:
        out.print_json(json.dumps(rows))
        return
    grid = Grid("As of", "Run", "Revenue", "Score", "Rank", "Tier")
    for column in grid.columns[2:5]:
        column.justify = "right"
    for row in rows:
        grid.add_row(
            row["as_of"], Text(row["label"] or row["run_id"]), f"{row['revenue']:,.2f}",
            f"{row['performance_score']:.1f}", f"{row['rank']:,} of {row['products']:,}",
            row["performance_tier"],
        )  # fmt: skip
    out.print(grid)


@model.command("list")
def list_models(
    name: Annotated[str | None, typer.Argument(help="All versions of this one.")] = None,
    as_json: AsJson = False,
) -> None:
    """The models that are kept, or all versions of one."""
    with store() as kept:
        found = kept.models.all(name)
    if as_json:
        out.print_json(json.dumps([version.to_dict() for version in found]))
        return
    if not found:
        err.print("No model is kept yet: shelfwise model train NAME RUN keeps one.")
        return
    grid = Grid("Model", "Version", "Aliases", "Made", "Profile", "Products", "Run")
    for version in found:
        grid.add_row(
            version.name, str(version.version), ", ".join(version.aliases),
            _local(version.created_at), version.model.profile.name,
            f"{version.model.products:,}", version.run_id or "",
        )  # fmt: skip
    out.print(grid)


@model.command("train")
def train(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    run_id: RunId = "latest",
    alias: Annotated[str | None, typer.Option(help="Point this alias at it, too.")] = None,
) -> None:
    """Keep the model of a run as the next version of a name."""
    with store() as kept:
        found = kept.train(name, whole_id(kept, run_id), alias)
    _told(found)


@model.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    file: Annotated[Path, typer.Argument(help="A .json, or a .joblib of this installation.")],
    alias: Annotated[str | None, typer.Option(help="Point this alias at it, too.")] = None,
) -> None:
    """Keep a model that was saved to a file."""
    from shelfwise.model import Model

    loaded = Model.load(file)
    with store() as kept:
        found = kept.models.add(name, loaded, alias=alias)
    _told(found)


@model.command("export")
def export(
    reference: Annotated[str, typer.Argument(help="NAME, NAME@alias or NAME@3.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help=".json, or .joblib with scikit-learn objects.")
    ],
) -> None:
    """Write a model to a file."""
    with store() as kept:
        found = kept.models.get(reference)
    found.model.save(output)
    out.print(f"Wrote {found.name}@{found.version} to {output}.", markup=False)


@model.command("alias")
def alias_(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    alias: Annotated[str, typer.Argument(help="For example current.")],
    version: Annotated[int, typer.Argument(help="The version's number.", min=1)],
) -> None:
    """Let an alias point at a version: a new one to roll out, an old one to roll back."""
    with store() as kept:
        found = kept.models.point(name, alias, version)
    _told(found)


@model.command("drift")
def drift(
    reference: Annotated[str, typer.Argument(help="NAME, NAME@alias or NAME@3.")],
    run_id: RunId = "latest",
    as_json: AsJson = False,
) -> None:
    """How far the products of a run have moved from those that a model was fitted on."""
    with store() as kept:
        found = kept.drift(whole_id(kept, run_id), reference)
    if as_json:
        out.print_json(json.dumps([one.to_dict() for one in found]))
        return
    grid = Grid("Metric", "PSI", "Verdict", "Below range", "Above range")
    for column in (grid.columns[1], *grid.columns[3:]):
        column.justify = "right"
    for one in found:
        psi = "" if one.psi is None else f"{one.psi:.3f}"
        grid.add_row(
            one.metric, psi, one.verdict or "no training data", f"{one.below:.1%}",
            f"{one.above:.1%}",
        )  # fmt: skip
    out.print(grid)
    out.print("PSI below 0.1: stable; 0.1 to 0.25: moved; from 0.25: shifted, fit anew.",
              style="dim")  # fmt: skip


@key.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Who or what it is for.")],
    scope: Annotated[
        list[str], typer.Option(help="analyze, read, model:write or admin; several times.")
    ] = ["analyze", "read"],  # noqa: B006  (typer copies it)
    days: Annotated[int | None, typer.Option(help="Days until it expires.", min=1)] = None,
) -> None:
    """Make a key for the API; it is shown once."""
    with store() as kept:
        text, made = kept.keys.create(name, scope, days)
        kept.audit.add("command line", "key.create", made.prefix, scopes=sorted(made.scopes))
    err.print("Keep this key: it is not shown again.")
    out.print(text, markup=False, highlight=False, soft_wrap=True)


@key.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """The keys, newest first; their secrets are not kept."""
    with store() as kept:
        found = kept.keys.all()
    if as_json:
        out.print_json(json.dumps([one.to_dict() for one in found]))
        return
    if not found:
        err.print("There is no key yet: shelfwise key create NAME makes one.")
        return
    grid = Grid("Key", "Name", "Scopes", "Made", "Expires", "Works")
    for one in found:
        grid.add_row(
            f"swk_{one.prefix}_...", Text(one.name), ", ".join(sorted(one.scopes)),
            _local(one.created_at), _local(one.expires_at) if one.expires_at else "never",
            "yes" if one.works else "no",
        )  # fmt: skip
    out.print(grid)


@key.command("revoke")
def revoke_key(prefix: Prefix) -> None:
    """End a key now; a server may trust it for five seconds more."""
    with store() as kept:
        found = kept.keys.revoke(_prefix(prefix))
        kept.audit.add("command line", "key.revoke", found.prefix)
    out.print(f"The key {found.prefix} ({found.name}) works no more.", markup=False)


@key.command("rotate")
def rotate_key(
    prefix: Prefix,
    hours: Annotated[float, typer.Option(help="Hours that the old one still works.", min=0)] = 24,
) -> None:
    """Make a key with the same name and scopes, and let the old one end."""
    with store() as kept:
        text, made = kept.keys.rotate(_prefix(prefix), hours)
        kept.audit.add("command line", "key.rotate", _prefix(prefix), to=made.prefix)
    err.print(f"Keep this key; {_prefix(prefix)} works for {hours:g} hours more.", markup=False)
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def migrate() -> None:
    """Bring the database to this program's version; the first start does it, too."""
    with store() as kept:
        out.print(f"{kept.database} has version {kept.database.version()}.", markup=False)


def _prefix(text: str) -> str:
    """The name of a key, also where the whole key is given."""
    return text.split("_")[1] if text.startswith("swk_") else text


def _told(version: Any) -> None:
    aliases = f", {', '.join(version.aliases)}" if version.aliases else ""
    out.print(f"{version.name} has version {version.version}{aliases}.", markup=False)


def whole_id(kept: Any, run_id: str) -> str:
    """A run's id from its beginning, as people copy it."""
    if run_id == "latest" or len(run_id) < 4:
        return run_id
    found = kept.runs.beginning_with(run_id)
    if len(found) > 1:
        raise InputError(
            f"Several runs begin with {run_id}: {', '.join(found[:5])}.", "Write more of it."
        )
    return found[0] if found else run_id


def _local(moment: dt.datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
