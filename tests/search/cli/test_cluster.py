import time

import pytest
import torch

from budgets.throughput import PLAIN, Measured, Variant
from lightir_core.errors import DataError, SearchError
from search.cli.cluster import advice, check, gathered, print_nodes, problems, remarks
from search.engines.ray_nodes import NodeReport, versions_here

GRAPHED = Variant(half=True, launch_mode="graphed")


@pytest.mark.parametrize(
    ("best", "device", "line"),
    [
        (
            Measured(PLAIN, 2, 100),
            "cpu",
            "use: python -m search run … --workers 2  (on a cluster: --cpus-per-trial 1)",
        ),
        (
            Measured(PLAIN, 3, 100),
            "cuda",
            "use: python -m search run … --workers 3  "
            "(on a cluster: --gpus-per-trial 0.333 --cpus-per-trial 1)",
        ),
        (
            Measured(GRAPHED, 8, 100),
            "cuda",
            "use: LIGHTIR_LAUNCH=graphed python -m search run … --workers 8  "
            "(on a cluster: --gpus-per-trial 0.125 --cpus-per-trial 1)",
        ),
    ],
)
def test_the_advice_can_be_typed(best, device, line):
    assert advice(best, torch.device(device)) == line


def node(name, **other):
    known = {"cpus": 8.0, "gpus": 1.0, "hardware": "1 x H200", "step_seconds": 0.0042}
    return NodeReport(id=name, name=name, address="10.0.0.1", **{**known, **other})


def test_the_page_names_nodes_and_tells_those_with_other_versions(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    print_nodes(
        (
            node("a", versions={"torch": "2.13.0", "ray": "2.60.0"}),
            node("b", versions={"torch": "2.13.0", "ray": "2.60.0"}),
            node("c", versions={"torch": "2.9.0", "ray": "2.60.0"}, missing=("x is missing",)),
            node("d", error="it did not answer", hardware="", step_seconds=None),
        ),
        "as here",
    )
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["a", "8", "1", "1", "x", "H200", "4", "ms", "as", "here", "same"]
    assert lines[3][-4:] == ["x", "is", "missing", "others"]
    assert lines[4] == ["d", "8", "1", "-", "-", "-", "-"]
    assert lines[5] == ["versions:", "torch", "2.13.0,", "ray", "2.60.0"]
    assert lines[6] == ["others:", "torch", "2.9.0,", "ray", "2.60.0"]


def test_images_that_the_driver_lacks_are_told_before_any_node_is_asked(tmp_path):
    with pytest.raises(DataError, match=r"photos\.pack is missing on this machine"):
        check("auto", 0, [str(tmp_path / "photos.pack")], None, None, "400k", False)


def test_no_cluster_is_told():
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with pytest.raises(SearchError, match=r"no cluster at 127\.0\.0\.1:1 .* start one with"):
        check("127.0.0.1:1", 0, None, None, None, "400k", False)


def settled(name, **other):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    known = {"cpus": 4.0, "gpus": 0.0, "versions": versions_here(), "hardware": "4 cores"}
    return node(name, **{"step_seconds": None, **known, **other})


def test_equal_nodes_that_see_everything_are_ready():
    reports = (settled("a"), settled("b"))
    assert problems(reports) == ()
    assert problems(reports, nodes=2) == ()
    assert tuple(remarks(reports)) == ()


def test_everything_that_is_wrong_is_told_at_once_by_name():
    missing = ("/scratch/train.pack is missing", "it may not write into /shared")
    other = {**versions_here(), "torch": "2.6.0"}
    found = problems(
        (
            settled("a"),
            settled("b", missing=missing),
            settled("c", error="it did not answer within 60 s", versions={}),
            settled("d", versions=other),
        )
    )
    assert found[:2] == (
        "node b: /scratch/train.pack is missing; it may not write into /shared",
        "node c: it did not answer within 60 s",
    )
    assert found[2].startswith("versions differ between the nodes: d has torch 2.6.0; here")
    assert len(found) == 3


def test_nodes_that_have_not_joined_are_counted():
    (problem,) = problems((settled("a"),), nodes=4)
    assert problem.startswith("1 of 4 nodes have joined")


def test_nodes_without_a_gpu_are_remarked_beside_those_with_one():
    assert tuple(remarks((settled("a", gpus=1.0), settled("b"), settled("c")))) == (
        "no GPU on b, c: --gpus-per-trial leaves them idle",
    )


def test_a_slow_node_is_remarked_among_its_like():
    reports = (
        settled("a", step_seconds=0.1),
        settled("b", step_seconds=0.1),
        settled("c", step_seconds=0.25),
        settled("old", step_seconds=0.9, hardware="2 cores"),
    )
    assert tuple(remarks(reports)) == (
        "node c needs 250 ms for a step that takes its like 100 ms: is it busy with something "
        "else?",
    )


def test_a_cluster_that_never_comes_is_waited_for_and_told():
    pytest.importorskip("ray", reason="the extra ray is not installed")
    begun = time.monotonic()
    with (
        pytest.raises(SearchError, match=r"no cluster at 127\.0\.0\.1:1 "),
        gathered("127.0.0.1:1", nodes=2, patience_s=1.5),
    ):
        pass
    assert 1.5 <= time.monotonic() - begun < 10


def test_nothing_is_waited_for_unless_nodes_are_expected():
    pytest.importorskip("ray", reason="the extra ray is not installed")
    begun = time.monotonic()
    with pytest.raises(SearchError, match="no cluster"), gathered("127.0.0.1:1", nodes=0):
        pass
    assert time.monotonic() - begun < 1.5
