import pickle

import numpy as np
import pytest
import torch

from lightir_core.errors import CheckpointError
from lightir_core.network import build
from lightir_core.published import presets
from lightir_core.published.weights import SYSTEMS, infer, load, read_checkpoint

SWIN = {"upscale": 2, "in_chans": 3, "embed_dim": 12, "mlp_ratio": 2, "num_heads": [2, 3]}
CONFIGS = {
    "swinir": SWIN | {"depths": [2, 1], "window_size": 4, "upsampler": "pixelshuffledirect"},
    "agileir": SWIN | {"depths": [1, 2], "window_size": 4, "key_dims": [3, 4]},
    "grformer": SWIN | {"depths": [2, 4], "window_size": [8, 32]},
    "drt": {
        "dim": 12,
        "patch_size": 2,
        "num_rtb_N": 2,
        "recursions_L": 3,
        "heads": 2,
        "window": 5,
        "mlp_ratio": 1.5,
    },
    "edsr-cla": {"feats": 8, "stages": 2, "blocks_per_stage": 2, "keys": 3, "scale": 4},
}


def published(system, config, seed=0):
    """Random tensors by published names."""
    torch.manual_seed(seed)
    network = build(SYSTEMS[system].architecture(config))
    return {
        name: torch.cat([torch.randn_like(part) for part in place]) * 0.1
        for name, place in SYSTEMS[system].targets(network).items()
    }


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_tensor_of_the_network_is_filled(system):
    config = CONFIGS[system]
    one, two = (load(system, config, published(system, config, seed)) for seed in (0, 1))
    for name, parameter in one.named_parameters():
        assert not torch.equal(parameter, two.get_parameter(name)), name
    assert not one.training


@pytest.mark.parametrize("system", SYSTEMS)
def test_configurations_are_read_off_the_tensors(system):
    config = CONFIGS[system]
    tensors = published(system, config)
    found = infer(system, tensors)
    assert {key: found[key] for key in config} == config
    assert load(system, found, tensors).architecture == load(system, config, tensors).architecture


@pytest.mark.parametrize(("keys", "selection"), [(9, "hard"), (9, "none")])
def test_acla_is_recognised(keys, selection):
    config = CONFIGS["edsr-cla"] | {"keys": keys, "selection": selection, "depthwise_tail": True}
    found = infer("edsr-cla", published("edsr-cla", config))
    assert found["selection"] == selection
    assert found["depthwise_tail"]


def test_grformers_window_is_read_off_its_offsets():
    tensors = published("grformer", CONFIGS["grformer"])
    offsets = torch.zeros(1, 7, 15, 2)
    tensors["layers.0.blocks.0.attn.relative_position_bias_table"] = offsets
    assert infer("grformer", tensors)["window_size"] == [4, 8]


def test_swinir_for_denoising_adds_the_image():
    config = CONFIGS["swinir"] | {"upscale": 1, "upsampler": "", "in_chans": 1}
    tensors = published("swinir", config)
    assert "conv_last.weight" in tensors
    assert infer("swinir", tensors) == config
    network = load("swinir", config, tensors)
    assert network.architecture.tail.skip == "interpolated"
    assert network.architecture.normalisation == "none"


def test_published_presets_are_configurations():
    light = {
        "upscale": 4,
        "embed_dim": 60,
        "depths": [6, 6, 6, 6],
        "num_heads": [6, 6, 6, 6],
        "window_size": 8,
        "mlp_ratio": 2,
    }
    assert SYSTEMS["swinir"].architecture(light) == presets.preset("swinir-light", "sr-x4")


def test_images_up_to_255_are_folded_into_the_ends():
    config = CONFIGS["swinir"] | {"in_chans": 1}
    tensors = published("swinir", config)
    unit, bytes_ = (
        load("swinir", config, tensors),
        load("swinir", config | {"img_range": 255}, tensors),
    )
    x = torch.rand(1, 1, 8, 8)
    with torch.no_grad():
        expected = unit(x * 255) / 255
        assert torch.allclose(bytes_(x), expected, atol=1e-3 * expected.abs().max())


def test_arrays_are_as_good_as_tensors_and_derived_names_are_skipped():
    tensors = published("drt", CONFIGS["drt"])
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    arrays["recursive_layers.0.block1.transformer.attn.relative_position_index"] = np.zeros(
        (25, 25)
    )
    arrays["input_conv1.weight"] = np.zeros((12, 3, 3, 3), np.float32)
    expected, network = (load("drt", CONFIGS["drt"], t) for t in (tensors, arrays))
    assert all(map(torch.equal, expected.parameters(), network.parameters()))


def test_wrong_and_incomplete_files_name_the_tensors():
    config = CONFIGS["swinir"]
    tensors = published("swinir", config)
    tensors["upsample.2.weight"] = torch.zeros(3, 12)
    del tensors["conv_first.bias"]
    del tensors["layers.0.residual_group.blocks.0.attn.qkv.weight"]
    message = (
        r"2 missing, first conv_first\.bias \[12\]; "
        r"1 unexpected, first upsample\.2\.weight \[3, 12\]"
    )
    with pytest.raises(CheckpointError, match=message):
        load("swinir", config, tensors)
    tensors = published("swinir", config)
    tensors["norm.weight"] = torch.zeros(13)
    with pytest.raises(CheckpointError, match=r"norm\.weight \[13\], expected \[12\]"):
        load("swinir", config, tensors)


@pytest.mark.parametrize("system", SYSTEMS)
def test_weights_of_something_else_are_refused(system):
    with pytest.raises(CheckpointError, match=r"lack .*first tensor they hold is fc\.weight \[2\]"):
        infer(system, {"fc.weight": torch.zeros(2)})


def test_what_is_not_a_point_of_the_space_is_refused():
    tensors = published("swinir", CONFIGS["swinir"])
    tensors["conv_before_upsample.0.weight"] = torch.zeros(64, 12, 3, 3)
    with pytest.raises(CheckpointError, match="upsampler of several convolutions"):
        infer("swinir", tensors)
    with pytest.raises(CheckpointError, match="upsampler 'nearest\\+conv'"):
        load("swinir", CONFIGS["swinir"] | {"upsampler": "nearest+conv"}, {})


def test_bad_calls_say_what_to_give():
    with pytest.raises(CheckpointError, match="no published system 'swin'; did you mean 'swinir'"):
        load("swin", {}, {})
    with pytest.raises(CheckpointError, match="configuration of drt lacks 'dim'"):
        load("drt", {}, {})


@pytest.mark.parametrize("wrapper", [None, "params", "params_ema", "state_dict"])
def test_checkpoints_are_read_plain_or_wrapped(tmp_path, wrapper):
    tensors = {"module.a.weight": torch.rand(2), "module.a.bias": torch.rand(1)}
    torch.save(tensors if wrapper is None else {wrapper: tensors}, tmp_path / "w.pth")
    found = read_checkpoint(tmp_path / "w.pth")
    assert list(found) == ["a.weight", "a.bias"]
    assert torch.equal(found["a.weight"], tensors["module.a.weight"])


def test_averaged_weights_are_preferred(tmp_path):
    both = {"params": {"a": torch.zeros(1)}, "params_ema": {"a": torch.ones(1)}}
    torch.save(both, tmp_path / "w.pth")
    assert read_checkpoint(tmp_path / "w.pth")["a"] == 1


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def test_files_that_run_code_are_refused(tmp_path, capsys):
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps(Evil()))
    torch.save({"a": Evil()}, tmp_path / "zip.pth")
    for name in ("pickle.pth", "zip.pth"):
        with pytest.raises(CheckpointError, match="not a weights file that can be read safely"):
            read_checkpoint(tmp_path / name)
    assert capsys.readouterr().out == ""


def test_files_without_tensors_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no weights file"):
        read_checkpoint(tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(CheckpointError, match="read safely"):
        read_checkpoint(tmp_path / "text.pth")
    (tmp_path / "empty.pth").write_bytes(b"")
    with pytest.raises(CheckpointError, match="read safely"):
        read_checkpoint(tmp_path / "empty.pth")
    torch.save({"params": {"epoch": 3}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        read_checkpoint(tmp_path / "other.pth")
