from dataclasses import replace

import pytest

from results.preferences import Preference, preferences
from results.study import Record


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
