"""Zero-cost proxies: scores of an untrained network from one batch. Higher is better.

Notation: θ weights of the network f, L its loss on one batch, B images, N units.
    synflow    Σ |θ ⊙ ∂R/∂θ|,  R = Σ f_|θ|(1)        Tanaka et al., NeurIPS 2020, Eq. (2)
    grad-norm  Σ ‖∂L/∂θ‖₂, over the tensors          Abdelfattah et al., ICLR 2021, section 3.2
    naswot     ln |det K|,  K_ij = N − d_H(c_i, c_j)   Mellor et al., ICML 2021, Eq. (2)
               c_i the signs of all units for image i, d_H how many of them differ

Differs from the papers, since these networks are not plain ReLU networks:
  * Layers that start at zero (the last convolution, GSWA's output norm) would hide all that lies
    before them: they are given weights as the others have. The interpolated skip is constant.
  * SynFlow conserves flow in networks that are homogeneous in their weights. Norms, softmax and
    GELU are not; they are left as they are, in evaluation mode, and the image is all ones. Sums are
    in double precision, and the score is ln(1 + sum): only its order counts.
  * NASWOT's units are the inputs of every pointwise nonlinearity (ReLU, GELU, sigmoid and the
    like), and the outputs of every mixer: softmax attention has no pieces, but what it gives is
    what the next linear map sees. So a network without a feed-forward has codes as well.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lightir_core.network import Block, Network

POINTWISE = ("relu", "gelu", "sigmoid", "silu", "tanh", "leaky_relu", "elu", "hardswish")
"""Functions whose inputs are units, by name."""

Proxy = Callable[[Network, Tensor, Tensor], float]
"""(network, low quality, truth) -> score; the network may be changed."""


def synflow(network: Network, lq: Tensor, _: Tensor) -> float:
    """ln(1 + Σ |θ ∂R/∂θ|) of the network with absolute weights, on one image of ones."""
    network = awake(network).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    network(torch.ones_like(lq[:1], dtype=torch.float64)).sum().backward()
    return math.log1p(sum((p.grad * p).abs().sum().item() for p in _learned(network)))


def grad_norm(network: Network, lq: Tensor, gt: Tensor) -> float:
    """Return the norms of the gradients of the mean absolute error, added up over the tensors."""
    network = awake(network).train()
    (network(lq) - gt).abs().mean().backward()
    return sum(p.grad.norm().item() for p in _learned(network))


def naswot(network: Network, lq: Tensor, _: Tensor) -> float:
    """Tell of how many units have the same sign for two images: ln |det K|."""
    network = awake(network).eval().requires_grad_(False)
    kernel = torch.zeros(len(lq), len(lq), dtype=torch.float64, device=lq.device)

    def count(units: Tensor) -> None:
        # position biases have units as well, which no image reaches
        if units.requires_grad:
            code = (units.detach() > 0).reshape(len(lq), -1).to(torch.float32)
            kernel.add_(code @ code.T + (1 - code) @ (1 - code).T)

    mixers = [block.mixer for block in network.modules() if isinstance(block, Block)]
    hooks = [mixer.register_forward_hook(lambda *call: count(call[2])) for mixer in mixers]
    with _Watch(count):
        network(lq.clone().requires_grad_())
    for hook in hooks:
        hook.remove()
    return torch.linalg.slogdet(kernel).logabsdet.item()


PROXIES: dict[str, Proxy] = {"synflow": synflow, "grad-norm": grad_norm, "naswot": naswot}


@torch.no_grad()
def awake(network: Network) -> Network:
    """Return the network, its weights that start at zero replaced.

    Matrices drawn, norms set to one.
    """
    for name, parameter in network.named_parameters():
        if name.endswith("weight") and not parameter.any():
            if parameter.ndim == 1:
                parameter.fill_(1)
            else:
                parameter.normal_(0, parameter[0].numel() ** -0.5)
    return network


def _learned(network: nn.Module) -> Iterable[Any]:
    return (parameter for parameter in network.parameters() if parameter.grad is not None)


class _Watch(TorchFunctionMode):
    """Tells `count` of the input of every pointwise nonlinearity."""

    def __init__(self, count: Callable[[Tensor], None]) -> None:
        super().__init__()
        self._count = count

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        if getattr(func, "__name__", "") in POINTWISE:
            self._count(args[0])
        return func(*args, **(kwargs or {}))
