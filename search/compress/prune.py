"""Structured pruning to an exact budget, with torch-pruning.

Importance is Taylor's (Molchanov et al., CVPR 2019): how much the loss is expected to rise without
a channel, from the gradients on a few batches. Channels go in the order of importance per
parameter saved, over all units at once, each unit keeping a floor; how many go is searched on the
counted cost. The result is rebuilt from its architecture and compared with the pruned modules.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch_pruning as tp
from torch import Tensor, nn

from budgets.budget import Budget
from budgets.cost import Cost
from budgets.price import price
from budgets.units import Size
from lightir_core.architecture import Architecture
from lightir_core.errors import SearchError
from lightir_core.learning.training import Batches
from lightir_core.network import Network, build
from search.compress.units import Unit, module_of, narrowed, units

FLOOR = 0.25
"""Least share of its hidden channels that a unit keeps."""

BATCHES = 8
"""Batches that importance is measured on, of `BATCH` patches of `PATCH_PX` pixels each."""

BATCH = 8
PATCH_PX = 16
TOLERANCE = 1e-5

ROOTS = ("inward", "inward_u", "conv1")
"""Names of the layer that makes a unit's hidden channels, one of them in each kind."""


@dataclass(frozen=True)
class Pruned:
    """A smaller network with its parent's remaining weights."""

    network: Network
    cost: Cost

    @property
    def architecture(self) -> Architecture:
        """What is left."""
        return self.network.architecture


def prune(network: Network, budget: Budget, size: Size, data: Batches, *, seed: int) -> Pruned:
    """A copy of `network` without its least important hidden channels, within `budget`.

    Args:
        network: trained; left as it is.
        budget: what the result may cost.
        size: output size that costs are counted at.
        data: patches to measure importance on.
        seed: decides the patches.

    Raises:
        SearchError: the network costs less already, or cannot become that small.
    """
    before = price(network.architecture, size)
    if budget.allows(before):
        raise SearchError(f"nothing to prune: the network is within {budget.text} already")
    least = smallest(network.architecture, size)
    if not budget.allows(least):
        raise SearchError(
            f"{network.architecture.id} cannot be pruned to {budget.text}: without all the hidden "
            f"channels that may go it has {least.params:,} parameters and {least.macs:,} MACs"
        )
    network = copy.deepcopy(network)
    _measure_gradients(network, data, seed)
    order = _order(network)
    count = _fewest(network.architecture, order, budget, size)
    return _carry_out(network, order[:count], size)


def _measure_gradients(network: Network, data: Batches, seed: int) -> None:
    """Sum the gradients of the L1 loss over a few batches."""
    network.eval()  # in training mode batch norms would move their averages
    network.zero_grad(set_to_none=True)
    device = next(network.parameters()).device
    for step in range(BATCHES):
        lq, gt = (t.to(device) for t in data.batch(seed, step, BATCH, PATCH_PX))
        (network(lq) - gt).abs().mean().backward()


Channel = tuple[Unit, int]


def _order(network: Network) -> list[Channel]:
    """Channels from the one that is missed least to the last that may go."""
    scored: list[tuple[float, Channel]] = []
    for unit, hidden in units(network.architecture).items():
        module = module_of(network, unit)
        importance = _importance(module, network.architecture.width)
        # per parameter saved: a channel of a convolution buys more than one of a linear layer
        share = importance / _parameters_per_channel(module, hidden)
        least = share.argsort()[: hidden - _floor(hidden)]
        scored += [(share[index].item(), (unit, int(index))) for index in least]
    return [channel for _, channel in sorted(scored)]


def _importance(module: nn.Module, width: int) -> Tensor:
    # without a normaliser, importances of different units can be compared
    measure = tp.importance.GroupTaylorImportance(group_reduction="sum", normalizer=None)  # pyright: ignore[reportArgumentType]  its type leaves None out
    importance = measure(_group(module, width, None))
    assert importance is not None, "the unit's layers have no gradients"
    return importance


def _group(module: nn.Module, width: int, channels: Sequence[int] | None) -> tp.Group:
    """torch-pruning's group of everything that depends on the unit's hidden channels."""
    [root] = [layer for name in ROOTS if (layer := getattr(module, name, None)) is not None]
    weight: Tensor = root.weight
    example = weight.new_zeros(1, width, PATCH_PX, PATCH_PX)
    graph = tp.DependencyGraph().build_dependency(module, example_inputs=example)
    cut = (
        tp.prune_conv_out_channels if isinstance(root, nn.Conv2d) else tp.prune_linear_out_channels
    )
    return graph.get_pruning_group(
        root, cut, idxs=list(range(len(weight)) if channels is None else channels)
    )


def _parameters_per_channel(module: nn.Module, hidden: int) -> float:
    """Parameters that go with one hidden channel; the outward bias stays and hardly counts."""
    return sum(parameter.numel() for parameter in module.parameters()) / hidden


def smallest(architecture: Architecture, size: Size) -> Cost:
    """What is left of an architecture's cost when every unit is pruned to its floor."""
    left = {unit: _floor(hidden) for unit, hidden in units(architecture).items()}
    return price(narrowed(architecture, left), size)


def _floor(hidden: int) -> int:
    return max(1, round(hidden * FLOOR))


def _fewest(
    architecture: Architecture, order: Sequence[Channel], budget: Budget, size: Size
) -> int:
    """How many channels must go, in order, until the counted cost is within budget."""
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if budget.allows(_cost(architecture, order[:middle], size)):
            high = middle
        else:
            low = middle + 1
    return high


def _cost(architecture: Architecture, gone: Sequence[Channel], size: Size) -> Cost:
    return price(_without(architecture, gone), size)


def _without(architecture: Architecture, gone: Sequence[Channel]) -> Architecture:
    lost = Counter(unit for unit, _ in gone)
    left = {unit: hidden - lost[unit] for unit, hidden in units(architecture).items()}
    return narrowed(architecture, left)


def _carry_out(network: Network, gone: Sequence[Channel], size: Size) -> Pruned:
    """Prune the modules, rebuild the network from what is left, and compare the two."""
    architecture = _without(network.architecture, gone)
    for unit in {unit for unit, _ in gone}:
        channels = [channel for where, channel in gone if where == unit]
        _group(module_of(network, unit), architecture.width, channels).prune()
    rebuilt = build(architecture).to(next(network.parameters()).device)
    rebuilt.load_state_dict(network.state_dict())
    rebuilt.eval()
    _check_equal(network, rebuilt)
    return Pruned(rebuilt, price(architecture, size))


@torch.no_grad()
def _check_equal(pruned: Network, rebuilt: Network) -> None:
    """Both must compute the same, at two sizes."""
    device, channels = next(rebuilt.parameters()).device, rebuilt.architecture.in_channels
    for side in (PATCH_PX, PATCH_PX + 5):
        image = torch.linspace(0, 1, channels * side**2, device=device)
        image = image.view(1, channels, side, side)
        difference = (pruned(image) - rebuilt(image)).abs().max().item()
        assert difference <= TOLERANCE, f"rebuilt network differs by {difference}"
