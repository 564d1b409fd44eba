import copy
import shutil
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from lightir_core.data.patches import PatchBlocks
from lightir_core.errors import TrainingError
from lightir_core.learning.learner import EagerSteps, GraphedSteps, Learner
from lightir_core.learning.optimiser import Optimiser
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.step import StepLoss, Teacher
from lightir_core.learning.training import StateOptions, train

CPU = torch.device("cpu")
QUICK = Recipe(name="quick", steps=4, batch=2, patch_px=8)
LONGER = Recipe(name="longer", steps=50, batch=2, patch_px=8, ema=0.9)


def trained(network, data, launch, device="cpu", recipe=QUICK, **options):
    curve = train(
        network,
        data,
        recipe,
        seed=1,
        device=torch.device(device),
        validate=lambda network: next(network.parameters()).sum().item(),
        launch_mode=launch,
        **options,
    )
    assert len(curve) == 4
    return torch.cat([p.detach().flatten().cpu() for p in network.parameters()])


def test_a_graph_without_a_gpu_is_refused_before_the_first_step(built, attention, data):
    with pytest.raises(TrainingError, match="a graphed step needs a CUDA GPU, not cpu; use eager"):
        trained(built(attention), data, "graphed")


def steps_of(network, data, recipe, teacher, graphed):
    """What takes the steps of a training on the CPU; a graph is replaced by its work."""
    averaged = copy.deepcopy(network) if recipe.ema else None
    loss = StepLoss(
        data=data, recipe=recipe, seed=1, device=CPU, teacher=teacher, penalty=None, half=None
    )
    learner = Learner(network, averaged, Optimiser(network, recipe, in_graph=graphed), loss)
    if not graphed:
        return learner, EagerSteps(learner)
    due = range(recipe.steps)
    return learner, GraphedSteps(learner, PatchBlocks(data, CPU), due, capture=lambda work: work)


# what is rounded otherwise grows with every step of Muon: over many steps Adam alone tells more
@pytest.mark.parametrize(
    "recipe", [replace(LONGER, steps=20), replace(LONGER, steps=150, optimiser="adam")]
)
@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("architecture", ["convolutions", "attention"])
def test_what_a_graph_repeats_is_an_eager_step(built, data, request, architecture, taught, recipe):
    architecture, ended = request.getfixturevalue(architecture), []
    teacher = Teacher(network=built(architecture, seed=5).eval()) if taught else None
    for graphed in (False, True):
        learner, steps = steps_of(built(architecture), data, recipe, teacher, graphed)
        errors = []
        learner.network.train()
        for step in range(recipe.steps):
            steps.take(step)
            if steps.is_full or step + 1 == recipe.steps:
                errors += steps.read()
        assert [step for step, _ in errors] == list(range(recipe.steps))
        ended.append((errors, learner))
    (eager, one), (graphed, other) = ended
    assert [e for _, e in graphed] == pytest.approx([e for _, e in eager], rel=0.01)
    for name in ("network", "averaged"):
        for mine, theirs in zip(
            getattr(one, name).parameters(), getattr(other, name).parameters(), strict=True
        ):
            assert torch.allclose(mine, theirs, atol=2e-3)


def test_where_no_graph_can_be_made_steps_are_taken_eagerly(built, data, attention):
    def refuse(work):
        work()
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    learner, _ = steps_of(built(attention), data, QUICK, None, graphed=True)
    steps = GraphedSteps(learner, PatchBlocks(data, CPU), range(4), capture=refuse)
    for step in range(4):
        steps.take(step)
    assert [step for step, _ in steps.read()] == [0, 1, 2, 3]
    assert steps.note == "trained without a CUDA graph, which fails here: operation not permitted"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_compiled_step_learns_the_same(built, convolutions, data):
    eager = trained(built(convolutions), data, "eager")
    compiled = trained(built(convolutions), data, "compiled")
    # Muon makes of a gradient a matrix of length one: what is rounded otherwise grows a little
    assert torch.allclose(compiled, eager, atol=2e-3)
    assert not torch.equal(eager, nn.utils.parameters_to_vector(built(convolutions).parameters()))


@pytest.mark.gpu
@pytest.mark.parametrize("architecture", ["convolutions", "attention"])
def test_a_graphed_step_learns_the_same(built, data, request, architecture):
    architecture, notes = request.getfixturevalue(architecture), []
    eager = trained(built(architecture), data, "eager", "cuda", LONGER)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # users would see them on their terminals
        graphed = trained(built(architecture), data, "graphed", "cuda", LONGER, note=notes.append)
    assert notes == []
    assert torch.allclose(graphed, eager, atol=2e-3)


@pytest.mark.gpu
def test_a_graph_follows_a_teacher_until_it_has_no_more_to_say(built, attention, data):
    teacher = Teacher(network=built(attention, seed=5).cuda().eval().requires_grad_(False))
    runs = [
        trained(built(attention), data, launch, "cuda", LONGER, teacher=teacher)
        for launch in ("eager", "graphed")
    ]
    assert torch.allclose(*runs, atol=2e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("architecture", ["convolutions", "attention"])
def test_a_graphed_training_that_was_paused_goes_on_bit_for_bit(
    built, data, request, architecture, tmp_path
):
    architecture = request.getfixturevalue(architecture)
    at_once = trained(built(architecture), data, "graphed", "cuda", LONGER)
    network = built(architecture)
    train(
        network,
        data,
        LONGER,
        seed=1,
        device=torch.device("cuda"),
        validate=lambda _: 0.0,
        launch_mode="graphed",
        state_options=StateOptions(20, tmp_path / "state"),
    )
    again = StateOptions(50, tmp_path / "state")
    later = trained(built(architecture), data, "graphed", "cuda", LONGER, state_options=again)
    assert torch.equal(at_once, later)
