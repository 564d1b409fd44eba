import time

import pytest

from lightir_core.errors import SearchError
from lightir_core.published.presets import PRESETS
from results.baselines import read_baselines
from search.baselines import evaluate_baselines
from search.config import SearchConfig
from search.jobs import Outcome, Silent, drive_function, never
from search.plan import make_plan
from spaces import find_space


class Counting:
    """A driver that scores every job the same."""

    def __init__(self):
        self.jobs = 0

    def drive(self, source):
        drive_function(source, self._score)

    def _score(self, job):
        self.jobs += 1
        return Outcome(number=job.number, scores={"psnr_y": 30.0})


class Saying(Silent):
    def __init__(self):
        self.items = []

    def item(self, text):
        self.items.append(text)


def plan_in(folder, **settings):
    config = SearchConfig(space="small", budget="60k", device="cpu", presets=True, **settings)
    return make_plan(config, folder, find_space(config.search.space))


def test_published_systems_are_trained_only_where_trials_are(tmp_path):
    with pytest.raises(SearchError, match=r"--evaluator zero-cost does not train them"):
        plan_in(tmp_path, evaluator="zero-cost")


def test_what_the_time_does_not_reach_is_taken_up_by_the_next_start(tmp_path):
    plan, callback, driver = plan_in(tmp_path), Saying(), Counting()
    evaluate_baselines(plan, driver, time.monotonic() - 1, callback, never)
    assert driver.jobs == 0
    untrained = [b for b in read_baselines(tmp_path) if not b.reason]
    assert len(read_baselines(tmp_path)) == len(PRESETS)
    assert untrained
    assert not any(baseline.scores for baseline in untrained)
    evaluate_baselines(plan, driver, time.monotonic() + 60, callback, never)
    assert driver.jobs == len(untrained)
    assert sum(item.endswith(": 30.00 dB") for item in callback.items) == driver.jobs
    assert all(baseline.scores or baseline.reason for baseline in read_baselines(tmp_path))
    evaluate_baselines(plan, driver, time.monotonic() + 60, callback, never)
    assert driver.jobs == len(untrained)
