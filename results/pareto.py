"""Pareto dominance: fronts, ranks, the hypervolume and the knee.

Points are sequences of floats, every objective minimised (`results.objectives.minimised` flips
the signs). A point with a NaN dominates nothing and is on no front. Equal points do not dominate
each other: all copies of a non-dominated point are on the front.
"""

import math
from collections.abc import Sequence

import moocore  # pyright: ignore[reportMissingTypeStubs]  it is typed itself
import numpy as np
from numpy.typing import NDArray

from lightir_core.errors import ResultsError

Point = Sequence[float]
_Array = NDArray[np.float64]

MAX_OBJECTIVES = 4
"""Of more the hypervolume takes a time that grows without measure."""


def dominates(a: Point, b: Point) -> bool:
    """Return whether `a` is nowhere worse than `b` and somewhere better."""
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
        old = self._points
        if ((old <= new).all(axis=1) & (old < new).any(axis=1)).any():
            return False
        keep = ~((new <= old).all(axis=1) & (new < old).any(axis=1))
        if not keep.all():
            self._keys = [self._keys[row] for row in np.flatnonzero(keep).tolist()]
            self._points = self._points[keep]
        self._points = np.vstack([self._points, new])
        self._keys.append(key)
        return True

    @property
    def members(self) -> list[int]:
        """Return when each member was added, counted from 0 over all that were offered."""
        return list(self._keys)

    @property
    def points(self) -> list[tuple[float, ...]]:
        """Return the members' values, in the order of `members`."""
        return [tuple(row) for row in self._points.tolist()]

    def __len__(self) -> int:
        """Return how many members the front has now."""
        return len(self._keys)


def pareto_front(points: Sequence[Point]) -> list[int]:
    """Return the indices of the non-dominated points, in rising order."""
    usable, values = _without_nan(points)
    if not usable:
        return []
    front = moocore.is_nondominated(_ordered(values), keep_weakly=True)
    return [usable[row] for row in np.flatnonzero(front).tolist()]


def ranks(points: Sequence[Point]) -> list[int | None]:
    """Return the non-dominated rank of each point: 0 on the front, 1 behind it, and so on.

    Args:
        points: all of one length; those with a NaN get None.
    """
    usable, values = _without_nan(points)
    result: list[int | None] = [None] * len(points)
    if usable:
        for index, rank in zip(usable, moocore.pareto_rank(_ordered(values)).tolist(), strict=True):
            result[index] = rank
    return result


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Return the volume dominated by `points` within the box that ends at `reference`.

    Points that do not beat the reference in every objective, and points with a NaN, add nothing
    (Zitzler and Thiele, 1998).

    Raises:
        ResultsError: no objective, more than four, or points of another length.
    """
    size = len(reference)
    if not 1 <= size <= MAX_OBJECTIVES:
        raise ResultsError(
            f"hypervolume is exact for 1 to {MAX_OBJECTIVES} objectives, got {size}; "
            f"choose the objectives to compare"
        )
    if any(len(point) != size for point in points):
        raise ResultsError(f"points and reference differ in length; expected {size} values each")
    usable, values = _without_nan(points)
    if not usable:
        return 0.0
    inside = values[(values < np.asarray(reference)).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=list(reference)))


def hypervolume_history(points: Sequence[Point], reference: Point) -> list[float]:
    """Return the hypervolume after each point; it never falls."""
    front, history, now = Front(), list[float](), 0.0
    for point in points:
        if front.add(point):
            now = max(now, hypervolume(front.points, reference))
        history.append(now)
    return history


def reference_point(points: Sequence[Point], *, margin: float = 0.1) -> tuple[float, ...]:
    """Return a point behind the worst value of each objective, by `margin` of the observed span.

    With the margin the extreme points count too. An axis on which nothing differs gets the
    margin of its own size, or 1.

    Raises:
        ResultsError: there is no point without a NaN.
    """
    usable, values = _without_nan(points)
    if not usable:
        raise ResultsError("no point without NaN to place a reference behind; finish a trial first")
    worst, span = values.max(axis=0), np.ptp(values, axis=0)
    span = np.where(span > 0, span, np.where(worst != 0, np.abs(worst), 1.0))
    return tuple((worst + margin * span).tolist())


def covered_shares(
    runs: Sequence[Sequence[Point]],
) -> tuple[tuple[float, ...], list[list[float]]]:
    """Return a common reference point, and what part of the box up to it each run covers.

    The reference is that of `reference_point` over all points, the box begins at the best values;
    of each run there is a share after each of its points.

    Raises:
        ResultsError: as `reference_point` and `hypervolume`.
    """
    every = [point for points in runs for point in points]
    reference = reference_point(every)
    ideal = [min(axis) for axis in zip(*every, strict=True)]
    box = math.prod(r - i for r, i in zip(reference, ideal, strict=True))
    return reference, [[v / box for v in hypervolume_history(run, reference)] for run in runs]


def knee(points: Sequence[Point]) -> int | None:
    """Return the index of the member farthest from the chord between the extremes, or None.

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


def _without_nan(points: Sequence[Point]) -> tuple[list[int], _Array]:
    """Return the indices of the points without a NaN, and their values as rows."""
    usable = [i for i, point in enumerate(points) if not any(math.isnan(x) for x in point)]
    return usable, np.asarray([points[i] for i in usable], dtype=np.float64)


def _ordered(values: _Array) -> _Array:
    """Return the position of each value in the order of its axis, all that dominance asks for.

    moocore 0.3.2 calls points with an infinity dominated that are not.
    """
    order = [np.unique(axis, return_inverse=True)[1] for axis in values.T]
    return np.stack(order, axis=1).astype(np.float64)
