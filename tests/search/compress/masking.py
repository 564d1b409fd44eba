"""Masking by hand, unit by unit: what pruning must equal, written without the pruner's tables."""

import copy

import torch

from lightir_core.architecture import CascadeAttentionConfig, inner_dims
from lightir_core.blocks.cascade_attention import CascadeAttention as CascadeModule
from lightir_core.blocks.projection import GroupedLinear
from lightir_core.pruning.channels import units

IMAGES = ((16, 16), (9, 21))


def blocks_of(network, unit):
    """The modules of a unit's block, one for each untied pass."""
    stage = network.architecture.stages[unit.stage]
    module = network.stages[unit.stage // network.architecture.stage_sharing]
    return module.blocks[unit.block :: len(stage.blocks)]


def zero_outputs(layer, channels):
    """Silence output channels of a projection or a convolution."""
    weight = layer.weight.flatten(0, 1) if isinstance(layer, GroupedLinear) else layer.weight
    weight[channels] = 0
    if layer.bias is not None:
        layer.bias[channels] = 0


def zero_inputs(layer, channels):
    """Let a projection ignore input channels."""
    if isinstance(layer, GroupedLinear):
        each = layer.weight.shape[2]
        for channel in channels:
            layer.weight[channel // each, :, channel % each] = 0
    else:
        layer.weight[:, channels] = 0


def mask_keys(network, unit, gone):
    for block, channels in zip(
        blocks_of(network, unit), per_copy(network, unit, gone), strict=True
    ):
        mixer = block.mixer
        if isinstance(network.architecture.stages[unit.stage].blocks[unit.block].mixer,
                      CascadeAttentionConfig):  # fmt: skip
            for channel in channels:
                head = mixer.heads[channel // mixer.heads[0].key_dim]
                head.filter_norm.weight[channel % head.key_dim] = 0
                head.filter_norm.bias[channel % head.key_dim] = 0
        else:
            zero_outputs(mixer.q, channels)
            zero_outputs(mixer.k, channels)


def mask_values(network, unit, gone):
    for block, channels in zip(
        blocks_of(network, unit), per_copy(network, unit, gone), strict=True
    ):
        zero_inputs(block.mixer.output, channels)


def mask_heads(network, unit, gone):
    settings = network.architecture.stages[unit.stage].blocks[unit.block].mixer
    value_dim = inner_dims(settings, network.architecture.width)[1]
    for block, heads in zip(blocks_of(network, unit), per_copy(network, unit, gone), strict=True):
        for head in heads:
            zero_inputs(block.mixer.output, list(range(head * value_dim, (head + 1) * value_dim)))


def mask_hidden(network, unit, gone):
    for block, channels in zip(
        blocks_of(network, unit), per_copy(network, unit, gone), strict=True
    ):
        zero_inputs(block.feed_forward.outward, channels)


def mask_convolution(network, unit, gone):
    for block, channels in zip(
        blocks_of(network, unit), per_copy(network, unit, gone), strict=True
    ):
        zero_inputs(block.mixer.conv2, channels)


def mask_position(network, unit, gone):
    for block, channels in zip(
        blocks_of(network, unit), per_copy(network, unit, gone), strict=True
    ):
        zero_inputs(block.mixer.position.outward, channels)


def mask_cross_keys(network, unit, gone):
    module = network.cross_layers[str(unit.stage)]
    zero_outputs(module.logit, gone)
    module.logit.bias[gone] = -1e9
    if module.selection is not None:
        zero_outputs(module.selection, gone)
        module.selection.bias[gone] = -1e9


def mask_width(network, _, gone):
    """Of a network without norms over the width: silence all that writes to the channels."""
    zero_outputs(network.stem.conv, gone)
    for name, module in network.named_modules():
        if name.endswith(("mixer.conv2", "feed_forward.outward", "mixer.output", "closing")):
            zero_outputs(module, gone)
        if name.endswith(("output_norm", "tail.1")):  # batch norms act on each channel alone
            module.weight[gone] = 0
            module.bias[gone] = 0
        if isinstance(module, CascadeModule):
            mask_cascade_values(module, gone)


def mask_cascade_values(module, gone):
    """The values of a head are added to the next head's slice of the trunk, and go with it."""
    group = module.output.weight.shape[0] // module.num_heads
    for number, head in enumerate(module.heads):
        next_ = min(number + 1, module.num_heads - 1) if module.cascade else number
        for channel in gone:
            if channel // group == next_:
                row = 2 * head.key_dim + channel % group
                head.norm.weight[row] = 0
                head.norm.bias[row] = 0


MASKS = {
    "keys": mask_keys,
    "values": mask_values,
    "heads": mask_heads,
    "hidden": mask_hidden,
    "convolution": mask_convolution,
    "position": mask_position,
    "cross_keys": mask_cross_keys,
    "width": mask_width,
}


def per_copy(network, unit, gone):
    """Channels of each copy of the block, counted from its own first."""
    copies = len(blocks_of(network, unit))
    each = network_channels(network, unit) // copies
    return [[c - copy * each for c in gone if c // each == copy] for copy in range(copies)]


def network_channels(network, unit):

    extent = units(network.architecture)[unit]
    return extent.lanes * extent.size


@torch.no_grad()
def masked(network, kept):
    """A copy of `network` in which what is False in `kept` reaches nothing."""
    network = copy.deepcopy(network)
    for unit, mask in kept.items():
        MASKS[unit.kind](network, unit, (~mask.flatten()).nonzero().flatten().tolist())
    return network


@torch.no_grad()
def difference(first, second, sizes=IMAGES):
    """The largest difference of two networks' outputs, relative to the size of the outputs."""
    generator = torch.Generator().manual_seed(1)
    channels, dtype = first.architecture.in_channels, next(first.parameters()).dtype
    images = [torch.rand(2, channels, *sides, generator=generator, dtype=dtype) for sides in sizes]
    pairs = [(first(image), second(image)) for image in images]
    return max(((a - b).abs().max() / a.abs().max().clamp_min(1)).item() for a, b in pairs)
