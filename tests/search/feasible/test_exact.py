"""Whole numbers stay whole, however long."""

import random

import numpy as np
import pytest

from search.feasible.exact import LARGEST, convolved, pairs_between


@pytest.mark.parametrize("largest", [1, 4095, 4096, 10**6, 2**25])
def test_a_product_is_what_multiplying_by_hand_gives(largest):
    rng = random.Random(largest)
    left, right = ([rng.randint(0, largest) for _ in range(60)] for _ in range(2))
    expected = [sum(left[i] * right[n - i] for i in range(n + 1)) for n in range(60)]
    found = convolved(np.array(left), np.array(right))
    assert found is not None
    assert found.tolist() == expected


def test_long_rows_lose_nothing():
    rng = np.random.default_rng(0)
    left, right = (rng.integers(0, 2**13, 2**17) for _ in range(2))
    found = convolved(left, right)
    assert found is not None
    for place in (0, 1, 1000, 2**17 - 1):
        by_hand = sum(map(int.__mul__, left[: place + 1].tolist(), right[place::-1].tolist()))
        assert int(found[place]) == by_hand


def test_what_does_not_fit_is_refused():
    row = np.array([LARGEST // 2, 0])
    assert convolved(row, np.array([1, 3])) is None


def test_pairs_in_a_range_may_be_more_than_64_bits():
    left, right = np.array([2**61, 0, 1]), np.array([2**61, 5, 0])
    assert pairs_between(left, right, 0, 0) == 2**122
    assert pairs_between(left, right, 1, 2) == 5 * 2**61 + 2**61
    assert pairs_between(left, right, 3, 9) == 5
    assert pairs_between(left, right, 5, 9) == 0
