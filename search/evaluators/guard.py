"""What goes wrong with one candidate is an outcome of the search, not a fault of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from lightir_core.errors import TrainingError, first_line
from search.evaluators.failures import in_words, is_out_of_memory, memory_told
from search.jobs import Job, Outcome


def guarded(work: Callable[[Job], Outcome], job: Job) -> Outcome:
    """What `work` makes of the job; where it fails as networks may, the reason.

    A loss that is not a number and memory that runs out are told; anything else is raised.
    """
    begun = time.perf_counter()
    told: dict[str, int] = {}
    try:
        return work(job)
    except TrainingError as error:
        why = f"training failed: {first_line(error)}"
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        why = f"out of memory: {first_line(error)}"
    if why.startswith("out of memory"):  # out here, where what the training held is free again
        told = memory_told(job)
        why = f"{why}; {in_words(told)}"
    seconds = time.perf_counter() - begun
    return Outcome(number=job.number, seconds=seconds, reason=why, memory=told)
