"""Score one candidate, by real gradient steps or by a proxy of one batch; what fails is an outcome.

`score_candidate` is what every worker process runs.
"""

import math
import resource
import threading
import time
from collections.abc import Callable
from functools import lru_cache

import torch

from budgets.budget import format_bytes
from budgets.memory import training_memory
from lightir_core.checkpoints import load_model, load_weights, save_weights
from lightir_core.data.image_source import ImageSource, open_images
from lightir_core.data.patches import PatchBlocks
from lightir_core.errors import DivergedError, TrainingError, first_line
from lightir_core.learning.curve import Point, Restart
from lightir_core.learning.evaluate import quick_score
from lightir_core.learning.proxies import PROXIES
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.step import Batches, Teacher, has_fast_bfloat16
from lightir_core.learning.training import StateOptions, saved_restart, saved_step, train
from lightir_core.network import Network, build
from search.jobs import Job, Outcome

KIB = 1024


def guarded(work: Callable[[Job], Outcome], job: Job) -> Outcome:
    """Return what `work` makes of a job; where it fails as networks may, the reason.

    A loss that is not a number and memory that runs out are outcomes; anything else is raised.
    """
    begun = time.perf_counter()
    memory: dict[str, int] = {}
    try:
        return work(job)
    except TrainingError as error:
        why = f"training failed: {first_line(error)}"
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        why = f"out of memory: {first_line(error)}"
    if why.startswith("out of memory"):  # out here, where what the training held is free again
        reached = reached_bytes(job.device)
        memory = {"predicted_bytes": predicted_bytes(job), "reached_bytes": reached}
        why = f"{why}; {memory_text(memory)}"
    seconds = time.perf_counter() - begun
    return Outcome(number=job.number, seconds=seconds, reason=why, memory=memory)


def worker_died(job: Job, times: str, nodes: tuple[str, ...] = ()) -> Outcome:
    """Return the outcome of a job whose worker process died so many times, on these nodes."""
    memory = {"predicted_bytes": predicted_bytes(job)}
    where = f", on {', '.join(dict.fromkeys(nodes))}" if nodes else ""
    reason = f"its worker process died {times}{where} (out of memory?); {memory_text(memory)}"
    return Outcome(number=job.number, reason=reason, memory=memory, losses=nodes)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # the CPU's allocator raises a plain RuntimeError
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def predicted_bytes(job: Job) -> int:
    """Return what the memory model says that the training of a job takes."""
    device = torch.device(job.device)
    return training_memory(
        job.architecture,
        job.recipe.batch,
        job.recipe.patch_px,
        half=has_fast_bfloat16(device),
        device=device.type,
    )


def reached_bytes(device: str) -> int:
    """Return the most that this process has held: on a GPU in tensors, else with all it loaded."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


def memory_text(memory: dict[str, int]) -> str:
    """Return the bytes that were predicted, and those reached, as a part of a sentence."""
    predicted = f"the training was predicted to take {format_bytes(memory['predicted_bytes'])}"
    if "reached_bytes" not in memory:
        return predicted
    return f"{predicted}, the process had reached {format_bytes(memory['reached_bytes'])}"


CHECKS = 4
"""Points of a learning curve."""

PROXY_PATCHES = 16
"""Patches in the batch of a proxy."""


def score_candidate(job: Job) -> Outcome:
    """Return the scores of a job's network by its evaluator, or why there are none.

    A loss that gets out of hand and memory that runs out are outcomes of a search, not faults of
    it; anything else is raised.
    """
    return guarded(_by_proxy if job.evaluator.proxy else _train, job)


def _train(job: Job) -> Outcome:
    begun = time.perf_counter()
    metric = job.source.task.metric
    with _ALONE:
        open_images(job.source)
    began_at, started = saved_step(job.state), time.perf_counter()
    network, curve, note, restart = _trained(job)
    training_s = time.perf_counter() - started
    if not job.pauses:
        save_weights(job.weights, network)
        if job.state is not None:
            job.state.unlink(missing_ok=True)
    return Outcome(
        number=job.number,
        scores={metric: _kept(curve, job.recipe)},
        curve=curve,
        seconds=time.perf_counter() - begun,
        training_s=training_s,
        began_at=began_at,
        restart=restart,
        note=note,
    )


@lru_cache(maxsize=2)
def _patches_on(source: ImageSource, device: torch.device) -> Batches:
    """Return where a training takes its patches from; on a GPU the images are held there, once."""
    training = open_images(source).training
    return PatchBlocks(training, device) if device.type == "cuda" else training


_ALONE = threading.RLock()
"""Held for what trainings of one process share: images, and the generator of first weights."""


def _kept(curve: tuple[Point, ...], recipe: Recipe) -> float:
    """Return the score of the weights that a training leaves: the best or the last on its curve."""
    return max(score for _, score in curve) if recipe.patience else curve[-1][1]


def _trained(job: Job) -> tuple[Network, tuple[Point, ...], str | None, Restart | None]:
    """Return the trained network, its learning curve, a note, and whether it began again.

    A training that diverges is begun again once, from the same seed, by a gentler recipe. What is
    kept at a rung says by which, so that the next stretch goes on with it.
    """
    restart = saved_restart(job.state)
    while True:
        try:
            return *_attempt(job, restart), restart
        except DivergedError as error:
            if restart is not None:
                raise TrainingError(f"{restart.text}, and again: {error}") from None
            restart = Restart.of(error, job.recipe)
        if job.state is not None:
            job.state.unlink(missing_ok=True)


def _attempt(job: Job, restart: Restart | None) -> tuple[Network, tuple[Point, ...], str | None]:
    device, task, notes = torch.device(job.device), job.source.task, list[str]()
    recipe = job.recipe.gentler() if restart else job.recipe
    with _ALONE:
        data, validate = _patches_on(job.source, device), quick_score(job.source, device)
        torch.manual_seed(job.seed)
        network = build(job.architecture)
    if job.start is not None:
        load_weights(job.start, network)
    teacher = None
    if job.teacher is not None:
        parent = load_model(job.teacher).to(device)
        teacher = Teacher(network=parent.eval().requires_grad_(False))
    options = None
    if job.state is not None:
        options = StateOptions(job.until or job.recipe.steps, job.state, job.keep_s, restart)
    curve = train(
        network,
        data,
        recipe.suited(sparse=task.is_sparse),
        seed=job.seed,
        device=device,
        validate=validate,
        teacher=teacher,
        checks=job.checks or CHECKS,
        launch_mode=job.launch_mode,
        state_options=options,
        note=notes.append,
        limit_s=job.limit_s,
    )
    return network, curve, notes[0] if notes else None


def _by_proxy(job: Job) -> Outcome:
    begun = time.perf_counter()
    device = torch.device(job.device)
    proxy = job.evaluator.proxy
    training = open_images(job.source).training
    lq, gt = training.batch(job.seed, 0, PROXY_PATCHES, job.recipe.patch_px)
    torch.manual_seed(job.seed)
    network = build(job.architecture).to(device)
    score = PROXIES[proxy](network, lq.to(device), gt.to(device))
    if not math.isfinite(score):
        raise TrainingError(f"{proxy} became {score}")
    return Outcome(number=job.number, scores={proxy: score}, seconds=time.perf_counter() - begun)
