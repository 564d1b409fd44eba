"""The rules refuse exactly what the architecture would refuse."""

import pytest

from lightir_core.errors import ArchitectureError
from spaces import TaskShape
from spaces.decode import RULES, decode_network

BESIDE = {"channel_heads": {"channel": True}, "cross_references": {"cross_keys": 2}}


def builds(choices):
    try:
        decode_network(choices, TaskShape())
    except ArchitectureError:
        return False
    return True


@pytest.mark.parametrize("name", ["heads", "groups", "channel_heads"])
@pytest.mark.parametrize("width", [12, 25])
def test_divisors_of_the_width(name, width):
    for value in range(1, 14):
        stage = {**BESIDE.get(name, {}), "heads": 1, name: value}
        choices = {"width": width, "stages": 1} | {f"stage1.{k}": v for k, v in stage.items()}
        assert RULES[name].allows(value, choices) == builds(choices), value


@pytest.mark.parametrize("number", [1, 2, 3])
def test_references_to_earlier_stages(number):
    for value in range(1, 5):
        choices = {"width": 8, "stages": number, f"stage{number}.cross_keys": 2}
        choices[f"stage{number}.cross_references"] = value
        assert RULES["cross_references"].allows(value, {"stage": number}) == builds(choices)


def test_skips_around_the_closing_convolution():
    for skip in ("input", "output", "none"):
        for closing in ("convolution", "depthwise", "none"):
            choices = {"width": 8, "stages": 1, "stage1.skip": skip, "stage1.closing": closing}
            assert RULES["skip"].allows(skip, {"closing": closing}) == builds(choices)
        assert RULES["skip"].allows(skip, {})  # left out, the closing is a convolution


def test_sharing_takes_as_many_stages():
    rule = RULES["stage_sharing"]
    assert [rule.allows(value, {"stages": 2}) for value in (1, 2, 3)] == [True, True, False]


def test_rules_say_what_they_read():
    reads = {name: rule.reads for name, rule in RULES.items()}
    assert reads == {
        "stage_sharing": ("stages",),
        "heads": ("width",),
        "groups": ("width",),
        "channel_heads": ("width",),
        "cross_references": ("stage",),
        "skip": ("closing",),
    }
