"""`python -m search cost` and `preset`: what an architecture costs, and the published ones."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from budgets.assess import (
    CostSettings,
    assess,
    excess,
    read_budget,
    read_sizes,
    reference_size,
    settings_on,
)
from budgets.breakdown import split_macs, table_params
from budgets.budget import Size, format_bytes, format_count, format_time, parse_size
from budgets.latency import LatencyTable, latency
from budgets.price import price
from lightir_core.architecture import Architecture, from_json
from lightir_core.data.tasks import parse_task
from lightir_core.devices import find_device
from lightir_core.errors import ArchitectureError
from lightir_core.learning.recipe import PROXY
from lightir_core.published.presets import PRESETS, shrink
from lightir_core.published.presets import preset as published
from lightir_core.tensor_files import write_text_atomic
from search.cli.options import Device, Json, Sizes

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
    timed: Annotated[bool, typer.Option("--latency", help="Also time it on the device.")] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Count the parameters, multiply-adds and memory of an architecture.

    Example:  python -m search cost grformer --at 1280x720
    """
    sizes = read_sizes(",".join(at) if at else None, parse_task(task))
    known = what in PRESETS
    architecture = published(what, task) if known else read_architecture(Path(what))
    settings = settings_on(find_device(device), sizes, batch=batch, patch_px=patch)
    costs = count(architecture, settings)
    if timed:
        for entry, size in zip(costs["sizes"], sizes, strict=True):
            entry["latency_ms"] = latency(architecture, size, settings.times or LatencyTable())
    if budget is not None:
        limits = read_budget(budget, task, settings)
        costs |= {"budget": limits.plain, "over": excess(architecture, limits, settings)}
    costs |= costs["sizes"][0]
    if as_json:
        print(json.dumps(costs, indent=2))
    else:
        Console().print(_table(costs, batch, patch))


def count(architecture: Architecture, settings: CostSettings) -> Costs:
    """Count everything that can be counted without a clock, as trained and run on a device."""
    costs = {
        size: assess(architecture, ("inference-memory",), replace(settings, sizes=(size,)))
        for size in settings.sizes
    }
    params = costs[settings.sizes[0]].params
    return {
        "id": architecture.id,
        "params": params,
        "params_without_tables": params - table_params(architecture),
        "training_bytes": assess(architecture, ("memory",), settings).training_bytes,
        "sizes": [
            {
                "at": str(size),
                "macs": cost.macs,
                "macs_split": asdict(split_macs(architecture, size)),
                "inference_bytes": cost.inference_bytes,
            }
            for size, cost in costs.items()
        ],
    }


def read_architecture(path: Path) -> Architecture:
    """Read the architecture in a file, or in the architecture.json of a model folder.

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
    for entry in costs["sizes"]:
        macs = entry["macs"]
        table.add_row(f"MACs, {entry['at']} output", f"{macs:,} ({format_count(macs)})")
        for kind, some in entry["macs_split"].items():
            table.add_row(f"  {kind.replace('_', '-')}", format_count(some))
        table.add_row("inference memory", format_bytes(entry["inference_bytes"]))
        if "latency_ms" in entry:
            table.add_row("latency", format_time(entry["latency_ms"]))
    if "budget" in costs:
        table.add_row(f"budget {costs['budget']}", costs["over"] or "fits")
    return table


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
    device: Device = "auto",
) -> None:
    """Show a published system: its costs, its architecture, or the largest that fits a budget.

    Example:  python -m search preset grformer --budget 400k --out grformer-400k.json
    """
    size = parse_size(at) if at else reference_size(parse_task(task))
    table = Table("preset", "id", "width", "stages", "parameters", f"MACs at {size}", box=None)
    for which in PRESETS if name is None else (name,):
        architecture = fitting(which, task, budget, size, device)
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


def fitting(
    name: str, task: str, budget: str | None, size: Size, device: str = "auto"
) -> Architecture:
    """Return the preset at its published size, or the largest of its design within `budget`."""
    if budget is None:
        return published(name, task)
    settings = settings_on(find_device(device), (size,))
    limits = read_budget(budget, task, settings)
    return shrink(name, lambda smaller: excess(smaller, limits, settings) is None, task)
