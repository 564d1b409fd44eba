"""The warm-up learns, leaves alone what a network has not, and survives a kill bit for bit."""

import math
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CascadeAttentionConfig,
    MlpConfig,
    ResidualConvolutionConfig,
    StageConfig,
    TailConfig,
    WindowAttentionConfig,
)
from lightir_core.errors import TrainingError
from lightir_core.learning.optimiser import Optimiser
from lightir_core.learning.recipe import Recipe
from lightir_core.learning.step import precision
from lightir_core.network import build
from search.bank import warmup
from search.bank.bank import STEPS, VALUE, Bank, fill, load_bank
from search.bank.roles import places
from search.bank.warmup import Warmup, train_step, warm_up

CPU = torch.device("cpu")
RECIPE = Recipe(name="quick", steps=12, batch=2, patch_px=8)


def network(width=16, blocks=1, mixer=None):
    mixer = mixer or WindowAttentionConfig(num_heads=2, window_size=(4, 4))
    block = BlockConfig(mixer=mixer, feed_forward=MlpConfig(hidden_dim=2 * width))
    return Architecture(
        width=width,
        scale=2,
        stages=(StageConfig(blocks=(block,) * blocks),),
        tail=TailConfig(skip="interpolated"),
    )


NETWORKS = (
    network(),
    network(24, 2),
    network(24, mixer=CascadeAttentionConfig(num_heads=2, key_dim=4, window_size=(4, 4))),
    network(16, mixer=ResidualConvolutionConfig()),
)


class Ramps:
    """Batches of smooth images, a function of seed and step."""

    def batch(self, seed, step, batch, patch_px):
        generator = torch.Generator().manual_seed(1000 * seed + step)
        gt = torch.rand(batch, 3, 2 * patch_px, 2 * patch_px, generator=generator)
        return torch.nn.functional.avg_pool2d(gt, 2), gt


def of_step(step):
    return NETWORKS[step % len(NETWORKS)]


def setting(path, recipe=RECIPE, seed=0):
    return Warmup(recipe=recipe, seed=seed, device=CPU, path=path)


def trained(path, **more):
    return warm_up(setting(path), of_step, Ramps(), lambda done: None, **more)


def same(one, other):
    return one.tensors.keys() == other.tensors.keys() and all(
        torch.equal(tensor, other.tensors[key]) for key, tensor in one.tensors.items()
    )


def test_one_network_alone_trains_as_it_would_without_a_bank():
    """Slices taken out and put back make the very steps of a plain training."""
    architecture, bank = NETWORKS[1], Bank()
    torch.manual_seed(0)
    plain = build(architecture).train()
    optimiser = Optimiser(plain, RECIPE)
    for step in range(5):
        batch = Ramps().batch(0, step, 2, 8)
        torch.manual_seed(0)
        assert train_step(bank, architecture, batch, RECIPE, step, CPU)
        with precision(CPU):
            output = plain(batch[0].contiguous(memory_format=torch.channels_last)).float()
        (output - batch[1]).abs().mean().backward()
        optimiser.step(step)
    planes = bank.borrow(plain)
    for name, tensor in plain.state_dict().items():
        assert torch.allclose(planes[name][VALUE], tensor, atol=1e-6), name
        assert (planes[name][STEPS] == 5).all()


def test_a_step_leaves_alone_what_the_network_has_not():
    bank = Bank()
    for step, architecture in enumerate((NETWORKS[1], NETWORKS[1])):
        assert train_step(bank, architecture, Ramps().batch(0, step, 2, 8), RECIPE, step, CPU)
    before = {key: tensor.clone() for key, tensor in bank.tensors.items()}
    assert train_step(bank, NETWORKS[0], Ramps().batch(0, 2, 2, 8), RECIPE, 2, CPU)
    home = {place.key: place for place in places(build(NETWORKS[0])).values()}
    changed = 0
    for key, tensor in bank.tensors.items():
        mine = torch.zeros_like(tensor, dtype=torch.bool)
        if key in home:
            mine[(slice(None), *home[key].index)] = True
        assert torch.equal(tensor[~mine], before[key][~mine]), key
        changed += int((tensor[mine] != before[key][mine]).sum())
    assert changed > 1000


def test_the_bank_learns(tmp_path):
    recipe = RECIPE.lasting(60)
    bank = warm_up(setting(tmp_path / "bank", recipe), of_step, Ramps(), lambda done: None)
    lq, gt = Ramps().batch(5, 0, 8, 8)
    for architecture in NETWORKS:
        torch.manual_seed(1)
        network = build(architecture)
        with torch.no_grad():
            fresh = (network.eval()(lq) - gt).abs().mean()
            assert fill(network, bank.borrow(network)) == 1
            inherited = (network(lq) - gt).abs().mean()
        assert inherited < 0.98 * fresh


def test_a_warm_up_that_stops_goes_on_bit_for_bit(tmp_path):
    whole = trained(tmp_path / "whole")
    done = []
    warm_up(setting(tmp_path / "cut"), of_step, Ramps(), done.append, lambda: len(done) >= 4)
    assert load_bank(tmp_path / "cut")[1] == {"steps": 5, "lost": 0, "planned": 12}
    assert same(trained(tmp_path / "cut"), whole)
    assert same(load_bank(tmp_path / "cut")[0], whole)


def test_what_is_done_is_not_done_again(tmp_path):
    whole = trained(tmp_path / "bank")
    steps = []
    again = warm_up(setting(tmp_path / "bank"), of_step, Ramps(), steps.append)
    assert steps == []
    assert same(again, whole)


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_warmup
from search.bank import warmup
warmup.KEEP_S = 0.0
test_warmup.torch.set_num_threads(1)
test_warmup.trained(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_bit_for_bit(tmp_path):
    whole = trained(tmp_path / "whole")
    path = tmp_path / "bank"
    for _ in range(3):
        command = [sys.executable, "-c", SCRIPT, str(path), str(Path(__file__).parent)]
        process = subprocess.Popen(command, cwd=Path(__file__).parents[3])
        before = path.stat().st_mtime_ns if path.exists() else 0
        while process.poll() is None and not (path.exists() and path.stat().st_mtime_ns > before):
            time.sleep(0.01)
        time.sleep(0.1)
        process.kill()
        process.wait()
    assert load_bank(path)[1]["steps"] >= 1
    assert same(trained(path), whole)


def test_a_step_without_a_finite_loss_is_not_kept():
    bank = Bank()
    lq, gt = Ramps().batch(0, 0, 2, 8)
    assert not train_step(bank, NETWORKS[0], (lq * math.nan, gt), RECIPE, 0, CPU)
    assert len(bank) == 0


def test_too_many_such_steps_are_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(warmup, "train_step", lambda *_: False)
    with pytest.raises(TrainingError, match="2 of its first 2 steps had no finite loss"):
        trained(tmp_path / "bank")
