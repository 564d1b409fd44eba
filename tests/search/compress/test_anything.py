"""Whatever can be described can be pruned: random architectures of every axis, and the presets."""

import pytest
import torch

from budgets.assess import CostSettings, Target
from budgets.budget import Budget, Size
from budgets.price import price
from lightir_core.architecture import from_json
from lightir_core.network import build
from lightir_core.pruning.channels import cut_channels, fold, folded, units
from lightir_core.published.presets import PRESETS, preset, shrink
from search.compress.plan import floors, masks, plan
from search.compress.prune import FILLED, Pruning, prune, smallest
from tests.budgets.random_architectures import random_architecture
from tests.search.compress.masking import difference

SIZE = Size(64, 64)
SHARES = (0.2, 0.5, 0.9)
QUICK = (0, 80, 120)
ALL = range(200)

pytestmark = pytest.mark.usefixtures("few_batches")


class Noise:
    """One small patch of any number of channels and scale: what is learnt does not matter here."""

    def __init__(self, architecture):
        self._architecture = architecture

    def batch(self, seed, step, batch, patch_px):
        a, generator = self._architecture, torch.Generator().manual_seed(1000 * seed + step)
        patch_px = min(patch_px, 8)
        side = patch_px * a.scale
        lq = torch.rand(1, a.in_channels, patch_px, patch_px, generator=generator)
        return lq, torch.rand(1, a.out_channels, side, side, generator=generator)


def built(architecture, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(architecture).eval()


def target(text):
    return Target(Budget.parse(text), CostSettings(sizes=(SIZE,)))


def down_to(architecture, share):
    whole = price(architecture, SIZE).params
    least = price(smallest(architecture, target("params=1")), SIZE).params
    return target(f"params={round(whole - share * (whole - least))}")


def check(network, goal):
    """Prune, and hold the result to everything that is promised of it."""
    pruned = prune(network, goal, Noise(network.architecture))
    architecture = pruned.architecture
    assert goal.fits(architecture)
    assert pruned.cost.params == sum(p.numel() for p in pruned.network.parameters())
    # a smaller point of the space: rebuilt from its JSON it computes the same
    again = build(from_json(architecture.to_json()))
    again.load_state_dict(pruned.network.state_dict())
    assert difference(pruned.network, again.eval()) <= 1e-5
    for sides in ((16, 16), (9, 21)):  # forward and backward
        again.zero_grad()
        output = again(torch.rand(1, architecture.in_channels, *sides))
        assert output.shape[2:] == tuple(side * architecture.scale for side in sides)
        output.square().mean().backward()
    return pruned


def check_ratios(network, goal):
    """Channels alone: every prunable layer has what the plan says, and nothing else moved."""
    network = fold(network)
    there = units(network.architecture)
    if not goal.fits(floors(network.architecture)):
        return
    ranking = {u: torch.rand(e.lanes, e.size, dtype=torch.float64) for u, e in there.items()}
    left = plan(network.architecture, ranking, goal, set(there))
    assert left
    pruned = cut_channels(network, masks(ranking, left))
    for unit, extent in units(pruned.architecture).items():
        if unit.kind not in ("keys", "values", "inner") or unit not in left:
            lanes_gone = unit.kind in ("keys", "values", "inner")
            assert extent.size == left.get(unit, there[unit].size) or lanes_gone, str(unit)
        assert extent.size >= 1


@pytest.mark.parametrize("seed", QUICK)
def test_random_architectures_are_pruned_to_any_budget(seed):
    network = built(random_architecture(seed), seed)
    for share in (SHARES[0], SHARES[-1]):
        goal = down_to(network.architecture, share)
        check(network, goal)
        check_ratios(network, goal)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", [seed for seed in ALL if seed not in QUICK])
def test_more_random_architectures_are_pruned_to_any_budget(seed):
    network = built(random_architecture(seed), seed)
    for share in SHARES:
        goal = down_to(network.architecture, share)
        check(network, goal)
        check_ratios(network, goal)


@pytest.mark.parametrize("name", PRESETS)
def test_small_forms_of_the_presets_are_pruned(name):
    def fits(architecture):
        return price(architecture, SIZE).params <= 25_000

    network = built(shrink(name, fits))
    check(network, down_to(network.architecture, 0.5))


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_are_pruned_by_half_to_within_a_percent(name):
    network = built(preset(name))
    goal = target(f"params={price(network.architecture, SIZE).params // 2}")
    pruned = prune(network, goal, None, Pruning(importance="magnitude"))
    assert goal.overrun(pruned.architecture) > FILLED
    assert difference(fold(pruned.network), pruned.network) <= 1e-5


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_a_smallest_form_that_builds(name):
    architecture = smallest(preset(name), target("params=1"))
    assert folded(architecture) == architecture
    with torch.device("meta"):
        assert build(architecture)(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 16, 16)
