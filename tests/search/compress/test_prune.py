"""Pruning meets its budget, to the very channel, and leaves the parent alone."""

import copy

import pytest
import torch

from budgets.assess import CostSettings, Target
from budgets.budget import Budget, Size
from budgets.price import price
from lightir_core.errors import BudgetError, SearchError
from lightir_core.pruning.channels import folded, units
from search.compress.plan import shrunk
from search.compress.prune import Pruning, prune, smallest
from tests.search.compress.conftest import ARCHITECTURES
from tests.search.compress.masking import difference

SIZE = Size(64, 64)
SETTINGS = CostSettings(sizes=(SIZE,), batch=2)

# a single block, and a trunk of which a quarter or half goes at once
COARSE = ("groups across heads", "independent cascade")

pytestmark = pytest.mark.usefixtures("few_batches")

every_kind = pytest.mark.parametrize("name", ARCHITECTURES)


def target(text):
    return Target(Budget.parse(text), SETTINGS)


def share_of(architecture, share=0.5, axis="params"):
    """A target `share` of the way down from the whole network to the smallest."""
    least = getattr(price(reach(architecture, axis), SIZE), axis)
    whole = getattr(price(architecture, SIZE), axis)
    return target(f"{axis}={round(whole - share * (whole - least))}")


def reach(architecture, axis="params"):
    return smallest(architecture, target(f"{axis}=1"))


@every_kind
@pytest.mark.parametrize("axis", ["params", "macs"])
def test_the_result_is_as_large_as_the_budget_allows(trained, patches, architectures, name, axis):
    architecture = architectures[name]
    goal = share_of(architecture, 0.5, axis)
    pruned = prune(trained(architecture), goal, patches(architecture))
    assert pruned.cost == price(pruned.architecture, SIZE)
    assert goal.fits(pruned.architecture)
    assert pruned.cost.params == sum(p.numel() for p in pruned.network.parameters())
    if name not in COARSE:  # tiny networks: one step of the finest unit may be some percent
        assert goal.overrun(pruned.architecture) > 0.9


@pytest.mark.parametrize("name", ["mlp", "grouped", "cascade", "cosine"])
def test_no_unit_that_shrank_could_be_wider(trained, patches, architectures, name):
    architecture = architectures[name]
    goal = share_of(architecture, 0.4)
    pruned = prune(trained(architecture), goal, patches(architecture))
    left, whole = units(pruned.architecture), units(folded(architecture))
    for unit, extent in left.items():
        if extent.size < whole[unit].size:
            assert not goal.fits(shrunk(pruned.architecture, {unit: extent.size + 1})), str(unit)


@every_kind
def test_the_smallest_reachable_network_is_reached(trained, patches, architectures, name):
    architecture = architectures[name]
    least = price(reach(architecture), SIZE)
    pruned = prune(trained(architecture), target(f"{least.params}"), patches(architecture))
    assert pruned.cost.params == least.params


@every_kind
def test_the_parent_is_left_as_it_was(trained, patches, architectures, name):
    architecture = architectures[name]
    network = trained(architecture)
    before = copy.deepcopy(network.state_dict())
    pruned = prune(network, share_of(architecture), patches(architecture))
    assert network.architecture == architecture
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    assert not network.training
    assert not pruned.network.training
    assert all(p.requires_grad for p in pruned.network.parameters())


@pytest.mark.parametrize("name", ["shared stages", "convolution"])
def test_equal_seeds_prune_equally(trained, patches, architectures, name):
    architecture = architectures[name]
    first, second = (
        prune(
            trained(architecture),
            share_of(architecture),
            patches(architecture),
            Pruning(seed=3, iterations=2),
        )
        for _ in range(2)
    )
    assert first.architecture == second.architecture
    states = (pruned.network.state_dict() for pruned in (first, second))
    assert all(torch.equal(a, b) for a, b in zip(*(s.values() for s in states), strict=True))


@pytest.mark.parametrize("importance", ["magnitude", "random"])
@pytest.mark.parametrize("name", ["stages", "cross-layer", "cosine"])
def test_no_images_are_needed_for_what_looks_at_none(trained, architectures, name, importance):
    goal = share_of(architectures[name], 0.6)
    pruned = prune(trained(architectures[name]), goal, None, Pruning(importance=importance))
    assert goal.fits(pruned.architecture)


def test_a_pruned_network_can_be_pruned_again(trained, patches, architectures):
    architecture = architectures["grouped"]
    first = prune(trained(architecture), share_of(architecture, 0.3), patches(architecture))
    goal = share_of(first.architecture, 0.5)
    second = prune(first.network, goal, patches(architecture))
    assert goal.fits(second.architecture)
    assert second.cost.params < first.cost.params


class Own:
    """Patches with the network's own output as the truth: what it computes is all that matters."""

    def __init__(self, network, data):
        self._network, self._data = copy.deepcopy(network), data

    @torch.no_grad()
    def batch(self, *where):
        lq, _ = self._data.batch(*where)
        return lq, self._network(lq)


def test_a_module_that_does_nothing_goes_first(trained, patches, architectures):
    architecture = architectures["stages"]
    network = trained(architecture)
    with torch.no_grad():  # the convolution of the first stage adds nothing
        for parameter in network.stages[0].blocks[1].mixer.conv2.parameters():
            parameter.zero_()
    params = sum(p.numel() for p in network.stages[0].blocks[1].parameters())
    whole = price(architecture, SIZE).params
    pruned = prune(network, target(f"{whole - params}"), Own(network, patches(architecture)))
    assert [str(drop) for drop in pruned.dropped] == ["block 1 of stage 0"]
    assert difference(network, pruned.network) <= 1e-5


def test_rounds_shrink_step_by_step_with_something_in_between(trained, patches, architectures):
    architecture = architectures["stages"]
    seen = []
    prune(
        trained(architecture),
        share_of(architecture, 0.8),
        patches(architecture),
        Pruning(iterations=3),
        lambda network: seen.append(price(network.architecture, SIZE).params),
    )
    assert len(seen) == 2
    assert price(architecture, SIZE).params > seen[0] > seen[1]


def test_all_limits_of_a_budget_hold(trained, patches, architectures):
    architecture = architectures["stages"]
    params, macs = (
        share_of(architecture, share, axis) for share, axis in ((0.3, "params"), (0.7, "macs"))
    )
    both = target(f"{params.budget.text},{macs.budget.text}")
    pruned = prune(trained(architecture), both, patches(architecture))
    assert params.fits(pruned.architecture)
    assert macs.fits(pruned.architecture)
    assert both.overrun(pruned.architecture) > 0.98


@pytest.mark.parametrize(
    "axis", ["memory", pytest.param("inference-memory", marks=pytest.mark.slow)]
)
def test_memory_is_a_budget_like_any_other(trained, patches, architectures, axis):
    architecture = architectures["stages"]
    whole = target(f"{axis}=1GiB").cost(architecture)
    field = {"memory": "training_bytes", "inference-memory": "inference_bytes"}[axis]
    goal = target(f"{axis}={int(getattr(whole, field) * 0.75)}B")
    pruned = prune(trained(architecture), goal, patches(architecture))
    assert 0.8 < goal.overrun(pruned.architecture) <= 1


def test_a_network_within_budget_is_nothing_to_do(trained, patches, architectures):
    architecture = architectures["mlp"]
    params = price(architecture, SIZE).params
    with pytest.raises(
        BudgetError, match=rf"nothing to do: params={params:_} is within 1M already"
    ):
        prune(trained(architecture), target("1M"), patches(architecture))


def test_a_budget_below_what_is_reachable_is_refused_with_the_reach(
    trained, patches, architectures
):
    architecture = architectures["mlp"]
    least = price(reach(architecture), SIZE).params
    with pytest.raises(BudgetError, match=rf"below what pruning .* smallest has params={least:_}"):
        prune(trained(architecture), target(f"{least - 1}"), patches(architecture))


def test_taylor_without_images_is_refused(trained, architectures):
    with pytest.raises(SearchError, match="'taylor' is measured on images, and none are given"):
        prune(trained(architectures["mlp"]), target("1k"), None)


def test_no_rounds_are_refused():
    with pytest.raises(SearchError, match="iterations=0; use at least 1"):
        Pruning(iterations=0)


def test_what_is_left_trains_on(trained, patches, architectures):
    architecture = architectures["stages"]
    pruned = prune(trained(architecture), share_of(architecture), patches(architecture))
    lq, gt = patches(architecture).batch(0, 0, 2, 16)
    (pruned.network(lq) - gt).abs().mean().backward()
    assert all(p.grad is not None for p in pruned.network.parameters())
