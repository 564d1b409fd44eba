"""Where each tensor of a published checkpoint belongs in our networks.

A published name leads to a list of our tensors; the published tensor is theirs one after another
along its first dimension (a fused qkv goes to q, k and v). The same list says which shape a file
must hold. Names are those of the released code; see each system's paper for the concepts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lightir_core.network import Network

Targets = dict[str, list[Tensor]]


def layer(name: str, *modules: Any) -> Targets:  # noqa: ANN401  any module with weight and bias
    """Weight and bias of one layer, or of several that the release keeps in one."""
    return {
        f"{name}.{part}": [getattr(module, part).detach() for module in modules]
        for part in ("weight", "bias")
        if getattr(modules[0], part) is not None
    }


def batch_norm(name: str, module: Any) -> Targets:  # noqa: ANN401  see `layer`
    """Weight, bias and running statistics."""
    statistics = {
        f"{name}.{part}": [getattr(module, part)] for part in ("running_mean", "running_var")
    }
    return layer(name, module) | statistics


def halves(name: str, module: Any) -> Targets:  # noqa: ANN401  see `layer`
    """Return a grouped projection that the release keeps as the layers `name`1, `name`2, ..."""
    weights = module.weight.detach()
    biases = module.bias.detach().chunk(len(weights))
    targets: Targets = {}
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        targets |= {f"{name}{number}.weight": [weight], f"{name}{number}.bias": [bias]}
    return targets


def swin_attention(name: str, mixer: Any) -> Targets:  # noqa: ANN401  a WindowAttention
    """Window attention of Swin Transformer: fused qkv, a table of biases."""
    return {
        f"{name}.relative_position_bias_table": [mixer.position.table.detach()],
        **layer(f"{name}.qkv", mixer.q, mixer.k, mixer.v),
        **layer(f"{name}.proj", mixer.output),
    }


def grouped_attention(name: str, mixer: Any) -> Targets:  # noqa: ANN401  a WindowAttention
    """GRFormer's GRSA."""
    return {
        f"{name}.logit_scale": [mixer.log_tau.detach()],
        **layer(f"{name}.ESRPB_MLP.0", mixer.position.inward),
        **layer(f"{name}.ESRPB_MLP.2", mixer.position.outward),
        **halves(f"{name}.q", mixer.q.map),
        **halves(f"{name}.k", mixer.k.map),
        **halves(f"{name}.v", mixer.v.map),
        **halves(f"{name}.proj", mixer.output),
    }


def cascade_attention(name: str, mixer: Any) -> Targets:  # noqa: ANN401  a CascadeAttention
    """AgileIR's GSWA."""
    targets: Targets = {f"{name}.relative_position_bias_table": [mixer.position.table.detach()]}
    for number, head in enumerate(mixer.heads):
        targets |= layer(f"{name}.groupatt.qkvs.{number}.c", head.qkv)
        targets |= batch_norm(f"{name}.groupatt.qkvs.{number}.bn", head.norm)
        targets |= layer(f"{name}.groupatt.dws.{number}.c", head.filter)
        targets |= batch_norm(f"{name}.groupatt.dws.{number}.bn", head.filter_norm)
    targets |= layer(f"{name}.groupatt.proj.1.c", mixer.output)
    return targets | batch_norm(f"{name}.groupatt.proj.1.bn", mixer.output_norm)


def mlp(name: str, module: Any) -> Targets:  # noqa: ANN401  a feed-forward
    """Return the two linear layers, and GRFormer's depth-wise ones where there are some."""
    targets = layer(f"{name}.fc1", module.inward) | layer(f"{name}.fc2", module.outward)
    if hasattr(module, "depthwise1"):
        targets |= layer(f"{name}.dwconv.depthwise_conv.0", module.depthwise1)
        targets |= layer(f"{name}.dwconv.depthwise_conv.2", module.depthwise2)
    return targets


def block(name: str, module: Any) -> Targets:  # noqa: ANN401  a Block
    """One transformer block; its kind of attention is read from the module."""
    mixer = module.mixer
    if hasattr(mixer, "heads"):
        attention = cascade_attention
    else:
        attention = swin_attention if mixer.log_tau is None else grouped_attention
    return {
        **layer(f"{name}.norm1", module.norm1),
        **attention(f"{name}.attn", mixer),
        **layer(f"{name}.norm2", module.norm2),
        **mlp(f"{name}.mlp", module.feed_forward),
    }


def swin_network(network: Network) -> Targets:
    """SwinIR, AgileIR and GRFormer; the last one's blocks lie one level higher."""
    stem, tail, body = network.stem, network.tail, network.body
    targets = layer("conv_first", stem.conv)
    inner = "blocks"
    if stem.norm is not None:
        inner = "residual_group.blocks"
        targets |= layer("patch_embed.norm", stem.norm)
    stage: Any
    for number, stage in enumerate(network.stages):
        for index, module in enumerate(stage.blocks):
            targets |= block(f"layers.{number}.{inner}.{index}", module)
        targets |= layer(f"layers.{number}.conv", stage.closing)
    targets |= layer("norm", body.norm) | layer("conv_after_body", body.closing)
    last = "conv_last" if tail.interpolated else "upsample.0"
    return targets | layer(last, tail.last)


def drt_network(network: Network) -> Targets:
    """DRT; the released `block2` runs first."""
    targets = layer("patch_embed.proj", network.stem.conv)
    targets |= layer("patch_unembed.proj", network.tail.last)
    stage: Any
    for number, stage in enumerate(network.stages):
        name = f"recursive_layers.{number}"
        for released, module in zip(("block2", "block1"), stage.blocks, strict=True):
            targets |= block(f"{name}.{released}.transformer", module)
        targets |= layer(f"{name}.conv_out", stage.closing)
    return targets


def cross_layer(name: str, module: Any) -> Targets:  # noqa: ANN401  a CrossLayerAttention
    """CLA or ACLA; the release puts CLA's logits into a sequence of one."""
    adaptive = module.selection is not None
    targets = layer(f"{name}.conv_refer", module.value)
    targets |= layer(f"{name}.conv_offset", module.offset)
    targets |= layer(f"{name}.conv_attn" if adaptive else f"{name}.conv_attn.0", module.logit)
    if adaptive:
        targets |= layer(f"{name}.mask_unit", module.selection)
    if module.tail is not None:
        targets |= layer(f"{name}.depthwise_conv", module.tail[0])
        targets |= batch_norm(f"{name}.bn", module.tail[1])
    return targets


def edsr_network(network: Network) -> Targets:
    """EDSR with its residual blocks in stages and a cross-layer module after each."""
    targets = layer("head.0", network.stem.conv)
    stage: Any
    for number, stage in enumerate(network.stages):
        for index, module in enumerate(stage.blocks):
            name = f"body.{number}.{index}.body"
            targets |= layer(f"{name}.0", module.mixer.conv1)
            targets |= layer(f"{name}.2", module.mixer.conv2)
    for number, module in network.cross_layers.items():
        targets |= cross_layer(f"cla.{number}", module)
    targets |= layer("tail.0", network.body.closing)
    for index, module in enumerate(itertools.islice(network.tail.upsampler, 0, None, 2)):
        targets |= layer(f"tail.1.{2 * index}", module)  # pixel shuffles lie between
    return targets | layer("tail.2", network.tail.last)


def fill(targets: Sequence[Tensor], tensor: Tensor) -> None:
    """Copy a published tensor into ours, which it holds one after another."""
    parts = tensor.split([target.shape[0] for target in targets])
    for target, part in zip(targets, parts, strict=True):
        target.copy_(part)


def published_shape(targets: Sequence[Tensor]) -> tuple[int, ...]:
    """Return the shape that the published tensor of these places has."""
    return sum(target.shape[0] for target in targets), *targets[0].shape[1:]
