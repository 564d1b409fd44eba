"""What every space in the table promises."""

import json
import random

import pytest
import torch

from lightir_core.architecture import from_json
from lightir_core.errors import SpaceError
from lightir_core.network import build
from spaces import SPACES, TaskShape
from spaces.decode import RULES

SHAPE = TaskShape(scale=2)

every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def sampled(space, count, seed=0):
    rng = random.Random(seed)
    return [space.sample(rng) for _ in range(count)]


def test_names_are_keys():
    assert all(name == space.name and space.summary for name, space in SPACES.items())


def shallow(space):
    """All choices of a stage, but few stages and blocks: the rest is repetition."""
    few = ("stages", "blocks")
    return space.restrict(
        {name: [v for v in space.dimension(name).values if v <= 2] for name in few}
    )


def check_builds(architecture):
    scale, channels = architecture.scale, architecture.in_channels
    with torch.device("meta"):
        output = build(architecture)(torch.zeros(1, channels, 9, 17))
    assert output.shape == (1, architecture.out_channels, 9 * scale, 17 * scale), architecture


@every_space
def test_every_point_builds_and_runs(space):
    for choices in sampled(shallow(space), 12):
        check_builds(space.decode(choices, SHAPE))


@every_space
@pytest.mark.slow
def test_every_deep_point_builds_and_runs(space):
    for choices in sampled(space, 25, seed=1):
        check_builds(space.decode(choices, SHAPE))


@every_space
def test_every_point_fits_the_shape_of_the_task(space):
    for choices, shape in zip(
        sampled(shallow(space), 3, seed=2),
        (TaskShape(), TaskShape(4), TaskShape(1, 1, 1)),
        strict=True,
    ):
        check_builds(space.decode(choices, shape))


@every_space
def test_points_hold_exactly_the_active_choices(space):
    for choices in sampled(space, 50):
        groups = {name.rpartition(".")[0] for name in choices}
        for group in groups - {""}:
            prefix = group + "."
            known = choices | {
                k.removeprefix(prefix): v for k, v in choices.items() if k.startswith(prefix)
            }
            active = [
                d.name for d in space.stage if all(known.get(c.name) in c.values for c in d.when)
            ]
            assert [k.removeprefix(prefix) for k in choices if k.startswith(prefix)] == active


@every_space
def test_choices_come_from_the_dimensions_and_obey_the_rules(space):
    distributions = space.distributions()
    for choices in sampled(space, 50):
        for name, value in choices.items():
            assert value in distributions[name]
            group, _, plain = name.rpartition(".")
            if plain in RULES:
                known = {k.removeprefix(f"{group}."): v for k, v in choices.items()}
                number = int(group.removeprefix("stage") or 0)
                assert RULES[plain].allows(value, known | {"stage": number}), (name, choices)


@every_space
def test_points_and_architectures_survive_json(space):
    for choices in sampled(space, 10):
        again = json.loads(json.dumps(choices))
        assert again == choices
        assert list(map(type, again.values())) == list(map(type, choices.values()))
        architecture = space.decode(choices, SHAPE)
        assert from_json(architecture.to_json()) == architecture


@every_space
def test_decoding_is_a_function_of_the_choices(space):
    for choices in sampled(space, 10):
        first = space.decode(choices, SHAPE)
        assert space.decode(dict(reversed(choices.items())), SHAPE).id == first.id


@every_space
def test_every_single_change_makes_another_network(space):
    rng = random.Random(1)
    for choices in sampled(space, 12):
        for name in choices:
            for value in space.options(name, choices):
                if value == choices[name]:
                    continue
                changed = space.complete({**choices, name: value}, rng)
                ids = {space.decode(c, SHAPE).id for c in (choices, changed)}
                assert len(ids) == 2, f"{name}={value} changes nothing beside {choices}"


@every_space
def test_equal_seeds_give_equal_points(space):
    assert sampled(space, 5, seed=3) == sampled(space, 5, seed=3)
    assert sampled(space, 5, seed=3) != sampled(space, 5, seed=4)


@every_space
def test_every_value_occurs(space):
    """No value that rules or conditions keep out everywhere."""
    seen = {name: set() for name in (d.name for d in space.network + space.stage)}
    for choices in sampled(space, 3000):
        for name, value in choices.items():
            seen[name.rpartition(".")[2]].add(value)
    for dimension in space.network + space.stage:
        assert seen[dimension.name] == set(dimension.values), dimension.name


@every_space
def test_size_is_more_than_was_sampled(space):
    points = {frozenset(choices.items()) for choices in sampled(space, 200)}
    assert space.size >= len(points)
    assert space.restrict({"stages": space.dimension("stages").values[:1]}).size < space.size


@every_space
def test_sharing_is_not_offered_to_fewer_stages(space):
    """One stage that shares with nobody is the network of a stage with weights of its own."""
    for choices in sampled(space, 300):
        sharing = choices.get("stage_sharing", 1)
        assert sharing == 1 or sharing <= choices["stages"]


def test_an_unknown_dimension_is_named_with_the_nearest():
    with pytest.raises(
        SpaceError, match=r"no dimension 'stage1.haeds' .*'small'; did you mean 'heads'"
    ):
        SPACES["small"].dimension("stage1.haeds")
