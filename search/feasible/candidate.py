"""A candidate, and what strategies ask for one."""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from budgets.budget import Cost, Size
from lightir_core.architecture import Architecture
from spaces.decode import Value
from spaces.space import Choices, Space


@dataclass(frozen=True)
class Candidate:
    """A point of the space, what it builds and what that costs."""

    choices: Choices
    architecture: Architecture
    cost: Cost


class CandidateSource(Protocol):
    """Gives candidates within a budget; `search.feasible.space.Feasible` is one."""

    @property
    def space(self) -> Space:
        """What may be chosen."""
        ...

    @property
    def size(self) -> Size:
        """Of the output that costs hold for."""
        ...

    def quick(self, choices: Choices) -> Candidate | None:
        """Build a point and count what is quick to count; None if that is over budget."""
        ...

    def admitted(self, candidate: Candidate) -> Candidate | None:
        """Price a candidate on all axes; None if it is over budget."""
        ...

    def near(
        self, given: Mapping[str, Value], rng: random.Random, taken: Collection[str] = ()
    ) -> Candidate:
        """Find a candidate that is not `taken`, as close to `given` as chance allows."""
        ...

    def draw(self, rng: random.Random, taken: Collection[str] = ()) -> Candidate:
        """Draw a candidate that is not `taken`, uniform among the points that fit."""
        ...
