"""Notes on many images in few lines: a thousand gray photographs are one fact, not a thousand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

MOST_ALIKE = 5
"""Notes of the same text that are given one by one."""


def shorten(notes: Iterable[str]) -> tuple[str, ...]:
    """The notes, those on converted images beyond the first few of a kind counted together.

    A note is ``name: text``. Skipped images are always named.
    """
    kept: list[str] = []
    seen: Counter[str] = Counter()
    for note in notes:
        text = note.rpartition(": ")[2]
        alike = text != note and ": skipped, " not in note
        seen[text] += alike
        if not alike or seen[text] <= MOST_ALIKE:
            kept.append(note)
    more = {text: count - MOST_ALIKE for text, count in seen.items() if count > MOST_ALIKE}
    return (*kept, *(f"and {count} more images: {text}" for text, count in more.items()))
