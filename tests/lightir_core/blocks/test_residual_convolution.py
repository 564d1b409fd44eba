import torch
from torch.nn import functional as F

from lightir_core import architecture as arch
from lightir_core.blocks.residual_convolution import ResidualConvolution


def test_it_is_convolution_relu_convolution(randomise):
    module = randomise(
        ResidualConvolution(arch.ResidualConvolutionConfig(hidden_dim=7, kernel_size=5), 4)
    )
    x = torch.randn(2, 4, 6, 5)
    inner = F.relu(F.conv2d(x, module.conv1.weight, module.conv1.bias, padding=2))
    expected = F.conv2d(inner, module.conv2.weight, module.conv2.bias, padding=2)
    assert torch.allclose(module(x), expected, atol=1e-6)


def test_size_is_edsr_baselines():
    module = ResidualConvolution(arch.ResidualConvolutionConfig(), 64)
    assert sum(p.numel() for p in module.parameters()) == 73_856  # 2(9·64² + 64)
