import torch
from torch.nn import functional as F

from lightir_core import architecture as arch
from lightir_core.blocks.feed_forward import DepthwiseMlp, Mlp


def test_mlp_is_two_layers_with_the_exact_gelu(randomise):
    module = randomise(Mlp(arch.MlpConfig(hidden_dim=5), 3))
    x = torch.randn(2, 3, 4, 6)
    inner = F.gelu(module.inward(x.permute(0, 2, 3, 1)), approximate="none")
    assert torch.allclose(module(x), module.outward(inner).permute(0, 3, 1, 2), atol=1e-6)


def test_sizes_are_the_papers():
    plain, depthwise = (
        Mlp(arch.MlpConfig(hidden_dim=120), 60),
        DepthwiseMlp(arch.DepthwiseMlpConfig(hidden_dim=120), 60),
    )
    assert sum(p.numel() for p in plain.parameters()) == 14_580  # SwinIR-light
    assert sum(p.numel() for p in depthwise.parameters()) == 16_980  # GRFormer


def test_depthwise_mlp_without_its_convolutions_is_the_mlp(randomise):
    module = randomise(DepthwiseMlp(arch.DepthwiseMlpConfig(hidden_dim=6), 4))
    plain = Mlp(arch.MlpConfig(hidden_dim=6), 4)
    with torch.no_grad():
        module.depthwise2.weight.zero_()
        module.depthwise2.bias.zero_()
        plain.load_state_dict(
            {k: v for k, v in module.state_dict().items() if "depthwise" not in k}
        )
    x = torch.randn(1, 4, 5, 5)
    assert torch.allclose(module(x), plain(x), atol=1e-6)
