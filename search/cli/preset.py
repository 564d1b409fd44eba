"""`python -m search preset`: a published system as an architecture, whole or shrunk to a budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from budgets.assess import CostSettings, excess, read_budget, reference_size
from budgets.latency import LatencyTable
from budgets.price import price
from budgets.units import Size, format_count, parse_size
from lightir_core.architecture import Architecture
from lightir_core.data.tasks import parse_task
from lightir_core.published.presets import PRESETS, shrink
from lightir_core.published.presets import preset as published
from lightir_core.tensor_files import write_text_atomic


def preset(
    name: Annotated[
        str | None, typer.Argument(help="Which one; without it, all are listed.")
    ] = None,
    task: Annotated[str, typer.Option(help="What it restores, such as sr-x2.")] = "sr-x2",
    budget: Annotated[
        str | None, typer.Option(help="Shrink width and depth until this holds.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Output size for MACs, WIDTHxHEIGHT.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the architecture to this file.")] = None,
) -> None:
    """A published system: its costs, its architecture, or the largest one that fits a budget.

    Example:  python -m search preset grformer --budget 400k --out grformer-400k.json
    """
    size = parse_size(at) if at else reference_size(parse_task(task))
    table = Table("preset", "id", "width", "stages", "parameters", f"MACs at {size}", box=None)
    for which in PRESETS if name is None else (name,):
        architecture = fitting(which, task, budget, size)
        cost = price(architecture, size)
        table.add_row(
            which,
            architecture.id,
            str(architecture.width),
            str(len(architecture.stages)),
            f"{cost.params:,}",
            format_count(cost.macs),
        )
        if out is not None and name is not None:
            write_text_atomic(out, architecture.to_json())
    Console().print(table)


def fitting(name: str, task: str, budget: str | None, size: Size) -> Architecture:
    """The preset at its published size, or the largest of its design within `budget`."""
    if budget is None:
        return published(name, task)
    cost_settings = CostSettings(sizes=(size,), times=LatencyTable())
    limits = read_budget(budget, task, cost_settings)
    return shrink(name, lambda smaller: excess(smaller, limits, cost_settings) is None, task)
