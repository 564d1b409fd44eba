"""Published weights into our networks: GRFormer, SwinIR, AgileIR, DRT and EDSR with CLA or ACLA.

read_checkpoint(path) -> tensors;  infer(system, tensors) -> config;  load(...) -> network

A published name leads to a list of our tensors; the published tensor is theirs one after another
along its first dimension (a fused qkv goes to q, k and v). The same list says which shape a file
must hold. Names are those of the released code; see each system's paper for the concepts.
"""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightir_core.architecture import Architecture
from lightir_core.checkpoints import check_tensors
from lightir_core.errors import CheckpointError, nearest
from lightir_core.network import Network, build
from lightir_core.published import configs

Targets = dict[str, list[Tensor]]


def layer(name: str, *modules: Any) -> Targets:  # noqa: ANN401  any module with weight and bias
    """Weight and bias of one layer, or of several that the release keeps in one."""
    return {
        f"{name}.{part}": [getattr(module, part).detach() for module in modules]
        for part in ("weight", "bias")
        if getattr(modules[0], part) is not None
    }


def batch_norm(name: str, module: Any) -> Targets:  # noqa: ANN401  see `layer`
    """Place weight, bias and running statistics."""
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
    """Place one transformer block; its kind of attention is read from the module."""
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
    """Place SwinIR, AgileIR and GRFormer; the last one's blocks lie one level higher."""
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


@dataclass(frozen=True)
class System:
    """How one release is read.

    Attributes:
        architecture: configuration to architecture.
        infer: tensors to configuration.
        targets: network to where each published tensor belongs.
        derived: pattern of names that are no parameters, or that the release never uses.
    """

    architecture: Callable[[configs.Config], Architecture]
    infer: Callable[[configs.Tensors], dict[str, Any]]
    targets: Callable[[Network], Targets]
    derived: str


_SWIN_DERIVED = r".*\.(relative_position_index|attn_mask|num_batches_tracked)"
SYSTEMS: dict[str, System] = {
    "swinir": System(configs.swinir, configs.infer_swinir, swin_network, _SWIN_DERIVED),
    "grformer": System(
        configs.grformer,
        configs.infer_grformer,
        swin_network,
        r".*\.(relative_position_index|relative_position_bias_table|attn_mask)",
    ),
    "agileir": System(configs.agileir, configs.infer_agileir, swin_network, _SWIN_DERIVED),
    "drt": System(
        configs.drt,
        configs.infer_drt,
        drt_network,
        # two convolutions that the release builds and never calls
        rf"{_SWIN_DERIVED}|(input_conv1|output_conv1)\..*",
    ),
    "edsr-cla": System(
        configs.edsr_cla,
        configs.infer_edsr_cla,
        edsr_network,
        r"(sub_mean|add_mean)\..*|.*\.num_batches_tracked",
    ),
}
"""Every release that can be read, by name."""

PRESET_SYSTEMS: dict[str, str] = {
    "swinir-light": "swinir",
    "grformer": "grformer",
    "agileir": "agileir",
    "agileir-light": "agileir",
    "drt": "drt",
    "edsr-acla": "edsr-cla",
}
"""Presets whose weights can be read, and as which system."""

_WRAPPERS = ("params_ema", "params", "state_dict")


def load(
    system: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor] | Mapping[str, np.ndarray]
) -> Network:
    """Return a published network with its weights, in evaluation mode.

    Args:
        system: a key of `SYSTEMS`.
        config: the published constructor arguments. DRT's ``denormalisation="literal"`` says that
            the weights expect the release's (z + mean)·std instead of z·std + mean; the last bias
            is then moved so that both give the same image.
        tensors: by published name.

    Raises:
        CheckpointError: no such system, an argument is missing, or the tensors are not those of
            this network; names the first missing and the first unexpected one with their shapes.
    """
    entry = _find(system)
    given = {name: torch.as_tensor(tensor) for name, tensor in tensors.items()}
    try:
        architecture = entry.architecture(config)
    except KeyError as error:
        raise CheckpointError(
            f"the configuration of {system} lacks {error}; give the published arguments"
        ) from None
    with torch.random.fork_rng(devices=[]):
        network = build(architecture)
    targets = entry.targets(network)
    used = {name: t for name, t in given.items() if not re.fullmatch(entry.derived, name)}
    check_tensors(
        {name: published_shape(target) for name, target in targets.items()},
        {name: tuple(tensor.shape) for name, tensor in used.items()},
        f"this set of {system} tensors",
    )
    with torch.no_grad():
        for name, target in targets.items():
            fill(target, used[name])
        _settle_conventions(network, config)
    return network.eval()


def load_file(name: str, path: Path) -> Network:
    """Return the network in a published weights file, its size read off the tensors.

    Args:
        name: a key of `SYSTEMS`, or of `PRESET_SYSTEMS`.
        path: the .pth file.

    Raises:
        CheckpointError: no such name, or the file does not hold this system's tensors.
    """
    if name not in PRESET_SYSTEMS and name not in SYSTEMS:
        names = sorted({*PRESET_SYSTEMS, *SYSTEMS})
        raise CheckpointError(
            f"there is no published system {name!r}{nearest(name, names)}; weights can be read of "
            f"{', '.join(names)}"
        )
    system = PRESET_SYSTEMS.get(name, name)
    tensors = read_checkpoint(path)
    return load(system, infer(system, tensors), tensors)


def infer(system: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the configuration that published tensors show.

    What leaves no trace in a tensor is taken as published: DRT's three passes, GRFormer's window
    of 8x32, images from 0 to 1.

    Raises:
        CheckpointError: no such system, or the tensors are not those of the system.
    """
    return _find(system).infer(tensors)


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .pth file, read without running code from it.

    A plain state dict, or one under ``params_ema``, ``params`` or ``state_dict`` (the first of them
    that is there).

    Raises:
        CheckpointError: no such file, not a safe file, or no tensors in it.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no weights file {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that is no pickle fails in any way there is
        raise CheckpointError(
            f"{path} is not a weights file that can be read safely "
            f"({type(error).__name__}); give a file with tensors only"
        ) from None
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and wrapper in content:
            content = content[wrapper]
            break
    values = content.values() if isinstance(content, Mapping) else ()
    if not values or not all(isinstance(value, Tensor) for value in values):
        raise CheckpointError(
            f"{path} holds no state dict: expected tensors by name, plain or under "
            f"{', '.join(_WRAPPERS)}"
        )
    # networks that were trained on several devices carry this prefix
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def _settle_conventions(network: Network, config: Mapping[str, Any]) -> None:
    """Move what the release does outside its layers into the first and the last one."""
    value_range = config.get("img_range", config.get("rgb_range", 1.0))
    last_bias = network.tail.last.bias
    assert last_bias is not None
    if value_range != 1:  # such weights see images from 0 to 255
        network.stem.conv.weight.mul_(value_range)
        network.tail.last.weight.div_(value_range)
        last_bias.div_(value_range)
    if config.get("denormalisation") == "literal":
        mean, std = network.mean.flatten(), network.std.flatten()
        last_bias.sub_(mean * (1 - std) / std)


def _find(system: str) -> System:
    if system not in SYSTEMS:
        raise CheckpointError(
            f"there is no published system {system!r}{nearest(system, SYSTEMS)}; "
            f"use one of {', '.join(SYSTEMS)}"
        )
    return SYSTEMS[system]
