import pytest
import torch
import torch.nn.functional as F
from torch import nn

from budgets.trace import FREE, MACS, MacCounter, count_macs
from lightir_core.errors import BudgetError


def meta(*shape):
    return torch.empty(*shape, device="meta")


@pytest.mark.parametrize(
    ("function", "macs"),
    [
        # worked out by hand: rows x inner x columns
        (lambda: meta(5, 7) @ meta(7, 3), 5 * 7 * 3),
        (lambda: meta(7) @ meta(7), 7),
        (lambda: meta(5, 7) @ meta(7), 5 * 7),
        (lambda: meta(2, 4, 5, 7) @ meta(2, 4, 7, 3), 2 * 4 * 5 * 7 * 3),
        (lambda: meta(2, 4, 5, 7) @ meta(7, 3), 2 * 4 * 5 * 7 * 3),
        (lambda: torch.bmm(meta(2, 5, 7), meta(2, 7, 3)), 2 * 5 * 7 * 3),
        (lambda: torch.addmm(meta(3), meta(5, 7), meta(7, 3)), 5 * 7 * 3),
        (lambda: torch.addmv(meta(5), meta(5, 7), meta(7)), 5 * 7),
        (lambda: torch.baddbmm(meta(2, 5, 3), meta(2, 5, 7), meta(2, 7, 3)), 2 * 5 * 7 * 3),
        (lambda: torch.addbmm(meta(5, 3), meta(2, 5, 7), meta(2, 7, 3)), 2 * 5 * 7 * 3),
        (lambda: F.linear(meta(2, 9, 8), meta(6, 8), meta(6)), 2 * 9 * 8 * 6),
        (lambda: torch.einsum("bhnd,bhmd->bhnm", meta(2, 4, 64, 8), meta(2, 4, 64, 8)), 262_144),
        (lambda: torch.einsum("bngi,goi->bngo", meta(2, 9, 2, 4), meta(2, 6, 4)), 2 * 9 * 2 * 24),
        # attention: N·M·(d + dv) per head, whatever kernel computes it
        (
            lambda: F.scaled_dot_product_attention(
                meta(2, 4, 16, 8), meta(2, 4, 9, 8), meta(2, 4, 9, 6)
            ),
            2 * 4 * 16 * 9 * (8 + 6),
        ),
        # convolutions: output elements x filter size
        (lambda: F.conv2d(meta(2, 8, 9, 9), meta(6, 8, 3, 3), padding=1), 2 * 6 * 81 * 8 * 9),
        (lambda: F.conv2d(meta(2, 8, 9, 9), meta(8, 1, 3, 3), groups=8), 2 * 8 * 49 * 9),
        (lambda: F.conv2d(meta(1, 3, 9, 9), meta(4, 3, 3, 3), stride=3), 4 * 9 * 27),
        (lambda: F.conv1d(meta(1, 3, 9), meta(4, 3, 3)), 4 * 7 * 9),
        (lambda: F.conv_transpose2d(meta(2, 8, 5, 5), meta(8, 6, 3, 3)), 2 * 8 * 25 * 6 * 9),
        (lambda: F.conv_transpose2d(meta(2, 8, 5, 5), meta(8, 3, 3, 3), groups=2), 2 * 8 * 25 * 27),
    ],
)
def test_multiply_adds_by_hand(function, macs):
    assert count_macs(function) == macs


@pytest.mark.parametrize(
    "function",
    [
        lambda: F.layer_norm(meta(2, 9, 8), (8,)),
        lambda: F.softmax(meta(2, 9, 8), -1),
        lambda: F.gelu(meta(2, 9)) * meta(2, 9) + torch.sigmoid(meta(2, 9)),
        lambda: F.normalize(meta(2, 9), dim=-1),
        lambda: F.interpolate(meta(1, 3, 8, 8), scale_factor=2, mode="bicubic"),
        lambda: F.grid_sample(meta(1, 3, 8, 8), meta(1, 4, 4, 2), align_corners=False),
        lambda: F.pixel_shuffle(meta(1, 12, 8, 8), 2),
        lambda: F.pad(torch.roll(meta(1, 3, 8, 8), (1, 2), (2, 3)), (0, 3, 0, 3), mode="reflect"),
        lambda: F.pad(meta(1, 3, 8, 8), (1, 1, 1, 1)),
        lambda: meta(9, 4)[torch.zeros(3, 3, dtype=torch.long, device="meta")],
        lambda: F.unfold(meta(1, 3, 8, 8), 3),
        lambda: F.gumbel_softmax(meta(2, 9), hard=True),
    ],
)
def test_everything_else_is_free(function):
    assert count_macs(function) == 0


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda: torch.fft.rfft2(meta(2, 8, 8)), "_fft_r2c"),
        (lambda: torch.cdist(meta(2, 9, 8), meta(2, 9, 8)), "_cdist_forward"),
        (lambda: F.bilinear(meta(5, 8), meta(5, 8), meta(3, 8, 8)), "_trilinear"),
    ],
)
def test_unknown_arithmetic_is_an_error_that_names_it(function, name):
    with pytest.raises(BudgetError, match=f"operation '{name}' is not known; give it a formula"):
        count_macs(function)


def test_fused_attention_costs_the_same_on_real_tensors_in_every_mode():
    # torch's own counter and fvcore both say 0 for the fused CPU kernel
    query = torch.randn(2, 4, 64, 8)
    expected = 2 * 4 * 64 * 64 * 16
    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with mode(), MacCounter() as counter:
            F.scaled_dot_product_attention(query, query, query)
        assert counter.macs == expected


def test_a_module_costs_the_same_in_inference_mode_as_in_training():
    with torch.device("meta"):
        module = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 36, 5))
        image = torch.empty(2, 3, 6, 6)
    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with mode(), MacCounter() as counter:
            module(image)
        assert counter.macs == 2 * (8 * 36 * 27 + 8 * 36 * 5)


def test_no_operation_is_both_free_and_counted():
    assert not FREE & MACS.keys()


def test_every_listed_operation_exists():
    assert [name for name in FREE | MACS.keys() if not hasattr(torch.ops.aten, name)] == []
