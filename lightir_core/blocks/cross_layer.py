"""Cross-layer attention, CLA and ACLA (arXiv 2203.03619): each pixel reads a few earlier pixels.

Notation: query x (B, C, H, W); L references, oldest first; K keys per reference; j = l·K + i.
    F_l = W_r R_l (one W_r for all);  offsets W_o x, pair j = channels (2j, 2j + 1) = (Δrow, Δcol)
    logits A = W_a x;  S_j = bilinear sample of F_l at the pixel plus offset j, zero outside
    CLA:   Σ_j softmax(A)_j S_j
    ACLA:  Σ_j m_j e^{A_j} S_j / max(Σ_j m_j e^{A_j}, 1e-12),  m from s = W_m x
           soft m = σ(s / τ), hard m = 1[s > 0]; in training s has Gumbel noise g₁ − g₂ added, and
           the hard weights take the gradient of the soft ones
    params: 3KL(C + 1) + C² + C, with selection 4KL(C + 1) + C² + C, tail + 11C
Differs from the released code where that is at fault: its offset pairs overlap, its mask is
normalised along the image's width and multiplies the logits, and it stays random in evaluation.
"""

from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional as F

from lightir_core.architecture import CrossLayerConfig
from lightir_core.blocks.axes import Axis, Channels, Extent, Grouped, along, batch_norm, dense
from lightir_core.blocks.projection import is_traced
from lightir_core.blocks.windows import channels_first, channels_last


class CrossLayerAttention(nn.Module):
    """What a stage's output reads from earlier outputs; the caller adds it.

    Attributes:
        tau: temperature of the selection, a buffer as it belongs to the trained network; see
            `set_temperature`.
    """

    tau: Tensor

    def __init__(self, settings: CrossLayerConfig, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__()
        self.keys, self.references = settings.keys, settings.references
        self.hard = settings.selection == "hard"
        candidates = self.keys * self.references
        self.value = nn.Conv2d(width, width, 1)
        self.offset = nn.Conv2d(width, 2 * candidates, 1)
        self.logit = nn.Conv2d(width, candidates, 1)
        self.selection = None if settings.selection == "none" else nn.Conv2d(width, candidates, 1)
        if self.selection is not None:
            self.register_buffer("tau", torch.tensor(1.0, dtype=torch.float64))
        self.tail = _build_tail(width) if settings.depthwise_tail else None
        _spread_keys(self.offset, self.keys)

    @staticmethod
    def channels(settings: CrossLayerConfig, width: int) -> Channels:
        """Return the axes of all its convolutions; a key has two offsets."""
        trunk, keys = along(width=width), torch.arange(settings.references * settings.keys)
        axes: dict[str, tuple[Axis, ...] | Grouped] = {**dense("value", trunk, trunk)}
        axes |= dense("offset", trunk, along(cross_keys=keys.repeat_interleave(2)))
        for reader in ("logit", "selection")[: 1 + (settings.selection != "none")]:
            axes |= dense(reader, trunk, along(cross_keys=keys))
        if settings.depthwise_tail:
            axes |= {"tail.0.weight": (trunk,), **batch_norm("tail.1", trunk)}
        extents = {"cross_keys": Extent(settings.references, settings.keys, ("keys",))}
        return Channels(axes=axes, extents=extents)

    def forward(self, x: Tensor, references: list[Tensor]) -> Tensor:
        """Return the attended sum.

        Args:
            x: the query, (B, C, H, W).
            references: the last L outputs before their attention, oldest first, shaped as `x`.

        Returns:
            (B, C, H, W) to be added to `x`.
        """
        values = self.value(torch.cat(references))  # (L·B, C, H, W)
        offsets = channels_last(_precise(self.offset(x))).unflatten(-1, (-1, 2))  # (B, H, W, KL, 2)
        rows, weights = _corners(offsets, channels_last(self._weigh(x)), self.references)
        y = weighted_rows(channels_last(values).flatten(0, 2), rows, weights)  # (B·H·W, C)
        y = channels_first(y.view(*channels_last(x).shape))
        return y if self.tail is None else self.tail(y)

    def _weigh(self, x: Tensor) -> Tensor:
        """Return (B, KL, H, W): how much each candidate key counts."""
        logits = _precise(self.logit(x))
        if self.selection is None:
            return logits.softmax(dim=1)
        s = _precise(self.selection(x))
        if self.training:
            uniform = torch.rand_like(s).clamp(1e-6, 1 - 1e-6)
            # the difference of two Gumbel variables is logistic
            s = s + uniform.log() - torch.log1p(-uniform)
        if not self.hard:
            return _shares(_sigmoid(s / self.tau), logits)
        hard = _shares((s > 0).to(s.dtype), logits)
        if not self.training:
            return hard
        # not through the hard shares: where no key is kept their gradient is 1e12
        soft = _shares(torch.sigmoid(s / self.tau), logits)
        return hard.detach() + soft - soft.detach()


def _shares(gates: Tensor, logits: Tensor) -> Tensor:
    """Gated exponentials (B, KL, H, W) that sum to one, or to nothing where no key is kept."""
    weights = gates * torch.exp(logits - logits.amax(dim=1, keepdim=True))
    return weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-12)


def _precise(x: Tensor) -> Tensor:
    """Cast to at least float32: under autocast positions and exponentials would lose digits."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _sigmoid(x: Tensor) -> Tensor:
    """Return the logistic function; where all gates are nearly shut their ratios count."""
    if torch.compiler.is_exporting():  # onnxruntime's own stops falling at x = -18
        return x.clamp_max(0).exp() / (1 + (-x.abs()).exp())
    return torch.sigmoid(x)


def _corners(offsets: Tensor, weights: Tensor, references: int) -> tuple[Tensor, Tensor]:
    """Find the four pixels around each sample, as rows of a (L·B·H·W, C) table, and their weights.

    Bilinear sampling and the sum over keys are both linear in the table, so they are one weighted
    sum of 4KL rows for each pixel.

    Args:
        offsets: (B, H, W, KL, 2), (Δrow, Δcol) in pixels; keys of a reference side by side.
        weights: (B, H, W, KL).
        references: L.

    Returns:
        Row numbers and weights, both (B·H·W, 4KL); a corner outside the map weighs zero.
    """
    batch, height, width, candidates, _ = offsets.shape
    device = offsets.device
    row = offsets[..., 0] + torch.arange(height, device=device)[:, None, None]
    column = offsets[..., 1] + torch.arange(width, device=device)[:, None]
    reference = torch.arange(references, device=device).repeat_interleave(candidates // references)
    image = reference * batch + torch.arange(batch, device=device)[:, None]  # (B, KL)
    first_line = (image * height)[:, None, None]
    indices: list[Tensor] = []
    shares: list[Tensor] = []
    for y, y_weight in _neighbours(row, height):
        line, line_weight = (first_line + y) * width, y_weight * weights
        for x, x_weight in _neighbours(column, width):
            indices.append(line + x)
            shares.append(line_weight * x_weight)
    return torch.cat(indices, dim=-1).flatten(0, 2), torch.cat(shares, dim=-1).flatten(0, 2)


def _neighbours(position: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    """Return the whole positions below and above each one, and their weights.

    Positions outside 0 to size − 1 are moved inside and weigh zero.
    """
    floor = position.floor()
    part = position - floor
    # cast first: a diverged network's NaN then becomes a wrong pixel, not a wild address
    below = floor.long()
    return [_inside(below, 1 - part, size), _inside(below + 1, part, size)]


def _inside(whole: Tensor, weight: Tensor, size: int) -> tuple[Tensor, Tensor]:
    inside = whole.clamp(0, size - 1)
    return inside, weight * (whole == inside)


def _spread_keys(offset: nn.Conv2d, keys: int) -> None:
    """Start with the K keys of each reference on a ring of one pixel, so that they differ."""
    assert offset.bias is not None
    nn.init.zeros_(offset.weight)
    angle = torch.arange(offset.out_channels // 2) % keys * (2 * torch.pi / keys)
    with torch.no_grad():
        offset.bias.copy_(torch.stack((angle.sin(), angle.cos()), dim=-1).flatten())


def _build_tail(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False), nn.BatchNorm2d(width)
    )


def set_temperature(network: nn.Module, tau: float) -> None:
    """Set τ of every key selection in `network`; training usually anneals it from 5 to 0.5."""
    for module in network.modules():
        if isinstance(module, CrossLayerAttention) and module.selection is not None:
            module.tau.fill_(tau)


def weighted_rows(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Σ_j weights[n, j]·table[rows[n, j]], without storing the rows that were read.

    Args:
        table: (R, C).
        rows: (N, J), whole numbers below R.
        weights: (N, J).

    Returns:
        (N, C), of the weights' type.
    """
    table = table.to(weights.dtype)
    if torch.compiler.is_exporting():  # exporters know the plain form only
        return (weights.unsqueeze(1) @ table[rows]).squeeze(1)
    if table.device.type != "cpu" or is_traced():
        return F.embedding_bag(rows, table, per_sample_weights=weights, mode="sum")
    y = F.embedding_bag(rows, table.detach(), per_sample_weights=weights, mode="sum")
    return _TableGradient.apply(y, table, rows, weights)


class _TableGradient(torch.autograd.Function):
    """Nothing forwards; backwards the gradient of the table, which torch sorts all rows for."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401  torch's context takes any attribute
        y: Tensor,
        table: Tensor,
        rows: Tensor,
        weights: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(rows, weights)
        ctx.count = len(table)
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        rows, weights = ctx.saved_tensors
        reached = None
        if ctx.needs_input_grad[1]:
            reached = row_gradient(grads[0], rows, weights, ctx.count)
        return grads[0], reached, None, None


# an operation of its own, so that whoever counts memory sees it
@torch.library.custom_op("lightir::row_gradient", mutates_args=())
def row_gradient(grad: Tensor, rows: Tensor, weights: Tensor, count: int) -> Tensor:
    """Return Σ weights[n, j]·grad[n] over the readers of each of `count` rows, (count, C)."""
    starts = np.arange(0, rows.numel() + 1, rows.shape[1], dtype=np.int32)
    entries = weights.flatten().numpy(), rows.flatten().to(torch.int32).numpy(), starts
    reads = csr_array(entries, shape=(len(rows), count))
    return grad.new_empty(count, grad.shape[1]).copy_(torch.from_numpy(reads.T @ grad.numpy()))


@row_gradient.register_fake
def _(grad: Tensor, rows: Tensor, weights: Tensor, count: int) -> Tensor:
    return grad.new_empty(count, grad.shape[1])
