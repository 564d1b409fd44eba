"""A space cut down to what a budget allows: nothing that is proposed here is over budget."""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from budgets.allocations import FLOAT
from budgets.assess import CostSettings, assess
from budgets.budget import AXES, CHEAP, Budget, Cost, Size
from budgets.memory import weights_memory
from lightir_core.architecture import Architecture
from lightir_core.errors import BudgetError, SearchError
from search.feasible.candidate import Candidate
from search.feasible.region import ADDITIVE, Region, region_of
from spaces.decode import TaskShape, Value
from spaces.space import Choices, Space

ATTEMPTS = 2000
STARTS = 4


@dataclass(frozen=True)
class Feasible:
    """The part of `space` that `budget` allows, for a task's `shape`.

    Attributes:
        space: what may be chosen.
        shape: what the task fixes.
        budget: hard limits.
        size: of the output, the largest if there are several.
        cost_settings: how training and inference run, for budgets of memory and latency, and all
            sizes; None is what `CostSettings` takes when only the size is known.
        fill: if not 0, the first limit of the budget must be used up to this share: 0.05 is a band
            from 5 % below it.
        priced: axes to price beside those that the budget limits, such as those of objectives.
    """

    space: Space
    shape: TaskShape
    budget: Budget
    size: Size
    cost_settings: CostSettings | None = None
    fill: float = 0.0
    priced: tuple[str, ...] = ()

    def candidate(self, choices: Choices) -> Candidate:
        """Build and price a point, whether within budget or not."""
        architecture = self.space.decode(choices, self.shape)
        return Candidate(choices, architecture, self.price(architecture))

    def quick(self, choices: Choices) -> Candidate | None:
        """Build a point and count parameters and MACs; None if those are over budget."""
        architecture = self.space.decode(choices, self.shape)
        candidate = Candidate(choices, architecture, assess(architecture, (), self._cost_settings))
        return candidate if self._quick.miss(candidate.cost) <= 1 else None

    @cached_property
    def _quick(self) -> "Feasible":
        limits = tuple(limit for limit in self.budget.limits if limit[0] in CHEAP)
        band = self.fill if limits[:1] == self.budget.limits[:1] else 0.0
        return replace(self, budget=Budget(limits, ""), fill=band)

    def admitted(self, candidate: Candidate) -> Candidate | None:
        """Price a candidate on all axes; None if it is over budget."""
        priced = replace(candidate, cost=self.price(candidate.architecture))
        return priced if self.miss(priced.cost) <= 1 else None

    def price(self, architecture: Architecture) -> Cost:
        """Return parameters, MACs and every other axis that is limited or to be priced."""
        axes = {*self.priced, *(axis for axis, _ in self.budget.limits)}
        return assess(architecture, axes, self._cost_settings)

    def _weighed(self, choices: Choices) -> Candidate:
        """Build a point and price what the budget limits: all that a walk has to know."""
        architecture = self.space.decode(choices, self.shape)
        axes = [axis for axis, _ in self.budget.limits]
        return Candidate(choices, architecture, assess(architecture, axes, self._cost_settings))

    def _priced(self, candidate: Candidate) -> Candidate:
        """Add the other costs that are asked for to the end of a walk."""
        if not self.priced:
            return candidate
        return replace(candidate, cost=self.price(candidate.architecture))

    def near(
        self, given: Mapping[str, Value], rng: random.Random, taken: Collection[str] = ()
    ) -> Candidate:
        """Find a candidate within budget that is not `taken`, as close to `given` as chance allows.

        Walks downhill on the worst overrun by single changes until the budget holds, then
        sideways until the architecture is a new one. Where that leads nowhere, it draws one.

        Args:
            given: choices to start from; empty for a random start.
            rng: source of all chance.
            taken: ids of architectures that must not come again.

        Raises:
            SearchError: nothing new within budget was found.
        """
        best = self._weighed(self.space.complete(given, rng))
        miss = self.miss(best.cost)
        for _ in range(ATTEMPTS):
            if miss <= 1 and best.architecture.id not in taken:
                return self._priced(best)
            changed = self._weighed(self.space.mutate(best.choices, rng))
            after = self.miss(changed.cost)
            if after <= max(miss, 1):
                best, miss = changed, after
        return self.draw(rng, taken)

    def draw(self, rng: random.Random, taken: Collection[str] = ()) -> Candidate:
        """Draw a candidate within budget that is not `taken`, uniform among the points that fit.

        Points that cost too many parameters or MACs are never drawn; those over a limit on memory
        or latency, and taken ones, are drawn again.

        Args:
            rng: source of all chance.
            taken: ids of architectures that must not come again.

        Raises:
            SearchError: nothing new within budget was found.
        """
        generator = np.random.default_rng(rng.getrandbits(64))
        for drawn in self.region.draw(ATTEMPTS, generator):
            if drawn is not None:
                candidate = self._weighed(drawn.choices)
                if self.miss(candidate.cost) <= 1 and candidate.architecture.id not in taken:
                    return self._priced(candidate)
        raise SearchError(
            f"no new architecture within budget {self.budget.text} after {ATTEMPTS} attempts; "
            f"the space {self.space.name!r} has about run out: widen it or raise the budget"
        )

    @property
    def region(self) -> Region:
        """What the budget allows as far as costs add up; memory is at least that of the weights."""
        upper = {axis: limit for axis, limit in self.budget.limits if axis in ADDITIVE}
        most = [upper[axis] for axis in ("params",) if axis in upper]
        for axis, bytes_each in (
            ("memory", weights_memory(1, self._cost_settings.state_copies)),
            ("inference-memory", FLOAT),
        ):
            limit = self.budget.limit(axis)
            if limit is not None:
                most.append(limit // bytes_each)
        if most:
            upper["params"] = min(most)
        first, limit = self.budget.limits[0]
        lower = {first: limit * (1 - self.fill)} if self.fill and first in ADDITIVE else {}
        sizes = self._cost_settings.sizes
        return region_of(self.space, self.shape, sizes, tuple(lower.items()), tuple(upper.items()))

    @property
    def _cost_settings(self) -> CostSettings:
        return self.cost_settings or CostSettings(sizes=(self.size,))

    def miss(self, cost: Cost) -> float:
        """Return by what factor a cost misses the budget, or the band below it; 1 is inside."""
        over = self.budget.overrun(cost)
        if over > 1 or not self.fill:
            return over
        axis, limit = self.budget.limits[0]
        return max(over, limit * (1 - self.fill) / AXES[axis].value(cost))

    def smallest(self) -> Candidate:
        """Find the candidate with the smallest overrun by descent by single choices."""
        rng = random.Random(0)
        starts = [self._descend(self.space.sample(rng)) for _ in range(STARTS)]
        return min(starts, key=lambda c: self.budget.overrun(c.cost))

    def check(self) -> None:
        """Make sure that something fits.

        Raises:
            BudgetError: nothing does, with the smallest reachable cost; or latency is
                limited without a table of times.
        """
        smallest = self.smallest()
        if self.budget.overrun(smallest.cost) <= 1:
            if self.fill:
                self._check_band()
            return
        if len(self.budget.limits) > 1 and self._is_met():
            return  # what is smallest on all axes together is not always found by descent
        # in all digits, as a budget is written: rounded down it could not be met either
        reach = ",".join(
            f"{axis}={getattr(smallest.cost, AXES[axis].field):_}" for axis, _ in self.budget.limits
        )
        raise BudgetError(
            f"budget {self.budget.text!r} cannot be met in space {self.space.name!r}: the "
            f"smallest network it holds costs {reach} (at {self.size}); raise the budget or "
            f"widen the space"
        )

    def _is_met(self) -> bool:
        try:
            self.draw(random.Random(0))
        except SearchError:
            return False
        return True

    def _check_band(self) -> None:
        if not self._is_met():
            axis, limit = self.budget.limits[0]
            raise BudgetError(
                f"no network of space {self.space.name!r} was found within {self.fill:.2%} below "
                f"the limit of {AXES[axis].format(limit)} on {axis}; ask for a wider band"
            )

    def _descend(self, start: Choices) -> Candidate:
        """Take the best single change again and again until none helps."""
        best = self._weighed(start)
        improved = True
        while improved:
            improved = False
            for name in list(best.choices):
                if name not in best.choices:
                    continue  # an earlier change made this choice inactive
                for value in self.space.options(name, best.choices):
                    wish = {**best.choices, name: value}
                    changed = self._weighed(self.space.complete(wish, random.Random(0)))
                    if self.budget.overrun(changed.cost) < self.budget.overrun(best.cost):
                        best, improved = changed, True
        return best
