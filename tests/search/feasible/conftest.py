"""A space of all kinds of sections, small enough to be gone through point by point."""

import itertools

import pytest

from budgets.budget import Size
from budgets.price import price
from search.feasible.region import region_of
from spaces import Dimension, Space, TaskShape, When

SHAPE = TaskShape(scale=2)
SIZE = Size(48, 80)  # with windows of 16 padded further than with smaller ones

MIXED = Space(
    name="mixed",
    network=(
        Dimension("width", (8, 12)),
        Dimension("stages", (1, 2)),
        Dimension("stage_sharing", (1, 2)),
    ),
    stage=(
        Dimension("blocks", (1,)),
        Dimension("mixer", ("window", "convolution")),
        Dimension("heads", (2, 3), (When("mixer", ("window",)),)),  # 3 does not divide 8
        Dimension("window", ("4x4", "4x16"), (When("mixer", ("window",)),)),
        Dimension("feed_forward", ("mlp", "none"), (When("mixer", ("window",)),)),
        Dimension("recursions", (1, 2)),
        Dimension("closing", ("none",)),
        Dimension("cross_keys", (0, 2)),
        Dimension("cross_references", (1, 2), (When("cross_keys", (2,)),)),
    ),
)


def points(space):
    """Every point of a space, the slow and simple way."""

    def walk(prefix, dimensions, point):
        if not dimensions:
            yield point
            return
        first, *rest = dimensions
        known = {n: v for n, v in point.items() if "." not in n}
        if prefix:
            own = {n: v for n, v in point.items() if n.startswith(prefix)}
            known |= {n.removeprefix(prefix): v for n, v in own.items()}
        if not first.is_active(known):
            yield from walk(prefix, rest, point)
            return
        for value in space.options(prefix + first.name, point):
            yield from walk(prefix, rest, {**point, prefix + first.name: value})

    for network in walk("", list(space.network), {}):
        sharing = network.get("stage_sharing", 1)
        found = [network]
        for number in range(1, network["stages"] + 1, sharing):
            found = list(
                itertools.chain.from_iterable(
                    walk(f"stage{number}.", list(space.stage), point) for point in found
                )
            )
        yield from found


@pytest.fixture(scope="session")
def everything():
    """Every point of `MIXED` with its true cost."""
    priced = []
    for point in points(MIXED):
        cost = price(MIXED.decode(point, SHAPE), SIZE)
        priced.append((frozenset(point.items()), (cost.params, cost.macs)))
    assert len({point for point, _ in priced}) == len(priced) == MIXED.size
    return priced


@pytest.fixture(scope="session")
def region():
    """Limits by axis -> the region of `MIXED` between them."""

    def between(upper, lower=None, sizes=(SIZE,)):
        return region_of(MIXED, SHAPE, sizes, tuple((lower or {}).items()), tuple(upper.items()))

    return between
