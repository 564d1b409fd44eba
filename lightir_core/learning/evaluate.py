"""Apply a network to images of any size, and score it by its task's protocol."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightir_core.architecture import Architecture
from lightir_core.data.datasets import WAYS, Pair, turn, turn_back
from lightir_core.data.image_source import (
    ImageSource,
    validation_crops,
)
from lightir_core.data.metrics import METRICS
from lightir_core.data.tasks import Task
from lightir_core.errors import ShapeError
from lightir_core.learning.step import precision

TILE_PX = 256
OVERLAP_PX = 16


@torch.inference_mode()
def restore(
    network: nn.Module,
    image: Tensor,
    *,
    scale: int,
    tile_px: int = TILE_PX,
    overlap_px: int = OVERLAP_PX,
    fast: bool = False,
) -> Tensor:
    """Return the restored image, clamped to [0, 1].

    Tiles of `tile_px` meet in the middle of an overlap of `2 * overlap_px`, so that no output
    pixel is nearer than `overlap_px` to a cut. Networks with a channel branch (CASA) pool over
    their whole input: for them the tile size is part of the result.

    Args:
        network: in eval mode; (B, C, H, W) -> (B, C', H*scale, W*scale).
        image: (B, C, H, W) in [0, 1].
        scale: of the network.
        tile_px: side of a tile at low resolution; larger images are cut.
        overlap_px: context kept on each inner side of a tile.
        fast: bfloat16 where the device has it; scores are taken without.

    Raises:
        ShapeError: the overlaps leave nothing of a tile.
    """
    if tile_px <= 2 * overlap_px:
        raise ShapeError(
            f"tile_px={tile_px} leaves nothing beside overlap_px={overlap_px} on both sides; use "
            f"at least {2 * overlap_px + 1}"
        )
    height, width = image.shape[-2:]
    if height <= tile_px and width <= tile_px:
        return _apply(network, image, fast)
    rows, columns = (
        tuple(_spans(height, tile_px, overlap_px)),
        tuple(_spans(width, tile_px, overlap_px)),
    )
    strips = [
        torch.cat([_tile(network, image, row, column, scale, fast) for column in columns], dim=-1)
        for row in rows
    ]
    return torch.cat(strips, dim=-2)


@torch.inference_mode()
def restore_turned(
    network: nn.Module,
    image: Tensor,
    *,
    scale: int,
    ways: Sequence[int] = WAYS,
    tile_px: int = TILE_PX,
    fast: bool = False,
) -> Tensor:
    """Return the mean of `restore` over turned and mirrored forms of the image, each turned back.

    Over all eight ways it is the self-ensemble of EDSR (Lim et al., CVPRW 2017, section 3.4), which
    is eight times the work. It fits any degradation that does not see which way is up; a Bayer
    mosaic does.

    Args:
        network: as in `restore`.
        image: as in `restore`.
        scale: of the network.
        ways: the symmetries, numbers of `lightir_core.data.datasets`; at least one.
        tile_px: as in `restore`.
        fast: as in `restore`.
    """
    outputs = [
        turn_back(restore(network, turn(image, way), scale=scale, tile_px=tile_px, fast=fast), way)
        for way in ways
    ]
    return outputs[0] if len(outputs) == 1 else torch.stack(outputs).mean(dim=0)


def has_fixed_tiles(architecture: Architecture) -> bool:
    """Return whether a network's result depends on the tiles.

    A channel branch pools over its input.
    """
    mixers = (block.mixer for stage in architecture.stages for block in stage.blocks)
    return any(mixer.reads_whole_map for mixer in mixers)


Span = tuple[int, int, int, int]
"""(start, stop) of the pixels that are read and (start, stop) of those that are kept."""


def _spans(length: int, tile: int, overlap: int) -> Iterator[Span]:
    kept = 0
    while kept < length:
        start = max(0, kept - overlap)
        stop = min(length, start + tile)
        end = length if stop == length else stop - overlap
        yield start, stop, kept, end
        kept = end


def _tile(
    network: nn.Module, image: Tensor, row: Span, column: Span, scale: int, fast: bool
) -> Tensor:
    out = _apply(network, image[..., row[0] : row[1], column[0] : column[1]], fast)
    top, bottom = ((edge - row[0]) * scale for edge in row[2:])
    left, right = ((edge - column[0]) * scale for edge in column[2:])
    return out[..., top:bottom, left:right]


def _apply(network: nn.Module, image: Tensor, fast: bool) -> Tensor:
    image = image.contiguous(memory_format=torch.channels_last)
    if not fast:
        return network(image).clamp(0, 1)
    with precision(image.device):
        return network(image).float().clamp(0, 1)


Scores = Mapping[str, float]


@dataclass(frozen=True)
class Evaluation:
    """Scores per image, in the order of the pairs."""

    names: tuple[str, ...]
    images: tuple[Scores, ...]

    @property
    def mean(self) -> dict[str, float]:
        """Return mean over the images, each image counting the same."""
        return {
            metric: sum(scores[metric] for scores in self.images) / len(self.images)
            for metric in self.images[0]
        }


def evaluate(
    network: nn.Module,
    pairs: Sequence[Pair],
    task: Task,
    device: torch.device,
    metrics: Sequence[str],
    *,
    fast: bool = False,
    ways: Sequence[int] = (0,),
) -> Evaluation:
    """Restore every pair's low-quality image and compare it with the truth.

    Args:
        network: in eval mode, on `device`.
        pairs: what to score on; at least one.
        task: decides the scale and the border that is left out.
        device: where the network is.
        metrics: keys of `METRICS`.
        fast: bfloat16 where the device has it; good enough to rank.
        ways: as in `restore_turned`; all eight are the self-ensemble.
    """
    scored: dict[int, Scores] = {}
    for numbers in _together(pairs, device):
        lq = torch.cat([unit(pairs[number].lq) for number in numbers]).to(device)
        outputs = restore_turned(network, lq, scale=task.scale, ways=ways, fast=fast).cpu()
        for number, output in zip(numbers, outputs.split(1), strict=True):
            scored[number] = score(output, pairs[number], task, metrics)
    names = tuple(pair.name for pair in pairs)
    return Evaluation(names, tuple(scored[number] for number in range(len(pairs))))


TOGETHER_PX = 2**17
"""Low-quality pixels that a GPU restores together; fewer leave it waiting for launches."""


def _together(pairs: Sequence[Pair], device: torch.device) -> Iterator[Sequence[int]]:
    """Return the numbers of pairs in groups: on a GPU those of one size, else each alone."""
    if device.type != "cuda":
        yield from ([number] for number in range(len(pairs)))
        return
    by_size: dict[torch.Size, list[int]] = {}
    for number, pair in enumerate(pairs):
        by_size.setdefault(pair.lq.shape, []).append(number)
    for (_, height, width), numbers in by_size.items():
        most = max(1, TOGETHER_PX // (height * width))
        yield from (numbers[at : at + most] for at in range(0, len(numbers), most))


def score(output: Tensor, pair: Pair, task: Task, metrics: Sequence[str]) -> dict[str, float]:
    """Return scores of one restored image (1, C, H, W) against the pair's truth.

    NaN if it holds one.
    """
    if output.isnan().any():  # rounded to eight bits it would pass for black
        return dict.fromkeys(metrics, math.nan)
    truth = pair.gt.unsqueeze(0)
    return {name: METRICS[name](output, truth, border_px=task.border_px) for name in metrics}


def unit(image: Tensor) -> Tensor:
    """uint8 (C, H, W) as float32 (1, C, H, W) in [0, 1]."""
    return image.unsqueeze(0).float() / 255


def quick_score(source: ImageSource, device: torch.device) -> Callable[[nn.Module], float]:
    """Return how good a network on `device` is while it is trained.

    The task's metric on the crops.
    """
    task, crops = source.task, validation_crops(source)

    def validate(network: nn.Module) -> float:
        return evaluate(network, crops, task, device, (task.metric,), fast=True).mean[task.metric]

    return validate
