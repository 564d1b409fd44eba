"""Evaluators as the command line names them."""

import pytest

from lightir_core.errors import SearchError
from search.evaluators.choice import KINDS, TRAIN, Choice, parse_evaluator
from search.evaluators.evaluate import EVALUATORS
from search.evaluators.proxies import PROXIES


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("train", TRAIN),
        ("bank", Choice("bank")),
        ("bank:20", Choice("bank", steps=20)),
        ("zero-cost", Choice("zero-cost", proxy="synflow")),
        *((f"zero-cost:{proxy}", Choice("zero-cost", proxy=proxy)) for proxy in PROXIES),
    ],
)
def test_words_are_read(text, choice):
    assert parse_evaluator(text) == choice


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("trian", "did you mean 'train'"),
        ("banc", "did you mean 'bank'"),
        ("zero-cost:synflo", "did you mean 'zero-cost:synflow'"),
        ("zero-cost:", "use one of train, bank"),
        ("bank:many", "bank:20 trains 20 steps"),
        ("bank:-3", "bank:20 trains 20 steps"),
        ("train:5", "did you mean 'train'"),
        ("", "use one of train"),
    ],
)
def test_other_words_are_refused_with_the_nearest(text, hint):
    with pytest.raises(SearchError, match="is not known") as error:
        parse_evaluator(text)
    assert hint in str(error.value)


def test_every_kind_has_an_evaluator():
    assert set(EVALUATORS) == set(KINDS)
