import shutil

import pytest
import torch
from torch import nn

from lightir_core.errors import TrainingError
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.step import precision, prepare_forward
from lightir_core.learning.training import train

QUICK = Recipe(name="quick", steps=4, batch=2, patch_px=8)
PATCHES = torch.rand(2, 3, 8, 8)


def trained(network, data, launch, device="cpu"):
    device = torch.device(device)
    train(network, data, QUICK, seed=1, device=device, validate=lambda _: 0.0, launch_mode=launch)
    return torch.cat([p.detach().flatten().cpu() for p in network.parameters()])


def test_an_eager_step_is_the_network_itself(built, attention):
    network = built(attention)
    assert prepare_forward(network, "eager", PATCHES, precision(torch.device("cpu"))) is network


def test_a_graph_needs_a_gpu(built, attention):
    with pytest.raises(TrainingError, match="a graphed step needs a CUDA GPU, not the device cpu"):
        prepare_forward(built(attention), "graphed", PATCHES, precision(torch.device("cpu")))


def test_a_graph_without_a_gpu_is_refused_before_the_first_step(built, attention, data):
    with pytest.raises(TrainingError, match="use eager"):
        trained(built(attention), data, "graphed")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_compiled_step_learns_the_same(built, convolutions, data):
    eager = trained(built(convolutions), data, "eager")
    compiled = trained(built(convolutions), data, "compiled")
    # Muon makes of a gradient a matrix of length one: what is rounded otherwise grows a little
    assert torch.allclose(compiled, eager, atol=2e-3)
    assert not torch.equal(eager, nn.utils.parameters_to_vector(built(convolutions).parameters()))


@pytest.mark.gpu
@pytest.mark.parametrize("architecture", ["convolutions", "attention"])
def test_a_graphed_step_learns_the_same(built, data, request, architecture):
    architecture = request.getfixturevalue(architecture)
    eager = trained(built(architecture), data, "eager", "cuda")
    graphed = trained(built(architecture), data, "graphed", "cuda")
    assert torch.allclose(graphed, eager, atol=2e-3)
