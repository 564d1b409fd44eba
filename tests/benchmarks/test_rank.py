import itertools
import math

import pytest

from benchmarks.rank import BAND, Setting, agreements, draw_band, table, train_all
from benchmarks.recipes.tries import TRIES
from benchmarks.signals import SIGNALS, Reading, signals
from budgets.budget import Budget
from budgets.units import Size
from lightir_core.learning.recipe import PROXY
from search.feasible.space import Feasible
from search.jobs import Source
from spaces import SPACES, TaskShape


@pytest.fixture(scope="module")
def feasible():
    return Feasible(SPACES["default"], TaskShape(2), Budget.parse("400k,macs=10G"), Size(720, 1280))


def test_signals_of_a_curve_are_what_they_say():
    reading = Reading(
        steps=(25, 100, 400, 1600),
        scores=tuple((30 - 5 / step**0.5, 34 - 5 / step**0.5) for step in (25, 100, 400, 1600)),
        cpu_s=1.0,
    )
    assert reading.curve == pytest.approx([31, 31.5, 31.75, 31.875])
    found = signals(reading)
    assert found["last score"] == pytest.approx(31.875)
    assert found["mean of the last three"] == pytest.approx((31.5 + 31.75 + 31.875) / 3)
    assert found["hard crops"] == pytest.approx(29.875)
    assert found["slope"] == pytest.approx(0.375)
    assert found["extrapolated"] == pytest.approx(32)


def test_the_band_holds_what_it_says(feasible):
    drawn = draw_band(feasible, 12_000, 4, 0, set())
    assert len({candidate.architecture.id for candidate in drawn}) == 4
    assert all(abs(c.cost.params / 12_000 - 1) <= BAND + 0.001 for c in drawn)
    assert all(c.cost.macs <= 10e9 for c in drawn)


def row(name, params, steps, score):
    return {
        "id": name,
        "params": params,
        "macs": params,
        "steps": steps,
        "cpu_s": 1.0,
        "signals": dict.fromkeys(SIGNALS, score),
    }


def test_agreement_is_kendalls_tau_with_the_longest():
    long = dict(zip("abcdefgh", range(8), strict=True))
    order = "bacdefgh"  # one pair of 28 is swapped
    rows = [row(name, 100, 900, score) for name, score in long.items()]
    rows += [row(name, 100, 90, order.index(name)) for name in long]
    found = {a.signal: a for a in agreements(rows, 0) if a.steps}
    assert found["last score"].tau == pytest.approx(26 / 28)
    assert found["last score"].low < found["last score"].tau <= found["last score"].high <= 1
    assert any("0.93" in line for line in table(rows, 0))


def test_what_is_the_same_for_all_ranks_nothing():
    rows = [row(str(n), 100, steps, n) for n, steps in itertools.product(range(5), (90, 900))]
    [params] = [a for a in agreements(rows, 0) if a.signal == "parameters"]
    assert math.isnan(params.tau)
    assert math.isnan(params.low)


def test_the_band_is_judged_by_itself():
    rows = [
        row(str(n), 100 if n < 4 else 1000, steps, n * sign)
        for n, (steps, sign) in itertools.product(range(8), ((900, 1), (90, -1)))
    ]
    among = {a.among for a in agreements(rows, 100)}
    assert among == {"all 8", "the 4 of ±10%"}


def test_trainings_are_kept(feasible, tmp_path):
    setting = Setting(
        feasible=feasible,
        count=2,
        band=0,
        banded=0,
        recipe=PROXY,
        lengths=(8,),
        truth=TRIES["cosine"].recipe.lasting(16),
        source=Source(task="sr-x2"),
        seed=0,
    )
    told = []
    rows = train_all(setting, tmp_path, told.append)
    assert [r["steps"] for r in rows] == [8, 16, 8, 16]
    assert train_all(setting, tmp_path, told.append, more=False) == rows
    assert len(told) == 4
