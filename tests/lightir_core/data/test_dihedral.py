import pytest
import torch

from lightir_core.data.datasets import WAYS, turn, turn_back

IMAGE = torch.arange(2 * 3 * 4).view(1, 2, 3, 4)


def test_the_eight_ways_are_all_different():
    square = torch.arange(9).view(3, 3)
    assert len({tuple(turn(square, way).flatten().tolist()) for way in WAYS}) == 8
    assert torch.equal(turn(IMAGE, 0), IMAGE)


@pytest.mark.parametrize("way", WAYS)
def test_turning_back_undoes_it(way):
    assert torch.equal(turn_back(turn(IMAGE, way), way), IMAGE)


def test_ways_by_hand():
    square = torch.tensor([[1, 2], [3, 4]])
    assert turn(square, 1).tolist() == [[3, 4], [1, 2]]  # upside down
    assert turn(square, 2).tolist() == [[2, 1], [4, 3]]  # mirrored
    assert turn(square, 4).tolist() == [[1, 3], [2, 4]]  # transposed
    assert turn(square, 6).tolist() == [[3, 1], [4, 2]]  # a quarter to the right
