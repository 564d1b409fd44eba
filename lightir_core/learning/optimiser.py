"""Muon for matrices and convolution kernels, Adam for everything else.

Muon (Jordan et al., 2024) replaces a matrix's momentum by its nearest orthogonal matrix, so that
all its directions move at the same rate; short trainings of restoration networks leave their
interpolation plateau much sooner with it. `Muon` takes two-dimensional parameters only: a
convolution kernel (out, in, h, w) is handed over as the view (out, in*h*w), a grouped projection
(groups, out, in) as one view per group. The views share memory with the parameters.

Notation: G gradient, M momentum, η rate, A x B the matrix' shape.
    M ← μM + (1 − μ)G,  U = (1 − μ)G + μM
    X ← U / ‖U‖,  five times X ← aX + (bXXᵀ + c(XXᵀ)²)X       U's nearest orthogonal matrix, nearly
    W ← (1 − ηλ)W − 0.2 η √max(A, B) X                          steps as large as Adam's
The function is `torch.optim.Muon`'s with `match_rms_adamw`. That one works off matrix by matrix,
and a light network has dozens of small ones: here all of one shape are worked off at once.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from lightir_core.errors import CheckpointError
from lightir_core.learning import many
from lightir_core.learning.recipe import Recipe

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
EPSILON = 1e-7

SMALLEST = 8
"""Fewest channels of a matrix for Muon; a depth-wise kernel is no matrix."""

EDGES = ("stem.", "tail.")
"""First and last layers go to Adam, as in Muon's published recipe: they face the image."""

HALVINGS = (0.5, 0.8, 0.9, 0.95)
"""Shares of the steps after which the schedule of that name halves the rate."""


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum for matrices; their state is one "momentum_buffer" each."""

    def __init__(
        self, matrices: Iterable[Tensor], lr: float | Tensor, weight_decay: float = 0.0
    ) -> None:
        """Take two-dimensional tensors of any shapes; a rate on a GPU may change in a graph."""
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})
        self._shapes: dict[torch.Size, list[Tensor]] = {}
        for group in self.param_groups:
            for matrix in group["params"]:
                self._shapes.setdefault(matrix.shape, []).append(matrix)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update all matrices that have a gradient; `closure` is torch's and not used."""
        [group] = self.param_groups
        lr, decay = group["lr"], group["weight_decay"]
        for shape, all_of_it in self._shapes.items():
            matrices = [matrix for matrix in all_of_it if matrix.grad is not None]
            if not matrices:
                continue
            updates = orthogonal(torch.stack(self._momenta(matrices)))
            if decay:
                many.multiply(matrices, 1 - lr * decay)
            share = 0.2 * math.sqrt(max(shape))
            if isinstance(lr, Tensor):
                many.add(matrices, (updates.float() * (-share * lr)).unbind())
            else:
                many.add(matrices, updates.unbind(), alpha=-share * lr)

    def _momenta(self, matrices: Sequence[Tensor]) -> list[Tensor]:
        """Return the updates before they are made orthogonal."""
        for matrix in matrices:
            if not self.state[matrix]:
                buffer = torch.zeros_like(matrix, memory_format=torch.preserve_format)
                self.state[matrix]["momentum_buffer"] = buffer
        grads = [cast(Tensor, matrix.grad) for matrix in matrices]
        momenta = [self.state[matrix]["momentum_buffer"] for matrix in matrices]
        many.approach(momenta, grads, 1 - MOMENTUM)
        return many.between(grads, momenta, MOMENTUM)


def orthogonal(matrices: Tensor) -> Tensor:
    """Return about the nearest orthogonal matrix of each: (K, A, B) to (K, A, B), in bfloat16.

    Singular values end between 0.7 and 1.2 (Newton and Schulz's iteration, quintic).
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=EPSILON)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Optimiser:
    """One `step` over both optimisers, with warm-up and schedule.

    For a graph that is captured once the rates are tensors, which it follows.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, *, in_graph: bool = False) -> None:
        """Split the parameters of `network` as `recipe` says."""
        self._recipe = recipe
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._matrices: list[tuple[nn.Parameter, Sequence[Tensor]]] = []
        others: list[nn.Parameter] = []
        for name, parameter in network.named_parameters():
            if recipe.optimiser == "muon" and _is_matrix(name, parameter):
                self._matrices.append((parameter, _shared(parameter)))
            else:
                others.append(parameter)
        sides = _by_side(self._matrices)
        self._peaks = [recipe.lr] * bool(others) + [recipe.matrix_lr / side for side in sides]
        self._rates: Tensor | None = None
        rates: Sequence[Any] = self._peaks
        if in_graph:
            self._rates = self._parameters[0].new_tensor(self._peaks)
            rates = self._rates.unbind()
        self._optimisers: list[torch.optim.Optimizer] = []
        if others:
            adam = torch.optim.Adam(
                others, lr=rates[0], betas=(0.9, 0.99), fused=in_graph, capturable=in_graph
            )
            self._optimisers.append(adam)
        for views, rate in zip(sides.values(), rates[len(self._optimisers) :], strict=True):
            self._optimisers.append(Muon(views, lr=rate, weight_decay=recipe.weight_decay))

    def step(self, number: int) -> None:
        """Clip the gradients, apply update `number` (from 0) and clear the gradients."""
        rates = self.rates_at(number)
        if self._rates is None:
            for optimiser, rate in zip(self._optimisers, rates, strict=True):
                optimiser.param_groups[0]["lr"] = rate
            self._update()
        else:
            self.follow(self._rates.new_tensor(rates))

    def follow(self, rates: Tensor) -> None:
        """Do as `step` at rates that are on the network's device, one for each optimiser."""
        assert self._rates is not None
        self._rates.copy_(rates)
        self._update()

    def rates_at(self, number: int) -> list[float]:
        """Return the rate of each optimiser for update `number`."""
        factor = schedule(number, self._recipe)
        return [peak * factor for peak in self._peaks]

    def _update(self) -> None:
        nn.utils.clip_grad_norm_(self._parameters, self._recipe.clip_norm)
        for parameter, views in self._matrices:
            if parameter.grad is not None:
                for view, grad in zip(views, _matrices(parameter.grad), strict=True):
                    view.grad = grad.reshape(view.shape)
        for optimiser in self._optimisers:
            optimiser.step()
        for parameter in self._parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Return the moments of all updates so far, by optimiser, parameter and name."""
        return {
            f"{which}.{index}.{name}": tensor
            for which, optimiser in enumerate(self._optimisers)
            for index, parameter in enumerate(optimiser.param_groups[0]["params"])
            for name, tensor in optimiser.state[parameter].items()
        }

    def restore(self, state: Mapping[str, Tensor], source: str) -> None:
        """Bring back what `state` gave.

        Args:
            state: of an optimiser of an equal network and recipe.
            source: what to call it in an error message.

        Raises:
            CheckpointError: it is of another network or recipe.
        """
        for key, tensor in state.items():
            which, index, name = key.split(".")
            parameter = self._parameter(int(which), int(index))
            if parameter is None or (tensor.ndim and tensor.shape != parameter.shape):
                raise CheckpointError(f"{source} is of another network or recipe")
            # laid out like the parameter, as when it was made: kernels may round by layout
            moment = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
            moments = self._optimisers[int(which)].state[parameter]
            # Adam counts its steps on the CPU, but for a graph
            there = "cpu" if self._rates is None else parameter.device
            moments[name] = moment if tensor.ndim else tensor.to(there)

    def _parameter(self, which: int, index: int) -> Tensor | None:
        parameters = [optimiser.param_groups[0]["params"] for optimiser in self._optimisers]
        known = which < len(parameters) and index < len(parameters[which])
        return parameters[which][index] if known else None


def schedule(number: int, recipe: Recipe) -> float:
    """Share of the peak rate at step `number`: a linear rise, then as `recipe.schedule` says."""
    rise = max(1, round(recipe.warmup * recipe.steps))
    if number < rise:
        return (number + 1) / rise
    if recipe.schedule == "halving":
        return 0.5 ** sum(number >= share * recipe.steps for share in HALVINGS)
    if recipe.schedule == "trapezoid":
        share = min(1.0, 2 * (1 - number / recipe.steps))
    else:
        progress = (number - rise) / max(1, recipe.steps - rise)
        share = 0.5 * (1 + math.cos(math.pi * progress))
    return recipe.final_lr + (1 - recipe.final_lr) * share


def _is_matrix(name: str, parameter: Tensor) -> bool:
    """Return whether a parameter maps channels to channels inside the trunk."""
    if name.startswith(EDGES) or "position" in name or parameter.ndim < 2:
        return False
    inputs, outputs = (-1, -2) if parameter.ndim == 3 else (1, 0)
    return min(parameter.shape[inputs], parameter.shape[outputs]) >= SMALLEST


def _by_side(matrices: Sequence[tuple[nn.Parameter, Sequence[Tensor]]]) -> dict[int, list[Tensor]]:
    """Return the matrices by the side of the kernels that they are of, 1 for what is no kernel.

    A kernel's rate is divided by its side: Muon takes the k² taps that see nearly the same for as
    many independent inputs, and moves all of them by √(k²) too far.
    """
    groups: dict[int, list[Tensor]] = {}
    for parameter, views in matrices:
        side = parameter.shape[-1] if parameter.ndim == 4 else 1
        groups.setdefault(side, []).extend(views)
    return groups


def _matrices(tensor: Tensor) -> Sequence[Tensor]:
    """List the matrices in a parameter or its gradient, as views where it can be."""
    if tensor.ndim == 3:
        return tensor.unbind()
    if tensor.ndim == 4:  # kernels are kept channels-last: the view must follow that order
        return (tensor.permute(0, 2, 3, 1).flatten(1),)
    return (tensor,)


def _shared(parameter: nn.Parameter) -> Sequence[Tensor]:
    """Matrices that share memory with the parameter, whose kernels are made channels-last."""
    if parameter.ndim == 4:
        parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return _matrices(parameter.detach())
