"""What is told of trials on a cluster; the measuring itself needs minutes."""

from benchmarks.dispatch import Rate, Scaled, _jobs, nap, rates_document, scaling_document


def test_rates_are_told_a_trial_and_a_second():
    text = rates_document([Rate("plain", 40, 40, 80.0), Rate("plain", 400, 50, 100.0)], 2)
    assert "| plain | 2.0000 s (0.5/s) | 2.0000 s (0.5/s, 50 done) |" in text


def test_efficiency_is_the_share_of_time_slept():
    row = Scaled(workers=4, trials=64, sleep_s=1.0, seconds=16.0, search_s=20.0)
    assert row.efficiency(row.seconds) == 1
    assert row.efficiency(row.search_s) == 0.8
    line = "| 4 | 64 | 16.0 s | 16.0 s | 100.0% | 20.0 s | 80.0% |"
    assert line in scaling_document([row])


def test_a_nap_scores_by_the_architecture_alone():
    first, second = map(lambda job: nap(0.0, job), _jobs(2))  # noqa: C417
    assert (first.number, second.number) == (0, 1)
    assert first.scores == second.scores
