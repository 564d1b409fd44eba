import random
from dataclasses import replace

import pytest

from results.importance import LEAST_TRIALS, Preference, importances, preferences
from results.study import Record
from results.trials import Trial


def trials_of(architecture, tables):
    return [
        Trial(number=n, state="finished", architecture=architecture, choices=choices, cost={})
        for n, choices in enumerate(tables)
    ]


@pytest.fixture
def sampled(architecture):
    """A score that depends on the width, and, in play only with attention, on the heads."""
    rng = random.Random(1)
    tables, scores = [], []
    for _ in range(200):
        choices = {"width": rng.choice([24, 48]), "stage1.mixer": rng.choice(["conv", "window"])}
        choices["stage1.closing"] = rng.choice(["none", "convolution"])
        score = 1.0 * (choices["width"] == 48) + rng.gauss(0, 0.05)
        if choices["stage1.mixer"] == "window":
            choices["stage1.heads"] = rng.choice([2, 6])
            score += 3.0 * (choices["stage1.heads"] == 6)
        tables.append(choices)
        scores.append(score)
    return trials_of(architecture, tables), scores


def test_a_conditional_choice_is_found_to_decide(sampled):
    found = importances(*sampled)
    assert [row.axis for row in found][:2] == ["heads", "width"]
    assert sum(row.share for row in found) == pytest.approx(1)
    # whether there are heads at all is said by the mixer and by the heads: one of the two gets it
    assert next(row.share for row in found if row.axis == "closing") < 0.05


def test_the_answer_is_the_same_every_time(sampled):
    assert importances(*sampled) == importances(*sampled)


def test_of_many_trials_some_are_looked_at(sampled):
    found = importances(*sampled, most=50)
    assert found[0].axis == "heads"


def test_stages_are_taken_together(architecture):
    rng = random.Random(2)
    tables = [{f"stage{i}.blocks": rng.choice([1, 2]) for i in (1, 2)} for _ in range(60)]
    scores = [float(sum(table.values())) for table in tables]
    (only,) = importances(trials_of(architecture, tables), scores)
    assert only.axis == "blocks"
    assert only.share == pytest.approx(1)


def test_true_and_one_stay_apart(architecture):
    tables = [{"x": n % 2 == 0 or 1} for n in range(40)]
    scores = [float(type(table["x"]) is bool) for table in tables]
    assert importances(trials_of(architecture, tables), scores)[0].share == pytest.approx(1)


def test_too_few_or_equal_trials_say_nothing(architecture):
    few = [{"width": n} for n in range(LEAST_TRIALS - 1)]
    assert importances(trials_of(architecture, few), list(map(float, range(len(few))))) == []
    equal = trials_of(architecture, [{"width": 24}] * 30)
    assert importances(equal, [float(n) for n in range(30)]) == []
    varied = trials_of(architecture, [{"width": n % 3} for n in range(30)])
    assert importances(varied, [1.0] * 30) == []
    assert importances(varied, [float("nan")] * 30) == []


@pytest.fixture
def trials(finished_run):
    with Record.open(finished_run) as record:
        return record.trials()


def test_the_most_frequent_value_of_each_axis_over_all_stages(trials):
    first, second, third = (
        replace(trials[0], choices={"width": 32, "stage1.heads": 2, "stage2.heads": 4}),
        replace(trials[0], choices={"width": 48, "stage1.heads": 4}),
        replace(trials[0], choices={"width": 32, "stage1.heads": 2}),
    )
    found = preferences([first, second], [first, second, third])
    assert Preference(axis="heads", value=4, front_share=2 / 3, tried_share=1 / 2) in found
    # width is undecided on the front: the value that gained on its share among all is named
    assert found[0] == Preference(axis="width", value=48, front_share=1 / 2, tried_share=1 / 3)


def test_an_axis_with_one_value_says_nothing(trials):
    same = replace(trials[0], choices={"width": 32})
    assert preferences([same], [same, same]) == []


def test_booleans_and_numbers_stay_apart(trials):
    yes = replace(trials[0], choices={"channel": True})
    one = replace(trials[0], choices={"channel": 1})
    [line] = preferences([yes], [yes, one])
    assert line.value is True
    assert line.tried_share == 0.5


def test_no_front_prefers_nothing(trials):
    assert preferences([], trials) == []
