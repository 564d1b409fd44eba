"""A user's own space, from a file; and a part of a known one, from the command line."""

import json
import random

import pytest

from lightir_core.errors import SpaceError
from spaces import (
    DEFAULT,
    SPACES,
    Dimension,
    Space,
    TaskShape,
    When,
    parse_only,
    read_space,
    space_from_plain,
    space_to_plain,
)

YAML = """
name: mine
summary: a first try
network:
  width: [32, 48]
  stages: 2
stage:
  blocks: [1, 2]
  mixer: [window, cascade]
  heads: [2, 4]
  key_dim: {values: [8, 16], when: {mixer: cascade}}
  position: {values: [table, none], when: {mixer: [window], blocks: [2]}}
"""

MINE = Space(
    name="mine",
    summary="a first try",
    network=(Dimension("width", (32, 48)), Dimension("stages", (2,))),
    stage=(
        Dimension("blocks", (1, 2)),
        Dimension("mixer", ("window", "cascade")),
        Dimension("heads", (2, 4)),
        Dimension("key_dim", (8, 16), (When("mixer", ("cascade",)),)),
        Dimension(
            "position", ("table", "none"), (When("mixer", ("window",)), When("blocks", (2,)))
        ),
    ),
)

PYTHON = """
from spaces import Dimension, Space
WIDTH = Dimension("width", tuple(range(8, 33, 8)))
SPACE = Space("from python", (WIDTH, Dimension("stages", (1,))), (Dimension("blocks", (1, 2)),))
"""


@pytest.fixture
def written(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize("name", ["space.yaml", "space.yml"])
def test_yaml(written, name):
    assert read_space(written(name, YAML)) == MINE


def test_json(written):
    assert read_space(written("space.json", json.dumps(space_to_plain(MINE)))) == MINE


def test_python(written):
    space = read_space(written("space.py", PYTHON))
    assert (space.name, space.size) == ("from python", 4 * 2)
    assert space.sample(random.Random(0))["width"] in (8, 16, 24, 32)


@pytest.mark.parametrize("space", [MINE, *SPACES.values()], ids=lambda space: space.name)
def test_a_space_survives_its_plain_form(space):
    """A run keeps its space in its config, so that resuming searches the same one."""
    again = space_from_plain(json.loads(json.dumps(space_to_plain(space))))
    assert again == space
    # equal values of another type would make other architectures: 2.0 and 2, true and 1
    values = [[*map(repr, d.values)] for d in space.network + space.stage]
    assert [[*map(repr, d.values)] for d in again.network + again.stage] == values


def test_a_shared_point_decodes_equally_after_the_plain_form():
    again = space_from_plain(json.loads(json.dumps(space_to_plain(DEFAULT))))
    first, second = (space.sample(random.Random(3)) for space in (DEFAULT, again))
    assert first == second
    assert DEFAULT.decode(first, TaskShape()).id == again.decode(second, TaskShape()).id


BAD = {
    "": r"the space: expected `key: value` lines, got None",
    "- a\n- b": "the space: expected `key: value` lines",
    "name: x\n  bad: [": "cannot be read as YAML",
    "network: {width: 8, stages: 1}\nstage: {}": "the space has no name; write for example",
    "name: 3\nnetwork: {width: 8, stages: 1}\nstage: {}": "the space has no name",
    "name: x\nrepeats: 3": "repeats: 3 is neither true nor false",
    "name: x\nnetworks: {}": "unknown key 'networks'; did you mean 'network'",
    "name: x\nstage: {}": "network: expected `key: value` lines, got None",
    "name: x\nnetwork: {width: 8}\nstage: {}": "space 'x' has no dimension 'stages'",
    "name: x\nnetwork: {width: [], stages: 1}\nstage: {}": "dimension 'width' has no values",
    "name: x\nnetwork: {width: null, stages: 1}\nstage: {}": r"network\.width: None is no value",
    "name: x\nnetwork: {width: [[8]], stages: 1}\nstage: {}": r"network\.width: \[8\] is no value",
    "name: x\nnetwork: {width: 8, stages: 1}\nstage: {haeds: 2}": "did you mean 'heads'",
    "name: x\nnetwork: {width: 8, stages: 1}\nstage: {heads: 3}":
        r"none of heads=\[3\] fits width=8",
    "name: x\nnetwork: {width: 8, stages: 1}\nstage: {mixer: widow}": "did you mean 'window'",
    "name: x\nnetwork: {width: 8, stages: 1}\nstage: {heads: {valeus: 2}}": "unknown key 'valeus'",
    "name: x\nnetwork: {width: 8, stages: 1}\nstage: {heads: {when: {}}}": "None is no value",
    "name: x\nnetwork: {width: 8, stages: 1}\nstage: {heads: {values: 2, when: [a]}}":
        r"stage\.heads\.when: expected `key: value` lines",
    "name: x\nnetwork: {width: 8, stages: 1}\nstage: {heads: {values: 2, when: {mixer: window}}}":
        "'heads' depends on 'mixer', which is not decided before it",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_what_is_no_space_is_refused_by_the_name_of_its_file(written, text):
    path = written("bad.yaml", text)
    with pytest.raises(SpaceError, match=rf"bad\.yaml: .*{BAD[text]}"):
        read_space(path)


def test_files_that_cannot_be_read(written, tmp_path):
    for path in (tmp_path / "missing.yaml", tmp_path, written("binary.yaml", b"\xff\xfe\x00")):
        with pytest.raises(SpaceError, match="cannot be read as YAML"):
            read_space(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SPACE = 3", r"it defines no SPACE; write `SPACE = Space\(name"),
        ("", "it defines no SPACE"),
        ("1 / 0", "running it failed: ZeroDivisionError: division by zero"),
        ("def", "running it failed: SyntaxError"),
        ("from spaces import Dimension\nDimension('heads', ())", "dimension 'heads' has no values"),
    ],
)
def test_python_files_that_make_no_space(written, text, message):
    with pytest.raises(SpaceError, match=rf"bad\.py: {message}"):
        read_space(written("bad.py", text))


def test_a_python_file_that_is_missing(tmp_path):
    with pytest.raises(SpaceError, match=r"missing\.py: running it failed: FileNotFoundError"):
        read_space(tmp_path / "missing.py")


def test_only_some_values():
    only = parse_only(["window=8x8,4x16", "width=48", "channel=false", "ratio=2.0"], DEFAULT)
    assert only == {
        "window": ("8x8", "4x16"), "width": (48,), "channel": (False,), "ratio": (2.0,),
    }  # fmt: skip
    restricted = DEFAULT.restrict(only)
    assert restricted.dimension("window").values == ("8x8", "4x16")
    assert restricted.size < DEFAULT.size
    assert parse_only([], DEFAULT) == {}


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("window", "'window' is not NAME=VALUE"),
        ("window=", "'window=' is not NAME=VALUE"),
        ("=8x8", "no dimension '' in space 'default'"),
        ("windov=8x8", "no dimension 'windov' in space 'default'; did you mean 'window'"),
        ("window=9x9", r"window has no value '9x9'.*; it has 4x4, 8x8, 4x16, 8x16"),
        ("window=8x8,", "window has no value ''"),
        ("width=48.0", "width has no value '48.0'"),
        ("channel=yes", "channel has no value 'yes'.*; it has false, true"),
        ("stage1.window=8x8", "'stage1.window' is a choice of one stage"),
    ],
)
def test_only_what_there_is(item, message):
    with pytest.raises(SpaceError, match=message):
        DEFAULT.restrict(parse_only([item], DEFAULT))


def test_a_dimension_named_twice_is_refused():
    """Taking the last one would drop the first without a word."""
    with pytest.raises(SpaceError, match="width is given twice; write width=24,48"):
        parse_only(["width=24", "width=48"], DEFAULT)
