import json
import pickle
import random
from dataclasses import replace

import pytest

from lightir_core.errors import DivergedError
from lightir_core.learning.curve import FIRST, LAST, DivergenceCheck, Restart
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.training import StateOptions, saved_restart

CALM = Recipe(name="calm", steps=120, batch=2, patch_px=8, lr=2e-3)
WILD = replace(CALM, name="wild", optimiser="adam", lr=5.0)


def see_all(watch, losses, first=1):
    for step, loss in enumerate(losses, first):
        watch.add(step, loss)


def watching(recipe=CALM, at_first=()):
    return DivergenceCheck(recipe, lambda: at_first)


def step_of_end(losses, recipe=CALM, at_first=()):
    """The step at which the losses are found to diverge, or None."""
    try:
        see_all(watching(recipe, at_first), losses)
    except DivergedError as error:
        return error.step
    return None


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_at_once(loss):
    with pytest.raises(DivergedError, match=f"the loss became {loss} at step 3") as told:
        watching().add(3, loss)
    assert told.value.step == 3


def test_a_loss_that_stays_above_ends_once_half_of_the_last_steps_are_there():
    assert step_of_end([1.0] * FIRST + [2.1] * 100) == FIRST + LAST
    # half of 32 losses, and one more for a median above the factor
    assert step_of_end([1.0] * (FIRST + LAST) + [2.1] * 100) == FIRST + LAST + 17
    assert step_of_end([1.0] * FIRST + [1.9] * 100) is None


def test_both_numbers_and_the_step_are_named():
    said = (
        r"loss diverged: 0\.5 in the middle of the last 32 steps at step 48, 0\.2 on average over"
    )
    with pytest.raises(DivergedError, match=said):
        see_all(watching(), [0.2] * FIRST + [0.5] * 99)


def test_a_blow_up_among_the_first_losses_is_measured_from_the_weights_before_it():
    losses = [1.0] + [9.0] * 100
    assert step_of_end(losses, at_first=[1.0] * FIRST) == FIRST + LAST
    # the very first batch was an easy one, the others are as hard as they were
    assert step_of_end(losses, at_first=[1.0] + [9.0] * (FIRST - 1)) is None


def test_squared_errors_count_by_their_roots():
    squared = replace(CALM, loss="mse")
    assert step_of_end([1.0] * FIRST + [3.9] * 100, squared) is None
    assert step_of_end([1.0] * FIRST + [4.1] * 100, squared) == FIRST + LAST


def test_rare_hard_batches_are_no_divergence():
    # as of sparse damage: a tenth of the batches is forty times as hard, none is among the first
    draw = random.Random(0)
    losses = [1.0] * FIRST + [draw.choices([1.0, 40.0], [9, 1])[0] for _ in range(2000)]
    assert step_of_end(losses) is None


def test_a_training_without_errors_is_left_alone():
    assert step_of_end([0.0] * 200) is None


@pytest.mark.parametrize("after", [3, FIRST, 40, 56])
def test_what_was_seen_may_be_kept_on_the_way(after):
    draw = random.Random(1)
    losses = [draw.uniform(0.8, 1.2) for _ in range(40)] + [draw.uniform(2.1, 3) for _ in range(40)]
    first, second = watching(), watching()
    see_all(first, losses[:after])
    second.restore(json.loads(json.dumps(first.to_plain())))
    ends = []
    for watch in (first, second):
        with pytest.raises(DivergedError) as told:
            see_all(watch, losses[after:], after + 1)
        ends.append((told.value.step, str(told.value)))
    assert ends[0] == ends[1]


def test_a_real_training_at_an_absurd_rate_ends_early(trained, convolutions):
    with pytest.raises(DivergedError, match=r"the loss diverged: .* at step \d+") as told:
        trained(convolutions, WILD)
    assert FIRST + LAST <= told.value.step < WILD.steps / 2
    network, _ = trained(convolutions, replace(WILD, lr=2e-3))
    assert not network.training


def test_a_real_training_diverges_at_the_same_step_after_pauses(trained, convolutions, tmp_path):
    with pytest.raises(DivergedError) as whole:
        trained(convolutions, WILD)
    for until in (10, 20, 40, 45):
        trained(convolutions, WILD, state_options=StateOptions(until, tmp_path / "state"))
    with pytest.raises(DivergedError) as parts:
        trained(convolutions, WILD, state_options=StateOptions(120, tmp_path / "state"))
    assert (parts.value.step, str(parts.value)) == (whole.value.step, str(whole.value))


def test_an_error_crosses_processes():
    error = pickle.loads(pickle.dumps(DivergedError("the loss diverged", 5)))
    assert (str(error), error.step) == ("the loss diverged", 5)


def test_a_restart_is_said_with_its_step_and_rates():
    muon = Recipe(name="x", steps=9, lr=0.01, matrix_lr=0.1)
    restart = Restart.of(DivergedError("the loss diverged", 41), muon)
    assert restart.text == (
        "diverged at step 41 with lr=0.01 and matrix_lr=0.1, restarted with lr=0.003 and "
        "matrix_lr=0.03"
    )
    assert Restart.from_plain(json.loads(json.dumps(restart.to_plain()))) == restart
    assert Restart.from_plain(None) is None
    adam = replace(muon, optimiser="adam")
    assert Restart.of(DivergedError("", 1), adam).before == {"lr": 0.01}


def test_a_state_says_of_which_attempt_it_is(trained, convolutions, tmp_path):
    restart = Restart.of(DivergedError("", 50), WILD)
    for number, attempt in enumerate((None, restart)):
        file = tmp_path / f"{number}.state"
        trained(convolutions, CALM, state_options=StateOptions(4, file, restart=attempt))
        assert saved_restart(file) == attempt
    assert saved_restart(tmp_path / "missing.state") is None
    (tmp_path / "broken.state").write_bytes(b"x")
    assert saved_restart(tmp_path / "broken.state") is None
