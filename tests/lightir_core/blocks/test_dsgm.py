import pytest
import torch
from torch.nn import functional as F

from lightir_core import architecture as arch
from lightir_core.blocks.dsgm import Dsgm
from lightir_core.errors import ArchitectureError


def test_each_path_gates_and_is_gated(randomise):
    module = randomise(Dsgm(arch.DsgmConfig(hidden_dim=6), 4))
    x = torch.randn(2, 4, 5, 3)
    tokens = x.permute(0, 2, 3, 1)
    u = module.depthwise_u(module.inward_u(tokens).permute(0, 3, 1, 2))
    v = module.depthwise_v(module.inward_v(tokens).permute(0, 3, 1, 2))
    gated = torch.sigmoid(u) * v + u * F.gelu(v)
    expected = module.outward(gated.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert torch.allclose(module(x), expected, atol=1e-6)


def test_size():
    # 3CE + 18E + 2E + 2E + C with C = 48, E = 72: the reconstruction's 12,000
    module = Dsgm(arch.DsgmConfig(hidden_dim=72), 48)
    assert sum(p.numel() for p in module.parameters()) == 12_000


def test_other_readings_of_the_figure_are_refused():
    with pytest.raises(ArchitectureError, match="reading: Input should be 'cross'"):
        arch.DsgmConfig(hidden_dim=6, reading="literal")
