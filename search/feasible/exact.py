"""Products of long rows of counts in whole numbers, by Fourier transforms of short digits."""

from __future__ import annotations

import numpy as np
from scipy import fft

from search.feasible.stage_costs import Integers

DIGIT_BITS = 12
"""Digits so short that the transform's rounding, in double precision, stays far below one half."""

DOT_BITS = 21

LONGEST = 2**20 + 1
LARGEST = 2**62


def convolved(left: Integers, right: Integers) -> Integers | None:
    """How many pairs lie in each cell, cut off at the length of `left`; exact.

    Returns:
        None if there are too many pairs for 64 bits or too many cells for the precision.
    """
    if int(left.sum()) * int(right.sum()) >= LARGEST or len(left) > LONGEST:
        return None
    length = fft.next_fast_len(2 * len(left), real=True)
    lefts, rights = (
        [np.fft.rfft(digit, length) for digit in _digits(row)] for row in (left, right)
    )
    total = np.zeros(len(left), np.int64)
    for place in range(len(lefts) + len(rights) - 1):
        pairs = (
            lefts[i] * rights[place - i]
            for i in range(max(0, place + 1 - len(rights)), min(place + 1, len(lefts)))
        )
        product = np.rint(np.fft.irfft(sum(pairs), length)[: len(left)])
        total += product.astype(np.int64) << (DIGIT_BITS * place)
    return total


def pairs_between(left: Integers, right: Integers, low: int, high: int) -> int:
    """How many pairs lie in cells from `low` to `high`, both included; exact, of any size."""
    below = np.concatenate([[0], np.cumsum(right)])
    cells = np.flatnonzero(left)
    tops = np.clip(high - cells + 1, 0, len(right))
    bottoms = np.clip(low - cells, 0, len(right))
    partners = below[tops] - below[np.minimum(bottoms, tops)]
    return _dot(left[cells], partners)


def _dot(left: Integers, right: Integers) -> int:
    """The sum of products; digits so short that 64 bits hold it for `LONGEST` of them."""
    mask = 2**DOT_BITS - 1
    return sum(
        int(np.dot((left >> i) & mask, (right >> j) & mask)) << (i + j)
        for i in range(0, 63, DOT_BITS)
        for j in range(0, 63, DOT_BITS)
    )


def _digits(row: Integers) -> list[Integers]:
    """The numbers of a row in digits of `DIGIT_BITS` bits, lowest first."""
    count = max(1, -(-int(row.max(initial=0)).bit_length() // DIGIT_BITS))
    return [(row >> (DIGIT_BITS * n)) & (2**DIGIT_BITS - 1) for n in range(count)]
