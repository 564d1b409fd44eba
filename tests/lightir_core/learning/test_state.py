import itertools

import pytest
import torch

from lightir_core.errors import CheckpointError
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.training import StateOptions, saved_step

RECIPES = {
    "muon": Recipe(name="muon", steps=9, batch=2, patch_px=8),
    "adam": Recipe(name="adam", steps=9, batch=2, patch_px=8, optimiser="adam"),
    "averaged": Recipe(name="averaged", steps=9, batch=2, patch_px=8, ema=0.9),
    "patient": Recipe(name="patient", steps=9, batch=2, patch_px=8, patience=3),
}


@pytest.fixture
def scores():
    """A score for each check, always in the same order: it rises, then falls."""
    return lambda: itertools.chain([1.0, 2.0, 3.0], itertools.repeat(0.5)).__next__


@pytest.mark.parametrize("architecture", ["convolutions", "attention"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_paused_training_ends_as_an_uninterrupted_one(
    trained, request, architecture, recipe, scores, tmp_path
):
    architecture, recipe = request.getfixturevalue(architecture), RECIPES[recipe]
    score = scores()
    whole, curve = trained(architecture, recipe, validate=lambda _: score(), checks=(2, 5, 9))
    score, parts = scores(), []
    for until in (2, 2, 5, 9):
        paused = {"state_options": StateOptions(until, tmp_path / "state"), "checks": (2, 5, 9)}
        network, so_far = trained(architecture, recipe, validate=lambda _: score(), **paused)
        parts.append(so_far)
    assert parts[-1] == curve
    assert parts[0] == parts[1] == curve[: len(parts[0])]
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.state_dict().values(), network.state_dict().values(), strict=True)
    )


def test_the_last_step_keeps_nothing(trained, convolutions, tmp_path):
    trained(convolutions, RECIPES["adam"], state_options=StateOptions(9, tmp_path / "state"))
    assert not (tmp_path / "state").exists()


def test_a_damaged_state_is_as_good_as_none(trained, convolutions, tmp_path):
    recipe, file = RECIPES["muon"], tmp_path / "state"
    trained(convolutions, recipe, state_options=StateOptions(4, file))
    file.write_bytes(file.read_bytes()[:-7])
    again, _ = trained(convolutions, recipe, state_options=StateOptions(9, file))
    whole, _ = trained(convolutions, recipe)
    assert torch.equal(*(torch.cat([p.flatten() for p in n.parameters()]) for n in (again, whole)))


def test_the_state_of_another_network_is_refused(trained, convolutions, attention, tmp_path):
    trained(convolutions, RECIPES["muon"], state_options=StateOptions(4, tmp_path / "state"))
    with pytest.raises(CheckpointError, match="does not fit the network"):
        trained(attention, RECIPES["muon"], state_options=StateOptions(9, tmp_path / "state"))


def test_the_state_of_another_recipe_is_refused(trained, attention, tmp_path):
    trained(attention, RECIPES["muon"], state_options=StateOptions(4, tmp_path / "state"))
    with pytest.raises(CheckpointError, match="of another network or recipe"):
        trained(attention, RECIPES["adam"], state_options=StateOptions(9, tmp_path / "state"))


def test_what_is_kept_on_the_way_is_gone_on_from_bit_for_bit(trained, attention, tmp_path):
    recipe, file = RECIPES["muon"], tmp_path / "state"
    whole, curve = trained(attention, recipe)

    class DeadError(Exception):
        pass

    checks = itertools.count()

    def die(_):
        if next(checks) == 2:
            raise DeadError
        return 1.0

    with pytest.raises(DeadError):
        trained(
            attention,
            recipe,
            validate=die,
            checks=(2, 4, 6, 9),
            state_options=StateOptions(9, file, 1e-9),
        )
    assert saved_step(file) == 5  # the sixth was measured before it could be kept
    again, so_far = trained(attention, recipe, state_options=StateOptions(9, file, 1e-9))
    assert so_far[-1][0] == curve[-1][0]
    assert torch.equal(*(torch.cat([p.flatten() for p in n.parameters()]) for n in (again, whole)))


def test_nothing_kept_begins_at_the_start(tmp_path):
    assert saved_step(None) == saved_step(tmp_path / "nothing") == 0
    (tmp_path / "torn").write_bytes(b"half")
    assert saved_step(tmp_path / "torn") == 0
