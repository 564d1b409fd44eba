"""Architectures and run folders that the tests of the record and of the report share."""

import math
import os
import random
from dataclasses import replace

import pytest
import skimage.data
from PIL import Image

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    DepthwiseMlpConfig,
    MlpConfig,
    ProjectionConfig,
    StageConfig,
    TailConfig,
    WindowAttentionConfig,
)
from results.models import Crop, ImageScore, ModelResult, write_result
from results.objectives import Objective
from results.run import RunFolder, write_config
from results.study import Record


@pytest.fixture(scope="session")
def objectives():
    return (
        Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y"),
        Objective(name="macs", direction="minimise", label="MACs"),
    )


@pytest.fixture(scope="session")
def architecture():
    mixer = WindowAttentionConfig(
        num_heads=6, window_size=(8, 8), projection=ProjectionConfig(groups=2, residual=True)
    )
    block = BlockConfig(mixer=mixer, feed_forward=DepthwiseMlpConfig(hidden_dim=96))
    shifted = replace(block, mixer=replace(mixer, shift_size=(4, 4)))
    return Architecture(
        width=48,
        scale=2,
        stages=(StageConfig(blocks=(block, shifted)),) * 3,
        tail=TailConfig(skip="interpolated"),
    )


@pytest.fixture
def record(tmp_path, objectives):
    space = {"width": [24, 48, 60], "window": ["8x8", "16x8"], "shift": [True, False, None]}
    with Record.create(tmp_path / "run", objectives, space) as record:
        yield record


SPACE = {"width": [24, 36, 48, 60], "stages": [2, 3, 4], "blocks": [2, 4], "heads": [3, 6]}
BASELINE = {"psnr_y": 33.66, "ssim_y": 0.9299}
OBJECTIVES = (
    Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y"),
    Objective(name="macs", direction="minimise", unit="MACs", label="MACs"),
)
CONFIG = {
    "command": "python -m search run --budget 480k --seed 7",
    "created": "2026-11-20T09:30:00+00:00",
    "config": {"task": "sr-x2", "budget": "480k", "trials": 20, "steps": 200, "seed": 7,
               "finish_steps": 600, "data": None, "val": None, "device": "auto"},
    "versions": {"python": "3.11.7", "lightir": "0.1.0", "torch": "2.13.0", "optuna": "5.0.0"},
    "data": {
        "training": ["astronaut", "china", "immunohistochemistry"],
        "validation": ["chelsea", "coffee"],
        "notes": ["old.png is grayscale: used as three equal channels"],
        "licences": ["astronaut: NASA, public domain", "coffee: Rachel Michetti, CC0"],
    },
    "objectives": [objective.to_plain() for objective in OBJECTIVES],
    "baseline": {"name": "bicubic", **BASELINE},
    "size": "1280x720",
}  # fmt: skip


def drawn_choices(rng):
    return {name: rng.choice(values) for name, values in SPACE.items()}


def decoded(choices):
    """An architecture with these choices, half of them with GRFormer's blocks."""
    grouped = choices["heads"] == 6
    mixer = WindowAttentionConfig(
        num_heads=choices["heads"],
        window_size=(8, 8) if choices["blocks"] == 2 else (16, 8),
        projection=ProjectionConfig(groups=2, residual=True) if grouped else ProjectionConfig(),
    )
    hidden = 2 * choices["width"]
    block = BlockConfig(
        mixer=mixer,
        feed_forward=DepthwiseMlpConfig(hidden_dim=hidden)
        if grouped
        else MlpConfig(hidden_dim=hidden),
    )
    shifted = replace(block, mixer=replace(mixer, shift_size=(4, 4)))
    stage = StageConfig(blocks=(block, shifted) * (choices["blocks"] // 2))
    return Architecture(
        width=choices["width"],
        scale=2,
        stages=(stage,) * choices["stages"],
        tail=TailConfig(skip="interpolated"),
    )


def rough_cost(choices):
    """Of the right size and order; the record does not care where costs come from."""
    blocks = choices["stages"] * choices["blocks"]
    params = 9 * 3 * 5 * choices["width"] + blocks * 8 * choices["width"] ** 2
    return {"params": params, "macs": params * 640 * 360 + blocks * choices["width"] * 10**7}


def rough_scores(cost, rng, steps=200):
    """PSNR that grows with the logarithm of the work, with the noise of a short training."""
    best = 33.7 + 0.35 * math.log(cost["macs"] / 1e9) + rng.gauss(0, 0.08) + steps / 2000
    curve = [
        (step, best - 0.9 * math.exp(-4 * step / steps))
        for step in range(steps // 8, steps + 1, steps // 8)
    ]
    return {"psnr_y": curve[-1][1], "ssim_y": 0.93 + (best - 33) / 100}, curve


def write_crops(folder, seed):
    """Four PNG files of one real spot: shrunken, bicubic, nearly true, true."""
    left = 60 + 90 * seed
    truth = Image.fromarray(skimage.data.astronaut()[40:136, left : left + 96])
    small = truth.resize((48, 48), Image.Resampling.BICUBIC)
    plain = small.resize((96, 96), Image.Resampling.BICUBIC)
    images = {"lq": small, "baseline": plain, "output": Image.blend(plain, truth, 0.7), "gt": truth}
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        image.save(folder / f"crop{seed}-{name}.png")
    return Crop(
        name=("astronaut", "coffee", "chelsea")[seed],
        **{name: f"crop{seed}-{name}.png" for name in images},
        scores={"psnr_y": 36.41},
        baseline_scores={"psnr_y": 33.18},
    )


def save_result(folder, result):
    """Write the result into its model's folder of the run, as those who train do."""
    return write_result(RunFolder(folder).model(result.id), result)


@pytest.fixture(scope="session")
def save():
    return save_result


def write_model(folder, trial, rng, *, parent=None):
    """A model folder as a search leaves it, pruned from `parent` if that is given."""
    architecture = replace(trial.architecture, width=trial.architecture.width - 12 * bool(parent))
    share = 0.72 if parent else 1
    cost = {name: int(value * share) for name, value in trial.cost.items()}
    scores, curve = rough_scores(cost, rng, steps=600)
    images = [
        ImageScore(
            name=name,
            scores={key: value + step for key, value in scores.items()},
            baseline={key: value + 1.4 * step for key, value in BASELINE.items()},
        )
        for name, step in (("chelsea", 0.01), ("coffee", -0.01))
    ]
    result = ModelResult(
        id=architecture.id,
        kind="pruned" if parent else "trained",
        trial=trial.number,
        parent=parent,
        architecture=architecture,
        cost=cost,
        scores=scores,
        baseline=BASELINE,
        within_budget=True,
        images=tuple(images),
        curve=tuple(curve),
        seconds=61.5,
        steps=600,
        notes=("heads 6 to 5 in stage 2",) if parent else (),
        crops=tuple(write_crops(RunFolder(folder).model(architecture.id), i) for i in range(3)),
    )
    save_result(folder, result)
    return result


def build_run(folder, trials=20, *, config=CONFIG, objectives=OBJECTIVES, seed=7, models=True):
    """A run folder like that of a real search: failures, a front, models, a pruned one."""
    rng = random.Random(seed)
    with Record.create(folder, objectives, SPACE) as record:
        write_config(folder, {**config, "objectives": [o.to_plain() for o in objectives]})
        for number in range(trials):
            choices = drawn_choices(rng)
            cost = rough_cost(choices)
            record.begin(number, decoded(choices), choices, cost)
            if number % 10 == 6:
                record.fail(number, "loss is NaN at step 120", seconds=3.1)
                continue
            scores, curve = rough_scores(cost, rng)
            record.finish(number, scores, curve, 4 + cost["macs"] / 1e10)
        if models:
            best = max(
                (t for t in record.trials() if t.state == "finished"),
                key=lambda trial: trial.scores["psnr_y"],
            )
            parent = write_model(folder, best, rng)
            write_model(folder, best, rng, parent=parent.id)
    return folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """A finished run of 20 trials; shared, so read it only."""
    return build_run(tmp_path_factory.mktemp("runs") / "sr-x2-400k")


@pytest.fixture
def no_disk_wait(monkeypatch):
    """For tests that write thousands of trials and measure CPU time, not the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="session")
def make_run():
    return build_run


@pytest.fixture(scope="session")
def six(tmp_path_factory):
    """Three seeds of each of two strategies."""
    folder = tmp_path_factory.mktemp("six")
    runs = []
    for strategy in ("nsga2", "random"):
        for seed in range(3):
            run = build_run(folder / f"{strategy}-{seed}", trials=12, seed=seed, models=False)
            settings = {"task": "sr-x2", "strategy": strategy, "seed": seed, "budget": "480k"}
            write_config(run, {"config": settings, "command": "run <script>alert(1)</script>"})
            runs.append(run)
    return runs
