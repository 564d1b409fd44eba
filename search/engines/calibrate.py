"""How many trainings of a small network one device takes at the same time, by trying.

Each training is a process of its own, as on a cluster that gives trials shares of a GPU. All train
the same network for some seconds and count their steps; how long the first step took, with what was
captured or compiled for it, is part of a trial.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import torch
from torch import Tensor

from lightir_core.architecture import Architecture
from lightir_core.errors import LightIRError, SearchError
from lightir_core.learning.cuda_graph import Launch
from lightir_core.learning.prefetch import Ahead
from lightir_core.learning.recipe import PROXY
from lightir_core.learning.step import Batches
from lightir_core.learning.training import train
from lightir_core.network import build
from search.evaluators.images import open_images
from search.jobs import Source

WARM_STEPS = 3
"""Steps before the count begins: the first launches, captures or compiles."""

ANSWER_S = 90.0
"""How long a process may take to get ready: compiling for it takes about a minute."""

CLOSE = 0.95
"""More trainings at the same time must be worth this: fewer with this share of the best win."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way to train.

    Attributes:
        half: under bfloat16 autocast, else in float32.
        launch: see `lightir_core.learning.cuda_graph`.
        ahead: whether patches are on the device before their step.
    """

    half: bool = False
    launch: Launch = "eager"
    ahead: bool = False

    @property
    def name(self) -> str:
        """In words."""
        number = "bfloat16" if self.half else "float32"
        return f"{number}, {self.launch}{', patches ahead' * self.ahead}"


PLAIN = Variant()

ON_GPU = (
    PLAIN,
    Variant(half=True),
    Variant(half=True, ahead=True),
    Variant(half=True, launch="graphed", ahead=True),
    Variant(half=True, launch="compiled", ahead=True),
    Variant(launch="graphed", ahead=True),
)

ON_CPU = (PLAIN, Variant(half=True))


@dataclass(frozen=True, kw_only=True)
class Task:
    """What every process trains.

    Attributes:
        architecture: of the network.
        source: of the patches.
        device: torch's name of it.
        steps: of a trial.
        seconds: of a measurement, after the warm-up.
    """

    architecture: Architecture
    source: Source
    device: str
    steps: int = PROXY.steps
    seconds: float = 4.0


@dataclass(frozen=True)
class Pace:
    """What one process measured.

    Attributes:
        setup_s: until the second step: building, first launch, capture or compilation.
        step_s: seconds of a step after that.
        peak_bytes: of GPU memory; 0 on the CPU.
    """

    setup_s: float
    step_s: float
    peak_bytes: int = 0

    def trial_s(self, steps: int) -> float:
        """Seconds of a trial's training, validation left out."""
        return self.setup_s + (steps - 1) * self.step_s


@dataclass(frozen=True)
class Measured:
    """What trainings at the same time came to.

    Attributes:
        variant: the way they trained.
        together: how many there were.
        per_hour: trials in an hour, or 0 with a reason.
        step_s: mean seconds of a step of one of them.
        setup_s: mean seconds until the second step.
        peak_bytes: GPU memory of the largest.
        reason: why there is no number, or None.
    """

    variant: Variant
    together: int
    per_hour: float = 0.0
    step_s: float = 0.0
    setup_s: float = 0.0
    peak_bytes: int = 0
    reason: str | None = None


def calibrate(task: Task, most: int, tell: Callable[[Measured], None]) -> list[Measured]:
    """Try ways to train alone, then the best of them and the plain one at 2, 4, 8 … at a time.

    Args:
        task: what to train, and where.
        most: trainings at the same time that are tried at most.
        tell: hears of each measurement.

    Raises:
        SearchError: not even one plain training works.
    """
    variants = ON_GPU if torch.device(task.device).type == "cuda" else ON_CPU
    rows: list[Measured] = []
    with _Crew(task) as crew:

        def measured(variant: Variant, together: int) -> Measured:
            rows.append(crew.measure(variant, together))
            tell(rows[-1])
            return rows[-1]

        alone = [measured(variant, 1) for variant in variants]
        if alone[0].reason is not None:
            raise SearchError(
                f"one plain training does not work on {task.device}: {rows[0].reason}"
            )
        best = max(alone, key=lambda row: row.per_hour).variant
        for variant in dict.fromkeys((best, PLAIN)):
            for together in _doubled(most):
                if measured(variant, together).reason is not None:
                    break
    return rows


def recommend(rows: Sequence[Measured]) -> Measured:
    """The fewest trainings at the same time that give nearly the most trials in an hour."""
    most = max(row.per_hour for row in rows)
    return min(
        (row for row in rows if row.per_hour >= CLOSE * most),
        key=lambda row: (row.together, -row.per_hour),
    )


def share(together: int) -> float:
    """The part of a GPU that each gets; rounded down, so that all of them fit on it."""
    return int(1000 / together) / 1000


def _doubled(most: int) -> Iterator[int]:
    together = 2
    while together <= most:
        yield together
        together *= 2


class _Crew:
    """Processes that train at the same time when they are told to; started as they are needed."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._members: list[tuple[BaseProcess, Connection]] = []

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for process, line in self._members:
            line.close()
            process.terminate()
            process.join()
        self._members.clear()

    def measure(self, variant: Variant, together: int) -> Measured:
        """What `together` of them reach at the same time."""
        paces = self._paces(variant, together)
        reasons = [pace for pace in paces if isinstance(pace, str)]
        if reasons:
            self.__exit__()  # who died or hangs is of no more use
            return Measured(variant, together, reason=reasons[0])
        found = [pace for pace in paces if isinstance(pace, Pace)]
        return Measured(
            variant,
            together,
            sum(3600 / pace.trial_s(self._task.steps) for pace in found),
            sum(pace.step_s for pace in found) / together,
            sum(pace.setup_s for pace in found) / together,
            max(pace.peak_bytes for pace in found),
        )

    def _paces(self, variant: Variant, together: int) -> list[Pace | str | None]:
        while len(self._members) < together:
            self._members.append(_start(self._task))
        lines = [line for _, line in self._members[:together]]
        for line in lines:
            with contextlib.suppress(OSError):  # it died, and nothing will be heard of it
                line.send(variant)
        words = [_heard(line) for line in lines]
        ready = [line for line, word in zip(lines, words, strict=True) if word is None]
        for line in ready:  # all at once, when the last one is warm
            line.send("go")
        return [*(word for word in words if word is not None), *map(_heard, ready)]


def _start(task: Task) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(task, theirs))
    process.start()
    theirs.close()
    return process, ours


def _heard(line: Connection) -> Pace | str | None:
    """A pace, a reason why there is none, or None for "ready"."""
    if not line.poll(ANSWER_S):
        return f"not ready within {ANSWER_S:.0f} s"
    try:
        return line.recv()
    except (EOFError, OSError):
        return "its process died (out of memory?)"


def _serve(task: Task, line: Connection) -> None:
    """Train whenever a variant comes, until nobody is there any more."""
    torch.set_num_threads(1)
    data = open_images(task.source).training
    with contextlib.suppress(RuntimeError):  # what a device cannot do, the measurement will tell
        _fit(task, PLAIN, data, 2)  # so that loading the device's libraries counts for none
    while True:
        try:
            variant = line.recv()
        except EOFError:
            return
        line.send(_trained(task, variant, data, line))


def _trained(task: Task, variant: Variant, data: Batches, line: Connection) -> Pace | str:
    device = torch.device(task.device)
    metered = _Metered(Ahead(data, device) if variant.ahead else data, line, task.seconds)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        _fit(task, variant, metered, 10**6)
    except _Enough:
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
        return Pace(metered.setup_s, metered.step_s, peak)
    except (LightIRError, RuntimeError) as error:  # what a device or a compiler cannot do
        return f"{type(error).__name__}: {error}".splitlines()[0]
    raise AssertionError("the training ended before its time")


def _fit(task: Task, variant: Variant, data: Batches, steps: int) -> None:
    torch.manual_seed(0)
    train(
        build(task.architecture),
        data,
        PROXY.lasting(steps),
        seed=0,
        device=torch.device(task.device),
        validate=lambda _: 0.0,
        checks=1,
        half=variant.half,
        launch=variant.launch,
    )


class _Enough(Exception):  # noqa: N818  no error: the measurement is over
    """Enough steps were counted."""


class _Metered:
    """Patches of `data` that wait for the others after the warm-up, and end when time is up."""

    def __init__(self, data: Batches, line: Connection, seconds: float) -> None:
        self._data, self._line, self._seconds = data, line, seconds
        self._created, self._begun = time.perf_counter(), 0.0
        self.setup_s = self.step_s = 0.0

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """The patches of a step."""
        now = time.perf_counter()
        if step == 1:
            self.setup_s = now - self._created
        if step == WARM_STEPS:
            self._line.send(None)
            self._line.recv()
            self._begun = time.perf_counter()
        elif step > WARM_STEPS and now > self._begun + self._seconds:
            self.step_s = (now - self._begun) / (step - WARM_STEPS)
            raise _Enough
        return self._data.batch(seed, step, batch, patch_px)
