"""The command line: parse, call, print. Exit codes stand in EXIT."""

import os
import signal
import sys
from typing import Annotated

import typer

from shelfwise import __version__
from shelfwise.cli.about import columns, settings
from shelfwise.cli.connecting import connect, publish
from shelfwise.cli.deciding import compare, decide
from shelfwise.cli.foretelling import forecast, trends
from shelfwise.cli.keeping import key, migrate, model, runs
from shelfwise.cli.opinions import decision, override
from shelfwise.cli.reporting import report
from shelfwise.cli.scheduling import schedule
from shelfwise.cli.scoring import analyze, explain
from shelfwise.cli.screen import complain, err, out
from shelfwise.cli.serving import demo, serve, worker
from shelfwise.errors import (
    EngineError,
    InputError,
    MissingExtraError,
    ModelError,
    NotFoundError,
    OutputError,
    ProfileError,
    RejectedRowsError,
    SettingError,
    ShelfwiseError,
    StoreError,
)

EXIT: dict[type[ShelfwiseError], int] = {
    RejectedRowsError: 3,
    NotFoundError: 4,
    ProfileError: 5,
    ModelError: 6,
    SettingError: 7,
    MissingExtraError: 8,
    OutputError: 9,
    EngineError: 10,
    StoreError: 11,
    InputError: 3,
    ShelfwiseError: 1,
}
"""Error -> exit code; the first class that fits counts. 2 is a wrong command line."""

app = typer.Typer(
    name="shelfwise",
    help="Tells which products earn their place.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    analyze,
    explain,
    trends,
    forecast,
    decide,
    compare,
    report,
    publish,
    columns,
    settings,
    serve,
    worker,
    demo,
    migrate,
):
    app.command()(command)
app.add_typer(runs, name="runs")
app.add_typer(decision, name="decision")
app.add_typer(override, name="override")
app.add_typer(model, name="model")
app.add_typer(schedule, name="schedule")
app.add_typer(key, name="key")
app.add_typer(connect, name="connect")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        out.print(__version__, highlight=False)
        raise typer.Exit


def main() -> None:
    """Run the command line; errors of ours become one line, a hint and an exit code."""
    # `shelfwise ... | head` ends quietly, as other programs do.
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL) if hasattr(signal, "SIGPIPE") else None
    try:
        try:
            app(standalone_mode=True)
        finally:
            sys.stdout.flush()  # What cannot be written is said here; at exit it could not be.
    except ShelfwiseError as error:
        complain(error)
        sys.exit(next(code for kind, code in EXIT.items() if isinstance(error, kind)))
    except RuntimeError as error:
        # So DuckDB says that Ctrl-C has stopped it.
        if "interrupted" not in str(error):
            raise
        err.print("Stopped; nothing was written.")
        sys.exit(130)
    except OSError as error:
        # What we write to is full or gone; nothing more may be flushed there at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        err.print(f"Error: the output cannot be written: {error}.", markup=False)
        sys.exit(EXIT[OutputError])
    finally:
        if before is not None:
            signal.signal(signal.SIGPIPE, before)
