import copy

import pytest
import torch
from torch.func import functional_call

from lightir_core import architecture as arch
from lightir_core.blocks.cascade_attention import CascadeAttention, set_recomputation


def module_of(randomise, width=12, **changes):
    settings = arch.CascadeAttention(
        num_heads=3, key_dim=5, window_size=(4, 4), shift_size=(2, 2), **changes
    )
    torch.manual_seed(0)
    return randomise(CascadeAttention(settings, width))


def step(module, x):
    module.zero_grad()
    x = x.clone().requires_grad_()
    y = module(x)
    (y * torch.linspace(0, 1, y.numel()).view_as(y)).sum().backward()
    return y.detach(), x.grad, [p.grad.clone() for p in module.parameters()]


def test_parameters_match_the_closed_form():
    # h[(d + 2)(2k + d) + 27k] + C² + 2C + (2w − 1)²h, AgileIR's code: C=60, h=6, k=16, w=8
    settings = arch.CascadeAttention(num_heads=6, key_dim=16, window_size=(8, 8))
    assert sum(p.numel() for p in CascadeAttention(settings, 60).parameters()) == 10_686


def test_recomputation_changes_no_number(randomise):
    kept, forgetful = (module_of(randomise).train() for _ in range(2))
    set_recomputation(kept, enabled=False)
    x = torch.randn(2, 12, 8, 12)
    for _ in range(2):  # the second step sees the statistics of the first
        expected, actual = step(kept, x), step(forgetful, x)
        assert torch.equal(expected[0], actual[0])
        assert torch.equal(expected[1], actual[1])
        assert all(map(torch.equal, expected[2], actual[2]))
    assert all(map(torch.equal, kept.buffers(), forgetful.buffers()))


def test_recomputation_keeps_less(randomise):
    def kept_bytes(enabled):
        module = module_of(randomise, width=48).train()
        set_recomputation(module, enabled=enabled)
        storages = {}

        def pack(tensor):
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            y = module(torch.randn(1, 48, 16, 16, requires_grad=True))
        assert y.requires_grad
        return sum(storages.values())

    assert kept_bytes(enabled=True) < 0.5 * kept_bytes(enabled=False)


def test_recomputation_uses_lent_weights(randomise):
    module, lender = module_of(randomise).train(), module_of(randomise).train()
    lent = {name: (p.detach() * 1.5).requires_grad_() for name, p in module.named_parameters()}
    with torch.no_grad():
        for parameter, other in zip(lender.parameters(), lent.values(), strict=True):
            parameter.copy_(other)
    x = torch.randn(1, 12, 4, 8)
    functional_call(module, lent, x).square().sum().backward()
    lender(x).square().sum().backward()
    for (name, parameter), other in zip(lender.named_parameters(), lent.values(), strict=True):
        assert torch.allclose(parameter.grad, other.grad, atol=1e-5), name


def test_without_cascade_the_heads_do_not_see_each_other(randomise):
    # d = 4 channels a head; the output layer mixes heads, so look at what enters it
    x = torch.randn(1, 12, 4, 4)
    changed = x.clone()
    changed[:, :4] += 1
    for cascade in (True, False):
        module = module_of(randomise, cascade=cascade).eval()
        seen = []
        module.output.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[0]))
        module(x)
        module(changed)
        same = torch.equal(seen[0][:, 4:], seen[1][:, 4:])
        assert same != cascade


def test_mask_hides_the_opposite_border(randomise):
    x = torch.randn(1, 12, 8, 8)
    changed = x.clone()
    changed[..., -1, :] += 1
    for masked in (True, False):
        module = module_of(randomise, masked=masked).eval()
        with torch.no_grad():
            for head in module.heads:  # the filter on q reaches over the border, masked or not
                head.filter.weight[:, :, [0, 1, 3, 4]] = 0
            assert torch.equal(module(x)[..., 0, :], module(changed)[..., 0, :]) == masked


def test_branch_starts_as_nothing():
    settings = arch.CascadeAttention(num_heads=2, key_dim=4, window_size=(4, 4))
    module = CascadeAttention(settings, 8).train()
    assert not module(torch.randn(2, 8, 8, 8)).any()


def test_copies_are_independent(randomise):
    module = module_of(randomise).train()
    twin = copy.deepcopy(module)
    x = torch.randn(1, 12, 4, 4)
    step(twin, x)
    assert all(p.grad is None for p in module.parameters())
    assert torch.equal(module(x), twin(x))


@pytest.mark.parametrize("training", [True, False])
def test_runs_on_meta(training):
    settings = arch.CascadeAttention(num_heads=2, key_dim=4, window_size=(4, 4), shift_size=(2, 2))
    with torch.device("meta"):
        module = CascadeAttention(settings, 8).train(training)
        y = module(torch.empty(1, 8, 8, 4))
        y.sum().backward()
    assert y.shape == (1, 8, 8, 4)
