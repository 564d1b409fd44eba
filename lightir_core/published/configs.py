"""Constructor arguments of the published networks, as architectures and guessed from tensors.

A configuration is a plain dict with the released constructors' argument names; keys that say
nothing about the network (seeds, notes, the training image size) are ignored.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from lightir_core.architecture import Architecture, TailConfig
from lightir_core.errors import CheckpointError
from lightir_core.published import presets as designs

Config = Mapping[str, Any]
Tensors = Mapping[str, Tensor]

RECURSIONS = 3  # DRT's passes leave no trace in its tensors
GRFORMER_WINDOW = (8, 32)  # nor, as a rule, does GRFormer's window


def swinir(config: Config) -> Architecture:
    """SwinIR with the light upsampler, or with none (denoising, JPEG)."""
    return _swin(designs.swinir, config, config["window_size"])


def agileir(config: Config) -> Architecture:
    """AgileIR; `key_dims` holds a width per stage."""
    return _swin(designs.agileir, config, config["key_dims"], config["window_size"])


def grformer(config: Config) -> Architecture:
    """GRFormer; `window_size` is (height, width)."""
    return _swin(designs.grformer, config, tuple(config["window_size"]))


def drt(config: Config) -> Architecture:
    """DRT; `recursions_L` are passes and `num_rtb_N` stages."""
    return designs.drt(
        config["dim"],
        config["num_rtb_N"],
        config["recursions_L"],
        config["heads"],
        config["window"],
        int(config["dim"] * config["mlp_ratio"]),
        patch_size=config["patch_size"],
    )


def edsr_cla(config: Config) -> Architecture:
    """EDSR with cross-layer attention after each stage; `selection` makes it adaptive."""
    return designs.edsr(
        config["feats"],
        (config["blocks_per_stage"],) * config["stages"],
        config["scale"],
        keys=config["keys"],
        selection=config.get("selection", "none"),
        depthwise_tail=config.get("depthwise_tail", False),
    )


def infer_swinir(tensors: Tensors) -> dict[str, Any]:
    """Return the configuration that SwinIR's tensors show."""
    tables = _per_stage(tensors, "relative_position_bias_table")
    return _infer_swin(tensors, [shape[1] for shape in tables]) | {"window_size": _side(tables[0])}


def infer_agileir(tensors: Tensors) -> dict[str, Any]:
    """Return the configuration that AgileIR's tensors show."""
    key_dims = [shape[0] for shape in _per_stage(tensors, r"dws\.0\.c\.weight")]
    return infer_swinir(tensors) | {"key_dims": key_dims}


def infer_grformer(tensors: Tensors) -> dict[str, Any]:
    """Return the configuration that GRFormer's tensors show.

    The window is read from the offsets of the position bias if the file has them.
    """
    heads = [shape[0] for shape in _per_stage(tensors, "logit_scale")]
    offsets = tensors.get("layers.0.blocks.0.attn.relative_position_bias_table")
    sides = GRFORMER_WINDOW if offsets is None else [(n + 1) // 2 for n in offsets.shape[1:3]]
    return _infer_swin(tensors, heads) | {"window_size": list(sides)}


def infer_drt(tensors: Tensors) -> dict[str, Any]:
    """Return the configuration that DRT's tensors show; the number of passes is the published one.

    Weights that were released expect the released de-normalisation, see `published.load`.
    """
    block = "recursive_layers.0.block1.transformer"
    embed = _shape(tensors, "patch_embed.proj.weight")
    table = _shape(tensors, f"{block}.attn.relative_position_bias_table")
    hidden_dim = _shape(tensors, f"{block}.mlp.fc1.weight")[0]
    return {
        "dim": embed[0],
        "patch_size": embed[2],
        "num_rtb_N": _count(tensors, r"recursive_layers\.(\d+)\."),
        "recursions_L": RECURSIONS,
        "heads": table[1],
        "window": _side(table),
        "mlp_ratio": hidden_dim / embed[0],
        "denormalisation": "literal",
    }


def infer_edsr_cla(tensors: Tensors) -> dict[str, Any]:
    """Return the configuration that the tensors of EDSR with cross-layer attention show."""
    adaptive = "cla.0.mask_unit.weight" in tensors
    width = _shape(tensors, "head.0.weight")[0]
    steps = [name for name in tensors if re.fullmatch(r"tail\.1\.\d+\.weight", name)]
    factors = (math.isqrt(tensors[name].shape[0] // width) for name in steps)
    return {
        "feats": width,
        "stages": _count(tensors, r"body\.(\d+)\."),
        "blocks_per_stage": _count(tensors, r"body\.0\.(\d+)\."),
        "keys": _shape(tensors, "cla.0.conv_offset.weight")[0] // 2,
        "scale": math.prod(factors),
        "selection": "hard" if adaptive else "none",
        "depthwise_tail": "cla.0.depthwise_conv.weight" in tensors,
    }


def _swin(design: Callable[..., Architecture], config: Config, *inside: Any) -> Architecture:  # noqa: ANN401  arguments of the design
    """Return a design of SwinIR's family with the sizes and the ends that are configured."""
    width, hidden_dim = config["embed_dim"], int(config["embed_dim"] * config["mlp_ratio"])
    depths, heads, scale = config["depths"], config["num_heads"], config.get("upscale", 1)
    architecture = design(width, depths, heads, *inside, hidden_dim, scale)
    upsampler = config.get("upsampler", "pixelshuffledirect")
    connection = config.get("resi_connection", "1conv")
    if upsampler not in ("pixelshuffledirect", "") or connection != "1conv":
        raise CheckpointError(
            f"upsampler {upsampler!r} with resi_connection {connection!r} is not supported; "
            "use weights with upsampler 'pixelshuffledirect' or '' and resi_connection '1conv'"
        )
    channels = config.get("in_chans", 3)
    return replace(
        architecture,
        in_channels=channels,
        out_channels=channels,
        normalisation="div2k" if channels == 3 else "none",  # the mean is of colours only
        tail=TailConfig(skip="none" if upsampler else "interpolated"),
    )


def _infer_swin(tensors: Tensors, num_heads: list[int]) -> dict[str, Any]:
    width, channels = _shape(tensors, "conv_first.weight")[:2]
    if "conv_before_upsample.0.weight" in tensors:
        raise CheckpointError(
            "these weights have an upsampler of several convolutions ('pixelshuffle' or "
            "'nearest+conv'), which is not supported; use a light model or one for denoising"
        )
    light = "upsample.0.weight" in tensors
    rows = _shape(tensors, "upsample.0.weight" if light else "conv_last.weight")[0]
    stages = _count(tensors, r"layers\.(\d+)\.")
    hidden_dim = _per_stage(tensors, r"mlp\.fc1\.weight")[0][0]
    return {
        "upscale": math.isqrt(rows // channels),
        "in_chans": channels,
        "embed_dim": width,
        "depths": [_count(tensors, rf"layers\.{n}\..*?blocks\.(\d+)\.") for n in range(stages)],
        "num_heads": num_heads,
        "mlp_ratio": hidden_dim / width,
        "upsampler": "pixelshuffledirect" if light else "",
    }


def _shape(tensors: Tensors, name: str) -> tuple[int, ...]:
    if name not in tensors:
        raise CheckpointError(_missing(name, tensors))
    return tuple(tensors[name].shape)


def _per_stage(tensors: Tensors, ending: str) -> list[tuple[int, ...]]:
    """Shape of the first block's tensor of each stage; `ending` is a regular expression."""
    shapes: dict[int, tuple[int, ...]] = {}
    for name, tensor in tensors.items():
        match = re.fullmatch(rf"layers\.(\d+)\..*\b{ending}", name)
        if match:
            shapes.setdefault(int(match[1]), tuple(tensor.shape))
    if not shapes:
        raise CheckpointError(_missing(f"layers.0. ... .{ending}", tensors))
    return [shapes[number] for number in sorted(shapes)]


def _count(names: Iterable[str], pattern: str) -> int:
    """Count one more than the largest number that the pattern's group takes; 0 if it takes none."""
    matches = (re.match(pattern, name) for name in names)
    return max((int(match[1]) + 1 for match in matches if match), default=0)


def _side(table: tuple[int, ...]) -> int:
    """Side M of a square window from the (2M − 1)² rows of its bias table."""
    return (math.isqrt(table[0]) + 1) // 2


def _missing(name: str, tensors: Tensors) -> str:
    present = next(((f"{key} {list(tensor.shape)}") for key, tensor in tensors.items()), "nothing")
    return (
        f"the weights lack {name}, which tells the network's size; the first tensor they hold is "
        f"{present}; give a whole file of this system"
    )
