# pyright: basic
"""What a network will score, predicted from the table of trained networks before it is trained.

An architecture becomes numbers: its costs, and every value of its description, averaged over its
blocks and stages. A Gaussian process (Rasmussen and Williams, 2006, chapter 2) learns the score
from them and from the length of the training; each number counts as far as randomised trees
(Geurts et al., 2006) make use of it. A run has other images, perhaps another task, so its scores
are on another level: by how much on average is taken off before they join the table's.
"""

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor, kernels

from budgets.budget import Cost
from lightir_core.architecture import Architecture, StageConfig
from lightir_core.errors import SearchError
from results.table import TrainedNetwork

Floats = NDArray[np.float64]
Numbers = dict[str, float]


class Priced(Protocol):
    """A network that is not trained yet."""

    @property
    def architecture(self) -> Architecture:
        """What it is."""
        ...

    @property
    def cost(self) -> Cost:
        """What it costs."""
        ...


USUAL = "sr-x2"
"""The task of most trainings in the table; what it says of others is taken from this one."""

FEWEST = 40
"""Trainings on a task from which a prior of its own is better."""

TREES = 200
"""Enough that their importances hardly change with more."""

LEAST = 1e-4
"""Added to all importances: trees that never split have none."""

FITTED = 400
"""Trainings that the lengths of the kernel are fitted to: as many as take about two seconds."""

_STAGE = TypeAdapter(StageConfig)


def numbers_of(architecture: Architecture, cost: Cost, pixels: int) -> Numbers:
    """Return an architecture by the names of its numbers; words are 1 under a name of their own.

    Args:
        architecture: any, of the default space or not.
        cost: parameters and MACs.
        pixels: of the output that they hold for.
    """
    stages = architecture.stages
    passes = [len(stage.blocks) * stage.recursions for stage in stages]
    numbers = Counter(
        {
            "params": math.log(cost.params),
            "macs": math.log(cost.macs / pixels),
            "width": math.log(architecture.width),
            "stages": float(len(stages)),
            "passes": math.log(sum(passes)),
            "sharing": float(architecture.stage_sharing),
            "norm": float(architecture.body.norm),
            "plain skip": float(architecture.tail.skip == "interpolated"),
        }
    )
    for stage, count in zip(stages, passes, strict=True):
        of_blocks, of_stage = _stage_numbers(stage)
        numbers.update({name: value * count / sum(passes) for name, value in of_blocks.items()})
        numbers.update({name: value / len(stages) for name, value in of_stage.items()})
    return dict(numbers)


@lru_cache(maxsize=2**16)
def _stage_numbers(stage: StageConfig) -> tuple[Numbers, Numbers]:
    """Return the numbers of a stage's blocks, averaged over them, and those beside them."""
    plain = _STAGE.dump_python(stage, mode="json")
    blocks = plain.pop("blocks")
    of_blocks = Counter[str]()
    for block in blocks:
        of_blocks.update({name: value / len(blocks) for name, value in _flat("block", block)})
    return dict(of_blocks), dict(_flat("stage", plain))


def _flat(name: str, value: Any) -> Iterator[tuple[str, float]]:  # noqa: ANN401  what JSON holds
    """Yield the numbers of a plain value under the names of their path; all by their logarithm."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flat(f"{name}.{index}", inner)
    elif isinstance(value, str):
        yield f"{name}={value}", 1.0
    elif value is not None:
        yield name, math.log1p(value)


class Prior:
    """Predicts scores; learns from those that are observed.

    Attributes:
        metric: name of the score.
        task: whose trainings in the table it has learnt from.
        count: of them.
    """

    def __init__(
        self, networks: Sequence[TrainedNetwork], task: str, metric: str, length: int, pixels: int
    ) -> None:
        """Learn from a table.

        Args:
            networks: what was trained.
            task: name of what is restored.
            metric: name of its score.
            length: low-quality pixels that the trainings see whose scores are predicted.
            pixels: of the output that the costs of candidates hold for.

        Raises:
            SearchError: the table holds too little.
        """
        known = [one for one in networks if not one.is_diverged]
        count = sum(one.task == task for one in known)
        self.task, self.metric = task if count >= FEWEST else USUAL, metric
        known = [one for one in known if one.task == self.task]
        self.count = len(known)
        if self.count < FEWEST:
            raise SearchError(
                f"the table of trained networks holds {self.count} trainings on {self.task}, and "
                f"{FEWEST} are needed to learn from"
            )
        self._length, self._pixels = math.log(length), pixels
        rows = [
            numbers_of(one.architecture, Cost(one.params, one.macs), one.pixels)
            | {"length": math.log(one.steps * one.batch * one.patch_px**2)}
            for one in known
        ]
        self._names = sorted(set[str]().union(*rows))
        table = self._table_of(rows)
        self._center, self._spread = table.mean(axis=0), table.std(axis=0) + 1e-9
        self._x = (table - self._center) / self._spread
        self._y = np.array([one.score for one in known])
        self._table = self._model = _Process.learnt(self._x, self._y)
        # of a low-quality pixel: what a whole training takes is told by its length
        seconds = [max(one.cpu_s, 0.1) / (one.steps * one.batch * one.patch_px**2) for one in known]
        self._seconds = _Process.learnt(self._x, np.log(seconds))
        self._trained: list[Priced] = []
        self._scores: list[float] = []
        self._level, self._is_current = 0.0, True

    def observe(self, candidate: Priced, score: float) -> None:
        """Take in the score of a network that the run has trained."""
        self._trained.append(candidate)
        self._scores.append(score)
        self._is_current = False

    def predict(self, candidates: Sequence[Priced]) -> tuple[Floats, Floats]:
        """Return the expected scores in dB of candidates, and their standard deviations."""
        if not self._is_current:  # once for a generation: the time is cubic in the trainings
            self._learn()
        means, deviations = self._model.predict(self._rows(candidates))
        return means + self._level, deviations

    def _learn(self) -> None:
        x, y = self._rows(self._trained), np.array(self._scores)
        self._level = float(np.mean(y - self._table.predict(x)[0]))
        together = np.vstack([self._x, x]), np.append(self._y, y - self._level)
        self._model, self._is_current = self._table.taught(*together), True

    def seconds(self, candidates: Sequence[Priced]) -> Floats:
        """Return how long their trainings are expected to take on a core of the table's machine."""
        logarithms, _ = self._seconds.predict(self._rows(candidates))
        return np.exp(logarithms + self._length)

    def _rows(self, candidates: Sequence[Priced]) -> Floats:
        rows = [
            {**numbers_of(one.architecture, one.cost, self._pixels), "length": self._length}
            for one in candidates
        ]
        return (self._table_of(rows) - self._center) / self._spread

    def _table_of(self, rows: Sequence[Numbers]) -> Floats:
        return np.array([[row.get(name, 0.0) for name in self._names] for row in rows])


class _Process:
    """A Gaussian process whose likeness counts each number by what trees split on it."""

    def __init__(self, weights: Floats, process: Any) -> None:  # noqa: ANN401  it has no types
        """Keep what was learnt."""
        self._weights, self._process = weights, process

    @staticmethod
    def learnt(x: Floats, y: Floats) -> "_Process":
        """Find out which numbers count, how far, and how much is noise: what is likeliest."""
        trees: Any = ExtraTreesRegressor(
            TREES, min_samples_leaf=2, max_features=0.5, random_state=0
        )
        importance: Floats = trees.fit(x, y).feature_importances_ + LEAST
        weights, reach = np.sqrt(importance / importance.mean()), math.sqrt(x.shape[1])
        likeness = kernels.Matern(reach, (0.01 * reach, 100 * reach), nu=2.5)
        noise = kernels.WhiteKernel(0.1, (1e-4, 1.0))
        kernel = kernels.ConstantKernel(1.0) * likeness + noise
        chosen = np.random.default_rng(0).permutation(len(x))[:FITTED]
        process: Any = GaussianProcessRegressor(kernel, normalize_y=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # one at its bound serves
            process.fit(weights * x[chosen], y[chosen])
        process.set_params(kernel=process.kernel_, optimizer=None)
        return _Process(weights, process).taught(x, y)

    def taught(self, x: Floats, y: Floats) -> "_Process":
        """Return the process of other points, by the same likeness."""
        return _Process(self._weights, copy(self._process).fit(self._weights * x, y))

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Return means and standard deviations."""
        return self._process.predict(self._weights * x, return_std=True)
