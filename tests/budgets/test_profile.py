from budgets.imagine import Setting
from budgets.parts import Part
from budgets.profile import part_memory, trace_memory
from budgets.units import Size
from lightir_core.architecture import (
    BlockConfig,
    CascadeAttentionConfig,
    CrossLayerConfig,
    ResidualConvolutionConfig,
)

SIZE, BATCH = Size(16, 16), 2
MAP = 4 * BATCH * 12 * 16 * 16
TRAINING = Setting(BATCH, training=True)


def test_a_residual_block_keeps_its_input_and_its_activation():
    block = BlockConfig(mixer=ResidualConvolutionConfig(hidden_dim=24), norm="none")
    memory = trace_memory(Part("block", block, 12), SIZE, TRAINING, (4,))
    assert memory.parameters == 4 * (2 * 9 * 12 * 24 + 24 + 12)
    assert memory.keeps_input == 1
    assert memory.keeps_output == 0
    # conv1 keeps the input, ReLU and conv2 the same activation of twice the width; 4: the sink
    assert memory.kept == 2 * MAP + 4
    # the activation and its map before ReLU, then the result and the sum
    assert memory.forward_peak >= 4 * MAP


def test_without_gradient_nothing_is_kept():
    block = BlockConfig(mixer=ResidualConvolutionConfig(), norm="none")
    memory = trace_memory(Part("block", block, 12), SIZE, Setting(BATCH), (4,))
    assert (memory.kept, memory.keeps_input, memory.backward_peak) == (0, 0, 0)
    assert 2 * MAP <= memory.forward_peak < 4 * MAP


def test_half_precision_shows_in_the_output():
    part = Part("closing", "convolution", 12)
    setting = Setting(BATCH, training=True, half=True)
    assert trace_memory(part, SIZE, setting, (2,)).itemsize == 2
    assert trace_memory(part, SIZE, TRAINING, (4,)).itemsize == 4


def test_half_copies_of_weights_are_told_apart():
    block = BlockConfig(mixer=ResidualConvolutionConfig(hidden_dim=24), norm="none")
    half = Setting(BATCH, training=True, half=True)
    memory = trace_memory(Part("block", block, 12), SIZE, half, (2,))
    # kernels and biases are copied; only kernels are needed for the gradient
    assert memory.casts == memory.parameters // 2
    assert memory.kept_casts == 2 * (2 * 9 * 12 * 24)
    assert trace_memory(Part("block", block, 12), SIZE, TRAINING, (4,)).casts == 0


def test_references_are_inputs_too():
    part = Part("cross_layer", CrossLayerConfig(keys=2, references=2), 12)
    memory = trace_memory(part, SIZE, TRAINING, (4, 4, 4))
    assert memory.keeps_input == 1
    assert memory.backward_peak > 3 * MAP


def test_recomputation_is_seen():
    mixer = CascadeAttentionConfig(num_heads=2, key_dim=4, window_size=(8, 8))
    part = Part("block", BlockConfig(mixer=mixer), 16)
    size, batch, windows = Size(64, 64), 2, 2 * 64
    memory = trace_memory(part, size, Setting(batch, training=True), (4,))
    logits = 4 * 2 * windows * 64 * 64  # two heads; softmax would keep them
    assert memory.kept < logits + 12 * batch * 16 * 64 * 64 * 4
    assert memory.backward_peak > memory.kept


def test_a_profile_is_the_same_each_time():
    part = Part("cross_layer", CrossLayerConfig(keys=3, references=1), 12)
    first = part_memory(part, SIZE, TRAINING, (4, 4))
    assert all(trace_memory(part, SIZE, TRAINING, (4, 4)) == first for _ in range(3))
