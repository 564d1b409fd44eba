"""The race of the main job against published systems goes on where it stopped, and is told."""

import pytest
from typer.testing import CliRunner

from benchmarks import answer
from benchmarks.__main__ import application
from benchmarks.answer import document


@pytest.mark.slow
def test_both_are_trained_scored_and_kept(tmp_path, folder_of_photographs, monkeypatch):
    images, keep = str(folder_of_photographs), tmp_path / "kept"
    words = ["answer", "--test", images, "--data", images, "--budget", "20k", "--time", "3s"]
    words += ["--shares", "1", "--presets", "edsr-baseline", "--seeds", "1", "--workers", "1"]
    words += ["--keep", str(keep)]
    shown = CliRunner().invoke(application("answer"), words, catch_exceptions=False)
    assert shown.exit_code == 0
    assert "| edsr-baseline-" in shown.stdout
    assert "| run, seed 0 |" in shown.stdout
    assert "from the best preset in hindsight." in shown.stdout
    monkeypatch.setattr(answer, "run", lambda *_: pytest.fail("searched again"))
    monkeypatch.setattr(answer, "train_for_time", lambda _: pytest.fail("trained again"))
    again = CliRunner().invoke(application("answer"), words, catch_exceptions=False)
    assert again.stdout == shown.stdout


def test_the_answer_is_held_against_the_best_preset_of_the_test_images():
    presets = [
        {"name": name, "params": 9000, "score": score} for name, score in (("a", 35.0), ("b", 36.0))
    ]
    answers = [
        {"seed": seed, "seconds": 60.0, "trials": 7, "params": 5000, "score": score}
        for seed, score in enumerate((36.1, 36.3, 36.2))
    ]
    lines = document(presets, answers)
    assert lines[2] == "| b | 9,000 | 36.00 |  |"
    assert (
        lines[-1] == "The answer is +0.20 dB from the best preset in hindsight (± 0.25, 3 seeds)."
    )
    assert lines[4] == "| run, seed 0 | 5,000 | 36.10 | 7 trials, 60 s |"
