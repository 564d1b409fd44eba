import time

import pytest

from benchmarks.overhead import no_job
from benchmarks.simulate import Shape, SimulatedCluster, run
from benchmarks.table import OBJECTIVES, SPACE, feasible_table, points
from results.study import Record
from search.jobs import JobQueue


@pytest.fixture(scope="module")
def jobs():
    feasible = feasible_table()
    first = feasible.candidate(next(iter(points(SPACE))))
    return [no_job(number, first, 0) for number in range(12)]


def driven(cluster, jobs):
    queue = JobQueue(jobs)
    cluster.drive(queue)
    return [job.number for job, _ in queue.outcomes]


def test_equal_trials_on_enough_workers_take_one_trial(jobs):
    cluster = SimulatedCluster(Shape(workers=8, generation=8, spread=0.0))
    assert sorted(driven(cluster, jobs[:8])) == list(range(8))
    assert cluster.undriven == 60
    assert cluster.work == 480
    assert 60 < cluster.now < 60.5  # the driver's own work comes on top


def test_nine_trials_on_eight_workers_take_two_rounds(jobs):
    cluster = SimulatedCluster(Shape(workers=8, generation=9, spread=0.0))
    assert len(driven(cluster, jobs[:9])) == 9
    assert cluster.undriven == 120


def test_trials_end_in_the_order_of_the_clock(jobs):
    shape = Shape(workers=4, generation=12)
    order = driven(SimulatedCluster(shape), jobs[:4])
    assert order == sorted(range(4), key=shape.seconds)


def test_what_the_driver_takes_is_on_the_clock(jobs):
    def slow():
        for job in jobs[:4]:
            end = time.process_time() + 0.05
            while time.process_time() < end:
                pass
            yield job

    cluster = SimulatedCluster(Shape(workers=1, generation=4, trial_s=1.0, spread=0.0))
    driven(cluster, slow())
    assert cluster.undriven == 4
    assert 0.2 <= cluster.driver < 0.4
    assert cluster.now == pytest.approx(4 + cluster.driver)


def test_what_the_engine_takes_is_on_the_clock(jobs):
    shape = Shape(workers=2, generation=4, trial_s=1.0, spread=0.0, handling_s=10.0)
    cluster = SimulatedCluster(shape)
    driven(cluster, jobs[:4])
    assert cluster.driver > 40
    assert cluster.now > 40  # the driver is the limit: the workers wait for it


def test_none_waits_for_an_outcome(jobs):
    queue = iter([jobs[0], None, jobs[1]])
    cluster = SimulatedCluster(Shape(workers=2, generation=2, spread=0.0))
    assert driven(cluster, queue) == [0, 1]
    assert cluster.now > 120


def test_the_mean_of_the_trials_is_as_asked():
    shape = Shape(workers=1, generation=2)
    seconds = [shape.seconds(number) for number in range(4000)]
    assert sum(seconds) / 4000 == pytest.approx(60, rel=0.02)
    assert seconds[:3] == [shape.seconds(number) for number in range(3)]
    assert shape.seconds(0) != Shape(workers=1, generation=2, seed=1).seconds(0)


def test_a_simulated_search_writes_a_real_record(tmp_path):
    shape = Shape(workers=4, generation=8, generations=2)
    found = run(feasible_table(), OBJECTIVES, "nsga2", shape, tmp_path / "run")
    trials = Record.open(tmp_path / "run").trials()
    assert [trial.state for trial in trials] == ["finished"] * 16
    assert found["work_s"] == pytest.approx(sum(map(shape.seconds, range(16))))
    assert found["seconds"] > found["undriven_s"] > found["work_s"] / 4
    assert 0 < found["driver_s"] <= found["wall_s"]


def test_a_larger_generation_keeps_workers_busier(tmp_path):
    def efficiency(generation, generations):
        shape = Shape(workers=4, generation=generation, generations=generations)
        folder = tmp_path / str(generation)
        found = run(feasible_table(), OBJECTIVES, "evolution", shape, folder)
        return found["work_s"] / found["undriven_s"]

    assert efficiency(16, 2) > efficiency(4, 8)
