"""Random architectures over the whole of the type, small enough to run on one core."""

import random
from dataclasses import replace

import pytest
import torch

from lightir_core import architecture as arch


def random_projection(rng, *sizes):
    common = [g for g in arch.divisors(sizes[0]) if all(size % g == 0 for size in sizes)]
    residual = len(set(sizes)) == 1 and rng.random() < 0.5
    return arch.ProjectionConfig(
        groups=rng.choice(common), residual=residual, bias=rng.random() < 0.7
    )


def random_grid(rng):
    window = (rng.choice([2, 3, 4, 6]), rng.choice([2, 4, 8]))
    shift = rng.choice([(0, 0), (window[0] // 2, window[1] // 2), (0, 1), (5, 9)])
    return {"window_size": window, "shift_size": shift}


def random_window_attention(rng, width):
    heads = rng.choice([h for h in arch.divisors(width) if h <= 6])
    channel = None
    key_dim = rng.choice([None, None, 1, 3, 4])
    value_dim = rng.choice([None, key_dim, 2, 5])
    sides = [heads * (dim or width // heads) for dim in (key_dim, value_dim)]
    if sides[0] == sides[1] and rng.random() < 0.6:
        channel = arch.ChannelBranchConfig(
            num_heads=rng.choice(arch.divisors(sides[0])), interaction=rng.random() < 0.5
        )
    return arch.WindowAttentionConfig(
        num_heads=heads,
        **random_grid(rng),
        key_dim=key_dim,
        value_dim=value_dim,
        projection=random_projection(rng, width, *sides),
        output=random_projection(rng, width, sides[1]),
        logits=rng.choice(["dot", "cosine"]),
        position=rng.choice(
            [
                None,
                arch.TablePositionConfig(),
                arch.ExponentialPositionConfig(hidden=rng.choice([1, 16])),
            ]
        ),
        channel=channel,
        depthwise_value=rng.random() < 0.4,
    )


def random_mixer(rng, width):
    kind = rng.choice(["window", "window", "cascade", "convolution"])
    if kind == "window":
        return random_window_attention(rng, width)
    if kind == "cascade":
        return arch.CascadeAttentionConfig(
            num_heads=rng.choice([h for h in arch.divisors(width) if h <= 4]),
            key_dim=rng.choice([1, 4, 6]),
            **random_grid(rng),
            cascade=rng.random() < 0.7,
        )
    return arch.ResidualConvolutionConfig(
        hidden_dim=rng.choice([None, 1, 10]), kernel_size=rng.choice([3, 5])
    )


def random_block(rng, width):
    hidden = rng.choice([1, 6, 20])
    feed_forward = rng.choice(
        [
            None,
            arch.MlpConfig(hidden_dim=hidden),
            arch.DepthwiseMlpConfig(hidden_dim=hidden),
            arch.DsgmConfig(hidden_dim=hidden),
        ]
    )
    return arch.BlockConfig(
        mixer=random_mixer(rng, width),
        feed_forward=feed_forward,
        norm=rng.choice(["pre", "post", "none"]),
    )


def random_stage(rng, width):
    closing = rng.choice(["convolution", "depthwise", "none"])
    skips = ["input", "none"] if closing == "none" else ["input", "output", "none"]
    return arch.StageConfig(
        blocks=tuple(random_block(rng, width) for _ in range(rng.choice([1, 2]))),
        recursions=rng.choice([1, 1, 2, 3]),
        tied=rng.random() < 0.5,
        anchor=rng.choice(["every", "last", "none"]),
        closing=closing,
        skip=rng.choice(skips),
    )


def random_cross_layer(rng, number):
    if rng.random() < 0.5:
        return None
    return arch.CrossLayerConfig(
        keys=rng.choice([1, 3]),
        references=rng.randint(1, number + 1),
        selection=rng.choice(["none", "soft", "hard"]),
        depthwise_tail=rng.random() < 0.5,
    )


def random_architecture(seed):
    rng = random.Random(seed)
    width = rng.choice([4, 6, 12, 15])
    sharing = rng.choice([1, 1, 2])
    stages = []
    for number in range(rng.choice([1, 2, 3])):
        stage = stages[-1] if number % sharing else random_stage(rng, width)
        stages.append(replace(stage, cross_layer=random_cross_layer(rng, number)))
    channels, outputs = rng.choice([(3, 3), (3, 3), (1, 1), (4, 3)])
    patch = rng.choice([1, 1, 2, 4])
    same = channels == outputs
    return arch.Architecture(
        width=width,
        stages=tuple(stages),
        in_channels=channels,
        out_channels=outputs,
        scale=rng.choice([1, 2, 3, 4]),
        normalisation=rng.choice(["none", "div2k", "imagenet"] if channels == 3 else ["none"]),
        stem=arch.StemConfig(
            kernel_size=rng.choice([1, 3]) if patch == 1 else patch,
            patch_size=patch,
            norm=rng.random() < 0.5,
        ),
        body=arch.BodyConfig(
            norm=rng.random() < 0.5,
            closing=rng.choice(["convolution", "none"]),
            skip=rng.random() < 0.5,
        ),
        tail=arch.TailConfig(
            upsampler=rng.choice(["direct", "staged"]),
            skip=rng.choice(["none", "interpolated"] if same else ["none"]),
        ),
        stage_sharing=sharing,
    )


@pytest.fixture(scope="session")
def architecture_of_seed():
    """seed -> architecture; equal seeds give equal architectures."""
    return random_architecture


@pytest.fixture(scope="session")
def randomise():
    """Replaces all parameters by random numbers, zero-initialised layers included."""

    def fill(network):
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.normal_(0, 0.2)
                if parameter.ndim == 1 and name.endswith("weight"):  # norms
                    parameter.add_(1)
        return network

    return fill
