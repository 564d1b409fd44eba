"""From what a user writes about budgets and sizes to budgets and terms in plain numbers."""

from __future__ import annotations

import re

import torch

from budgets.assess import Terms, assess
from budgets.budget import AXES, Budget
from budgets.latency import LatencyTable
from budgets.units import Size, parse_size
from lightir_core.data.tasks import Task
from lightir_core.errors import BudgetError
from lightir_core.learning.recipe import PROXY
from lightir_core.learning.step import has_fast_bfloat16
from lightir_core.published.presets import preset


def reference_size(task: Task) -> Size:
    """The output size that costs are stated at: the field's custom for each kind of task."""
    return Size(720, 1280) if task.scale > 1 else Size(256, 256)


def read_sizes(text: str | None, task: Task) -> tuple[Size, ...]:
    """Output sizes joined by commas, largest first; None is the task's usual one.

    Raises:
        BudgetError: one of them is not WIDTHxHEIGHT, or is given twice.
    """
    if text is None:
        return (reference_size(task),)
    sizes = [parse_size(part) for part in text.split(",")]
    if len(set(sizes)) < len(sizes):
        raise BudgetError(f"size {text!r} names one size twice; keep one of them")
    return tuple(sorted(sizes, key=lambda size: (-size.height * size.width, size)))


def terms_on(
    device: torch.device,
    sizes: tuple[Size, ...],
    *,
    batch: int = PROXY.batch,
    patch_px: int = PROXY.patch_px,
) -> Terms:
    """How networks are trained and run on a device; parts are timed there when first asked for."""
    return Terms(
        sizes=sizes,
        batch=batch,
        patch_px=patch_px,
        half=has_fast_bfloat16(device),
        device=device.type,
        times=LatencyTable(device=device.type),
    )


def read_budget(text: str, task: str, terms: Terms) -> Budget:
    """A budget in plain numbers; shares of a preset such as ``60%@grformer`` are worked out.

    Raises:
        BudgetError: no such axis, or a limit in the wrong unit.
        ArchitectureError: no such preset.
    """

    def reference(name: str, axis: str) -> float:
        return getattr(assess(preset(name, task), (axis,), terms), AXES[axis].field)

    return Budget.parse(text, reference)


def read_share(text: str) -> float:
    """A share such as ``5%`` or ``0.05``; ``0`` is none.

    Raises:
        BudgetError: another form, or not from 0 to below 1.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(%?)\s*", text)
    share = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= share < 1:
        raise BudgetError(f"share {text!r} is not from 0 to below 100 %; write 5% or 0.05")
    return share
