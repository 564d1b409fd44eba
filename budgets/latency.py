"""Time of a forward pass: each distinct part timed once on the device, then summed.

    latency = ends + sum of the parts' times x passes + one sum of two maps for each skip

The ends are the network without its trunk. Times lie in a file of JSON lines, by device and part.
"""

import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from budgets.budget import Size
from budgets.parts import Part, build_part, feature_size, part_inputs, trunk_steps, without_trunk
from budgets.price import CostCache, default_file
from lightir_core.architecture import Architecture
from lightir_core.errors import BudgetError
from lightir_core.network import Network, build

CLOCKS = ("wall", "cpu")
"""Time that passes, and time that this process computes, which other load hardly changes."""

LEAST_RUNS = 5
LEAST_SECONDS = 0.2
MOST_RUNS = 200


class LatencyTable:
    """Times of parts, by device; kept in a file."""

    def __init__(
        self,
        file: Path | None = None,
        *,
        device: str = "cpu",
        clock: str = "wall",
    ) -> None:
        """Open a table.

        Args:
            file: where the times are; None is a file under the user's cache directory that is
                renewed with the code.
            device: torch's name of the device that times what is missing.
            clock: one of `CLOCKS`; both are kept.

        Raises:
            BudgetError: no such clock.
        """
        if clock not in CLOCKS:
            raise BudgetError(f"clock {clock!r} is not known; use one of {', '.join(CLOCKS)}")
        self._clock = CLOCKS.index(clock)
        default = default_file("latency")
        self._cache = CostCache(default if file is None else file)
        self._device = torch.device(device)
        self.name = device_name(device)

    def time_ms(self, key: str, prepare: Callable[[], Callable[[], object]]) -> float:
        """Return the time stored under `key`, else the median time of what `prepare` makes."""
        full = f"{self.name} {key}"
        known = self._cache.get(full)
        if known is not None and len(known) == len(CLOCKS):
            return known[self._clock] / 1e6
        with torch.inference_mode(), self._device:
            nanoseconds = time_ns(prepare(), self._device)
        self._cache.put(full, nanoseconds)
        return nanoseconds[self._clock] / 1e6


def latency(architecture: Architecture, size: Size, table: LatencyTable) -> float:
    """Return milliseconds of a float32 forward pass of one image to an output of `size`."""
    scale, patch = architecture.scale, architecture.stem.patch_size
    image = Size(-(-size.height // scale), -(-size.width // scale))
    features = feature_size(1, patch, architecture.window_multiple // patch, image)
    ends = without_trunk(architecture)
    total = table.time_ms(f"frame {ends.id} {image}", lambda: _ends(ends, image))
    width = architecture.width
    for step in trunk_steps(architecture):
        if step.part is None:
            key = f"sum {width} {features}"
            total += table.time_ms(key, lambda: _sum(width, features))
        else:
            total += table.time_ms(step.part.key(features), partial(_part, step.part, features))
    return total


def device_name(device: str = "cpu") -> str:
    """Return what tells this device's times from others': model and, on a CPU, threads."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()} x{torch.get_num_threads()}"


def time_ns(run: Callable[[], object], device: torch.device) -> tuple[int, int]:
    """Return median nanoseconds of `run` on each of `CLOCKS`, after a warm-up, synchronised."""
    for _ in range(2):
        run()
    synchronise(device)
    times: list[tuple[int, int]] = []
    started = time.perf_counter()
    while len(times) < LEAST_RUNS or (
        time.perf_counter() - started < LEAST_SECONDS and len(times) < MOST_RUNS
    ):
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        run()
        synchronise(device)
        times.append((time.perf_counter_ns() - wall, time.process_time_ns() - cpu))
    walls, cpus = zip(*times, strict=True)
    return round(statistics.median(walls)), round(statistics.median(cpus))


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _part(part: Part, size: Size) -> Callable[[], object]:
    module = build_part(part).eval()
    first, *others = part_inputs(part, size)
    inputs = (filled(first), *(_filled_like(x) for x in others))
    return lambda: module(*inputs)


def _ends(ends: Architecture, image: Size) -> Callable[[], object]:
    network = build(ends).eval()
    network.stages = nn.ModuleList([nn.Identity()])
    x = filled(torch.empty(1, ends.in_channels, image.height, image.width))
    return lambda: network(x)


def _sum(width: int, size: Size) -> Callable[[], object]:
    left, right = (filled(torch.empty(1, width, size.height, size.width)) for _ in range(2))
    return lambda: left + right


def filled(tensor: Tensor) -> Tensor:
    """Return noise, channels-last: undefined numbers may be denormal, which are slow."""
    return torch.rand_like(tensor).contiguous(memory_format=torch.channels_last)


def _filled_like(value: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
    return [filled(x) for x in value] if isinstance(value, list) else filled(value)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


TIMED_PASSES, TIMED_SECONDS = 3, 0.5
"""Most timed passes at each size, after one to warm up; none begins after so long."""

MOST_SECONDS = 3.0
"""A size at which one pass is expected to take longer is left out: a report can do without it."""

ENLARGING = (Size(180, 320), Size(360, 640), Size(720, 1280))

SAME_SIZE = (Size(128, 128), Size(256, 256), Size(512, 512))


@torch.inference_mode()
def time_network(network: Network, device: torch.device) -> tuple[dict[str, float], str]:
    """Return milliseconds by output size of a network in eval mode, and its device's name."""
    scale = network.architecture.scale
    latency_ms: dict[str, float] = {}
    expected_s = 0.0
    for size in ENLARGING if scale > 1 else SAME_SIZE:
        if expected_s > MOST_SECONDS:
            break
        latency_ms[str(size)] = 1000 * _pass_s(network, size, device)
        # each size has four times the pixels of the one before
        expected_s = 4 * latency_ms[str(size)] / 1000
    return latency_ms, device_name(str(device))


def _pass_s(network: Network, size: Size, device: torch.device) -> float:
    architecture = network.architecture
    sides = (-(-side // architecture.scale) for side in (size.height, size.width))
    image = torch.rand(1, architecture.in_channels, *sides, device=device)
    network(image)
    synchronise(device)
    times: list[float] = []
    while len(times) < TIMED_PASSES and sum(times) < TIMED_SECONDS:
        begun = time.perf_counter()
        network(image)
        synchronise(device)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)
