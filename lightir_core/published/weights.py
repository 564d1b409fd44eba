"""Published weights into our networks: GRFormer, SwinIR, AgileIR, DRT and EDSR with CLA or ACLA.

read_checkpoint(path) -> tensors;  infer(system, tensors) -> config;  load(...) -> network
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightir_core.architecture import Architecture
from lightir_core.errors import CheckpointError, nearest
from lightir_core.network import Network, build
from lightir_core.published import configs
from lightir_core.published import tensor_names as layouts
from lightir_core.tensor_files import check_tensors


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
    targets: Callable[[Network], layouts.Targets]
    derived: str


_SWIN_DERIVED = r".*\.(relative_position_index|attn_mask|num_batches_tracked)"
SYSTEMS: dict[str, System] = {
    "swinir": System(configs.swinir, configs.infer_swinir, layouts.swin_network, _SWIN_DERIVED),
    "grformer": System(
        configs.grformer,
        configs.infer_grformer,
        layouts.swin_network,
        r".*\.(relative_position_index|relative_position_bias_table|attn_mask)",
    ),
    "agileir": System(configs.agileir, configs.infer_agileir, layouts.swin_network, _SWIN_DERIVED),
    "drt": System(
        configs.drt,
        configs.infer_drt,
        layouts.drt_network,
        # two convolutions that the release builds and never calls
        rf"{_SWIN_DERIVED}|(input_conv1|output_conv1)\..*",
    ),
    "edsr-cla": System(
        configs.edsr_cla,
        configs.infer_edsr_cla,
        layouts.edsr_network,
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
    system: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor] | Mapping[str, np.ndarray],
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
        {name: layouts.published_shape(target) for name, target in targets.items()},
        {name: tuple(tensor.shape) for name, tensor in used.items()},
        f"this set of {system} tensors",
    )
    with torch.no_grad():
        for name, target in targets.items():
            layouts.fill(target, used[name])
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
    if not isinstance(content, Mapping) or not content or not _all_tensors(content):
        raise CheckpointError(
            f"{path} holds no state dict: expected tensors by name, plain or under "
            f"{', '.join(_WRAPPERS)}"
        )
    # networks that were trained on several devices carry this prefix
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def _all_tensors(content: Mapping[Any, Any]) -> bool:
    return all(isinstance(value, Tensor) for value in content.values())


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
