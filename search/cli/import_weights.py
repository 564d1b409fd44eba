"""`python -m search import`: published weights as a model folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lightir_core.checkpoints import save_model
from lightir_core.errors import CheckpointError
from lightir_core.published.weights import SYSTEMS, infer, load, read_checkpoint


def import_(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help=f"One of {', '.join(SYSTEMS)}.")],
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="The published .pth file.")],
    out: Annotated[Path, typer.Option(help="The model folder to make.")],
    config: Annotated[
        Path | None,
        typer.Option(help="JSON of the constructor's arguments; default: read off the tensors."),
    ] = None,
) -> None:
    """Make a model folder of published weights; no code in the file is ever run.

    Example:  python -m search import swinir 002_lightweightSR.pth --out models/swinir-light
    """
    if out.exists():
        raise CheckpointError(f"{out} exists already; choose another --out")
    tensors = read_checkpoint(weights)
    network = load(system, _read(config) if config else infer(system, tensors), tensors)
    save_model(out, network)
    print(f"{out}: {sum(p.numel() for p in network.parameters()):,} parameters")


def _read(path: Path) -> dict[str, object]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(plain, dict):
        raise CheckpointError(f"{path} must hold a JSON object of the constructor's arguments")
    return plain
