"""Everything between the published points builds, runs and learns."""

import pytest
import torch

from lightir_core.architecture import from_json
from lightir_core.network import build

SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_builds_runs_and_learns(seed, architecture_of_seed, randomise):
    architecture = architecture_of_seed(seed)
    assert from_json(architecture.to_json()) == architecture
    torch.manual_seed(seed)
    network = randomise(build(architecture))
    image = torch.rand(2, architecture.in_channels, 7, 5)
    output = network.train()(image)
    scale = architecture.scale
    assert output.shape == (2, architecture.out_channels, 7 * scale, 5 * scale)
    (output * torch.rand_like(output)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    network.eval()
    with torch.no_grad():
        assert torch.equal(network(image), network(image))


def test_seeds_reach_every_axis(architecture_of_seed):
    text = "".join(architecture_of_seed(seed).to_json() for seed in SEEDS)
    values = (
        "cascade_attention residual_convolution window_attention exponential table cosine dot "
        "depthwise_mlp dsgm cross every last depthwise output soft hard staged "
        "interpolated imagenet div2k post pre"
    )
    for value in values.split(" "):
        assert f'"{value}"' in text, value
