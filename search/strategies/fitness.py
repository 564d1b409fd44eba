"""How fit each trial is among the others: non-dominated rank, then crowding distance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from results.pareto import Point, ranks

Fitness = tuple[int, float]
"""(rank, negative crowding distance): the smaller, the better."""


def fitness(points: Sequence[Point]) -> list[Fitness]:
    """Return the fitness of each point among the others, all objectives minimised.

    Rank and crowding distance are those of NSGA-II (Deb et al., 2002, sections III-A and III-B).
    """
    result: list[Fitness] = [(len(points), 0.0)] * len(points)
    by_rank: dict[int, list[int]] = {}
    for index, rank in enumerate(ranks(points)):
        if rank is not None:
            by_rank.setdefault(rank, []).append(index)
    for rank, members in by_rank.items():
        spread = crowding([points[index] for index in members])
        for index, distance in zip(members, spread, strict=True):
            result[index] = (rank, -distance)
    return result


def positions(points: Sequence[Point]) -> list[int]:
    """Return each point's position by fitness, 0 for the best; equals keep their order."""
    order = fitness(points)
    result = [0] * len(points)
    for position, index in enumerate(sorted(range(len(points)), key=order.__getitem__)):
        result[index] = position
    return result


def crowding(points: Sequence[Point]) -> list[float]:
    """Sum how far apart each point's neighbours are on scaled axes; infinite at the ends."""
    values = np.asarray(points, dtype=np.float64)
    distance = np.zeros(len(values))
    for axis in values.T:
        order = np.argsort(axis, kind="stable")
        span = axis[order[-1]] - axis[order[0]]
        distance[order[[0, -1]]] = math.inf
        if span > 0:
            distance[order[1:-1]] += (axis[order[2:]] - axis[order[:-2]]) / span
    return distance.tolist()
