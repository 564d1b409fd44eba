"""Which evaluator scores the candidates, as the command line names it.

train                each is trained
bank, bank:20        with inherited weights, as they are or after so many steps
zero-cost:synflow    by a proxy that needs one batch and no training
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lightir_core.errors import SearchError, nearest
from search.evaluators.proxies import PROXIES

KINDS = ("train", "bank", "zero-cost")
DEFAULT_PROXY = "synflow"


@dataclass(frozen=True)
class Choice:
    """An evaluator with its option.

    Attributes:
        kind: one of `KINDS`.
        steps: of training, after inheriting weights.
        proxy: a key of `PROXIES`, or empty.
    """

    kind: Literal["train", "bank", "zero-cost"]
    steps: int = 0
    proxy: str = ""


TRAIN = Choice("train")


def parse_evaluator(text: str) -> Choice:
    """Read ``train``, ``bank``, ``bank:20``, ``zero-cost`` or ``zero-cost:synflow``.

    Raises:
        SearchError: another word; the nearest is named.
    """
    kind, separator, option = text.partition(":")
    if kind == "train" and not separator:
        return TRAIN
    if kind == "bank" and (not separator or option.isdecimal()):
        return Choice("bank", steps=int(option or 0))
    if kind == "zero-cost" and (not separator or option in PROXIES):
        return Choice("zero-cost", proxy=option or DEFAULT_PROXY)
    names = ["train", "bank", "bank:20", *(f"zero-cost:{proxy}" for proxy in PROXIES)]
    raise SearchError(
        f"evaluator {text!r} is not known{nearest(text, names)}; use one of {', '.join(names)} "
        f"(bank:20 trains 20 steps from inherited weights)"
    )
