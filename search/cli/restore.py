"""`python -m search restore`: apply a network to an image or a folder of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lightir_core.checkpoints import load_model
from lightir_core.data.images import (
    Image,
    read_gallery,
    read_image,
    to_gray,
    to_pixels,
    to_tensor,
    write_image,
)
from lightir_core.data.metrics import to_eight_bits
from lightir_core.errors import DataError
from lightir_core.learning.evaluate import unit
from lightir_core.learning.tiling import OVERLAP_PX, TILE_PX, has_fixed_tiles
from lightir_core.learning.tiling import restore as apply
from search.cli.options import FIXED_TILES
from search.devices import find_device


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
    where = find_device(device)
    network = load_model(model).to(where).eval()
    channels = network.architecture.in_channels
    if channels not in (1, 3):
        raise DataError(f"{model} takes images of {channels} channels; images have 3, or 1 in gray")
    if channels == 1:
        print("note: images are read as gray: the network has one channel", file=sys.stderr)
    if has_fixed_tiles(network.architecture):
        print(f"note: {FIXED_TILES}", file=sys.stderr)
        tile = TILE_PX
    images = _read(source)
    targets = _targets(source, [image.name for image in images], target)
    for image, out in zip(images, targets, strict=True):
        pixels = to_gray(image.pixels) if channels == 1 else image.pixels
        lq = unit(to_tensor(pixels)).to(where)
        output = apply(network, lq, scale=network.architecture.scale, tile_px=tile)
        write_image(out, to_pixels(to_eight_bits(output)[0].cpu()))
        print(out)


def _read(source: Path) -> tuple[Image, ...]:
    """The images of a folder, with notes on stderr, or the one in a file."""
    if not source.is_dir():
        return (Image(source.name, read_image(source)),)
    gallery = read_gallery(source)
    for note in gallery.notes:
        print(f"note: {note}", file=sys.stderr)
    return gallery.images


def _targets(source: Path, names: Sequence[str], target: Path) -> list[Path]:
    """Where each restored image goes: into a folder as PNG, or to the file that was named.

    Raises:
        DataError: an input would be overwritten, or one result by another.
    """
    if source.is_dir() and target.is_file():
        raise DataError(f"{target} is a file; a folder of images needs a folder as OUTPUT")
    into_folder = source.is_dir() or target.is_dir()
    targets = [(target / name).with_suffix(".png") if into_folder else target for name in names]
    inputs = {(source / name if source.is_dir() else source).resolve() for name in names}
    made: dict[Path, str] = {}
    for name, out in zip(names, targets, strict=True):
        if out.resolve() in inputs:
            raise DataError(f"{out} would overwrite its own input; choose another OUTPUT")
        if out in made:
            raise DataError(f"{made[out]} and {name} would both become {out.name}; rename one")
        made[out] = name
    return targets
