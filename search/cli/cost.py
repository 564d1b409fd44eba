"""`python -m search cost`: what an architecture costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from budgets.assess import CostSettings, excess, read_budget, read_sizes
from budgets.breakdown import split_macs, table_params
from budgets.latency import LatencyTable, latency
from budgets.memory import inference_memory, training_memory
from budgets.price import price
from budgets.units import Size, format_bytes, format_count, format_time
from lightir_core.architecture import Architecture, from_json
from lightir_core.data.tasks import parse_task
from lightir_core.errors import ArchitectureError
from lightir_core.learning.recipe import PROXY
from lightir_core.published.presets import PRESETS, preset
from search.cli.options import Json, Sizes

Costs = dict[str, Any]


def cost(
    what: Annotated[
        str,
        typer.Argument(metavar="ARCH", help="A preset, an architecture file or a model folder."),
    ],
    task: Annotated[str, typer.Option(help="What it restores; decides a preset.")] = "sr-x2",
    at: Sizes = None,
    budget: Annotated[
        str | None, typer.Option(help="Also say whether it fits: 400k, or macs=60%@grformer.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Of the training step.", min=1)] = PROXY.batch,
    patch: Annotated[int, typer.Option(help="Of the training step, pixels.", min=1)] = (
        PROXY.patch_px
    ),
    timed: Annotated[bool, typer.Option("--latency", help="Also time it on this CPU.")] = False,
    as_json: Json = False,
) -> None:
    """Parameters, multiply-adds and memory of an architecture.

    Example:  python -m search cost grformer --at 1280x720
    """
    sizes = read_sizes(",".join(at) if at else None, parse_task(task))
    known = what in PRESETS
    architecture = preset(what, task) if known else read_architecture(Path(what))
    costs = count(architecture, sizes, batch, patch)
    if timed:
        for found, size in zip(costs["sizes"], sizes, strict=True):
            found["latency_ms"] = latency(architecture, size, LatencyTable())
    if budget is not None:
        cost_settings = CostSettings(sizes=sizes, batch=batch, patch_px=patch, times=LatencyTable())
        limits = read_budget(budget, task, cost_settings)
        costs |= {"budget": limits.plain, "over": excess(architecture, limits, cost_settings)}
    costs |= costs["sizes"][0]
    if as_json:
        print(json.dumps(costs, indent=2))
    else:
        Console().print(_table(costs, batch, patch))


def count(architecture: Architecture, sizes: Sequence[Size], batch: int, patch_px: int) -> Costs:
    """Everything that can be counted without a clock."""
    params = price(architecture, sizes[0]).params
    return {
        "id": architecture.id,
        "params": params,
        "params_without_tables": params - table_params(architecture),
        "training_bytes": training_memory(architecture, batch, patch_px),
        "sizes": [
            {
                "at": str(size),
                "macs": price(architecture, size).macs,
                "macs_split": asdict(split_macs(architecture, size)),
                "inference_bytes": inference_memory(architecture, size),
            }
            for size in sizes
        ],
    }


def read_architecture(path: Path) -> Architecture:
    """The architecture in a file, or in the architecture.json of a model folder.

    Raises:
        ArchitectureError: nothing there, or not an architecture; the path is named.
    """
    file = path / "architecture.json" if path.is_dir() else path
    try:
        return from_json(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ArchitectureError(f"cannot read architecture {file}: {reason}") from None
    except ArchitectureError as error:
        raise ArchitectureError(f"{file}: {error}") from None


def _table(costs: Costs, batch: int, patch_px: int) -> Table:
    table = Table(box=None, show_header=False)
    table.add_row("architecture", costs["id"])
    table.add_row("parameters", f"{costs['params']:,}")
    table.add_row("  without bias tables", f"{costs['params_without_tables']:,}")
    step = f"training memory, batch {batch} of {patch_px}x{patch_px}"
    table.add_row(step, format_bytes(costs["training_bytes"]))
    for found in costs["sizes"]:
        macs = found["macs"]
        table.add_row(f"MACs, {found['at']} output", f"{macs:,} ({format_count(macs)})")
        for kind, some in found["macs_split"].items():
            table.add_row(f"  {kind.replace('_', '-')}", format_count(some))
        table.add_row("inference memory", format_bytes(found["inference_bytes"]))
        if "latency_ms" in found:
            table.add_row("latency", format_time(found["latency_ms"]))
    if "budget" in costs:
        table.add_row(f"budget {costs['budget']}", costs["over"] or "fits")
    return table
