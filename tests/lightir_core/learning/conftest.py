"""A tiny network, real patches of one photograph, and a way to train the one on the other."""

import pytest
import torch

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    MlpConfig,
    ProjectionConfig,
    ResidualConvolutionConfig,
    StageConfig,
    TailConfig,
    WindowAttentionConfig,
)
from lightir_core.data.datasets import TrainingSet, make_pairs
from lightir_core.data.images import Gallery, Image
from lightir_core.data.sources import from_gallery
from lightir_core.data.tasks import parse_task
from lightir_core.learning.training import train
from lightir_core.network import build

CPU = torch.device("cpu")

CONVOLUTIONS = Architecture(
    width=8,
    scale=2,
    stages=(StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig(), norm="none"),)),),
    tail=TailConfig(skip="interpolated"),
)

ATTENTION = Architecture(
    width=16,
    scale=2,
    stages=(
        StageConfig(
            blocks=(
                BlockConfig(
                    mixer=WindowAttentionConfig(
                        num_heads=2,
                        window_size=(4, 4),
                        projection=ProjectionConfig(groups=2, residual=True),
                        output=ProjectionConfig(groups=2),
                    ),
                    feed_forward=MlpConfig(hidden_dim=16),
                ),
            )
        ),
    ),
    tail=TailConfig(skip="interpolated"),
)


@pytest.fixture(scope="session")
def convolutions():
    return CONVOLUTIONS


@pytest.fixture(scope="session")
def attention():
    return ATTENTION


@pytest.fixture(scope="session")
def task():
    return parse_task("sr-x2")


@pytest.fixture(scope="session")
def source(task, photograph):
    return from_gallery(task, Gallery((Image("crop", photograph()),), ()))


@pytest.fixture(scope="session")
def data(task, source):
    return TrainingSet(task, source)


@pytest.fixture(scope="session")
def pairs(task, source):
    return make_pairs(task, source)


@pytest.fixture
def built():
    def build_seeded(architecture, seed=0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return build(architecture)

    return build_seeded


@pytest.fixture
def trained(built, data):
    """(network, curve) after a training of a fresh network; what is not said is as usual."""

    def run(architecture, recipe, *, seed=0, validate=lambda network: 0.0, **more):
        network = built(architecture)
        more.setdefault("data", data)
        curve = train(network, recipe=recipe, seed=seed, device=CPU, validate=validate, **more)
        return network, curve

    return run
