"""Peak memory: predicted from the parts against what a real step allocates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from statistics import median

import torch

from benchmarks.costs.part import Bench, Row
from benchmarks.measured import measured_inference_memory, measured_training_memory
from budgets.memory import inference_memory, training_memory
from budgets.units import Size
from lightir_core.architecture import Architecture

NETWORKS = 60
SETTINGS = ((8, 16), (2, 40))
"""Batch and patch of a training step."""

INFERENCE = Size(192, 256)


def steps(bench: Bench) -> Iterator[tuple[str, Callable[[], Row]]]:
    """One step for each network and setting, and one for its inference."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # without a matrix unit bfloat16 kernels need other room, and nobody would use them
    matrix_unit = device == "cuda" or torch.cpu.get_capabilities().get("amx_bf16")
    halves = (False, True) if matrix_unit else (False,)
    networks = bench.architectures(bench.many(NETWORKS), "memory", scale=2)
    for number, network in enumerate(networks):
        for (batch, patch_px), half in product(SETTINGS, halves):
            key = f"{number} training {batch}x{patch_px} {device} {half}"
            yield key, partial(_training, network, batch, patch_px, device, half)
        yield f"{number} inference {device}", lambda n=network: _inference(n, device)


def _training(network: Architecture, batch: int, patch_px: int, device: str, half: bool) -> Row:
    return {
        "what": f"training step, batch {batch} of {patch_px}x{patch_px}, {device}",
        "half": half,
        "predicted": training_memory(network, batch, patch_px, half=half, device=device),
        "observed": measured_training_memory(network, batch, patch_px, device, half=half),
    }


def _inference(network: Architecture, device: str) -> Row:
    return {
        "what": f"inference at {INFERENCE}, {device}",
        "half": False,
        "predicted": inference_memory(network, INFERENCE, device=device),
        "observed": measured_inference_memory(network, INFERENCE, device),
    }


def summary(rows: Sequence[Row]) -> list[str]:
    """Median and worst error by kind."""
    lines = [
        "Predicted bytes against the running sum of the profiler's memory events (on a GPU: "
        "`max_memory_allocated`), weights and optimiser included.",
        "",
        "| what | networks | median error | worst error |",
        "| --- | ---: | ---: | ---: |",
    ]
    for what, half in dict.fromkeys((row["what"], row["half"]) for row in rows):
        some = [row for row in rows if (row["what"], row["half"]) == (what, half)]
        errors = [abs(row["predicted"] / row["observed"] - 1) for row in some]
        precision = ", bfloat16 autocast" if half else ""
        lines.append(
            f"| {what}{precision} | {len(some)} | {median(errors):.3%} | {max(errors):.3%} |"
        )
    return lines
