"""How far a candidate is trained before it is scored."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fidelity:
    """Train up to `step` of a training of `steps`: what came before was asked for earlier.

    Without rungs there is one stretch, the whole training.
    """

    step: int
    steps: int

    @property
    def share(self) -> float:
        """Of the whole training, above 0 and up to 1."""
        return self.step / self.steps

    @property
    def is_whole(self) -> bool:
        """Whether the training ends there."""
        return self.step == self.steps
