from budgets.allocations import MemorySetting
from budgets.budget import Size
from budgets.memory import part_memory, trace_part_memory
from budgets.parts import Part
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
