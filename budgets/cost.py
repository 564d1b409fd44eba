"""The cost of an architecture: what adds up, and what is known beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network costs at one size.

    Attributes:
        params: all parameters, relative-position tables included.
        macs: multiply-adds of one forward pass of one image, 1 each, in convolutions, linear
            layers and matrix products (attention included), at the padded size.
        training_bytes: peak of a training step; None when it was not asked for.
        inference_bytes: peak of one forward pass without gradients; None when not asked for.
        latency_ms: time of one forward pass; None when it was not asked for.
    """

    params: int
    macs: int
    training_bytes: int | None = None
    inference_bytes: int | None = None
    latency_ms: float | None = None

    @staticmethod
    def zero() -> Cost:
        """Return the cost of nothing, to start a sum with."""
        return Cost(0, 0)

    def to_plain(self) -> dict[str, int | float]:
        """Return the axes that were counted, by field name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __add__(self, other: Cost) -> Cost:
        """Return parameters and MACs of both; peaks of memory do not add up and are left out."""
        return Cost(self.params + other.params, self.macs + other.macs)
