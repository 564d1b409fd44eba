import pytest

from results.objectives import Objective
from search.strategies.gaussian import GaussianStrategy

PSNR = Objective(name="psnr_y", direction="maximise")


def test_numbers_are_ordered_and_words_are_not(setting):
    axes = GaussianStrategy(setting())._axes
    assert (axes["width"].low, axes["width"].high) == (0, 1)
    assert set(axes["stage2.feed_forward"].choices) == {"mlp", "depthwise_mlp", "-"}


@pytest.mark.slow
def test_models_lead_to_what_is_better(setting):
    """One choice decides the score: after a generation the other is hardly tried any more."""
    set_up = setting(generation=6, budget="params=60k", objectives=(PSNR,))
    strategy, widths = GaussianStrategy(set_up), []
    for number in range(18):
        candidate = strategy.propose(number)
        widths.append(candidate.choices["width"])
        strategy.observe(number, (float(candidate.choices["width"] == 32),))
    assert 1 <= widths[:6].count(32) <= 5
    assert widths[6:].count(32) >= 10


def test_it_is_silent(setting, capfd):
    set_up = setting(generation=2)
    strategy = GaussianStrategy(set_up)
    for number in range(3):
        strategy.propose(number)
        strategy.observe(number, (30.0 + number, 1.0 + number))
    assert capfd.readouterr() == ("", "")


def test_trials_under_way_count(setting):
    """Without them a generation would be eight times the same wish."""
    set_up = setting(generation=4)
    strategy = GaussianStrategy(set_up)
    for number in range(4):
        strategy.propose(number)
    for number in range(4):
        strategy.observe(number, (30.0 + number, 1.0 + number))
    first = strategy.propose(4)
    modelled = strategy._modelled()
    assert [trial.state.name for trial in modelled] == ["COMPLETE"] * 4 + ["RUNNING"]
    assert modelled[-1].params == strategy._row(first.choices)
