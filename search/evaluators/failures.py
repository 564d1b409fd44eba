"""What goes wrong with one candidate is an outcome of the search, not a fault of it."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import torch

from budgets.budget import format_bytes
from budgets.memory import training_memory
from lightir_core.errors import TrainingError, first_line
from lightir_core.learning.step import has_fast_bfloat16
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
        memory = memory_of(job)
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


def memory_of(job: Job) -> dict[str, int]:
    """Return the bytes that were predicted for a job that ran out of memory, and those reached."""
    return {"predicted_bytes": predicted_bytes(job), "reached_bytes": reached_bytes(job.device)}


def memory_text(memory: dict[str, int]) -> str:
    """Return the same as a part of a sentence."""
    predicted = f"the training was predicted to take {format_bytes(memory['predicted_bytes'])}"
    if "reached_bytes" not in memory:
        return predicted
    return f"{predicted}, the process had reached {format_bytes(memory['reached_bytes'])}"
