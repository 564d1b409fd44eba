"""What a watcher sees: plain lines in a log, a display on a terminal, nothing if asked."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console
from rich.live import Live

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from lightir_core.learning.curve import Restart
from results.objectives import Objective
from results.trials import Trial
from search.cli.progress import Display, Lines, Tally, clock, show
from search.cli.run import watching
from search.jobs import Silent

PSNR = Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y")
MACS = Objective(name="macs", direction="minimise", unit="MACs", label="MACs")
KINDS = (PSNR, MACS)

BLOCK = BlockConfig(mixer=ResidualConvolutionConfig(), norm="none")
FINISHED = Trial(
    number=3,
    state="finished",
    architecture=Architecture(width=8, stages=(StageConfig(blocks=(BLOCK,)),)),
    choices={},
    cost={"params": 26_130, "macs": 12_430_000_000},
    scores={"psnr_y": 32.7581},
)
FAILED = replace(FINISHED, number=4, state="failed", scores={}, reason="the loss became nan [/]")

RESTART = Restart(step=41, before={"lr": 0.1}, after={"lr": 0.03})


def trial(number, psnr, macs):
    return replace(
        FINISHED, number=number, scores={"psnr_y": psnr}, cost={"params": 100, "macs": macs}
    )


def events(callback):
    callback.phase("search", 2)
    callback.note("odd.png: skipped, not an image [bold]")
    callback.trial(FINISHED)
    callback.trial(FAILED)
    callback.phase("report", 1)
    callback.item("0123: 26,130 parameters, 33.10 dB")


def test_a_restart_is_said_beside_the_scores():
    said = Tally(KINDS).describe(replace(FINISHED, restart=RESTART))
    assert said.endswith(
        "26.13k parameters; diverged at step 41 with lr=0.1, restarted with lr=0.03"
    )


def test_lines_say_everything_once(capsys):
    events(Lines(KINDS))
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [re.sub(r"^\[\d+:\d\d\]", "[t]", line) for line in captured.err.splitlines()]
    identity = FINISHED.architecture.id
    assert lines == [
        "[t] search (2)",
        "[t]   note: odd.png: skipped, not an image [bold]",
        f"[t]   trial 3 ({identity}): PSNR-Y 32.758 dB, MACs 12.43G, 26.13k parameters; used 0:00",
        f"[t]   trial 4 ({identity}) failed: the loss became nan [/]; used 0:00",
        "[t] report",
        "[t]   0123: 26,130 parameters, 33.10 dB",
    ]


def test_the_display_shows_the_phase_the_trial_and_the_front():
    console = Console(file=io.StringIO(), force_terminal=True, width=90, color_system=None)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        display = Display(KINDS, live)
        events(display)
        display.phase("search", 3)
        display.trial(trial(5, 31.0, 10**9))
    shown = console.file.getvalue()
    for text in (
        "1/3", "used 0:00", "trial 5", "trial 4", "the loss became nan [/]", "32.758 dB", "12.43G",
        "31.000 dB", "note: odd.png: skipped, not an image [bold]", "33.10 dB",
    ):  # fmt: skip
        assert text in shown, text


def test_a_narrow_terminal_is_no_trouble():
    console = Console(file=io.StringIO(), force_terminal=True, width=20, height=5)
    with Live(console=console, auto_refresh=False) as live:
        events(Display(KINDS, live))
    assert "search" in console.file.getvalue()


def test_the_front_is_the_best_by_either_objective_in_order():
    tally = Tally(KINDS)
    tally.phase("search", 5)
    for number, (psnr, macs) in enumerate([(30, 5), (32, 9), (31, 5), (29, 1), (28, 2)]):
        tally.trial(trial(number, psnr, macs))
    tally.trial(FAILED)
    assert [t.number for t in tally.front] == [1, 2, 3]
    assert tally.done == 6


def test_the_front_outlives_the_phase():
    tally = Tally(KINDS)
    tally.phase("search", 1)
    tally.trial(FINISHED)
    tally.phase("train on", 1)
    assert (tally.done, [t.number for t in tally.front]) == (0, [3])


def test_time_left_is_told_while_somebody_knows_it():
    asked = []

    def forecast(phase, done, elapsed_s):
        asked.append((phase, done, round(elapsed_s)))
        return 120.0 if done else None

    tally = Tally(KINDS, forecast)
    tally.phase("search", 3)
    assert tally.times() == "used 0:00"
    tally.trial(FINISHED)
    tally._begun -= 65
    assert tally.times() == "used 1:05, about 2:00 more in all"
    tally.phase("train on", 2)
    tally.item()
    tally.times()
    assert asked == [("search", 0, 0), ("search", 1, 65), ("train on", 1, 65)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (9.6, "0:10"), (60, "1:00"), (3599.4, "59:59"), (7325, "122:05")],
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_values_have_their_units():
    assert show(32.75812, PSNR) == "32.758 dB"
    assert show(12_430_000_000, MACS) == "12.43G"


def test_watching_suits_the_place(capsys):
    with watching(KINDS, quiet=True) as callback:
        assert isinstance(callback, Silent)
        events(callback)
    assert capsys.readouterr().err == ""
    with watching(KINDS, quiet=False) as callback:
        assert isinstance(callback, Lines)


def test_a_terminal_gets_the_display(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any stream for a terminal
    with watching(KINDS, quiet=False) as callback:
        assert isinstance(callback, Display)
