"""The commands, and what happens to errors: a message on stderr and exit status 2 or 1."""

from __future__ import annotations

import os
import sys

import typer

from lightir_core.errors import LightIRError
from search.cli.cluster import cluster
from search.cli.compare import compare
from search.cli.compress import compress
from search.cli.cost import cost
from search.cli.dashboard import dashboard
from search.cli.data import data
from search.cli.evaluate import evaluate
from search.cli.export import export
from search.cli.import_weights import import_
from search.cli.preset import preset
from search.cli.profile import profile
from search.cli.report import report
from search.cli.restore import restore
from search.cli.resume import resume
from search.cli.run import run
from search.cli.spaces import spaces
from search.cli.start import start
from search.cli.watch import watch

INTERRUPTED = 130

app = typer.Typer(
    name="lightir",
    help="Find, train and compress the best image-restoration network that fits a budget.",
    epilog="Start with:  python -m search run --budget 400k",
    invoke_without_command=True,
    callback=start,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    run,
    resume,
    watch,
    report,
    compare,
    dashboard,
    compress,
    export,
    restore,
    evaluate,
    cost,
    profile,
    spaces,
    preset,
    import_,
):
    app.command(command.__name__.strip("_"))(command)
app.add_typer(data, name="data")
app.add_typer(cluster, name="cluster")


def main() -> None:
    """Run the command line."""
    try:
        app()
    except LightIRError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from None
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer makes this of Ctrl-C
            sys.stderr.flush()
            os._exit(INTERRUPTED)  # at once, whatever threads are still doing
        raise
