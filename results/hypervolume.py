"""Exact hypervolume of one to four objectives, all minimised.

The hypervolume of a set of points is the volume dominated by them and bounded by a reference
point (Zitzler and Thiele, 1998). Two objectives are a sweep over a staircase; three are the same
staircase swept along the third axis, its area kept up to date (Beume et al., On the complexity
of computing the hypervolume indicator, IEEE TEVC 2009); four are slices along the fourth.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from lightir_core.errors import ResultsError
from results.pareto import Front, Point, pareto_front

MAX_OBJECTIVES = 4


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Volume dominated by `points` within the box that ends at `reference`.

    Points that do not beat the reference in every objective, and points with a NaN, add nothing.

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
    inside = [tuple(p) for p in points if all(x < r for x, r in zip(p, reference, strict=True))]
    front = sorted({inside[i] for i in pareto_front(inside)}, key=lambda p: p[-1])
    if not front:
        return 0.0
    if size == 1:
        return reference[0] - front[0][0]
    return _SWEEPS[size](front, reference)


def hypervolume_history(points: Sequence[Point], reference: Point) -> list[float]:
    """The hypervolume after each point; it never falls."""
    front, history, now = Front(), list[float](), 0.0
    for point in points:
        if front.add(point):
            now = max(now, hypervolume(front.points, reference))
        history.append(now)
    return history


def reference_point(points: Sequence[Point], *, margin: float = 0.1) -> tuple[float, ...]:
    """A reference behind the worst value of each objective, by `margin` of the observed span.

    With the margin the extreme points count too. An axis on which nothing differs gets the
    margin of its own size, or 1.
    """
    usable = [p for p in points if all(x == x for x in p)]
    if not usable:
        raise ResultsError("no point without NaN to place a reference behind; finish a trial first")
    worst = [max(axis) for axis in zip(*usable, strict=True)]
    best = [min(axis) for axis in zip(*usable, strict=True)]
    spans = [(w - b) or abs(w) or 1.0 for w, b in zip(worst, best, strict=True)]
    return tuple(w + margin * span for w, span in zip(worst, spans, strict=True))


class _Staircase:
    """The area dominated in two dimensions, kept exact while points are added."""

    def __init__(self, reference: Point) -> None:
        self._x: list[float] = []  # rising
        self._y: list[float] = []  # falling
        self._reference = reference
        self.area = 0.0

    def add(self, x: float, y: float) -> None:
        """Add a point; its new area is cut out of the steps that it covers."""
        at = bisect_left(self._x, x)
        if at < len(self._x) and self._x[at] == x and self._y[at] <= y:
            return
        if at > 0 and self._y[at - 1] <= y:
            return
        roof = self._y[at - 1] if at > 0 else self._reference[1]
        left, last = x, at
        while last < len(self._x) and self._y[last] >= y:
            self.area += (self._x[last] - left) * (roof - y)
            left, roof = self._x[last], self._y[last]
            last += 1
        right = self._x[last] if last < len(self._x) else self._reference[0]
        self.area += (right - left) * (roof - y)
        self._x[at:last], self._y[at:last] = [x], [y]


def _sweep_2(front: Sequence[Point], reference: Point) -> float:
    stairs = _Staircase(reference)
    for x, y in front:
        stairs.add(x, y)
    return stairs.area


def _sweep_3(front: Sequence[Point], reference: Point) -> float:
    """Slabs along the third axis; `front` is sorted by it."""
    stairs, volume = _Staircase(reference), 0.0
    for place, (x, y, z) in enumerate(front):
        stairs.add(x, y)
        above = front[place + 1][2] if place + 1 < len(front) else reference[2]
        volume += stairs.area * (above - z)
    return volume


def _sweep_4(front: Sequence[Point], reference: Point) -> float:
    """Slices along the fourth axis; `front` is sorted by it."""
    below: list[Point] = []
    volume, slab = 0.0, 0.0
    for place, point in enumerate(front):
        below.append(point[:3])
        above = front[place + 1][3] if place + 1 < len(front) else reference[3]
        if above > point[3]:
            below = [below[i] for i in pareto_front(below)]
            slab = _sweep_3(sorted(below, key=lambda p: p[2]), reference[:3])
            volume += slab * (above - point[3])
    return volume


_SWEEPS = {2: _sweep_2, 3: _sweep_3, 4: _sweep_4}
