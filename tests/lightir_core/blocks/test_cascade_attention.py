import copy

import pytest
import torch

from lightir_core import architecture as arch
from lightir_core.blocks.cascade_attention import CascadeAttention, normed_linear


def module_of(randomise, width=12, **changes):
    settings = arch.CascadeAttentionConfig(
        num_heads=3, key_dim=5, window_size=(4, 4), shift_size=(2, 2), **changes
    )
    torch.manual_seed(0)
    return randomise(CascadeAttention(settings, width))


def test_parameters_match_the_closed_form():
    # h[(d + 2)(2k + d) + 27k] + C² + 2C + (2w − 1)²h, AgileIR's code: C=60, h=6, k=16, w=8
    settings = arch.CascadeAttentionConfig(num_heads=6, key_dim=16, window_size=(8, 8))
    assert sum(p.numel() for p in CascadeAttention(settings, 60).parameters()) == 10_686


def test_without_cascade_the_heads_do_not_see_each_other(randomise):
    # d = 4 channels a head; an output layer that mixes no heads shows what each of them gives
    x = torch.randn(1, 12, 4, 4)
    changed = x.clone()
    changed[:, :4] += 1
    for cascade in (True, False):
        module = module_of(randomise, cascade=cascade).eval()
        with torch.no_grad():
            module.output.weight.copy_(torch.eye(12)[:, :, None, None])
        same = torch.equal(module(x)[:, 4:], module(changed)[:, 4:])
        assert same != cascade


@pytest.mark.parametrize("far", [0.0, 100.0])
def test_folded_norm_is_batch_norm(far):
    torch.manual_seed(0)
    conv, norm = torch.nn.Conv2d(6, 10, 1, bias=False), torch.nn.BatchNorm2d(10)
    other = copy.deepcopy(norm)
    x = torch.randn(5, 4, 3, 6) + far
    for training in (True, True, False):
        norm.train(training)
        other.train(training)
        expected = other(conv(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        torch.testing.assert_close(normed_linear(conv, norm, x), expected, atol=1e-4, rtol=1e-4)
    for actual, wanted in zip(norm.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(actual, wanted, atol=1e-4, rtol=1e-4)


def test_mask_hides_the_opposite_border(randomise):
    x = torch.randn(1, 12, 8, 8)
    changed = x.clone()
    changed[..., -1, :] += 1
    for masked in (True, False):
        module = module_of(randomise).eval()
        module.mask = module.mask if masked else None
        with torch.no_grad():
            for head in module.heads:  # the filter on q reaches over the border, masked or not
                head.filter.weight[:, :, [0, 1, 3, 4]] = 0
            assert torch.equal(module(x)[..., 0, :], module(changed)[..., 0, :]) == masked


def test_branch_starts_as_nothing():
    settings = arch.CascadeAttentionConfig(num_heads=2, key_dim=4, window_size=(4, 4))
    module = CascadeAttention(settings, 8).train()
    assert not module(torch.randn(2, 8, 8, 8)).any()


def test_copies_are_independent(randomise):
    module = module_of(randomise).train()
    twin = copy.deepcopy(module)
    x = torch.randn(1, 12, 4, 4)
    twin(x).sum().backward()
    assert all(p.grad is None for p in module.parameters())
    assert torch.equal(module(x), twin(x))


@pytest.mark.parametrize("training", [True, False])
def test_runs_on_meta(training):
    settings = arch.CascadeAttentionConfig(
        num_heads=2, key_dim=4, window_size=(4, 4), shift_size=(2, 2)
    )
    with torch.device("meta"):
        module = CascadeAttention(settings, 8).train(training)
        y = module(torch.empty(1, 8, 8, 4))
        y.sum().backward()
    assert y.shape == (1, 8, 8, 4)
