import pytest
import torch
from torch import nn

from lightir_core.blocks.projection import GroupedLinear, ResidualProjection, build_projection


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(12,), (3, 12), (2, 4, 5, 12)])
def test_grouped_linear_is_the_block_diagonal_matrix(randomise, bias, shape):
    layer = randomise(GroupedLinear(12, 18, 3, bias=bias))
    x = torch.randn(shape)
    expected = x @ torch.block_diag(*layer.weight).t()
    if bias:
        expected = expected + layer.bias
    assert torch.allclose(layer(x), expected, atol=1e-5)


def test_grouped_linear_takes_maps_that_are_views():
    layer = GroupedLinear(12, 12, 2)
    x = torch.randn(2, 12, 5, 4).permute(0, 2, 3, 1)
    assert torch.allclose(layer(x), layer(x.contiguous()), atol=1e-6)


def test_grouped_residual_layer_has_the_papers_size():
    layer = build_projection(60, 60, groups=2, residual=True)
    assert sum(p.numel() for p in layer.parameters()) == 1860  # C²/g + C
    x = torch.randn(4, 60)
    assert torch.allclose(layer(x), x + layer.map(x))


def test_kinds():
    assert isinstance(build_projection(4, 8), nn.Linear)
    assert build_projection(4, 8, bias=False).bias is None
    assert isinstance(build_projection(4, 8, groups=2), GroupedLinear)
    assert isinstance(build_projection(4, 4, residual=True), ResidualProjection)


@pytest.mark.parametrize("groups", [1, 2])
def test_initial_weights_are_small_and_biases_zero(groups):
    layer = build_projection(64, 64, groups=groups)
    assert 0.01 < layer.weight.std() < 0.03
    assert not layer.bias.any()
