"""Choices that make a stage most like a given one."""

import random

import pytest

from lightir_core.published.presets import PRESETS, preset
from spaces import SPACES, find_space
from spaces.decode import decode_stage
from spaces.resemblance import likeness, resembling


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", SPACES)
def test_a_stage_of_the_space_is_found_again(name, seed):
    space = find_space(name)
    point = space.sample(random.Random(seed))
    chosen = {n.removeprefix("stage1."): v for n, v in point.items() if n.startswith("stage1.")}
    stage = decode_stage(chosen, point["width"])
    again = decode_stage(resembling(space, stage, point["width"]), point["width"])
    assert again == stage


@pytest.mark.parametrize(
    ("name", "marks"),
    {
        "swinir-light": {"mixer": "window", "heads": 6, "window": "8x8", "groups": 1},
        "grformer": {"logits": "cosine", "position": "exponential", "groups": 2, "norm": "post"},
        "agileir": {"mixer": "cascade", "heads": 6, "key_dim": 16},
        "drt": {"recursions": 3, "recursion_weights": "tied", "shift": "none"},
        "compacter": {"channel": True, "depthwise_value": True, "feed_forward": "dsgm"},
        "edsr-baseline": {"mixer": "convolution", "closing": "none", "cross_keys": 0},
        "edsr-acla": {"mixer": "convolution", "cross_keys": 8, "cross_selection": "hard"},
    }.items(),
)
def test_the_marks_of_the_papers_are_kept(name, marks):
    design = preset(name)
    chosen = resembling(find_space("default"), design.stages[0], design.width)
    assert marks.items() <= chosen.items()
    assert set(PRESETS) >= {name}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"a": 1, "b": "x"}, {"a": 2, "b": "x", "c": 0}, 1.5),
        ([1, 2], [1, 4, 8], 1.5),
        (None, None, 1),
        (None, {"a": 1}, 0),
        (True, False, 0),
        (0, 8, 0),
    ],
)
def test_numbers_that_are_near_count_in_part(one, other, expected):
    assert likeness(one, other) == expected
