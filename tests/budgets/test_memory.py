from dataclasses import replace

import pytest
import torch

from benchmarks.measured import measured_inference_memory, measured_training_memory
from budgets.budget import Size
from budgets.memory import inference_memory, training_memory, weights_memory
from budgets.price import price
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    BodyConfig,
    CrossLayerConfig,
    MlpConfig,
    ResidualConvolutionConfig,
    StageConfig,
    WindowAttentionConfig,
)
from lightir_core.errors import BudgetError
from tests.budgets.random_architectures import random_architecture

BLOCK = BlockConfig(
    mixer=WindowAttentionConfig(num_heads=2, window_size=(4, 4)),
    feed_forward=MlpConfig(hidden_dim=24),
)
PLAIN = Architecture(width=12, scale=2, stages=(StageConfig(blocks=(BLOCK, BLOCK)),) * 2)


@pytest.fixture
def single_precision(monkeypatch):
    monkeypatch.setattr("lightir_core.learning.step.has_fast_bfloat16", lambda device: False)


@pytest.fixture
def half_precision(monkeypatch):
    monkeypatch.setattr("lightir_core.learning.step.has_fast_bfloat16", lambda device: True)


SLOW_SEEDS = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6)]


@pytest.mark.parametrize("seed", [0, 1, *SLOW_SEEDS])
def test_a_training_step_peaks_where_it_is_said_to(seed, single_precision):
    architecture = random_architecture(seed)
    batch, patch = ((4, 24), (2, 40))[seed % 2]
    observed = measured_training_memory(architecture, batch, patch)
    assert training_memory(architecture, batch, patch) == pytest.approx(observed, rel=0.01)


needs_fast_half = pytest.mark.skipif(
    not torch.cpu.get_capabilities().get("amx_bf16"),
    reason="bfloat16 kernels without a matrix unit need other room",
)


@needs_fast_half
@pytest.mark.parametrize("seed", [1, 5])
def test_under_autocast_too(seed, half_precision):
    architecture = random_architecture(seed)
    observed = measured_training_memory(architecture, 4, 24)
    assert training_memory(architecture, 4, 24, half=True) == pytest.approx(observed, rel=0.03)


@needs_fast_half
@pytest.mark.parametrize("shared", [{"stage_sharing": 2}, {"stages": PLAIN.stages * 2}], ids=str)
def test_autocast_copies_shared_weights_once(shared, half_precision):
    wide = BlockConfig(mixer=ResidualConvolutionConfig(hidden_dim=96), norm="none")
    stage = StageConfig(blocks=(wide,), recursions=3)
    architecture = replace(PLAIN, width=48, stages=(stage, stage))
    architecture = replace(architecture, **shared)
    observed = measured_training_memory(architecture, 2, 16)
    # six passes over 83,000 weights: a copy for each would be a tenth more
    assert training_memory(architecture, 2, 16, half=True) == pytest.approx(observed, rel=0.02)


@pytest.mark.parametrize("seed", [8, 14])
def test_a_forward_pass_peaks_where_it_is_said_to(seed):
    architecture = random_architecture(seed)
    observed = measured_inference_memory(architecture, Size(90, 130))
    assert inference_memory(architecture, Size(90, 130)) == pytest.approx(observed, rel=0.01)


@pytest.mark.parametrize(
    "change",
    [
        {"anchor": "every", "recursions": 3},
        {"anchor": "last", "recursions": 2, "tied": False},
        {"skip": "output"},
        {"skip": "none", "closing": "none"},
        {"cross_layer": CrossLayerConfig(keys=3, references=1)},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "body", [BodyConfig(), BodyConfig(norm=False, closing="none")], ids=["body", "bare"]
)
def test_maps_held_by_skips_anchors_and_references(change, body, single_precision):
    stage = replace(PLAIN.stages[0], blocks=(BLOCK,), **change)
    architecture = replace(PLAIN, stages=(stage, stage), body=body)
    observed = measured_training_memory(architecture, 3, 16)
    assert training_memory(architecture, 3, 16) == pytest.approx(observed, rel=0.01)


def test_shared_stages_share_weights_but_not_what_they_keep(single_precision):
    shared = replace(PLAIN, stage_sharing=2)
    observed = measured_training_memory(shared, 3, 16)
    assert training_memory(shared, 3, 16) == pytest.approx(observed, rel=0.01)
    parameters = price(PLAIN, Size(32, 32)).params - price(shared, Size(32, 32)).params
    saved = training_memory(PLAIN, 3, 16) - training_memory(shared, 3, 16)
    # weights, what they were at first, and Adam's two numbers for each; the gradients come and go
    # with the activations; two blocks' tables of relative positions, int64, twice too
    tables = 2 * 2 * 8 * 16 * 16
    assert saved == pytest.approx(4 * 4 * parameters + tables, rel=0.35)


def test_more_batch_patch_or_state_takes_more():
    base = training_memory(PLAIN, 2, 16)
    assert training_memory(PLAIN, 4, 16) > 1.5 * base
    assert training_memory(PLAIN, 2, 32) > 2 * base
    params = price(PLAIN, Size(32, 32)).params
    assert training_memory(PLAIN, 2, 16, state_copies=3) - base == 4 * params
    assert training_memory(PLAIN, 2, 16, half=True) < base
    deeper = replace(PLAIN, stages=PLAIN.stages * 2)
    assert training_memory(deeper, 2, 16) > 1.3 * base


def test_the_weights_alone_are_a_lower_bound():
    params = price(PLAIN, Size(32, 32)).params
    assert weights_memory(params) == 5 * 4 * params < training_memory(PLAIN, 1, 4)
    assert weights_memory(params, state_copies=1) == 4 * 4 * params


def test_inference_does_not_grow_with_depth_but_for_the_weights():
    deeper = replace(PLAIN, stages=PLAIN.stages * 2)
    size = Size(64, 64)
    buffers = 4 * 4 * 16 * 16 // 2  # four more blocks' tables of relative positions, int64
    more = inference_memory(deeper, size) - inference_memory(PLAIN, size)
    params = price(deeper, size).params - price(PLAIN, size).params
    assert more == 4 * params + 4 * buffers


def test_a_convolutional_network_needs_no_windows():
    architecture = Architecture(
        width=8, stages=(StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig()),)),)
    )
    observed = measured_inference_memory(architecture, Size(31, 45))
    assert inference_memory(architecture, Size(31, 45)) == pytest.approx(observed, rel=0.01)


def test_unknown_devices_are_refused():
    with pytest.raises(BudgetError, match="memory on 'tpu' is not known; use one of"):
        training_memory(PLAIN, 1, 16, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(BudgetError, match="only be told where torch sees a GPU"):
            inference_memory(PLAIN, Size(8, 8), device="cuda")
