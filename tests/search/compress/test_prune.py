"""Pruning is masking, to the very channel that the budget asks for."""

import copy

import pytest
import torch

from budgets.budget import Budget
from budgets.price import price
from budgets.units import Size
from lightir_core.errors import SearchError
from search.compress import prune as pruning
from search.compress.prune import FLOOR, prune, smallest
from search.compress.units import module_of, narrowed, units
from tests.search.compress.conftest import ARCHITECTURES

SIZE = Size(64, 64)

every_kind = pytest.mark.parametrize("name", ARCHITECTURES)


def target(architecture, share=0.5, axis="params"):
    """A budget `share` of the way down from the whole network to the smallest."""
    whole, least = (
        getattr(cost, axis) for cost in (price(architecture, SIZE), smallest(architecture, SIZE))
    )
    return Budget.parse(f"{axis}={round(whole - share * (whole - least))}")


def root_of(module):
    return next(
        layer for name in pruning.ROOTS if (layer := getattr(module, name, None)) is not None
    )


def outward_of(module):
    return module.conv2 if hasattr(module, "conv2") else module.outward


def gone_channels(before, after):
    """Indices of the hidden channels of `before` whose weights are not in `after`."""
    rows = root_of(before).weight.flatten(1)
    left = root_of(after).weight.flatten(1)
    distances = torch.cdist(left.double(), rows.double())
    kept = distances.argmin(dim=1)
    assert distances.min(dim=1).values.max() == 0
    assert kept.tolist() == sorted(set(kept.tolist())), "the order of the channels is kept"
    return sorted(set(range(len(rows))) - set(kept.tolist()))


@torch.no_grad()
def masked(network, pruned):
    """A copy of `network` in which what `pruned` has lost reaches nothing."""
    network = copy.deepcopy(network)
    for unit in units(network.architecture):
        module = module_of(network, unit)
        gone = gone_channels(module, module_of(pruned, unit))
        outward_of(module).weight[:, gone] = 0
    return network


@torch.no_grad()
def difference(first, second, channels):
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(2, channels, *sides, generator=generator) for sides in ((16, 16), (9, 21))]
    return max((first(image) - second(image)).abs().max().item() for image in images)


@every_kind
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_the_pruned_network_is_the_masked_one(trained, patches, architectures, name, share):
    architecture = architectures[name]
    network = trained(architecture)
    budget = target(architecture, share)
    pruned = prune(network, budget, SIZE, patches(architecture), seed=0)
    channels = architecture.in_channels
    assert difference(pruned.network, masked(network, pruned.network), channels) <= 1e-5
    assert difference(pruned.network, network, channels) > 1e-3  # the mask matters


@every_kind
def test_the_result_is_as_large_as_the_budget_allows(trained, patches, architectures, name):
    architecture = architectures[name]
    for axis in ("params", "macs"):
        budget = target(architecture, 0.5, axis)
        pruned = prune(trained(architecture), budget, SIZE, patches(architecture), seed=0)
        assert pruned.cost == price(pruned.architecture, SIZE)
        assert budget.allows(pruned.cost)
        assert pruned.cost.params == sum(p.numel() for p in pruned.network.parameters())
        whole = units(architecture)
        left = units(pruned.architecture)
        with_one_more = [
            price(narrowed(pruned.architecture, {**left, unit: hidden + 1}), SIZE)
            for unit, hidden in left.items()
            if hidden < whole[unit]
        ]
        assert not all(budget.allows(cost) for cost in with_one_more)


@every_kind
def test_every_unit_keeps_its_floor(trained, patches, architectures, name):
    architecture = architectures[name]
    least = smallest(architecture, SIZE)
    budget = Budget.parse(f"{least.params}")
    pruned = prune(trained(architecture), budget, SIZE, patches(architecture), seed=0)
    assert pruned.cost == least
    for unit, hidden in units(architecture).items():
        assert units(pruned.architecture)[unit] == max(1, round(FLOOR * hidden))


@every_kind
def test_the_parent_is_left_as_it_was(trained, patches, architectures, name):
    architecture = architectures[name]
    network = trained(architecture)
    before = copy.deepcopy(network.state_dict())
    pruned = prune(network, target(architecture), SIZE, patches(architecture), seed=0)
    assert network.architecture == architecture
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    assert not network.training
    assert not pruned.network.training
    mine = {p.data_ptr() for p in network.parameters()}
    assert not mine & {p.data_ptr() for p in pruned.network.parameters()}


@pytest.mark.parametrize("name", ["some untied"])
def test_stages_whose_passes_differ_are_left_alone(trained, patches, architectures, name):
    architecture = architectures[name]
    pruned = prune(
        trained(architecture), target(architecture, 1.0), SIZE, patches(architecture), seed=0
    )
    assert pruned.architecture.stages[0] == architecture.stages[0]
    assert pruned.architecture.stages[1] != architecture.stages[1]


@pytest.mark.parametrize("name", ["stages", "shared stages", "recursion", "convolution"])
def test_equal_seeds_prune_equally(trained, patches, architectures, name):
    architecture = architectures[name]
    first, second = (
        prune(trained(architecture), target(architecture), SIZE, patches(architecture), seed=3)
        for _ in range(2)
    )
    assert first.architecture == second.architecture
    states = (pruned.network.state_dict() for pruned in (first, second))
    assert all(torch.equal(a, b) for a, b in zip(*(s.values() for s in states), strict=True))


@pytest.mark.parametrize("name", ["mlp", "depthwise_mlp", "dsgm", "convolution", "recursion"])
@torch.no_grad()
def test_channels_that_reach_nothing_go_first(trained, patches, architectures, name):
    architecture = architectures[name]
    network = trained(architecture)
    idle = {}
    for unit in units(architecture):
        module = module_of(network, unit)
        idle[unit] = [1, 4, 6]
        outward_of(module).weight[:, idle[unit]] = 0
    fewer = {unit: hidden - 3 for unit, hidden in units(architecture).items()}
    budget = Budget.parse(f"{price(narrowed(architecture, fewer), SIZE).params}")
    with torch.enable_grad():
        pruned = prune(network, budget, SIZE, patches(architecture), seed=0)
    for unit, channels in idle.items():
        gone = gone_channels(module_of(network, unit), module_of(pruned.network, unit))
        assert gone == channels
    assert difference(pruned.network, network, 3) <= 1e-5


def test_a_network_within_budget_is_not_pruned(trained, patches, architectures):
    architecture = architectures["mlp"]
    with pytest.raises(SearchError, match="nothing to prune: the network is within 1M already"):
        prune(trained(architecture), Budget.parse("1M"), SIZE, patches(architecture), seed=0)


def test_a_budget_below_the_floors_is_refused(trained, patches, architectures):
    architecture = architectures["mlp"]
    least = smallest(architecture, SIZE)
    told = rf"{least.params:,} parameters and {least.macs:,} MACs"
    budget = Budget.parse(f"{least.params - 1}")
    with pytest.raises(SearchError, match=rf"cannot be pruned to {budget.text}: .* it has {told}"):
        prune(trained(architecture), budget, SIZE, patches(architecture), seed=0)


def test_both_limits_of_a_budget_hold(trained, patches, architectures):
    architecture = architectures["stages"]
    params, macs = (target(architecture, share, axis) for share, axis in
                    ((0.3, "params"), (0.7, "macs")))  # fmt: skip
    both = Budget.parse(f"{params.text},{macs.text}")
    pruned = prune(trained(architecture), both, SIZE, patches(architecture), seed=0)
    assert params.allows(pruned.cost)
    assert macs.allows(pruned.cost)


def test_what_is_left_trains_on(trained, patches, architectures):
    architecture = architectures["stages"]
    pruned = prune(trained(architecture), target(architecture), SIZE, patches(architecture), seed=0)
    lq, gt = patches(architecture).batch(0, 0, 2, 16)
    (pruned.network(lq) - gt).abs().mean().backward()
    assert all(p.grad is not None and p.requires_grad for p in pruned.network.parameters())
