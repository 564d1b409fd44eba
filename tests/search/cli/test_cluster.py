import pytest
import torch

from budgets.throughput import PLAIN, Measured, Variant
from lightir_core.errors import DataError, SearchError
from search.cli.cluster import advice, print_nodes
from search.cli.commands import cluster_check
from search.engines.ray_nodes import NodeReport

GRAPHED = Variant(half=True, launch_mode="graphed", prefetch=True)


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
            "use: python -m search run … --gpus-per-trial 0.333 --cpus-per-trial 1",
        ),
        (
            Measured(GRAPHED, 8, 100),
            "cuda",
            "use: LIGHTIR_LAUNCH=graphed python -m search run … --gpus-per-trial 0.125 "
            "--cpus-per-trial 1",
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
        cluster_check(data=[str(tmp_path / "photos.pack")])


def test_no_cluster_is_told():
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with pytest.raises(SearchError, match=r"no cluster at 127\.0\.0\.1:1 .* start one with"):
        cluster_check(address="127.0.0.1:1")
