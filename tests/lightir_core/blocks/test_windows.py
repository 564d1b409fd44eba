import pytest
import torch

from lightir_core.blocks.windows import ShiftMask, merge_heads, roll, split_heads


def swin_mask(height, width, window, shift):
    """The full shift mask as Swin Transformer writes it: label regions, compare labels."""
    labels = torch.zeros(1, height, width, 1)
    count = 0
    for rows in (slice(0, -window[0]), slice(-window[0], -shift[0]), slice(-shift[0], None)):
        for columns in (slice(0, -window[1]), slice(-window[1], -shift[1]), slice(-shift[1], None)):
            labels[:, rows, columns] = count
            count += 1
    tokens = split_heads(labels, window, 1).flatten(0, 3).squeeze(-1)  # (windows, N)
    return tokens[:, :, None] != tokens[:, None, :]


def test_heads_are_contiguous_channels_and_tokens_row_major():
    x = torch.arange(2 * 4 * 6 * 4.0).view(2, 4, 6, 4)
    y = split_heads(x, (2, 3), 2)
    assert y.shape == (2, 2, 2, 2, 6, 2)
    assert torch.equal(y[1, 0, 1, 1, 4], x[1, 1, 4, 2:])  # token 4 of a 2x3 window: row 1, column 1
    assert torch.equal(merge_heads(y, (2, 3)), x)


@pytest.mark.parametrize(
    ("size", "window", "shift"),
    [((8, 8), (4, 4), (2, 2)), ((8, 12), (4, 6), (1, 5)), ((4, 4), (4, 4), (2, 2))],
)
def test_mask_is_swin_transformers(size, window, shift):
    grid = size[0] // window[0], size[1] // window[1]
    tokens = window[0] * window[1]
    logits = torch.zeros(3, *grid, 2, tokens, tokens)
    hidden = ShiftMask(window, shift)(logits) < -1e8
    expected = swin_mask(*size, window, shift)
    assert torch.equal(hidden[1, :, :, 0].flatten(0, 1), expected)
    assert torch.equal(hidden[2, :, :, 1].flatten(0, 1), expected)


def test_an_axis_without_shift_is_not_masked():
    mask = ShiftMask((4, 4), (2, 0))
    assert mask.columns is None
    hidden = mask(torch.zeros(1, 2, 2, 16, 16)) < -1e8
    assert not hidden[:, 0].any()
    assert hidden[:, 1].any()


def test_mask_leaves_gradients_alone():
    logits = torch.randn(1, 2, 2, 16, 16, requires_grad=True)
    out = ShiftMask((4, 4), (2, 2))(logits * 1).softmax(-1)
    out[0, 0, 0].sum().backward()
    assert logits.grad.isfinite().all()


def test_no_shift_costs_nothing():
    x = torch.randn(1, 4, 4, 2)
    assert roll(x, (0, 0)) is x
    assert torch.equal(roll(x, (1, 0))[:, 1:], x[:, :-1])
