"""Cross-layer attention, CLA and ACLA (arXiv 2203.03619): each pixel reads a few earlier pixels.

Notation: query x (B, C, H, W); L references, oldest first; K keys per reference; j = l·K + i.
    F_l = W_r R_l (one W_r for all);  offsets W_o x, pair j = channels (2j, 2j + 1) = (Δrow, Δcol)
    logits A = W_a x;  S_j = bilinear sample of F_l at the pixel plus offset j, zero outside
    CLA:   Σ_j softmax(A)_j S_j
    ACLA:  Σ_j m_j e^{A_j} S_j / max(Σ_j m_j e^{A_j}, 1e-12),  m from s = W_m x
           soft m = σ(s / τ), hard m = 1[s > 0]; in training m = 1[σ((s + g₁ − g₂) / τ) > ½] with
           Gumbel noise g and the gradient of the sigmoid
    params: 3KL(C + 1) + C² + C, with selection 4KL(C + 1) + C² + C, tail + 11C
Differs from the released code where that is at fault: its offset pairs overlap, its mask is
normalised along the image's width and multiplies the logits, and it stays random in evaluation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightir_core.architecture import CrossLayer


class CrossLayerAttention(nn.Module):
    """What a stage's output reads from earlier outputs; the caller adds it.

    Attributes:
        tau: temperature of the selection; anneal it in training, 5 to 0.5 is a usual course.
    """

    def __init__(self, settings: CrossLayer, width: int) -> None:
        """Build what `settings` describes for maps of `width` channels."""
        super().__init__()
        self.keys, self.references = settings.keys, settings.references
        self.hard = settings.selection == "hard"
        self.tau = 1.0
        candidates = self.keys * self.references
        self.value = nn.Conv2d(width, width, 1)
        self.offset = nn.Conv2d(width, 2 * candidates, 1)
        self.logit = nn.Conv2d(width, candidates, 1)
        self.selection = None if settings.selection == "none" else nn.Conv2d(width, candidates, 1)
        self.tail = _build_tail(width) if settings.depthwise_tail else None
        _spread_keys(self.offset, self.keys)

    def forward(self, x: Tensor, references: list[Tensor]) -> Tensor:
        """The attended sum.

        Args:
            x: the query, (B, C, H, W).
            references: the last L outputs before their attention, oldest first, shaped as `x`.

        Returns:
            (B, C, H, W) to be added to `x`.
        """
        batch = x.shape[0]
        values = self.value(torch.cat(references))  # (L·B, C, H, W)
        samples = _sample(values, self.offset(x).float(), self.references)  # (L·B, C, K, H, W)
        weights = self._weigh(x)  # (B, KL, H, W)
        weights = weights.unflatten(1, (self.references, -1)).transpose(0, 1)  # (L, B, K, H, W)
        samples = samples.unflatten(0, (-1, batch))
        y = (samples * weights.unsqueeze(2)).sum(dim=(0, 3))
        return y if self.tail is None else self.tail(y)

    def _weigh(self, x: Tensor) -> Tensor:
        """(B, KL, H, W): how much each candidate key counts."""
        logits = self.logit(x).float()
        if self.selection is None:
            return logits.softmax(dim=1)
        weights = self._keep(self.selection(x).float()) * torch.exp(
            logits - logits.amax(dim=1, keepdim=True)
        )
        return weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-12)

    def _keep(self, s: Tensor) -> Tensor:
        """(B, KL, H, W): the gate of each key."""
        if not self.training:
            return (s > 0).to(s.dtype) if self.hard else torch.sigmoid(s / self.tau)
        # the difference of two Gumbel variables is logistic
        uniform = torch.rand_like(s).clamp(1e-6, 1 - 1e-6)
        soft = torch.sigmoid((s + torch.logit(uniform)) / self.tau)
        return (soft > 0.5).to(s.dtype) + soft - soft.detach()


def _sample(values: Tensor, offsets: Tensor, references: int) -> Tensor:
    """Bilinear samples, zero outside.

    Args:
        values: (L·B, C, H, W), reference-major.
        offsets: (B, 2KL, H, W) in pixels.
        references: L.

    Returns:
        (L·B, C, K, H, W).
    """
    height, width = values.shape[-2:]
    offsets = offsets.unflatten(1, (references, -1, 2)).transpose(0, 1)  # (L, B, K, 2, H, W)
    row = torch.arange(height, device=offsets.device, dtype=offsets.dtype)
    column = torch.arange(width, device=offsets.device, dtype=offsets.dtype)
    # normalised so that -1 and 1 are the outer borders of the outer pixels
    y = (2 * (offsets[:, :, :, 0] + row[:, None]) + 1) / height - 1  # (L, B, K, H, W)
    x = (2 * (offsets[:, :, :, 1] + column) + 1) / width - 1
    grid = torch.stack((x, y), dim=-1).flatten(0, 1).flatten(1, 2)  # (L·B, K·H, W, 2)
    samples = F.grid_sample(values.to(grid.dtype), grid, padding_mode="zeros", align_corners=False)
    return samples.unflatten(2, (-1, height))


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


def build(settings: CrossLayer, width: int) -> CrossLayerAttention:
    """The module that `settings` describes, for feature maps of `width` channels."""
    return CrossLayerAttention(settings, width)
