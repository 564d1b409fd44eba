"""What real kernels do with memory that meta tensors do not show, by device.

A layout says how a kernel lays out its result; a workspace is the room that it needs while it runs.
The CPU's were read off torch 2.13 with the profiler, operation by operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Arguments = tuple[Any, ...]
Layout = Callable[[Arguments, Any], object]
Workspace = Callable[[Arguments, Any], int]


@dataclass(frozen=True)
class Kernels:
    """Layouts and workspaces by operation; `workspace` is for the operations not listed."""

    layouts: dict[str, Layout]
    workspaces: dict[str, Workspace]
    workspace: Workspace


def bytes_of(tensor: Tensor) -> int:
    """Bytes that the elements of a tensor take."""
    return tensor.numel() * tensor.element_size()


def _is_channels_last(tensor: Tensor) -> bool:
    return (
        tensor.dim() == 4
        and not tensor.is_contiguous()
        and tensor.stride(1) == 1
        and tensor.stride(3) >= tensor.shape[1]
    )


def _channels_last(tensor: Tensor | None) -> Tensor | None:
    if tensor is None or tensor.dim() != 4:
        return tensor
    return torch.empty_like(tensor, memory_format=torch.channels_last)


def _convolution(args: Arguments, out: Tensor) -> object:
    """Channels-last as soon as one operand is."""
    operands = args[:2]
    return _channels_last(out) if any(map(_is_channels_last, operands)) else out


def _convolution_backward(args: Arguments, out: Arguments) -> object:
    if not any(map(_is_channels_last, args[1:3])):
        return out
    return (_channels_last(out[0]), _channels_last(out[1]), out[2])


def _shuffle(args: Arguments, out: Tensor) -> object:
    """The CPU keeps the layout of the input."""
    return _channels_last(out) if _is_channels_last(args[0]) else out


def _embedding_bag(args: Arguments, out: Arguments) -> object:
    """The CPU's sum leaves out the bag of each index."""
    return (out[0], out[1].new_empty(0), out[2], torch.empty_like(out[2]))


def _copies(operands: Iterable[Tensor], channels_last: bool) -> int:
    """Operands in another layout than the kernel's are copied."""
    form = torch.channels_last if channels_last else torch.contiguous_format
    return sum(bytes_of(x) for x in operands if not x.is_contiguous(memory_format=form))


def _convolution_room(args: Arguments, out: Tensor) -> int:
    image, weight = args[:2]
    channels_last = _is_channels_last(image) or _is_channels_last(weight)
    columns = _column_bytes(image, weight, out.shape)
    return _copies((image, weight), channels_last) + (columns or bytes_of(weight))


def _convolution_backward_room(args: Arguments, out: object) -> int:
    grad, image, weight = args[:3]
    channels_last = _is_channels_last(image) or _is_channels_last(weight)
    room = _copies((grad, image, weight), channels_last)
    columns = _column_bytes(image, weight, grad.shape)
    return room + (2 * columns or bytes_of(weight) * 7 // 3 + _matrix_unit_bytes(grad, image))


def _column_bytes(image: Tensor, weight: Tensor, out_shape: torch.Size) -> int:
    """Small single images are unfolded for a matrix product: torch's use_mkldnn, the other way."""
    grouped = weight.shape[1] != image.shape[1]
    large = image.shape[0] > 1 or image.numel() > 20_480 or min(weight.shape[2:]) > 3
    if grouped or large or image.dtype != torch.float32:
        return 0
    return weight[0].numel() * out_shape[2:].numel() * image.element_size()


def _matrix_unit_bytes(grad: Tensor, image: Tensor) -> int:
    """In bfloat16 one image is transposed, channels in sixteens, up to half a megabyte."""
    if image.dtype != torch.bfloat16 or image.shape[1] == 1:
        return 0
    lines = -(-grad.shape[1] // 16) + -(-image.shape[1] // 16)
    return min(2**19, 32 * lines * image.shape[2:].numel()) + 2**16


def _roll_room(args: Arguments, out: Tensor) -> int:
    """One axis after the other."""
    return bytes_of(out) if len(args[2]) > 1 else 0


def _softmax_room(args: Arguments, out: Tensor) -> int:
    return 0 if args[0].is_contiguous() else bytes_of(args[0])


def _conversion_room(args: Arguments, out: object) -> int:
    """Elementwise kernels first convert an operand of another type."""
    if not isinstance(out, Tensor) or out.dtype == torch.bool:
        return 0
    tensors = [x for x in args if isinstance(x, Tensor) and x.dim() > 0]
    if len(tensors) < 2:
        return 0
    return sum(x.numel() * out.element_size() for x in tensors if x.dtype != out.dtype)


def _none(args: Arguments, out: object) -> int:
    return 0


def _row_gradient_room(args: Arguments, out: Tensor) -> int:
    """Of scipy: the row numbers as int32, where each bag starts, and the result once more."""
    rows = args[1]
    return 4 * (rows.numel() + len(rows) + 1) + bytes_of(out)


_CPU = Kernels(
    layouts={
        "convolution": _convolution,
        "convolution_backward": _convolution_backward,
        "pixel_shuffle": _shuffle,
        "pixel_unshuffle": _shuffle,
        "_embedding_bag": _embedding_bag,
    },
    workspaces={
        "convolution": _convolution_room,
        "convolution_backward": _convolution_backward_room,
        "native_batch_norm_backward": lambda args, out: bytes_of(args[1]),
        "roll": _roll_room,
        "_softmax": _softmax_room,
        "lightir::row_gradient": _row_gradient_room,
        # indices put into their bags
        "_embedding_bag_per_sample_weights_backward": lambda args, out: 16 * args[2].numel(),
        **dict.fromkeys(("index_select", "index", "gather", "_embedding_bag", "copy_"), _none),
    },
    workspace=_conversion_room,
)
_CUDA = Kernels(
    layouts={"convolution": _convolution, "convolution_backward": _convolution_backward},
    workspaces={},
    workspace=_none,
)

KERNELS = {"cpu": _CPU, "cuda": _CUDA}
"""By device type."""
