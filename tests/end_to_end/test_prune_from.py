"""`run --prune-from`: the search looks beyond the budget, the results keep it."""

import json
import shutil

import pytest

from results.models import load_results
from results.study import Record
from tests.end_to_end.conftest import QUICK

pytestmark = pytest.mark.slow

WIDE = (
    "run", *QUICK, "--budget", "4k", "--prune-from", "2", "--trials", "4", "--finalists", "4",
    "--start", "none", "--out", "run",
)  # fmt: skip


@pytest.fixture(scope="module")
def wide(main, three_photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wide")
    ended = main(*WIDE, "--data", three_photographs, "--json", cwd=folder)
    assert ended.status == 0, ended.err
    return folder / "run", ended


def test_what_was_over_budget_is_pruned_and_nothing_else_is_a_result(wide):
    run, ended = wide
    models = load_results(run)
    parents = {model.id: model for model in models if model.kind == "parent"}
    assert parents, "this seed proposes a network over budget"
    for parent in parents.values():
        assert 4_000 < parent.cost["params"] <= 8_000
        assert parent.within_budget is False
    pruned = [model for model in models if model.kind == "pruned"]
    assert {model.parent for model in pruned} == set(parents)
    for model in pruned:
        assert 0.98 * 4_000 < model.cost["params"] <= 4_000
        assert model.within_budget
    told = json.loads(ended.out)["models"]
    assert {model["id"] for model in told} == {m.id for m in models} - set(parents)
    assert all(model["within_budget"] for model in told)


def test_every_trial_is_within_the_wider_budget(wide):
    costs = [trial.cost["params"] for trial in Record.open(wide[0]).trials()]
    assert max(costs) <= 8_000


def test_the_report_shows_the_front_before_and_after(wide):
    page = (wide[0] / "report" / "index.html").read_text()
    assert "The front before and after pruning" in page
    assert "before, over budget" in page
    assert "after, within budget" in page
    for model in load_results(wide[0]):
        shown = f'<article id="model-{model.id}">' in page
        assert shown == (model.kind != "parent")


def test_a_resumed_run_prunes_what_is_missing(wide, in_process, tmp_path):
    shutil.copytree(wide[0], tmp_path / "run")
    pruned = [model for model in load_results(tmp_path / "run") if model.kind == "pruned"]
    gone = pruned[0]
    (tmp_path / "run" / "models" / gone.id / "result.json").unlink()
    ended = in_process("resume", "run", "--quiet", cwd=tmp_path)
    assert ended.status == 0, ended.err
    again = {model.id: model for model in load_results(tmp_path / "run")}
    assert again[gone.id].scores == gone.scores


@pytest.mark.parametrize("value", ["0.5", "9"])
def test_an_odd_factor_is_refused(in_process, tmp_path, value):
    ended = in_process("run", "--prune-from", value, "--out", tmp_path / "never")
    assert ended.status == 2
    assert f"prune_from={float(value)}: Input should be" in ended.complaint
    assert not (tmp_path / "never").exists()
