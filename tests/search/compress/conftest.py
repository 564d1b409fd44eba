"""Architectures with units of every kind, real patches to weigh them on, and masks by hand."""

from dataclasses import replace

import pytest
import torch

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    BodyConfig,
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
    TailConfig,
    WindowAttentionConfig,
)
from lightir_core.data.datasets import TrainingSet
from lightir_core.data.images import Gallery, Image
from lightir_core.data.sources import from_gallery
from lightir_core.data.tasks import parse_task
from lightir_core.network import build
from lightir_core.pruning import importance

WINDOW = WindowAttentionConfig(num_heads=2, window_size=(4, 4))


def block(feed_forward=None, mixer=WINDOW, norm="pre"):
    return BlockConfig(mixer=mixer, feed_forward=feed_forward, norm=norm)


CONVOLUTION = block(mixer=ResidualConvolutionConfig(), norm="none")


def network_of(*stages, **more):
    return Architecture(
        width=12, scale=2, stages=stages, tail=TailConfig(skip="interpolated"), **more
    )


TWO = StageConfig(blocks=(block(MlpConfig(hidden_dim=16)), CONVOLUTION))

ARCHITECTURES = {
    "mlp": network_of(StageConfig(blocks=(block(MlpConfig(hidden_dim=24)),))),
    "depthwise_mlp": network_of(StageConfig(blocks=(block(DepthwiseMlpConfig(hidden_dim=24)),))),
    "dsgm": network_of(StageConfig(blocks=(block(DsgmConfig(hidden_dim=16)),))),
    "dsgm without biases": network_of(
        StageConfig(blocks=(block(DsgmConfig(hidden_dim=16, bias=False)),))
    ),
    "convolution": network_of(StageConfig(blocks=(CONVOLUTION, CONVOLUTION))),
    "large kernel": network_of(
        StageConfig(blocks=(block(mixer=ResidualConvolutionConfig(hidden_dim=20, kernel_size=5)),))
    ),
    "convolution before an mlp": network_of(
        StageConfig(blocks=(block(MlpConfig(hidden_dim=16), ResidualConvolutionConfig()),))
    ),
    "post norm": network_of(StageConfig(blocks=(block(MlpConfig(hidden_dim=24), norm="post"),))),
    "cascade": network_of(
        StageConfig(
            blocks=(
                block(
                    MlpConfig(hidden_dim=16),
                    CascadeAttentionConfig(num_heads=2, key_dim=4, window_size=(4, 4)),
                ),
            )
        )
    ),
    "key and value widths": network_of(
        StageConfig(
            blocks=(block(mixer=replace(WINDOW, key_dim=8, value_dim=5, shift_size=(2, 2))),)
        )
    ),
    "many heads": network_of(StageConfig(blocks=(block(mixer=replace(WINDOW, num_heads=6)),))),
    "depth-wise values": network_of(
        StageConfig(blocks=(block(mixer=replace(WINDOW, depthwise_value=True)),))
    ),
    "cosine": network_of(
        StageConfig(
            blocks=(
                block(
                    mixer=WindowAttentionConfig(
                        num_heads=4,
                        window_size=(4, 4),
                        logits="cosine",
                        position=ExponentialPositionConfig(hidden=16),
                    ),
                ),
            )
        )
    ),
    "grouped": network_of(
        StageConfig(
            blocks=(
                block(
                    MlpConfig(hidden_dim=16),
                    WindowAttentionConfig(
                        num_heads=4,
                        window_size=(4, 4),
                        projection=ProjectionConfig(groups=2, residual=True),
                        output=ProjectionConfig(groups=2, residual=True),
                    ),
                ),
            )
        )
    ),
    "groups across heads": network_of(
        StageConfig(
            blocks=(
                block(
                    mixer=WindowAttentionConfig(
                        num_heads=2,
                        window_size=(4, 4),
                        value_dim=12,
                        key_dim=9,
                        projection=ProjectionConfig(groups=3),
                        output=ProjectionConfig(groups=2),
                    ),
                ),
            )
        )
    ),
    "channel branch": network_of(
        StageConfig(
            blocks=(
                block(
                    DsgmConfig(hidden_dim=16),
                    replace(WINDOW, channel=ChannelBranchConfig(num_heads=2), depthwise_value=True),
                ),
            )
        )
    ),
    "independent cascade": network_of(
        StageConfig(
            blocks=(
                block(
                    mixer=CascadeAttentionConfig(
                        num_heads=3, key_dim=6, window_size=(4, 4), cascade=False
                    ),
                ),
            )
        )
    ),
    "no norms": network_of(
        StageConfig(blocks=(CONVOLUTION, CONVOLUTION), closing="depthwise"),
        StageConfig(
            blocks=(block(MlpConfig(hidden_dim=16), norm="none"),),
            cross_layer=CrossLayerConfig(keys=3, references=2, depthwise_tail=True),
        ),
        body=BodyConfig(norm=False),
    ),
    "no norms, cascade": network_of(
        StageConfig(
            blocks=(
                block(
                    MlpConfig(hidden_dim=16),
                    CascadeAttentionConfig(num_heads=3, key_dim=4, window_size=(4, 4)),
                    norm="none",
                ),
            )
        ),
        body=BodyConfig(norm=False, closing="none"),
    ),
    "recursion": network_of(StageConfig(blocks=TWO.blocks, recursions=3, anchor="every")),
    "shared stages": network_of(TWO, TWO, StageConfig(blocks=(CONVOLUTION,)), stage_sharing=2),
    "stages": network_of(TWO, StageConfig(blocks=(block(DepthwiseMlpConfig(hidden_dim=20)),))),
    "cross-layer": network_of(
        TWO, StageConfig(blocks=TWO.blocks, cross_layer=CrossLayerConfig(keys=2, references=2))
    ),
    "selected keys": network_of(
        StageConfig(
            blocks=TWO.blocks, cross_layer=CrossLayerConfig(keys=4, references=1, selection="hard")
        )
    ),
    "some untied": network_of(StageConfig(blocks=TWO.blocks, recursions=2, tied=False), TWO),
    "one colour": network_of(TWO, in_channels=1, out_channels=1),
}


@pytest.fixture(scope="session")
def architectures():
    return ARCHITECTURES


@pytest.fixture(scope="session")
def data(photograph):
    task = parse_task("sr-x2")
    return TrainingSet(task, from_gallery(task, Gallery((Image("crop", photograph()),), ())))


class Gray:
    """The same patches in one colour."""

    def __init__(self, colour):
        self._colour = colour

    def batch(self, *where):
        return tuple(image.mean(1, keepdim=True) for image in self._colour.batch(*where))


@pytest.fixture
def few_batches(monkeypatch):
    """Measure importance on few patches, where what it finds does not matter."""
    patches, few = importance._patches, 2
    monkeypatch.setattr(
        importance,
        "_patches",
        lambda network, data, seed, batches=few: patches(network, data, seed, min(batches, few)),
    )


@pytest.fixture
def patches(data):
    return lambda architecture: data if architecture.in_channels == 3 else Gray(data)


@pytest.fixture
def trained():
    """A network none of whose weights is zero, as a training leaves it."""

    def filled(architecture, seed=0, dtype=torch.float32):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = build(architecture)
            with torch.no_grad():
                for name, parameter in network.named_parameters():
                    # cross-layer keys stay within the image, and none outweighs the others
                    parameter.normal_(0, 0.01 if "cross_layers" in name else 0.4)
                    if "norm" in name and name.endswith("weight"):
                        parameter.add_(1)
                for name, buffer in network.named_buffers():
                    if name.endswith(("running_mean", "running_var")):
                        buffer.uniform_(0.5, 1.5)
        return network.to(dtype).eval() if dtype != torch.float32 else network.eval()

    return filled
