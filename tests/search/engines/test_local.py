"""Worker processes, really started and really killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search.engines.local import LocalDriver
from search.jobs import JobQueue
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


def run(driver, jobs):
    """What came of the jobs, in the order of their ends."""
    queue = JobQueue(jobs)
    driver.drive(queue)
    return queue.outcomes


def test_without_jobs_no_process_starts():
    with LocalDriver(work.double, nobody, 2) as driver:
        assert run(driver, []) == []
        assert [worker._pool for worker in driver._workers] == [None, None]


class InPairs:
    """A source that has no job while two are under way: it is asked again after an outcome."""

    def __init__(self):
        self.left, self.running, self.most = 6, 0, 0

    def ask(self):
        if not self.left or self.running == 2:
            return None
        self.left -= 1
        self.running += 1
        self.most = max(self.most, self.running)
        return self.left

    def tell(self, job, outcome):
        assert outcome == 2 * job
        self.running -= 1


def test_every_job_comes_back_once_and_the_pool_is_kept():
    with LocalDriver(work.double, nobody, 3) as driver:
        results = run(driver, range(9))
        assert sorted(results) == [(job, 2 * job) for job in range(9)]
        pools = [worker._pool for worker in driver._workers]
        assert run(driver, [5]) == [(5, 10)]
        driver.drive(source := InPairs())
        assert (source.left, source.running, source.most) == (0, 0, 2)
        assert [worker._pool for worker in driver._workers] == pools
        processes = [process for pool in pools for process in pool._processes.values()]
    assert not any(process.is_alive() for process in processes)


def test_outcomes_come_as_they_end_and_jobs_are_asked_for_when_a_worker_is_free(tmp_path):
    taken, taken_at_first = [], []
    late = str(tmp_path / "late")

    def jobs():
        for path in (late, "", "", ""):
            taken.append(path)
            yield path

    def end(*_):
        taken_at_first.append(len(taken))
        if len(taken_at_first) == 3:
            Path(late).touch()

    with LocalDriver(work.wait_for_file, nobody, 2) as driver:
        queue = JobQueue(jobs(), on_outcome=end)
        driver.drive(queue)
    assert taken_at_first == [2, 3, 4, 4]
    assert [job for job, _ in queue.outcomes] == ["", "", "", late]


def test_workers_keep_to_their_threads_and_leave_ctrl_c_to_the_parent():
    with LocalDriver(work.describe_worker, nobody, 1, 2) as driver:
        [(_, (pid, threads, ignores))] = run(driver, [0])
    assert pid != os.getpid()
    assert threads == 2
    assert ignores


def test_a_dead_worker_is_replaced_and_its_job_tried_once_more(tmp_path):
    # one death at a time: a second job that is to die might be lost before it begins
    names, dead = ("a", "once", "always", "b"), []

    def on_death(job):
        dead.append(job)
        return "died twice"

    with LocalDriver(work.die_first, on_death, 2) as driver:
        jobs = [(str(tmp_path), name) for name in names]
        ended = [*run(driver, jobs[:2]), *run(driver, jobs[2:])]
        results = {job[1]: result for job, result in ended}
        assert results == {name: name for name in names} | {"always": "died twice"}
        assert [name for _, name in dead] == ["always"]
        attempts = {name: len((tmp_path / name).read_text()) for name in names}
        assert attempts["once"] == attempts["always"] == 2
        assert set(attempts.values()) <= {1, 2}
        # the driver is as good as new
        assert run(driver, [(str(tmp_path), "e")]) == [((str(tmp_path), "e"), "e")]


def test_an_error_of_the_work_is_raised_after_what_came_before_it():
    with LocalDriver(work.refuse, nobody, 1) as driver:
        queue = JobQueue(range(6))
        with pytest.raises(ValueError, match="3 is not for me"):
            driver.drive(queue)
        assert queue.outcomes == [(0, 0), (1, 1), (2, 2)]


def test_a_process_has_several_jobs_at_once(tmp_path):
    late = str(tmp_path / "late")
    with LocalDriver(work.touch_or_wait, nobody, 1, together=2) as driver:
        # the first waits for what the second does beside it
        outcomes = run(driver, [(late, False), (late, True), (late, True)])
    assert len(outcomes) == 3
    assert len({outcome.scores["pid"] for _, outcome in outcomes}) == 1


def test_jobs_wait_until_there_is_room_for_what_they_take():
    with LocalDriver(work.count_beside, nobody, 1, together=4, part=lambda _: 0.5) as driver:
        outcomes = run(driver, range(6))
    assert sorted(job for job, _ in outcomes) == list(range(6))
    assert max(outcome.scores["beside"] for _, outcome in outcomes) == 2


def test_what_ran_out_of_memory_beside_others_is_done_again_alone():
    with LocalDriver(work.run_out_beside_others, nobody, 1, together=3) as driver:
        outcomes = run(driver, range(5))
    assert sorted(job for job, _ in outcomes) == list(range(5))
    assert [outcome.memory for _, outcome in outcomes] == [{}] * 5


def test_leaving_in_an_error_ends_the_workers_at_once(tmp_path):
    processes, never = [], str(tmp_path / "never")

    def interrupted():
        with LocalDriver(work.wait_for_file, nobody, 1) as driver:

            def interrupt(job, _):
                [worker] = driver._workers
                processes.extend(worker._pool._processes.values())
                worker.begin([never])
                raise KeyboardInterrupt

            driver.drive(JobQueue(["", never], on_outcome=interrupt))

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert wait_until(lambda: not any(p.is_alive() for p in processes), 10)
    assert len(processes) == 1
    assert time.monotonic() - begun < 60


ORPHANS = """
import sys
from search.engines.local import LocalDriver
from search.jobs import JobQueue
from tests.search.engines import work
if __name__ == "__main__":
    with LocalDriver(work.tell_pid_and_wait, print, 2) as driver:
        driver.drive(JobQueue([sys.argv[1]] * 2))
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
