import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search.cli import app
from search.cli.app import COMMANDS, FIVE, MOVED


@pytest.fixture
def alone(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["search"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    return ended.value.code, capsys.readouterr().out


def test_alone_the_program_names_five_things_with_a_line_each(alone):
    code, out = alone
    assert code in (0, None)
    assert len(FIVE) == 5
    for number, (what, line) in enumerate(FIVE, 1):
        assert f"{number}. {what}\n     {line}\n" in out
    assert "lightir --install-completion" in out
    assert len(out.splitlines()) <= 24


def test_the_shell_completes_commands_and_flags():
    """What bash asks when TAB is pressed behind `lightir run --bud`."""

    def completed(line):
        code = "import sys; sys.argv = ['lightir']; from search.cli.app import main; main()"
        asked = {"_LIGHTIR_COMPLETE": "complete_bash", "COMP_WORDS": line}
        asked["COMP_CWORD"] = str(len(line.split()) - 1)
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **asked},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
        )
        return done.stdout.split()

    assert "resume" in completed("lightir re")
    assert completed("lightir run --bud") == ["--budget"]


ROOT = Path(__file__).parents[3]
HEAVY = ("torch", "torchvision", "ray", "onnx", "onnxruntime", "nni", "mlflow", "tensorboard",
         "matplotlib", "optuna", "scipy", "skimage", "sklearn", "pandas", "numpy")  # fmt: skip
LOADED = """
import sys
from search.cli.app import main
try:
    main()
except SystemExit as end:
    print("exit", end.code or 0, file=sys.stderr)
print("loaded", *(name for name in HEAVY if name in sys.modules), file=sys.stderr)
"""

RUN = {"optuna", "numpy", "scipy"}  # the record of a run, which `run` reports from
NUMBERS = RUN | {"sklearn", "pandas", "matplotlib"}
MAY = {
    ("--help",): set(),
    (): set(),
    ("rnu",): set(),
    ("--bugdet",): set(),
    ("spaces",): set(),
    ("spaces", "--help"): set(),
    ("run", "--help"): RUN,
    ("run", "--trails", "3"): RUN,
    ("run", "--trials", "0"): RUN,
    ("resume", "--help"): RUN,
    ("watch", "--help"): RUN,
    ("report", "--help"): NUMBERS,
    ("compare", "--help"): NUMBERS,
    ("dashboard", "--help"): NUMBERS,
}
"""Command line -> the heavy modules that it may load."""


def loaded(*words):
    """Status, output and the heavy modules that a command line has loaded."""
    code = LOADED.replace("HEAVY", repr(HEAVY))
    ended = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True
    )
    *_, status, modules = ended.stderr.splitlines()
    return int(status.split()[1]), ended.stdout + ended.stderr, set(modules.split()[1:])


@pytest.mark.parametrize("words", MAY, ids=" ".join)
def test_a_command_loads_no_more_than_it_needs(words):
    _, _, modules = loaded(*words)
    assert modules <= MAY[words]


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--help",), ("rnu",), ("spaces",)], ids=" ".join)
def test_what_needs_no_network_is_there_at_once(words):
    """At most a quarter of the time that loading torch takes, medians of five pairs."""

    def seconds(*arguments):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True)
        return time.perf_counter() - begun

    ratios = [seconds("-m", "search", *words) / seconds("-c", "import torch") for _ in range(5)]
    assert sorted(ratios)[2] <= 0.25, ratios


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_is_that_of_its_function(name):
    command = app.load_command(name)
    known = app.LazyGroup(name="x").get_command(None, name)
    assert command.get_short_help_str(200) == known.get_short_help_str(200)


@pytest.mark.parametrize("name", MOVED)
def test_a_command_that_has_moved_says_where(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["search", name, "rank"])
    with pytest.raises(SystemExit, match="2"):
        app.main()
    assert "python -m benchmarks" in " ".join(capsys.readouterr().err.replace("│", " ").split())
