import pytest
import torch

from benchmarks import tries
from benchmarks.tries import SIZES, SYSTEMS, TRIES, Attempt, find_recipe, find_try, system
from lightir_core.data.image_source import ImageSource, open_images
from lightir_core.data.tasks import parse_task
from lightir_core.errors import TrainingError
from lightir_core.learning.recipe import PROXY
from lightir_core.network import build

TASK = parse_task("sr-x2")
IMAGES = open_images(ImageSource(task=parse_task("sr-x2"))).training


class Stripes:
    """Patches of stripes, each as strong as its number; the truth says which it is."""

    def batch(self, seed, step, batch, patch_px):
        self.asked = batch
        columns = torch.arange(patch_px) % 2
        number = torch.arange(batch).view(-1, 1, 1, 1)
        lq = (columns * number / batch).expand(batch, 3, patch_px, patch_px)
        return lq, number.expand(batch, 3, 1, 1)


def _network(kind: str):
    torch.manual_seed(0)
    return build(system(kind, "15k", TASK))


@pytest.mark.parametrize("kind", SYSTEMS)
@pytest.mark.parametrize(("size", "expected"), list(zip(SIZES, (15e3, 90e3, 400e3), strict=True)))
def test_the_networks_have_the_sizes_they_are_named_after(kind, size, expected):
    with torch.device("meta"):
        network = build(system(kind, size, TASK))
    params = sum(parameter.numel() for parameter in network.parameters())
    assert params == pytest.approx(expected, rel=0.13)
    assert network.tail.interpolated


def test_every_try_differs_from_the_proxy_in_what_it_is_named_after():
    assert TRIES["proxy"] == Attempt(recipe=PROXY)
    assert len(set(TRIES.values())) == len(TRIES)


@pytest.mark.parametrize("kind", SYSTEMS)
def test_zeroed_branches_leave_a_stages_input_as_it_is(kind):
    network = _network(kind)
    x = torch.randn(1, network.architecture.width, 16, 16)
    block = network.get_submodule("stages.0.blocks.0")
    assert not torch.equal(block(x), x)
    tries.zero_branches(network)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("kind", ["window", "grouped"])
def test_wide_matrices_are_wide_and_positions_stay(kind):
    network = _network(kind)
    before = {name: p.clone() for name, p in network.named_parameters()}
    tries.wide_matrices(network)
    changed = {n: p for n, p in network.named_parameters() if not torch.equal(p, before[n])}
    assert not [name for name in changed if "position" in name or "norm" in name]
    assert any("feed_forward.inward" in name for name in changed)
    for parameter in changed.values():
        expected = 0.5 * parameter.shape[-1] ** -0.5
        assert parameter.std().item() == pytest.approx(expected, rel=0.25)


def test_local_positions_favour_neighbours():
    network = _network("window")
    tries.local_positions(network)
    table = network.get_parameter("stages.0.blocks.0.mixer.position.table")
    far = table.view(15, 15, -1)[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert table.max(dim=0).values.min() > -1
    assert far.max() < -15


@pytest.mark.parametrize("kind", ["recursive", "cross-layer"])
def test_without_a_skip_the_network_makes_the_whole_image(kind):
    network = build(tries.without_skip(system(kind, "15k", TASK)))
    assert not network.tail.interpolated


def test_the_most_detailed_patches_are_kept():
    stripes = Stripes()
    _, chosen = TRIES["detailed-1-of-2"].patches(stripes, 10).batch(0, 0, 4, 8)
    assert stripes.asked == 8
    assert chosen[:, 0, 0, 0].tolist() == [1, 3, 5, 7]


def test_half_of_the_patches_stay_as_they_come():
    stripes = Stripes()
    lq, chosen = TRIES["half-detailed-1-of-4"].patches(stripes, 10).batch(0, 0, 4, 8)
    assert stripes.asked == 2 + 8
    assert chosen[:, 0, 0, 0].tolist() == [0, 1, 5, 9]
    assert lq.shape == (4, 3, 8, 8)


def test_patches_grow_halfway():
    grown = TRIES["patch-16-then-24"].patches(IMAGES, 10)
    sides = [tuple(grown.batch(0, step, 1, 1)[0].shape) for step in (0, 4, 5, 9)]
    assert sides == [(8, 3, 16, 16)] * 2 + [(4, 3, 24, 24)] * 2


def test_only_a_recipe_is_taken_for_one():
    assert find_recipe("cosine").schedule == "cosine"
    assert find_recipe("standard").name == "standard"
    assert find_try("bfloat16").recipe == find_recipe("proxy") == PROXY
    with pytest.raises(TrainingError, match=r"'zero-branches' changes more .* proxy, adam"):
        find_recipe("zero-branches")
    assert all(TRIES[name].begin is tries.plain_stem for name in TRIES if "papers" in name)


def test_an_unknown_try_is_refused_and_the_nearest_is_told(tmp_path):
    with pytest.raises(TrainingError, match=r"'zero-branch' is not known.*'zero-branches'"):
        find_try("zero-branch")
    file = tmp_path / "mine.toml"
    file.write_text("batch = 3")
    assert find_try(str(file)).recipe.batch == 3
