import itertools
import math

import pytest

from benchmarks.rank import BAND, TRUTH, Setting, agreements, draw_band, rank, rows_of, signals
from benchmarks.tries import TRIES
from budgets.budget import Budget, Size
from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task
from lightir_core.errors import SearchError
from lightir_core.learning.recipe import PROXY
from search.feasible.space import Feasible
from spaces import SPACES, TaskShape


@pytest.fixture(scope="module")
def feasible():
    return Feasible(SPACES["small"], TaskShape(2), Budget.parse("400k,macs=40G"), Size(720, 1280))


def test_signals_of_a_curve_are_what_they_say():
    steps = (25, 100, 400, 1600)
    found = signals(steps, [(30 - 5 / step**0.5, 34 - 5 / step**0.5) for step in steps])
    assert found["last score"] == pytest.approx(31.875)
    assert found["mean of the last three"] == pytest.approx((31.5 + 31.75 + 31.875) / 3)
    assert found["hard crops"] == pytest.approx(29.875)
    assert found["slope"] == pytest.approx(0.375)
    assert found["extrapolated"] == pytest.approx(32)


def test_the_band_holds_what_it_says(feasible):
    drawn = draw_band(feasible, 30_000, 4, 0, set())
    assert len({candidate.architecture.id for candidate in drawn}) == 4
    assert all(abs(c.cost.params / 30_000 - 1) <= BAND + 0.001 for c in drawn)
    assert all(c.cost.macs <= 40e9 for c in drawn)


def row(name, params, steps, score):
    return {
        "id": name,
        "params": params,
        "macs": params,
        "steps": steps,
        "cpu_s": 1.0,
        "signals": {TRUTH: score},
    }


def test_agreement_is_kendalls_tau_with_the_longest():
    long = dict(zip("abcdefgh", range(8), strict=True))
    order = "bacdefgh"  # one pair of 28 is swapped
    rows = [row(name, 100, 900, score) for name, score in long.items()]
    rows += [row(name, 100, 90, order.index(name)) for name in long]
    found = agreements(rows, 0)[0]
    assert found["tau"] == pytest.approx(26 / 28)
    assert found["low"] < found["tau"] <= found["high"] <= 1


def test_what_is_the_same_for_all_ranks_nothing():
    rows = [row(str(n), 100, steps, n) for n, steps in itertools.product(range(5), (90, 900))]
    [params] = [a for a in agreements(rows, 0) if a["signal"] == "parameters"]
    assert math.isnan(params["tau"])
    assert math.isnan(params["low"])


@pytest.mark.slow
def test_the_band_is_judged_by_itself():
    rows = [
        row(str(n), 100 if n < 4 else 1000, steps, n * sign)
        for n, (steps, sign) in itertools.product(range(8), ((900, 1), (90, -1)))
    ]
    among = {a["among"] for a in agreements(rows, 100)}
    assert among == {"all 8", "the 4 of ±10%"}


@pytest.mark.slow
def test_trainings_are_kept(feasible, tmp_path):
    setting = Setting(
        feasible=feasible,
        count=2,
        band=0,
        banded=0,
        recipes=(PROXY.lasting(8), TRIES["cosine"].recipe.lasting(16)),
        source=ImageSource(task=parse_task("sr-x2")),
        seed=0,
    )
    told = []
    rows = rows_of(setting, tmp_path, told.append)
    assert [r["steps"] for r in rows] == [8, 16, 8, 16]
    assert rows_of(setting, tmp_path, told.append, more=False) == rows
    assert len(told) == 4


@pytest.mark.parametrize("steps", ["200,2000", "3000"])
def test_short_lengths_are_shorter_than_the_long_one(steps, tmp_path):
    with pytest.raises(SearchError, match=f"--steps {steps}: use lengths below --long"):
        rank(steps=steps, long=2000, keep=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
