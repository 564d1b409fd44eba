"""The stages that a network can have at one place, as rows of cost and count.

    cost of a stage = body (mixer + feed-forward, times passes) + tail (closing + cross-layer slot)

A body and a tail are independent once the hub is settled, so a stage is a row of each. Hubs whose
tails are alike share them in one bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from search.feasible.place import Place
from search.feasible.stage_costs import Groups, Integers, Ledger

BODY = ("mixer", "feed_forward", "passes")
TAIL = ("closing", "cross")


@dataclass(frozen=True)
class Rows:
    """Combinations of groups of two or three sections.

    Attributes:
        costs: (n, axes).
        counts: (n) points that a row stands for.
        numbers: (n) which combination each row is, first group slowest.
    """

    costs: Integers
    counts: Integers
    numbers: Integers

    def within(self, upper: Integers) -> Rows:
        """The rows that cost at most `upper` on every axis."""
        kept = (self.costs <= upper).all(axis=1)
        return Rows(self.costs[kept], self.counts[kept], self.numbers[kept])


@dataclass(frozen=True)
class Bundle:
    """Hubs with equal tails.

    Attributes:
        hubs: their numbers in the context.
        bodies: of each hub.
        tail: of all.
    """

    hubs: tuple[int, ...]
    bodies: tuple[Rows, ...]
    tail: Rows


def bundles(ledger: Ledger, place: Place, upper: Integers) -> tuple[Bundle, ...]:
    """All stages that can stand at a place and cost at most `upper`."""
    found: dict[bytes, list[tuple[int, Rows]]] = {}
    tails: dict[bytes, Rows] = {}
    for number in range(len(ledger.hubs(place.context))):
        tail = _tail(ledger, place, number).within(upper)
        key = tail.costs.tobytes() + tail.counts.tobytes() + tail.numbers.tobytes()
        tails[key] = tail
        body = _body(ledger, place, number).within(upper)
        if len(body.counts) and len(tail.counts):
            found.setdefault(key, []).append((number, body))
    return tuple(
        Bundle(tuple(number for number, _ in pairs), tuple(body for _, body in pairs), tails[key])
        for key, pairs in found.items()
    )


def _body(ledger: Ledger, place: Place, hub: int) -> Rows:
    mixers, feed_forwards, passes = groups_of(ledger, place, hub, BODY)
    once = mixers.costs[:, None, :] + feed_forwards.costs[None, :, :]
    copies, runs = passes.costs.T
    # parameters once for each set of weights, work once for each pass of each stage
    factors = np.stack([copies, *[runs * place.uses] * (once.shape[2] - 1)], axis=1)
    costs = once[:, :, None, :] * factors
    counts = _product([mixers, feed_forwards, passes])
    return Rows(costs.reshape(len(counts), costs.shape[-1]), counts, np.arange(len(counts)))


def _tail(ledger: Ledger, place: Place, hub: int) -> Rows:
    closings, slots = groups_of(ledger, place, hub, TAIL)
    work = np.full(closings.costs.shape[1], place.uses)
    closing = closings.costs * work
    closing[:, 0] = closings.costs[:, 0]  # its weights are shared, those of the slot are not
    costs = closing[:, None, :] + (slots.costs * work)[None, :, :]
    counts = _product([closings, slots])
    return Rows(costs.reshape(len(counts), costs.shape[-1]), counts, np.arange(len(counts)))


def groups_of(ledger: Ledger, place: Place, hub: int, names: Sequence[str]) -> list[Groups]:
    """The groups of some sections of a hub, as far as they fit the place."""
    return [
        ledger.groups(place.context, hub, name, place.features, place.multiple) for name in names
    ]


def _product(groups: Sequence[Groups]) -> Integers:
    *_, counts = accumulate(
        (group.counts for group in groups), lambda a, b: np.multiply.outer(a, b).ravel()
    )
    return counts
