from dataclasses import replace

import pytest

from results.baselines import Baseline
from results.report.members import system_rows
from results.run_view import read_run


@pytest.fixture(scope="module")
def view(finished_run):
    return read_run(finished_run)


def test_a_shrunk_system_stands_beside_the_best_trial_that_costs_no_more(view):
    best = view.front[0]
    dear = {name: 2 * value for name, value in best.cost.items()}
    system = Baseline(name="drt", cost=dear, shrunk="x", shrunk_cost=dear, scores={"psnr_y": 33.0})
    (row,) = system_rows(replace(view, baselines=(system,)))
    assert row.best == f"{best.scores['psnr_y']:.2f} (trial {best.number})"
    assert row.gain == f"+{best.scores['psnr_y'] - 33.0:.2f}"


def test_where_no_trial_is_as_cheap_nothing_is_compared(view):
    tiny = {"params": 1, "macs": 1}
    system = Baseline(name="drt", cost=tiny, shrunk="x", shrunk_cost=tiny, scores={"psnr_y": 33.0})
    (row,) = system_rows(replace(view, baselines=(system,)))
    assert (row.best, row.gain) == ("–", "–")


def test_a_system_that_was_only_counted_has_no_score(view):
    system = Baseline(name="drt", cost={"params": 1_180_000, "macs": 10**9}, reason="does not fit")
    (row,) = system_rows(replace(view, baselines=(system,)))
    assert row.published == ["1G", "1.18M"]
    assert (row.score, row.best, row.note) == ("–", "–", "does not fit")
