import random

from search.strategies.rows import INACTIVE, answers, to_row, to_wish
from spaces import SPACES


def test_a_row_answers_every_question_and_says_the_same():
    space = SPACES["default"]
    known = answers(space)
    rng = random.Random(0)
    for _ in range(50):
        point = space.sample(rng)
        row = to_row(known, point)
        assert row.keys() == known.keys()
        assert all(row[name] in known[name] for name in row)
        assert space.complete(to_wish(row), random.Random(1)) == point


def test_only_what_may_not_be_asked_can_be_inactive():
    known = answers(SPACES["default"])
    assert INACTIVE not in known["width"]
    assert INACTIVE in known["stage1.heads"]
    assert INACTIVE in known["stage4.blocks"]


def test_questions_with_one_answer_are_left_out():
    known = answers(SPACES["default"].restrict({"width": (48,), "heads": (2,)}))
    assert "width" not in known
    assert known["stage1.heads"] == (2, INACTIVE)
