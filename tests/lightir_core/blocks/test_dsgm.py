import pytest
import torch
from torch.nn import functional as F

from lightir_core import architecture as arch
from lightir_core.blocks.dsgm import Dsgm

READINGS = {
    "cross": lambda u, v: torch.sigmoid(u) * v + u * F.gelu(v),
    "literal": lambda u, v: torch.sigmoid(u) * F.gelu(v) + torch.sigmoid(u) * F.gelu(v),
    "single": lambda u, v: torch.sigmoid(u) * v,
}


@pytest.mark.parametrize("reading", READINGS)
def test_reading(randomise, reading):
    module = randomise(Dsgm(arch.DsgmConfig(hidden_dim=6, reading=reading), 4))
    x = torch.randn(2, 4, 5, 3)
    tokens = x.permute(0, 2, 3, 1)
    u = module.depthwise_u(module.inward_u(tokens).permute(0, 3, 1, 2))
    v = module.depthwise_v(module.inward_v(tokens).permute(0, 3, 1, 2))
    expected = module.outward(READINGS[reading](u, v).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert torch.allclose(module(x), expected, atol=1e-6)


@pytest.mark.parametrize("reading", READINGS)
def test_size_is_the_same_for_every_reading(reading):
    # 3CE + 18E + 2E + 2E + C with C = 48, E = 72: the reconstruction's 12,000
    module = Dsgm(arch.DsgmConfig(hidden_dim=72, reading=reading), 48)
    assert sum(p.numel() for p in module.parameters()) == 12_000
