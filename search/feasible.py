"""A space cut down to what a budget allows: nothing that is proposed here is over budget."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from budgets.assess import Terms, assess
from budgets.budget import AXES, Budget
from budgets.cost import Cost
from budgets.units import Size
from lightir_core.architecture import Architecture
from lightir_core.errors import BudgetError, SearchError
from spaces import Choices, Frame, Space, Value

ATTEMPTS = 2000
STARTS = 4


@dataclass(frozen=True)
class Candidate:
    """A point of the space, what it builds and what that costs."""

    choices: Choices
    architecture: Architecture
    cost: Cost


@dataclass(frozen=True)
class Feasible:
    """The part of `space` that `budget` allows, for a task's `frame`, costs taken at `size`.

    `terms` say how training and inference run, for budgets of memory and latency; None is what
    `Terms` takes when only the size is known.
    """

    space: Space
    frame: Frame
    budget: Budget
    size: Size
    terms: Terms | None = None

    def candidate(self, choices: Choices) -> Candidate:
        """The point with its architecture and cost, whether within budget or not."""
        architecture = self.space.decode(choices, self.frame)
        return Candidate(choices, architecture, self.price(architecture))

    def price(self, architecture: Architecture) -> Cost:
        """Parameters, MACs and every other axis that the budget limits."""
        axes = [axis for axis, _ in self.budget.limits]
        return assess(architecture, axes, self.terms or Terms(sizes=(self.size,)))

    def near(
        self, given: Mapping[str, Value], rng: random.Random, taken: Collection[str] = ()
    ) -> Candidate:
        """A candidate within budget that is not `taken`, as close to `given` as chance allows.

        Walks downhill on the worst overrun by single changes until the budget holds, then
        sideways until the architecture is a new one.

        Args:
            given: choices to start from; empty for a random start.
            rng: source of all chance.
            taken: ids of architectures that must not come again.

        Raises:
            SearchError: nothing new within budget was found.
        """
        best = self.candidate(self.space.complete(given, rng))
        overrun = self.overrun(best.cost)
        for _ in range(ATTEMPTS):
            if overrun <= 1 and best.architecture.id not in taken:
                return best
            changed = self.candidate(self.space.mutate(best.choices, rng))
            after = self.overrun(changed.cost)
            if after <= max(overrun, 1):
                best, overrun = changed, after
        raise SearchError(
            f"no new architecture within budget {self.budget.text} after {ATTEMPTS} attempts; "
            f"the space {self.space.name!r} has about run out: widen it or raise the budget"
        )

    def overrun(self, cost: Cost) -> float:
        """Largest cost as a share of its limit; at most 1 is within budget."""
        return max(
            (getattr(cost, AXES[axis].field) / limit for axis, limit in self.budget.limits),
            default=0.0,
        )

    def smallest(self) -> Candidate:
        """The candidate with the smallest overrun that descent by single choices finds."""
        rng = random.Random(0)
        starts = [self._descend(self.space.sample(rng)) for _ in range(STARTS)]
        return min(starts, key=lambda c: self.overrun(c.cost))

    def check(self) -> None:
        """Make sure that something fits.

        Raises:
            BudgetError: nothing does, and the smallest reachable cost is told; or latency is
                limited without a table of times.
        """
        smallest = self.smallest()
        excess = self.budget.excess(smallest.cost)
        if excess is None:
            return
        # in all digits, as a budget is written: rounded down it could not be met either
        reach = ",".join(
            f"{axis}={getattr(smallest.cost, AXES[axis].field):_}" for axis, _ in self.budget.limits
        )
        raise BudgetError(
            f"budget {self.budget.text!r} cannot be met in space {self.space.name!r}: the "
            f"smallest network it holds costs {reach} (at {self.size}); raise the budget or "
            f"widen the space"
        )

    def _descend(self, start: Choices) -> Candidate:
        """Take the best single change again and again until none helps."""
        best = self.candidate(start)
        improved = True
        while improved:
            improved = False
            for name in list(best.choices):
                if name not in best.choices:
                    continue  # an earlier change made this choice inactive
                for value in self.space.options(name, best.choices):
                    changed = self._with(best.choices, name, value)
                    if self.overrun(changed.cost) < self.overrun(best.cost):
                        best, improved = changed, True
        return best

    def _with(self, choices: Choices, name: str, value: Value) -> Candidate:
        completed = self.space.complete({**choices, name: value}, random.Random(0))
        return self.candidate(completed)
