"""The tables of tensors agree with torch-pruning's graph where that is known to work."""

from dataclasses import replace

import pytest
import torch
import torch_pruning as tp

from lightir_core.architecture import BodyConfig
from lightir_core.pruning.channels import Unit, fold, rows, slices, units
from tests.budgets.random_architectures import random_architecture
from tests.search.compress.conftest import ARCHITECTURES

every_kind = pytest.mark.parametrize("name", ARCHITECTURES)

KNOWN = (
    "mlp", "depthwise_mlp", "dsgm", "convolution", "large kernel", "post norm", "recursion",
    "stages", "shared stages", "many heads",
)  # fmt: skip


def graph_of(network):
    tables = {p: None for name, p in network.named_parameters() if name.endswith("position.table")}
    # a bias table would join the queries
    return tp.DependencyGraph().build_dependency(
        network,
        example_inputs=torch.zeros(1, network.architecture.in_channels, 16, 16),
        unwrapped_parameters=[(p, 0) for p in tables],
    )


def axes_in(group, network):
    """(layer, "in" or "out") of everything in a group of torch-pruning."""
    names = {module: name for name, module in network.named_modules()}
    found = set()
    for dependency, _ in group:
        if dependency.layer in names:
            handler = dependency.pruning_fn.__name__
            found.add((names[dependency.layer], "in" if "in_channels" in handler else "out"))
    return found


def axes_of(architecture, unit):
    """The same of our slices, weights alone."""
    found = set()
    for one in slices(architecture, unit):
        layer, part = one.name.rsplit(".", 1)
        if part == "weight":
            found.add((layer, "in" if one.axis == 1 else "out"))
    return found


@pytest.mark.parametrize("name", KNOWN)
def test_the_width_lies_where_torch_pruning_finds_it(trained, architectures, name):
    architecture = architectures[name]
    network = trained(architecture)
    group = graph_of(network).get_pruning_group(
        network.stem.conv, tp.prune_conv_out_channels, idxs=list(range(architecture.width))
    )
    assert axes_of(architecture, Unit("width")) == axes_in(group, network)


@pytest.mark.parametrize("name", KNOWN)
def test_hidden_channels_lie_where_torch_pruning_finds_them(trained, architectures, name):
    architecture = architectures[name]
    network = trained(architecture)
    graph = graph_of(network)
    for unit, extent in units(architecture).items():
        if unit.kind not in ("hidden", "convolution"):
            continue
        block = f"stages.{unit.stage // architecture.stage_sharing}.blocks.{unit.block}"
        roots = ("feed_forward.inward", "feed_forward.inward_u", "mixer.conv1")
        modules = dict(network.named_modules())
        kind = "mixer" if unit.kind == "convolution" else "feed_forward"
        [root] = [modules[f"{block}.{r}"] for r in roots
                  if r.startswith(kind) and f"{block}.{r}" in modules]  # fmt: skip
        cut = tp.prune_linear_out_channels
        if isinstance(root, torch.nn.Conv2d):
            cut = tp.prune_conv_out_channels
        group = graph.get_pruning_group(root, cut, idxs=list(range(extent.size)))
        ours = axes_of(architecture, unit)
        assert ours == {a for a in axes_in(group, network) if a[0].startswith(block)}


@every_kind
def test_every_index_belongs_to_a_channel_that_exists(trained, architectures, name):
    network = fold(trained(architectures[name]))
    tensors = network.state_dict()
    for unit, extent in units(network.architecture).items():
        covered = torch.zeros(extent.lanes * extent.size, dtype=torch.bool)
        for one in slices(network.architecture, unit):
            assert len(one.owner) == len(rows(tensors[one.name], one.axis)), one.name
            assert one.owner.max() < len(covered)
            covered[one.owner[one.owner >= 0]] = True
        assert covered.all(), f"{unit}: some channels lie nowhere"


@pytest.mark.parametrize("seed", range(8))
def test_random_architectures_have_a_place_for_every_channel(trained, seed):
    network = fold(trained(random_architecture(seed)))
    tensors = network.state_dict()
    for unit in units(network.architecture):
        for one in slices(network.architecture, unit):
            assert len(one.owner) == len(rows(tensors[one.name], one.axis)), one.name


def test_what_cannot_be_pruned_has_no_place(trained, architectures):
    """Image channels, and what a pixel shuffle takes apart."""
    architecture = replace(architectures["convolution"], body=BodyConfig(norm=False))
    names = {(one.name, one.axis) for u in units(architecture) for one in slices(architecture, u)}
    assert ("stem.conv.weight", 1) not in names
    assert ("tail.last.weight", 0) not in names
    assert ("tail.last.bias", 0) not in names
