import math

import torch

from lightir_core import architecture as arch
from lightir_core.blocks.attention import (
    ExponentialPosition,
    TablePosition,
    exponential_offsets,
    relative_index,
)
from lightir_core.blocks.window_attention import build_position


def test_index_counts_offsets_query_minus_key():
    index = relative_index((2, 3))
    # query token 5 = (1, 2), key token 0 = (0, 0): (1 + 1)·5 + (2 + 2)
    assert index[5, 0] == 14
    assert index[0, 5] == 0
    assert index.diagonal().unique().tolist() == [7]  # (0 + 1)·5 + (0 + 2)
    assert index.shape == (6, 6)


def test_every_offset_is_used():
    assert relative_index((3, 4)).unique().numel() == 5 * 7


def test_table_gives_each_pair_the_entry_of_its_offset():
    position = TablePosition((2, 2), 3)
    bias = position()
    assert bias.shape == (3, 4, 4)
    assert torch.equal(bias[2, 3, 0], position.table[8, 2])
    assert position.table.numel() == 27


def test_exponential_offsets_saturate():
    offsets = exponential_offsets((8, 32))
    assert offsets.shape == (15 * 63, 2)
    # sign(d)(1 − exp(−|d|)) at the ends of ±3.2
    end = 1 - math.exp(-3.2)
    assert torch.allclose(offsets[0], torch.tensor([-end, -end]))
    assert torch.allclose(offsets[-1], torch.tensor([end, end]))
    assert torch.equal(offsets[15 * 63 // 2], torch.zeros(2))


def test_exponential_position_is_bounded_and_has_the_papers_size():
    position = ExponentialPosition((8, 32), 3, 128)
    assert sum(p.numel() for p in position.parameters()) == 768  # 3M + Mh, M = 128, h = 3
    bias = position()
    assert bias.shape == (3, 256, 256)
    assert torch.allclose(bias, torch.tensor(8.0), atol=0.1)  # fresh: sigmoid of almost nothing
    assert 0 < bias.min() < bias.max() < 16


def test_table_of_positions():
    assert build_position(None, (2, 2), 1) is None
    assert isinstance(build_position(arch.TablePositionConfig(), (2, 2), 1), TablePosition)
    exponential = build_position(arch.ExponentialPositionConfig(hidden=5), (2, 2), 1)
    assert exponential.inward.out_features == 5
