import pytest
import torch

from lightir_core.blocks import attention
from lightir_core.blocks.attention import attend
from lightir_core.blocks.windows import ShiftMask


def inputs(images=3, rows=4, columns=5, heads=2, tokens=6, width=3):
    torch.manual_seed(0)
    shape = (images, rows, columns, heads, tokens, width)
    return [torch.randn(shape, requires_grad=True) for _ in range(3)]


@pytest.mark.parametrize("windows_in_a_piece", [1, 3, 5, 7, 12, 20, 33, 60])
def test_pieces_change_nothing(monkeypatch, windows_in_a_piece):
    q, k, v = inputs()
    bias = torch.randn(2, 6, 6, requires_grad=True)
    mask = ShiftMask((2, 3), (1, 2))

    def run(piece_bytes):
        monkeypatch.setattr(attention, "PIECE_BYTES", piece_bytes)
        y = attend(q, k, v, bias, mask)
        return y, *torch.autograd.grad(y.square().sum(), (q, k, v, bias))

    window_bytes = 2 * 6 * 6 * 4
    whole = run(10**9)
    pieces = run(windows_in_a_piece * window_bytes)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(whole, pieces, strict=True))


def test_it_is_softmax_attention():
    q, k, v = inputs()
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=1.0)
    assert torch.allclose(attend(q, k, v), expected, atol=1e-6)


def test_uniform_bias_cancels():
    q, k, v = inputs()
    bias = torch.full((2, 6, 6), 8.0)
    assert torch.allclose(attend(q, k, v, bias), attend(q, k, v), atol=1e-5)


def test_half_precision_products_get_a_float32_bias():
    q, k, v = (x.bfloat16() for x in inputs())
    bias = torch.randn(2, 6, 6)
    bias[:, :, 0] += 100.0  # bfloat16 would round the differences between the other logits away
    y = attend(q, k, v, bias, ShiftMask((2, 3), (1, 2)))
    assert y.dtype == torch.bfloat16
    expected = attend(q.float(), k.float(), v.float(), bias, ShiftMask((2, 3), (1, 2)))
    assert torch.allclose(y.float(), expected, atol=0.05)


def test_keys_and_values_may_differ_in_width():
    q, k, _ = inputs()
    assert attend(q, k, torch.randn(3, 4, 5, 2, 6, 7)).shape == (3, 4, 5, 2, 6, 7)
