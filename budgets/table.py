"""Costs of many architectures at once, as sums of table entries.

An architecture is a row of numbers: its frame (everything but the stages) and its stages, each an
index into a tuple. Entries are priced when a row first needs them; after that a row is a handful of
array look-ups.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm

import numpy as np
from numpy.typing import NDArray

from budgets.parts import feature_size
from budgets.price import skeleton_cost, stage_cost
from budgets.units import Size
from lightir_core.architecture import Architecture, StageConfig

Integers = NDArray[np.int64]

ABSENT = -1
"""Stands for no stage, so that shorter networks fit into the same rows."""

FOLLOWER, LEADER, MACS = range(3)
"""Rows of the table: parameters of a stage that uses an earlier one's weights; all its; MACs."""

_UNKNOWN = -1


class CostTable:
    """Parameters and MACs by frame and stage, at one output size.

    `frames` are architectures of which all but the stages counts; `stages` are what rows refer to.
    """

    def __init__(
        self, frames: Sequence[Architecture], stages: Sequence[StageConfig], size: Size
    ) -> None:
        """Start empty; no part is priced before a row asks for it."""
        self.frames = tuple(frames)
        self.stages = tuple(stages)
        self._size = size
        self._multiples = _all_multiples(self.stages)
        level = {multiple: number for number, multiple in enumerate(self._multiples)}
        # the entry after the last stage stands for an absent one: no window, no cost
        self._levels = np.array([*(level[stage.window_multiple] for stage in stages), 0])
        self._joint = np.array(
            [[level[lcm(a, b)] for b in self._multiples] for a in self._multiples]
        )
        self._sharing = np.array([frame.stage_sharing for frame in frames])
        shape = len(self.frames), len(self._multiples), len(self.stages) + 1
        self._entries = np.full((3, *shape), _UNKNOWN)
        self._entries[..., -1] = 0
        self._skeletons = np.full((2, *shape[:2]), _UNKNOWN)

    def price(self, frames: Integers, stages: Integers) -> tuple[Integers, Integers]:
        """Parameters and MACs of n architectures, which must be possible ones.

        Args:
            frames: (n) indices into the frames.
            stages: (n, depth) indices into the stages, in order; `ABSENT` where there is none.

        Returns:
            Two arrays of n: parameters, MACs.

        Raises:
            BudgetError: a part performs an operation whose cost is not known.
        """
        columns = [np.where(column < 0, len(self.stages), column) for column in stages.T]
        levels = np.zeros(len(frames), np.int64)
        for column in columns:
            levels = self._joint[levels, self._levels[column]]
        maps = frames * len(self._multiples) + levels
        params, macs = self._price_skeletons(maps)
        for number, column in enumerate(columns):
            places = maps * (len(self.stages) + 1) + column
            macs += self._price_stages(places)
            leads = number % self._sharing == 0
            params += self._entries[LEADER].take(places)
            if not leads.all():
                shared = self._entries[LEADER].take(places) - self._entries[FOLLOWER].take(places)
                params -= np.where(leads[frames], 0, shared)
        return params, macs

    def _price_skeletons(self, maps: Integers) -> tuple[Integers, Integers]:
        """Parameters and MACs of stem, body and tail, by frame and level."""
        table = self._skeletons.reshape(2, -1)
        for place in map(int, np.unique(maps[table[1].take(maps) < 0])):
            frame, size = self._feature_map(place)
            cost = skeleton_cost(frame, size)
            table[:, place] = cost.params, cost.macs
        return table[0].take(maps), table[1].take(maps)

    def _price_stages(self, places: Integers) -> Integers:
        """MACs of a stage each; makes sure that all entries at `places` are known."""
        macs = self._entries[MACS].take(places)
        if macs.min(initial=0) >= 0:
            return macs
        table = self._entries.reshape(3, -1)
        for place in map(int, np.unique(places[macs < 0])):
            spot = place // (len(self.stages) + 1)
            frame, size = self._feature_map(spot)
            cost = stage_cost(self.stages[place % (len(self.stages) + 1)], frame.width, size)
            table[FOLLOWER, place] = cost.own_params
            table[LEADER, place] = cost.own_params + cost.shared_params
            table[MACS, place] = cost.macs
        return self._entries[MACS].take(places)

    def _feature_map(self, spot: int) -> tuple[Architecture, Size]:
        """The frame and the padded feature size that a frame and level stand for."""
        number, level = divmod(spot, len(self._multiples))
        frame = self.frames[number]
        multiple = self._multiples[level]
        return frame, feature_size(frame.scale, frame.stem.patch_size, multiple, self._size)


def _all_multiples(stages: Sequence[StageConfig]) -> list[int]:
    """Every padding multiple that some choice of stages has, 1 first."""
    found = {1}
    for multiple in {stage.window_multiple for stage in stages}:
        found |= {lcm(multiple, other) for other in found}
    return sorted(found)
