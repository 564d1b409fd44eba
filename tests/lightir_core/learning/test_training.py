import itertools
import math
import time
from dataclasses import replace

import pytest
import torch

from lightir_core.errors import TrainingError
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.step import Teacher, has_fast_bfloat16, precision
from lightir_core.learning.training import train

QUICK = Recipe(name="quick", steps=6, batch=2, patch_px=8)


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


class Remembering:
    """Patches of `data`, with the weights that a network had when they were asked for."""

    def __init__(self, data, network):
        self.data, self.network, self.seen = data, network, []

    def batch(self, *where):
        self.seen.append(weights(self.network).clone())
        return self.data.batch(*where)


@pytest.mark.parametrize("architecture", ["convolutions", "attention"])
def test_equal_seeds_train_equal_networks(trained, request, architecture):
    architecture = request.getfixturevalue(architecture)
    first, second, other = (trained(architecture, QUICK, seed=s)[0] for s in (1, 1, 2))
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))


def test_the_global_generator_does_not_matter(trained, convolutions):
    torch.manual_seed(1)
    first, _ = trained(convolutions, QUICK)
    torch.manual_seed(2)
    second, _ = trained(convolutions, QUICK)
    assert torch.equal(weights(first), weights(second))


@pytest.mark.parametrize("optimiser", ["muon", "adam"])
@pytest.mark.parametrize("loss", ["l1", "charbonnier"])
def test_training_lowers_the_loss(trained, built, attention, data, optimiser, loss):
    recipe = Recipe(name="x", steps=40, batch=4, optimiser=optimiser, loss=loss)
    lq, gt = data.batch(99, 0, 16, 16)

    def error(network):
        with torch.no_grad():
            return (network.eval()(lq) - gt).abs().mean().item()

    network, _ = trained(attention, recipe)
    assert error(network) < 0.97 * error(built(attention))


class Slow:
    """Patches of `data` that take their time, and the steps that they were asked for."""

    def __init__(self, data, seconds):
        self.data, self.seconds, self.steps = data, seconds, []

    def batch(self, seed, step, *size):
        time.sleep(self.seconds)
        self.steps.append(step)
        return self.data.batch(seed, step, *size)


def test_who_is_late_leaves_steps_out_and_still_takes_the_last(built, convolutions, data):
    slow, scored, notes = Slow(data, 0.05), [], []

    def fit(limit_s, steps=100):
        slow.steps.clear()
        curve = train(
            built(convolutions),
            slow,
            replace(QUICK, steps=steps),
            seed=0,
            device=torch.device("cpu"),
            validate=lambda _: float(len(slow.steps)),
            checks=10,
            limit_s=limit_s,
            note=notes.append,
        )
        scored[:] = [step for step, _ in curve]
        seen = slow.steps  # the first batches may be looked at again
        return [step for n, step in enumerate(seen) if step > max(seen[:n], default=-1)]

    late = fit(1.0)
    assert late == sorted(set(late))
    assert 2 < len(late) < 50
    assert (late[0], late[-1]) == (0, 99)
    assert scored[-1] == 100
    assert notes == [f"{len(late)} of 100 steps were taken, to end in time"]
    assert len(set(scored)) == len(scored) <= 10
    assert fit(1000.0, steps=6) == fit(0.0, steps=6) == list(range(6))


def test_every_parameter_learns(trained, built, attention):
    before = dict(built(attention).named_parameters())
    network, _ = trained(attention, QUICK)
    stuck = [n for n, p in network.named_parameters() if torch.equal(p, before[n])]
    assert stuck == []


# 6 steps, 4 checks: 1.5, 3, 4.5, 6, rounded to even
@pytest.mark.parametrize(
    ("steps", "checks", "milestones"),
    [(6, 4, [2, 3, 4, 6]), (10, 4, [2, 5, 8, 10]), (8, 8, list(range(1, 9))), (1, 4, [1]),
     (2, 4, [1, 2]), (5, 1, [5])],
)  # fmt: skip
def test_the_curve_is_measured_evenly_and_at_the_end(
    trained, convolutions, steps, checks, milestones
):
    scores = itertools.count(10.0)
    reported = []
    _, curve = trained(
        convolutions,
        QUICK.lasting(steps),
        checks=checks,
        validate=lambda network: next(scores),
        report=reported.append,
    )
    assert [step for step, _ in curve] == milestones
    assert [score for _, score in curve] == [10.0 + i for i in range(len(milestones))]
    assert tuple(reported) == curve


def test_validation_sees_eval_mode_and_does_not_disturb(trained, convolutions):
    modes = []

    def validate(network):
        modes.append(network.training)
        torch.rand(3)
        return 0.0

    stage_outputs, _ = trained(convolutions, QUICK, validate=validate)
    plain, _ = trained(convolutions, QUICK, checks=1)
    assert set(modes) == {False}
    assert not stage_outputs.training
    assert torch.equal(weights(stage_outputs), weights(plain))


class Broken:
    """Patches that turn to NaN at one step."""

    def __init__(self, data, step, value=float("nan")):
        self.data, self.step, self.value = data, step, value

    def batch(self, seed, step, batch, patch_px):
        lq, gt = self.data.batch(seed, step, batch, patch_px)
        return lq, (gt.fill_(self.value) if step == self.step else gt)


@pytest.mark.parametrize(("step", "value"), [(0, float("nan")), (4, float("inf"))])
def test_a_loss_that_is_no_number_ends_the_training(trained, convolutions, data, step, value):
    with pytest.raises(TrainingError, match=rf"the loss became {value} at step {step + 1}$"):
        trained(convolutions, QUICK, data=Broken(data, step, value))


def test_a_score_that_is_no_number_ends_the_training(trained, convolutions):
    scores = iter((30.0, float("nan"), 31.0))
    with pytest.raises(TrainingError, match=r"the score became nan at step 3$"):
        trained(convolutions, QUICK, validate=lambda network: next(scores))


def test_averaged_weights_follow_the_formula(built, data, convolutions):
    """mean = d mean + (1 - d) now, with d = min(ema, (1 + i) / (10 + i)) at step i."""
    from_network = {}
    for ema in (0.0, 0.15):
        network = built(convolutions)
        remembering = Remembering(data, network)
        recipe = Recipe(name="x", steps=5, batch=2, patch_px=8, ema=ema)
        run(network, remembering, recipe)
        from_network[ema] = (remembering.seen, weights(network))
    seen, last = from_network[0.0]
    assert all(
        torch.equal(mine, averaged)
        for mine, averaged in zip(seen, from_network[0.15][0], strict=True)
    )
    mean = seen[0]
    for i, now in enumerate([*seen[1:], last]):
        decay = min(0.15, (1 + i) / (10 + i))
        mean = decay * mean + (1 - decay) * now
    torch.testing.assert_close(from_network[0.15][1], mean)
    assert not torch.equal(mean, last)


def run(network, data, recipe):
    device = torch.device("cpu")
    return train(network, data, recipe, seed=0, device=device, validate=lambda network: 0.0)


def test_averaged_weights_are_what_is_validated(trained, convolutions):
    seen = []
    network, _ = trained(
        convolutions,
        Recipe(name="x", steps=4, batch=2, patch_px=8, ema=0.9),
        validate=lambda averaged: seen.append(weights(averaged).clone()) or 0.0,
    )
    assert torch.equal(seen[-1], weights(network))


def test_a_teacher_alone_replaces_the_truth(trained, built, convolutions, data):
    """With weight 1 to the end the truth does not matter; with weight 0 the teacher does not."""
    teacher = built(convolutions, seed=5).eval().requires_grad_(False)
    with torch.no_grad():  # untrained, it would be the interpolation, as every fresh network
        teacher.tail.last.weight.normal_(0, 0.05)
    shifted = Shifted(data)

    def result(source, weight):
        teaching = Teacher(network=teacher, weight=weight, until=math.inf)
        return weights(trained(convolutions, QUICK, data=source, teacher=teaching)[0])

    assert torch.equal(result(data, 1.0), result(shifted, 1.0))
    assert not torch.equal(result(data, 0.5), result(shifted, 0.5))
    assert torch.equal(result(data, 0.0), weights(trained(convolutions, QUICK)[0]))


class Shifted:
    """The patches of `data` with another truth."""

    def __init__(self, data):
        self.data = data

    def batch(self, *where):
        lq, gt = self.data.batch(*where)
        return lq, 1 - gt


def test_a_teacher_is_left_alone(trained, built, convolutions):
    teacher = built(convolutions, seed=5).eval().requires_grad_(False)
    before = weights(teacher).clone()
    trained(convolutions, QUICK, teacher=Teacher(network=teacher))
    assert torch.equal(before, weights(teacher))


def test_precision_is_bfloat16_only_where_it_is_fast():
    device = torch.device("cpu")
    with precision(device):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if has_fast_bfloat16(device) else torch.float32)
    assert not has_fast_bfloat16(torch.device("meta"))


def test_an_early_stop_keeps_the_best_weights_seen(trained, convolutions):
    scores = iter([1.0, 2.0, 3.0, 2.5, 2.9, 9.0])
    seen = []

    def validate(network):
        seen.append(weights(network).clone())
        return next(scores)

    recipe = Recipe(name="x", steps=10, batch=2, patch_px=8, patience=2)
    network, curve = trained(convolutions, recipe, checks=5, validate=validate)
    assert curve == ((0, 1.0), (2, 2.0), (4, 3.0), (6, 2.5), (8, 2.9))
    assert torch.equal(weights(network), seen[2])


def test_a_training_that_gains_nothing_leaves_the_network_as_it_was(trained, built, convolutions):
    scores = iter([5.0, 4.0, 3.0])
    recipe = Recipe(name="x", steps=4, batch=2, patch_px=8, patience=2)
    network, curve = trained(convolutions, recipe, checks=4, validate=lambda _: next(scores))
    assert torch.equal(weights(network), weights(built(convolutions)))
    assert [step for step, _ in curve] == [0, 1, 2]


def test_a_penalty_is_part_of_the_loss(trained, convolutions):
    def heavy(network):
        return 10 * network.get_parameter("stem.conv.weight").square().sum()

    light, _ = trained(convolutions, QUICK)
    faded, _ = trained(convolutions, QUICK, penalty=heavy)
    norms = [n.get_parameter("stem.conv.weight").norm() for n in (light, faded)]
    assert norms[1] < norms[0]


def test_negative_patience_is_refused():
    with pytest.raises(TrainingError, match="patience=-1; use >= 0"):
        Recipe(name="x", steps=1, patience=-1)
