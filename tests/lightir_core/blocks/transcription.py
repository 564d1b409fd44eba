"""The papers' formulas written down one after another: eager, explicit, a loop for every index.

Each function computes what a block of `lightir_core.blocks` computes, with the block's own
parameters, in the order in which the paper (or its released code) does it. They are the yardstick
of `python -m benchmarks blocks` and a second opinion on every block's output and gradient.
"""

import math

import torch
from torch.nn import functional as F

from lightir_core.blocks.attention import TablePosition
from lightir_core.blocks.cascade_attention import CascadeAttention
from lightir_core.blocks.cross_layer import CrossLayerAttention
from lightir_core.blocks.dsgm import Dsgm
from lightir_core.blocks.feed_forward import DepthwiseMlp, Mlp
from lightir_core.blocks.projection import GroupedLinear, ResidualProjection
from lightir_core.blocks.residual_convolution import ResidualConvolution
from lightir_core.blocks.window_attention import WindowAttention


def partition(x, window):
    """(B, H, W, C) to (B·nW, Wh, Ww, C), as Swin Transformer's window_partition."""
    B, H, W, C = x.shape
    x = x.view(B, H // window[0], window[0], W // window[1], window[1], C)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, *window, C)


def reverse(windows, window, H, W):
    """(B·nW, Wh, Ww, C) to (B, H, W, C), as Swin Transformer's window_reverse."""
    B = windows.shape[0] // (H * W // window[0] // window[1])
    x = windows.view(B, H // window[0], W // window[1], *window, -1)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(B, H, W, -1)


def shift_mask(H, W, window, shift):
    """(nW, N, N) of 0 and −100: Swin Transformer numbers the regions and compares the numbers."""
    regions = torch.zeros(1, H, W, 1)
    number = 0
    for rows in _regions(window[0], shift[0]):
        for columns in _regions(window[1], shift[1]):
            regions[:, rows, columns, :] = number
            number += 1
    tokens = partition(regions, window).view(-1, window[0] * window[1])
    apart = tokens[:, None, :] - tokens[:, :, None]
    return torch.zeros(apart.shape).masked_fill(apart != 0, -100.0)


def _regions(side, shift):
    if not shift:
        return [slice(None)]
    return [slice(0, -side), slice(-side, -shift), slice(-shift, None)]


def project(module, x):
    """Dense, or one product per group (GRFormer's GRL), with the identity if it has one."""
    if isinstance(module, ResidualProjection):
        return x + project(module.map, x)
    if not isinstance(module, GroupedLinear):
        return F.linear(x, module.weight, module.bias)
    slices = x.chunk(len(module.weight), dim=-1)
    y = torch.cat([F.linear(x, w) for x, w in zip(slices, module.weight, strict=True)], dim=-1)
    return y if module.bias is None else y + module.bias


def position_bias(module):
    """(h, N, N): the table, or the table that ES-RPB computes, read at each pair's offset."""
    if isinstance(module, TablePosition):
        table = module.table
    else:
        inner = F.relu(F.linear(module.offsets, module.inward.weight, module.inward.bias))
        table = 16 * torch.sigmoid(F.linear(inner, module.outward.weight))
    tokens = len(module.index)
    bias = table[module.index.view(-1)].view(tokens, tokens, -1)
    return bias.permute(2, 0, 1).contiguous()


def head_attention(q, k, v, bias, mask):
    """(B·nW, N, d): softmax(q kᵀ + bias + mask) v of one head; q is scaled already."""
    logits = q @ k.transpose(-2, -1)
    if bias is not None:
        logits = logits + bias
    if mask is not None:
        logits = (logits.view(-1, *mask.shape) + mask).view(logits.shape)
    return logits.softmax(dim=-1) @ v


def window_attention(module, x):
    """SwinIR's, GRFormer's and DRT's attention, and Compacter's with its channel branch."""
    window, shift, heads = module.window_size, module.shift_size, module.num_heads
    _B, _, H, W = x.shape
    x = x.permute(0, 2, 3, 1).contiguous()
    if any(shift):
        x = torch.roll(x, (-shift[0], -shift[1]), dims=(1, 2))
    windows = partition(x, window).view(-1, window[0] * window[1], x.shape[-1])
    q, k, v = (project(layer, windows) for layer in (module.q, module.k, module.v))
    mask = shift_mask(H, W, window, shift) if any(shift) else None
    bias = None if module.position is None else position_bias(module.position)
    outputs = []
    for head, (q_h, k_h, v_h) in enumerate(
        zip(q.chunk(heads, -1), k.chunk(heads, -1), v.chunk(heads, -1), strict=True)
    ):
        if module.log_tau is None:
            q_h = q_h * q_h.shape[-1] ** -0.5
        else:
            tau = torch.exp(module.log_tau[head].clamp(max=math.log(100)))
            q_h, k_h = F.normalize(q_h, dim=-1) * tau, F.normalize(k_h, dim=-1)
        outputs.append(head_attention(q_h, k_h, v_h, None if bias is None else bias[head], mask))
    y = _image(torch.cat(outputs, dim=-1), window, shift, H, W)
    if module.channel is not None or module.depthwise is not None:
        q, k, v = (_image(map_, window, shift, H, W) for map_ in (q, k, v))
    if module.channel is not None:
        y = channel_branch(module.channel, q, k, v, y)
    if module.depthwise is not None:
        depthwise = module.depthwise
        v = v.permute(0, 3, 1, 2).contiguous()
        v = F.conv2d(v, depthwise.weight, depthwise.bias, padding=1, groups=v.shape[1])
        y = y + v.permute(0, 2, 3, 1)
    return project(module.output, y).permute(0, 3, 1, 2).contiguous()


def _image(windows, window, shift, H, W):
    y = reverse(windows.view(-1, *window, windows.shape[-1]), window, H, W)
    return torch.roll(y, shift, dims=(1, 2)) if any(shift) else y


def channel_branch(module, q, k, v, spatial):
    """Compacter's channel attention, head by head, and the cross-sigmoid interaction."""
    B, H, W, C = q.shape
    outputs = []
    for head, maps in enumerate(
        zip(*(map_.chunk(module.num_heads, -1) for map_ in (q, k, v)), strict=True)
    ):
        q_h, k_h, v_h = (map_.reshape(B, H * W, -1).transpose(1, 2) for map_ in maps)
        q_h, k_h = F.normalize(q_h, dim=-1), F.normalize(k_h, dim=-1)
        logits = q_h @ k_h.transpose(-2, -1) * module.temperature[head]
        outputs.append(logits.softmax(dim=-1) @ v_h)
    channel = torch.cat(outputs, dim=1).transpose(1, 2).reshape(B, H, W, C)
    if not module.interaction:
        return spatial + channel
    return spatial * torch.sigmoid(channel) + channel * torch.sigmoid(spatial)


def cascade_attention(module, x):
    """AgileIR's GSWA, head after head, as its released code would run with its output used."""
    window, shift = module.window_size, module.shift_size
    _B, _C, H, W = x.shape
    x = x.permute(0, 2, 3, 1).contiguous()
    if any(shift):
        x = torch.roll(x, (-shift[0], -shift[1]), dims=(1, 2))
    windows = partition(x, window).permute(0, 3, 1, 2).contiguous()  # (B·nW, C, Wh, Ww)
    mask = shift_mask(H, W, window, shift) if module.mask is not None else None
    bias = position_bias(module.position)
    outputs = []
    for number, (head, group) in enumerate(
        zip(module.heads, windows.chunk(module.num_heads, dim=1), strict=True)
    ):
        if number and module.cascade:
            group = group + outputs[-1]
        qkv = head.norm(head.qkv(group))
        q, k, v = qkv.split([head.key_dim, head.key_dim, group.shape[1]], dim=1)
        q = head.filter_norm(head.filter(q))
        q, k, v = (map_.flatten(2).transpose(1, 2) for map_ in (q, k, v))
        y = head_attention(q * head.key_dim**-0.5, k, v, bias[number], mask)
        outputs.append(y.transpose(1, 2).reshape(group.shape))
    y = module.output_norm(module.output(F.relu(torch.cat(outputs, dim=1))))
    y = reverse(y.permute(0, 2, 3, 1).contiguous(), window, H, W)
    if any(shift):
        y = torch.roll(y, shift, dims=(1, 2))
    return y.permute(0, 3, 1, 2).contiguous()


def cross_layer_attention(module, x, references):
    """ACLA and CLA: each key of each reference sampled by itself, then the weighted sum."""
    _B, _C, H, W = x.shape
    offsets, weights = module.offset(x), key_weights(module, x)
    rows = torch.arange(H)[:, None].expand(H, W)
    columns = torch.arange(W).expand(H, W)
    y = torch.zeros_like(x)
    for number, reference in enumerate(references):
        values = module.value(reference)
        for key in range(number * module.keys, (number + 1) * module.keys):
            row, column = rows + offsets[:, 2 * key], columns + offsets[:, 2 * key + 1]
            y = y + weights[:, key : key + 1] * bilinear(values, row, column)
    return y if module.tail is None else module.tail(y)


def key_weights(module, x):
    """How much each key counts; in training hard weights take the soft ones' gradient."""
    logits = module.logit(x)
    if module.selection is None:
        return shares(1.0, logits)
    s = module.selection(x)
    if module.training:
        uniform = torch.rand_like(s).clamp(1e-6, 1 - 1e-6)
        s = s + uniform.log() - torch.log1p(-uniform)
    soft = shares(torch.sigmoid(s / module.tau), logits)
    if not module.hard:
        return soft
    hard = shares((s > 0).to(s.dtype), logits)
    return (hard - soft).detach() + soft


def shares(gate, logits):
    """The gated exponentials, as shares of their sum."""
    weights = gate * torch.exp(logits - logits.amax(dim=1, keepdim=True))
    return weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-12)


def bilinear(values, row, column):
    """(B, C, H, W) read at (row, column), each (B, H, W) in pixels; zero outside."""
    B, C, H, W = values.shape
    top, left = row.floor(), column.floor()
    total = torch.zeros_like(values)
    for down in (0, 1):
        for right in (0, 1):
            y, x = top + down, left + right
            weight = (1 - (row - y).abs()) * (1 - (column - x).abs())
            inside = (y >= 0) & (y < H) & (x >= 0) & (x < W)
            index = y.clamp(0, H - 1).long() * W + x.clamp(0, W - 1).long()
            index = index.view(B, 1, H * W).expand(B, C, H * W)
            pixels = values.flatten(2).gather(2, index).view(B, C, H, W)
            total = total + (weight * inside)[:, None] * pixels
    return total


def mlp(module, x):
    """W₂ GELU(W₁ x) on tokens."""
    B, C, H, W = x.shape
    tokens = x.flatten(2).transpose(1, 2)
    y = project(module.outward, F.gelu(project(module.inward, tokens)))
    return y.transpose(1, 2).reshape(B, C, H, W)


def depthwise_mlp(module, x):
    """GRFormer's: W₂ (y + DW(GELU(DW(y)))) with y = GELU(W₁ x)."""
    B, _C, H, W = x.shape
    y = F.gelu(project(module.inward, x.flatten(2).transpose(1, 2)))
    y = y.transpose(1, 2).reshape(B, -1, H, W)
    y = y + module.depthwise2(F.gelu(module.depthwise1(y)))
    return project(module.outward, y.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(x.shape)


def dsgm(module, x):
    """Compacter's two depth-wise paths that gate each other."""
    B, _C, H, W = x.shape
    tokens = x.flatten(2).transpose(1, 2)
    u = project(module.inward_u, tokens).transpose(1, 2).reshape(B, -1, H, W)
    v = project(module.inward_v, tokens).transpose(1, 2).reshape(B, -1, H, W)
    u, v = module.depthwise_u(u), module.depthwise_v(v)
    z = torch.sigmoid(u) * v + u * F.gelu(v)
    y = project(module.outward, z.flatten(2).transpose(1, 2))
    return y.transpose(1, 2).reshape(x.shape)


def residual_convolution(module, x):
    """EDSR's two convolutions."""
    return module.conv2(F.relu(module.conv1(x)))


TRANSCRIPTIONS = {
    WindowAttention: window_attention,
    CascadeAttention: cascade_attention,
    ResidualConvolution: residual_convolution,
    CrossLayerAttention: cross_layer_attention,
    Mlp: mlp,
    DepthwiseMlp: depthwise_mlp,
    Dsgm: dsgm,
}
"""From a block's class to the function that computes it from the formulas."""
