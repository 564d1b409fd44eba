import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.crosscheck import count_with_fvcore
from budgets.budget import Size
from budgets.price import price
from lightir_core.errors import BudgetError
from lightir_core.network import build
from lightir_core.published.presets import preset
from tests.budgets.random_architectures import random_architecture

SIDE = 32


@pytest.mark.parametrize(
    "name", ["swinir-light", "grformer", "compacter", "drt", "edsr-baseline", "edsr-acla"]
)
def test_fvcore_agrees_on_presets(name):
    architecture = preset(name, "sr-x2")
    network = build(architecture).eval()
    macs = count_with_fvcore(network, torch.rand(1, 3, SIDE, SIDE))
    assert macs == price(architecture, Size(2 * SIDE, 2 * SIDE)).macs


@pytest.mark.parametrize("seed", [0, 2, 6])
def test_fvcore_agrees_on_random_networks(seed):
    architecture = random_architecture(seed)
    network = build(architecture).eval()
    macs = count_with_fvcore(network, torch.rand(1, architecture.in_channels, SIDE, SIDE))
    size = Size(SIDE * architecture.scale, SIDE * architecture.scale)
    assert macs == price(architecture, size).macs


class Foreign(nn.Module):
    """A network that no architecture describes."""

    def __init__(self, operation):
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.operation = operation

    def forward(self, x):
        return self.operation(self.norm(x))


@pytest.mark.parametrize(
    ("operation", "macs"),
    [
        # fvcore alone counts both as nothing
        (lambda x: F.scaled_dot_product_attention(x, x, x), 2 * 4 * 16 * 16 * (8 + 8)),
        (lambda x: torch.baddbmm(x[0, :, :1, :1], x[0], x[1].transpose(1, 2)), 4 * 16 * 8 * 16),
        (lambda x: x @ x.transpose(2, 3), 2 * 4 * 16 * 8 * 16),
        (lambda x: F.interpolate(x, scale_factor=2), 0),
    ],
)
def test_foreign_networks_are_counted_with_attention_and_without_norms(operation, macs):
    assert count_with_fvcore(Foreign(operation), torch.rand(2, 4, 16, 8)) == macs


def test_what_fvcore_does_not_know_is_an_error():
    with pytest.raises(BudgetError, match=r"fvcore does not know .*fft_rfft2"):
        count_with_fvcore(Foreign(lambda x: torch.fft.rfft2(x).abs()), torch.rand(2, 4, 16, 8))
