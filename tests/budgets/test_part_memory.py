import pytest
import torch
from torch.utils.checkpoint import checkpoint

from budgets.part_memory import Allocations, MemorySetting, part_memory, trace_part_memory
from budgets.parts import Part
from budgets.units import Size
from lightir_core.architecture import (
    BlockConfig,
    CascadeAttentionConfig,
    CrossLayerConfig,
    ResidualConvolutionConfig,
)

SIZE, BATCH = Size(16, 16), 2
MAP = 4 * BATCH * 12 * 16 * 16
TRAINING = MemorySetting(BATCH, training=True)


def test_a_residual_block_keeps_its_input_and_its_activation():
    block = BlockConfig(mixer=ResidualConvolutionConfig(hidden_dim=24), norm="none")
    memory = trace_part_memory(Part("block", block, 12), SIZE, TRAINING, (4,))
    assert memory.parameters == 4 * (2 * 9 * 12 * 24 + 24 + 12)
    assert memory.keeps_input == 1
    assert memory.keeps_output == 0
    # conv1 keeps the input, ReLU and conv2 the same activation of twice the width
    assert memory.kept == 2 * MAP
    # that, its gradient and the gradient before ReLU
    assert memory.peak >= 6 * MAP


def test_without_gradient_nothing_is_kept():
    block = BlockConfig(mixer=ResidualConvolutionConfig(), norm="none")
    memory = trace_part_memory(Part("block", block, 12), SIZE, MemorySetting(BATCH), (4,))
    assert (memory.kept, memory.keeps_input, memory.keeps_output) == (0, 0, 0)
    assert 2 * MAP <= memory.peak < 4 * MAP


def test_half_precision_shows_in_the_output():
    part = Part("closing", "convolution", 12)
    setting = MemorySetting(BATCH, training=True, half=True)
    assert trace_part_memory(part, SIZE, setting, (2,)).itemsize == 2
    assert trace_part_memory(part, SIZE, TRAINING, (4,)).itemsize == 4


def test_half_copies_of_weights_are_told_apart():
    block = BlockConfig(mixer=ResidualConvolutionConfig(hidden_dim=24), norm="none")
    half = MemorySetting(BATCH, training=True, half=True)
    memory = trace_part_memory(Part("block", block, 12), SIZE, half, (2,))
    assert memory.casts == memory.parameters // 2
    assert trace_part_memory(Part("block", block, 12), SIZE, TRAINING, (4,)).casts == 0


def test_references_are_inputs_too():
    part = Part("cross_layer", CrossLayerConfig(keys=2, references=2), 12)
    memory = trace_part_memory(part, SIZE, TRAINING, (4, 4, 4))
    assert memory.keeps_input == 1
    assert memory.peak > 3 * MAP


def test_recomputation_is_seen():
    mixer = CascadeAttentionConfig(num_heads=2, key_dim=4, window_size=(8, 8))
    part = Part("block", BlockConfig(mixer=mixer), 16)
    size, batch, windows = Size(64, 64), 2, 2 * 64
    memory = trace_part_memory(part, size, MemorySetting(batch, training=True), (4,))
    logits = 4 * 2 * windows * 64 * 64  # two heads; softmax would keep them
    assert memory.kept < logits + 12 * batch * 16 * 64 * 64 * 4
    assert memory.peak > memory.kept


def test_a_profile_is_the_same_each_time():
    part = Part("cross_layer", CrossLayerConfig(keys=3, references=1), 12)
    first = part_memory(part, SIZE, TRAINING, (4, 4))
    assert all(trace_part_memory(part, SIZE, TRAINING, (4, 4)) == first for _ in range(3))


@pytest.mark.parametrize(
    ("function", "live", "peak"),
    [
        (lambda x: x.view(-1), 0, 0),
        (lambda x: x.add_(1), 0, 0),
        (lambda x: x + 1, 400, 400),
        (lambda x: (x + 1) + 1, 400, 800),
        (lambda x: (x + 1).add_(1), 400, 400),
        (lambda x: ((x + 1) + 1).sum(), 4, 800),
    ],
)
def test_storages_count_while_something_refers_to_them(function, live, peak):
    x = torch.empty(10, 10, device="meta")
    with Allocations([x]) as tracker:
        out = function(x)
    assert (tracker.live_bytes, tracker.peak_bytes) == (live, max(peak, live))
    del out
    assert tracker.live_bytes == 0


def test_what_is_kept_for_the_gradient_stays():
    x = torch.empty(10, 10, device="meta", requires_grad=True)
    with Allocations([x]) as tracker:
        out = (x.exp() * 2).sum()
        kept = tracker.live_bytes
        again = checkpoint(lambda y: y.exp().exp().sum(), x, use_reentrant=False)
        recomputed = tracker.live_bytes - kept
        out.backward()
        after = tracker.live_bytes
    assert kept == 400 + 4  # exp keeps its result, the sum is the output
    assert recomputed == 4
    assert after == 400 + 4 + 4  # the gradient of x, and both sums
    del again


def test_an_address_that_is_used_again_is_a_new_storage():
    known = [torch.empty(10, 10) for _ in range(50)]
    with Allocations(known) as tracker:
        known.clear()
        made = [torch.empty(10, 10) for _ in range(100)]
    assert tracker.live_bytes == 400 * len(made)
