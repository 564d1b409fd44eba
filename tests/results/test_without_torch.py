"""Reading and comparing runs and building a report again load no torch: they start at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from results.report.page import build_report

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "results").rglob("*.py")
)


def run_python(code, *arguments):
    """What `code` prints in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_module_of_the_results_loads_torch():
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print('torch' in sys.modules)"
    )
    assert "results.report" in MODULES
    assert run_python(code, *MODULES) == "False"


@pytest.fixture
def reported(make_run, tmp_path):
    folder = make_run(tmp_path / "run", trials=6)
    build_report(folder)
    return folder


def test_a_report_is_rebuilt_and_runs_are_compared_without_torch(reported, tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from results.report.page import build_report\n"
        "from results.report.versus import build_comparison\n"
        "run, out = map(Path, sys.argv[1:])\n"
        "before = (run / 'report' / 'index.html').read_text()\n"
        "print(build_report(run).read_text() == before)\n"
        "build_comparison([run, run], out)\n"
        "print('torch' in sys.modules)"
    )
    assert run_python(code, reported, tmp_path / "out").split() == ["True", "False"]
