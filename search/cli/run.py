"""`python -m search run`: the whole job, from a budget to a report."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lightir_core.data.tasks import parse_task
from search import pipeline
from search.cli.forecast import forecast_of
from search.cli.options import Channels, DataFolders, Json, Quiet, Sizes
from search.cli.outcome import resumable, tell
from search.cli.progress import watching
from search.cli.settings import PREFIX, settle
from search.cli.stopping import stopping
from search.cli.tracking import MlflowFlag, TensorBoardFlag, tracked
from search.config import SearchConfig, default_folder
from search.objectives import objectives
from search.strategies import STRATEGIES

DEFAULT = SearchConfig()
WORDS = {"goals": "objectives"}
"""Flags whose parameter has another name than the setting."""

NOT_SETTINGS = {"settings", "out", "tensorboard", "mlflow", "quiet", "as_json"}
"""Flags that decide nothing about the result."""


def run(
    context: typer.Context,
    settings: Annotated[
        Path | None,
        typer.Option("--config", help="TOML, YAML or JSON, or a run's config.json."),
    ] = None,
    budget: Annotated[str, typer.Option(help="Limits, as params=400k,macs=30G.")] = DEFAULT.budget,
    fill: Annotated[str, typer.Option(help="Use the first limit up to this share: 5%.")] = "0",
    task: Annotated[str, typer.Option(help="What to restore, such as sr-x2.")] = DEFAULT.task,
    channels: Channels = 3,
    data: DataFolders = None,
    val: Annotated[
        Path | None, typer.Option(help="Validation images; else held out of --data.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/…")] = None,
    trials: Annotated[int, typer.Option(help="Candidates to train.")] = DEFAULT.trials,
    patience: Annotated[
        int, typer.Option(help="End after so many trials without gain.")
    ] = DEFAULT.patience,
    steps: Annotated[int, typer.Option(help="Training steps of a candidate.")] = DEFAULT.steps,
    fidelity: Annotated[str, typer.Option(help="none, asha or hyperband.")] = DEFAULT.fidelity,
    eta: Annotated[int, typer.Option(help="At a rung, one in so many goes on.")] = DEFAULT.eta,
    rung: Annotated[int, typer.Option(help="Lowest rung's steps; 0: two rungs.")] = DEFAULT.rung,
    finish_steps: Annotated[
        int, typer.Option(help="Further steps of finalists and the pruned.")
    ] = DEFAULT.finish_steps,
    finalists: Annotated[
        int, typer.Option(help="Members of the front to train on.")
    ] = DEFAULT.finalists,
    prune_from: Annotated[
        float, typer.Option(help="Propose to so many budgets, prune.")
    ] = DEFAULT.prune_from,
    prune: Annotated[
        float, typer.Option(help="Share pruned if none is over budget.")
    ] = DEFAULT.prune,
    presets: Annotated[
        bool, typer.Option("--presets", help="Also train published systems, shrunk.")
    ] = False,
    time: Annotated[str, typer.Option(help="Time limit as 10min, 2h; 0 is none.")] = "10min",
    space: Annotated[str, typer.Option(help="Search space; see `spaces`.")] = DEFAULT.space,
    fix: Annotated[list[str] | None, typer.Option(help="Fix a dimension: width=48.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Cut one down: window=8x8,4x16.")] = None,
    strategy: Annotated[str, typer.Option(help=f"{', '.join(STRATEGIES)}.")] = DEFAULT.strategy,
    goals: Annotated[
        str,
        typer.Option(
            "--objectives",
            help="As psnr,macs,params,memory,latency.",
        ),
    ] = ",".join(DEFAULT.objectives),
    evaluator: Annotated[
        str, typer.Option(help="train, bank, bank:20, zero-cost.")
    ] = DEFAULT.evaluator,
    bank_steps: Annotated[
        int, typer.Option(help="Training steps of the weight bank.")
    ] = DEFAULT.bank_steps,
    at: Sizes = None,
    seed: Annotated[int, typer.Option(help="Decides all that is random.")] = DEFAULT.seed,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = DEFAULT.device,
    workers: Annotated[
        int, typer.Option(help="Trainings at once; 0 is one per core.")
    ] = DEFAULT.workers,
    tensorboard: TensorBoardFlag = False,
    mlflow: MlflowFlag = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Search, train, prune, fine-tune and report, within a budget.

    Example:  python -m search run --budget 400k --data photos/ --time 30min

    A file (--config) and variables (LIGHTIR_BUDGET=400k) set the same; flags come first.
    """
    # the context holds the flags by name, and knows which of them were typed
    flags = {WORDS.get(name, name): value for name, value in context.params.items()}
    config = settle(flags, _given(context), settings)
    folder = out or default_folder(config)
    kinds = objectives(config.objectives, parse_task(config.task), config.evaluator)
    forecast = forecast_of(folder, config)
    with (
        resumable(folder),
        watching(kinds, quiet=quiet, forecast=forecast) as display,
        tracked(display, folder, tensorboard=tensorboard, mlflow=mlflow) as listener,
        stopping(listener) as stop,
    ):
        pipeline.run(config, folder, listener, _command(), stop)
    tell(folder, as_json=as_json)


def _given(context: typer.Context) -> set[str]:
    """The settings that stand on the command line."""
    typed = {
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    }
    return {WORDS.get(name, name) for name in typed - NOT_SETTINGS}


def _command() -> list[str]:
    variables = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(PREFIX)]
    return [*(["env", *variables] if variables else []), "python", "-m", "search", *sys.argv[1:]]
