import pytest

from benchmarks.kills import measure

NOTHING_LOST = {"lost": 0, "zombies": 0, "duplicates": 0, "identical": True}


def test_a_few_kills_lose_nothing(tmp_path):
    found = measure(tmp_path, "evolution", 24, 4, 0, "asha", print)
    assert found["kills"] >= 1
    assert found == {"kills": found["kills"], "trials": 24} | NOTHING_LOST


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "fidelity"),
    [
        ("evolution", "none"),
        # as with rungs
        pytest.param("nsga2", "none", marks=pytest.mark.sweep),
        pytest.param("tpe", "none", marks=pytest.mark.sweep),
        # draws thousands of networks for each that it proposes
        pytest.param("random", "none", marks=pytest.mark.sweep),
        ("nsga2", "asha"),
        ("tpe", "hyperband"),
    ],
)
def test_fifty_kills_lose_nothing(tmp_path, strategy, fidelity):
    found = measure(tmp_path, strategy, 200, 50, 1, fidelity, print)
    assert found["kills"] >= 40  # the search may be over before
    assert found == {"kills": found["kills"], "trials": 200} | NOTHING_LOST
