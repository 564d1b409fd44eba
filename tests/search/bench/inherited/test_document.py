"""The measurement on tiny networks: what it trains, what it keeps, what it writes."""

import re
from dataclasses import replace

import pytest

from search.bench.inherited import document
from search.bench.inherited.networks import BAND, MIDDLE, in_band, networks
from search.evaluators.job import Source
from search.plan import find_space


@pytest.fixture
def setting(feasible, folder_of_photographs, tmp_path):
    return document.Setting(
        feasible=feasible(find_space("small", ["width=24", "ratio=1.0"]), "100k"),
        source=Source(task="sr-x2", data=(str(folder_of_photographs),)),
        spread=4,
        equal=2,
        steps=2,
        again=2,
        banks=(3,),
        tune=1,
        seed=0,
        folder=tmp_path / "kept",
        workers=2,
    )


def test_networks_are_of_all_sizes_and_of_one(feasible):
    fitting = feasible("small", "100k")
    found = networks(fitting, 6, 5, 0)
    assert len({candidate.architecture.id for candidate in found}) == 11
    assert [c.architecture for c in found[:6]] == [
        c.architecture for c in networks(fitting, 6, 0, 0)
    ]
    for candidate in found[6:]:
        assert in_band(candidate, fitting.budget)
        assert abs(candidate.cost.params / (100_000 * MIDDLE) - 1) <= BAND
    assert min(c.cost.params for c in found) < 60_000


def test_repeated_networks_lie_evenly():
    assert document.repeated(12, 4) == [0, 3, 6, 9]
    assert document.repeated(12, 0) == []


@pytest.mark.slow
def test_it_measures_once_and_writes_what_it_found(setting, monkeypatch):
    told = []
    found = document.run(setting, told.append)
    assert len(found.candidates) == 6
    assert list(found.again) == [0, 3]
    text = document.report(setting, found, "the command")
    assert "`the command`" in text
    for title in ("synflow", "grad-norm", "naswot", "bank of 3 steps", "bank of 3 steps, then 1"):
        assert re.search(rf"\| {title}.* \| .*\d", text), title
    assert len(re.findall(r"^\| [0-9a-f]{12}", text, re.MULTILINE)) == 6
    # a second time nothing is left to do
    told.clear()
    again = document.run(setting, told.append)
    assert told == []
    assert [c.scores for c in again.columns] == [c.scores for c in found.columns]
    same_times = replace(again, steps=found.steps)
    assert document.report(setting, same_times, "the command") == text
