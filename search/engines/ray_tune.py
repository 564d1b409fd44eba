"""Run jobs on a cluster: a job is a trial of Ray Tune, proposed by a searcher that asks for it.

Tune finds room for every trial, keeps the worker processes between them, begins a trial again whose
process or node was lost, and shows parameters, metrics and failures. The driver alone asks, tells
and writes the record; nothing of Tune's is kept. The storage is whatever pyarrow knows: a folder,
s3://, gs://, hdfs://.
"""

import base64
import hashlib
import os
import pickle
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from lightir_core.errors import RunFailedError, SearchError, first_line
from search.engines.ray_nodes import import_ray
from search.evaluators.evaluate import worker_died
from search.jobs import Job, JobSource, Outcome

UPLOAD_S = 1.0  # after which a worker looks again whether there is a new state to upload


@dataclass(frozen=True)
class CheckpointStorage:
    """Where the files of a run lie; `root` is its folder, absolute, on the driver's machine."""

    address: str
    root: Path

    @property
    def scratch(self) -> Path:
        """Return a worker's folder for them; the same for all workers of a node."""
        name = hashlib.sha256(f"{self.address} {self.root}".encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"lightir-{name}"

    def check(self) -> None:
        """Write a file and delete it.

        Raises:
            SearchError: that is not possible.
        """
        with tempfile.NamedTemporaryFile(prefix=".probe-") as file:
            probe = Path(file.name)
            try:
                self.upload(probe, probe.parent)
                self.remove(probe, probe.parent)
            except (OSError, ValueError, ImportError) as error:
                raise SearchError(
                    f"storage {self.address!r} cannot be used: {first_line(error)}; give a folder "
                    f"that all nodes share, as an absolute path, or an address such as "
                    f"s3://bucket/runs"
                ) from None

    def upload(self, file: Path, root: Path) -> None:
        """Copy a file below `root` into the storage; it is whole there or not at all."""
        fs, files, target = self._find(file, root)
        files.create_dir(target.rpartition("/")[0], recursive=True)
        fs.copy_files(str(file), f"{target}.new", fs.LocalFileSystem(), files)
        files.move(f"{target}.new", target)

    def download(self, file: Path, root: Path) -> bool:
        """Copy a file below `root` out of the storage; false if it is not there."""
        fs, files, source = self._find(file, root)
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.{os.getpid()}")
        try:
            fs.copy_files(source, str(new), files, fs.LocalFileSystem())
        except FileNotFoundError:
            return False
        new.replace(file)
        return True

    def remove(self, file: Path, root: Path) -> None:
        """Delete a file from the storage, if it is there."""
        _, files, target = self._find(file, root)
        with suppress(FileNotFoundError):
            files.delete_file(target)

    def _find(self, file: Path, root: Path) -> tuple[Any, Any, str]:
        """Return pyarrow's file systems, the storage's own, and where in it a file is."""
        from pyarrow import fs

        files, path = fs.FileSystem.from_uri(self.address)
        return fs, files, f"{path.rstrip('/')}/{self.root.name}/{file.relative_to(root)}"


def score_stored(work: Callable[[Job], Outcome], storage: CheckpointStorage, job: Job) -> Outcome:
    """Do a job with files from the storage, and upload what it leaves.

    Raises:
        RunFailedError: the storage is full, or cannot be reached.
    """
    root = storage.scratch
    here = job.moved(lambda path: root / path.relative_to(storage.root))
    try:
        for path in here.inputs:
            storage.download(path, root)
        with _stored(here.state, storage) if here.state else nullcontext():
            outcome = work(here)
        if here.weights.exists():
            storage.upload(here.weights, root)
            here.weights.unlink()
    except OSError as error:
        raise RunFailedError(
            f"storage {storage.address}: {first_line(error)}; what has finished is kept; make "
            f"room, then go on with `python -m search resume`"
        ) from None
    return outcome


@contextmanager
def _stored(state: Path, storage: CheckpointStorage) -> Iterator[None]:
    """Begin with the state in the storage and upload every new one, in the end what is left."""
    root, over = storage.scratch, threading.Event()

    def follow() -> None:
        seen = 0
        while not over.wait(UPLOAD_S):
            with suppress(OSError):  # not kept yet; or no room: the weights will tell in the end
                now = state.stat().st_mtime_ns
                if now != seen:
                    storage.upload(state, root)
                    seen = now

    if not storage.download(state, root):
        state.unlink(missing_ok=True)
    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if state.exists():
        storage.upload(state, root)
    else:
        storage.remove(state, root)


RETRIES = 3  # of a trial; nodes are lost more often than processes
FRUITLESS = 20  # processes that may die one after the other, for each worker, without any result


@dataclass(frozen=True)
class WorkerSpec:
    """How many trials run at the same time, and what each gets."""

    workers: int
    cpus: float = 1.0  # torch uses as many threads
    gpus: float = 0.0  # cards; a share of one is allowed
    avoid: tuple[str, ...] = ()  # ids of nodes on which none is to run


@dataclass(frozen=True)
class RayDriver:
    """A driver on the cluster that this process is connected to.

    Attributes:
        work: does a job; a function that the nodes can import.
        spec: how many workers, and what each gets.
        storage: by which files reach nodes that do not share the run folder, or None.
        names: of nodes, by Ray's ids.
        note: called with a sentence about each worker that is lost.
        parameters: what Ray shows of a job beside its number and architecture.
    """

    work: Callable[[Job], Outcome]
    spec: WorkerSpec
    storage: CheckpointStorage | None = None
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    note: Callable[[str], None] = print
    parameters: Callable[[Job], Mapping[str, float]] = lambda job: {}

    def drive(self, source: JobSource) -> None:
        """Run what `source` asks for until it asks for nothing and nothing is under way.

        Raises:
            RunFailedError: worker processes die one after the other.
        """
        import_ray()
        from ray import tune
        from ray.tune.search import Searcher

        searcher = type("Trials", (_Trials, Searcher), {})(self, source)  # which Tune asks for
        with tempfile.TemporaryDirectory(prefix="lightir-ray-") as scratch:
            tune.Tuner(
                _trainable(self.work, self.spec),
                tune_config=tune.TuneConfig(
                    search_alg=searcher,
                    scheduler=_scheduler(searcher, self.spec.workers),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_name_creator=_name,
                    trial_dirname_creator=_name,
                ),
                run_config=tune.RunConfig(
                    storage_path=scratch,
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=RETRIES),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            ).fit()


class _Trials:
    """A searcher of Tune over a source of jobs; Tune saves its searchers, but not this one."""

    def __init__(self, driver: RayDriver, source: JobSource) -> None:
        super().__init__()
        self._driver, self._source = driver, source
        self._running: dict[str, tuple[Job, list[str]]] = {}  # jobs, and the nodes that lost them
        self._again: list[tuple[Job, list[str]]] = []
        self._ended: list[tuple[str, Mapping[str, Any] | None]] = []
        self._nodes: dict[str, str] = {}
        self._fruitless = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return object, ()

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the record knows all there is to know."""

    def suggest(self, trial_id: str) -> Any:  # noqa: ANN401  what Tune takes
        """Return the parameters of the next trial, None if there is none now, or "FINISHED"."""
        while self._ended:
            self._report(*self._ended.pop(0))
        workers, storage = self._driver.spec.workers, self._driver.storage
        if self._fruitless > FRUITLESS * workers:
            raise RunFailedError(
                f"{self._fruitless} worker processes died one after the other without any "
                f"result; look into Ray's logs in /tmp/ray/session_latest/logs"
            )
        if len(self._running) == workers:
            return None
        job, losses = self._again.pop(0) if self._again else (self._source.ask(), [])
        if job is None:
            return None if self._running else "FINISHED"
        self._running[trial_id] = job, losses
        absolute = job.moved(Path.resolve)
        if storage is not None:
            for path in absolute.inputs:
                storage.upload(path, storage.root)
        shown = {"number": job.number, "architecture": job.architecture.id}
        return {**shown, **self._driver.parameters(job), "job": _packed(absolute)}

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Take in on which node a trial's work begins."""
        self._nodes[trial_id] = self._driver.names.get(result["node"], result["node"][:6])

    def on_trial_loss(self, trial_id: str) -> None:
        """Take in that a trial's worker is gone; say so if it was at work."""
        self._fruitless += 1
        node = self._nodes.pop(trial_id, None)
        if node is not None:
            self._running[trial_id][1].append(node)
            self._driver.note(
                f"a worker on node {node} was lost; what it trained goes on elsewhere from its "
                f"last checkpoint"
            )

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Take in what came of a trial, nothing if its workers died too often.

        The source is told later: what it raised here would pass for an error of the trial.
        """
        self._ended.append((trial_id, None if error else result))

    def _report(self, trial_id: str, result: Mapping[str, Any] | None) -> None:
        (job, losses), storage = self._running.pop(trial_id), self._driver.storage
        if result is None:
            if len(losses) > RETRIES:
                self._source.tell(job, worker_died(job, f"{len(losses)} times", tuple(losses)))
            else:  # given to a process that had died while it was idle: Tune tries that once only
                self._again.append((job, losses))
            return
        outcome, error = _unpacked(result["outcome"])
        if error is not None:
            raise error
        self._fruitless = 0
        if losses:
            last = f"{losses[-1]}, then on from step {outcome.began_at}"
            outcome = replace(outcome, losses=(*losses[:-1], last))
        if storage is not None and outcome.reason is None and not job.pauses:
            storage.download(job.weights.resolve(), storage.root)
        self._source.tell(job, outcome)


def _trainable(work: Callable[[Job], Outcome], spec: WorkerSpec) -> Any:  # noqa: ANN401  Ray's
    """Return the class of what runs in each worker process, for one trial after the other."""
    ray = import_ray()
    from ray import tune

    share = {"CPU": spec.cpus, **({"GPU": spec.gpus} if spec.gpus else {})}
    elsewhere = [{"ray.io/node-id": f"!in({','.join(spec.avoid)})"}]
    others: dict[str, Any] = {"bundle_label_selector": elsewhere} if spec.avoid else {}

    class Training(tune.Trainable):
        @classmethod
        def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
            return tune.PlacementGroupFactory([share], **others)

        def setup(self, config: dict[str, Any]) -> None:
            torch.set_num_threads(max(1, int(spec.cpus)))
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.job, self.has_begun = new_config["job"], False
            return True

        def step(self) -> dict[str, Any]:
            """Report first where it runs, then what came of it."""
            if self.has_begun:
                return {**_result(work, _unpacked(self.job)), "done": True}
            self.has_begun = True
            return {"node": ray.get_runtime_context().get_node_id()}

    return Training


def _result(work: Callable[[Job], Outcome], job: Job) -> dict[str, Any]:
    """Return what Ray is to show of a job that was done, the outcome or the error it raised."""
    try:
        outcome = work(job)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return {"reason": f"{type(error).__name__}: {error}", "outcome": _packed((None, error))}
    metrics = {"reason": outcome.reason, "seconds": outcome.seconds, **outcome.scores}
    return {**metrics, "outcome": _packed((outcome, None))}


def _packed(value: object) -> str:
    """Return a value as text, which Tune copies and writes down a hundred times as fast."""
    return base64.b64encode(pickle.dumps(value)).decode()


def _unpacked(text: str) -> Any:  # noqa: ANN401  whatever was packed
    return pickle.loads(base64.b64decode(text))


def _scheduler(searcher: _Trials, workers: int) -> Any:  # noqa: ANN401  Ray's
    """Return what runs trials as they come, hears of lost workers, and keeps idle ones.

    By a private attribute of Ray 2.60's controller: by itself it keeps one idle process of all when
    a generation ends.
    """

    class Keeping(import_ray().tune.schedulers.FIFOScheduler):
        kept = 0

        def on_trial_add(self, tune_controller: Any, trial: Any) -> None:  # noqa: ANN401
            if self.kept < workers:
                self.kept += 1
                tune_controller._actor_cache.increase_max(trial.placement_group_factory)

        def on_trial_error(self, tune_controller: Any, trial: Any) -> None:  # noqa: ANN401
            searcher.on_trial_loss(trial.trial_id)

    return Keeping()


def _name(trial: Any) -> str:  # noqa: ANN401  Ray's
    return f"trial-{trial.config['number']:05d}-{trial.trial_id}"
