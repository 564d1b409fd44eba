import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lightir_core import architecture as arch
from lightir_core.blocks.window_attention import WindowAttention

SWIN = arch.WindowAttentionConfig(num_heads=6, window_size=(8, 8))
GRSA = arch.WindowAttentionConfig(
    num_heads=3,
    window_size=(8, 32),
    projection=arch.ProjectionConfig(groups=2, residual=True),
    output=arch.ProjectionConfig(groups=2),
    logits="cosine",
    position=arch.ExponentialPositionConfig(),
)
CASA = arch.WindowAttentionConfig(
    num_heads=4,
    window_size=(8, 8),
    projection=arch.ProjectionConfig(bias=False),
    channel=arch.ChannelBranchConfig(),
    depthwise_value=True,
)


def params(settings, width):
    return sum(p.numel() for p in WindowAttention(settings, width).parameters())


def macs(settings, width, height, columns):
    with torch.device("meta"), torch.no_grad():
        module = WindowAttention(settings, width)
        with FlopCounterMode(display=False) as counter:
            module(torch.empty(1, width, height, columns))
    return counter.get_total_flops() // 2


def test_sizes_are_the_papers():
    assert params(SWIN, 60) == 15_990  # qkv 10,980, output 3,660, table 1,350
    assert params(GRSA, 60) == 8_211  # 4(C²/g + C) + h + 3M + Mh
    assert params(CASA, 48) == 10_645  # 4C² + C + 10C + 1 + 4·15²


def test_macs_match_swin_eq_2():
    # 4·HW·C² + 2·M²·HW·C, Swin Transformer Eq. (2)
    assert macs(SWIN, 60, 64, 64) == 90_439_680


def test_macs_match_grsa():
    T, C, N, M, h = 64 * 64, 60, 256, 128, 3
    assert macs(GRSA, C, 64, 64) == 2 * T * C * C + 2 * T * N * C + 15 * 63 * (2 * M + M * h)


def test_macs_match_casa():
    T, C, N = 64 * 64, 48, 64
    assert macs(CASA, C, 64, 64) == T * (4 * C * C + 2 * N * C + 2 * C * C + 9 * C)


def test_grouped_projection_without_residual_equals_dense_blocks(randomise):
    settings = arch.WindowAttentionConfig(
        num_heads=2, window_size=(4, 4), projection=arch.ProjectionConfig(groups=3)
    )
    grouped = randomise(WindowAttention(settings, 12))
    dense = WindowAttention(arch.WindowAttentionConfig(num_heads=2, window_size=(4, 4)), 12)
    with torch.no_grad():
        for name in ("q", "k", "v"):
            part = getattr(grouped, name)
            getattr(dense, name).weight.copy_(torch.block_diag(*part.weight))
            getattr(dense, name).bias.copy_(part.bias)
        dense.output.load_state_dict(grouped.output.state_dict())
        dense.position.load_state_dict(grouped.position.state_dict())
    x = torch.randn(2, 12, 8, 4)
    assert torch.allclose(grouped(x), dense(x), atol=1e-5)


def test_cosine_logits_ignore_the_length_of_queries(randomise):
    settings = arch.WindowAttentionConfig(
        num_heads=2,
        window_size=(4, 4),
        logits="cosine",
        projection=arch.ProjectionConfig(bias=False),
    )
    module = randomise(WindowAttention(settings, 8))
    x = torch.randn(1, 8, 4, 4)
    before = module(x)
    with torch.no_grad():
        module.q.weight.mul_(7)
    assert torch.allclose(module(x), before, atol=1e-4)


def test_temperature_stops_at_a_hundred(randomise):
    settings = arch.WindowAttentionConfig(num_heads=2, window_size=(4, 4), logits="cosine")
    module = randomise(WindowAttention(settings, 8))
    x = torch.randn(1, 8, 4, 4)
    outputs = []
    for value in (math.log(100), 50.0):
        with torch.no_grad():
            module.log_tau.fill_(value)
        outputs.append(module(x))
    assert torch.equal(*outputs)


def test_a_fresh_temperature_is_ten():
    assert torch.allclose(WindowAttention(GRSA, 60).log_tau.exp(), torch.tensor(10.0))


@pytest.mark.parametrize("shift", [(0, 0), (2, 2)])
def test_windows_are_independent(randomise, shift):
    settings = arch.WindowAttentionConfig(num_heads=2, window_size=(4, 4), shift_size=shift)
    module = randomise(WindowAttention(settings, 8))
    x = torch.randn(1, 8, 12, 12)
    changed = x.clone()
    changed[..., 5, 5] += 1
    touched = (module(x) != module(changed)).any(dim=1)[0]
    first = 4 if shift == (0, 0) else 2
    expected = torch.zeros(12, 12, dtype=torch.bool)
    expected[first : first + 4, first : first + 4] = True
    assert torch.equal(touched, expected)


def test_shift_never_mixes_opposite_borders(randomise):
    settings = arch.WindowAttentionConfig(num_heads=2, window_size=(4, 4), shift_size=(2, 2))
    module = randomise(WindowAttention(settings, 8))
    x = torch.randn(1, 8, 8, 8)
    changed = x.clone()
    changed[..., -1, -1] += 1
    touched = (module(x) != module(changed)).any(dim=1)[0]
    assert touched.nonzero().min() >= 6


def test_shift_and_depthwise_value_work_together(randomise):
    # the depth-wise branch sees the map as it lies, not the rolled one
    settings = arch.WindowAttentionConfig(
        num_heads=2, window_size=(4, 4), shift_size=(2, 2), depthwise_value=True
    )
    module = randomise(WindowAttention(settings, 8))
    x = torch.randn(1, 8, 8, 8)
    changed = x.clone()
    changed[..., -1, -1] += 1
    touched = (module(x) != module(changed)).any(dim=1)[0]
    assert touched.nonzero().min() >= 6


def test_key_and_value_widths_are_free():
    settings = arch.WindowAttentionConfig(num_heads=3, window_size=(4, 4), key_dim=2, value_dim=5)
    module = WindowAttention(settings, 12)
    assert module.q.out_features == 6
    assert module.v.out_features == 15
    assert module(torch.randn(1, 12, 4, 8)).shape == (1, 12, 4, 8)
