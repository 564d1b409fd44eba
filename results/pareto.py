"""Pareto dominance: fronts, ranks and the knee.

Points are sequences of floats, every objective minimised (`results.objectives.minimised` flips
the signs). A point with a NaN dominates nothing and is on no front. Equal points do not dominate
each other: all copies of a non-dominated point are on the front.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Point = Sequence[float]
_Array = NDArray[np.float64]


def dominates(a: Point, b: Point) -> bool:
    """Whether `a` is nowhere worse than `b` and somewhere better."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(
        x < y for x, y in zip(a, b, strict=True)
    )


class Front:
    """The non-dominated points seen so far, one `add` at a time.

    Adding costs one vectorised comparison with the present front, so thousands of trials are
    cheap however many of them were dominated.
    """

    def __init__(self) -> None:
        """Start empty; the first point settles the number of objectives."""
        self._points: _Array = np.empty((0, 0))
        self._keys: list[int] = []
        self._seen = 0

    def add(self, point: Point) -> bool:
        """Offer a point; true if it joins the front, pushing out those that it dominates."""
        key, self._seen = self._seen, self._seen + 1
        new = np.asarray(point, dtype=np.float64)
        if np.isnan(new).any():
            return False
        if not self._keys:
            self._points, self._keys = new[None], [key]
            return True
        if _any_dominates(self._points, new):
            return False
        keep = ~_dominated(self._points, new)
        if not keep.all():
            self._keys = [self._keys[row] for row in np.flatnonzero(keep).tolist()]
            self._points = self._points[keep]
        self._points = np.vstack([self._points, new])
        self._keys.append(key)
        return True

    @property
    def members(self) -> list[int]:
        """Positions of the members in the order of `add`, counted from 0, dominated ones too."""
        return list(self._keys)

    @property
    def points(self) -> list[tuple[float, ...]]:
        """The members' values, in the order of `members`."""
        return [tuple(row) for row in self._points.tolist()]

    def __len__(self) -> int:
        """How many members the front has now."""
        return len(self._keys)


def pareto_front(points: Sequence[Point]) -> list[int]:
    """Indices of the non-dominated points, in rising order."""
    return [index for index, rank in enumerate(ranks(points, fronts=1)) if rank == 0]


def ranks(points: Sequence[Point], *, fronts: int | None = None) -> list[int | None]:
    """The non-dominated rank of each point: 0 on the front, 1 on the front of the rest, and so on.

    Sorted insertion with binary search over the fronts (ENS-BS: Zhang et al., An efficient
    approach to non-dominated sorting, IEEE TEVC 2015).

    Args:
        points: all of one length; those with a NaN get None.
        fronts: stop telling fronts apart after so many; the points behind get None.
    """
    result: list[int | None] = [None] * len(points)
    usable = [i for i, point in enumerate(points) if not any(math.isnan(x) for x in point)]
    if not usable:
        return result
    values = np.asarray([points[i] for i in usable], dtype=np.float64)
    # Nothing later in lexicographic order can dominate something earlier.
    order = np.lexsort(values.T[::-1])
    found: list[_Buffer] = []
    for row in order.tolist():
        rank = _first_free_front(found, values[row])
        if fronts is not None and rank >= fronts:
            continue
        if rank == len(found):
            found.append(_Buffer(values.shape[1]))
        found[rank].append(values[row])
        result[usable[row]] = rank
    return result


def knee(points: Sequence[Point]) -> int | None:
    """Index of the front member farthest from the chord between the extremes, None without one.

    Each axis is scaled to [0, 1] over the front, so that the chord (for more than two objectives
    the plane through the extremes) is Σ x = 1. The knee is where giving up a little of one
    objective stops buying much of the others. Fewer than three points, or a front that nowhere
    bulges towards the ideal point, have no knee.
    """
    if len(points) < 3:
        return None
    values = np.asarray(points, dtype=np.float64)
    span = np.ptp(values, axis=0)
    values, span = values[:, span > 0], span[span > 0]
    if len(span) < 2:
        return None
    distance = 1 - ((values - values.min(axis=0)) / span).sum(axis=1)
    best = int(distance.argmax())
    return best if distance[best] > 1e-12 else None


class _Buffer:
    """Rows of one front in an array that doubles when it is full."""

    def __init__(self, width: int) -> None:
        self._rows: _Array = np.empty((8, width))
        self._used = 0

    def append(self, row: _Array) -> None:
        if self._used == len(self._rows):
            self._rows = np.vstack([self._rows, np.empty_like(self._rows)])
        self._rows[self._used] = row
        self._used += 1

    @property
    def rows(self) -> _Array:
        return self._rows[: self._used]


def _first_free_front(fronts: Sequence[_Buffer], point: _Array) -> int:
    """The first front with no member that dominates `point`; all before it have one."""
    low, high = 0, len(fronts)
    while low < high:
        middle = (low + high) // 2
        if _any_dominates(fronts[middle].rows, point):
            low = middle + 1
        else:
            high = middle
    return low


def _any_dominates(rows: _Array, point: _Array) -> bool:
    return bool(((rows <= point).all(axis=1) & (rows < point).any(axis=1)).any())


def _dominated(rows: _Array, point: _Array) -> NDArray[np.bool_]:
    return np.logical_and((point <= rows).all(axis=1), (point < rows).any(axis=1))
