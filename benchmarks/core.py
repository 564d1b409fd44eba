"""One core, for what is timed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Compute on one thread, as workers do; a context, or what decorates a function."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
