"""Searches whose candidates are not trained: with a weight bank, and by a proxy."""

import os
import signal
from types import SimpleNamespace

import pytest

from lightir_core.tensor_files import load_tensors
from results.models import load_results

QUICK = (
    "--space", "small", "--budget", "40k", "--steps", "3", "--finish-steps", "3", "--trials", "9",
    "--finalists", "1", "--time", "0", "--workers", "1", "--device", "cpu",
)  # fmt: skip
BANK = ("--evaluator", "bank", "--bank-steps", "12")


@pytest.fixture(scope="module")
def by_bank(command, three_photographs, tmp_path_factory):
    """A finished run with a bank, and how it ended."""
    folder = tmp_path_factory.mktemp("bank")
    ended = command("run", *QUICK, *BANK, "--data", three_photographs, "--out", "run", cwd=folder)
    return SimpleNamespace(run=folder / "run", ended=ended)


def bank_of(run):
    return load_tensors(run / "checkpoints" / "bank.safetensors")


@pytest.mark.slow
def test_a_search_with_a_bank_ends_in_trained_networks(by_bank, trials_of):
    assert by_bank.ended.status == 0, by_bank.ended.err
    assert "warm up the weight bank" in by_bank.ended.err
    assert "12 of 12 steps" in by_bank.ended.err
    trials = trials_of(by_bank.run)
    assert len(trials) == 9
    assert all(state == "finished" for _, state, *_ in trials)
    assert all([step for step, _ in curve] == [0] for *_, curve, _ in trials)
    kinds = {model.kind for model in load_results(by_bank.run)}
    assert kinds & {"trained", "pruned"}
    assert (by_bank.run / "report" / "index.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("trials", [0, 3])
def test_killed_it_goes_on_with_the_very_bank(
    by_bank, started, command, three_photographs, trials_of, wait_for, tmp_path, trials
):
    arguments = ("run", *QUICK, *BANK, "--data", three_photographs, "--out", "run")
    process = started(*arguments, cwd=tmp_path)
    run = tmp_path / "run"

    def far_enough():
        ended = [trial for trial in trials_of(run) if trial[1] != "running"]
        return (run / "config.json").exists() and len(ended) >= trials

    assert wait_for(process, far_enough)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    kept = (run / "checkpoints" / "bank.safetensors").exists()
    resumed = command("resume", "run", cwd=tmp_path)
    assert resumed.status == 0, resumed.err
    assert trials_of(run) == trials_of(by_bank.run)
    if trials:  # the bank was done, and is not trained again
        assert kept
        assert "warm up" not in resumed.err
    mine, theirs = bank_of(run), bank_of(by_bank.run)
    assert mine[1] == theirs[1]
    assert all((mine[0][key] == tensor).all() for key, tensor in theirs[0].items())


@pytest.mark.slow
def test_a_search_by_a_proxy_trains_the_chosen_from_fresh_weights(
    command, three_photographs, trials_of, tmp_path
):
    arguments = ("run", *QUICK, "--evaluator", "zero-cost:naswot", "--objectives", "psnr,params")
    ended = command(*arguments, "--data", three_photographs, "--out", "run", cwd=tmp_path)
    assert ended.status == 0, ended.err
    assert all(set(scores) == {"naswot"} for *_, scores, _, _ in trials_of(tmp_path / "run"))
    models = load_results(tmp_path / "run")
    [first, *_] = [model for model in models if model.kind != "pruned"]
    assert first.steps == 3 + 3  # those of a search, and those of a finalist
    assert "psnr_y" in first.scores
    report = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "PSNR-Y (dB) against bicubic" in report
