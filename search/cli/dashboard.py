"""`python -m search dashboard`: optuna's own dashboard on the record of a run."""

from __future__ import annotations

import importlib.util
from typing import Annotated

import typer

from lightir_core.errors import SearchError
from results.study import open_storage
from search.cli.options import RunArgument


def dashboard(
    folder: RunArgument,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.", min=1, max=65535)] = 8080,
) -> None:
    """Open optuna-dashboard on a run, while it goes on or afterwards; Ctrl-C ends it.

    Example:  python -m search dashboard runs/sr-x2-400k-20260101-120000
    """
    storage = open_storage(folder)
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise SearchError(
            "dashboard needs optuna-dashboard; install the extra: pip install 'lightir[dashboard]'"
        )
    from optuna_dashboard import run_server  # pyright: ignore[reportMissingImports]  an extra

    print(f"http://{host}:{port}/")
    run_server(storage, host=host, port=port)
