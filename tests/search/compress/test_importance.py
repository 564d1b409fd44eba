"""Importances are derivatives or torch-pruning's sums, and find what does nothing."""

import pytest
import torch
import torch_pruning as tp

from lightir_core.errors import SearchError
from lightir_core.pruning.channels import Unit, fold, units
from lightir_core.pruning.importance import BATCH, BATCHES, IMPORTANCES, PATCH_PX, loss_on, rank
from tests.search.compress.masking import zero_inputs

SUM = {"group_reduction": "sum", "normalizer": None, "bias": True}
THEIRS = {
    "magnitude": tp.importance.GroupMagnitudeImportance(p=2, **SUM),
    "hessian": tp.importance.GroupHessianImportance(**SUM),
}


def their_group(network, root, cut, channels):
    graph = tp.DependencyGraph().build_dependency(
        network,
        example_inputs=torch.zeros(1, 3, 16, 16),
        unwrapped_parameters=[
            (p, 0) for name, p in network.named_parameters() if name.endswith("table")
        ],
    )
    return graph.get_pruning_group(root, cut, idxs=list(range(channels)))


def fill_gradients(network, data):
    """What torch-pruning's Hessian importance reads: summed squares of gradients.

    Its own accumulation of squares keeps the last batch only (version 1.6.1).
    """
    network.zero_grad()
    squares = {}
    for step in range(BATCHES):
        lq, gt = data.batch(0, step, BATCH, PATCH_PX)
        (network(lq) - gt).abs().mean().backward()
        for parameter in network.parameters():
            squares[parameter] = squares.get(parameter, 0) + parameter.grad.square()
        network.zero_grad()
    for parameter, square in squares.items():
        parameter.grad = square


@pytest.mark.parametrize("kind", THEIRS)
@pytest.mark.parametrize("name", ["mlp", "convolution", "recursion"])
def test_hidden_channels_weigh_what_torch_pruning_says(trained, data, architectures, name, kind):
    network = trained(architectures[name])
    ours = rank(network, kind, data, seed=0)
    fill_gradients(network, data)
    for unit in ours:
        if unit.kind not in ("hidden", "convolution"):
            continue
        block = network.stages[unit.stage].blocks[unit.block]
        if unit.kind == "hidden":
            root, cut = block.feed_forward.inward, tp.prune_linear_out_channels
        else:
            root, cut = block.mixer.conv1, tp.prune_conv_out_channels
        theirs = THEIRS[kind](their_group(network, root, cut, ours[unit].numel()))
        torch.testing.assert_close(ours[unit][0].float(), theirs, rtol=1e-4, atol=1e-9)


def test_the_width_weighs_what_torch_pruning_says(trained, data, architectures):
    network = trained(architectures["mlp"])
    ours = rank(network, "magnitude", data, seed=0)[Unit("width")][0]
    group = their_group(network, network.stem.conv, tp.prune_conv_out_channels, 12)
    torch.testing.assert_close(ours.float(), THEIRS["magnitude"](group), rtol=1e-4, atol=1e-9)


def test_taylor_is_the_squared_derivative_by_the_size_of_a_channel(trained, data, architectures):
    network = trained(architectures["mlp"])
    ours = rank(network, "taylor", data, seed=0)[Unit("hidden", 0, 0)][0]
    place = "stages.0.blocks.0.feed_forward."
    sizes = torch.ones(len(ours), requires_grad=True)
    parameters = {name: w.detach().clone() for name, w in network.named_parameters()}
    parameters[f"{place}inward.weight"] *= sizes[:, None]
    parameters[f"{place}inward.bias"] *= sizes
    parameters[f"{place}outward.weight"] *= sizes
    expected = torch.zeros(len(ours))
    for step in range(BATCHES):
        lq, gt = data.batch(0, step, BATCH, PATCH_PX)
        loss = (torch.func.functional_call(network, parameters, lq) - gt).abs().mean()
        [slope] = torch.autograd.grad(loss, sizes, retain_graph=True)
        expected += slope.square()
    torch.testing.assert_close(ours.float(), expected, rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("kind", IMPORTANCES)
def test_every_unit_gets_a_number_for_every_channel(trained, data, architectures, kind):
    for name in ("channel branch", "cascade", "some untied", "cross-layer"):
        network = fold(trained(architectures[name]))
        ranking = rank(network, kind, data, seed=0)
        for unit, extent in units(network.architecture).items():
            assert ranking[unit].shape == (extent.lanes, extent.size)
            assert ranking[unit].isfinite().all()
            assert (ranking[unit] >= 0).all()
            assert ranking[unit].sum() > 0, str(unit)


@pytest.mark.parametrize("kind", ["taylor", "hessian"])
def test_channels_that_reach_nothing_come_last(trained, data, architectures, kind):
    network = trained(architectures["many heads"])
    idle, head = [1, 4, 6], 2  # channels of values; of 6 heads of 2 channels, the third
    with torch.no_grad():
        zero_inputs(network.stages[0].blocks[0].mixer.output, [2 * head, 2 * head + 1, *idle])
    ranking = rank(network, kind, data, seed=0)
    # what writes to a silent channel has no gradient, what reads it no weight
    values = ranking[Unit("values", 0, 0)].flatten()
    assert values.topk(4, largest=False).indices.sort().values.tolist() == [1, 4, 5, 6]
    assert ranking[Unit("heads", 0, 0)].flatten().argmin() == head


def test_only_random_importance_depends_on_its_seed_without_images(trained, architectures):
    network = trained(architectures["mlp"])
    unit = Unit("hidden", 0, 0)
    same = [rank(network, "magnitude", None, seed)[unit] for seed in (0, 1)]
    drawn = [rank(network, "random", None, seed)[unit] for seed in (0, 0, 1)]
    assert torch.equal(*same)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_the_network_is_left_as_it_was(trained, data, architectures):
    network = trained(architectures["cascade"])
    before = {name: t.clone() for name, t in network.state_dict().items()}
    rank(network, "taylor", data, seed=0)
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())


def test_the_loss_is_that_of_the_patches(trained, data, architectures):
    network = trained(architectures["mlp"])
    with torch.no_grad():
        lq, gt = data.batch(5, 0, BATCH, PATCH_PX)
        expected = (network(lq) - gt).abs().mean().item()
    assert loss_on(network, data, 5, batches=1) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["taylor", "hessian"])
def test_an_importance_that_needs_images_says_so(trained, architectures, kind):
    with pytest.raises(
        SearchError, match=rf"'{kind}' is measured on images, and none .*magnitude or random"
    ):
        rank(trained(architectures["mlp"]), kind, None, seed=0)


def test_an_unknown_importance_names_the_nearest(trained, architectures):
    with pytest.raises(SearchError, match="'tailor' is not known; did you mean 'taylor'"):
        rank(trained(architectures["mlp"]), "tailor", None, seed=0)
