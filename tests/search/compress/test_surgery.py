"""Pruning is masking: a network without channels computes what it would with them silent."""

import copy

import pytest
import torch

from lightir_core.pruning.channels import Unit, cut_channels, cut_module, drops, fold, units
from tests.budgets.random_architectures import random_architecture
from tests.search.compress.conftest import ARCHITECTURES
from tests.search.compress.masking import difference, masked

every_kind = pytest.mark.parametrize("name", ARCHITECTURES)


def random_masks(architecture, seed, kinds=None, share=0.5):
    """For each unit of these kinds which channels stay, drawn at random in each lane."""
    generator = torch.Generator().manual_seed(seed)
    kept = {}
    for unit, extent in units(architecture).items():
        size = max(1, round(extent.size * share))
        if size < extent.size and (kinds is None or unit.kind in kinds):
            order = torch.rand(extent.lanes, extent.size, generator=generator).argsort(dim=1)
            kept[unit] = order < size
    return kept


def is_masking(architecture, unit):
    """Norms over the width, and a softmax between channels, count what is missing."""
    if unit.kind == "inner":
        return False
    stages = architecture.stages
    norms = architecture.body.norm or architecture.stem.norm
    norms = norms or any(b.norm != "none" for s in stages for b in s.blocks)
    if unit.kind == "width":
        return not norms
    if unit.kind == "heads":
        return stages[unit.stage].blocks[unit.block].mixer.channel is None
    return True


def maskable(architecture, seed, **more):
    return {
        unit: mask
        for unit, mask in random_masks(architecture, seed, **more).items()
        if is_masking(architecture, unit)
    }


# In double precision: what differs then differs by construction.


@every_kind
def test_every_unit_alone_is_pruned_as_it_is_masked(trained, architectures, name):
    network = fold(trained(architectures[name], dtype=torch.float64))
    there = maskable(network.architecture, 0)
    assert there
    for unit, mask in there.items():
        pruned = cut_channels(network, {unit: mask})
        assert difference(masked(network, {unit: mask}), pruned) <= 1e-9, str(unit)
        if unit.kind != "cross_keys":  # with these weights most keys lie outside the image
            assert difference(network, pruned) > 1e-7, f"{unit}: the mask matters"


@every_kind
def test_all_units_together_are_pruned_as_they_are_masked(trained, architectures, name):
    network = fold(trained(architectures[name], dtype=torch.float64))
    kept = maskable(network.architecture, 1)
    pruned = cut_channels(network, kept)
    assert difference(masked(network, kept), pruned) <= 1e-9
    assert pruned.architecture != network.architecture


@pytest.mark.parametrize("seed", range(12))
def test_random_architectures_are_pruned_as_they_are_masked(trained, seed):
    network = fold(trained(random_architecture(seed), dtype=torch.float64))
    kept = maskable(network.architecture, seed)
    assert difference(masked(network, kept), cut_channels(network, kept)) <= 1e-9


@pytest.mark.parametrize("name", ["mlp", "grouped", "cosine", "cascade", "no norms", "recursion"])
def test_in_single_precision_it_is_so_to_five_digits(trained, architectures, name):
    network = fold(trained(architectures[name]))
    kept = maskable(network.architecture, 1)
    assert difference(masked(network, kept), cut_channels(network, kept)) <= 1e-5


@every_kind
def test_what_is_left_of_every_unit_is_what_was_asked(trained, architectures, name):
    network = fold(trained(architectures[name]))
    kept = random_masks(network.architecture, 2)
    left = units(cut_channels(network, kept).architecture)
    for unit, extent in units(network.architecture).items():
        asked = kept[unit].sum() if unit in kept else extent.lanes * extent.size
        if unit.kind in ("keys", "values", "inner"):  # of the heads that are left
            heads = Unit("heads", unit.stage, unit.block)
            if heads in kept:
                asked = asked * kept[heads].sum() // kept[heads].numel()
        assert left[unit].lanes * left[unit].size == asked, str(unit)


@every_kind
def test_a_network_without_a_module_is_the_network_with_its_branch_at_zero(
    trained, architectures, name
):
    network = trained(architectures[name])
    sharing = network.architecture.stage_sharing
    for drop in drops(network.architecture):
        shorter = cut_module(network, drop)
        silent = copy.deepcopy(network)
        if drop.kind == "cross_layer":
            silent.cross_layers[str(drop.stage)].forward = lambda x, _: torch.zeros_like(x)
        elif drop.kind == "block":
            depth = len(network.architecture.stages[drop.stage].blocks)
            for block in silent.stages[drop.stage // sharing].blocks[drop.index :: depth]:
                block.forward = lambda x: x
        else:
            continue
        assert difference(silent, shorter, ((16, 16), (8, 24))) <= 1e-5, str(drop)


def test_an_untied_pass_takes_its_own_weights_with_it(trained, architectures):
    network = trained(architectures["some untied"])
    [first] = [drop for drop in drops(network.architecture) if drop.kind == "pass"][:1]
    shorter = cut_module(network, first)
    assert shorter.architecture.stages[0].recursions == 1
    for left, right in zip(shorter.stages[0].blocks, network.stages[0].blocks[2:], strict=True):
        for mine, theirs in zip(left.parameters(), right.parameters(), strict=True):
            assert torch.equal(mine, theirs)


@every_kind
def test_folding_changes_nothing_but_the_spelling(trained, architectures, name):
    network = trained(architectures[name])
    plain = fold(network)
    assert difference(network, plain) <= 1e-5
    count = sum(p.numel() for p in network.parameters())
    assert sum(p.numel() for p in plain.parameters()) == count
    assert fold(plain).architecture == plain.architecture


@pytest.mark.parametrize("name", ["grouped", "some untied", "cross-layer", "channel branch"])
def test_what_is_left_runs_and_learns_at_two_sizes(trained, architectures, name):
    network = fold(trained(architectures[name]))
    pruned = cut_channels(network, random_masks(network.architecture, 3)).train()
    for sides in ((16, 16), (9, 21)):
        pruned.zero_grad()
        output = pruned(torch.rand(1, 3, *sides))
        assert output.shape == (1, 3, 2 * sides[0], 2 * sides[1])
        output.square().mean().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in pruned.parameters())


def test_the_parent_shares_no_memory_with_what_is_left(trained, architectures):
    network = trained(architectures["stages"])
    pruned = cut_channels(network, random_masks(network.architecture, 0, kinds=("hidden",)))
    mine = {p.data_ptr() for p in network.parameters()}
    assert not mine & {p.data_ptr() for p in pruned.parameters()}
