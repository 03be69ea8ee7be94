"""The commands for other tools: publish a run to the views that they read."""

from pathlib import Path
from typing import Annotated

import typer

from shelfwise.cli.keeping import RunId, store, whole_id
from shelfwise.cli.screen import err, out


def publish(
    run_id: RunId = "latest",
    keep: Annotated[
        int, typer.Option(help="How many runs stay published, the newest; 0: all.", min=0)
    ] = 0,
    role: Annotated[
        str | None,
        typer.Option(help="A role of PostgreSQL that may read the views and nothing else."),
    ] = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take the run out of the views instead.")
    ] = False,
) -> None:
    """Copy the products of a run to where other tools read them: views of the database."""
    if withdraw and (keep or role):
        raise typer.BadParameter("--withdraw goes without --keep and --role.")
    with store() as kept:
        if withdraw:
            run = whole_id(kept, run_id)
            run = kept.runs.get(run).id if run == "latest" else run
            kept.published.withdraw(run)
            out.print(f"Run {run} is not published any more.", markup=False)
            return
        made = kept.published.publish(whole_id(kept, run_id), keep)
        out.print(
            f"Published run {made.run.id} of {made.run.as_of}: {made.run.products:,} products.",
            markup=False,
        )
        if made.removed:
            out.print(f"Not published any more: {', '.join(made.removed)}.", markup=False)
        password = kept.published.let_read(role) if role else None
        database = kept.database
    if password:
        err.print("Keep this password: it is not shown again.")
        url = database.url.set(drivername="postgresql", username=role, password=password)
        out.print(url.render_as_string(hide_password=False), markup=False, highlight=False,
                  soft_wrap=True)  # fmt: skip
    elif role:
        out.print(f"{role} may read the views; its password is as it was.", markup=False)


connect = typer.Typer(help="Dashboards for other tools: superset, grafana.", no_args_is_help=True)


@connect.command("superset")
def superset(
    database: Annotated[
        str,
        typer.Option(help="The database as Superset reaches it, without a password, for example "
                     "postgresql://shelfwise_reader@host/shelfwise."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file, a .zip.")],
) -> None:  # fmt: skip
    """Datasets, charts and a dashboard for Apache Superset, as a ZIP to import."""
    from shelfwise.connect import superset, zipped
    from shelfwise.engines.output import put

    put(zipped(superset.files(database)), str(output))
    if str(output) != "-":
        out.print(f"Wrote {output}. In Superset: Dashboards, Import.", markup=False)


@connect.command("grafana")
def grafana(
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder; it may be new.")],
) -> None:
    """A dashboard for Grafana and what provisions it, as a folder."""
    from shelfwise.connect import grafana
    from shelfwise.engines.failures import writing
    from shelfwise.engines.output import put

    for path, content in grafana.files().items():
        with writing(output):
            (output / path).parent.mkdir(parents=True, exist_ok=True)
        put(content, str(output / path))
    out.print(f"Wrote {output}: what stands in it goes into Grafana's folder of provisioning.",
              markup=False)  # fmt: skip
