import random
from collections import Counter

import pytest

from lightir_core.errors import SearchError
from results.objectives import Objective
from search.rungs import Climb, Comparison, Ladder, Rungs, rungs_for

PSNR = Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y")
MACS = Objective(name="macs", direction="minimise", unit="MACs", label="MACs")


def steps(rungs):
    return [ladder.steps for ladder in rungs.ladders]


@pytest.mark.parametrize(
    ("fidelity", "lowest", "expected"),
    [
        ("none", 0, [(200,)]),
        ("asha", 0, [(66, 200)]),
        ("asha", 22, [(22, 66, 200)]),
        ("asha", 7, [(7, 22, 66, 200)]),
        ("asha", 60, [(66, 200)]),
        ("asha", 100, [(100, 200)]),
        ("hyperband", 22, [(22, 66, 200), (66, 200), (200,)]),
    ],
)
def test_rungs_rise_by_eta(fidelity, lowest, expected):
    assert steps(rungs_for(fidelity, 200, 3, lowest)) == expected


@pytest.mark.parametrize(("lowest", "total"), [(200, 200), (201, 200), (0, 2)])
def test_rungs_that_do_not_fit_are_refused(lowest, total):
    with pytest.raises(SearchError, match="must lie between 1 and the"):
        rungs_for("asha", total, 3, lowest)


def test_unknown_kinds_are_refused():
    with pytest.raises(SearchError, match="fidelity 'halving' is not known; use one of none, asha"):
        rungs_for("halving", 200)


def test_hyperband_shares_its_trials_as_published():
    """Li et al., 2018, Table 1 for R = 9 and eta = 3: brackets of 9, 5 and 3 configurations."""
    rungs = rungs_for("hyperband", 9, 3, 1)
    assert steps(rungs) == [(1, 3, 9), (3, 9), (9,)]
    assert rungs.shares == (9, 5, 3)
    turns = [rungs.ladder(number).number for number in range(34)]
    assert Counter(turns[:17]) == Counter(turns[17:]) == {0: 9, 1: 5, 2: 3}
    assert Counter(turns[:9]) == {0: 5, 1: 3, 2: 1}


def compared(objectives, values, eta=3):
    comparison = Comparison(objectives, Rungs((Ladder(0, (1, 3)),), (1,), eta))
    for number, value in enumerate(values):
        comparison.reach(number, 1, value)
    return [comparison.goes_on(number, 1) for number in range(len(values))]


def test_one_objective_keeps_the_best_third_so_far():
    #  of 1: itself; 2: not the best; 3: best; ...; of 6 the best two; of 7 the best two
    scores = [30.0, 29.0, 31.0, 30.5, 20.0, 30.7, 30.6]
    assert compared((PSNR,), [(s,) for s in scores]) == [1, 0, 1, 0, 0, 1, 0]


def test_what_nothing_dominates_goes_on():
    values = [(30.0, 10.0), (31.0, 20.0), (29.0, 5.0), (28.0, 30.0), (32.0, 40.0)]
    assert compared((PSNR, MACS), values) == [1, 1, 1, 0, 1]


def test_later_trials_do_not_matter():
    rng = random.Random(0)
    values = [(rng.random(), rng.random()) for _ in range(40)]
    whole = compared((PSNR, MACS), values)
    for count in (5, 17, 39):
        assert compared((PSNR, MACS), values[:count]) == whole[:count]


def test_ladders_are_compared_apart():
    rungs = rungs_for("hyperband", 9, 3, 1)
    comparison = Comparison((PSNR,), rungs)
    apart = [n for n in range(17) if rungs.ladder(n).number == 1]
    other = next(n for n in range(17) if rungs.ladder(n).number == 0)
    comparison.reach(other, 3, (40.0,))
    comparison.reach(apart[0], 3, (30.0,))
    assert comparison.goes_on(apart[0], 3)


@pytest.fixture
def climb():
    rungs = rungs_for("asha", 9, 3, 1)
    return Climb(Comparison((PSNR,), rungs), rungs)


def test_a_decision_waits_for_lower_numbers_only(climb):
    for number in range(3):
        climb.start(number, work=1.0)
    assert [climb.next() for _ in range(4)] == [(0, 1), (1, 1), (2, 1), None]
    climb.reach(2, 1, (30.0,))
    climb.reach(1, 1, (31.0,))
    assert list(climb.stopped()) == []
    assert climb.next() is None
    climb.reach(0, 1, (30.5,))
    assert list(climb.stopped()) == [(2, 1, "stopped at step 1: 2 of 3 did better")]
    assert [climb.next() for _ in range(3)] == [(0, 3), (1, 3), None]


def test_who_failed_is_not_waited_for(climb):
    climb.start(0, work=1.0)
    climb.start(1, work=1.0)
    climb.reach(1, 1, (30.0,))
    assert list(climb.stopped()) == []
    climb.end(0)
    assert list(climb.stopped()) == []
    assert climb.next() == (1, 3)
    climb.end(1)
    assert climb.over


def test_the_furthest_and_then_the_largest_come_first(climb):
    for number, work in enumerate((1.0, 5.0, 3.0)):
        climb.start(number, work)
    assert climb.next() == (1, 1)
    climb.reach(0, 1, (30.0,))
    assert list(climb.stopped()) == []
    assert [climb.next(), climb.next()] == [(0, 3), (2, 1)]
