"""Every tensor of every network has a place, and networks share what they should."""

from dataclasses import replace

import pytest
import torch

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CascadeAttentionConfig,
    ChannelBranchConfig,
    CrossLayerConfig,
    DepthwiseMlpConfig,
    DsgmConfig,
    ExponentialPositionConfig,
    MlpConfig,
    ProjectionConfig,
    ResidualConvolutionConfig,
    StageConfig,
    TablePositionConfig,
    TailConfig,
    WindowAttentionConfig,
)
from lightir_core.network import build
from lightir_core.published.presets import PRESETS, preset
from search.bank.bank import Bank
from search.bank.roles import places

WINDOW = WindowAttentionConfig(num_heads=4, window_size=(8, 8))
CASCADE = CascadeAttentionConfig(num_heads=4, key_dim=8, window_size=(8, 8))
GROUPED = replace(WINDOW, output=ProjectionConfig(groups=2))
RESIDUAL = replace(WINDOW, projection=ProjectionConfig(groups=2, residual=True))


def block(mixer=WINDOW, feed_forward=None, **more):
    return BlockConfig(mixer=mixer, feed_forward=feed_forward or MlpConfig(hidden_dim=48), **more)


def network(*blocks, width=24, stages=1, **stage):
    one = StageConfig(blocks=blocks or (block(),), **stage)
    return Architecture(width=width, stages=(one,) * stages)


def with_mixer(**changes):
    return network(block(replace(WINDOW, **changes)))


def cross(**changes):
    settings = {"keys": 4, "references": 1} | changes
    plain = StageConfig(blocks=(block(),))
    return Architecture(
        width=24, stages=(plain, replace(plain, cross_layer=CrossLayerConfig(**settings)))
    )


# all of the first network's entries are the second one's as well
INSIDE = {
    "width": (network(), network(width=48)),
    "stages": (network(), network(stages=3)),
    "blocks": (network(), network(block(), block())),
    "recursion": (network(), network(recursions=3)),
    "untied recursion": (network(recursions=2), network(recursions=2, tied=False)),
    "window": (with_mixer(window_size=(4, 4)), network()),
    "rectangular window": (with_mixer(window_size=(4, 8)), with_mixer(window_size=(8, 16))),
    "shift": (network(), with_mixer(shift_size=(4, 4))),
    "no bias": (with_mixer(position=None), network()),
    "heads whole": (with_mixer(num_heads=2, key_dim=6, value_dim=6), network()),
    "head width": (with_mixer(key_dim=4, value_dim=4), network()),
    "logits": (network(), with_mixer(logits="cosine")),
    "position width": (
        with_mixer(position=ExponentialPositionConfig(hidden=8)),
        with_mixer(position=ExponentialPositionConfig(hidden=16)),
    ),
    "channel branch": (network(), with_mixer(channel=ChannelBranchConfig(num_heads=2))),
    "depth-wise values": (network(), with_mixer(depthwise_value=True)),
    "grouped output": (network(block(GROUPED)), network()),
    "more groups": (
        network(block(replace(RESIDUAL, projection=ProjectionConfig(groups=4, residual=True)))),
        network(block(RESIDUAL)),
    ),
    "grouped residual": (
        network(block(RESIDUAL)),
        network(block(replace(RESIDUAL, projection=ProjectionConfig(residual=True)))),
    ),
    "feed-forward width": (network(block(feed_forward=MlpConfig(hidden_dim=24))), network()),
    "no feed-forward": (network(BlockConfig(mixer=WINDOW)), network()),
    "gating width": (
        network(block(feed_forward=DsgmConfig(hidden_dim=24))),
        network(block(feed_forward=DsgmConfig(hidden_dim=30))),
    ),
    "GSWA keys": (network(block(replace(CASCADE, key_dim=4))), network(block(CASCADE))),
    "kernel": (
        network(BlockConfig(mixer=ResidualConvolutionConfig(), norm="none")),
        network(BlockConfig(mixer=ResidualConvolutionConfig(kernel_size=5), norm="none")),
    ),
    "no closing": (network(closing="none"), network()),
    "no slot": (network(stages=2), cross()),
    "cross-layer keys": (cross(keys=2), cross(keys=8)),
    "references": (cross(), cross(references=2)),
    "selection": (cross(), cross(selection="soft")),
    "hard selection": (cross(selection="soft"), cross(selection="hard")),
}

# what the two have apart, by the beginnings of its names in the bank
APART = {
    "mixers": (network(), network(block(CASCADE)), "window_attention"),
    "feed-forwards": (
        network(),
        network(block(feed_forward=DepthwiseMlpConfig(hidden_dim=48))),
        ".mlp.",
    ),
    "norm placement": (network(), network(block(norm="post")), ".pre."),
    "identity added": (
        network(),
        network(block(RESIDUAL)),
        ("attention.q", "attention.k", "attention.v"),
    ),
    "closing": (network(), network(closing="depthwise"), "closing"),
    "skip": (network(), network(skip="output"), "closing"),
}


@pytest.mark.parametrize(("smaller", "larger"), INSIDE.values(), ids=INSIDE)
def test_one_axis_apart_the_smaller_lies_inside_the_larger(cells, smaller, larger):
    few, many = cells(smaller), cells(larger)
    assert smaller != larger
    assert {key for key in few if not few[key] <= many.get(key, set())} == set()


@pytest.mark.parametrize(("one", "other", "names"), APART.values(), ids=APART)
def test_what_differs_by_nature_is_apart_and_the_rest_shared(cells, one, other, names):
    names = (names,) if isinstance(names, str) else names
    mine, theirs = cells(one), cells(other)
    alone = {key for key in mine if key not in theirs}
    assert alone
    assert all(any(name in key for name in names) for key in alone)
    assert all(mine[key] & theirs[key] for key in mine if key in theirs)


def test_heads_of_other_widths_share_the_first_channels_of_each(cells):
    two, four = cells(with_mixer(num_heads=2)), cells(network())  # 2 heads of 12, 4 of 6
    key = "stages.0.blocks.0.pre.window_attention.q.bias"
    assert len(two[key]) == len(four[key]) == 24
    assert len(two[key] & four[key]) == 2 * 6


def test_a_dense_projection_holds_a_grouped_one_as_its_diagonal_blocks():
    bank = Bank()
    dense, grouped = (build(network(block(mixer))) for mixer in (WINDOW, GROUPED))
    bank.give_back(dense, {n: filled(t) for n, t in dense.state_dict().items()})
    name = "stages.0.blocks.0.mixer.output.weight"
    weight = bank.borrow(grouped)[name][0]
    whole = dense.state_dict()[name]
    assert torch.equal(weight, torch.stack((whole[:12, :12], whole[12:, 12:])))


def test_windows_share_by_distance():
    bank = Bank()
    large, small = (
        build(with_mixer(window_size=size, position=TablePositionConfig()))
        for size in ((8, 8), (4, 8))
    )
    bank.give_back(large, {n: filled(t) for n, t in large.state_dict().items()})
    name = "stages.0.blocks.0.mixer.position.table"
    whole = large.state_dict()[name].view(15, 15, 4)
    assert torch.equal(bank.borrow(small)[name][0], whole[4:11].reshape(-1, 4))


def test_keys_share_by_angle():
    bank = Bank()
    many, few = build(cross(keys=8)), build(cross(keys=4))
    bank.give_back(many, {n: filled(t) for n, t in many.state_dict().items()})
    name = "cross_layers.1.offset.bias"
    assert torch.allclose(bank.borrow(few)[name][0], few.state_dict()[name], atol=1e-6)


def filled(tensor):
    planes = torch.zeros(4, *tensor.shape)
    planes[0], planes[3] = tensor, 1
    return planes


def test_every_tensor_of_every_space_comes_back_as_it_was_stored(networks):
    bank = Bank()
    for name, drawn in networks(3):
        stored = {key: filled(tensor) for key, tensor in drawn.state_dict().items()}
        bank.give_back(drawn, stored)
        for key, planes in bank.borrow(drawn).items():
            assert torch.equal(planes, stored[key]), f"{name}: {key}"


def test_no_two_tensors_of_a_network_lie_on_each_other(networks, cells):
    for _, drawn in networks(2):
        taken = cells(drawn.architecture)
        sizes = sum(tensor.numel() for tensor in drawn.state_dict().values())
        assert sum(len(numbers) for numbers in taken.values()) == sizes


@pytest.mark.parametrize("name", PRESETS)
def test_published_systems_have_places(name):
    with torch.device("meta"):
        drawn = build(preset(name))
    home = places(drawn)
    for key, tensor in drawn.state_dict().items():
        shape = torch.broadcast_shapes(*(index.shape for index in home[key].index))
        assert tuple(shape) == tuple(tensor.shape), key


def test_a_staged_tail_shares_the_channels_that_its_shuffle_makes(cells):
    small, large = (
        Architecture(
            width=width,
            stages=(StageConfig(blocks=(block(),)),),
            scale=2,
            tail=TailConfig(upsampler="staged"),
        )
        for width in (24, 48)
    )
    few, many = cells(small), cells(large)
    assert all(few[key] <= many[key] for key in few)
