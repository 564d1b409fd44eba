"""How long a training step takes on this device, alone and with others beside it.

Trainings side by side are a process each on the CPU, and threads of one process on a GPU, as in a
search. All train the same network for some seconds; the first steps, with what was captured or
compiled for them, are part of a trial.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from torch import Tensor, nn

from lightir_core.architecture import Architecture
from lightir_core.data.image_source import ImageSource, open_images
from lightir_core.data.patches import PatchBlocks
from lightir_core.errors import LightIRError, SearchError
from lightir_core.learning.learner import LaunchMode
from lightir_core.learning.recipe import PROXY, Recipe
from lightir_core.learning.step import Batches
from lightir_core.learning.training import train
from lightir_core.network import build

STEPS = 5
"""Steps that are timed."""

WARM_STEPS = 4
"""Steps before the count begins: the first launches, captures or compiles."""

BETWEEN = 32
"""Steps from one look at the clock to the next; each waits for the GPU."""


class Noise:
    """Batches of random patches for an architecture."""

    def __init__(self, architecture: Architecture) -> None:
        """Make patches with the channels and the scale of `architecture`."""
        self._architecture = architecture

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return random patches, the same for the same step."""
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
    moments: list[float] = []

    def note_moment(_: nn.Module) -> float:
        moments.append(time.perf_counter())
        return 0.0

    used = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    warm = WARM_STEPS if used.type == "cuda" else 1
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):  # pyright: ignore[reportUnknownMemberType]
        train(
            build(architecture),
            Noise(architecture),
            recipe.lasting(warm + STEPS),
            seed=0,
            device=used,
            validate=note_moment,
            checks=range(warm, warm + STEPS + 1),
        )
    torch.set_num_threads(threads)
    return statistics.median(after - before for before, after in pairwise(moments))


ANSWER_S = 90.0
"""How long a process may take to get ready: compiling for it takes about a minute."""

CLOSE = 0.95
"""More trainings at the same time must be worth this: fewer with this share of the best win."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way to train: under bfloat16 autocast if `half`."""

    half: bool = False
    launch_mode: LaunchMode = "eager"

    @property
    def name(self) -> str:
        """Return it in words."""
        number = "bfloat16" if self.half else "float32"
        return f"{number}, {self.launch_mode}"


PLAIN = Variant()

ON_GPU = (
    PLAIN,
    Variant(half=True),
    Variant(launch_mode="graphed"),
    Variant(half=True, launch_mode="graphed"),
    Variant(half=True, launch_mode="compiled"),
)
ON_CPU = (PLAIN, Variant(half=True))


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is trained: `steps` a trial, and `seconds` a measurement after its warm-up."""

    architecture: Architecture
    source: ImageSource
    device: str
    steps: int = PROXY.steps
    seconds: float = 4.0

    @property
    def on_gpu(self) -> bool:
        """Whether trainings side by side share a process."""
        return torch.device(self.device).type == "cuda"


@dataclass(frozen=True)
class Measured:
    """What trainings at the same time came to.

    Attributes:
        per_hour: trials in an hour, validation left out; 0 with a reason.
        step_s: mean seconds of a step of one of them.
        setup_s: mean seconds of the first `WARM_STEPS`: building, first launch, compilation.
        peak_bytes: GPU memory of all; 0 on the CPU.
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
    variants = ON_GPU if work.on_gpu else ON_CPU
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
        processes, threads = (1, together) if self._work.on_gpu else (together, 1)
        answers = self._answers(variant, processes, threads)
        if reasons := [answer for answer in answers if isinstance(answer, str)]:
            self.__exit__()  # who died or hangs is of no more use
            return Measured(variant, together, reason=reasons[0])
        trained = [one for answer in answers for one in answer]
        setups, steps, peaks = zip(*trained, strict=True)
        more = self._work.steps - WARM_STEPS
        return Measured(
            variant,
            together,
            sum(3600 / (setup + more * step) for setup, step in zip(setups, steps, strict=True)),
            statistics.fmean(steps),
            statistics.fmean(setups),
            max(peaks),
        )

    def _answers(self, variant: Variant, processes: int, threads: int) -> list[Any]:
        while len(self._started) < processes:
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(self._work, theirs))
            process.start()
            theirs.close()
            self._started.append((process, ours))
        lines = [line for _, line in self._started[:processes]]
        for line in lines:
            with contextlib.suppress(OSError):  # it died, and nothing will be heard of it
                line.send((variant, threads))
        first = [_receive(line) for line in lines]
        ready = [line for line, answer in zip(lines, first, strict=True) if answer is None]
        for line in ready:  # all at once, when the last one is warm
            line.send("go")
        return [*(answer for answer in first if answer is not None), *map(_receive, ready)]


def _receive(line: Connection) -> Any:  # noqa: ANN401
    """Return seconds and bytes of each, a reason why there are none, or None for "ready"."""
    if not line.poll(ANSWER_S):
        return f"not ready within {ANSWER_S:.0f} s"
    try:
        return line.recv()
    except (EOFError, OSError):
        return "its process died (out of memory?)"


def _serve(work: Workload, line: Connection) -> None:
    """Train whenever a variant comes, until nobody is there any more."""
    torch.set_num_threads(1)
    data: Batches = open_images(work.source).training
    if work.on_gpu:
        data = PatchBlocks(data, torch.device(work.device))
    with contextlib.suppress(RuntimeError):  # what a device cannot do, the measurement will show
        _fit(work, PLAIN, data, 2)  # so that loading the device's libraries counts for none
    with contextlib.suppress(EOFError):
        while True:
            variant, threads = line.recv()
            line.send(_measured(work, variant, data, _Start(line, threads)))


def _measured(
    work: Workload, variant: Variant, data: Batches, start: _Start
) -> list[tuple[float, float, int]] | str:
    """Return seconds of the first steps and of a later one, and the peak of memory, of each."""
    threads = start.parties
    meters = [_Meter(start, work.seconds) for _ in range(threads)]
    if work.on_gpu:
        torch.cuda.reset_peak_memory_stats(work.device)
    with ThreadPoolExecutor(threads) as pool:
        fits = [pool.submit(_fit, work, variant, data, 10**5, meter) for meter in meters]
        errors = [fit.exception() for fit in fits]
    for error in errors:
        if isinstance(error, LightIRError | RuntimeError) and not isinstance(
            error, threading.BrokenBarrierError
        ):  # what a device or a compiler cannot do
            return f"{type(error).__name__}: {error}".splitlines()[0]
        if error is not None and not isinstance(error, _Enough | threading.BrokenBarrierError):
            raise error
    peak = torch.cuda.max_memory_allocated(work.device) if work.on_gpu else 0
    return [(meter.setup_s, meter.step_s, peak) for meter in meters]


def _fit(
    work: Workload, variant: Variant, data: Batches, steps: int, meter: _Meter | None = None
) -> None:
    with _BUILDING:
        torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
        network = build(work.architecture)
    try:
        train(
            network,
            data,
            PROXY.lasting(steps),
            seed=0,
            device=torch.device(work.device),
            validate=meter or (lambda _: 0.0),
            checks=1 if meter is None else range(WARM_STEPS, steps + 1, BETWEEN),
            half=variant.half,
            launch_mode=variant.launch_mode,
        )
    except _Enough:
        raise
    except BaseException:
        if meter is not None:
            meter.give_up()
        raise


_BUILDING = threading.Lock()


class _Enough(Exception):  # noqa: N818  no error: the measurement is over
    """Enough steps were counted."""


class _Start(threading.Barrier):
    """Where all trainings wait for the last one to be warm, those of other processes too."""

    def __init__(self, line: Connection, threads: int) -> None:
        super().__init__(threads, action=self._wait_for_others)
        self._line = line

    def _wait_for_others(self) -> None:
        self._line.send(None)
        self._line.recv()


class _Meter:
    """A score of nothing that looks at the clock, and ends the training when time is up."""

    def __init__(self, start: _Start, seconds: float) -> None:
        self._start, self._seconds, self._looks = start, seconds, 0
        self._created, self._begun = time.perf_counter(), 0.0
        self.setup_s = self.step_s = 0.0

    def __call__(self, _: nn.Module) -> float:
        """Look at the clock."""
        now = time.perf_counter()
        if not self._looks:
            self.setup_s = now - self._created
            self._start.wait()
            self._begun = time.perf_counter()
        elif now > self._begun + self._seconds:
            self.step_s = (now - self._begun) / (self._looks * BETWEEN)
            raise _Enough
        self._looks += 1
        return 0.0

    def give_up(self) -> None:
        """Let nobody wait for this training, which has failed."""
        self._start.abort()
