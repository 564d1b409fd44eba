"""What a search costs beside training: proposing, pricing and recording trials that do nothing.

Held against a search as Optuna's tutorial writes it: the same sampler on the same space, with a
journal file; no budget, no pricing, no check for repeats, no architecture in the record.
"""

import hashlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import optuna
import typer
from optuna.samplers import BaseSampler, NSGAIIISampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks import harness
from benchmarks.harness import Out, Row
from budgets.budget import Budget, Size
from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task
from lightir_core.learning.recipe import PROXY
from lightir_core.seeds import derive
from results.objectives import Objective
from results.study import Record
from results.trials import Trial
from search.config import SearchConfig, known
from search.feasible.candidate import Candidate
from search.feasible.space import Feasible
from search.jobs import Job, Outcome, Silent, drive_function
from search.loop import Limits, Search
from search.objectives import objectives
from search.rungs import rungs_for
from search.strategies import STRATEGIES, Scenario
from search.strategies.optuna_sampler import quiet
from spaces import Choices, Dimension, Space, TaskShape, Value, find_space

GENERATION = 8
WINDOW = 48
"""Trials before a checkpoint over which the cost of one is taken: the median of generations."""

CHECKPOINTS = (100, 500, 1000, 2000, 5000)
SAMPLERS = ("random", "tpe", "nsga2", "nsga3")
DEFAULT = SearchConfig()


def no_work(job: Job) -> Outcome:
    """Return a score that is a fixed function of the architecture, at once."""
    score = int(job.architecture.id, 16) / 16**12
    return Outcome(number=job.number, scores={"psnr_y": score}, curve=((1, score),))


def no_job(number: int, candidate: Candidate, seed: int, until: int | None = None) -> Job:
    """Return a job that nothing is to be done for."""
    return Job(
        number=number,
        architecture=candidate.architecture,
        recipe=PROXY,
        source=ImageSource(task=parse_task("sr-x2")),
        seed=derive(seed, "train", number),
        device="cpu",
        weights=Path("unused"),
        until=until,
    )


def default_feasible(space: str, budget: str) -> tuple[Feasible, tuple[Objective, ...]]:
    """Return a space within a budget, for the default task, and the default objectives."""
    feasible = Feasible(
        find_space(space), TaskShape(scale=2), Budget.parse(budget), Size(720, 1280)
    )
    return feasible, objectives(DEFAULT.search.objectives, parse_task(DEFAULT.data.task))


class BareSearch:
    """An Optuna study on a journal file, asked and told trial by trial."""

    def __init__(self, space: Space, strategy: str, generation: int, seed: int, file: Path) -> None:
        """Create the study in `file`."""
        self._space = space
        with quiet():
            self._study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(file))),
                sampler=_sampler(strategy, generation, seed),
                directions=["maximize", "minimize"],
            )

    def step(self) -> None:
        """Make one more trial that does nothing."""
        trial = self._study.ask()
        choices = self._ask(self._space.network, {}, "", trial)
        for number in range(1, int(choices["stages"]) + 1):
            known = {name: value for name, value in choices.items() if "." not in name}
            choices |= self._ask(self._space.stage, known, f"stage{number}.", trial)
        score = int(hashlib.sha256(repr(choices).encode()).hexdigest()[:12], 16) / 16**12
        self._study.tell(trial, [score, float(len(choices))])

    def _ask(
        self,
        dimensions: Sequence[Dimension],
        known: Choices,
        prefix: str,
        trial: optuna.trial.Trial,
    ) -> Choices:
        seen: dict[str, Value] = dict(known)
        asked: Choices = {}
        for dimension in dimensions:
            if dimension.is_active(seen):
                value = trial.suggest_categorical(prefix + dimension.name, dimension.values)
                assert value is not None, "no dimension has None among its values"
                asked[prefix + dimension.name] = seen[dimension.name] = value
        return asked


def _sampler(strategy: str, generation: int, seed: int) -> BaseSampler:
    """Return Optuna's sampler with the settings that ours of that name has."""
    with quiet():
        samplers: dict[str, BaseSampler] = {
            "random": RandomSampler(seed=seed),
            "tpe": TPESampler(
                seed=seed, multivariate=True, group=True, n_startup_trials=generation
            ),
            "nsga2": NSGAIISampler(population_size=generation, seed=seed),
            "nsga3": NSGAIIISampler(population_size=generation, seed=seed),
        }
    return samplers[strategy]


def compare(
    feasible: Feasible,
    objectives: tuple[Objective, ...],
    strategy: str,
    trials: int,
    folder: Path,
    seed: int,
) -> list[Row]:
    """Search with no-op trials in `folder`, a generation of ours and one of bare Optuna in turn.

    Returns:
        What a trial costs after so many `trials`, as (CPU, wall) milliseconds of `ours` and `bare`.

    Raises:
        SearchError: a strategy that Optuna does not have.
    """
    known("strategy of Optuna", strategy, dict.fromkeys(SAMPLERS))
    setting = Scenario(feasible, objectives, GENERATION, seed)
    bare = BareSearch(feasible.space, strategy, GENERATION, seed, folder / "bare.journal")
    dimensions = feasible.space.distributions()
    with Record.create(folder / "run", objectives, dimensions) as record:
        timer = _Timer(bare)
        search = Search(
            STRATEGIES[strategy](setting),
            record,
            lambda number, candidate, _: no_job(number, candidate, seed),
            Limits(trials, GENERATION, float("inf")),
            timer,
            rungs_for("none", PROXY.steps),
        )
        drive_function(search, no_work)
    ends = sorted({*(n for n in CHECKPOINTS if n < trials), trials})
    return [
        {"trials": end, "ours": _cost(timer.ours, end), "bare": _cost(timer.bare, end)}
        for end in ends
    ]


class _Timer(Silent):
    """Measures our generations, and has bare Optuna make one after each.

    Attributes:
        ours: (CPU seconds, seconds) of each generation.
        bare: the same of bare Optuna's.
    """

    def __init__(self, bare: BareSearch) -> None:
        self.ours: list[tuple[float, float]] = []
        self.bare: list[tuple[float, float]] = []
        self._search = bare
        self._seen = 0
        self._begun = _clocks()

    def trial(self, trial: Trial) -> None:
        """End our generation with its last trial."""
        self._seen += 1
        if self._seen % GENERATION:
            return
        self.ours.append(_since(self._begun))
        begun = _clocks()
        for _ in range(GENERATION):
            self._search.step()
        self.bare.append(_since(begun))
        self._begun = _clocks()


def _clocks() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def _since(begun: tuple[float, float]) -> tuple[float, float]:
    cpu, wall = _clocks()
    return cpu - begun[0], wall - begun[1]


def _cost(generations: Sequence[tuple[float, float]], end: int) -> list[float]:
    window = generations[max(0, (end - WINDOW) // GENERATION) : -(-end // GENERATION)]
    return [1000 * statistics.median(times) / GENERATION for times in zip(*window, strict=True)]


def overhead(
    trials: Annotated[int, typer.Option(help="No-op trials.", min=8)] = 200,
    strategy: Annotated[str, typer.Option(help="Who proposes: a sampler of Optuna.")] = (
        DEFAULT.search.strategy
    ),
    budget: Annotated[str, typer.Option(help="Limits of the networks.")] = DEFAULT.search.budget,
    space: Annotated[str, typer.Option(help="Where networks come from.")] = DEFAULT.search.space,
    seed: Annotated[int, typer.Option(help="Decides the proposals.")] = 0,
    out: Out = None,
) -> None:
    """What a search costs beside training, a trial, next to bare Optuna.

    Bare Optuna has the same sampler and a journal file, and neither budget nor check for repeats.

    Example:  python -m benchmarks overhead --trials 5000 --strategy nsga2
    """
    feasible, kinds = default_feasible(space, budget)
    with tempfile.TemporaryDirectory() as folder:
        rows = compare(feasible, kinds, strategy, trials, Path(folder), seed)
    cells: list[list[str]] = []
    for row in rows:
        pairs = zip(row["ours"], row["bare"], strict=True)
        times = [f"{value:.{d}f}" for o, b in pairs for value, d in ((o, 1), (b, 1), (o / b, 2))]
        cells.append([f"{row['trials']:,}", *times])
    columns = ["after trials:", "CPU ms:", "bare:", "ratio:", "wall ms:", "bare:", "ratio:"]
    harness.publish(f"## Overhead of {strategy}", harness.table(columns, cells), out)
