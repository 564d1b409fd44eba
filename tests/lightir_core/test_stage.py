from dataclasses import replace

import pytest
import torch
from torch import nn

from lightir_core import architecture as arch
from lightir_core.network import Block, Stage, apply_norm, build_closing

BLOCK = arch.BlockConfig(
    mixer=arch.WindowAttentionConfig(num_heads=2, window_size=(4, 4)),
    feed_forward=arch.MlpConfig(hidden_dim=6),
)
X = torch.randn(2, 8, 8, 4, generator=torch.Generator().manual_seed(0))


def stage_of(randomise, **changes):
    torch.manual_seed(0)
    settings = replace(
        arch.StageConfig(blocks=(BLOCK, BLOCK), closing="none", skip="none"), **changes
    )
    return randomise(Stage(settings, 8))


@pytest.mark.parametrize("norm", ["pre", "post", "none"])
def test_norm_stands_where_it_should(randomise, norm):
    block = randomise(Block(replace(BLOCK, norm=norm), 8))
    branches = [(block.mixer, block.norm1), (block.feed_forward, block.norm2)]
    expected = X
    for module, layer in branches:
        if norm == "pre":
            expected = expected + module(apply_norm(layer, expected))
        elif norm == "post":
            expected = expected + apply_norm(layer, module(expected))
        else:
            assert layer is None
            expected = expected + module(expected)
    assert torch.allclose(block(X), expected, atol=1e-6)


def test_a_block_without_feed_forward_has_one_norm():
    block = Block(replace(BLOCK, feed_forward=None), 8)
    assert block.norm2 is None
    assert block.feed_forward is None


def test_sizes_are_the_papers():
    # SwinIR-light: block 30,810; GRFormer's and DRT's are in their presets' totals
    swin = arch.BlockConfig(
        mixer=arch.WindowAttentionConfig(num_heads=6, window_size=(8, 8)),
        feed_forward=arch.MlpConfig(hidden_dim=120),
    )
    assert sum(p.numel() for p in Block(swin, 60).parameters()) == 30_810
    stage = Stage(arch.StageConfig(blocks=(swin,) * 6), 60)
    assert sum(p.numel() for p in stage.parameters()) == 217_320


@pytest.mark.parametrize("anchor", ["every", "last", "none"])
@pytest.mark.parametrize("tied", [True, False])
def test_recursion_and_anchor(randomise, anchor, tied):
    stage = stage_of(randomise, recursions=3, tied=tied, anchor=anchor)
    assert len(stage.blocks) == (2 if tied else 6)
    x = X
    for number in range(3):
        first, second = stage.blocks[:2] if tied else stage.blocks[2 * number : 2 * number + 2]
        x = second(first(x))
        if anchor == "every" or (anchor == "last" and number == 2):
            x = x + X
    assert torch.allclose(stage(X), x, atol=1e-5)


def test_recursion_costs_no_parameters():
    def count(**changes):
        settings = arch.StageConfig(blocks=(BLOCK,), **changes)
        return sum(p.numel() for p in Stage(settings, 8).parameters())

    assert count(recursions=3) == count()
    closing = 9 * 8 * 8 + 8
    assert count(recursions=3, tied=False) - closing == 3 * (count() - closing)


def test_skips(randomise):
    for skip in ("input", "output", "none"):
        stage = stage_of(randomise, closing="convolution", skip=skip)
        x = stage.blocks[1](stage.blocks[0](X))
        added = {"input": X, "output": x, "none": 0}[skip]
        assert torch.allclose(stage(X), stage.closing(x) + added, atol=1e-5)


def test_closings():
    assert build_closing("none", 8) is None
    assert sum(p.numel() for p in build_closing("convolution", 8).parameters()) == 584
    assert sum(p.numel() for p in build_closing("depthwise", 8).parameters()) == 80
    assert isinstance(build_closing("depthwise", 8), nn.Conv2d)
