import math

import pytest
import torch
from torch import nn

from lightir_core.blocks.projection import build_projection
from lightir_core.learning.optimiser import Muon, Optimiser, orthogonal, schedule
from lightir_core.learning.recipe import Recipe

RECIPE = Recipe(name="test", steps=100, clip_norm=1e9)


def parameters_of(optimiser, kind):
    chosen = [o for o in optimiser._optimisers if isinstance(o, kind)]
    return [p for o in chosen for group in o.param_groups for p in group["params"]]


class Parts(nn.Module):
    """One parameter of each kind that a network has."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(16, 16, 3)
        self.dense = nn.Linear(12, 20)
        self.kernel = nn.Conv2d(8, 16, 3)
        self.depthwise = nn.Conv2d(16, 16, 3, groups=16)
        self.grouped = nn.Parameter(torch.randn(2, 10, 8))
        self.narrow = nn.Linear(16, 4)
        self.position_table = nn.Parameter(torch.randn(30, 12))
        self.norm = nn.LayerNorm(12)
        self.tail = nn.Conv2d(16, 12, 3)


@pytest.fixture
def parts():
    torch.manual_seed(0)
    return Parts()


def give_gradients(network, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def matrices(parts):
    """Plain two-dimensional copies of what Muon should get, with their gradients."""
    for name in ("dense.weight", "kernel.weight", "grouped"):
        parameter = parts.get_parameter(name)
        values, grads = parameter.detach(), parameter.grad
        if parameter.ndim == 4:  # out, (height, width, in)
            values, grads = (t.permute(0, 2, 3, 1).flatten(1) for t in (values, grads))
        pairs = zip(values, grads, strict=True) if parameter.ndim == 3 else [(values, grads)]
        yield from ((value.clone(), grad.clone()) for value, grad in pairs)


def test_muon_gets_the_matrices_inside_and_adam_the_rest(parts):
    optimiser = Optimiser(parts, RECIPE)
    muon = parameters_of(optimiser, Muon)
    assert [tuple(p.shape) for p in muon] == [(10, 8), (10, 8), (20, 12), (16, 72)]
    adam = {id(p) for p in parameters_of(optimiser, torch.optim.Adam)}
    inside = {"dense.weight", "kernel.weight", "grouped"}
    assert adam == {id(p) for name, p in parts.named_parameters() if name not in inside}


def test_adam_takes_all_if_the_recipe_says_so(parts):
    optimiser = Optimiser(parts, Recipe(name="x", steps=9, optimiser="adam"))
    assert len(parameters_of(optimiser, torch.optim.Adam)) == len(list(parts.parameters()))


def test_a_network_of_matrices_alone_needs_no_adam():
    network = nn.Linear(9, 9, bias=False)
    give_gradients(network)
    before = network.weight.detach().clone()
    Optimiser(network, RECIPE).step(0)
    assert not torch.equal(before, network.weight)


@pytest.mark.parametrize("name", ["dense.weight", "kernel.weight", "grouped"])
def test_views_share_memory_with_the_parameter(parts, name):
    optimiser = Optimiser(parts, RECIPE)
    parameter = parts.get_parameter(name)
    views = [v for p, views in optimiser._matrices if p is parameter for v in views]
    assert sum(view.numel() for view in views) == parameter.numel()
    for number, view in enumerate(views):
        with torch.no_grad():
            view.fill_(number + 7.0)
    expected = [7.0] if len(views) == 1 else [7.0, 8.0]
    assert sorted(parameter.detach().unique().tolist()) == expected


def test_a_kernel_keeps_its_values_when_it_becomes_channels_last(parts):
    before = parts.kernel.weight.detach().clone()
    Optimiser(parts, RECIPE)
    assert torch.equal(before, parts.kernel.weight)
    assert parts.kernel.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_step_is_muons_own_on_plain_matrices(parts, layout):
    parts.kernel.to(memory_format=layout)
    give_gradients(parts)
    expected = list(matrices(parts))
    for value, grad in expected:
        value.grad = grad
    for value, _ in expected:
        side = 3 if value.shape[1] == 9 * 8 else 1  # a kernel's rate is divided by its side
        muon = torch.optim.Muon(
            [value],
            lr=RECIPE.matrix_lr / side * schedule(3, RECIPE),
            weight_decay=RECIPE.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )
        muon.step()
    Optimiser(parts, RECIPE).step(3)
    for parameter in parts.parameters():
        parameter.grad = torch.zeros_like(parameter)  # `matrices` reads them
    for (value, _), (now, _) in zip(expected, matrices(parts), strict=True):
        torch.testing.assert_close(now, value)


def test_a_real_grouped_projection_goes_to_muon_group_by_group():
    projection = build_projection(32, 32, groups=2, residual=True)
    [weight] = [p for p in projection.parameters() if p.ndim > 1]
    assert weight.shape == (2, 16, 16)
    optimiser = Optimiser(projection, RECIPE)
    assert [tuple(p.shape) for p in parameters_of(optimiser, Muon)] == [(16, 16)] * 2


def test_gradients_are_clipped_together_and_cleared(parts):
    weight = parts.norm.weight
    before = weight.detach().clone()
    for parameter in parts.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)
    norms = []
    original = nn.utils.clip_grad_norm_

    def stage_outputs(parameters, limit):
        parameters = list(parameters)
        original(parameters, limit)
        norms.append(torch.stack([p.grad.norm() for p in parameters]).norm().item())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.utils, "clip_grad_norm_", stage_outputs)
        Optimiser(parts, Recipe(name="x", steps=10, clip_norm=0.5)).step(0)
    assert norms == [pytest.approx(0.5, rel=1e-4)]
    assert all(parameter.grad is None for parameter in parts.parameters())
    assert not torch.equal(before, weight)


def test_a_parameter_without_a_gradient_stays(parts):
    give_gradients(parts)
    parts.dense.weight.grad = None
    before = parts.dense.weight.detach().clone()
    Optimiser(parts, RECIPE).step(0)
    assert torch.equal(before, parts.dense.weight)


def test_the_schedule_by_hand():
    recipe = Recipe(name="x", steps=100, warmup=0.05, final_lr=0.02)
    assert [schedule(i, recipe) for i in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    # half of the 95 steps after the rise: (1 + 0.02) / 2, a little more as 47 is less than half
    assert schedule(5 + 47, recipe) == pytest.approx(
        0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * 47 / 95))
    )
    assert 0.02 < schedule(99, recipe) < 0.0215


def test_the_trapezoid_by_hand():
    recipe = Recipe(name="x", steps=100, warmup=0.05, final_lr=0.2, schedule="trapezoid")
    told = [schedule(i, recipe) for i in (0, 4, 5, 49, 50, 75, 99)]
    assert told == pytest.approx([0.2, 1, 1, 1, 1, 0.6, 0.2 + 0.8 * 0.02])


def test_the_rate_is_halved_where_swinir_halves_it():
    # github.com/JingyunLiang/SwinIR, train options: MultiStepLR at 250k, 400k, 450k, 475k of 500k
    recipe = Recipe(name="x", steps=500_000, warmup=0.01, schedule="halving")
    ends = (250_000, 400_000, 450_000, 475_000)
    assert schedule(2499, recipe) == 0.5  # half-way up a rise of 5000 steps
    assert [schedule(end - 1, recipe) for end in ends] == [1, 1 / 2, 1 / 4, 1 / 8]
    assert [schedule(end, recipe) for end in ends] == [1 / 2, 1 / 4, 1 / 8, 1 / 16]
    assert schedule(499_999, recipe) == 1 / 16


@pytest.mark.parametrize("shape", ["cosine", "trapezoid"])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 1000])
def test_the_schedule_rises_then_falls_and_stays_in_bounds(steps, shape):
    recipe = Recipe(name="x", steps=steps, warmup=0.1, final_lr=0.01, schedule=shape)
    rates = [schedule(i, recipe) for i in range(steps)]
    peak = rates.index(max(rates))
    assert max(rates) == 1
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert min(rates) >= min(0.01, rates[0])


def test_the_schedule_scales_both_optimisers(parts):
    optimiser = Optimiser(parts, RECIPE)
    give_gradients(parts)
    optimiser.step(0)
    rates = {type(o): o.param_groups[0]["lr"] for o in reversed(optimiser._optimisers)}
    first = schedule(0, RECIPE)
    assert rates[torch.optim.Adam] == pytest.approx(RECIPE.lr * first)
    assert rates[Muon] == pytest.approx(RECIPE.matrix_lr * first)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_it_is_torchs_muon(weight_decay):
    torch.manual_seed(0)
    theirs = [torch.randn(shape) for shape in ((8, 8), (8, 8), (24, 8), (8, 90), (24, 8))]
    ours = [matrix.clone() for matrix in theirs]
    known = torch.optim.Muon(
        theirs, lr=0.02, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    muon = Muon(ours, lr=0.02, weight_decay=weight_decay)
    for _ in range(5):
        for a, b in zip(theirs, ours, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        known.step()
        muon.step()
    for a, b in zip(theirs, ours, strict=True):
        # products of stacked matrices may be rounded otherwise, to half precision
        torch.testing.assert_close(b, a, atol=2e-3, rtol=0)
        assert torch.equal(muon.state[b]["momentum_buffer"], known.state[a]["momentum_buffer"])


def test_singular_values_come_close_to_one():
    torch.manual_seed(0)
    for shape in ((3, 16, 16), (2, 12, 40), (2, 40, 12)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)).float())
        assert values.min() > 0.3
        assert values.max() < 1.4


def test_a_matrix_without_a_gradient_stays():
    matrices = [torch.ones(8, 8), torch.ones(8, 8)]
    matrices[0].grad = torch.eye(8)
    Muon(matrices, lr=0.1).step()
    assert not torch.equal(matrices[0], torch.ones(8, 8))
    assert torch.equal(matrices[1], torch.ones(8, 8))
