"""The bank slices as pruning does: the first channels of a unit are those that a cut leaves."""

from fractions import Fraction

import pytest
import torch

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CascadeAttentionConfig,
    ChannelBranchConfig,
    CrossLayerConfig,
    DsgmConfig,
    ExponentialPositionConfig,
    MlpConfig,
    ResidualConvolutionConfig,
    StageConfig,
    TailConfig,
    WindowAttentionConfig,
)
from lightir_core.network import build
from search.bank.axes import ring
from search.bank.bank import Bank
from search.compress.channels import cut, slices
from search.compress.units import narrowed, units

WINDOW = WindowAttentionConfig(num_heads=4, window_size=(4, 4))
STAGES = {
    "window": StageConfig(
        blocks=(BlockConfig(mixer=WINDOW, feed_forward=MlpConfig(hidden_dim=32)),)
    ),
    "cosine": StageConfig(
        blocks=(
            BlockConfig(
                mixer=WindowAttentionConfig(
                    num_heads=4,
                    window_size=(4, 4),
                    logits="cosine",
                    depthwise_value=True,
                    position=ExponentialPositionConfig(hidden=8),
                ),
                feed_forward=DsgmConfig(hidden_dim=20),
            ),
        )
    ),
    "channel": StageConfig(
        blocks=(
            BlockConfig(
                mixer=WindowAttentionConfig(
                    num_heads=4, window_size=(4, 4), channel=ChannelBranchConfig(num_heads=1)
                )
            ),
        )
    ),
    "convolution": StageConfig(
        blocks=(BlockConfig(mixer=ResidualConvolutionConfig(), norm="none"),)
    ),
    "cascade": StageConfig(
        blocks=(
            BlockConfig(mixer=CascadeAttentionConfig(num_heads=2, key_dim=8, window_size=(4, 4))),
        )
    ),
    "cross": StageConfig(
        blocks=(BlockConfig(mixer=WINDOW),),
        cross_layer=CrossLayerConfig(keys=4, references=1, selection="soft"),
    ),
}


def cases():
    for name, stage in STAGES.items():
        for tail in ("direct", "staged"):
            architecture = Architecture(
                width=16, stages=(stage,), scale=2, tail=TailConfig(upsampler=tail)
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
