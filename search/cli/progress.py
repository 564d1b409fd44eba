"""What a run prints: progress and the time left on stderr, its networks in the end.

A live display on a terminal, plain lines elsewhere, nothing if quiet.
"""

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from budgets.budget import format_count
from lightir_core.errors import ResultsError
from results.models import ModelResult, load_results
from results.objectives import Objective, format_value, minimised, values_of
from results.pareto import Front
from results.run import RunFolder, read_config
from results.study import Record, Trial
from search.config import kept_recipes, load_config
from search.forecast import Progress, seconds_left
from search.jobs import Callback, Silent

Forecast = Callable[[str, int, float], float | None]
"""From phase, items done and seconds used to seconds left, None while nobody knows."""

ROWS = 8
"""Members of the front that the live display shows."""


class Lines:
    """Print plain lines, for logs and pipes."""

    def __init__(self, objectives: tuple[Objective, ...], forecast: Forecast | None = None) -> None:
        """`objectives` decide what is shown of a trial."""
        self._tally = Tally(objectives, forecast)

    def phase(self, name: str, total: int) -> None:
        """See `Callback`."""
        self._tally.phase(name, total)
        self._print(f"{name} ({total})" if total > 1 else name)

    def item(self, text: str) -> None:
        """See `Callback`."""
        self._tally.item()
        self._print(f"  {text}")

    def trial(self, trial: Trial) -> None:
        """See `Callback`."""
        self._tally.trial(trial)
        self._print(f"  {self._tally.describe(trial)}; {self._tally.times()}")

    def note(self, text: str) -> None:
        """See `Callback`."""
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
        """See `Callback`."""
        self._tally.phase(name, total)
        self._draw()

    def item(self, text: str) -> None:
        """See `Callback`."""
        self._tally.item()
        self._live.console.print(f"[{clock(self._tally.elapsed)}] {text}", markup=False)
        self._draw()

    def trial(self, trial: Trial) -> None:
        """See `Callback`."""
        self._tally.trial(trial)
        self._last = self._tally.describe(trial)
        self._draw()

    def note(self, text: str) -> None:
        """See `Callback`."""
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


def front_table(objectives: Sequence[Objective], front: Sequence[Trial]) -> Table:
    """Return a table of the first members of a front."""
    table = Table(box=None, title="front", title_justify="left", title_style="bold")
    table.add_column("trial", justify="right")
    for objective in objectives:
        table.add_column(objective.label, justify="right")
    table.add_column("parameters", justify="right")
    for trial in front[:ROWS]:
        values = values_of(objectives, trial.scores, trial.cost)
        shown = [show(value, kind) for value, kind in zip(values, objectives, strict=True)]
        table.add_row(str(trial.number), *shown, format_count(trial.cost["params"]))
    return table


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


def print_result(folder: Path, *, as_json: bool) -> None:
    """Print the models of the run in `folder` and where its report is."""
    models = [model for model in load_results(folder) if model.kind != "parent"]
    report = RunFolder(folder).report
    if as_json:
        print(json.dumps(_plain(folder, models), indent=2))
        return
    console = Console()
    console.print(_table(models))
    console.print(f"report  {report}", soft_wrap=True, markup=False, highlight=False)


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


def _plain(folder: Path, models: list[ModelResult]) -> dict[str, object]:
    return {
        "run": str(folder),
        "report": str(RunFolder(folder).report),
        "models": [
            {
                "id": model.id,
                "kind": model.kind,
                "trial": model.trial,
                "parent": model.parent,
                "cost": model.cost,
                "scores": model.scores,
                "baseline": model.baseline,
                "within_budget": model.within_budget,
                "folder": str(RunFolder(folder).model(model.id)),
            }
            for model in models
        ],
    }


def _table(models: list[ModelResult]) -> Table:
    table = Table(box=None)
    for name in ("network", "how", "parameters", "MACs", "score", "baseline", "gain"):
        table.add_column(name, justify="left" if name in ("network", "how") else "right")
    for model in models:
        metric = next(iter(model.scores))
        score, baseline = model.scores[metric], model.baseline[metric]
        table.add_row(
            model.id,
            model.kind if model.parent is None else f"{model.kind} from {model.parent}",
            f"{model.cost['params']:,}",
            format_count(model.cost["macs"]),
            f"{score:.2f} dB",
            f"{baseline:.2f} dB",
            f"{score - baseline:+.2f} dB",
        )
    return table
