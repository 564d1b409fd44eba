"""Real Ray: pilots that are really started and really die."""

import time

import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

from lightir_core.errors import SearchError
from search.engines.pilots import Crew
from search.engines.ray_connection import connected
from search.engines.ray_engine import ATTEMPTS, RayEngine
from tests.search.engines import work


def nobody(job, nodes):
    raise AssertionError(f"{job} did not die")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("here", "address 'here' is none of a cluster; give auto, or HOST:PORT"),
        ("ray://here:1", "is none of a cluster"),
        ("localhost:9", r"no cluster at localhost:9 \(.*\); start one with `ray start --head"),
    ],
)
def test_an_address_without_a_cluster_is_told_at_once(address, message):
    begun = time.monotonic()
    with pytest.raises(SearchError, match=message), connected(address):
        pass
    assert time.monotonic() - begun < 20


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_jobs_come_back_once_quickly_and_without_a_word(capfd):
    taken = []

    def jobs():
        for job in range(200):
            taken.append(job)
            yield job

    with RayEngine(work.double, nobody, Crew(2)) as engine:
        assert list(engine.run([])) == []
        assert list(engine.run([5])) == [(5, 10)]
        begun = time.monotonic()
        results = engine.run(jobs())
        first = next(results)
        assert len(taken) == 2  # no more than there are workers
        assert sorted([first, *results]) == [(job, 2 * job) for job in range(200)]
        assert time.monotonic() - begun < 200 * 0.2
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_a_job_whose_pilot_dies_is_done_by_another_and_given_up_in_the_end(tmp_path, capfd):
    names = ["a", "once1", "b", "always", "c"]
    notes = []
    with RayEngine(
        work.die_first,
        lambda job, nodes: ("given up", nodes),
        Crew(2),
        retried=lambda result, nodes: (result, nodes),
        note=notes.append,
    ) as engine:
        jobs = [(str(tmp_path), name) for name in names]
        results = {job[1]: result for job, result in engine.run(jobs)}
        [here] = set(results["once1"][1])
        assert results == {
            "a": "a",
            "once1": ("once1", (here,)),
            "b": "b",
            "always": ("given up", (here,) * ATTEMPTS),
            "c": "c",
        }
        assert len((tmp_path / "always").read_text()) == ATTEMPTS
        assert len(notes) == 1 + ATTEMPTS
        assert notes[0].startswith(f"a worker on node {here} was lost")
        # the engine is as good as new
        assert list(engine.run([(str(tmp_path), "e")])) == [((str(tmp_path), "e"), "e")]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_an_error_of_the_work_is_raised_where_the_result_is_asked_for():
    with RayEngine(work.refuse, nobody, Crew(1)) as engine:
        results = engine.run(range(6))
        assert [next(results) for _ in range(3)] == [(0, 0), (1, 1), (2, 2)]
        with pytest.raises(ValueError, match="3 is not for me"):
            next(results)
