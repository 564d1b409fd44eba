"""Proxies against their equations, and on every kind of network."""

import math
import random

import pytest
import torch
from torch import nn

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    BodyConfig,
    ResidualConvolutionConfig,
    StageConfig,
    TailConfig,
)
from lightir_core.learning.proxies import PROXIES, awake, grad_norm, naswot, synflow
from lightir_core.network import build
from spaces import SPACES, TaskShape

CONVOLUTION = Architecture(
    width=8,
    scale=2,
    stages=(
        StageConfig(
            blocks=(BlockConfig(mixer=ResidualConvolutionConfig(), norm="none"),), closing="none"
        ),
    ),
    body=BodyConfig(norm=False),
    tail=TailConfig(skip="interpolated"),
)


def fresh(architecture=CONVOLUTION, seed=0):
    torch.manual_seed(seed)
    return build(architecture)


def batch(images=4, side=8):
    generator = torch.Generator().manual_seed(3)
    return (
        torch.rand(images, 3, side, side, generator=generator),
        torch.rand(images, 3, 2 * side, 2 * side, generator=generator),
    )


def test_synflow_is_its_equation():
    """Without norms every term θ ∂R/∂θ is positive, as Tanaka et al. have it."""
    lq, gt = batch()
    score = synflow(fresh(), lq, gt)
    network = awake(fresh()).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    network(torch.ones(1, 3, 8, 8, dtype=torch.float64)).sum().backward()
    assert all((p.grad >= 0).all() for p in network.parameters())
    total = sum((p * p.grad).sum().item() for p in network.parameters())
    assert score == pytest.approx(math.log1p(total))


def test_gradient_norm_is_that_of_the_loss():
    lq, gt = batch()
    network = awake(fresh()).train()
    (network(lq) - gt).abs().mean().backward()
    expected = sum(p.grad.square().sum().sqrt().item() for p in network.parameters())
    assert grad_norm(fresh(), lq, gt) == pytest.approx(expected)


def test_naswot_counts_units_of_equal_sign():
    """By hand, of a network with one ReLU and one mixer."""
    lq, gt = batch(3)
    network = awake(fresh()).eval()
    seen = []
    mixer = network.stages[0].blocks[0].mixer
    mixer.conv1.register_forward_hook(lambda module, args, y: seen.append(y))
    mixer.register_forward_hook(lambda module, args, y: seen.append(y))
    with torch.no_grad():
        network(lq)
    codes = torch.cat([(y > 0).flatten(1) for y in seen], dim=1)
    kernel = [[float((a == b).sum()) for b in codes] for a in codes]
    expected = torch.tensor(kernel, dtype=torch.float64).logdet().item()
    assert naswot(fresh(), lq, gt) == pytest.approx(expected)


def test_images_that_look_the_same_make_naswot_worthless():
    lq, gt = batch(3)
    alike = lq[:1].expand(3, -1, -1, -1).clone()
    assert naswot(fresh(), alike, gt) < naswot(fresh(), lq, gt)


@pytest.mark.parametrize("proxy", PROXIES)
def test_every_kind_of_network_has_a_finite_score(proxy):
    lq, gt = batch(4, 16)
    scores = []
    for name, space in SPACES.items():
        rng = random.Random(5)
        for _ in range(2 if name == "default" else 1):
            network = fresh(space.decode(space.sample(rng), TaskShape(scale=2)))
            scores.append(PROXIES[proxy](network, lq, gt))
    assert all(math.isfinite(score) for score in scores)
    assert len(set(scores)) == len(scores)


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_seed_decides(proxy):
    lq, gt = batch()
    assert PROXIES[proxy](fresh(), lq, gt) == PROXIES[proxy](fresh(), lq, gt)
    assert PROXIES[proxy](fresh(), lq, gt) != PROXIES[proxy](fresh(seed=1), lq, gt)


def test_layers_that_start_at_zero_are_woken_and_nothing_else_changes():
    before = {name: p.detach().clone() for name, p in fresh().named_parameters()}
    for name, parameter in awake(fresh()).named_parameters():
        if before[name].any() or name.endswith("bias"):
            assert torch.equal(parameter, before[name])
        else:
            assert parameter.any()
    norm = nn.BatchNorm2d(4)
    nn.init.zeros_(norm.weight)
    assert torch.equal(awake(norm).weight, torch.ones(4))
