"""What a run shows while it goes on: in its own terminal or log, and by `watch` in others.

A live display on a terminal, plain lines elsewhere.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from budgets.budget import format_count
from lightir_core.errors import LightIRError, ResultsError
from results.objectives import Objective, format_duration, format_value, minimised, values_of
from results.pareto import Front
from results.report import text
from results.run import RunFolder, read_config
from results.run_view import RunView, read_run
from results.study import Record
from results.trials import Trial
from search.cli.printing import table
from search.config import config_from_plain, cpu_count, load_config
from search.forecast import BASELINES, PRUNE, SEARCH, TRAIN_ON, Progress, seconds_left
from search.recipes import kept_recipes

Forecast = Callable[[str, int, float], float | None]
"""From phase, items done and seconds used to seconds left, None while nobody knows."""

ROWS = 8
"""Members of the front that the live display shows."""

QUIET_S = 3600
"""After so long without a change a run is taken to be over."""


class Lines:
    """Print plain lines, for logs and pipes."""

    def __init__(self, objectives: tuple[Objective, ...], forecast: Forecast | None = None) -> None:
        """`objectives` decide what is shown of a trial."""
        self._tally = Tally(objectives, forecast)

    def phase(self, name: str, total: int) -> None:
        """Print that a phase begins."""
        self._tally.phase(name, total)
        self._print(f"{name} ({total})" if total > 1 else name)

    def item(self, text: str) -> None:
        """Print that an item is done."""
        self._tally.item()
        self._print(f"  {text}")

    def trial(self, trial: Trial) -> None:
        """Print an ended trial and the time left."""
        self._tally.trial(trial)
        self._print(f"  {self._tally.describe(trial)}; {self._tally.times()}")

    def note(self, text: str) -> None:
        """Print what should be known."""
        self._print(f"  note: {text}")

    def _print(self, text: str) -> None:
        print(f"[{clock(self._tally.elapsed)}] {text}", file=sys.stderr, flush=True)


class Display:
    """Draw one live display: the phase, the front so far, the last trial, time used and left."""

    def __init__(
        self, objectives: tuple[Objective, ...], live: Live, forecast: Forecast | None = None
    ) -> None:
        """`live` is entered and left by the caller."""
        self._tally = Tally(objectives, forecast)
        self._live = live
        self._last = ""

    def phase(self, name: str, total: int) -> None:
        """Draw a new phase."""
        self._tally.phase(name, total)
        self._draw()

    def item(self, text: str) -> None:
        """Print an item above the display."""
        self._tally.item()
        self._live.console.print(f"[{clock(self._tally.elapsed)}] {text}", markup=False)
        self._draw()

    def trial(self, trial: Trial) -> None:
        """Draw an ended trial and the front with it."""
        self._tally.trial(trial)
        self._last = self._tally.describe(trial)
        self._draw()

    def note(self, text: str) -> None:
        """Print what should be known above the display."""
        self._live.console.print(f"note: {text}", style="yellow", markup=False)

    def _draw(self) -> None:
        tally = self._tally
        bar = ProgressBar(total=max(1, tally.total), completed=tally.done, width=40)
        head = Table.grid(padding=(0, 1))
        head.add_row(Text(tally.name, style="bold"), bar, Text(f"{tally.done}/{tally.total}"))
        parts = [head, Text(tally.times()), Text(self._last, style="dim")]
        if tally.front:
            parts.append(front_table(tally.objectives, tally.front))
        self._live.update(Group(*parts), refresh=True)


class Tally:
    """Count what both displays show: the front, how many are done, how long it takes."""

    def __init__(self, objectives: tuple[Objective, ...], forecast: Forecast | None = None) -> None:
        """Start the clock."""
        self.objectives = objectives
        self._forecast = forecast
        self.name, self.total, self.done = "", 0, 0
        self._finished: list[Trial] = []
        self._front = Front()
        self._begun = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begun

    @property
    def front(self) -> list[Trial]:
        """The non-dominated trials, best first objective first."""
        members = zip(self._front.points, self._front.members, strict=True)
        return [self._finished[index] for _, index in sorted(members)]

    def values(self, trial: Trial) -> tuple[float, ...]:
        """Return the trial's objective values."""
        return values_of(self.objectives, trial.scores, trial.cost)

    def phase(self, name: str, total: int) -> None:
        """Begin a new phase."""
        self.name, self.total, self.done = name, total, 0

    def trial(self, trial: Trial) -> None:
        """Count a trial that has ended."""
        self.done += 1
        if trial.state == "finished":
            self._finished.append(trial)
            self._front.add(minimised(self.objectives, self.values(trial)))

    def item(self) -> None:
        """Count something else that is done."""
        self.done += 1

    def describe(self, trial: Trial) -> str:
        """Return one trial in one line."""
        head = f"trial {trial.number} ({trial.architecture.id})"
        if trial.state == "failed":
            return f"{head} failed: {trial.reason}"
        shown = ", ".join(
            f"{objective.label} {show(value, objective)}"
            for objective, value in zip(self.objectives, self.values(trial), strict=True)
        )
        notes = (trial.restart.text if trial.restart else "", trial.reason or "")
        end = "".join(f"; {text}" for text in notes if text)
        return f"{head}: {shown}, {format_count(trial.cost['params'])} parameters{end}"

    def times(self) -> str:
        """Time used, and time left until the report is there."""
        used = f"used {clock(self.elapsed)}"
        left = self._forecast and self._forecast(self.name, self.done, self.elapsed)
        return used if left is None else f"{used}, about {clock(left)} more in all"


def show(value: float, objective: Objective) -> str:
    """Return a value with its unit, as short as it can be read."""
    if objective.unit == "dB":
        return f"{value:.3f} dB"  # a digit more than in reports: trials are short and close
    text = format_value(objective, value)
    return f"{text} ms" if objective.unit == "ms" else text


def clock(seconds: float) -> str:
    """Return seconds as m:ss."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def front_table(objectives: Sequence[Objective], front: Sequence[Trial]) -> Table:
    """Return a table of the first members of a front."""
    names = ("trial", *(objective.label for objective in objectives), "parameters")
    rows = [
        (
            str(trial.number),
            *(show(value, kind) for kind, value in zip(objectives, values, strict=True)),
            format_count(trial.cost["params"]),
        )
        for trial in front[:ROWS]
        for values in [values_of(objectives, trial.scores, trial.cost)]
    ]
    return table(names, rows, right=names, title="front")


def forecast_of(folder: Path, workers: int) -> Forecast:
    """Return the forecast for the run in `folder`, which need not be there yet."""
    opened: list[Record] = []

    def left(phase: str, done: int, elapsed_s: float) -> float | None:
        try:
            if not opened:
                opened.append(Record.open(folder))
            trials = opened[0].trials()
        except ResultsError:
            return None  # not begun, or out of reach: progress can do without
        settled = load_config(folder)
        longer = kept_recipes(read_config(folder).get("recipes"), settled).longer
        progress = Progress(phase=phase, done=done, elapsed_s=elapsed_s, workers=workers)
        kinds = opened[0].objectives
        return seconds_left(trials, kinds, settled, progress, time.time(), longer)

    return left


def watch(folder: Path, every: float, once: bool) -> None:
    """Show a run's front, its failures and the time left, until it is over."""
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
    # trainings at once, as far as the record shows it
    running = sum(trial.state == "running" for trial in view.trials)
    usual = 1 if config.machine.device.startswith("cuda") else cpu_count()
    progress = Progress(
        phase=phase,
        done=done.get(phase, 0),
        elapsed_s=now - min(starts).timestamp(),
        workers=config.machine.workers or running or usual,
    )
    left = seconds_left(view.trials, view.objectives, config, progress, now, longer)
    return "" if left is None else f", about {format_duration(left)} more in all"
