"""`python -m search run` and `resume`: the whole job, from a budget to a report."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from search.cli.options import Channels, Json, Quiet, RunArgument
from search.cli.progress import forecast_of, print_result, resumable, watching
from search.cli.settings import PREFIX, settle, with_settings
from search.cli.tracking import MlflowFlag, TensorBoardFlag, tracked
from search.config import SETTINGS, SearchConfig, default_folder, load_config
from search.jobs import Callback, Stop

FIRST = (
    "stopping: what is running will be finished and kept, nothing new is started; "
    "press Ctrl-C again to stop at once"
)


@with_settings
def run(
    context: typer.Context,
    settings: Annotated[
        Path | None,
        typer.Option("--config", help="Read settings from TOML, YAML, JSON or a config.json."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Make this the run's folder; default: runs/…")
    ] = None,
    channels: Channels = 3,
    fix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT …", help="Fix a dimension of the space, as width=48; repeatable."
        ),
    ] = None,
    tensorboard: TensorBoardFlag = False,
    mlflow: MlflowFlag = False,
    quiet: Quiet = False,
    as_json: Json = False,
    **_: Any,  # noqa: ANN401  the settings, which the context holds
) -> None:
    """Search, train, prune, fine-tune and report, within a budget.

    Example:  python -m search run --budget 400k --data photos/ --time 30min

    Flags beat variables (LIGHTIR_BUDGET=400k), which beat a file (--config) and the (defaults).
    """
    config = settle(_given(context), settings)
    folder = out or default_folder(config)
    with _followed(folder, config, quiet, tensorboard=tensorboard, mlflow=mlflow) as (to, stop):
        from search import pipeline

        pipeline.run(config, folder, to, _command(), stop)
    print_result(folder, as_json=as_json)


def resume(
    folder: RunArgument,
    address: Annotated[
        str | None, typer.Option(help="Use the cluster at auto or HOST:PORT, if it has moved.")
    ] = None,
    tensorboard: TensorBoardFlag = False,
    mlflow: MlflowFlag = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Go on with a run that was interrupted or killed.

    Example:  python -m search resume runs/sr-x2-400k-20260101-120000
    """
    config = load_config(folder)
    with _followed(folder, config, quiet, tensorboard=tensorboard, mlflow=mlflow) as (to, stop):
        from search import pipeline

        pipeline.resume(folder, to, stop, address)
    print_result(folder, as_json=as_json)


@contextmanager
def _followed(
    folder: Path, config: SearchConfig, quiet: bool, *, tensorboard: bool, mlflow: bool
) -> Iterator[tuple[Callback, Stop]]:
    """Give what a run reports to and what stops it, each for as long as the run goes on."""
    from lightir_core.data.tasks import parse_task
    from search.objectives import objectives, parse_evaluator
    from search.plan import worker_count

    chosen = config.search
    kinds = objectives(
        chosen.objectives, parse_task(config.data.task), parse_evaluator(chosen.evaluator)
    )
    with (
        resumable(folder),
        watching(kinds, quiet=quiet, forecast=forecast_of(folder, worker_count(config))) as display,
        tracked(display, folder, tensorboard=tensorboard, mlflow=mlflow) as callback,
        stopping(callback) as stop,
    ):
        yield callback, stop


@contextmanager
def stopping(callback: Callback) -> Iterator[Stop]:
    """Give whether Ctrl-C was pressed; pressed again it raises KeyboardInterrupt as usual."""
    pressed = threading.Event()

    def first(number: int, where: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        pressed.set()
        # a thread of its own: the display may just be drawing in this one
        threading.Thread(target=callback.note, args=(FIRST,)).start()

    before = signal.signal(signal.SIGINT, first)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _given(context: typer.Context) -> dict[str, Any]:
    """Return the settings that stand on the command line."""
    return {
        name: value
        for name, value in context.params.items()
        if (name in SETTINGS or name in ("channels", "fix"))
        and (source := context.get_parameter_source(name))
        and source.name == "COMMANDLINE"
    }


def _command() -> list[str]:
    variables = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(PREFIX)]
    return [*(["env", *variables] if variables else []), "python", "-m", "search", *sys.argv[1:]]
