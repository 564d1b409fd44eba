import torch
from hypothesis import given
from hypothesis import strategies as st

from budgets import latency
from budgets.latency import device_name, time_network
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from lightir_core.network import build
from search.evaluators.score import busiest

CPU = torch.device("cpu")
STAGES = (StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig()),)),)


def noisy(height, width, top, left, side):
    """A flat image with noise in one square."""
    image = torch.full((3, height, width), 128, dtype=torch.uint8)
    noise = torch.Generator().manual_seed(0)
    image[:, top : top + side, left : left + side] = torch.randint(
        0, 256, (3, side, side), generator=noise, dtype=torch.uint8
    )
    return image


def test_the_busiest_square_is_where_the_noise_is():
    assert busiest(noisy(96, 128, 32, 64, 32), 32, 2) == (32, 64, 32)


def test_corners_lie_on_a_grid_of_half_the_side():
    top, left, side = busiest(noisy(100, 100, 50, 10, 40), 40, 1)
    assert side == 40
    assert (top % 20, left % 20) == (0, 0)
    assert abs(top - 50) <= 10
    assert abs(left - 10) <= 10


def test_a_flat_image_has_a_square_too():
    flat = torch.zeros(3, 50, 60, dtype=torch.uint8)
    assert busiest(flat, 32, 4) == (0, 0, 32)


@given(
    height=st.integers(8, 90),
    width=st.integers(8, 90),
    side=st.integers(8, 100),
    multiple=st.sampled_from([1, 2, 3, 4]),
    seed=st.integers(0, 9),
)
def test_the_square_lies_inside_on_multiples(height, width, side, multiple, seed):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)
    top, left, found = busiest(image, side, multiple)
    assert found == min(side, height, width) // multiple * multiple
    assert top + found <= height
    assert left + found <= width
    assert all(number % multiple == 0 for number in (top, left, found))


def timed(scale):
    return time_network(build(Architecture(width=2, scale=scale, stages=STAGES)).eval(), CPU)


def test_three_sizes_are_timed_the_largest_takes_longest():
    found, device = timed(2)
    assert list(found) == ["320x180", "640x360", "1280x720"]
    assert 0 < found["320x180"] < found["1280x720"]
    assert device == device_name("cpu")


def test_tasks_that_keep_the_size_have_their_own():
    assert list(timed(1)[0]) == ["128x128", "256x256", "512x512"]


def test_what_would_take_long_is_left_out(monkeypatch):
    monkeypatch.setattr(latency, "MOST_SECONDS", 0.0)
    assert list(timed(1)[0]) == ["128x128"]
