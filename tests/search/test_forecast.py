from dataclasses import replace

import pytest

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from results.objectives import Objective
from results.trials import Trial
from search.config import SearchConfig
from search.forecast import KEEPING_S, PRUNE, SEARCH, TEACHING, TRAIN_ON, Progress, seconds_left

KINDS = (
    Objective(name="psnr_y", direction="maximise", unit="dB"),
    Objective(name="macs", direction="minimise"),
)
ARCHITECTURE = Architecture(
    width=8, stages=(StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig()),)),)
)
CONFIG = SearchConfig(trials=12, finalists=2, time_s=0)


def ended(number, macs, seconds):
    return Trial(
        number=number,
        state="finished",
        architecture=ARCHITECTURE,
        choices={},
        cost={"params": 1000, "macs": macs},
        scores={"psnr_y": 30 + macs / 1e10},
        seconds=seconds,
    )


def left(trials, config=CONFIG, phase=SEARCH, done=0, elapsed_s=0.0, workers=1):
    progress = Progress(phase=phase, done=done, elapsed_s=elapsed_s, workers=workers)
    return seconds_left(trials, KINDS, config, progress, now_s=0.0, longer=2.0)


def test_nobody_knows_before_the_first_trial_has_ended():
    assert left([]) is None
    assert left([replace(ended(0, 10**9, 1.0), state="running", scores={})]) is None


def test_equal_trials_take_equal_time():
    trials = [ended(n, 10**9, 10.0) for n in range(4)]
    # 8 trials of 10 s, 2 finalists and one pruned network of 20 s, and their keeping
    expected = 8 * 10 + (2 * 20 + 2 * KEEPING_S) + (TEACHING * 20 + 2 * KEEPING_S)
    assert left(trials) == pytest.approx(expected)


def test_time_grows_with_the_macs_of_what_was_begun():
    trials = [ended(0, 4 * 10**9, 40.0), ended(1, 3 * 10**9, 30.0)]
    waiting = [replace(ended(n, 10**9, None), state="running", scores={}) for n in (2, 3)]
    config = CONFIG.replace(trials=4)
    alone = left([*trials, *waiting], config) - left(trials, CONFIG.replace(trials=2))
    # 10 s each, half of the one that is under way
    assert alone == pytest.approx(15)


def test_workers_share_the_trials():
    trials = [ended(n, 10**9, 10.0) for n in range(4)]
    expected = 8 * 10 / 2 + (20 + 2 * KEEPING_S) + (TEACHING * 20 + 2 * KEEPING_S)
    assert left(trials, workers=2) == pytest.approx(expected)


def test_later_phases_count_what_is_left_of_them():
    trials = [ended(n, 10**9, 10.0) for n in range(12)]
    both = left(trials, phase=TRAIN_ON, done=0)
    one = left(trials, phase=TRAIN_ON, done=1)
    last = left(trials, phase=PRUNE, done=0)
    assert both > one > last > 0
    assert last == pytest.approx(TEACHING * 20 + 2 * KEEPING_S)
    assert left(trials, phase="report") == 0


def test_published_systems_are_trainings_too():
    trials = [ended(n, 10**9, 10.0) for n in range(4)]
    assert left(trials, CONFIG.replace(presets=True)) - left(trials) == pytest.approx(80)


def test_a_time_limit_is_kept():
    trials = [ended(n, 10**9, 100.0) for n in range(4)]
    assert left(trials, CONFIG.replace(time_s=600), elapsed_s=200) <= 400


def test_odd_times_never_make_a_negative_rate():
    trials = [ended(0, 10**9, 30.0), ended(1, 4 * 10**9, 10.0), ended(2, 0, 0.1)]
    assert left(trials) > 0
