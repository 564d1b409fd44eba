import pytest
import torch
from torch.func import functional_call

from lightir_core import architecture as arch
from lightir_core.blocks.cascade_attention import CascadeAttention
from lightir_core.network import Block, recomputed, set_recomputation


def module_of(randomise, width=12):
    settings = arch.CascadeAttentionConfig(
        num_heads=3, key_dim=5, window_size=(4, 4), shift_size=(2, 2)
    )
    torch.manual_seed(0)
    return randomise(CascadeAttention(settings, width)).train()


def step(form, module, x):
    module.zero_grad()
    x = x.clone().requires_grad_()
    y = form(x)
    (y * torch.linspace(0, 1, y.numel()).view_as(y)).sum().backward()
    return y.detach(), x.grad, [p.grad.clone() for p in module.parameters()]


def test_it_changes_no_number(randomise):
    kept, forgetful = (module_of(randomise) for _ in range(2))
    x = torch.randn(2, 12, 8, 12)
    for _ in range(2):  # the second step sees the statistics of the first
        expected = step(kept, kept, x)
        actual = step(lambda x: recomputed(forgetful, x), forgetful, x)
        assert torch.equal(expected[0], actual[0])
        assert torch.equal(expected[1], actual[1])
        assert all(map(torch.equal, expected[2], actual[2]))
    assert all(map(torch.equal, kept.buffers(), forgetful.buffers()))


@pytest.mark.parametrize("mixer", ["cascade", "window"])
def test_it_keeps_less(mixer):
    settings = {
        "cascade": arch.CascadeAttentionConfig(num_heads=3, key_dim=5, window_size=(4, 4)),
        "window": arch.WindowAttentionConfig(num_heads=3, window_size=(4, 4)),
    }

    def kept_bytes(enabled):
        block = Block(arch.BlockConfig(mixer=settings[mixer], feed_forward=None), 48).train()
        set_recomputation(block, enabled=enabled)
        storages = {}

        def pack(tensor):
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            y = block(torch.randn(1, 48, 16, 16, requires_grad=True))
        assert y.requires_grad
        return sum(storages.values())

    assert kept_bytes(enabled=True) < 0.5 * kept_bytes(enabled=False)


def test_only_gswa_is_recomputed_at_first():
    block = Block(arch.BlockConfig(mixer=arch.ResidualConvolutionConfig(), feed_forward=None), 8)
    assert not block.recompute
    mixer = arch.CascadeAttentionConfig(num_heads=2, key_dim=2, window_size=(4, 4))
    assert Block(arch.BlockConfig(mixer=mixer, feed_forward=None), 8).recompute


def test_it_uses_lent_weights(randomise):
    module, lender = module_of(randomise), module_of(randomise)
    block = Block(
        arch.BlockConfig(
            mixer=arch.CascadeAttentionConfig(
                num_heads=3, key_dim=5, window_size=(4, 4), shift_size=(2, 2)
            ),
            feed_forward=None,
            norm="none",
        ),
        12,
    ).train()
    block.mixer = module
    lent = {name: (p.detach() * 1.5).requires_grad_() for name, p in block.named_parameters()}
    with torch.no_grad():
        for parameter, other in zip(lender.parameters(), lent.values(), strict=True):
            parameter.copy_(other)
    x = torch.randn(1, 12, 4, 8)
    functional_call(block, lent, x).square().sum().backward()
    (x + lender(x)).square().sum().backward()
    for (name, parameter), other in zip(lender.named_parameters(), lent.values(), strict=True):
        assert torch.allclose(parameter.grad, other.grad, atol=1e-5), name
