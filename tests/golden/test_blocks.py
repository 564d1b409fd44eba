"""Single modules: what the whole networks could hide behind their residual sums."""

import pytest
import torch
from einops import rearrange

from lightir_core import architecture as arch
from lightir_core.blocks.cascade_attention import CascadeAttention
from lightir_core.blocks.cross_layer import CrossLayerAttention, set_temperature
from lightir_core.blocks.window_attention import WindowAttention
from lightir_core.network import Block, Stage
from lightir_core.published import weights as layouts
from lightir_core.published.presets import drt, grformer


def fill(places, tensors):
    with torch.no_grad():
        for name, place in places.items():
            layouts.fill(place, tensors[name])


def on_windows(module, data, layout):
    """The module's output as windows, for windows of a map that was already shifted."""
    height, width = data.config["map_hw"]
    window = module.window_size
    sizes = {"wh": window[0], "ww": window[1], "nh": height // window[0], "nw": width // window[1]}
    x = rearrange(data["input"], f"{layout} -> b c (nh wh) (nw ww)", **sizes)
    x = torch.roll(x, module.shift_size, (2, 3))
    with torch.no_grad():
        y = module.eval()(x)
    y = torch.roll(y, tuple(-side for side in module.shift_size), (2, 3))
    return rearrange(y, f"b c (nh wh) (nw ww) -> {layout}", **sizes)


TOKENS = "(b nh nw) (wh ww) c"
MAPS = "(b nh nw) c wh ww"


@pytest.mark.parametrize(("shift", "key"), [((0, 0), "output_nomask"), ((2, 2), "output_mask")])
def test_swin_window_attention(golden, shift, key):
    data = golden("swin_window_attention")
    settings = arch.WindowAttentionConfig(num_heads=3, window_size=(4, 4), shift_size=shift)
    module = WindowAttention(settings, 24)
    fill(layouts.swin_attention("attn", module), data.named("attn."))
    data.check(lambda: on_windows(module, data, TOKENS), key)


@pytest.mark.parametrize(("shift", "key"), [((0, 0), "output_nomask"), ((2, 4), "output_mask")])
def test_grsa(golden, shift, key):
    data = golden("grsa_module")
    settings = arch.WindowAttentionConfig(
        num_heads=3,
        window_size=(4, 8),
        shift_size=shift,
        projection=arch.ProjectionConfig(groups=2, residual=True),
        output=arch.ProjectionConfig(groups=2),
        logits="cosine",
        position=arch.ExponentialPositionConfig(hidden=128),
    )
    module = WindowAttention(settings, 24)
    fill(layouts.grouped_attention("attn", module), data.named("attn."))
    data.check(lambda: on_windows(module, data, TOKENS), key)
    data.check(module.position, "bias")
    data.check(module.q, "q_after_grl", data["input"])


@pytest.mark.parametrize(("shift", "key"), [((0, 0), "output_nomask"), ((2, 2), "output_mask")])
def test_gswa(golden, shift, key):
    data = golden("gswa_module")
    settings = arch.CascadeAttentionConfig(
        num_heads=3, key_dim=4, window_size=(4, 4), shift_size=shift
    )
    module = CascadeAttention(settings, 24)
    fill(layouts.cascade_attention("attn", module), data.named("attn."))
    data.check(lambda: on_windows(module, data, MAPS), key)
    data.check(module.position, "bias")


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_grformer_block_at_each_place_of_its_period(golden, index):
    data = golden("grformer_block")
    settings = grformer(24, (4,), (3,), (4, 8), 48, 2).stages[0].blocks[index]
    module = Block(settings, 24)
    fill(layouts.block("block", module), data.named("block."))
    x = rearrange(data["input"], "b (h w) c -> b c h w", h=16)
    data.check(lambda: rearrange(module(x), "b c h w -> b (h w) c"), f"output_index{index}")


def on_tokens(module, tokens, side):
    y = module(rearrange(tokens, "b (h w) c -> b c h w", h=side))
    return rearrange(y, "b c h w -> b (h w) c")


def test_drt_block(golden):
    data = golden("drt_block")
    module = Block(drt(16, 1, 1, 2, 7, 16).stages[0].blocks[0], 16)
    fill(layouts.block("block", module), data.named("block."))
    data.check(lambda: on_tokens(module, data["input"], 14))
    exact = on_tokens(module.double(), data["input"].double(), 14)
    assert (exact - data["output"]).abs().max() <= 1e-9


def test_drt_recursive_block(golden):
    data = golden("drt_rtb")
    module = Stage(drt(16, 1, 3, 2, 7, 16).stages[0], 16)
    places = layouts.block("block2.transformer", module.blocks[0])
    places |= layouts.block("block1.transformer", module.blocks[1])
    fill(places | layouts.layer("conv_out", module.closing), data.named(""))
    data.check(lambda: on_tokens(module, data["input"], 14))
    exact = on_tokens(module.double(), data["input"].double(), 14)
    assert (exact - data["output"]).abs().max() <= 1e-9


def cross_layer(data, *, selection="none", tail=False):
    settings = arch.CrossLayerConfig(
        keys=data.config["keys"],
        references=data.config.get("refs", 1),
        selection=selection,
        depthwise_tail=tail,
    )
    module = CrossLayerAttention(settings, data.config["channels"]).eval()
    names = {
        name.replace("conv_attn.weight", "conv_attn.0.weight").replace(
            "conv_attn.bias", "conv_attn.0.bias"
        )
        if selection == "none"
        else name: tensor
        for name, tensor in data.named("").items()
    }
    fill(layouts.cross_layer("", module), {f".{name}": t for name, t in names.items()})
    set_temperature(module, data.config.get("temperature", 1.0))
    return module.double()


def references(data):
    return [data["key"].double()] if "key" in data.arrays else list(data["keys"].double())


@pytest.mark.parametrize(
    ("file", "selection", "tail", "key"),
    [
        ("cla_single", "none", False, "output"),
        ("cla_single", "none", True, "output_dpconv"),
        ("cla_multi", "none", False, "output"),
        ("cla_multi", "none", True, "output_dpconv"),
        ("acla_module", "soft", False, "output"),
        ("acla_module", "soft", True, "output_dpconv"),
        ("acla_module", "hard", False, "output_hard"),
    ],
)
def test_cross_layer_attention(golden, file, selection, tail, key):
    data = golden(file)
    module = cross_layer(data, selection=selection, tail=tail)
    query = data["input"].double()
    with torch.no_grad():
        output = module(query, references(data))
    if tail:  # the reference adds the query itself when its tail is on
        output = output + query
    assert (output - data[key]).abs().max() <= 1e-9
    module.float()
    single = module(data["input"], [reference.float() for reference in references(data)])
    single = single + data["input"] if tail else single
    assert (single - data[key]).abs().max() <= 2e-4 * data[key].abs().max()


@pytest.mark.parametrize(("selection", "key"), [("soft", "weights_soft"), ("hard", "weights_hard")])
def test_key_weights(golden, selection, key):
    data = golden("acla_module")
    weights = cross_layer(data, selection=selection)._weigh(data["input"].double())
    assert (weights - data[key]).abs().max() <= 1e-9
