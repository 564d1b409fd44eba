"""What every strategy is given and must do, random search, and regularised evolution.

Optimisers that know no conditions see a point as a row that answers every question of the space.

Real et al., Regularized evolution for image classifier architecture search (AAAI 2019): the
population is a queue of the latest trials. The oldest leaves, not the worst, so that a lucky score
cannot stay for ever. A parent is the best of a few drawn from it, and its child differs by one
mutation. Differs from the paper: "best" is by non-dominated rank and crowding where there are
several objectives, a generation of children is made at once, and mutations know the stages.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lightir_core.seeds import derive
from results.objectives import Objective, minimised
from results.pareto import Point, ranks
from search.feasible.candidate import Candidate, CandidateSource
from spaces.decode import Value
from spaces.space import Choices, Space

Floats = NDArray[np.float64]

Fitness = tuple[int, float]
"""(rank, negative crowding distance): the smaller, the better."""


def fitness(points: Sequence[Point]) -> list[Fitness]:
    """Return the fitness of each point among the others, all objectives minimised.

    Rank and crowding distance are those of NSGA-II (Deb et al., 2002, sections III-A and III-B).
    """
    result: list[Fitness] = [(len(points), 0.0)] * len(points)
    by_rank: dict[int, list[int]] = {}
    for index, rank in enumerate(ranks(points)):
        if rank is not None:
            by_rank.setdefault(rank, []).append(index)
    for rank, members in by_rank.items():
        spread = crowding([points[index] for index in members])
        for index, distance in zip(members, spread, strict=True):
            result[index] = (rank, -distance)
    return result


def positions(points: Sequence[Point]) -> list[int]:
    """Return each point's position by fitness, 0 for the best; equals keep their order."""
    order = fitness(points)
    result = [0] * len(points)
    for position, index in enumerate(sorted(range(len(points)), key=order.__getitem__)):
        result[index] = position
    return result


def crowding(points: Sequence[Point]) -> list[float]:
    """Sum how far apart each point's neighbours are on scaled axes; infinite at the ends."""
    values = np.asarray(points, dtype=np.float64)
    distance = np.zeros(len(values))
    for axis in values.T:
        order = np.argsort(axis, kind="stable")
        span = axis[order[-1]] - axis[order[0]]
        distance[order[[0, -1]]] = math.inf
        if span > 0:
            distance[order[1:-1]] += (axis[order[2:]] - axis[order[:-2]]) / span
    return distance.tolist()


INACTIVE = "-"
"""The answer to a question that is not asked at a point: a value like any other to a model."""

Row = dict[str, Value]


class Predictor(Protocol):
    """Says beforehand what comes of trainings; `results.prior.Prior` is one."""

    @property
    def metric(self) -> str:
        """Name of the score."""
        ...

    def predict(self, candidates: Sequence[Candidate]) -> tuple[Floats, Floats]:
        """Return expected scores, and their standard deviations."""
        ...

    def seconds(self, candidates: Sequence[Candidate]) -> Floats:
        """Return how long trainings are expected to take, by a clock of its own."""
        ...

    def observe(self, candidate: Candidate, score: float) -> None:
        """Take in the score of a candidate that was trained."""
        ...


@dataclass(frozen=True)
class Scenario:
    """What a strategy searches: the feasible space, the objectives, and how its trials are seeded.

    Attributes:
        feasible: the space and its budget.
        objectives: what is optimised, in the order of the observed values.
        generation: trials that are proposed before the first of them is observed.
        seed: of all proposals.
        starts: what the first trials are, or with a prior what they are weighed against.
        prior: predicts scores before anything is trained; None where nothing does.
        longest_s: of the trainings that it may propose, by the prior's clock.
    """

    feasible: CandidateSource
    objectives: tuple[Objective, ...]
    generation: int
    seed: int
    starts: tuple[Candidate, ...] = ()
    prior: Predictor | None = None
    longest_s: float = math.inf

    def start(self, number: int) -> Candidate | None:
        """Return what trial `number` is, whatever the strategy; None if the strategy decides."""
        return self.starts[number] if number < len(self.starts) else None


class Strategy(Protocol):
    """Proposes candidates; the same calls in the same order give the same proposals.

    A generation of proposals is made, then observed in the order of its numbers: that makes a
    search independent of how many workers run it and of when they finish.
    """

    def propose(self, number: int) -> Candidate:
        """Return the candidate of trial `number`: within budget, and none proposed before.

        Raises:
            SearchError: nothing new is left.
        """
        ...

    def observe(self, number: int, values: Sequence[float] | None) -> None:
        """Take in the objective values of trial `number`; None if it failed."""
        ...


class SeedingStrategy:
    """Keeps the books of a strategy that draws from a generator of its own for each trial."""

    def __init__(self, scenario: Scenario) -> None:
        """Start without trials."""
        self._scenario = scenario
        self._seen: list[tuple[Choices, tuple[float, ...]]] = []
        self._running: dict[int, Candidate] = {}
        self._taken: set[str] = set()

    def propose(self, number: int) -> Candidate:
        """Return a candidate that was not proposed before, drawn by (seed, trial number)."""
        seed = derive(self._scenario.seed, "propose", number)
        candidate = self._scenario.start(number) or self._choose(number, seed)
        self._taken.add(candidate.architecture.id)
        self._running[number] = candidate
        return candidate

    def observe(self, number: int, values: Sequence[float] | None) -> None:
        """Remember the point of trial `number`, all objectives minimised; nothing if it failed."""
        candidate = self._running.pop(number)
        if values is not None:
            point = minimised(self._scenario.objectives, values)
            self._seen.append((candidate.choices, point))

    def _choose(self, number: int, seed: int) -> Candidate:
        raise NotImplementedError


class UniformStrategy(SeedingStrategy):
    """Draws uniformly from what the budget allows, nothing twice; scores are not looked at."""

    def _choose(self, number: int, seed: int) -> Candidate:
        return self._scenario.feasible.draw(random.Random(seed), self._taken)


def answers(space: Space) -> dict[str, tuple[Value, ...]]:
    """List every open question with its answers, `INACTIVE` among them if it may not be asked."""
    always = {d.name for d in space.network if not d.when}
    return {
        name: values if name in always else (*values, INACTIVE)
        for name, values in space.distributions().items()
        if len(values) > 1 or name not in always
    }


def to_row(known: Mapping[str, tuple[Value, ...]], choices: Mapping[str, Value]) -> Row:
    """Answer all questions of `known` for a point."""
    return {name: choices.get(name, INACTIVE) for name in known}


def to_wish(row: Mapping[str, Value]) -> Choices:
    """Turn a row into choices; answers to questions that are not asked there do no harm."""
    return {name: value for name, value in row.items() if value != INACTIVE}


GENERATIONS = 4
"""Generations of trials that the population holds."""

TOURNAMENT = 0.25
"""Share of the population that a parent is the best of, as in the paper."""

COPIED_STAGE = 0.2
"""Share of mutations that copy one stage over another, where there are several."""


class EvolutionStrategy(SeedingStrategy):
    """Proposes children of the best of the latest trials."""

    def __init__(self, scenario: Scenario) -> None:
        """Start without trials."""
        super().__init__(scenario)
        self._size = GENERATIONS * scenario.generation

    @property
    def _population(self) -> list[tuple[Choices, tuple[float, ...]]]:
        return self._seen[-self._size :]

    def _choose(self, number: int, seed: int) -> Candidate:
        rng = random.Random(seed)
        feasible = self._scenario.feasible
        child = {}
        if number >= self._scenario.generation and self._population:
            child = mutated(feasible.space, self._parent(rng), rng)
        return feasible.near(child, rng, self._taken)

    def _parent(self, rng: random.Random) -> Choices:
        population = self._population
        size = max(2, round(TOURNAMENT * len(population)))
        drawn = rng.sample(range(len(population)), min(size, len(population)))
        order = fitness([point for _, point in population])
        return population[min(drawn, key=order.__getitem__)][0]


def mutated(space: Space, parent: Choices, rng: random.Random) -> Choices:
    """Return the parent with one choice redrawn, or with one of its stages copied over another."""
    stages = sorted({name.partition(".")[0] for name in parent if "." in name})
    if len(stages) > 1 and rng.random() < COPIED_STAGE:
        source, target = rng.sample(stages, 2)
        kept = {name: value for name, value in parent.items() if not name.startswith(f"{target}.")}
        copied = {
            f"{target}.{name.partition('.')[2]}": value
            for name, value in parent.items()
            if name.startswith(f"{source}.")
        }
        child = space.complete(kept | copied, rng)
        if child != parent:
            return child
    return space.mutate(parent, rng)
