"""Bytes and times of a network that really runs here, to hold predictions against."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from budgets.allocations import bytes_of
from budgets.budget import Size
from budgets.latency import filled, time_ns
from lightir_core.architecture import Architecture
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.training import train
from lightir_core.network import build


def measured_training_memory(
    architecture: Architecture,
    batch: int,
    patch_px: int,
    device: str = "cpu",
    *,
    half: bool | None = None,
) -> int:
    """Peak bytes of two real training steps on noise with Adam, the weights included.

    The precision is what `lightir_core.learning.step.precision` chooses, unless told.
    """
    network = build(architecture).to(device)
    recipe = Recipe(name="memory", steps=2, batch=batch, patch_px=patch_px, optimiser="adam")

    def run() -> None:
        train(
            network,
            _Noise(architecture),
            recipe,
            seed=0,
            device=torch.device(device),
            validate=lambda _: 0.0,
            checks=1,
            half=half,
        )

    return _weight_bytes(network) + peak_bytes(run, device)


def measured_inference_memory(architecture: Architecture, size: Size, device: str = "cpu") -> int:
    """Peak bytes of a real forward pass for an output of `size`, weights and image included."""
    network = build(architecture).to(device).eval()
    sides = (-(-side // architecture.scale) for side in (size.height, size.width))
    image = torch.rand(1, architecture.in_channels, *sides, device=device)

    @torch.no_grad()
    def run() -> None:
        network(image.contiguous(memory_format=torch.channels_last))

    return _weight_bytes(network) + bytes_of(image) + peak_bytes(run, device)


def measured_latency(
    architecture: Architecture, size: Size, device: str = "cpu"
) -> tuple[float, float]:
    """Return milliseconds of a real forward pass of the whole network on each of `CLOCKS`."""
    with torch.inference_mode(), torch.device(device):
        network = build(architecture).eval()
        sides = (-(-side // architecture.scale) for side in (size.height, size.width))
        image = filled(torch.empty(1, architecture.in_channels, *sides))
        wall, cpu = time_ns(lambda: network(image), torch.device(device))
        return wall / 1e6, cpu / 1e6


class _Noise:
    """Patches without content, as `lightir_core.learning.step.Batches`."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture

    def batch(self, seed: int, step: int, batch: int, patch_px: int) -> tuple[Tensor, Tensor]:
        """Return `(lq, gt)`, the same each time."""
        out_px = patch_px * self.architecture.scale
        return (
            torch.full((batch, self.architecture.in_channels, patch_px, patch_px), 0.5),
            torch.full((batch, self.architecture.out_channels, out_px, out_px), 0.5),
        )


def _weight_bytes(network: nn.Module) -> int:
    return sum(map(bytes_of, itertools.chain(network.parameters(), network.buffers())))


def peak_bytes(run: Callable[[], None], device: str) -> int:
    """Measure the most that `run` holds at once above what was held before, on "cpu" or "cuda"."""
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    inner = profiler.profiler
    assert inner is not None
    assert inner.kineto_results is not None
    events = [event for event in inner.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(itertools.accumulate(event.nbytes() for event in events))  # pyright: ignore
