import torch

from budgets.latency import device_name
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from lightir_core.learning.recipe import PROXY
from lightir_core.network import build
from search.evaluators import timing
from search.evaluators.timing import time_network, time_training_step
from search.jobs import Source

CPU = torch.device("cpu")
STAGES = (StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig()),)),)


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
    monkeypatch.setattr(timing, "MOST_SECONDS", 0.0)
    assert list(timed(1)[0]) == ["128x128"]


def test_a_step_is_a_real_training_step(few_candidates):
    small, *_, large = sorted(few_candidates, key=lambda candidate: candidate.cost.macs)
    # in turns and the best of each, as the machine may do other things meanwhile
    times = [
        [
            time_training_step(each.architecture, Source(task="sr-x2"), PROXY)
            for each in (small, large)
        ]
        for _ in range(5)
    ]
    quick, slow = (min(each) for each in zip(*times, strict=True))
    assert 0 < quick < slow < 10
