"""Every cost that the networks of a small space have, and how often: nothing is rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.feasible.factor import Bundle, Rows
from search.feasible.stage_costs import Integers

MOST_ROWS = 2**21
"""Rows, before equal ones are put together, up to which a table is made."""

MOST_POINTS = 2**62


@dataclass(frozen=True)
class Table:
    """Distinct costs.

    Attributes:
        costs: (n, axes).
        counts: (n) networks of each cost.
    """

    costs: Integers
    counts: Integers

    def between(self, lower: Integers, upper: Integers) -> int:
        """Networks that cost from `lower` to `upper`."""
        inside = (self.costs >= lower).all(axis=1) & (self.costs <= upper).all(axis=1)
        return int(self.counts[inside].sum())


def table_of(bundles: Sequence[Bundle], upper: Integers) -> Table | None:
    """The stages at one place that cost at most `upper`; None if there are too many costs."""
    pairs = [(body, bundle.tail) for bundle in bundles for body in bundle.bodies]
    if sum(len(body.counts) * len(tail.counts) for body, tail in pairs) > MOST_ROWS:
        return None
    tables = [_product(body, tail, upper) for body, tail in pairs]
    if not tables:
        return Table(np.zeros((0, len(upper)), np.int64), np.zeros(0, np.int64))
    return _distinct(
        np.concatenate([table.costs for table in tables]),
        np.concatenate([table.counts for table in tables]),
    )


def joined_tables(left: Table | None, right: Table | None, upper: Integers) -> Table | None:
    """Pairs of one from each; None if there are too many costs, or networks for 64 bits."""
    if left is None or right is None or len(left.counts) * len(right.counts) > MOST_ROWS:
        return None
    if int(left.counts.sum()) * int(right.counts.sum()) >= MOST_POINTS:
        return None
    return _product(left, right, upper)


def _product(left: Rows | Table, right: Rows | Table, upper: Integers) -> Table:
    costs = (left.costs[:, None, :] + right.costs[None, :, :]).reshape(-1, len(upper))
    counts = np.multiply.outer(left.counts, right.counts).ravel()
    kept = (costs <= upper).all(axis=1)
    return _distinct(costs[kept], counts[kept])


def _distinct(costs: Integers, counts: Integers) -> Table:
    order = np.lexsort(costs.T)
    costs, counts = costs[order], counts[order]
    new = np.concatenate([[True], (costs[1:] != costs[:-1]).any(axis=1)])[: len(costs)]
    starts = np.flatnonzero(new)
    sums = np.add.reduceat(counts, starts) if len(starts) else counts
    return Table(costs[starts], sums)
