"""The prior: what it learns from a table, and from the scores of a run."""

import random

import numpy as np
import pytest
from scipy.stats import kendalltau

from lightir_core.data.tasks import parse_task
from lightir_core.errors import SearchError
from lightir_core.published.presets import PRESETS, preset
from results.prior import FEWEST, numbers_of

COUNT = 120
"""More than are needed, few enough to be priced within seconds."""


@pytest.fixture(scope="module")
def half(trained_table):
    return trained_table[: COUNT // 2], trained_table[COUNT // 2 : COUNT]


def test_networks_that_it_has_not_seen_are_ranked(prior_of, half, candidate_of):
    learnt, others = half
    means, deviations = prior_of(learnt).predict([candidate_of(one) for one in others])
    assert kendalltau(means, [one.score for one in others]).statistic > 0.6
    assert (deviations > 0).all()


def test_it_is_surer_of_what_it_has_seen(prior_of, half, candidate_of):
    prior = prior_of(half[0])
    of_known, of_others = (
        prior.predict([candidate_of(one) for one in some])[1].mean() for some in half
    )
    assert of_known < of_others


def test_scores_of_a_run_are_on_its_own_level(prior_of, half, candidate_of):
    learnt, others = half
    prior, asked = prior_of(learnt), [candidate_of(one) for one in others]
    before, _ = prior.predict(asked)
    for one in others[:5]:
        prior.observe(candidate_of(one), one.score + 2)
    after, _ = prior.predict(asked)
    assert np.mean(after - before) == pytest.approx(2, abs=0.2)
    nearer = abs(after - 2 - [one.score for one in others]) - abs(
        before - [one.score for one in others]
    )
    assert nearer[:5].mean() < 0  # of those observed it knows more than before


def test_it_tells_how_long_a_training_takes(prior_of, half, candidate_of):
    learnt, others = half
    expected = prior_of(learnt).seconds([candidate_of(one) for one in others])
    assert kendalltau(expected, [one.cpu_s for one in others]).statistic > 0.6
    assert np.median(expected / [one.cpu_s for one in others]) == pytest.approx(1, abs=0.3)


def test_a_task_of_which_the_table_knows_nothing_has_the_prior_of_the_usual_one(prior_of, half):
    prior = prior_of(half[0], parse_task("denoise:25"))
    assert (prior.task, prior.metric) == ("sr-x2", parse_task("denoise:25").metric)


def test_a_table_that_is_too_small_is_refused(prior_of, half):
    with pytest.raises(SearchError, match=f"{FEWEST - 1} trainings on sr-x2, and {FEWEST}"):
        prior_of(half[0][: FEWEST - 1])


def test_every_published_design_has_numbers(feasible):
    everything = feasible("small", "1M")
    for name in PRESETS:
        architecture = preset(name, "sr-x2")
        numbers = numbers_of(architecture, everything.price(architecture), 64 * 64)
        assert all(np.isfinite(value) for value in numbers.values()), name


def test_blocks_count_by_their_share_of_the_passes(feasible):
    everything, rng = feasible("default", "1M"), random.Random(0)
    space = everything.space
    point = space.complete(
        {"stages": 2, "stage_sharing": 1, "stage1.mixer": "window", "stage2.mixer": "convolution"}
        | {f"stage{n}.{name}": 1 for n in (1, 2) for name in ("blocks", "recursions")},
        rng,
    )
    candidate = everything.candidate(point)
    numbers = numbers_of(candidate.architecture, candidate.cost, 64 * 64)
    assert numbers["block.mixer.kind=window_attention"] == pytest.approx(0.5)
