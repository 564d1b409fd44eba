"""One job, evaluated in this process on real photographs."""

import ast
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    MlpConfig,
    ResidualConvolutionConfig,
    StageConfig,
    TailConfig,
    WindowAttentionConfig,
)
from lightir_core.checkpoints import load_tensors, load_weights, save_model
from lightir_core.data.image_source import (
    ImageSource,
    describe_images,
    open_images,
    validation_crops,
)
from lightir_core.data.tasks import parse_task
from lightir_core.errors import DataError
from lightir_core.learning.evaluate import evaluate
from lightir_core.learning.proxies import PROXIES
from lightir_core.learning.recipe import FINISH, Recipe
from lightir_core.network import build
from search.evaluators.evaluate import score_candidate
from search.jobs import Job
from search.objectives import parse_evaluator

ROOT = Path(__file__).parents[3]
CONVOLUTION = BlockConfig(mixer=ResidualConvolutionConfig(), norm="none")
TINY = Architecture(
    width=8,
    scale=2,
    stages=(StageConfig(blocks=(CONVOLUTION,)),),
    tail=TailConfig(skip="interpolated"),
)
QUICK = Recipe(name="quick", steps=4, batch=2, patch_px=8)


@pytest.fixture
def job(folder_of_photographs, tmp_path):
    source = ImageSource(task=parse_task("sr-x2"), data=(str(folder_of_photographs),))
    return Job(
        number=7,
        architecture=TINY,
        recipe=QUICK,
        source=source,
        seed=1,
        device="cpu",
        weights=tmp_path / "weights.safetensors",
    )


def test_an_outcome_is_a_real_training(job):
    outcome = score_candidate(job)
    assert (outcome.number, outcome.reason) == (7, None)
    assert [step for step, _ in outcome.curve] == [1, 2, 3, 4]
    assert outcome.scores == {"psnr_y": outcome.curve[-1][1]}
    assert 0 < outcome.training_s <= outcome.seconds
    network = build(TINY).eval()
    load_weights(job.weights, network)
    task = parse_task("sr-x2")
    crops = validation_crops(job.source)
    again = evaluate(network, crops, task, torch.device("cpu"), ("psnr_y",), fast=True)
    assert again.mean == pytest.approx(outcome.scores, abs=1e-4)


def test_further_training_that_harms_leaves_the_weights_as_they_were(job, tmp_path):
    score_candidate(job)
    harmful = replace(FINISH.lasting(4), batch=2, patch_px=8, lr=0.1, matrix_lr=1.0)
    finish = replace(job, recipe=harmful, start=job.weights, weights=tmp_path / "finished")
    outcome = score_candidate(finish)
    assert [step for step, _ in outcome.curve] == [0, 1, 2, 3, 4]
    assert outcome.scores["psnr_y"] == outcome.curve[0][1] > max(s for _, s in outcome.curve[1:])
    before, after = (load_tensors(path)[0] for path in (job.weights, finish.weights))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_promoted_trial_is_as_one_that_never_paused(job, tmp_path):
    state = tmp_path / "state"
    rungs = replace(job, checks=(1, 3, 4), state=state)
    whole = score_candidate(replace(job, checks=(1, 3, 4)))
    expected = load_tensors(job.weights)[0]
    job.weights.unlink()
    first, second, last = (score_candidate(replace(rungs, until=n)) for n in (1, 3, 4))
    assert first.curve == whole.curve[:1]
    assert second.curve == whole.curve[:2]
    assert second.scores == {"psnr_y": second.curve[-1][1]}
    assert (last.curve, last.scores) == (whole.curve, whole.scores)
    found = load_tensors(job.weights)[0]
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert not state.exists()


def test_a_paused_training_leaves_only_its_state(job, tmp_path):
    score_candidate(replace(job, state=tmp_path / "state", until=2))
    assert (tmp_path / "state").exists()
    assert not job.weights.exists()


def test_equal_jobs_have_equal_outcomes(job, tmp_path):
    first = score_candidate(job)
    torch.manual_seed(123)
    second = score_candidate(replace(job, weights=tmp_path / "again.safetensors"))
    assert first.curve == second.curve
    tensors = (load_tensors(path)[0] for path in (job.weights, tmp_path / "again.safetensors"))
    assert all(torch.equal(a, b) for a, b in zip(*(t.values() for t in tensors), strict=True))


def test_seeds_decide_the_outcome(job):
    assert score_candidate(job).curve != score_candidate(replace(job, seed=2)).curve


def test_a_job_can_begin_from_weights(job, tmp_path):
    score_candidate(job)
    longer = replace(job, start=job.weights, weights=tmp_path / "longer.safetensors")
    continued = score_candidate(longer)
    assert continued.curve != score_candidate(replace(longer, start=None)).curve


def test_a_teacher_changes_the_training(job, tmp_path):
    torch.manual_seed(3)
    teacher = build(TINY)
    with torch.no_grad():
        teacher.tail.last.weight.normal_(0, 0.1)
    save_model(tmp_path / "teacher", teacher)
    taught = score_candidate(replace(job, teacher=tmp_path / "teacher"))
    assert taught.reason is None
    assert taught.curve != score_candidate(job).curve


@pytest.mark.parametrize(
    ("steps", "step", "why"),
    [(11, 3, "the loss became nan at step 3"), (2, 2, "the score became nan at step 2")],
)
def test_a_training_that_diverges_twice_is_a_reason(job, steps, step, why):
    """In its course, or at its last step, after which no loss is computed."""
    diverging = replace(QUICK, lr=1e10, matrix_lr=1e10, clip_norm=1e30, steps=steps)
    outcome = score_candidate(replace(job, recipe=diverging))
    assert outcome.reason is not None
    rates = "lr=1e+10 and matrix_lr=1e+10, restarted with lr=3e+09 and matrix_lr=3e+09"
    assert outcome.reason == (
        f"training failed: diverged at step {step} with {rates}, and again: {why}"
    )
    assert (outcome.scores, outcome.curve) == ({}, ())
    assert outcome.seconds > 0
    assert not job.weights.exists()


WILD = Recipe(name="wild", steps=64, batch=4, patch_px=8, lr=0.1, matrix_lr=0.1)
"""Diverges at these rates and does not at three tenths of them."""


def test_a_training_that_diverges_is_begun_again_with_lower_rates(job, tmp_path):
    outcome = score_candidate(replace(job, recipe=WILD))
    assert outcome.reason is None
    assert outcome.restart is not None
    assert outcome.restart.text == (
        "diverged at step 48 with lr=0.1 and matrix_lr=0.1, restarted with lr=0.03 and "
        "matrix_lr=0.03"
    )
    # from the same seed: as if nobody had tried the higher rates
    gentle = replace(job, recipe=WILD.gentler(), weights=tmp_path / "gentle")
    calm = score_candidate(gentle)
    assert (calm.curve, calm.restart) == (outcome.curve, None)
    first, second = (load_tensors(path)[0] for path in (job.weights, gentle.weights))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("rungs", [(20, 64), (50, 64), (20, 50, 55, 64)])
def test_a_restart_is_the_same_with_rungs(job, tmp_path, rungs):
    """Whether it diverges in the first stretch or in a later one, and whatever is kept then."""
    job = replace(job, recipe=WILD, checks=(20, 50, 55, 64))
    whole = score_candidate(job)
    state = tmp_path / "state"
    parts = [score_candidate(replace(job, state=state, until=until)) for until in rungs]
    assert (parts[-1].curve, parts[-1].restart) == (whole.curve, whole.restart)
    assert [part.restart is not None for part in parts] == [until >= 48 for until in rungs]
    assert not state.exists()


def test_a_restart_that_was_killed_goes_on_as_one(job, tmp_path):
    job = replace(job, recipe=WILD, checks=(20, 50, 64), state=tmp_path / "state")
    whole = score_candidate(job)
    score_candidate(replace(job, until=50))
    again = score_candidate(replace(job, until=50))  # its outcome was lost, its state was not
    assert (again.restart, again.curve) == (whole.restart, whole.curve[:2])
    assert score_candidate(job).curve == whole.curve


def test_a_job_that_starts_from_weights_is_begun_again_from_them(job, tmp_path):
    score_candidate(job)
    on = replace(job, recipe=WILD, start=job.weights, weights=tmp_path / "on")
    outcome = score_candidate(on)
    assert outcome.restart is not None
    gentle = replace(on, recipe=WILD.gentler())
    assert score_candidate(gentle).curve == outcome.curve


def test_memory_that_runs_out_is_a_reason(job):
    attention = WindowAttentionConfig(num_heads=1, window_size=(4, 4))
    endless = BlockConfig(mixer=attention, feed_forward=MlpConfig(hidden_dim=10**14))
    huge = replace(TINY, stages=(StageConfig(blocks=(endless,)),))
    outcome = score_candidate(replace(job, architecture=huge))
    assert outcome.reason is not None
    assert outcome.reason.startswith("out of memory: ")
    assert outcome.memory["predicted_bytes"] > 8 * 10**14 * TINY.width
    assert 10**7 < outcome.memory["reached_bytes"] < 10**11
    assert "GiB, the process had reached " in outcome.reason


LIMITED = """
import pickle, resource, sys
from search.evaluators.evaluate import score_candidate
job = pickle.loads(bytes.fromhex(sys.argv[1]))
first = score_candidate(job)  # loads all that a training needs
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 2**26, resource.RLIM_INFINITY))
large = pickle.loads(bytes.fromhex(sys.argv[2]))
found = score_candidate(large)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(repr((found.reason, found.memory, score_candidate(job).scores == first.scores)))
"""


@pytest.mark.slow
def test_a_process_that_may_hold_little_really_runs_out(job, tmp_path):
    """The system refuses the memory; the process lives on and does the next job."""
    wide = BlockConfig(mixer=ResidualConvolutionConfig(hidden_dim=512), norm="none")
    large = replace(
        job,
        architecture=replace(TINY, stages=(StageConfig(blocks=(wide,) * 4),)),
        recipe=replace(QUICK, batch=64, patch_px=24),
    )
    jobs = [pickle.dumps(j).hex() for j in (job, large)]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *jobs], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    reason, memory, works_again = ast.literal_eval(done.stdout.splitlines()[-1])
    assert reason.startswith("out of memory: ")
    assert "can't allocate memory" in reason
    assert memory["predicted_bytes"] > 2**26
    assert works_again


def test_a_fault_of_the_program_is_no_outcome(job):
    with pytest.raises(RuntimeError, match=r"expected input.* to have 1 channels"):
        score_candidate(replace(job, architecture=replace(TINY, in_channels=1, out_channels=1)))


def test_a_folder_that_is_gone_is_no_outcome(job):
    source = replace(job.source, data=("/nowhere",))
    with pytest.raises(DataError, match="/nowhere: there is no such folder"):
        score_candidate(replace(job, source=source))


def test_images_are_read_once_and_held_out_ones_are_not_trained_on(job):
    data = open_images(job.source)
    assert open_images(job.source) is data
    trained_on = {item.name for item in data.training.source.items}
    held_out = {item.name for item in data.validation.items}
    assert len(trained_on) == 2
    assert len(held_out) == 1
    assert not trained_on & held_out
    assert {pair.name for pair in validation_crops(job.source)} == held_out


def test_photographs_are_described_with_their_licences_where_they_are_used(job):
    told = describe_images(ImageSource(task=parse_task("sr-x2")))
    assert not set(told["training"]) & set(told["validation"])
    licensed = [text.partition(":")[0] for text in told["licences"]]
    assert licensed == told["training"] + told["validation"]
    assert all(" (in " in text for text in told["licences"])
    [folder] = job.source.data
    assert describe_images(job.source)["licences"] == []
    mixed = describe_images(ImageSource(task=parse_task("sr-x2"), val=folder))
    assert mixed["training"] == told["training"]
    assert [text.partition(":")[0] for text in mixed["licences"]] == told["training"]


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_proxy_scores_without_training(job, proxy):
    untrained = replace(job, evaluator=parse_evaluator(f"zero-cost:{proxy}"))
    outcome = score_candidate(untrained)
    assert outcome.reason is None
    assert set(outcome.scores) == {proxy}
    assert outcome.curve == ()
    assert not job.weights.exists()
    assert score_candidate(untrained).scores == outcome.scores
