"""Networks as chains of stages: how many lie in each cell, for every skeleton of a space.

Stages are coupled by their windows alone: all sides of the feature map are padded to a multiple of
all windows. So there is one count for each feature map: the networks whose windows all divide its
multiple, priced on it. Those that would be padded less belong to another feature map, and are told
apart afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import lcm

import numpy as np

from search.feasible.cost_table import Table, joined_tables, table_of
from search.feasible.exact import convolved
from search.feasible.factor import Bundle, bundles
from search.feasible.grid import Floats, Grid, density, joined
from search.feasible.place import Place
from search.feasible.stage_costs import Integers, Ledger, Sizes
from spaces import Choices
from spaces.sections import leaders

LARGEST_EXACT = 2**53
"""Whole numbers below this are exact in double precision."""

ROUNDINGS = 2
"""Of each stage: its body and its tail."""


@dataclass(frozen=True)
class Chain:
    """The networks of one skeleton on one feature map.

    Attributes:
        network: the choices of the network itself.
        places: of its stages, in order.
        skeleton: cost of stem, body and tail.
    """

    network: Choices
    places: tuple[Place, ...]
    skeleton: tuple[int, ...]

    @property
    def rounded(self) -> int:
        """How many times costs are rounded before they are added."""
        return ROUNDINGS * len(self.places)


class Chains:
    """Counts of everything in a space that costs no more than a limit on some axes."""

    def __init__(self, ledger: Ledger, upper: Integers, axes: tuple[int, ...]) -> None:
        """Start empty.

        Args:
            ledger: of the space.
            upper: limits by column of a cost, a large number where there is none.
            axes: at most two columns that are limited.
        """
        self.ledger = ledger
        self.upper = upper
        self.axes = axes
        self.bundles = cache(self._bundles)
        self.density = cache(self._density)
        self.prefix = cache(self._prefix)
        self.line = cache(self._line)
        self.table = cache(self._table)

    def maps(self) -> dict[Sizes, int]:
        """The feature maps that tell costs apart, each with the multiple that is counted on it."""
        ledger, found = self.ledger, dict[Sizes, int]()
        if not any(self.axes):  # parameters do not depend on a feature map
            top = ledger.multiples[-1]
            return {ledger.features(top): top}
        for multiple in ledger.multiples:
            features = ledger.features(multiple)
            found[features] = lcm(multiple, found.get(features, 1))
        return found

    def parts(self, features: Sizes) -> dict[int, int]:
        """Which counts add up to the networks that belong to a feature map.

        Returns:
            For a multiple, how often (negative to take away) to count the networks on the feature
            map whose windows all divide it.
        """
        own: dict[int, int] = {}
        for multiple in reversed(self.ledger.multiples):
            wanted = int(self.owner(multiple) == features)
            counted = sum(times for larger, times in own.items() if larger % multiple == 0)
            own[multiple] = wanted - counted
        return {multiple: times for multiple, times in own.items() if times}

    def owner(self, multiple: int) -> Sizes:
        """The feature map that a network with this multiple is counted on."""
        if not any(self.axes):
            return self.ledger.features(self.ledger.multiples[-1])
        return self.ledger.features(multiple)

    def all(self) -> Iterator[Chain]:
        """Every chain."""
        for features, multiple in self.maps().items():
            for network in self.ledger.networks:
                yield self.chain(network, features, multiple)

    def chain(self, network: Choices, features: Sizes, multiple: int) -> Chain:
        """The networks of a skeleton on a feature map whose windows divide `multiple`."""
        places = tuple(
            Place(self.ledger.context(network, number), uses, features, multiple)
            for number, uses in leaders(network)
        )
        skeleton = self.ledger.skeleton_costs(network, features)
        return Chain(network, places, tuple(map(int, skeleton)))

    def grid(self, cells: int) -> Grid:
        """The limits in cells."""
        return Grid.over(self.upper, self.axes, cells)

    def _bundles(self, place: Place) -> tuple[Bundle, ...]:
        return bundles(self.ledger, place, self.upper)

    def _density(self, place: Place, grid: Grid) -> Floats:
        return density(self.bundles(place), grid)

    def _prefix(self, places: tuple[Place, ...], grid: Grid) -> Floats:
        """Networks of these stages alone, by cell."""
        last = self.density(places[-1], grid)
        return last if len(places) == 1 else joined(self.prefix(places[:-1], grid), last)

    def _line(self, places: tuple[Place, ...], grid: Grid) -> Integers | None:
        """The same on a single axis in whole numbers; None if they do not fit into 64 bits."""
        if not places:
            return np.ones(1, np.int64)
        stages = [self.density(place, grid)[:, 0] for place in places]
        if any(stage.sum() >= LARGEST_EXACT for stage in stages):
            return None
        found = stages[0].astype(np.int64)
        for stage in stages[1:]:
            longer = convolved(found, stage.astype(np.int64))
            if longer is None:
                return None
            found = longer
        return found

    def _table(self, places: tuple[Place, ...]) -> Table | None:
        """Networks of these stages alone, by cost; None if there are too many costs."""
        last = table_of(self.bundles(places[-1]), self.upper)
        if len(places) == 1:
            return last
        return joined_tables(self.table(places[:-1]), last, self.upper)
