"""What every mixer and feed-forward promises, over the tables; a new line in one is found here."""

import pytest
import torch

from lightir_core import architecture as arch
from lightir_core.blocks import FEED_FORWARDS, MIXERS
from lightir_core.blocks.axes import Grouped

WIDTH = 12
WINDOW = {"window_size": (4, 8), "shift_size": (2, 4)}
SETTINGS = {
    arch.WindowAttentionConfig: [
        arch.WindowAttentionConfig(num_heads=3, **WINDOW),
        arch.WindowAttentionConfig(
            num_heads=2,
            **WINDOW,
            key_dim=3,
            projection=arch.ProjectionConfig(groups=3),
            logits="cosine",
            position=arch.ExponentialPositionConfig(hidden=8),
        ),
        arch.WindowAttentionConfig(
            num_heads=2,
            **WINDOW,
            position=None,
            channel=arch.ChannelBranchConfig(num_heads=3),
            depthwise_value=True,
        ),
    ],
    arch.CascadeAttentionConfig: [
        arch.CascadeAttentionConfig(num_heads=3, key_dim=5, **WINDOW),
        arch.CascadeAttentionConfig(num_heads=2, key_dim=5, **WINDOW, cascade=False),
    ],
    arch.ResidualConvolutionConfig: [
        arch.ResidualConvolutionConfig(),
        arch.ResidualConvolutionConfig(hidden_dim=5, kernel_size=5),
    ],
    arch.MlpConfig: [arch.MlpConfig(hidden_dim=7)],
    arch.DepthwiseMlpConfig: [arch.DepthwiseMlpConfig(hidden_dim=7)],
    arch.DsgmConfig: [arch.DsgmConfig(hidden_dim=7), arch.DsgmConfig(hidden_dim=4, bias=False)],
}
TABLE = MIXERS | FEED_FORWARDS
CASES = [
    pytest.param(kind, settings, id=f"{kind.__name__}-{number}")
    for kind in TABLE
    for number, settings in enumerate(SETTINGS.get(kind, []))
]


def build(kind, settings, randomise):
    torch.manual_seed(0)
    return randomise(TABLE[kind](settings, WIDTH))


def test_every_row_is_under_contract():
    assert set(TABLE) == set(SETTINGS)


def test_tables_hold_the_whole_type():
    assert set(MIXERS) == set(arch.Mixer.__args__)
    assert set(FEED_FORWARDS) == set(arch.FeedForward.__args__)


@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_keeps_shape_and_learns_everywhere(kind, settings, randomise):
    module = build(kind, settings, randomise).train()
    x = torch.randn(2, WIDTH, 8, 16, requires_grad=True)
    y = module(x)
    assert y.shape == x.shape
    (y * torch.randn_like(y)).sum().backward()
    for name, parameter in [*module.named_parameters(), ("input", x)]:
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_is_deterministic_in_evaluation(kind, settings, randomise):
    module = build(kind, settings, randomise).eval()
    x = torch.randn(2, WIDTH, 8, 16)
    with torch.no_grad():
        assert torch.equal(module(x), module(x))


@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_treats_images_of_a_batch_alike(kind, settings, randomise):
    module = build(kind, settings, randomise).eval()
    x = torch.randn(3, WIDTH, 8, 16)
    with torch.no_grad():
        assert torch.allclose(module(x)[1:2], module(x[1:2]), atol=1e-5)


@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_memory_layout_does_not_matter(kind, settings, randomise):
    module = build(kind, settings, randomise).eval()
    x = torch.randn(2, WIDTH, 8, 16)
    with torch.no_grad():
        y = module(x.contiguous(memory_format=torch.channels_last))
        assert torch.allclose(y, module(x), atol=1e-5)
    assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_builds_and_runs_on_meta(kind, settings, randomise):
    with torch.device("meta"):
        module = TABLE[kind](settings, WIDTH)
        assert module(torch.empty(1, WIDTH, 8, 16)).shape == (1, WIDTH, 8, 16)
    assert all(parameter.is_meta for parameter in module.parameters())


@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_autocast_stays_close(kind, settings, randomise):
    module = build(kind, settings, randomise).eval()
    x = torch.randn(1, WIDTH, 8, 16)
    with torch.no_grad():
        expected = module(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            actual = module(x).float()
    assert (actual - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_widths_are_read_from_tensors(kind, settings, randomise):
    # a module that knows its width by heart breaks when channels are pruned
    module = build(kind, settings, randomise)
    numbers = {value for value in vars(module).values() if isinstance(value, int)}
    assert WIDTH not in numbers


@pytest.mark.parametrize(("kind", "settings"), CASES)
def test_says_what_every_axis_of_every_tensor_is(kind, settings):
    """Pruning reads this table: what it does not name could not be cut."""
    settings = settings.plain() if kind in MIXERS else settings
    module, channels = TABLE[kind](settings, WIDTH), TABLE[kind].channels(settings, WIDTH)
    tensors = {n: t for n, t in module.state_dict().items() if not n.endswith("batches_tracked")}
    assert set(channels.axes) == set(tensors)
    numbers = {kind: set() for kind in ("width", *channels.extents)}
    for name, layout in channels.axes.items():
        shape = tensors[name].shape
        if isinstance(layout, Grouped):
            shape = (shape[0] * shape[1], shape[0] * shape[2])
        for size, axis in zip(shape, layout, strict=False):
            assert all(len(owner) == size for owner in axis.values()), name
            for kind_of_channel, owner in axis.items():
                numbers.setdefault(kind_of_channel, set()).update(owner.tolist())
    for kind_of_channel, extent in channels.extents.items():
        assert numbers[kind_of_channel] - {-1} == set(range(extent.lanes * extent.size))
    assert numbers["width"] - {-1} == set(range(WIDTH))
    assert set(channels.rooted) <= set(tensors)


def test_no_mixer_shares_a_kind_of_channel_with_a_feed_forward():
    """Both stand in one block, and a unit is named by its kind."""
    kinds = {
        which: {k for t in table for s in SETTINGS[t] for k in table[t].channels(s, WIDTH).extents}
        for which, table in (("mixer", MIXERS), ("feed_forward", FEED_FORWARDS))
    }
    assert not kinds["mixer"] & kinds["feed_forward"]
