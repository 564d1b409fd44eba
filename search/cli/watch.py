"""`python -m search watch`: follow a run from another terminal, or another machine."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from lightir_core.errors import LightIRError
from results.findings import Findings, read_findings
from results.formats import format_duration
from results.report import text as sentences
from results.run import RunFolder
from search.cli.options import RunArgument
from search.cli.progress import front_table
from search.config import config_from_plain
from search.devices import worker_count
from search.forecast import PRUNE, RIVALS, SEARCH, TRAIN_ON, Progress, seconds_left
from search.recipes import kept_recipes

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
        console.print(picture(read_findings(folder)))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            findings = read_findings(folder)
            live.update(picture(findings), refresh=True)
            if is_over(findings):
                return
            time.sleep(every)


def picture(findings: Findings) -> RenderableType:
    """What is known of a run now, for a terminal."""
    lines: list[RenderableType] = [
        Text(f"{findings.folder}: {sentences.status(findings)}"),
        Text(f"now: {phase_of(findings)}{_left(findings)}"),
    ]
    for failure in sentences.failures(findings)[:3]:
        lines.append(Text(f"{len(failure.trials)} failed: {failure.reason}", style="yellow"))
    for restart in sentences.restarts(findings)[:3]:
        numbers = ", ".join(map(str, restart.trials[:8]))
        lines.append(Text(f"trial {numbers} {restart.reason}", style="yellow"))
    if findings.front:
        lines.append(front_table(findings.objectives, findings.front))
    for model in findings.results:
        score = model.scores.get(findings.metric.name)
        told = "" if score is None else f", {score:.2f} {findings.metric.unit}"
        lines.append(Text(f"{model.kind} {model.id}: {model.cost['params']:,} parameters{told}"))
    if is_over(findings):
        lines.append(Text(f"report  {RunFolder(findings.folder).report}"))
    return Group(*lines)


def phase_of(findings: Findings) -> str:
    """The step that a run is at, by what lies in its folder."""
    if is_over(findings):
        return "done"
    if len(findings.trials) < int(findings.settings.get("trials", 0)) or any(
        trial.state == "running" for trial in findings.trials
    ):
        return SEARCH
    if findings.settings.get("presets") and not all(r.scores or r.reason for r in findings.rivals):
        return RIVALS
    kinds = [model.kind for model in findings.models]
    wanted = min(int(findings.settings.get("finalists", 1)), len(findings.front))
    return TRAIN_ON if sum(kind != "pruned" for kind in kinds) < wanted else PRUNE


def is_over(findings: Findings) -> bool:
    """Whether the report was made after everything else, or nothing has changed for an hour."""
    run = RunFolder(findings.folder)
    changed = _changed(run)
    if time.time() - changed > QUIET_S:
        return True
    return run.report.is_file() and run.report.stat().st_mtime >= changed


def _changed(run: RunFolder) -> float:
    paths = [run.journal, *run.checkpoints.glob("*"), *run.models.glob("*/result.json")]
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)


def _left(findings: Findings) -> str:
    """The time left, as far as the settings and the trials tell it."""
    phase = phase_of(findings)
    starts = [trial.started for trial in findings.trials if trial.started]
    if phase == "done" or not starts:
        return ""
    try:
        config = config_from_plain(dict(findings.settings))
        longer = kept_recipes(findings.config.get("recipes"), config).longer
    except LightIRError:
        return ""  # the run of another version
    done = {TRAIN_ON: len(findings.models), RIVALS: sum(bool(r.scores) for r in findings.rivals)}
    now = time.time()
    progress = Progress(
        phase=phase,
        done=done.get(phase, 0),
        elapsed_s=now - min(starts).timestamp(),
        workers=worker_count(config),
    )
    left = seconds_left(findings.trials, findings.objectives, config, progress, now, longer)
    return "" if left is None else f", about {format_duration(left)} more in all"
