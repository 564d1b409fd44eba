"""What is said of a cluster before a search is started on it."""

import time

import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

from lightir_core.errors import SearchError
from search.engines.cluster_check import gathered, problems, remarks, step_seconds
from search.engines.ray_nodes import NodeReport, versions_here


def node(name, **other):
    settled = {"cpus": 4.0, "gpus": 0.0, "versions": versions_here(), "hardware": "4 cores"}
    return NodeReport(id=name, name=name, address="10.0.0.1", **{**settled, **other})


def test_equal_nodes_that_see_everything_are_ready():
    reports = (node("a"), node("b"))
    assert problems(reports) == ()
    assert problems(reports, nodes=2) == ()
    assert remarks(reports) == ()


def test_everything_that_is_wrong_is_told_at_once_by_name():
    missing = ("/scratch/train.pack is missing", "it may not write into /shared")
    other = {**versions_here(), "torch": "2.6.0"}
    found = problems(
        (
            node("a"),
            node("b", missing=missing),
            node("c", error="it did not answer within 60 s", versions={}),
            node("d", versions=other),
        )
    )
    assert found[:2] == (
        "node b: /scratch/train.pack is missing; it may not write into /shared",
        "node c: it did not answer within 60 s",
    )
    assert found[2].startswith("versions differ between the nodes: d has torch 2.6.0; here")
    assert len(found) == 3


def test_nodes_that_have_not_joined_are_counted():
    (problem,) = problems((node("a"),), nodes=4)
    assert problem.startswith("1 of 4 nodes have joined")


def test_nodes_without_a_gpu_are_remarked_beside_those_with_one():
    assert remarks((node("a", gpus=1.0), node("b"), node("c"))) == (
        "no GPU on b, c: --gpus-per-trial leaves them idle",
    )


def test_a_slow_node_is_remarked_among_its_like():
    reports = (
        node("a", step_seconds=0.1),
        node("b", step_seconds=0.1),
        node("c", step_seconds=0.25),
        node("old", step_seconds=0.9, hardware="2 cores"),
    )
    assert remarks(reports) == (
        "node c needs 250 ms for a step that takes its like 100 ms: is it busy with something "
        "else?",
    )


def test_a_step_is_a_real_training_step(few_candidates):
    small, *_, large = sorted(few_candidates, key=lambda candidate: candidate.cost.macs)
    # in turns and the best of each, as the machine may do other things meanwhile
    turns = [[step_seconds(each.architecture) for each in (small, large)] for _ in range(5)]
    quick, slow = (min(times) for times in zip(*turns, strict=True))
    assert 0 < quick < slow < 10


def test_a_cluster_that_never_comes_is_waited_for_and_told():
    begun = time.monotonic()
    with (
        pytest.raises(SearchError, match=r"no cluster at 127\.0\.0\.1:1 "),
        gathered("127.0.0.1:1", nodes=2, patience_s=1.5),
    ):
        pass
    assert 1.5 <= time.monotonic() - begun < 10


def test_nothing_is_waited_for_unless_nodes_are_expected():
    begun = time.monotonic()
    with pytest.raises(SearchError, match="no cluster"), gathered("127.0.0.1:1", nodes=0):
        pass
    assert time.monotonic() - begun < 1.5
