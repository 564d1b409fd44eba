"""`python -m search watch`: follow a run from another terminal, or another machine."""

import time
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from lightir_core.errors import LightIRError
from results.objectives import format_duration
from results.report import text
from results.run import RunFolder
from results.run_view import RunView, read_run
from search.cli.options import RunArgument
from search.cli.progress import front_table
from search.config import SearchConfig, config_from_plain, cpu_count, kept_recipes
from search.forecast import BASELINES, PRUNE, SEARCH, TRAIN_ON, Progress, seconds_left

QUIET_S = 3600
"""After so long without a change a run is taken to be over."""


def watch(
    folder: RunArgument,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
) -> None:
    """Follow a run that goes on elsewhere: its front, its failures, the time left.

    It only reads the run's folder, so any terminal or machine that sees the folder will do.

    Example:  python -m search watch runs/sr-x2-400k-20260101-120000
    """
    console = Console()
    if once:
        console.print(picture(read_run(folder)))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            view = read_run(folder)
            live.update(picture(view), refresh=True)
            if is_over(view):
                return
            time.sleep(every)


def picture(view: RunView) -> RenderableType:
    """Return what is known of a run now, for a terminal."""
    lines: list[RenderableType] = [
        Text(f"{view.folder}: {text.status(view)}"),
        Text(f"now: {phase_of(view)}{_left(view)}"),
    ]
    for failure in text.failures(view)[:3]:
        lines.append(Text(f"{len(failure.trials)} failed: {failure.reason}", style="yellow"))
    for restart in text.restarts(view)[:3]:
        numbers = ", ".join(map(str, restart.trials[:8]))
        lines.append(Text(f"trial {numbers} {restart.reason}", style="yellow"))
    if view.front:
        lines.append(front_table(view.objectives, view.front))
    for model in view.results:
        score = model.scores.get(view.metric.name)
        quality = "" if score is None else f", {score:.2f} {view.metric.unit}"
        lines.append(Text(f"{model.kind} {model.id}: {model.cost['params']:,} parameters{quality}"))
    if is_over(view):
        lines.append(Text(f"report  {RunFolder(view.folder).report}"))
    return Group(*lines)


def phase_of(view: RunView) -> str:
    """Return the step that a run is at, by what lies in its folder."""
    if is_over(view):
        return "done"
    if len(view.trials) < int(view.settings.get("trials", 0)) or any(
        trial.state == "running" for trial in view.trials
    ):
        return SEARCH
    if view.settings.get("presets") and not all(r.scores or r.reason for r in view.baselines):
        return BASELINES
    kinds = [model.kind for model in view.models]
    wanted = min(int(view.settings.get("finalists", 1)), len(view.front))
    return TRAIN_ON if sum(kind != "pruned" for kind in kinds) < wanted else PRUNE


def is_over(view: RunView) -> bool:
    """Whether the report was made after everything else, or nothing has changed for an hour."""
    run = RunFolder(view.folder)
    changed = _changed(run)
    if time.time() - changed > QUIET_S:
        return True
    return run.report.is_file() and run.report.stat().st_mtime >= changed


def _changed(run: RunFolder) -> float:
    paths = [run.journal, *run.checkpoints.glob("*"), *run.models.glob("*/result.json")]
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)


def _left(view: RunView) -> str:
    """Return the time left, as far as the settings and the trials tell it."""
    phase = phase_of(view)
    starts = [trial.started for trial in view.trials if trial.started]
    if phase == "done" or not starts:
        return ""
    try:
        config = config_from_plain(dict(view.settings))
        longer = kept_recipes(view.config.get("recipes"), config).longer
    except LightIRError:
        return ""  # the run of another version
    done = {TRAIN_ON: len(view.models), BASELINES: sum(bool(r.scores) for r in view.baselines)}
    now = time.time()
    progress = Progress(
        phase=phase,
        done=done.get(phase, 0),
        elapsed_s=now - min(starts).timestamp(),
        workers=_workers(view, config),
    )
    left = seconds_left(view.trials, view.objectives, config, progress, now, longer)
    return "" if left is None else f", about {format_duration(left)} more in all"


def _workers(view: RunView, config: SearchConfig) -> int:
    """Return how many trainings the run does at once, as far as its record shows it."""
    running = sum(trial.state == "running" for trial in view.trials)
    on_gpu = config.machine.device.startswith("cuda")
    return config.machine.workers or running or (1 if on_gpu else cpu_count())
