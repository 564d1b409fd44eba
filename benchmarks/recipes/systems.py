"""The networks that recipes are raced on: five kinds of block in three sizes.

All end in the interpolated skip, so that recipes differ in nothing but the training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

from lightir_core.architecture import Architecture, StemConfig
from lightir_core.data.tasks import Task
from lightir_core.published.presets import spread_blocks
from lightir_core.published.systems import compacter, drt, edsr, grformer, swinir

Design = Callable[[int, int, int], Architecture]
"""(width, depth, scale) to an architecture."""


def _window(width: int, depth: int, scale: int) -> Architecture:
    depths = spread_blocks(depth, 4)
    return swinir(width, depths, (3,) * len(depths), 8, 2 * width, scale)


def _grouped(width: int, depth: int, scale: int) -> Architecture:
    depths = spread_blocks(depth, 4)
    return grformer(width, depths, (3,) * len(depths), (8, 8), 2 * width, scale)


def _recursive(width: int, depth: int, scale: int) -> Architecture:
    """With a 3x3 stem, as the spaces have: behind DRT's own, 1x1, only windows see neighbours."""
    made = drt(width, depth, 3, 2, 8, width, scale=scale)
    return replace(made, stem=StemConfig())


def _casa(width: int, depth: int, scale: int) -> Architecture:
    return compacter(width, depth, 4, 8, width * 3 // 2, scale)


def _cross_layer(width: int, depth: int, scale: int) -> Architecture:
    return edsr(width, (1,) * depth, scale, keys=4, selection="soft")


SIZES = ("15k", "90k", "400k")

SYSTEMS: dict[str, tuple[Design, tuple[tuple[int, int], ...]]] = {
    "window": (_window, ((18, 2), (30, 8), (66, 8))),
    "grouped": (_grouped, ((18, 2), (42, 4), (66, 8))),
    "recursive": (_recursive, ((16, 2), (64, 1), (96, 2))),
    "casa": (_casa, ((16, 3), (24, 12), (48, 16))),
    "cross-layer": (_cross_layer, ((12, 3), (20, 8), (44, 8))),
}
"""Each kind's design with the width and depth that give about so many parameters."""


def system(kind: str, size: str, task: Task) -> Architecture:
    """One network of the race, for images of the task."""
    design, shapes = SYSTEMS[kind]
    made = design(*shapes[SIZES.index(size)], task.scale)
    return replace(
        made,
        in_channels=task.in_channels,
        out_channels=task.out_channels,
        tail=replace(made.tail, skip="interpolated"),
    )


def systems() -> tuple[tuple[str, str], ...]:
    """Kind and size of every network of the race, the small ones first."""
    return tuple((kind, size) for size, kind in product(SIZES, SYSTEMS))
