"""How the prior is held against networks that it has not seen."""

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import prior
from benchmarks.prior import alike, by_folds, document, kinds, mixers
from benchmarks.table import read_table
from results.table import TrainedNetwork


@pytest.fixture(scope="module")
def networks():
    """Half of the small objective table, as trainings of the shipped one."""
    entries = list(read_table().entries.values())[::2]
    return [
        TrainedNetwork(
            index=index,
            origin="drawn",
            architecture=entry.candidate.architecture,
            task="sr-x2",
            recipe="proxy",
            steps=300,
            batch=8,
            patch_px=16,
            seed=0,
            params=entry.candidate.cost.params,
            macs=entry.candidate.cost.macs,
            curve=entry.curves[0],
            cpu_s=10.0,
            machine="a processor x1, torch 2",
            choices=entry.candidate.choices,
        )
        for index, entry in enumerate(entries)
    ]


def test_a_second_training_of_a_network_is_in_its_fold(networks, monkeypatch):
    learnt = []

    def remember(known, asked):
        learnt.append(({one.architecture.id for one in known}, {a.architecture.id for a in asked}))
        return np.zeros(len(asked))

    monkeypatch.setattr(prior, "expected", remember)
    by_folds([*networks, *(replace(one, index=one.index + 500, seed=1) for one in networks[:20])])
    assert len(learnt) == prior.FOLDS
    assert all(not known & asked for known, asked in learnt)


def test_a_kind_is_predicted_by_those_without_it(networks, monkeypatch):
    monkeypatch.setattr(prior, "FEWEST", 10)
    asked_of = []
    monkeypatch.setattr(prior, "expected", lambda known, asked: asked_of.append(known) or asked)
    for (kind, asked, _), known in zip(kinds(networks), asked_of, strict=False):
        assert all(kind in mixers(one) for one in asked)
        assert not any(kind in mixers(one) for one in known)
    assert asked_of


def test_networks_are_compared_with_those_of_their_size():
    params = [100.0, 105.0, 1000.0, 1090.0]
    scores = [1.0, 2.0, 4.0, 3.0]
    assert alike([1, 2, 3, 4], scores, params) == 0.0  # one pair agrees, one does not
    assert alike([1, 2, 4, 3], scores, params) == 1.0
    assert math.isnan(alike([1, 2], [1.0, 2.0], [100.0, 200.0]))


@pytest.mark.slow
def test_the_document_says_how_well_each_signal_ranks(networks, monkeypatch):
    monkeypatch.setattr(prior, "FOLDS", 3)
    monkeypatch.setattr("benchmarks.harness.RESAMPLES", 100)
    lines = document(networks)
    assert "108 trainings of 300 steps on sr-x2" in lines[0]
    ranked = {line.split("|")[3].strip(): line.split("|")[4] for line in lines if "| all |" in line}
    taus = {name: float(text.split()[0]) for name, text in ranked.items()}
    assert taus["prior"] > taus["MACs"]
    assert taus["prior"] > 0.6
