"""`python -m benchmarks` lists everything without loading it, and runs what is asked for."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import BENCHMARKS, application

ROOT = Path(__file__).parents[2]


def test_help_lists_every_benchmark_and_loads_none():
    code = (
        "import sys; sys.argv = ['benchmarks', '--help']\n"
        "from benchmarks.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: print('torch' in sys.modules, 'optuna' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False False"
    assert all(f" {name} " in done.stdout for name in BENCHMARKS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_can_be_asked_for(name):
    shown = CliRunner().invoke(application(name), [name, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert f"python -m benchmarks {name}" in shown.stdout


def test_an_unknown_name_is_wrong_usage():
    shown = CliRunner().invoke(application("kill"), ["kill"])
    assert shown.exit_code == 2
    assert "No such command 'kill'" in shown.output
