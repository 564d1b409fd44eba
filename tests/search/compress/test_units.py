import pytest
import torch

from lightir_core.architecture import Mlp, ResidualConvolution
from lightir_core.network import build
from search.compress.units import Unit, module_of, narrowed, units

NAMES = (
    "mlp", "depthwise_mlp", "dsgm", "convolution", "convolution before an mlp", "recursion",
    "shared stages", "some untied",
)  # fmt: skip


def test_units_by_hand(architectures):
    assert units(architectures["mlp"]) == {Unit(0, 0): 24}
    assert units(architectures["convolution"]) == {Unit(0, 0): 12, Unit(0, 1): 12}
    assert units(architectures["recursion"]) == {Unit(0, 0): 16, Unit(0, 1): 12}
    # two stages with one set of weights are one
    assert units(architectures["shared stages"]) == {
        Unit(0, 0): 16, Unit(0, 1): 12, Unit(1, 0): 12,
    }  # fmt: skip
    # the passes of the first stage would lose different channels
    assert units(architectures["some untied"]) == {Unit(1, 0): 16, Unit(1, 1): 12}


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_is_the_module_with_its_hidden_channels(architectures, name):
    architecture = architectures[name]
    with torch.device("meta"):
        network = build(architecture)
    for unit, hidden in units(architecture).items():
        shapes = [tuple(p.shape) for p in module_of(network, unit).parameters()]
        assert any(shape[0] == hidden for shape in shapes)
        assert any(shape[0] == architecture.width for shape in shapes)


@pytest.mark.parametrize("name", NAMES)
def test_narrowing_changes_the_hidden_channels_and_nothing_else(architectures, name):
    architecture = architectures[name]
    there = units(architecture)
    assert narrowed(architecture, there) == architecture
    fewer = {unit: hidden - 3 for unit, hidden in there.items()}
    smaller = narrowed(architecture, fewer)
    assert units(smaller) == fewer
    assert narrowed(smaller, there) == architecture
    with torch.device("meta"):
        assert build(smaller)(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 16, 16)


def test_narrowing_the_feed_forward_leaves_the_mixer_beside_it(architectures):
    architecture = narrowed(architectures["convolution before an mlp"], {Unit(0, 0): 5})
    block = architecture.stages[0].blocks[0]
    assert (block.mixer, block.feed_forward) == (ResidualConvolution(), Mlp(hidden_dim=5))


def test_shared_stages_are_narrowed_together(architectures):
    stages = narrowed(architectures["shared stages"], {Unit(0, 0): 7}).stages
    assert [s.blocks[0].feed_forward.hidden_dim for s in stages[:2]] == [7, 7]
    assert stages[2] == architectures["shared stages"].stages[2]
