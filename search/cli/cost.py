"""`python -m search cost`: what an architecture costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from budgets.price import price
from budgets.units import Size, format_count, parse_size
from lightir_core.architecture import Architecture, from_json
from lightir_core.errors import ArchitectureError
from lightir_core.presets import PRESETS, preset
from search.cli.options import Json


def cost(
    what: Annotated[
        str,
        typer.Argument(metavar="ARCH", help="A preset, an architecture file or a model folder."),
    ],
    task: Annotated[str, typer.Option(help="Of a preset: what it restores.")] = "sr-x2",
    at: Annotated[str, typer.Option(help="Output size, WIDTHxHEIGHT.")] = "1280x720",
    as_json: Json = False,
) -> None:
    """Parameters and multiply-adds of an architecture.

    Example:  python -m search cost models/x/architecture.json --at 1280x720
    """
    known = what in PRESETS
    architecture = preset(what, task) if known else read_architecture(Path(what))
    size = parse_size(at)
    total = price(architecture, size)
    if as_json:
        plain = {"id": architecture.id, "params": total.params, "macs": total.macs, "at": str(size)}
        print(json.dumps(plain, indent=2))
        return
    Console().print(_table(architecture, size, total.params, total.macs))


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


def _table(architecture: Architecture, size: Size, params: int, macs: int) -> Table:
    table = Table(box=None, show_header=False)
    table.add_row("architecture", architecture.id)
    table.add_row("parameters", f"{params:,}")
    table.add_row(f"MACs at {size} output", f"{macs:,} ({format_count(macs)})")
    return table
