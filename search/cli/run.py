"""`python -m search run`: the whole job, from a budget to a report."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from lightir_core.data.tasks import parse_task, with_channels
from lightir_core.errors import SearchError
from search import pipeline
from search.cli.options import Channels, DataFolders, Json, Quiet, Sizes, absolute
from search.cli.outcome import resumable, tell
from search.cli.progress import watching
from search.cli.stopping import stopping
from search.config import SearchConfig, config_from_plain
from search.objectives import objectives
from search.strategies import STRATEGIES
from search.terms import read_share

DEFAULT = SearchConfig()
SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600}


def run(
    budget: Annotated[
        str, typer.Option(help="Hard limits: 400k, params=400k,macs=30G or 60%@grformer.")
    ] = DEFAULT.budget,
    fill: Annotated[
        str, typer.Option(help="Use the first limit up to this share: 5%; 0 is no lower limit.")
    ] = "0",
    task: Annotated[str, typer.Option(help="What to restore, such as sr-x2.")] = DEFAULT.task,
    channels: Channels = 3,
    data: DataFolders = None,
    val: Annotated[
        Path | None, typer.Option(help="Folder of validation images; default: held out of --data.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/…")] = None,
    trials: Annotated[int, typer.Option(help="Candidates to train.")] = DEFAULT.trials,
    patience: Annotated[
        int, typer.Option(help="End after so many trials without gain for the front; 0 is off.")
    ] = DEFAULT.patience,
    steps: Annotated[int, typer.Option(help="Training steps of a candidate.")] = DEFAULT.steps,
    finish_steps: Annotated[
        int, typer.Option(help="Further steps of each finalist and of the pruned network.")
    ] = DEFAULT.finish_steps,
    finalists: Annotated[
        int, typer.Option(help="Members of the front to train on.")
    ] = DEFAULT.finalists,
    prune_from: Annotated[
        float, typer.Option(help="Propose up to this many times the budget, and prune to it.")
    ] = DEFAULT.prune_from,
    prune: Annotated[
        float, typer.Option(help="Share to prune of the best, if none is over budget.")
    ] = DEFAULT.prune,
    presets: Annotated[
        bool, typer.Option("--presets", help="Also train the published systems, shrunk to fit.")
    ] = False,
    time: Annotated[str, typer.Option(help="Time limit such as 10min or 2h; 0 is none.")] = "10min",
    space: Annotated[str, typer.Option(help="Search space; see `spaces`.")] = DEFAULT.space,
    fix: Annotated[
        list[str] | None, typer.Option(help="Fix a dimension: width=48; repeatable.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Cut a dimension down: window=8x8,4x16; repeatable.")
    ] = None,
    strategy: Annotated[
        str, typer.Option(help=f"One of {', '.join(STRATEGIES)}.")
    ] = DEFAULT.strategy,
    goals: Annotated[
        str,
        typer.Option(
            "--objectives",
            help="psnr, macs, params, memory, inference-memory, latency, joined by commas.",
        ),
    ] = ",".join(DEFAULT.objectives),
    evaluator: Annotated[
        str, typer.Option(help="How to score candidates: train, bank, bank:20 or zero-cost.")
    ] = DEFAULT.evaluator,
    bank_steps: Annotated[
        int, typer.Option(help="Training steps of the weight bank.")
    ] = DEFAULT.bank_steps,
    at: Sizes = None,
    seed: Annotated[int, typer.Option(help="Decides all that is random.")] = DEFAULT.seed,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = DEFAULT.device,
    workers: Annotated[
        int, typer.Option(help="Trainings at the same time; 0 is one per core.")
    ] = DEFAULT.workers,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Search, train, prune, fine-tune and report, within a budget.

    Example:  python -m search run --budget 400k --data photos/ --time 30min
    """
    config = config_from_plain(
        {
            "budget": budget,
            "task": task if channels == 3 else with_channels(task, channels),
            "data": absolute(data),
            "val": str(val.resolve()) if val else None,
            "trials": trials,
            "patience": patience,
            "steps": steps,
            "finish_steps": finish_steps,
            "finalists": finalists,
            "prune_from": prune_from,
            "prune": prune,
            "presets": presets,
            "time_s": parse_duration(time),
            "space": space if not Path(space).is_file() else str(Path(space).resolve()),
            "only": (*(fix or ()), *(only or ())),
            "strategy": strategy,
            "objectives": tuple(part.strip() for part in goals.split(",")),
            "evaluator": evaluator,
            "bank_steps": bank_steps,
            "at": ",".join(at) if at else None,
            "fill": read_share(fill),
            "seed": seed,
            "device": device,
            "workers": workers,
        }
    )
    folder = out or default_folder(config)
    kinds = objectives(config.objectives, parse_task(config.task), config.evaluator)
    with resumable(folder), watching(kinds, quiet=quiet) as listener, stopping(listener) as stop:
        pipeline.run(config, folder, listener, _command(), stop)
    tell(folder, as_json=as_json)


def default_folder(config: SearchConfig) -> Path:
    """A new folder under runs/, named after the task, the budget and the time."""
    budget = re.sub(r"[^a-zA-Z0-9.]+", "-", config.budget)
    task = re.sub(r"[^a-zA-Z0-9.]+", "-", config.task)
    return Path("runs") / f"{task}-{budget}-{datetime.now():%Y%m%d-%H%M%S}"


def parse_duration(text: str) -> float:
    """Seconds in a text such as ``90s``, ``10min``, ``2h`` or a bare number of seconds.

    Raises:
        SearchError: another form, or a negative time.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|m|h)?\s*", text)
    if match is None:
        raise SearchError(f"time {text!r} is not a duration; write 90s, 10min or 2h, or 0 for none")
    return float(match[1]) * SECONDS[match[2] or "s"]


def _command() -> list[str]:
    return ["python", "-m", "search", *sys.argv[1:]]
