import subprocess
import sys
from pathlib import Path

import pytest

import search
from lightir_core.errors import ResultsError, SearchError
from lightir_core.learning.recipe import PROXY
from search import Fidelity, Run, SearchConfig, resume, run
from search.jobs import Silent

ROOT = Path(__file__).parents[2]
CONFIG = SearchConfig(
    budget="60k", space="small", only=("width=24,32", "heads=2"), trials=8, generation=4, time_s=0
)


def worth(architecture, fidelity):
    assert fidelity == Fidelity(PROXY.steps, PROXY.steps)
    return {"psnr_y": 30.0 + len(architecture.stages)}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return run(CONFIG, tmp_path_factory.mktemp("runs") / "one", objective=worth)


def test_a_function_scores_the_candidates(found):
    assert isinstance(found, Run)
    assert len(found.trials) == 8
    for trial in found.trials:
        assert trial.scores == {"psnr_y": 30.0 + len(trial.architecture.stages)}
    assert {t.number for t in found.front} <= set(range(8))
    assert found.report.is_file()


def test_the_best_within_limits(found):
    top = max(trial.scores["psnr_y"] for trial in found.trials)
    assert found.best().scores["psnr_y"] == top
    least = min(found.trials, key=lambda trial: trial.cost["params"])
    best = found.best(params=least.cost["params"])
    assert (best.trial, best.architecture) == (least.number, least.architecture)
    with pytest.raises(ResultsError, match=r"no network of .* is within params=100; allow more"):
        found.best(params=100)


def test_such_a_run_goes_on_by_itself_only(found):
    again = run(CONFIG, found.folder, objective=None or worth)
    assert [t.architecture.id for t in again.trials] == [t.architecture.id for t in found.trials]
    with pytest.raises(SearchError, match="scored by a program of your own"):
        resume(found.folder)


def test_what_the_function_raises_is_raised(tmp_path):
    def broken(architecture, fidelity):
        raise ZeroDivisionError("not today")

    with pytest.raises(ZeroDivisionError, match="not today"):
        run(CONFIG, tmp_path / "run", objective=broken)


def test_importing_the_package_loads_no_torch():
    code = "import sys, search; print('torch' in sys.modules, 'optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("False False", "")


def test_every_public_name_is_there():
    assert all(getattr(search, name) is not None for name in search.__all__)
    with pytest.raises(AttributeError, match="module 'search' has no attribute 'runs'"):
        _ = search.runs


def test_renamed_things_say_their_new_name(found):
    with pytest.warns(FutureWarning, match="Found is called BestModel now"):
        assert search.Found is search.BestModel
    with pytest.warns(FutureWarning, match=r"Run\.findings is called Run\.view now"):
        assert found.findings.folder == found.folder


def test_a_run_that_was_scored_outside_is_not_resumed_here(found):
    with pytest.raises(SearchError, match="scored by a program of your own"):
        resume(found.folder, callback=Silent())
