"""The sections of a stage multiply to all of its points."""

import math

import pytest

from spaces import SPACES, Dimension, Space, When
from spaces.decode import STAGE_DEFAULTS
from spaces.sections import (
    JOINT,
    SECTIONS,
    joint_choices,
    leaders,
    section_points,
    section_reads,
)


def counted(space):
    total = 0
    for network in space.skeletons():
        product = 1
        for number, _ in leaders(network):
            known = {**network, "stage": number}
            product *= sum(
                math.prod(len(section_points(space, name, known, joint)) for name in SECTIONS)
                for joint in joint_choices(space, known)
            )
        total += product
    return total


@pytest.mark.parametrize("name", [n for n in SPACES if n != "default"])
def test_sections_multiply_to_the_size_of_the_space(name):
    assert counted(SPACES[name]) == SPACES[name].size


def test_the_default_space_too():
    space = SPACES["default"].restrict({"width": (24, 60), "groups": (1,), "logits": ("dot",)})
    assert counted(space) == space.size


def test_a_condition_across_sections_makes_a_joint_choice():
    space = Space(
        name="crossed",
        network=(Dimension("width", (8,)), Dimension("stages", (1, 2))),
        stage=(
            Dimension("recursions", (1, 2, 3)),
            Dimension("closing", ("convolution", "none"), (When("recursions", (2, 3)),)),
            Dimension("skip", ("input", "output")),
            Dimension("cross_keys", (0, 2), (When("closing", ("none",)),)),
        ),
    )
    found = list(joint_choices(space, {"width": 8, "stages": 1, "stage": 1}))
    assert {"recursions": 1} in found
    assert {"recursions": 2, "closing": "none"} in found
    assert len(found) == 1 + 2 * 2
    assert counted(space) == space.size


def test_every_choice_of_a_stage_has_its_place():
    names = [name for section in SECTIONS.values() for name in section] + list(JOINT)
    assert sorted(names) == sorted(STAGE_DEFAULTS)


def test_what_a_section_looks_at():
    assert section_reads(SPACES["default"], "cross") == {"stage", "cross_keys"}


def test_stages_that_share_have_one_leader():
    assert leaders({"stages": 5, "stage_sharing": 2}) == [(1, 2), (3, 2), (5, 1)]
    assert leaders({"stages": 2}) == [(1, 1), (2, 1)]
