"""`python -m search cost`: what an architecture costs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from budgets.latency import LatencyTable, latency
from budgets.memory import inference_memory, training_memory
from budgets.price import price
from budgets.split import split_macs, table_params
from budgets.units import Size, format_bytes, format_count, format_time, parse_size
from lightir_core.architecture import Architecture, from_json
from lightir_core.data.tasks import parse_task
from lightir_core.errors import ArchitectureError
from lightir_core.learning.recipe import PROXY
from lightir_core.presets import PRESETS, preset
from search.cli.options import Json
from search.terms import reference_size

Costs = dict[str, int | float | str | dict[str, int]]


def cost(
    what: Annotated[
        str,
        typer.Argument(metavar="ARCH", help="A preset, an architecture file or a model folder."),
    ],
    task: Annotated[str, typer.Option(help="What it restores; decides a preset.")] = "sr-x2",
    at: Annotated[str | None, typer.Option(help="Output size, WIDTHxHEIGHT.")] = None,
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
    size = parse_size(at) if at else reference_size(parse_task(task))
    known = what in PRESETS
    architecture = preset(what, task) if known else read_architecture(Path(what))
    costs = count(architecture, size, batch, patch)
    if timed:
        costs["latency_ms"] = latency(architecture, size, LatencyTable())
    if as_json:
        print(json.dumps(costs, indent=2))
    else:
        Console().print(_table(costs, size, batch, patch))


def count(architecture: Architecture, size: Size, batch: int, patch_px: int) -> Costs:
    """Everything that can be counted without a clock."""
    total = price(architecture, size)
    return {
        "id": architecture.id,
        "at": str(size),
        "params": total.params,
        "params_without_tables": total.params - table_params(architecture),
        "macs": total.macs,
        "macs_split": asdict(split_macs(architecture, size)),
        "training_bytes": training_memory(architecture, batch, patch_px),
        "inference_bytes": inference_memory(architecture, size),
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


def _table(costs: Costs, size: Size, batch: int, patch_px: int) -> Table:
    table = Table(box=None, show_header=False)
    table.add_row("architecture", str(costs["id"]))
    table.add_row("parameters", f"{costs['params']:,}")
    table.add_row("  without bias tables", f"{costs['params_without_tables']:,}")
    table.add_row(f"MACs, {size} output", f"{costs['macs']:,} ({_short(costs['macs'])})")
    split = costs["macs_split"]
    assert isinstance(split, dict)
    for kind, macs in split.items():
        table.add_row(f"  {kind.replace('_', '-')}", format_count(macs))
    step = f"training memory, batch {batch} of {patch_px}x{patch_px}"
    table.add_row(step, format_bytes(_number(costs["training_bytes"])))
    table.add_row("inference memory", format_bytes(_number(costs["inference_bytes"])))
    if "latency_ms" in costs:
        table.add_row("latency", format_time(_number(costs["latency_ms"])))
    return table


def _short(value: object) -> str:
    return format_count(_number(value))


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return value
