"""`python -m search run`: the whole job, from a budget to a report."""

from __future__ import annotations

import os
import sys

import typer

from lightir_core.data.tasks import parse_task
from search import pipeline
from search.cli.forecast import forecast_of
from search.cli.options import Channels, DataFolders, Json, Quiet, Sizes
from search.cli.outcome import resumable, tell
from search.cli.progress import watching
from search.cli.run_options import (
    Address,
    Budget,
    CpusPerTrial,
    Device,
    Engine,
    Eta,
    Evaluator,
    Fidelity,
    Fill,
    Finalists,
    FinishRecipe,
    FinishSteps,
    Fix,
    Goals,
    GpusPerTrial,
    Keep,
    Only,
    Out,
    Patience,
    Presets,
    Prune,
    PruneFrom,
    RayDashboard,
    Recipe,
    Rung,
    Seed,
    SettingsFile,
    Space,
    Steps,
    Storage,
    Strategy,
    Task,
    Time,
    Trials,
    Val,
    Workers,
)
from search.cli.settings import PREFIX, settle
from search.cli.stopping import stopping
from search.cli.tracking import MlflowFlag, TensorBoardFlag, tracked
from search.config import SearchConfig, default_folder
from search.objectives import objectives

DEFAULT = SearchConfig()
GOALS = ",".join(DEFAULT.search.objectives)
WORDS = {"goals": "objectives", "keep": "keep_s"}
"""Flags whose parameter has another name than the setting."""

NOT_SETTINGS = {"settings", "out", "tensorboard", "mlflow", "quiet", "as_json"}
"""Flags that decide nothing about the result."""


def run(
    context: typer.Context,
    settings: SettingsFile = None,
    budget: Budget = DEFAULT.search.budget,
    fill: Fill = "0",
    task: Task = DEFAULT.data.task,
    channels: Channels = 3,
    data: DataFolders = None,
    val: Val = None,
    out: Out = None,
    trials: Trials = DEFAULT.search.trials,
    patience: Patience = DEFAULT.search.patience,
    recipe: Recipe = DEFAULT.training.recipe,
    steps: Steps = DEFAULT.training.steps,
    fidelity: Fidelity = DEFAULT.search.fidelity,
    eta: Eta = DEFAULT.search.eta,
    rung: Rung = DEFAULT.search.rung,
    finish_recipe: FinishRecipe = DEFAULT.training.finish_recipe,
    finish_steps: FinishSteps = DEFAULT.training.finish_steps,
    finalists: Finalists = DEFAULT.training.finalists,
    prune_from: PruneFrom = DEFAULT.compression.prune_from,
    prune: Prune = DEFAULT.compression.prune,
    presets: Presets = False,
    time: Time = "10min",
    space: Space = DEFAULT.search.space,
    fix: Fix = None,
    only: Only = None,
    strategy: Strategy = DEFAULT.search.strategy,
    goals: Goals = GOALS,
    evaluator: Evaluator = DEFAULT.search.evaluator,
    at: Sizes = None,
    seed: Seed = DEFAULT.search.seed,
    device: Device = DEFAULT.machine.device,
    workers: Workers = DEFAULT.machine.workers,
    engine: Engine = DEFAULT.machine.engine,
    address: Address = None,
    cpus_per_trial: CpusPerTrial = DEFAULT.cluster.cpus_per_trial,
    gpus_per_trial: GpusPerTrial = DEFAULT.cluster.gpus_per_trial,
    storage: Storage = None,
    ray_dashboard: RayDashboard = False,
    keep: Keep = DEFAULT.training.keep_s,
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
    kinds = objectives(
        config.search.objectives, parse_task(config.data.task), config.search.evaluator
    )
    forecast = forecast_of(folder, config)
    with (
        resumable(folder),
        watching(kinds, quiet=quiet, forecast=forecast) as display,
        tracked(display, folder, tensorboard=tensorboard, mlflow=mlflow) as callback,
        stopping(callback) as stop,
    ):
        pipeline.run(config, folder, callback, _command(), stop)
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
