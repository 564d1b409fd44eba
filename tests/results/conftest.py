"""Architectures and runs that the tests of the record and of the report share."""

from dataclasses import replace

import pytest

from lightir_core.architecture import (
    Architecture,
    Block,
    DepthwiseMlp,
    Projection,
    Stage,
    Tail,
    WindowAttention,
)
from results.objectives import Objective
from results.study import Record


@pytest.fixture(scope="session")
def objectives():
    return (
        Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y"),
        Objective(name="macs", direction="minimise", label="MACs"),
    )


@pytest.fixture(scope="session")
def architecture():
    mixer = WindowAttention(
        num_heads=6, window_size=(8, 8), projection=Projection(groups=2, residual=True)
    )
    block = Block(mixer=mixer, feed_forward=DepthwiseMlp(hidden_dim=96))
    shifted = replace(block, mixer=replace(mixer, shift_size=(4, 4)))
    return Architecture(
        width=48,
        scale=2,
        stages=(Stage(blocks=(block, shifted)),) * 3,
        tail=Tail(skip="interpolated"),
    )


@pytest.fixture
def record(tmp_path, objectives):
    space = {"width": [24, 48, 60], "window": ["8x8", "16x8"], "shift": [True, False, None]}
    with Record.create(tmp_path / "run", objectives, space) as record:
        yield record
