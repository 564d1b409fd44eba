"""A space that can be counted by hand, and one that can be counted only by trying."""

import itertools

import pytest

from spaces import Dimension, Space, When

ATTENTION = When("mixer", ("window", "cascade"))

TINY = Space(
    name="tiny",
    network=(Dimension("width", (12, 18)), Dimension("stages", (1, 2))),
    stage=(
        Dimension("mixer", ("window", "convolution")),
        Dimension("heads", (2, 3, 4), (ATTENTION,)),
        Dimension("closing", ("convolution", "none")),
        Dimension("skip", ("input", "output")),
        Dimension("cross_keys", (0, 2)),
        Dimension("cross_references", (1, 2), (When("cross_keys", (2,)),)),
    ),
)


def stage_points(space, width, number):
    """Every set of choices of one stage, found by trying all combinations."""
    found = set()
    for values in itertools.product(*(d.values for d in space.stage)):
        chosen = dict(zip((d.name for d in space.stage), values, strict=True))
        for dimension in space.stage:
            if any(chosen.get(c.name) not in c.values for c in dimension.when):
                del chosen[dimension.name]
        fits = (
            width % chosen.get("heads", 1) == 0
            and chosen.get("cross_references", 1) <= number
            and not (chosen["skip"] == "output" and chosen["closing"] == "none")
        )
        if fits:
            found.add(frozenset(chosen.items()))
    return found


@pytest.fixture(scope="session")
def tiny():
    return TINY


@pytest.fixture(scope="session")
def all_points(tiny):
    """Every point of `tiny`, as a list of choices."""
    points = []
    for width, stages in itertools.product((12, 18), (1, 2)):
        each = [stage_points(tiny, width, number) for number in range(1, stages + 1)]
        for chosen in itertools.product(*each):
            point = {"width": width, "stages": stages}
            for number, stage in enumerate(chosen, start=1):
                point |= {f"stage{number}.{name}": value for name, value in stage}
            points.append(point)
    return points


@pytest.fixture(scope="session")
def known_points(all_points):
    """The same as a set of frozen points."""
    return {frozenset(point.items()) for point in all_points}
