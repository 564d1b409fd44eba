import ast
import importlib
import os
import re
import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest
import typer

from lightir_core.learning.evaluate import TILE_PX
from lightir_core.learning.recipe import PROXY
from lightir_core.pruning.importance import IMPORTANCES
from lightir_core.pruning.recovery import RECOVERY_RECIPES, Distillation
from lightir_core.published.weights import SYSTEMS
from search.cli import app, commands
from search.cli.app import COMMANDS, FIVE, MOVED
from search.cli.cluster import NETWORK
from search.config import SearchConfig


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

LINES = (
    (),
    ("--help",),
    ("rnu",),
    ("--bugdet",),
    ("spaces",),
    ("run", "--trails", "3"),
    ("run", "--trials", "many"),
    ("cost", "swinir-light", "--batch", "0"),
)
"""Command lines that need no network, beside the help of every command."""


def loaded(*words):
    """Status, output and the heavy modules that a command line has loaded."""
    code = LOADED.replace("HEAVY", repr(HEAVY))
    ended = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True
    )
    *_, status, modules = ended.stderr.splitlines()
    return int(status.split()[1]), ended.stdout + ended.stderr, set(modules.split()[1:])


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_what_needs_no_network_loads_nothing_heavy(words):
    _, _, modules = loaded(*words)
    assert modules == set()


EVERY = """
import sys
import typer
from typer.testing import CliRunner
from search.cli.app import COMMANDS, app, load_command
for name in COMMANDS:
    inner = getattr(load_command(name), "commands", None)
    for words in [[name, one] for one in inner] if inner else [[name]]:
        for option, status in (("--help", 0), ("--no-such-option", 2)):
            ended = CliRunner().invoke(app, [*words, option])
            loaded = [one for one in HEAVY if one in sys.modules]
            if ended.exit_code != status or loaded:
                print(*words, option, ended.exit_code, loaded)
"""


def test_the_help_of_every_command_and_a_wrong_option_load_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", EVERY.replace("HEAVY", repr(HEAVY))],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_is_that_of_its_function(name):
    command = app.load_command(name)
    known = app.LazyGroup(name="x").get_command(None, name)
    assert command.get_short_help_str(200) == known.get_short_help_str(200)


def targets():
    """Name of the function of a command -> the function that does its work."""
    tree = ast.parse((ROOT / "search" / "cli" / "commands.py").read_text("utf-8"))
    made = {"run": "run.run"}
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        for call in function.decorator_list:
            if ast.unparse(call.func) == "work":
                made[function.name] = call.args[0].value
    return made


def test_every_command_does_some_work():
    groups = [target for target in COMMANDS.values() if isinstance(target, typer.Typer)]
    inner = [info.callback for group in groups for info in group.registered_commands]
    alone = [target for target in COMMANDS.values() if target not in groups]
    assert {function.__name__ for function in (*inner, *alone)} == set(targets())


@pytest.mark.parametrize(("name", "target"), targets().items())
def test_a_command_has_the_parameters_of_what_does_its_work(name, target):
    module, function = target.split(".")
    work = signature(getattr(importlib.import_module(f"search.cli.{module}"), function))
    declared = signature(getattr(commands, name)).parameters
    in_context = ["channels", "fix", "_"] if name == "run" else []
    assert list(work.parameters) == [one for one in declared if one not in in_context]


def defaults(function):
    return {n: p.default for n, p in signature(function).parameters.items()}


def test_defaults_and_names_in_the_help_are_those_of_the_tables():
    usual = SearchConfig()
    of_profile, of_cost = defaults(commands.profile), defaults(commands.cost)
    assert of_profile["budget"] == usual.search.budget
    assert of_profile["space"] == usual.search.space
    assert of_profile["task"] == of_cost["task"] == usual.data.task
    assert of_profile["device"] == of_cost["device"] == usual.machine.device
    assert (of_cost["batch"], of_cost["patch"]) == (PROXY.batch, PROXY.patch_px)
    assert defaults(commands.cluster_calibrate)["steps"] == PROXY.steps
    assert defaults(commands.cluster_calibrate)["system"] == NETWORK
    assert defaults(commands.restore)["tile"] == TILE_PX
    of_compress = defaults(commands.compress)
    usual = Distillation(weight=of_compress["distil"], features=of_compress["features"])
    assert usual == Distillation()
    parameters = {p.name: p for n in ("compress", "import") for p in app.load_command(n).params}
    for name, table in (
        ("importance", IMPORTANCES),
        ("recipe", RECOVERY_RECIPES),
        ("system", SYSTEMS),
    ):
        assert set(table) <= set(re.findall(r"[\w-]+", parameters[name].help))


@pytest.mark.parametrize("name", MOVED)
def test_a_command_that_has_moved_says_where(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["search", name, "rank"])
    with pytest.raises(SystemExit, match="2"):
        app.main()
    assert "python -m benchmarks" in " ".join(capsys.readouterr().err.replace("│", " ").split())
