"""A search driven from outside is the search that the loop makes."""

from pathlib import Path

import pytest

from lightir_core.errors import SearchError
from results.objectives import Objective
from results.study import Record
from search import AskTell, SearchConfig

CONFIG = SearchConfig(
    budget="60k", space="small", only=("width=24,32", "heads=2"), trials=10, generation=4, time_s=0
)


def worth(question):
    return 30 + len(question.architecture.stages) - question.architecture.width / 100


def outline(folder):
    return [
        (t.number, t.state, t.architecture.id, dict(t.scores), t.reason)
        for t in Record.open(folder).trials()
    ]


def drive(folder, config=CONFIG, at_most=100, **more):
    """Ask and tell one after the other; the numbers that were asked."""
    asked = []
    with AskTell(config, folder, **more) as search:
        while len(asked) < at_most and (question := search.ask()):
            asked.append(question.number)
            if question.number == 3:
                search.fail(question, "it did not converge")
            else:
                search.tell(question, {"psnr_y": worth(question)})
    return asked


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    folder = tmp_path_factory.mktemp("driven") / "run"
    assert sorted(drive(folder)) == list(range(10))
    return folder


def test_all_is_recorded(driven):
    trials = Record.open(driven).trials()
    assert [trial.state for trial in trials].count("failed") == 1
    assert trials[3].reason == "it did not converge"
    assert all(trial.cost["params"] <= 60_000 for trial in trials)
    assert (driven / "report" / "index.html").is_file()


def test_the_order_of_answers_does_not_matter(driven, tmp_path):
    with AskTell(CONFIG, tmp_path / "run") as search:
        for many in (4, 4, 2):
            questions = [search.ask() for _ in range(many)]
            for question in reversed(questions):
                if question.number == 3:
                    search.fail(question, "it did not converge")
                else:
                    search.tell(question, {"psnr_y": worth(question)})
        assert search.ask() is None
        assert search.ask() is None
    assert outline(tmp_path / "run") == outline(driven)


def test_what_was_not_told_is_asked_again(driven, tmp_path):
    folder = tmp_path / "run"
    assert len(drive(folder, at_most=5)) == 5
    with AskTell(CONFIG, folder) as search:
        first = search.ask()
    with AskTell(CONFIG, folder) as search:
        assert search.ask() == first
    drive(folder)
    assert outline(folder) == outline(driven)


def test_a_generation_has_to_be_told_before_the_next(tmp_path):
    with AskTell(CONFIG, tmp_path / "run") as search:
        questions = [search.ask() for _ in range(4)]
        with pytest.raises(SearchError, match="trials 0, 1, 2, 3 were asked for: tell what came"):
            search.ask()
        with pytest.raises(SearchError, match=r"scores \['ssim'\] lack the objective 'psnr_y'"):
            search.tell(questions[0], {"ssim": 1.0})
        search.tell(questions[0], {"psnr_y": 30.0})
        with pytest.raises(SearchError, match=r"trial \d is not under way"):
            search.tell(questions[0], {"psnr_y": 30.0})


def test_one_at_a_time_writes_to_a_folder(tmp_path):
    with (
        AskTell(CONFIG, tmp_path / "run"),
        pytest.raises(Exception, match="is in use by process"),
    ):
        AskTell(CONFIG, tmp_path / "run")


def test_scores_of_ones_own(tmp_path):
    likeness = Objective(name="lpips", direction="minimise")
    with AskTell(CONFIG, tmp_path / "run", scores=(likeness,)) as search:
        for _ in range(4):
            question = search.ask()
            search.tell(question, {"lpips": question.architecture.width / 100})
        kinds = [objective.name for objective in search.run.view.objectives]
        assert kinds == ["lpips", "macs"]
        assert search.run.best(params=60_000).scores == {"lpips": 0.24}


def test_rungs_are_asked_for_one_after_the_other(tmp_path):
    config = CONFIG.replace(fidelity="asha", rung=10, steps=90)
    asked = {}
    with AskTell(config, Path(tmp_path / "run")) as search:
        while question := search.ask():
            asked.setdefault(question.number, []).append(question.fidelity.step)
            assert question.fidelity.steps == 90
            search.tell(question, {"psnr_y": worth(question)})
        states = [trial.state for trial in search.run.trials]
    assert {tuple(steps) for steps in asked.values()} <= {(10,), (10, 30), (10, 30, 90)}
    assert len(states) == 10
    assert states.count("finished") == sum(steps[-1] == 90 for steps in asked.values()) > 0
