"""Worker processes, really started and really killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search.engines.local import LocalEngine
from tests.search.engines import work

ROOT = Path(__file__).parents[3]


def nobody(job):
    raise AssertionError(f"{job} did not die")


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # a process that ended and that nobody has asked about yet
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_without_jobs_no_process_starts():
    with LocalEngine(work.double, nobody, 2) as engine:
        assert list(engine.run([])) == []
        assert engine._pool is None


def test_every_job_comes_back_once_and_the_pool_is_kept():
    with LocalEngine(work.double, nobody, 2) as engine:
        results = list(engine.run(range(9)))
        assert sorted(results) == [(job, 2 * job) for job in range(9)]
        pool = engine._pool
        assert list(engine.run([5])) == [(5, 10)]
        assert engine._pool is pool
        processes = list(pool._processes.values())
    assert not any(process.is_alive() for process in processes)


def test_results_come_as_they_end_and_jobs_are_taken_when_a_worker_is_free():
    taken = []

    def jobs():
        for seconds in (1.5, 0.0, 0.1, 0.2):
            taken.append(seconds)
            yield seconds

    with LocalEngine(work.nap, nobody, 2) as engine:
        list(engine.run([0.0, 0.0]))  # both workers are up
        results = engine.run(jobs())
        first = next(results)
        assert first == (0.0, 0.0)
        assert taken == [1.5, 0.0]
        assert [job for job, _ in results] == [0.1, 0.2, 1.5]


def test_workers_keep_to_their_threads_and_leave_ctrl_c_to_the_parent():
    for asked in (1, 2):
        with LocalEngine(work.describe_worker, nobody, 1, asked) as engine:
            [(_, (pid, threads, ignores))] = engine.run([0])
        assert pid != os.getpid()
        assert threads == asked
        assert ignores


def test_a_dead_worker_is_replaced_and_its_job_tried_once_more(tmp_path):
    names = ["a", "once1", "b", "always", "c", "once2", "d"]
    dead = []

    def on_death(job):
        dead.append(job)
        return "died twice"

    with LocalEngine(work.die_first, on_death, 2) as engine:
        jobs = [(str(tmp_path), name) for name in names]
        results = {job[1]: result for job, result in engine.run(jobs)}
        assert results == {name: name for name in names} | {"always": "died twice"}
        assert [name for _, name in dead] == ["always"]
        attempts = {name: len((tmp_path / name).read_text()) for name in names}
        assert attempts["once1"] == attempts["once2"] == attempts["always"] == 2
        assert set(attempts.values()) <= {1, 2}
        # the engine is as good as new
        assert list(engine.run([(str(tmp_path), "e")])) == [((str(tmp_path), "e"), "e")]


def test_an_error_of_the_work_is_raised_where_the_result_is_asked_for():
    with LocalEngine(work.refuse, nobody, 1) as engine:
        results = engine.run(range(6))
        assert [next(results) for _ in range(3)] == [(0, 0), (1, 1), (2, 2)]
        with pytest.raises(ValueError, match="3 is not for me"):
            next(results)


def test_leaving_in_an_error_ends_the_workers_at_once():
    processes = []

    def interrupted():
        with LocalEngine(work.nap, nobody, 1) as engine:
            for _ in engine.run([0.0, 300.0]):
                processes.extend(engine._pool._processes.values())
                engine._submit(300.0)
                raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert wait_until(lambda: not any(p.is_alive() for p in processes), 10)
    assert len(processes) == 1
    assert time.monotonic() - begun < 60


ORPHANS = """
import sys
from search.engines.local import LocalEngine
from tests.search.engines import work
if __name__ == "__main__":
    with LocalEngine(work.tell_pid_and_wait, print, 2) as engine:
        list(engine.run([sys.argv[1]] * 2))
"""


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, script, tmp_path], env=environment)
    try:
        assert wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2, 60)
        workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
        assert all(map(alive, workers))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert wait_until(lambda: not any(map(alive, workers)), 15)
