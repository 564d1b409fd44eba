"""Whole networks: published tensors in, the reference implementation's output out."""

import pytest
import torch

from lightir_core.published.weights import load

NETWORKS = [
    ("swinir", "swinir_light_tiny", "output"),
    ("grformer", "grformer_tiny", "output"),
    ("grformer", "grformer_tiny_depth4", "output"),
    ("agileir", "agileir_tiny", "output_attention_used_with_mask"),
    ("drt", "drt_tiny", "output_corrected"),
    ("drt", "drt_tiny_p2", "output_corrected"),
    ("edsr-cla", "edsr_cla_tiny", "output"),
]


@pytest.mark.parametrize(("system", "file", "key"), NETWORKS)
def test_float32_output_is_the_reference(golden, system, file, key):
    data = golden(file)
    network = load(system, data.config, data.tensors)
    data.check(network, key, data["input"])


@pytest.mark.parametrize(
    "network_file_key", [row for row in NETWORKS if row[0] in ("drt", "edsr-cla")]
)
def test_float64_output_is_the_reference_to_1e_9(golden, network_file_key):
    system, file, key = network_file_key
    data = golden(file)
    network = load(system, data.config, data.tensors).double()
    with torch.no_grad():
        output = network(data["input"].double())
    assert (output - data[key]).abs().max() <= 1e-9


@pytest.mark.parametrize("file", ["drt_tiny", "drt_tiny_p2"])
def test_drt_literal_denormalisation_moves_into_the_last_bias(golden, file):
    data = golden(file)
    network = load("drt", data.config | {"denormalisation": "literal"}, data.tensors)
    # the released code returns (z + mean)·std
    data.check(network, "output", data["input"])


def test_agileir_without_mask_is_the_other_reference(golden):
    data = golden("agileir_tiny")
    network = load("agileir", data.config, data.tensors)
    for stage in network.stages:
        for block in stage.blocks:
            block.mixer.mask = None
    data.check(network, "output_attention_used_no_mask", data["input"])


def test_padding_is_the_reference_reflection(golden):
    from lightir_core.network import pad

    for file, multiple in [("grformer_tiny", 8), ("swinir_light_tiny", 4)]:
        data = golden(file)
        assert torch.equal(pad(data["input"], multiple), data["padded_input"])


def test_edsr_stage_outputs_are_the_reference(golden):
    data = golden("edsr_cla_tiny")
    network = load("edsr-cla", data.config, data.tensors).double()
    seen = []
    for module in [*list(network.stages)[1:], network.body]:  # what follows each slot sees its sum
        module.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        network(data["input"].double())
    assert (torch.stack(seen) - data["stage_outputs"]).abs().max() <= 1e-9
