"""Values that no network can have are refused when a space is made."""

import pytest

from lightir_core.architecture import StageConfig
from lightir_core.errors import SpaceError
from spaces import SPACES, Dimension, Space, TaskShape
from spaces.decode import (
    NETWORK_DEFAULTS,
    OPTIONS,
    RANGES,
    STAGE_DEFAULTS,
    check_value,
    decode_network,
)

WRONG = [
    ("width", 0, "width=0 is not a whole number from 1 to 4096"),
    ("width", "24", "width='24' is not a whole number"),
    ("width", 24.0, r"width=24\.0 is not a whole number"),
    ("width", True, "width=True is not a whole number"),
    ("blocks", -1, "blocks=-1 is not a whole number"),
    ("recursions", 17, "recursions=17 is not a whole number from 1 to 16"),
    ("cross_keys", -1, "cross_keys=-1 is not a whole number from 0"),
    ("ratio", 0, "ratio=0 is not a positive number"),
    ("ratio", float("nan"), "ratio=nan is not a positive number"),
    ("ratio", float("inf"), "ratio=inf is not a positive number"),
    ("ratio", "2", "ratio='2' is not a positive number"),
    ("channel", 1, "channel=1 is neither true nor false"),
    ("transpose", "true", "transpose='true' is neither true nor false"),
    ("mixer", "widow", "mixer='widow' is not known; did you mean 'window'.*use window, cascade"),
    ("logits", "cosin", "logits='cosin' is not known; did you mean 'cosine'"),
    ("norm", False, "norm=False is not known"),
    ("position", "tabel", "position='tabel' is not known; did you mean 'table'"),
    ("window", "8", "window '8' is not HEIGHTxWIDTH"),
    ("window", "1x8", "window='1x8' has a side that is not from 2 to 256 px"),
    ("window", "8x512", "has a side"),
    ("window", 8, "window '8' is not HEIGHTxWIDTH"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_wrong_values(name, value, message):
    with pytest.raises(SpaceError, match=message):
        check_value(name, value)


def test_a_space_checks_its_values():
    network = (Dimension("width", (8,)), Dimension("stages", (1,)))
    with pytest.raises(SpaceError, match="mixer='widow' is not known; did you mean 'window'"):
        Space(name="x", network=network, stage=(Dimension("mixer", ("cascade", "widow")),))
    with pytest.raises(SpaceError, match=r"stages=1\.5 is not a whole number"):
        Space(name="x", network=(network[0], Dimension("stages", (1.5,))), stage=())


@pytest.mark.parametrize("name", sorted(NETWORK_DEFAULTS | STAGE_DEFAULTS))
def test_defaults_are_possible(name):
    check_value(name, (NETWORK_DEFAULTS | STAGE_DEFAULTS)[name])


def test_every_dimension_of_every_space_is_checked():
    """No dimension that takes a word can be without a list of words, but the window."""
    texts = {
        name
        for name, default in (NETWORK_DEFAULTS | STAGE_DEFAULTS).items()
        if isinstance(default, str)
    }
    assert texts == set(OPTIONS) | {"window"}
    assert set(RANGES) <= set(NETWORK_DEFAULTS | STAGE_DEFAULTS)
    assert SPACES


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_every_word_builds_another_network(name):
    beside = {"cross_keys": 1} if name.startswith("cross_") else {}
    beside |= {"recursions": 2} if name == "recursion_weights" else {}
    place = "" if name in NETWORK_DEFAULTS else "stage1."
    choices = {"width": 16, "stages": 1} | {f"stage1.{key}": v for key, v in beside.items()}
    built = [decode_network({**choices, place + name: word}, TaskShape()) for word in OPTIONS[name]]
    assert len({architecture.id for architecture in built}) == len(OPTIONS[name])


def test_the_largest_numbers_are_those_of_the_architecture():
    stage = decode_network({"stages": 1, "stage1.recursions": 16}, TaskShape()).stages[0]
    assert isinstance(stage, StageConfig)
    assert decode_network({"width": 4096, "stages": 1}, TaskShape()).width == 4096
