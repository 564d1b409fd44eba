"""How many architectures are priced in a second, with nothing known and with all parts known."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from budgets.price import price
from budgets.units import Size
from lightir_core.architecture import Architecture
from search.seeds import derive
from spaces import Frame, Space

ROUNDS = 5


@dataclass(frozen=True)
class Pricing:
    """Architectures per second on one core."""

    first: float
    warm: float


def draw(space: Space, count: int, seed: int) -> list[Architecture]:
    """Random architectures of a space, for super-resolution."""
    rng = random.Random(derive(seed, "price"))
    return [space.decode(space.sample(rng), Frame(scale=2)) for _ in range(count)]


def measure(architectures: Sequence[Architecture], size: Size) -> Pricing:
    """Price all once, then again and again; the median of the later rounds is the warm rate."""
    seconds: list[float] = []
    for _ in range(1 + ROUNDS):
        begun = time.perf_counter()
        for architecture in architectures:
            price(architecture, size)
        seconds.append(time.perf_counter() - begun)
    count = len(architectures)
    return Pricing(count / seconds[0], count / median(seconds[1:]))
