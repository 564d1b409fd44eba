"""`python -m search restore`: apply a network to an image or a folder of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from lightir_core.checkpoints import load_model
from lightir_core.data.images import read_gallery, read_image, write_image
from lightir_core.data.metrics import to_eight_bits
from lightir_core.errors import DataError
from lightir_core.learning.evaluate import unit
from lightir_core.learning.restore import OVERLAP_PX, TILE_PX
from lightir_core.learning.restore import restore as apply
from search.config import SearchConfig


def restore(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="An image or a folder.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="A file, or a folder.")],
    tile: Annotated[int, typer.Option(help="Side of a tile in input pixels.")] = TILE_PX,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Apply a network to an image or a folder, in tiles where an image is large.

    Example:  python -m search restore runs/x/models/0123456789ab photo.png restored.png
    """
    if tile <= 2 * OVERLAP_PX:
        raise DataError(f"--tile {tile} is too small; use more than {2 * OVERLAP_PX} pixels")
    where = SearchConfig(device=device).torch_device
    network = load_model(model).to(where).eval()

    def restored(pixels: np.ndarray) -> np.ndarray:
        image = unit(torch.from_numpy(pixels).permute(2, 0, 1)).to(where)
        output = apply(network, image, scale=network.architecture.scale, tile_px=tile)
        return to_eight_bits(output)[0].permute(1, 2, 0).cpu().numpy()

    if source.is_dir():
        gallery = read_gallery(source)
        for note in gallery.notes:
            print(f"note: {note}", file=sys.stderr)
        for image in gallery.images:
            out = (target / image.name).with_suffix(".png")
            write_image(out, restored(image.pixels))
            print(out)
        return
    out = target / source.with_suffix(".png").name if target.is_dir() else target
    write_image(out, restored(read_image(source)))
    print(out)
