import torch

from lightir_core.blocks.casa import ChannelBranch


def maps():
    torch.manual_seed(0)
    return [torch.randn(2, 3, 5, 8) for _ in range(4)]


def attended(q, k, v, heads, temperature):
    """T by the formula, head by head."""
    outputs = []
    for q_h, k_h, v_h in zip(*(x.flatten(1, 2).mT.chunk(heads, 1) for x in (q, k, v)), strict=True):
        q_h = q_h / q_h.norm(dim=-1, keepdim=True)
        k_h = k_h / k_h.norm(dim=-1, keepdim=True)
        outputs.append((q_h @ k_h.mT * temperature).softmax(-1) @ v_h)
    return torch.cat(outputs, 1).mT.view_as(q)


def test_branches_gate_each_other():
    q, k, v, spatial = maps()
    for heads in (1, 4):
        module = ChannelBranch(heads)
        with torch.no_grad():
            module.temperature.fill_(1.5)
        T = attended(q, k, v, heads, 1.5)
        expected = spatial * torch.sigmoid(T) + T * torch.sigmoid(spatial)
        assert torch.allclose(module(q, k, v, spatial), expected, atol=1e-5)


def test_without_interaction_the_branches_add():
    q, k, v, spatial = maps()
    module = ChannelBranch(2, interaction=False)
    expected = spatial + attended(q, k, v, 2, 1.0)
    assert torch.allclose(module(q, k, v, spatial), expected, atol=1e-5)


def test_it_is_blind_to_position():
    q, k, v, spatial = maps()
    module = ChannelBranch(1)
    rolled = module(*(x.roll((1, 2), (1, 2)) for x in (q, k, v, spatial)))
    assert torch.allclose(rolled, module(q, k, v, spatial).roll((1, 2), (1, 2)), atol=1e-5)


def test_one_temperature_per_head_starts_at_one():
    module = ChannelBranch(3)
    assert torch.equal(module.temperature, torch.ones(3, 1, 1))
