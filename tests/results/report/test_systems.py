from dataclasses import replace

import pytest

from results.baselines import Rival
from results.findings import read_findings
from results.report.systems import system_rows


@pytest.fixture(scope="module")
def findings(finished_run):
    return read_findings(finished_run)


def test_a_shrunk_system_stands_beside_the_best_trial_that_costs_no_more(findings):
    best = findings.front[0]
    dear = {name: 2 * value for name, value in best.cost.items()}
    rival = Rival(name="drt", cost=dear, shrunk="x", shrunk_cost=dear, scores={"psnr_y": 33.0})
    (row,) = system_rows(replace(findings, rivals=(rival,)))
    assert row.best == f"{best.scores['psnr_y']:.2f} (trial {best.number})"
    assert row.gain == f"+{best.scores['psnr_y'] - 33.0:.2f}"


def test_where_no_trial_is_as_cheap_nothing_is_compared(findings):
    tiny = {"params": 1, "macs": 1}
    rival = Rival(name="drt", cost=tiny, shrunk="x", shrunk_cost=tiny, scores={"psnr_y": 33.0})
    (row,) = system_rows(replace(findings, rivals=(rival,)))
    assert (row.best, row.gain) == ("–", "–")


def test_a_system_that_was_only_counted_has_no_score(findings):
    rival = Rival(name="drt", cost={"params": 1_180_000, "macs": 10**9}, reason="does not fit")
    (row,) = system_rows(replace(findings, rivals=(rival,)))
    assert row.own == ["1G", "1.18M"]
    assert (row.score, row.best, row.note) == ("–", "–", "does not fit")
