"""Pilots: as many long trials of Ray Tune as there are workers, each of which does many jobs.

Tune finds them places with the processors and cards that a training needs, at most so many at a
time, and starts one anew, where there is room, when its process or its node dies. A trial of Tune's
for each job would cost seconds in which nothing is trained.
"""

from __future__ import annotations

import pickle
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from search.engines.ray_connection import import_ray

WAIT_S = 20.0
"""A pilot without work asks again after so long."""

PATIENCE_S = 1.0
"""Between two attempts to reach the desk while the network is away."""


@dataclass(frozen=True)
class Crew:
    """How many pilots, and what each gets.

    Attributes:
        workers: pilots at the same time.
        cpus: processors of each.
        gpus: cards of each; a share of one is allowed.
        threads: that torch uses in each.
        avoid: ids of nodes on which none is to start.
    """

    workers: int
    cpus: float = 1.0
    gpus: float = 0.0
    threads: int = 1
    avoid: tuple[str, ...] = ()


class Ears:
    """What Tune tells, and asks, from its thread; Tune saves its callbacks, and this as nothing."""

    def __init__(self, lost: Callable[[int], None], is_over: Callable[[], bool]) -> None:
        """Listen.

        Args:
            lost: called with the seat of a pilot that died.
            is_over: whether nobody needs pilots any more: those without a place are not waited for.
        """
        self.lost, self.is_over = lost, is_over

    def __reduce__(self) -> tuple[Any, ...]:
        """Something that hears nothing."""
        return Ears, (int, bool)


def fly(seat: int, desk_name: str, work: Callable[[Any], Any], threads: int) -> None:
    """Do jobs from the desk until it closes: what runs in each worker process."""
    ray = import_ray()
    torch.set_num_threads(threads)
    desk, pilot = ray.get_actor(desk_name), uuid.uuid4().hex
    node = ray.get_runtime_context().get_node_id()
    try:
        _reach(lambda: desk.arrive.remote(seat, pilot, node))
        while (ticket := _reach(lambda: desk.next.remote(pilot, WAIT_S))) is not True:
            if ticket:
                given = ticket.number, _worked(work, ticket.job)
                _reach(lambda given=given: desk.give.remote(pilot, *given))
    except ray.exceptions.ActorDiedError:
        return  # the driver is gone


def conduct(
    desk: Any,  # noqa: ANN401  Ray's handle
    desk_name: str,
    work: Callable[[Any], Any],
    crew: Crew,
    storage: str,
    ears: Ears,
) -> None:
    """Keep the pilots in their seats until the desk is closed; blocks.

    Args:
        desk: an `OpenDesk` as an actor.
        desk_name: by which pilots find it.
        work: what they do with a job.
        crew: how many and where.
        storage: a folder that all nodes share, or the address of a bucket, for Tune's own notes.
        ears: what is told of the pilots.
    """
    import_ray()
    from ray import tune

    def pilot(config: dict[str, Any]) -> None:
        fly(config["seat"], desk_name, work, crew.threads)

    tune.Tuner(
        tune.with_resources(pilot, _place(crew)),
        tune_config=tune.TuneConfig(
            search_alg=_seats(crew.workers),
            num_samples=crew.workers,
            max_concurrent_trials=crew.workers,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="pilots",
            storage_path=storage,
            verbose=0,
            log_to_file=False,
            failure_config=tune.FailureConfig(max_failures=-1),
            callbacks=[_watcher(ears)],
        ),
    ).fit()


class OverError(Exception):
    """Tune is to stop waiting for places."""


def _place(crew: Crew) -> Any:  # noqa: ANN401  a type of Ray's
    from ray.tune import PlacementGroupFactory

    share = {"CPU": crew.cpus, **({"GPU": crew.gpus} if crew.gpus else {})}
    if not crew.avoid:
        return PlacementGroupFactory([share])
    elsewhere = {"ray.io/node-id": f"!in({','.join(crew.avoid)})"}
    return PlacementGroupFactory([share], bundle_label_selector=[elsewhere])


def _seats(workers: int) -> Any:  # noqa: ANN401  a type of Ray's
    """A searcher that proposes the seats, each once, and leaves nothing behind."""
    from ray.tune.search import Searcher

    class Seats(Searcher):
        def __init__(self) -> None:
            super().__init__()
            self.given = 0

        def suggest(self, trial_id: str) -> Any:  # noqa: ANN401
            if self.given == workers:
                return Searcher.FINISHED
            self.given += 1
            return {"seat": self.given - 1}

        def on_trial_complete(self, trial_id: str, *_: object, **__: object) -> None:
            """A pilot went home."""

        def save(self, checkpoint_path: str) -> None:
            """The study knows all there is to know."""

        def restore(self, checkpoint_path: str) -> None:
            """As `save`."""

    return Seats()


def _watcher(ears: Ears) -> Any:  # noqa: ANN401  a type of Ray's
    """Hears from Tune which pilot died, in the place of what would print it."""
    from ray.tune.progress_reporter import TrialProgressCallback

    class Watcher(TrialProgressCallback):
        def on_trial_result(self, iteration: int, trials: object, *_: object, **__: object) -> None:
            """Pilots report nothing to Tune."""

        def on_trial_complete(self, iteration: int, *_: object, **__: object) -> None:
            """One went home."""

        def on_trial_error(self, iteration: int, trials: object, trial: Any, **_: object) -> None:  # noqa: ANN401
            ears.lost(trial.config["seat"])

        def on_trial_recover(self, iteration: int, trials: object, trial: Any, **_: object) -> None:  # noqa: ANN401
            ears.lost(trial.config["seat"])

        def on_step_end(self, iteration: int, trials: object, **_: object) -> None:
            if ears.is_over():
                raise OverError

    return Watcher()


def _reach(call: Callable[[], Any]) -> Any:  # noqa: ANN401  whatever the desk replies
    """The desk's reply, however long the network is away."""
    ray = import_ray()
    while True:
        try:
            return ray.get(call())
        except ray.exceptions.ActorUnavailableError:
            time.sleep(PATIENCE_S)


def _worked(work: Callable[[Any], Any], job: bytes) -> bytes:
    """The result of a job, or the error it raised, as bytes of a pair."""
    try:
        return pickle.dumps((work(pickle.loads(job)), None))
    except Exception as error:
        error.add_note(traceback.format_exc())
        return pickle.dumps((None, error))
