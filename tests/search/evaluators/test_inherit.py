"""Jobs that are scored with inherited weights, or by a proxy."""

from dataclasses import replace

import pytest
import torch

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CascadeAttentionConfig,
    ResidualConvolutionConfig,
    StageConfig,
    TailConfig,
)
from lightir_core.checkpoints import load_weights
from lightir_core.data.tasks import parse_task
from lightir_core.learning.evaluate import evaluate
from lightir_core.learning.recipe import Recipe
from lightir_core.network import build
from lightir_core.tensor_files import load_tensors
from search.bank.bank import VALUE, load_bank
from search.bank.warmup import Warmup, warm_up
from search.evaluators.choice import parse_evaluator
from search.evaluators.evaluate import score_candidate
from search.evaluators.images import open_images, validation_crops
from search.evaluators.inherit import recalibrate
from search.jobs import Job, Source

CPU = torch.device("cpu")
QUICK = Recipe(name="quick", steps=6, batch=2, patch_px=8)


def network(*mixers):
    blocks = tuple(BlockConfig(mixer=mixer, norm="none") for mixer in mixers)
    tail = TailConfig(skip="interpolated")
    return Architecture(width=8, scale=2, stages=(StageConfig(blocks=blocks),), tail=tail)


PLAIN = network(ResidualConvolutionConfig())
NORMED = network(CascadeAttentionConfig(num_heads=2, key_dim=4, window_size=(4, 4)))


@pytest.fixture
def job(folder_of_photographs, tmp_path):
    source = Source(task="sr-x2", data=(str(folder_of_photographs),))
    path = tmp_path / "bank.safetensors"
    setting = Warmup(recipe=QUICK, seed=0, device=CPU, path=path)
    data = open_images(source).training
    warm_up(setting, lambda step: (PLAIN, NORMED)[step % 2], data, lambda done: None)
    return Job(
        number=7,
        architecture=PLAIN,
        recipe=QUICK,
        source=source,
        seed=1,
        device="cpu",
        weights=tmp_path / "weights.safetensors",
        evaluator=parse_evaluator("bank"),
        bank=path,
    )


def test_the_score_is_that_of_the_inherited_weights_which_are_kept(job):
    outcome = score_candidate(job)
    assert outcome.reason is None
    assert outcome.curve == ((0, outcome.scores["psnr_y"]),)
    network = build(PLAIN).eval()
    load_weights(job.weights, network)
    crops = validation_crops(job.source)
    again = evaluate(network, crops, parse_task("sr-x2"), CPU, ("psnr_y",), fast=True)
    assert again.mean == pytest.approx(outcome.scores, abs=1e-4)
    planes = load_bank(job.bank)[0].borrow(network)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, planes[name][VALUE]), name
    assert network.tail.last.weight.any()  # zero in a fresh network


def test_the_bank_stays_as_it_is_and_seeds_do_not_matter(job):
    before = job.bank.read_bytes()
    scores = [score_candidate(replace(job, seed=seed)).scores for seed in (1, 2)]
    assert scores[0] == scores[1]
    assert job.bank.read_bytes() == before


def test_a_few_steps_from_inherited_weights(job):
    tuned = score_candidate(replace(job, evaluator=parse_evaluator("bank:3")))
    assert [step for step, _ in tuned.curve] == [3]
    assert tuned.scores != score_candidate(job).scores


def test_batch_norms_are_calibrated_to_the_network_alone(job):
    score_candidate(replace(job, architecture=NORMED))
    state, _ = load_tensors(job.weights)
    bank, _ = load_tensors(job.bank)
    assert state["stages.0.blocks.0.mixer.output_norm.running_var"].isfinite().all()
    shared = bank["stages.0.blocks.0.none.cascade_attention.output_norm.running_mean"][VALUE]
    assert not torch.equal(state["stages.0.blocks.0.mixer.output_norm.running_mean"], shared)


def test_calibration_is_the_mean_over_batches(job):
    torch.manual_seed(0)
    network = build(NORMED).eval()
    data = open_images(job.source).training
    norm = network.stages[0].blocks[0].mixer.output_norm
    norm.running_mean.fill_(1e6)
    recalibrate(network, data, seed=1, batch=2, patch_px=8)
    assert norm.running_mean.abs().max() < 1e3
    assert norm.momentum == 0.1
    assert not network.training


@pytest.mark.parametrize("proxy", ["synflow", "grad-norm", "naswot"])
def test_a_proxy_scores_without_training(job, proxy):
    untrained = replace(job, evaluator=parse_evaluator(f"zero-cost:{proxy}"), bank=None)
    outcome = score_candidate(untrained)
    assert outcome.reason is None
    assert set(outcome.scores) == {proxy}
    assert outcome.curve == ()
    assert not job.weights.exists()
    assert score_candidate(untrained).scores == outcome.scores
