"""What a search can optimise, by the name that the command line uses."""

from __future__ import annotations

from budgets.budget import AXES
from lightir_core.data.tasks import Task
from lightir_core.errors import SearchError, nearest
from results.objectives import COSTS, Objective
from search.evaluators.choice import parse_evaluator

METRICS = {
    "psnr_y": Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y"),
    "psnr_gray": Objective(name="psnr_gray", direction="maximise", unit="dB", label="PSNR, gray"),
    "psnr_rgb": Objective(name="psnr_rgb", direction="maximise", unit="dB", label="PSNR-RGB"),
}


PROXY_LABELS = {"synflow": "SynFlow", "grad-norm": "Gradient norm", "naswot": "NASWOT"}


def objectives(
    names: tuple[str, ...], task: Task, evaluator: str = "train"
) -> tuple[Objective, ...]:
    """The objectives called `names`.

    "psnr" is the task's own kind of PSNR; where a zero-cost proxy scores candidates, it stands in.

    Raises:
        SearchError: an unknown name, a name given twice, or no name.
    """
    proxy = parse_evaluator(evaluator).proxy
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
    """The axes of `budgets.budget.AXES` among the objectives called `names`.

    Those must be priced for every candidate, whether a budget limits them or not.
    """
    return tuple(name for name in names if name in AXES)
