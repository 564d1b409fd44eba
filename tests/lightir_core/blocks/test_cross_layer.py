import pytest
import torch
from torch.nn import functional as F

from lightir_core.architecture import CrossLayerConfig
from lightir_core.blocks import cross_layer
from lightir_core.blocks.cross_layer import set_temperature


def module_of(randomise, width=6, keys=3, references=2, **changes):
    settings = CrossLayerConfig(keys=keys, references=references, **changes)
    torch.manual_seed(0)
    return randomise(cross_layer.CrossLayerAttention(settings, width))


def maps(count, size=(5, 7), width=6):
    torch.manual_seed(1)
    return [torch.randn(2, width, *size) for _ in range(count)]


def by_grid_sampling(module, x, references):
    """The same function with torch's bilinear sampling, key by key."""
    height, width = x.shape[-2:]
    offsets = module.offset(x).unflatten(1, (-1, 2))
    weights = module._weigh(x)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    total = torch.zeros_like(x)
    for number in range(weights.shape[1]):
        row = 2 * (rows + offsets[:, number, 0]) / (height - 1) - 1
        column = 2 * (columns + offsets[:, number, 1]) / (width - 1) - 1
        values = module.value(references[number // module.keys])
        grid = torch.stack((column, row), dim=-1)
        sample = F.grid_sample(values, grid, padding_mode="zeros", align_corners=True)
        total = total + weights[:, number : number + 1] * sample
    return total


@pytest.mark.parametrize("selection", ["none", "soft", "hard"])
def test_one_gather_is_bilinear_sampling_key_by_key(randomise, selection):
    module = module_of(randomise, selection=selection).eval()
    with torch.no_grad():
        module.offset.bias.mul_(10)  # far enough to leave the map on every side
    x, *references = maps(3)
    inputs = [x, *references]
    for tensor in inputs:
        tensor.requires_grad_()
    expected, actual = by_grid_sampling(module, x, references), module(x, references)
    assert torch.allclose(actual, expected, atol=1e-5)
    parameters = [p for p in module.parameters() if selection != "hard" or p.ndim]
    grads = [
        torch.autograd.grad(y.square().sum(), [*inputs, *parameters], allow_unused=True)
        for y in (expected, actual)
    ]
    for a, b in zip(*grads, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, atol=1e-3)


def test_the_exported_form_is_the_same_function(randomise, monkeypatch):
    module = module_of(randomise).eval()
    x, *references = maps(3)
    expected = module(x, references)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert torch.allclose(module(x, references), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("keys", "references", "cla", "acla"),
    [(9, 1, 5_915, 6_500), (9, 4, 11_180, 13_520), (4, 1, 4_940, 5_200), (16, 1, 7_280, 8_320)],
)
def test_sizes_are_the_papers(keys, references, cla, acla):
    # 3KL(C + 1) + C² + C and 4KL(C + 1) + C² + C with C = 64; the tail adds 11C
    for selection, expected in (("none", cla), ("hard", acla)):
        settings = CrossLayerConfig(keys=keys, references=references, selection=selection)
        module = cross_layer.CrossLayerAttention(settings, 64)
        assert sum(p.numel() for p in module.parameters()) == expected
    settings = CrossLayerConfig(keys=keys, references=references, depthwise_tail=True)
    assert (
        sum(p.numel() for p in cross_layer.CrossLayerAttention(settings, 64).parameters())
        == cla + 11 * 64
    )


@pytest.mark.parametrize("selection", ["none", "soft", "hard"])
def test_evaluation_is_deterministic_and_only_selection_is_random_in_training(randomise, selection):
    module = module_of(randomise, selection=selection)
    x, *references = maps(3)
    module.eval()
    assert torch.equal(module(x, references), module(x, references))
    module.train()
    same = torch.equal(module(x, references), module(x, references))
    assert same == (selection == "none")


def test_hard_gates_are_binary_and_learn(randomise):
    # of a single key the weight is its gate: all of it, or nothing
    hard = module_of(randomise, keys=1, references=1, selection="hard").train()
    weights = hard._weigh(maps(1)[0])
    assert set(weights.detach().round(decimals=5).unique().tolist()) == {0.0, 1.0}
    assert weights.requires_grad
    soft = module_of(randomise, selection="soft").train()
    assert soft._weigh(maps(1)[0]).unique().numel() > 2


def test_no_kept_key_gives_exactly_nothing(randomise):
    module = module_of(randomise, selection="hard").eval()
    with torch.no_grad():
        module.selection.weight.zero_()
        module.selection.bias.fill_(-1)
    x, *references = maps(3)
    assert not module(x, references).any()


def test_pixels_that_keep_no_key_do_not_drown_the_gradient(randomise):
    module = module_of(randomise, keys=1, references=1, selection="hard").train()
    x, reference = maps(2)
    y = module(x, [reference])
    assert (y == 0).all(dim=1).any()
    # through the normalised gates themselves each such pixel sends 1e12
    gradients = torch.autograd.grad(y.sum(), list(module.parameters()), allow_unused=True)
    gradients = [gradient for gradient in gradients if gradient is not None]
    assert max(gradient.abs().max() for gradient in gradients) < 1e4


def test_weights_sum_to_one(randomise):
    for selection in ("none", "soft"):
        weights = module_of(randomise, selection=selection).eval()._weigh(maps(1)[0])
        assert torch.allclose(weights.sum(1), torch.ones(2, 5, 7), atol=1e-5)


def test_fresh_keys_of_a_reference_differ():
    module = cross_layer.CrossLayerAttention(CrossLayerConfig(keys=4, references=2), 6)
    bias = module.offset.bias.detach().unflatten(0, (2, 4, 2))
    assert torch.allclose(bias[0], bias[1])
    assert torch.allclose(bias.norm(dim=-1), torch.ones(2, 4))
    assert torch.cdist(bias[0], bias[0]).fill_diagonal_(9).min() > 1


def test_temperature_is_saved_with_the_weights(randomise):
    module = module_of(randomise, selection="soft").eval()
    set_temperature(module, 0.5)
    again = module_of(randomise, selection="soft").eval()
    again.load_state_dict(module.state_dict())
    assert again.tau == 0.5
    x, *references = maps(3)
    assert torch.equal(again(x, references), module(x, references))


def test_a_diverged_network_does_not_read_outside_the_map(randomise):
    module = module_of(randomise)
    with torch.no_grad():
        module.offset.bias.fill_(float("nan"))
    x, *references = maps(3)
    assert module(x, references).shape == x.shape
    with torch.no_grad():
        module.offset.bias.fill_(1e30)
    assert not module(x, references).any()


def test_one_pixel_is_enough(randomise):
    module = module_of(randomise)
    x, *references = maps(3, size=(1, 1))
    assert module(x, references).isfinite().all()
