from search.engines.stoppable import Stoppable


class Counting:
    def run(self, jobs):
        for job in jobs:
            yield job, -job


def test_jobs_are_run_until_the_user_stops():
    done = []
    engine = Stoppable(Counting(), lambda: len(done) == 3)
    for job, outcome in engine.run(range(9)):
        assert outcome == -job
        done.append(job)
    assert done == [0, 1, 2]
    assert list(engine.run(range(9))) == []
