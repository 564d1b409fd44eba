"""Where the cost goes: MACs by kind of work, and parameters that some papers do not count."""

from collections import Counter
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.module_tracker import ModuleTracker

from budgets.budget import Size
from budgets.parts import Part, build_part, part_inputs, parts
from budgets.trace import MacCounter
from lightir_core.architecture import Architecture
from lightir_core.blocks.attention import TablePosition


@dataclass(frozen=True)
class MacSplit:
    """Multiply-adds by kind; they add up to the MACs of `price`.

    Attributes:
        projections: to queries, keys and values and back, filters on them included.
        attention: products of activations with each other, and the position bias.
        feed_forward: everything inside feed-forwards.
        convolutions: stem, convolutional blocks, closings, body and tail.
    """

    projections: int = 0
    attention: int = 0
    feed_forward: int = 0
    convolutions: int = 0


def split_macs(architecture: Architecture, size: Size) -> MacSplit:
    """Return MACs of `architecture` for an output of `size`, by kind of work.

    Raises:
        BudgetError: a part performs an operation whose cost is not known.
    """
    totals = [0, 0, 0, 0]
    for use in parts(architecture, size):
        split = astuple(_part_split(use.part, use.size))
        totals = [total + use.passes * macs for total, macs in zip(totals, split, strict=True)]
    return MacSplit(*totals)


def table_params(architecture: Architecture) -> int:
    """Return parameters in tables of relative positions, which some papers do not count."""
    size = Size(architecture.window_multiple, architecture.window_multiple)
    return sum(_part_table_params(use.part) * use.copies for use in parts(architecture, size))


@lru_cache(maxsize=2**12)
def _part_table_params(part: Part) -> int:
    with torch.device("meta"):
        modules = build_part(part).modules()
    return sum(m.table.numel() for m in modules if isinstance(m, TablePosition))


@lru_cache(maxsize=2**12)
def _part_split(part: Part, size: Size) -> MacSplit:
    with torch.device("meta"):
        module = build_part(part).eval()
        inputs = part_inputs(part, size)
        modules = ModuleTracker()
        with torch.no_grad(), modules, _Sorter(module, modules) as sorter:
            module(*inputs)
    return MacSplit(feed_forward=sorter.macs) if part.kind == "feed_forward" else sorter.split()


class _Sorter(MacCounter):
    """A counter that also asks which module is at work and on what."""

    def __init__(self, module: nn.Module, modules: ModuleTracker) -> None:
        super().__init__()
        self._macs: Counter[str] = Counter()
        self._weights = {_storage(parameter) for parameter in module.parameters()}
        self._modules = modules

    def count(self, macs: int, operands: tuple[Any, ...]) -> None:
        """Put the MACs of one operation to their kind."""
        super().count(macs, operands)
        self._macs[self._kind(operands)] += macs

    def split(self) -> MacSplit:
        """Return the MACs so far; where activations meet each other, weights project them."""
        macs = self._macs
        attends = macs["products"] > 0
        return MacSplit(
            projections=macs["weights"] if attends else 0,
            attention=macs["products"] + macs["position"],
            convolutions=0 if attends else macs["weights"],
        )

    def _kind(self, operands: tuple[Any, ...]) -> str:
        paths = {path for name in self._modules.parents for path in name.split(".")[1:]}
        if "position" in paths:
            return "position"
        tensors = [operand for operand in operands if isinstance(operand, Tensor)]
        weighted = any(_storage(tensor) in self._weights for tensor in tensors)
        return "weights" if weighted else "products"


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage]  has no other name
