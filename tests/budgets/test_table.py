import random
from dataclasses import replace

import numpy as np

from budgets.cost import Cost
from budgets.price import price, stage_cost
from budgets.table import ABSENT, CostTable
from budgets.units import Size
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CrossLayerConfig,
    MlpConfig,
    ResidualConvolutionConfig,
    StageConfig,
    StemConfig,
    TailConfig,
    WindowAttentionConfig,
)

SIZE = Size(67, 45)


def window_stage(side, blocks=1, **changes):
    block = BlockConfig(
        mixer=WindowAttentionConfig(num_heads=2, window_size=side),
        feed_forward=MlpConfig(hidden_dim=12),
    )
    return StageConfig(blocks=(block,) * blocks, **changes)


STAGES = (
    window_stage((4, 4)),
    window_stage((4, 6), blocks=2),
    window_stage((8, 8), recursions=2, tied=False),
    window_stage((4, 4), cross_layer=CrossLayerConfig(keys=3, references=1)),
    StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig()),)),
)
ANY = (STAGES[0],)
FRAMES = (
    Architecture(width=12, scale=2, stages=ANY),
    Architecture(width=8, scale=3, stages=ANY, tail=TailConfig(upsampler="staged")),
    Architecture(width=8, stages=ANY, stem=StemConfig(kernel_size=2, patch_size=2)),
)


def rows(seed, count, depth=4):
    rng = random.Random(seed)
    frames = [rng.randrange(len(FRAMES)) for _ in range(count)]
    stages = [[rng.randrange(len(STAGES)) for _ in range(depth)] for _ in range(count)]
    for row in stages:
        kept = rng.randint(1, depth)
        row[kept:] = [ABSENT] * (depth - kept)
    return np.array(frames), np.array(stages)


def test_the_table_says_what_price_says():
    table = CostTable(FRAMES, STAGES, SIZE)
    frames, stages = rows(seed=0, count=200)
    for _ in range(2):  # filled by the first call, read by the second
        params, macs = table.price(frames, stages)
        for row in range(200):
            chosen = tuple(STAGES[index] for index in stages[row] if index != ABSENT)
            architecture = replace(FRAMES[frames[row]], stages=chosen)
            assert Cost(params[row], macs[row]) == price(architecture, SIZE)


def test_shared_weights_are_counted_once():
    frames = (*FRAMES, replace(FRAMES[0], stage_sharing=2, stages=ANY * 2))
    table = CostTable(frames, STAGES, SIZE)
    stages = np.array([[0, 3, 1, 1], [3, 0, 2, 2]] * 2)
    params, macs = table.price(np.array([3, 3, 0, 0]), stages)
    for row in range(4):
        chosen = tuple(STAGES[index] for index in stages[row])
        sharing = 2 if row < 2 else 1
        architecture = replace(FRAMES[0], stages=chosen, stage_sharing=sharing)
        assert Cost(params[row], macs[row]) == price(architecture, SIZE)


def test_nothing_in_nothing_out():
    params, macs = CostTable(FRAMES, STAGES, SIZE).price(np.zeros(0, int), np.zeros((0, 3), int))
    assert params.shape == macs.shape == (0,)


def test_an_entry_is_priced_once_and_only_if_asked_for(monkeypatch):
    asked = []

    def spy(stage, width, size):
        asked.append((STAGES.index(stage), width))
        return stage_cost(stage, width, size)

    monkeypatch.setattr("budgets.table.stage_cost", spy)
    table = CostTable(FRAMES, STAGES, SIZE)
    for _ in range(2):
        table.price(np.array([0, 1, 1]), np.array([[0, 0], [2, ABSENT], [2, ABSENT]]))
    assert asked == [(0, 12), (2, 8)]
