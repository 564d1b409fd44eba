"""Ctrl-C: the first lets running trainings end, the second stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from search.callbacks import Callback, Stop

FIRST = (
    "stopping: what is running will be finished and kept, nothing new is started; "
    "press Ctrl-C again to stop at once"
)


@contextmanager
def stopping(callback: Callback) -> Iterator[Stop]:
    """Whether Ctrl-C was pressed; pressed again it raises KeyboardInterrupt as usual."""
    pressed = threading.Event()

    def first(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        pressed.set()
        # a thread of its own: the display may just be drawing in this one
        threading.Thread(target=callback.note, args=(FIRST,)).start()

    before = signal.signal(signal.SIGINT, first)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
