"""What `run` and `resume` do: the whole job, from a budget to a report; Ctrl-C ends it well."""

import importlib.util
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import typer
from rich.console import Console
from rich.live import Live

from budgets.budget import format_count
from lightir_core.data.tasks import parse_task
from lightir_core.errors import SearchError
from results.models import ModelResult, load_results
from results.objectives import Objective
from results.run import RunFolder
from results.tracking import MlflowTracker, TensorBoardTracker
from search import pipeline
from search.cli.printing import print_json, print_path, print_table
from search.cli.progress import Display, Forecast, Lines, forecast_of
from search.cli.settings import PREFIX, settle
from search.config import SETTINGS, SearchConfig, default_folder, load_config, parse_duration
from search.jobs import Callback, Silent, Stop, Tracked
from search.objectives import objectives, parse_evaluator
from search.plan import More, worker_count

FIRST = (
    "stopping: what is running will be finished and kept, nothing new is started; "
    "press Ctrl-C again to stop at once"
)


def run(
    context: typer.Context,
    settings: Path | None,
    out: Path | None,
    tensorboard: bool,
    mlflow: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Do a run by the settings that the context and a file hold, and print its networks."""
    config = settle(_given(context), settings)
    folder = out or default_folder(config)
    with _followed(folder, config, quiet, tensorboard=tensorboard, mlflow=mlflow) as (to, stop):
        variables = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(PREFIX)]
        before = ["env", *variables] if variables else []
        command = [*before, "python", "-m", "search", *sys.argv[1:]]
        pipeline.run(config, folder, to, command, stop)
    print_result(folder, as_json=as_json)


def resume(
    folder: Path,
    address: str | None,
    trials: str | None,
    time: str | None,
    tensorboard: bool,
    mlflow: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Go on with a run and print its networks."""
    config, more = load_config(folder), More(trials, None if time is None else parse_duration(time))
    with _followed(folder, config, quiet, tensorboard=tensorboard, mlflow=mlflow) as (to, stop):
        pipeline.resume(folder, to, stop, address, more)
    print_result(folder, as_json=as_json)


@contextmanager
def _followed(
    folder: Path, config: SearchConfig, quiet: bool, *, tensorboard: bool, mlflow: bool
) -> Iterator[tuple[Callback, Stop]]:
    """Give what a run reports to and what stops it, each for as long as the run goes on."""
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


@contextmanager
def watching(
    objectives: tuple[Objective, ...], *, quiet: bool, forecast: Forecast | None = None
) -> Iterator[Callback]:
    """Give the callback that suits where stderr goes; `forecast` tells the time that is left."""
    console = Console(stderr=True)
    if quiet:
        yield Silent()
    elif console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield Display(objectives, live, forecast)
    else:
        yield Lines(objectives, forecast)


@contextmanager
def tracked(
    callback: Callback, folder: Path, *, tensorboard: bool, mlflow: bool
) -> Iterator[Callback]:
    """Give the callback, which also reports to the trackers that were asked for.

    Raises:
        SearchError: one of them is not installed; how to install it is told.
    """
    for wanted, extra in ((tensorboard, "tensorboard"), (mlflow, "mlflow")):
        if wanted and importlib.util.find_spec(extra) is None:
            raise SearchError(
                f"--{extra} needs {extra}; install the extra: pip install 'lightir[{extra}]'"
            )
    with ExitStack() as stack:
        trackers = []
        if tensorboard:
            trackers.append(stack.enter_context(TensorBoardTracker(folder)))
        if mlflow:
            trackers.append(stack.enter_context(MlflowTracker(folder)))
        yield Tracked(callback, trackers) if trackers else callback


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Say how to go on with the run in `folder` when Ctrl-C stops it."""
    try:
        yield
    except KeyboardInterrupt:
        print("\ninterrupted; nothing that was finished is lost", file=sys.stderr)
        if RunFolder(folder).config.exists():
            command = f"python -m search resume {shlex.quote(str(folder))}"
            print(f"go on with:  {command}", file=sys.stderr)
        raise


def print_result(folder: Path, *, as_json: bool) -> None:
    """Print the models of the run in `folder` and where its report is."""
    run = RunFolder(folder)
    models = [model for model in load_results(folder) if model.kind != "parent"]
    if as_json:
        names = ("id", "kind", "trial", "parent", "cost", "scores", "baseline", "within_budget")
        plain: list[dict[str, Any]] = [
            {**{name: getattr(m, name) for name in names}, "folder": str(run.model(m.id))}
            for m in models
        ]
        print_json({"run": str(folder), "report": str(run.report), "models": plain})
        return
    numbers = ("parameters", "MACs", "score", "baseline", "gain")
    print_table(("network", "how", *numbers), map(_cells, models), right=numbers)
    print_path("report", run.report)


def _cells(model: ModelResult) -> tuple[str, ...]:
    metric = next(iter(model.scores))
    score, baseline = model.scores[metric], model.baseline[metric]
    return (
        model.id,
        model.kind if model.parent is None else f"{model.kind} from {model.parent}",
        f"{model.cost['params']:,}",
        format_count(model.cost["macs"]),
        f"{score:.2f} dB",
        f"{baseline:.2f} dB",
        f"{score - baseline:+.2f} dB",
    )


def _given(context: typer.Context) -> dict[str, Any]:
    """Return the settings that stand on the command line."""
    return {
        name: value
        for name, value in context.params.items()
        if (name in SETTINGS or name in ("channels", "fix"))
        and (source := context.get_parameter_source(name))
        and source.name == "COMMANDLINE"
    }
