from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from lightir_core.architecture import MlpConfig, ResidualConvolutionConfig
from lightir_core.network import build
from lightir_core.pruning.channels import Extent, Unit, floor_of, folded, narrowed, units
from lightir_core.published.presets import PRESETS, preset
from tests.search.compress.conftest import ARCHITECTURES


def sizes(architecture, *kinds):
    there = units(architecture).items()
    return {u: (e.lanes, e.size) for u, e in there if u.kind in kinds}


def test_units_by_hand(architectures):
    assert units(architectures["mlp"]) == {
        Unit("width"): Extent(1, 12),
        Unit("keys", 0, 0): Extent(2, 6),
        Unit("values", 0, 0): Extent(2, 6),
        Unit("heads", 0, 0): Extent(1, 2),
        Unit("hidden", 0, 0): Extent(1, 24),
    }
    assert sizes(architectures["convolution"], "convolution") == {
        Unit("convolution", 0, 0): (1, 12), Unit("convolution", 0, 1): (1, 12),
    }  # fmt: skip
    # two stages with one set of weights are one
    assert sizes(architectures["shared stages"], "hidden", "convolution") == {
        Unit("hidden", 0, 0): (1, 16), Unit("convolution", 0, 1): (1, 12),
        Unit("convolution", 2, 0): (1, 12),
    }  # fmt: skip
    # the two passes of the first stage lose different channels, but equally many
    assert sizes(architectures["some untied"], "hidden") == {
        Unit("hidden", 0, 0): (2, 16), Unit("hidden", 1, 0): (1, 16),
    }  # fmt: skip
    assert sizes(architectures["cross-layer"], "cross_keys") == {Unit("cross_keys", 1): (2, 2)}


def test_groups_and_heads_share_out_the_channels(architectures):
    grouped = folded(architectures["grouped"])  # 4 heads, 2 groups
    assert sizes(grouped, "width", "keys", "values", "heads") == {
        Unit("width"): (2, 6), Unit("keys", 0, 0): (4, 3), Unit("values", 0, 0): (4, 3),
        Unit("heads", 0, 0): (2, 2),
    }  # fmt: skip
    # 2 heads of 9 keys and 12 values, 3 groups, 2 at the output: no head falls into the groups
    assert sizes(architectures["groups across heads"], "width", "keys", "values", "heads") == {
        Unit("width"): (6, 2), Unit("keys", 0, 0): (6, 3), Unit("values", 0, 0): (6, 4),
    }  # fmt: skip


def test_a_channel_branch_ties_keys_to_values(architectures):
    found = sizes(architectures["channel branch"], "inner", "keys", "values", "heads")
    # as many channel heads as heads: neither can go without the other
    assert found == {Unit("inner", 0, 0): (2, 6), Unit("heads", 0, 0): (2, 1)}


def test_the_slices_of_a_cascade_stay_equally_wide(architectures):
    found = sizes(architectures["cascade"], "width", "keys", "values", "heads")
    assert found == {Unit("width"): (2, 6), Unit("keys", 0, 0): (2, 4)}


@pytest.mark.parametrize(
    "name", [*ARCHITECTURES, *(pytest.param(name, marks=pytest.mark.slow) for name in PRESETS)]
)
def test_narrowing_one_unit_changes_that_unit_alone(architectures, name):
    architecture = folded(preset(name) if name in PRESETS else architectures[name])
    there = units(architecture)
    assert narrowed(architecture, {}) == architecture
    for unit in {unit.kind: unit for unit in there}.values():  # the last of each kind
        extent = there[unit]
        if extent.size == 1:
            continue
        smaller = narrowed(architecture, {unit: Fraction(extent.size - 1, extent.size)})
        left = units(smaller)
        assert left[unit] == Extent(extent.lanes, extent.size - 1)
        inside = {"keys", "values", "inner"} if unit.kind == "heads" else set()
        others = {u for u in there if u != unit and u.kind not in inside}
        assert {u: left[u] for u in others} == {u: there[u] for u in others}
        with torch.device("meta"):
            image = torch.zeros(1, smaller.in_channels, 16, 16)
            assert build(smaller)(image).shape[-1] == 16 * smaller.scale


def test_narrowing_the_feed_forward_leaves_the_mixer_beside_it(architectures):
    architecture = architectures["convolution before an mlp"]
    unit = Unit("hidden", 0, 0)
    block = narrowed(architecture, {unit: Fraction(5, 16)}).stages[0].blocks[0]
    assert (block.mixer, block.feed_forward) == (
        ResidualConvolutionConfig(),
        MlpConfig(hidden_dim=5),
    )


def test_shared_stages_are_narrowed_together(architectures):
    smaller = narrowed(architectures["shared stages"], {Unit("hidden", 0, 0): Fraction(7, 16)})
    assert smaller.stages[0] == smaller.stages[1]
    assert smaller.stages[0].blocks[0].feed_forward == MlpConfig(hidden_dim=7)


def test_inner_widths_do_not_follow_the_trunk(architectures):
    smaller = narrowed(architectures["convolution"], {Unit("width"): Fraction(1, 2)})
    assert smaller.width == 6
    assert [b.mixer.hidden_dim for b in smaller.stages[0].blocks] == [12, 12]
    attention = narrowed(architectures["mlp"], {Unit("width"): Fraction(1, 2)})
    mixer = attention.stages[0].blocks[0].mixer
    assert (mixer.key_dim, mixer.value_dim) == (6, 6)


def test_a_floor_is_a_quarter_and_never_nothing():
    assert [floor_of(Extent(1, size)) for size in (1, 2, 8, 24)] == [1, 1, 2, 6]


def test_units_speak(architectures):
    architecture = replace(architectures["cross-layer"])
    words = {str(unit) for unit in units(architecture)}
    assert {"width", "hidden of stage 0, block 0", "cross-keys of stage 1"} <= words
