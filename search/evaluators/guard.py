"""What goes wrong with one candidate is an outcome of the search, not a fault of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from lightir_core.errors import TrainingError
from search.evaluators.job import Job, Outcome


def guarded(work: Callable[[Job], Outcome], job: Job) -> Outcome:
    """What `work` makes of the job; where it fails as networks may, the reason.

    A loss that is not a number and memory that runs out are told; anything else is raised.
    """
    begun = time.perf_counter()
    try:
        return work(job)
    except (TrainingError, MemoryError, torch.OutOfMemoryError) as error:
        why = _why(error)
    except RuntimeError as error:
        # the CPU allocator raises a plain RuntimeError
        if "can't allocate memory" not in str(error):
            raise
        why = _why(error)
    return Outcome(number=job.number, seconds=time.perf_counter() - begun, reason=why)


def _why(error: BaseException) -> str:
    kind = "out of memory" if not isinstance(error, TrainingError) else "training failed"
    return f"{kind}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
