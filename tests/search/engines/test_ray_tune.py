"""Real Ray: trials of Tune in worker processes that are really started and really die."""

import pickle
import time

import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task
from lightir_core.errors import SearchError
from lightir_core.learning.recipe import PROXY
from lightir_core.published.presets import preset
from search.engines.ray_nodes import connected
from search.engines.ray_tune import RETRIES, RayDriver, WorkerSpec, _Trials
from search.jobs import Job, JobQueue
from tests.search.engines import work


def jobs(folder, *names):
    """Jobs whose work is told by the name of their weights."""
    for number, name in enumerate(names):
        yield Job(
            number=number,
            architecture=preset("swinir-light"),
            recipe=PROXY,
            source=ImageSource(task=parse_task("sr-x2")),
            seed=0,
            device="cpu",
            weights=folder / name,
        )


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


def test_nothing_of_a_searcher_is_saved(tmp_path):
    [job] = jobs(tmp_path, "a")
    driver = RayDriver(work.score, WorkerSpec(1))
    searcher = _Trials(driver, JobQueue([job]))
    assert searcher.suggest("1")["number"] == 0
    searcher.save(str(tmp_path / "searcher"))
    assert list(tmp_path.iterdir()) == []
    assert type(pickle.loads(pickle.dumps(searcher))) is object


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_dead_workers_are_replaced_their_trials_begun_again_and_given_up_in_the_end(
    tmp_path, capfd
):
    notes = []
    source = JobQueue(jobs(tmp_path, "a", "once1", "b", "always", "c"))
    RayDriver(work.score, WorkerSpec(2), note=notes.append).drive(source)
    outcomes = {job.weights.name: outcome for job, outcome in source.outcomes}
    assert sorted(outcomes) == ["a", "always", "b", "c", "once1"]
    for name in ("a", "b", "c"):
        assert (outcomes[name].scores, outcomes[name].losses) == ({"psnr_y": 1.0}, ())
    [lost] = outcomes["once1"].losses
    here = lost.removesuffix(", then on from step 0")
    assert lost != here
    assert outcomes["always"].losses == (here,) * (RETRIES + 1)
    assert outcomes["always"].reason.startswith(
        f"its worker process died 4 times, on {here} (out of memory?); the training was predicted"
    )
    assert len((tmp_path / "always").read_text()) == RETRIES + 1
    assert len(notes) == 1 + RETRIES + 1
    assert notes[0].startswith(f"a worker on node {here} was lost; what it trained goes on")
    assert capfd.readouterr() == ("", "")


class Generations:
    """Two jobs at a time, the next two once both have ended."""

    def __init__(self, waiting):
        self.waiting, self.generation = list(waiting), []
        self.running, self.pids = 0, []

    def ask(self):
        if not self.generation:
            if self.running or not self.waiting:
                return None
            self.generation = [self.waiting.pop(0), self.waiting.pop(0)]
        self.running += 1
        return self.generation.pop(0)

    def tell(self, job, outcome):
        self.running -= 1
        self.pids.append(outcome.scores["pid"])


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_processes_are_kept_between_generations(tmp_path):
    source = Generations(jobs(tmp_path, "0a", "0b", "1a", "1b", "2a", "2b"))
    RayDriver(work.score_together, WorkerSpec(3)).drive(source)
    assert len(source.pids) == 6
    assert len(set(source.pids)) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_a_process_that_dies_while_it_is_idle_keeps_nobody_waiting(tmp_path):
    source = Generations(jobs(tmp_path, "0a", "0b", "1a", "1b"))
    RayDriver(work.score_and_kill, WorkerSpec(2)).drive(source)
    assert len(source.pids) == 4
    assert source.pids[0] not in source.pids[2:]


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_an_error_of_the_work_is_raised_in_the_driver(tmp_path):
    queue = JobQueue(jobs(tmp_path, "x", "refused", "y"))
    with pytest.raises(ValueError, match="refused is not for me"):
        RayDriver(work.score, WorkerSpec(1)).drive(queue)
    assert [job.weights.name for job, _ in queue.outcomes] == ["x"]
    assert not (tmp_path / "y").exists()
