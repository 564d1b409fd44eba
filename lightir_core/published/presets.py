"""The published systems by name, at their published size or shrunk to a budget."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from lightir_core.architecture import Architecture
from lightir_core.errors import ArchitectureError, nearest
from lightir_core.published.systems import agileir, compacter, drt, edsr, grformer, swinir


@dataclass(frozen=True)
class Preset:
    """A published system: its design, and the size at which it was published.

    Attributes:
        design: (width, depth, scale) to an architecture.
        width: published channels.
        depth: published number of blocks, or of recursive stages for DRT.
        width_step: widths are multiples of this, so that heads and groups divide them.
        same_size: what was published for tasks that do not enlarge, where that differs.
    """

    design: Callable[[int, int, int], Architecture]
    width: int
    depth: int
    width_step: int
    same_size: Preset | None = None


def spread_blocks(depth: int, longest: int) -> tuple[int, ...]:
    """`depth` blocks in as few stages of at most `longest` as hold them, evenly."""
    stages = -(-depth // longest)
    return tuple(depth // stages + (number < depth % stages) for number in range(stages))


def _swinir_light(width: int, depth: int, scale: int) -> Architecture:
    depths = spread_blocks(depth, 6)
    return swinir(width, depths, (6,) * len(depths), 8, 2 * width, scale)


def _grformer(width: int, depth: int, scale: int) -> Architecture:
    depths = spread_blocks(depth, 6)
    return grformer(width, depths, (3,) * len(depths), (8, 32), 2 * width, scale)


def _agileir(width: int, depth: int, scale: int) -> Architecture:
    depths = spread_blocks(depth, 6)
    stages, key_dim = len(depths), max(1, round(16 * width / 180))
    return agileir(width, depths, (6,) * stages, (key_dim,) * stages, 16, 2 * width, scale)


def _agileir_light(width: int, depth: int, scale: int) -> Architecture:
    depths = spread_blocks(depth, 6)
    stages, key_dim = len(depths), max(1, round(16 * width / 60))
    return agileir(width, depths, (6,) * stages, (key_dim,) * stages, 8, 2 * width, scale)


def _drt(width: int, depth: int, scale: int) -> Architecture:
    return drt(width, depth, 3, 2, 7, width, scale=scale)


def _compacter(width: int, depth: int, scale: int) -> Architecture:
    return compacter(width, depth, 4, 8, width * 3 // 2, scale)


def _compacter_same_size(width: int, depth: int, scale: int) -> Architecture:
    """Return what the published 407 k parameters of the same-size tasks single out.

    The network for x2 (393 k) with another tail has 389 k.
    """
    return compacter(width, depth, 4, 12, width * 7 // 4, scale, bias=False)


def _edsr_baseline(width: int, depth: int, scale: int) -> Architecture:
    return edsr(width, spread_blocks(depth, 4), scale)


def _edsr_acla(width: int, depth: int, scale: int) -> Architecture:
    return edsr(width, spread_blocks(depth, 4), scale, keys=9, selection="hard")


PRESETS: dict[str, Preset] = {
    "swinir-light": Preset(_swinir_light, width=60, depth=24, width_step=6),
    "grformer": Preset(_grformer, width=60, depth=24, width_step=6),
    "agileir": Preset(_agileir, width=180, depth=36, width_step=6),
    "agileir-light": Preset(_agileir_light, width=60, depth=24, width_step=6),
    "drt": Preset(_drt, width=96, depth=6, width_step=2),
    "compacter": Preset(
        _compacter,
        width=48,
        depth=16,
        width_step=4,
        same_size=Preset(_compacter_same_size, width=48, depth=15, width_step=4),
    ),
    "edsr-baseline": Preset(_edsr_baseline, width=64, depth=16, width_step=4),
    "edsr-acla": Preset(_edsr_acla, width=64, depth=16, width_step=4),
}
"""The published systems by name."""


def preset(name: str, task: str = "sr-x2") -> Architecture:
    """Return a published system at its published size.

    Args:
        name: a key of `PRESETS`.
        task: ``sr-x2`` and its like set the scale; any other task keeps the image's size.

    Raises:
        ArchitectureError: there is no such preset.
    """
    system = _find(name, task)
    return _for_channels(system.design(system.width, system.depth, scale_of(task)), task)


def shrink(name: str, fits: Callable[[Architecture], bool], task: str = "sr-x2") -> Architecture:
    """Return the largest network of a paper's design, up to the published size, that `fits`.

    Width and depth shrink together, at the published proportion, until the network fits; then
    depth and width grow again one step at a time as long as it still does. One more block, or one
    more step of width, would not fit. Heads, windows and ratios stay the paper's.

    Args:
        name: a key of `PRESETS`.
        fits: whether a network is small enough; a smaller one must fit when a larger one does.
        task: as in `preset`.

    Raises:
        ArchitectureError: there is no such preset, or not even its smallest network fits.
    """
    system, scale = _find(name, task), scale_of(task)
    steps = system.width // system.width_step

    def at(step: int, depth: int) -> Architecture:
        return _for_channels(system.design(step * system.width_step, depth, scale), task)

    def fits_at(step: int, depth: int) -> bool:
        return step <= steps and depth <= system.depth and fits(at(step, depth))

    if not fits_at(1, 1):
        raise ArchitectureError(
            f"not even the smallest {name} (width {system.width_step}, depth 1) fits; "
            "allow a larger budget"
        )
    # the first step may stand for more than one block; a single block is known to fit
    depths = [1, *(max(1, round(system.depth * step / steps)) for step in range(1, steps + 1))]
    number = _last(lambda number: fits_at(max(1, number), depths[number]), len(depths))
    step, depth = max(1, number), depths[number]
    while True:
        deeper = fits_at(step, depth + 1)
        depth += deeper
        wider = fits_at(step + 1, depth)
        step += wider
        if not (deeper or wider):
            return at(step, depth)


def _last(holds: Callable[[int], bool], count: int) -> int:
    """The last of 0 .. count − 1 that holds, if 0 does and none follows one that does not."""
    low, high = 0, count - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def scale_of(task: str) -> int:
    """The enlargement that a task's name asks for: 3 for ``sr-x3``, 1 for ``denoise:15-50``."""
    match = re.fullmatch(r"sr-x(\d+)(,gray)?", task)
    return int(match[1]) if match else 1


def _for_channels(architecture: Architecture, task: str) -> Architecture:
    """With one channel at both ends for a gray task; colour means are of no use there."""
    if not task.endswith(",gray"):
        return architecture
    return replace(architecture, in_channels=1, out_channels=1, normalisation="none")


def _find(name: str, task: str) -> Preset:
    if name not in PRESETS:
        raise ArchitectureError(
            f"there is no preset {name!r}{nearest(name, PRESETS)}; use one of {', '.join(PRESETS)}"
        )
    system = PRESETS[name]
    return system.same_size if system.same_size and scale_of(task) == 1 else system
