"""The workings of a space, on one small enough to know every point of it."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightir_core.errors import SpaceError
from spaces import DEFAULT, SPACES, Dimension, Space, TaskShape, When

WIDTH, STAGES = Dimension("width", (12, 18)), Dimension("stages", (1, 2))
seeds = st.integers(0, 2**32)


def space_of(*stage, network=(WIDTH, STAGES)):
    return Space(name="bad", network=tuple(network), stage=stage)


# stage 1: 12 = (3 window heads of width 12, or a convolution) x 3 (closing, skip) x 2 cross
# (none, one reference): 24; of width 18 with 2 window heads: 18. stage 2: x 3 cross: 36 and 27.
def test_size_by_hand(tiny):
    assert tiny.size == (24 + 24 * 36) + (18 + 18 * 27)


def test_size_is_what_trying_everything_finds(tiny, all_points, known_points):
    assert len(known_points) == len(all_points) == tiny.size


def test_size_counts_shared_stages_once():
    network = (WIDTH, Dimension("stages", (1, 2, 3)), Dimension("stage_sharing", (1, 2)))
    space = Space(name="x", network=network, stage=(Dimension("blocks", (1, 2, 3)),))
    # not shared 3 + 9 + 27, shared by two: 2 stages have one leader, 3 have two
    assert space.size == 2 * ((3 + 9 + 27) + (3 + 9))


def test_different_points_are_different_networks(tiny, all_points):
    ids = {tiny.decode(point, TaskShape()).id for point in all_points}
    assert len(ids) == tiny.size


def test_stages_that_repeat_are_drawn_alike_as_far_as_rules_allow():
    repeating = SPACES["default"]
    alike = 0
    for seed in range(60):
        point = repeating.sample(random.Random(seed))
        assert repeating.complete(point, random.Random(0)) == point
        stages = {}
        for name, value in point.items():
            stage, dot, plain = name.partition(".")
            if dot and not plain.startswith("cross_"):  # of earlier outputs there are ever more
                stages.setdefault(stage, {})[plain] = value
        first = next(iter(stages.values()))
        assert all(stage == first for stage in stages.values())
        alike += len(stages) > 1
    assert alike > 20


def test_the_full_space_has_the_same_points_and_draws_every_stage():
    full, repeating = SPACES["full"], SPACES["default"]
    assert (full.network, full.stage) == (repeating.network, repeating.stage)
    assert full.sample(random.Random(3)) == full.complete({}, random.Random(3))


def test_sampling_reaches_every_point():
    space = Space(
        name="one",
        network=(WIDTH, Dimension("stages", (1,))),
        stage=(Dimension("heads", (2, 3, 4)), Dimension("blocks", (1, 2))),
    )
    rng = random.Random(0)
    counts = Counter(frozenset(space.sample(rng).items()) for _ in range(600))
    assert len(counts) == space.size == 10
    assert min(counts.values()) > 20


@given(seeds)
def test_sampled_points_are_points(tiny, known_points, seed):
    assert frozenset(tiny.sample(random.Random(seed)).items()) in known_points


@given(seeds)
def test_a_mutant_is_another_point(tiny, known_points, seed):
    rng = random.Random(seed)
    parent = tiny.sample(rng)
    before = dict(parent)
    child = tiny.mutate(parent, rng)
    assert parent == before
    assert child != parent
    assert frozenset(child.items()) in known_points


@given(seeds)
def test_a_mutant_keeps_what_does_not_depend_on_the_change(seed):
    rng = random.Random(seed)
    parent = DEFAULT.sample(rng)
    child = DEFAULT.mutate(parent, rng)
    changed = [name for name in parent if name in child and parent[name] != child[name]]
    # one is redrawn; what depends on it by a rule may have to follow
    assert len(changed) <= 1 + sum(
        name.rpartition(".")[2] in ("heads", "groups", "skip", "stage_sharing") for name in changed
    )


@given(seeds)
def test_a_mutant_of_a_space_with_one_point_is_that_point(seed):
    space = Space(
        name="one", network=(Dimension("width", (8,)), Dimension("stages", (1,))), stage=()
    )
    rng = random.Random(seed)
    assert space.mutate(space.sample(rng), rng) == {"width": 8, "stages": 1}


def test_more_changes_change_more():
    rng = random.Random(0)
    parents = [DEFAULT.sample(rng) for _ in range(30)]

    def distance(changes):
        children = list(parents)
        for _ in range(changes):
            children = [DEFAULT.mutate(child, rng) for child in children]
        return sum(
            len(set(child.items()) ^ set(parent.items()))
            for child, parent in zip(children, parents, strict=True)
        )

    assert distance(0) == 0
    assert distance(1) < distance(4) < distance(16)


@given(seeds)
def test_a_child_has_the_choices_of_its_parents(seed):
    rng = random.Random(seed)
    # no rules between dimensions: nothing is ever redrawn
    space = DEFAULT.restrict({"heads": (2, 4), "groups": (1, 2, 4), "skip": ("input", "none")})
    mother, father = space.sample(rng), space.sample(rng)
    child = space.cross(mother, father, rng)
    for name, value in child.items():
        inherited = [parent[name] for parent in (mother, father) if name in parent]
        assert value in inherited or not inherited, name


@given(seeds)
def test_a_child_is_a_point(tiny, known_points, seed):
    rng = random.Random(seed)
    child = tiny.cross(tiny.sample(rng), tiny.sample(rng), rng)
    assert frozenset(child.items()) in known_points


@given(seeds)
def test_a_child_of_equal_parents_is_their_equal(tiny, seed):
    rng = random.Random(seed)
    parent = tiny.sample(rng)
    assert tiny.cross(parent, dict(parent), rng) == parent


def test_children_take_after_both_parents(tiny):
    rng = random.Random(0)
    mother = tiny.complete({"width": 12, "stages": 2, "stage1.mixer": "window"}, rng)
    father = tiny.complete({"width": 18, "stages": 2, "stage1.mixer": "convolution"}, rng)
    children = [tiny.cross(mother, father, rng) for _ in range(40)]
    assert {(c["width"], c["stage1.mixer"]) for c in children} == {
        (12, "window"), (12, "convolution"), (18, "window"), (18, "convolution"),
    }  # fmt: skip


@given(seeds)
def test_complete_keeps_a_whole_point(tiny, seed):
    point = tiny.sample(random.Random(seed))
    assert tiny.complete(point, random.Random(seed + 1)) == point


@given(seeds, st.data())
def test_complete_keeps_every_wish_that_is_allowed(tiny, all_points, known_points, seed, data):
    point = data.draw(st.sampled_from(all_points))
    wishes = data.draw(st.sets(st.sampled_from(sorted(point))))
    # a wish can be kept when all that it depends on is wished as well
    wishes |= {"width", "stages"} | {
        f"{name.rpartition('.')[0]}.{needed}"
        for name in wishes if "." in name
        for needed in ("mixer", "closing", "cross_keys")
    }  # fmt: skip
    completed = tiny.complete({name: point[name] for name in wishes}, random.Random(seed))
    assert {name: completed[name] for name in wishes} == {name: point[name] for name in wishes}
    assert frozenset(completed.items()) in known_points


def test_complete_draws_what_may_not_stay(tiny):
    wish = {"width": 18, "stages": 1, "stage1.mixer": "window", "stage1.heads": 4}
    completed = tiny.complete(wish, random.Random(0))
    assert completed["stage1.heads"] in (2, 3)  # 4 does not divide 18
    wish = {"stages": 7, "stage1.closing": "none", "stage1.skip": "output", "bogus": 1}
    completed = tiny.complete(wish, random.Random(0))
    assert completed["stages"] in (1, 2)
    assert completed["stage1.skip"] == "input"
    assert "bogus" not in completed


def test_complete_leaves_its_argument_alone(tiny):
    wish = {"width": 18}
    tiny.complete(wish, random.Random(0))
    assert wish == {"width": 18}


def test_options_depend_on_earlier_choices(tiny):
    point = {"width": 18, "stages": 2, "stage1.mixer": "window", "stage1.closing": "none"}
    assert tiny.options("stage1.heads", point) == (2, 3)
    assert tiny.options("stage1.heads", point | {"width": 12}) == (2, 3, 4)
    assert tiny.options("stage1.skip", point) == ("input",)
    assert tiny.options("stage1.cross_references", point) == (1,)
    assert tiny.options("stage2.cross_references", point) == (1, 2)
    assert tiny.options("width", point) == (12, 18)


def test_distributions_name_every_choice_of_the_deepest_network(tiny):
    names = list(tiny.distributions())
    assert names[:2] == ["width", "stages"]
    assert len(names) == 2 + 2 * len(tiny.stage)
    assert tiny.distributions()["stage2.heads"] == (2, 3, 4)


def test_restrict_keeps_order_and_conditions(tiny):
    small = tiny.restrict({"heads": (3, 2), "stages": [1]})
    assert small.dimension("heads") == Dimension("heads", (2, 3), tiny.dimension("heads").when)
    assert small.size == (18 + 18)
    assert tiny.dimension("heads").values == (2, 3, 4)
    assert small.name == tiny.name


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ({"heads": (2, 5)}, r"heads has no value 5; it has \[2, 3, 4\]"),
        ({"heats": (2,)}, "no dimension 'heats' in space 'tiny'; did you mean 'heads'"),
        ({"heads": ()}, "dimension 'heads' has no values"),
        ({"stage1.heads": (2,)}, "'stage1.heads' is a choice of one stage; 'heads' is restricted"),
        ({"width": (18,), "heads": (4,)}, r"none of heads=\[4\] fits width=18"),
    ],
)
def test_impossible_restrictions(tiny, only, message):
    with pytest.raises(SpaceError, match=message):
        tiny.restrict(only)


def test_a_dimension_needs_values():
    with pytest.raises(SpaceError, match="dimension 'heads' has no values; give it at least one"):
        Dimension("heads", ())


@pytest.mark.parametrize("values", [(2, 4, 2), (1, 1.0), (True, 1), ("a", "a")])
def test_a_dimension_repeats_no_value(values):
    with pytest.raises(SpaceError, match=r"dimension 'heads' repeats a value: \["):
        Dimension("heads", values)


HEADS = Dimension("heads", (2, 3))

IMPOSSIBLE = {
    "unknown stage dimension": (
        lambda: space_of(Dimension("hedas", (2,))),
        "'hedas' is not a stage dimension; did you mean 'heads'.*known: blocks, mixer, heads",
    ),
    "unknown network dimension": (
        lambda: space_of(network=(WIDTH, STAGES, Dimension("heads", (2,)))),
        "'heads' is not a network dimension.*known: width, stages",
    ),
    "twice": (lambda: space_of(HEADS, HEADS), "dimension 'heads' appears twice"),
    "no width": (lambda: space_of(network=(STAGES,)), "space 'bad' has no dimension 'width'"),
    "no stages": (lambda: space_of(network=(WIDTH,)), "space 'bad' has no dimension 'stages'"),
    "condition before its dimension": (
        lambda: space_of(Dimension("heads", (2,), (When("mixer", ("window",)),)), MIXER),
        "'heads' depends on 'mixer', which is not decided before it",
    ),
    "condition on itself": (
        lambda: space_of(Dimension("heads", (2,), (When("heads", (2,)),))),
        "'heads' depends on 'heads', which is not decided before it",
    ),
    "condition on nothing": (
        lambda: space_of(Dimension("heads", (2,), (When("colour", ("red",)),))),
        "'heads' depends on 'colour', which is not decided before it",
    ),
    "rule before its dimension": (
        lambda: space_of(
            Dimension("skip", ("output", "input")), Dimension("closing", ("none", "convolution"))
        ),
        "'skip' depends on 'closing', which is not decided before it",
    ),
    "heads that divide no width": (
        lambda: space_of(Dimension("heads", (5,))),
        r"none of heads=\[5\] fits width=12; add a value that does or leave that width out",
    ),
    "heads that do not divide every width": (
        lambda: space_of(Dimension("heads", (4,))),
        r"none of heads=\[4\] fits width=18",
    ),
    "references that the first stage has not": (
        lambda: space_of(Dimension("cross_keys", (4,)), Dimension("cross_references", (2, 3))),
        r"none of cross_references=\[2, 3\] fits",
    ),
    "skip around nothing": (
        lambda: space_of(Dimension("closing", ("none",)), Dimension("skip", ("output",))),
        r"none of skip=\['output'\] fits",
    ),
}  # fmt: skip

MIXER = Dimension("mixer", ("window", "convolution"))


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_impossible_spaces(case):
    make, message = IMPOSSIBLE[case]
    with pytest.raises(SpaceError, match=message):
        make()


def test_a_rule_is_not_asked_where_its_dimension_is_not_active():
    space = space_of(Dimension("heads", (4,), (When("width", (12,)),)))
    assert space.size == 4  # one point per width and number of stages
    assert all(
        "stage1.heads" not in space.complete({"width": 18}, random.Random(i)) for i in range(3)
    )
