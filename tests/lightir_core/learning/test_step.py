import pytest
import torch

from lightir_core.learning.step import Prefetch


class Counting:
    """Patches of `data`, with the steps that were asked for."""

    def __init__(self, data):
        self.data, self.steps = data, []

    def batch(self, seed, step, batch, patch_px):
        self.steps.append(step)
        return self.data.batch(seed, step, batch, patch_px)


@pytest.mark.parametrize("first", [0, 3])
def test_patches_are_the_same(data, first):
    prefetch = Prefetch(data, torch.device("cpu"), steps=4)
    for step in range(first, 10):
        for carried, own in zip(
            prefetch.batch(5, step, 2, 8), data.batch(5, step, 2, 8), strict=True
        ):
            assert torch.equal(carried, own)


def test_each_step_is_cut_once(data):
    counting = Counting(data)
    prefetch = Prefetch(counting, torch.device("cpu"), steps=4)
    for step in range(8):
        prefetch.batch(0, step, 2, 8)
    assert counting.steps == list(range(8))


def test_another_seed_or_size_is_cut_anew(data):
    prefetch = Prefetch(data, torch.device("cpu"), steps=4)
    first = prefetch.batch(0, 0, 2, 8)[0]
    assert not torch.equal(first, prefetch.batch(1, 0, 2, 8)[0])
    assert prefetch.batch(1, 0, 3, 16)[0].shape[::2] == (3, 16)
