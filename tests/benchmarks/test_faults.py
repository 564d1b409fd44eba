"""What is told of searches that were disturbed; nodes of one's own need root and minutes."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks.faults import measure
from benchmarks.machines import Machines, wait_for
from lightir_core.errors import RunFailedError, SearchError


def test_an_unknown_fault_is_refused(tmp_path):
    with pytest.raises(SearchError, match="fault 'flood' is not known; use one of none, worker"):
        measure(tmp_path, ["flood"], 0)


def test_waiting_has_an_end():
    with pytest.raises(RunFailedError, match="nothing comes within 0 s"):
        wait_for(lambda: False, 0.1, "nothing comes")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may make nodes")
def test_without_root_it_is_said_what_it_takes():
    with pytest.raises(SearchError, match="need root"):
        Machines(2)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces")
def test_nodes_join_are_switched_off_and_leave_nothing(tmp_path):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with Machines(1) as machines:
        assert machines.alive() == 2
        log = tmp_path / "log"
        told = machines.run([sys.executable, "-c", "print('here')"], log, tmp_path, node=1)
        assert told.wait() == 0
        assert log.read_text() == "here\n"
        machines.kill(machines.nodes[1])
        assert machines.pids(machines.nodes[1]) == []
        spaces = [node.space for node in machines.nodes]
    assert not any(Path(f"/run/netns/{space}").exists() for space in spaces)
