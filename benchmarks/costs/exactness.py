"""Parameters and MACs: the sum over parts against the trace of the whole network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from benchmarks.costs.part import Bench, Row
from budgets.crosscheck import count_with_fvcore
from budgets.price import price
from budgets.trace import count_macs
from budgets.units import Size
from lightir_core.architecture import Architecture
from lightir_core.network import build
from lightir_core.published.presets import PRESETS, preset

SIZES = (Size(720, 1280), Size(256, 256), Size(101, 333))
ARCHITECTURES = 1000
SIDE_PX = 48
"""Side of the image that fvcore really runs; its count does not depend on what is in it."""


def exact_steps(bench: Bench) -> Iterator[tuple[str, Callable[[], Row]]]:
    """One step for each architecture, at all sizes."""
    architectures = bench.architectures(bench.many(ARCHITECTURES), "exact")
    for number, architecture in enumerate(architectures):
        yield f"{number}", lambda one=architecture: _differences(one)


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


def exact_summary(rows: Sequence[Row]) -> list[str]:
    """How many differ."""
    sizes = ", ".join(map(str, SIZES))
    return [
        f"{len(rows)} random architectures of the default space, for enlargement, same size and "
        f"gray, at {sizes}: {sum(row['wrong'] for row in rows)} of {len(rows) * len(SIZES)} "
        "comparisons with the trace of the whole network differ."
    ]


def fvcore_steps(bench: Bench) -> Iterator[tuple[str, Callable[[], Row]]]:
    """One step for each preset."""
    for name in PRESETS:
        yield name, lambda name=name: _compared(name)


def _compared(name: str) -> Row:
    architecture = preset(name, "sr-x2")
    image = torch.rand(1, architecture.in_channels, SIDE_PX, SIDE_PX)
    theirs = count_with_fvcore(build(architecture).eval(), image)
    ours = price(architecture, Size(2 * SIDE_PX, 2 * SIDE_PX)).macs
    return {"preset": name, "ours": ours, "fvcore": theirs}


def fvcore_summary(rows: Sequence[Row]) -> list[str]:
    """A table of both counts."""
    return [
        f"MACs at {2 * SIDE_PX}x{2 * SIDE_PX} output, x2; fvcore with a handler for fused "
        "attention, norms and interpolation left out.",
        "",
        "| preset | ours | fvcore | difference |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {row['preset']} | {row['ours']:,} | {row['fvcore']:,} | "
            f"{row['ours'] - row['fvcore']:,} |"
            for row in rows
        ),
    ]
