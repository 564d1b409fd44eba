"""How long a training step takes on this device, alone and with others beside it.

Trainings side by side are a process each, as on a cluster that gives trials shares of a GPU. All
train the same network for some seconds; the first step, with what was compiled for it, is part of a
trial.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from torch import Tensor

from lightir_core.architecture import Architecture
from lightir_core.data.image_source import ImageSource, open_images
from lightir_core.errors import LightIRError, SearchError
from lightir_core.learning.recipe import PROXY, Recipe
from lightir_core.learning.step import Batches, LaunchMode, Prefetch
from lightir_core.learning.training import train
from lightir_core.network import build

STEPS = 5
"""Steps that are timed."""


class Noise:
    """Batches of random patches for an architecture; notes when each was asked for.

    Attributes:
        moments: by `time.perf_counter`, one for each batch.
    """

    def __init__(self, architecture: Architecture) -> None:
        """Make patches with the channels and the scale of `architecture`."""
        self._architecture = architecture
        self.moments: list[float] = []

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return random patches, the same for the same step."""
        self.moments.append(time.perf_counter())
        inner, side = self._architecture, patch_px * self._architecture.scale
        drawn = torch.Generator().manual_seed(step)
        lq = torch.rand(batch, inner.in_channels, patch_px, patch_px, generator=drawn)
        return lq, torch.rand(batch, inner.out_channels, side, side, generator=drawn)


def time_step(
    architecture: Architecture, recipe: Recipe, device: torch.device | None = None
) -> float:
    """Return the median seconds of some training steps on noise, after one that warms up.

    torch's threads and random numbers are afterwards as they were.

    Args:
        architecture: of the network that is trained.
        recipe: how.
        device: where; None is the GPU of this machine, or one core of it.
    """
    noise = Noise(architecture)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):  # pyright: ignore[reportUnknownMemberType]
        train(
            build(architecture),
            noise,
            recipe.lasting(STEPS + 2),
            seed=0,
            device=device or torch.device("cuda" if torch.cuda.is_available() else "cpu"),
            validate=lambda _: 0.0,
            checks=1,
        )
    torch.set_num_threads(threads)
    return statistics.median(after - before for before, after in pairwise(noise.moments[1:]))


WARM_STEPS = 3
"""Steps before the count begins: the first launches, captures or compiles."""

ANSWER_S = 90.0
"""How long a process may take to get ready: compiling for it takes about a minute."""

CLOSE = 0.95
"""More trainings at the same time must be worth this: fewer with this share of the best win."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way to train: under bfloat16 autocast if `half`, with patches fetched early or not."""

    half: bool = False
    launch_mode: LaunchMode = "eager"
    prefetch: bool = False

    @property
    def name(self) -> str:
        """Return it in words."""
        number = "bfloat16" if self.half else "float32"
        return f"{number}, {self.launch_mode}{', patches ahead' * self.prefetch}"


PLAIN = Variant()

ON_GPU = (
    PLAIN,
    Variant(half=True),
    Variant(half=True, prefetch=True),
    Variant(half=True, launch_mode="graphed", prefetch=True),
    Variant(half=True, launch_mode="compiled", prefetch=True),
    Variant(launch_mode="graphed", prefetch=True),
)
ON_CPU = (PLAIN, Variant(half=True))


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What every process trains: `steps` a trial, and `seconds` a measurement after its warm-up."""

    architecture: Architecture
    source: ImageSource
    device: str
    steps: int = PROXY.steps
    seconds: float = 4.0


@dataclass(frozen=True)
class Measured:
    """What trainings at the same time came to.

    Attributes:
        per_hour: trials in an hour, validation left out; 0 with a reason.
        step_s: mean seconds of a step of one of them.
        setup_s: mean seconds until the second step: building, first launch, compilation.
        peak_bytes: GPU memory of the largest; 0 on the CPU.
        reason: why there is no number, or None.
    """

    variant: Variant
    together: int
    per_hour: float = 0.0
    step_s: float = 0.0
    setup_s: float = 0.0
    peak_bytes: int = 0
    reason: str | None = None


def calibrate(work: Workload, most: int, report: Callable[[Measured], None]) -> list[Measured]:
    """Try ways to train alone, then the best and the plain one at 2, 4, 8 … up to `most` at a time.

    Raises:
        SearchError: not even one plain training works.
    """
    variants = ON_GPU if torch.device(work.device).type == "cuda" else ON_CPU
    rows: list[Measured] = []
    with _Processes(work) as processes:

        def measured(variant: Variant, together: int) -> Measured:
            rows.append(processes.measure(variant, together))
            report(rows[-1])
            return rows[-1]

        alone = [measured(variant, 1) for variant in variants]
        if (why := alone[0].reason) is not None:
            raise SearchError(f"one plain training does not work on {work.device}: {why}")
        best = max(alone, key=lambda row: row.per_hour).variant
        for variant in dict.fromkeys((best, PLAIN)):
            together = 2
            while together <= most and measured(variant, together).reason is None:
                together *= 2
    return rows


def recommend(rows: Sequence[Measured]) -> Measured:
    """Return the fewest trainings at the same time that give nearly the most trials in an hour."""
    most = max(row.per_hour for row in rows)
    return min(
        (row for row in rows if row.per_hour >= CLOSE * most),
        key=lambda row: (row.together, -row.per_hour),
    )


def share(together: int) -> float:
    """Return the part of a GPU that each gets; rounded down, so that all of them fit on it."""
    return int(1000 / together) / 1000


class _Processes:
    """Processes that train at the same time when they are asked to; started as they are needed."""

    def __init__(self, work: Workload) -> None:
        self._work = work
        self._started: list[tuple[BaseProcess, Connection]] = []

    def __enter__(self) -> _Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for process, line in self._started:
            line.close()
            process.terminate()
            process.join()
        self._started.clear()

    def measure(self, variant: Variant, together: int) -> Measured:
        """Return what `together` of them reach at the same time."""
        answers = self._answers(variant, together)
        if reasons := [answer for answer in answers if isinstance(answer, str)]:
            self.__exit__()  # who died or hangs is of no more use
            return Measured(variant, together, reason=reasons[0])
        setups, steps, peaks = zip(*answers, strict=True)
        more = self._work.steps - 1
        return Measured(
            variant,
            together,
            sum(3600 / (setup + more * step) for setup, step in zip(setups, steps, strict=True)),
            statistics.fmean(steps),
            statistics.fmean(setups),
            max(peaks),
        )

    def _answers(self, variant: Variant, together: int) -> list[Any]:
        while len(self._started) < together:
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(self._work, theirs))
            process.start()
            theirs.close()
            self._started.append((process, ours))
        lines = [line for _, line in self._started[:together]]
        for line in lines:
            with contextlib.suppress(OSError):  # it died, and nothing will be heard of it
                line.send(variant)
        first = [_receive(line) for line in lines]
        ready = [line for line, answer in zip(lines, first, strict=True) if answer is None]
        for line in ready:  # all at once, when the last one is warm
            line.send("go")
        return [*(answer for answer in first if answer is not None), *map(_receive, ready)]


def _receive(line: Connection) -> Any:  # noqa: ANN401
    """Return seconds and bytes, a reason why there are none, or None for "ready"."""
    if not line.poll(ANSWER_S):
        return f"not ready within {ANSWER_S:.0f} s"
    try:
        return line.recv()
    except (EOFError, OSError):
        return "its process died (out of memory?)"


def _serve(work: Workload, line: Connection) -> None:
    """Train whenever a variant comes, until nobody is there any more."""
    torch.set_num_threads(1)
    data = open_images(work.source).training
    with contextlib.suppress(RuntimeError):  # what a device cannot do, the measurement will show
        _fit(work, PLAIN, data, 2)  # so that loading the device's libraries counts for none
    with contextlib.suppress(EOFError):
        while True:
            line.send(_measured(work, line.recv(), data, line))


def _measured(
    work: Workload, variant: Variant, data: Batches, line: Connection
) -> tuple[float, float, int] | str:
    """Return the seconds until the second step and of a later one, and the peak of memory."""
    device = torch.device(work.device)
    cuda = device.type == "cuda"
    metered = _Metered(Prefetch(data, device) if variant.prefetch else data, line, work.seconds)
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    try:
        _fit(work, variant, metered, 10**6)
    except _Enough:
        peak = torch.cuda.max_memory_allocated(device) if cuda else 0
        return metered.setup_s, metered.step_s, peak
    except (LightIRError, RuntimeError) as error:  # what a device or a compiler cannot do
        return f"{type(error).__name__}: {error}".splitlines()[0]
    raise AssertionError("the training ended before its time")


def _fit(work: Workload, variant: Variant, data: Batches, steps: int) -> None:
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    train(
        build(work.architecture),
        data,
        PROXY.lasting(steps),
        seed=0,
        device=torch.device(work.device),
        validate=lambda _: 0.0,
        checks=1,
        half=variant.half,
        launch_mode=variant.launch_mode,
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
        """Return the patches of a step."""
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
