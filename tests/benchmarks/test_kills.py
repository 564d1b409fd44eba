import pytest

from benchmarks.kills import Survival, measure


def unheard(text):
    """Nobody listens."""


def test_a_few_kills_lose_nothing(tmp_path):
    found = measure(tmp_path, "evolution", 24, 4, 0, "asha", unheard)
    assert found.kills >= 1
    assert found == Survival(found.kills, 24, lost=0, zombies=0, duplicates=0, identical=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "fidelity"),
    [
        ("nsga2", "none"),
        ("tpe", "none"),
        ("evolution", "none"),
        ("random", "none"),
        ("nsga2", "asha"),
        ("tpe", "hyperband"),
    ],
)
def test_fifty_kills_lose_nothing(tmp_path, strategy, fidelity):
    found = measure(tmp_path, strategy, 200, 50, 1, fidelity, unheard)
    assert found.kills >= 40  # the search may be over before
    assert found == Survival(found.kills, 200, lost=0, zombies=0, duplicates=0, identical=True)
