"""The bank slices as pruning does: the first channels of a unit are those that a cut leaves."""

from fractions import Fraction

import pytest
import torch

from lightir_core.architecture import (
    Architecture,
    Block,
    CascadeAttention,
    ChannelBranch,
    CrossLayer,
    Dsgm,
    ExponentialPosition,
    Mlp,
    ResidualConvolution,
    Stage,
    Tail,
    WindowAttention,
)
from lightir_core.network import build
from search.bank.axes import ring
from search.bank.bank import Bank
from search.compress.channels import slices
from search.compress.slices import cut
from search.compress.units import narrowed, units

WINDOW = WindowAttention(num_heads=4, window_size=(4, 4))
STAGES = {
    "window": Stage(blocks=(Block(mixer=WINDOW, feed_forward=Mlp(hidden_dim=32)),)),
    "cosine": Stage(
        blocks=(
            Block(
                mixer=WindowAttention(
                    num_heads=4,
                    window_size=(4, 4),
                    logits="cosine",
                    depthwise_value=True,
                    position=ExponentialPosition(hidden=8),
                ),
                feed_forward=Dsgm(hidden_dim=20),
            ),
        )
    ),
    "channel": Stage(
        blocks=(
            Block(
                mixer=WindowAttention(
                    num_heads=4, window_size=(4, 4), channel=ChannelBranch(num_heads=1)
                )
            ),
        )
    ),
    "convolution": Stage(blocks=(Block(mixer=ResidualConvolution(), norm="none"),)),
    "cascade": Stage(
        blocks=(Block(mixer=CascadeAttention(num_heads=2, key_dim=8, window_size=(4, 4))),)
    ),
    "cross": Stage(
        blocks=(Block(mixer=WINDOW),),
        cross_layer=CrossLayer(keys=4, references=1, selection="soft"),
    ),
}


def cases():
    for name, stage in STAGES.items():
        for tail in ("direct", "staged"):
            architecture = Architecture(
                width=16, stages=(stage,), scale=2, tail=Tail(upsampler=tail)
            )
            for unit, extent in units(architecture).items():
                # the width of GSWA's trunk shrinks head by head there, from the end here
                if extent.size > 1 and not (name == "cascade" and unit.kind == "width"):
                    yield pytest.param(architecture, unit, id=f"{name}-{tail}-{unit.kind}")


def kept(unit, extent):
    """Half of each lane: the first channels, of keys on a ring those that half as many have."""
    order = ring(extent.size).flatten() if unit.kind == "cross_keys" else torch.arange(extent.size)
    return (order < extent.size // 2).repeat(extent.lanes)


@pytest.mark.parametrize(("architecture", "unit"), list(cases()))
def test_a_slice_of_the_bank_is_what_a_cut_leaves(architecture, unit):
    network = build(architecture)
    state = {name: torch.randn(tensor.shape) for name, tensor in network.state_dict().items()}
    bank = Bank()
    bank.give_back(
        network, {name: tensor.expand(4, *tensor.shape) for name, tensor in state.items()}
    )
    extent = units(architecture)[unit]
    left = cut(state, [(slices(architecture, unit), kept(unit, extent))])
    share = Fraction(extent.size // 2, extent.size)
    smaller = build(narrowed(architecture, {unit: share}))
    for name, planes in bank.borrow(smaller).items():
        assert torch.equal(planes[0], left[name]), name
