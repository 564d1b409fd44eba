"""What is told of a training that ran out of memory: what was predicted and what happened."""

from __future__ import annotations

import resource

import torch

from budgets.memory import training_memory
from budgets.units import format_bytes
from lightir_core.learning.step import has_fast_bfloat16
from search.jobs import Job, Outcome

KIB = 1024


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # the CPU's allocator raises a plain RuntimeError
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def predicted_bytes(job: Job) -> int:
    """What the memory model says that the job's training takes."""
    device = torch.device(job.device)
    return training_memory(
        job.architecture,
        job.recipe.batch,
        job.recipe.patch_px,
        half=has_fast_bfloat16(device),
        device=device.type,
    )


def reached_bytes(device: str) -> int:
    """The most that this process has held so far: on a GPU in tensors, else with all it loaded."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


def memory_told(job: Job) -> dict[str, int]:
    """For the record of a trial without memory: what was predicted and what was reached."""
    return {"predicted_bytes": predicted_bytes(job), "reached_bytes": reached_bytes(job.device)}


def in_words(told: dict[str, int]) -> str:
    """The same as a part of a sentence."""
    predicted = f"the training was predicted to take {format_bytes(told['predicted_bytes'])}"
    if "reached_bytes" not in told:
        return predicted
    return f"{predicted}, the process had reached {format_bytes(told['reached_bytes'])}"


def worker_died(job: Job, times: str, nodes: tuple[str, ...] = ()) -> Outcome:
    """Return the outcome of a job whose worker process died so many times, on these nodes."""
    memory = {"predicted_bytes": predicted_bytes(job)}
    where = f", on {', '.join(dict.fromkeys(nodes))}" if nodes else ""
    reason = f"its worker process died {times}{where} (out of memory?); {in_words(memory)}"
    return Outcome(number=job.number, reason=reason, memory=memory, losses=nodes)
