import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightir_core.data.degrade import demosaic_bilinear, mosaic


def test_the_pattern_is_rggb_from_the_top_left():
    image = np.full((2, 4, 3), (1, 2, 3), np.uint8)
    rggb = [[[1, 0, 0], [0, 2, 0]], [[0, 2, 0], [0, 0, 3]]]
    assert mosaic(image).tolist() == [rggb[0] * 2, rggb[1] * 2]


@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 99))
def test_each_pixel_keeps_one_sample_and_demosaicking_keeps_it(height, width, seed):
    image = np.random.default_rng(seed).integers(1, 256, (height, width, 3), dtype=np.uint8)
    seen = mosaic(image)
    assert (np.count_nonzero(seen, axis=2) == 1).all()
    assert np.array_equal(demosaic_bilinear(seen)[seen > 0], image[seen > 0])


def test_bilinear_is_the_mean_of_the_nearest_samples_of_the_colour():
    image = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    seen = mosaic(image).astype(int)
    restored = demosaic_bilinear(mosaic(image))
    # at (4, 6), a red place: green from its four sides, blue from its four corners
    assert (
        restored[4, 6, 1]
        == (seen[3, 6, 1] + seen[5, 6, 1] + seen[4, 5, 1] + seen[4, 7, 1] + 2) // 4
    )
    assert (
        restored[4, 6, 2]
        == (seen[3, 5, 2] + seen[3, 7, 2] + seen[5, 5, 2] + seen[5, 7, 2] + 2) // 4
    )
    # at (4, 5), a green place between two reds: red from left and right, blue from above and below
    assert restored[4, 5, 0] == (seen[4, 4, 0] + seen[4, 6, 0] + 1) // 2
    assert restored[4, 5, 2] == (seen[3, 5, 2] + seen[5, 5, 2] + 1) // 2


@pytest.mark.parametrize("size", [(2, 2), (5, 4), (6, 7)])
def test_an_even_colour_is_restored_up_to_the_border(size):
    image = np.full((*size, 3), (10, 20, 30), np.uint8)
    assert np.array_equal(demosaic_bilinear(mosaic(image)), image)
