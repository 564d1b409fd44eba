"""What is told of trials on a cluster; the measuring itself needs minutes."""

from benchmarks.dispatch import _jobs, nap, scaling_document


def test_efficiency_is_the_share_of_time_slept():
    row = {"workers": 4, "trials": 64, "sleep_s": 1.0, "seconds": 16.0, "search_s": 20.0}
    line = "| 4 | 64 | 16.0 s | 16.0 s | 100.0% | 20.0 s | 80.0% |"
    assert scaling_document([row])[-1] == line


def test_a_nap_scores_by_the_architecture_alone():
    first, second = map(lambda job: nap(0.0, job), _jobs(2))  # noqa: C417
    assert (first.number, second.number) == (0, 1)
    assert first.scores == second.scores
