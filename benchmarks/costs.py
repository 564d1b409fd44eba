"""Is the cost model right? Predictions from the parts against whole networks, measured.

Parameters and MACs against the trace of the whole network and fvcore; memory against what a real
step allocates; latency against the time of the whole network. Draws within a budget and speed are
in `benchmarks.sampling`.
"""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer

from benchmarks import harness, sampling
from benchmarks.crosscheck import count_with_fvcore
from benchmarks.harness import More, Out, Row, Step, kendall, one_core
from benchmarks.measured import (
    measured_inference_memory,
    measured_latency,
    measured_training_memory,
)
from benchmarks.sampling import Bench
from budgets.budget import Size
from budgets.latency import CLOCKS, LatencyTable, device_name, latency
from budgets.memory import inference_memory, training_memory
from budgets.price import price
from budgets.trace import count_macs
from lightir_core.architecture import Architecture
from lightir_core.network import build
from lightir_core.published.presets import PRESETS, preset
from search.config import known

SIZES = (Size(720, 1280), Size(256, 256), Size(101, 333))
FVCORE_PX = 48
"""Side of the image that fvcore really runs; its count does not depend on what is in it."""

SETTINGS = ((8, 16), (2, 40))
"""Batch and patch of the training steps whose memory is measured."""

INFERENCE = Size(192, 256)
TIMED = Size(128, 192)


def exact_steps(bench: Bench) -> Iterator[Step]:
    """Compare one architecture at all sizes in each step."""
    for number, architecture in enumerate(bench.architectures(1000, "exact")):
        yield f"{number}", partial(_differences, architecture)


def _differences(architecture: Architecture) -> Row:
    wrong = 0
    with torch.device("meta"):
        network = build(architecture).eval()
    params = sum(p.numel() for p in network.parameters())
    for size in SIZES:
        sides = (-(-side // architecture.scale) for side in (size.height, size.width))
        image = torch.empty(1, architecture.in_channels, *sides, device="meta")
        cost = price(architecture, size)
        wrong += (cost.params, cost.macs) != (params, count_macs(lambda x=image: network(x)))
    return {"id": architecture.id, "wrong": wrong}


def _exact(rows: Sequence[Row]) -> list[str]:
    sizes = ", ".join(map(str, SIZES))
    return [
        f"{len(rows)} random architectures of the default space, for enlargement, same size and "
        f"gray, at {sizes}: {sum(row['wrong'] for row in rows)} of {len(rows) * len(SIZES)} "
        "comparisons with the trace of the whole network differ."
    ]


def fvcore_steps(bench: Bench) -> Iterator[Step]:
    """Count the MACs of one preset in each step."""
    for name in PRESETS:
        yield name, partial(_counted, name)


def _counted(name: str) -> Row:
    architecture = preset(name, "sr-x2")
    image = torch.rand(1, architecture.in_channels, FVCORE_PX, FVCORE_PX)
    theirs = count_with_fvcore(build(architecture).eval(), image)
    ours = price(architecture, Size(2 * FVCORE_PX, 2 * FVCORE_PX)).macs
    return {"preset": name, "ours": ours, "fvcore": theirs}


def _fvcore(rows: Sequence[Row]) -> list[str]:
    cells = [
        [r["preset"], *(f"{n:,}" for n in (r["ours"], r["fvcore"], r["ours"] - r["fvcore"]))]
        for r in rows
    ]
    return [
        f"MACs at {2 * FVCORE_PX}x{2 * FVCORE_PX} output, x2; fvcore with a handler for fused "
        "attention, norms and interpolation left out.",
        "",
        *harness.table(["preset", "ours:", "fvcore:", "difference:"], cells),
    ]


def memory_steps(bench: Bench) -> Iterator[Step]:
    """Measure one network in each step: in training, at each setting, and in inference."""
    device = _device()
    # without a matrix unit bfloat16 kernels need other room, and nobody would use them
    matrix_unit = device == "cuda" or torch.cpu.get_capabilities().get("amx_bf16")
    halves = (False, True) if matrix_unit else (False,)
    for number, network in enumerate(bench.architectures(60, "memory", scale=2)):
        for (batch, patch_px), half in product(SETTINGS, halves):
            key = f"{number} training {batch}x{patch_px} {device} {half}"
            yield key, partial(_training, network, batch, patch_px, device, half)
        yield f"{number} inference {device}", partial(_inference, network, device)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _training(network: Architecture, batch: int, patch_px: int, device: str, half: bool) -> Row:
    precision = ", bfloat16 autocast" if half else ""
    return {
        "what": f"training step, batch {batch} of {patch_px}x{patch_px}, {device}{precision}",
        "predicted": training_memory(network, batch, patch_px, half=half, device=device),
        "observed": measured_training_memory(network, batch, patch_px, device, half=half),
    }


def _inference(network: Architecture, device: str) -> Row:
    return {
        "what": f"inference at {INFERENCE}, {device}",
        "predicted": inference_memory(network, INFERENCE, device=device),
        "observed": measured_inference_memory(network, INFERENCE, device),
    }


def _memory(rows: Sequence[Row]) -> list[str]:
    errors: dict[str, list[float]] = {}
    for row in rows:
        errors.setdefault(row["what"], []).append(abs(row["predicted"] / row["observed"] - 1))
    cells = [
        [w, len(some), f"{median(some):.3%}", f"{max(some):.3%}"] for w, some in errors.items()
    ]
    return [
        "Predicted bytes against the running sum of the profiler's memory events (on a GPU: "
        "`max_memory_allocated`), weights and optimiser included.",
        "",
        *harness.table(["what", "networks:", "median error:", "worst error:"], cells),
    ]


def latency_steps(bench: Bench) -> Iterator[Step]:
    """Time one network in each step, just after those of its parts that were not timed yet."""
    for number, network in enumerate(bench.architectures(30, "latency", scale=2)):
        yield f"{number}", partial(_timed, network)


@one_core()
def _timed(network: Architecture) -> Row:
    device = _device()
    tables = (LatencyTable(device=device, clock=clock) for clock in CLOCKS)
    predicted = [latency(network, TIMED, table) for table in tables]
    observed = measured_latency(network, TIMED, device)
    return {"device": device_name(device), "predicted": predicted, "observed": list(observed)}


def latency_lines(rows: Sequence[Row]) -> list[str]:
    """Return rank correlation and error on each clock, as Markdown."""
    cells: list[list[str]] = []
    for number, clock in enumerate(CLOCKS):
        pairs = [(row["predicted"][number], row["observed"][number]) for row in rows]
        ratios = [predicted / observed for predicted, observed in pairs]
        errors = [abs(ratio - 1) for ratio in ratios]
        tau = kendall(*zip(*pairs, strict=True))
        ends = (f"{median(errors):.1%}", f"{max(errors):.1%}", f"{median(ratios):.3f}")
        cells.append([clock, f"{tau:.3f}", *ends])
    columns = ["clock", "Kendall's tau:", "median error:", "worst error:"]
    return [
        f"{len(rows)} random networks of the default space, x2, output {TIMED}, one thread of "
        f"{rows[0]['device'].removesuffix(' x1')}.",
        "",
        *harness.table([*columns, "predicted / measured, median:"], cells),
    ]


PARTS: dict[
    str, tuple[str, Callable[[Bench], Iterator[Step]], Callable[[Sequence[Row]], list[str]]]
] = {
    "exact": ("Exact", exact_steps, _exact),
    "fvcore": ("fvcore on every preset", fvcore_steps, _fvcore),
    "sampling": ("Hard by construction", sampling.steps, sampling.document),
    "speed": ("Instant", sampling.speed_steps, sampling.speed_document),
    "memory": ("Memory", memory_steps, _memory),
    "latency": ("Latency", latency_steps, latency_lines),
}
"""By name: a title, what is measured, and what is said of the rows."""


def costs(
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"A part: {', '.join(PARTS)}; repeatable."),
    ] = None,
    share: Annotated[
        float, typer.Option(help="Of the full numbers, for a quick look.", min=1e-6, max=1)
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Decides the networks and draws.")] = 0,
    keep: Annotated[Path, typer.Option(help="Where rows are kept.")] = Path("runs/bench-costs"),
    out: Out = None,
    more: More = True,
) -> None:
    """Is the cost model right, and how fast is it? Goes on where it was stopped.

    Example:  python -m benchmarks costs --out results/published/costs.md
    """
    for name in only or ():
        known("part", name, PARTS)
    machine = f"{device_name().rpartition(' x')[0]}, {os.cpu_count()} cores"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    for name in only or PARTS:
        title, steps, lines = PARTS[name]
        file = keep / f"{name}-{seed}-{share:g}.jsonl"
        rows = harness.measure(file, steps(Bench(seed, share)), more=more)
        note = f"Part {name}, seed {seed}; {machine}, load {os.getloadavg()[0]:.1f}; {versions}."
        harness.publish(f"## {title}", [note, "", *(lines(rows) if rows else [])], out)
