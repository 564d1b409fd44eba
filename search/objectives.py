"""How candidates are scored and what a search can optimise, by the names of the command line.

train                each candidate is trained
zero-cost:synflow    by a proxy that needs one batch and no training
"""

from dataclasses import dataclass
from typing import Literal

from budgets.budget import AXES
from lightir_core.data.tasks import Task
from lightir_core.errors import SearchError, nearest
from results.objectives import COSTS, Objective

METRICS = {
    "psnr_y": Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y"),
    "psnr_gray": Objective(name="psnr_gray", direction="maximise", unit="dB", label="PSNR, gray"),
    "psnr_rgb": Objective(name="psnr_rgb", direction="maximise", unit="dB", label="PSNR-RGB"),
}

PROXY_LABELS = {"synflow": "SynFlow", "grad-norm": "Gradient norm", "naswot": "NASWOT"}
"""Label of every proxy of `lightir_core.learning.proxies`; the first is the usual one."""


@dataclass(frozen=True)
class Evaluator:
    """How candidates are scored.

    Attributes:
        kind: by training or by a proxy.
        proxy: a key of `PROXY_LABELS`, or empty.
    """

    kind: Literal["train", "zero-cost"] = "train"
    proxy: str = ""


TRAIN = Evaluator()


def parse_evaluator(text: str) -> Evaluator:
    """Return the evaluator called ``train``, ``zero-cost`` or ``zero-cost:synflow``.

    Raises:
        SearchError: another word; the nearest is named.
    """
    kind, separator, option = text.partition(":")
    if text == "train":
        return TRAIN
    if kind == "zero-cost" and (not separator or option in PROXY_LABELS):
        return Evaluator("zero-cost", option or next(iter(PROXY_LABELS)))
    names = ["train", *(f"zero-cost:{proxy}" for proxy in PROXY_LABELS)]
    if kind == "bank":
        raise SearchError(
            f"evaluator {text!r} was taken out: inherited weights did not rank candidates; use one "
            f"of {', '.join(names)}"
        )
    raise SearchError(
        f"evaluator {text!r} is not known{nearest(text, names)}; use one of {', '.join(names)}"
    )


def objectives(
    names: tuple[str, ...], task: Task, evaluator: Evaluator = TRAIN
) -> tuple[Objective, ...]:
    """Return the objectives called `names`.

    "psnr" is the task's own kind of PSNR; where a zero-cost proxy scores candidates, it stands in.

    Raises:
        SearchError: an unknown name, a name given twice, or no name.
    """
    proxy = evaluator.proxy
    label = PROXY_LABELS.get(proxy, proxy)
    quality = Objective(name=proxy, direction="maximise", label=label) if proxy else None
    known = {"psnr": quality or METRICS[task.metric], **COSTS}
    for name in names:
        if name not in known:
            raise SearchError(
                f"objective {name!r} is not known{nearest(name, known)}; use {', '.join(known)}"
            )
    if not names or len(set(names)) < len(names):
        raise SearchError(f"objectives {list(names)} must be at least one, each named once")
    return tuple(known[name] for name in names)


def priced_axes(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the axes of `budgets.budget.AXES` among the objectives called `names`.

    Those must be priced for every candidate, whether a budget limits them or not.
    """
    return tuple(name for name in names if name in AXES)
