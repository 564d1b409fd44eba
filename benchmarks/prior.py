"""How well does the prior rank networks that it has not seen? Kendall's tau on the shipped table.

folds   every network is predicted by a prior of nine tenths of the others
KIND    every network with such blocks is predicted by a prior of those without
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks import harness
from benchmarks.harness import Out, bootstrap, kendall
from budgets.budget import Cost
from lightir_core.data.tasks import parse_task
from lightir_core.errors import SearchError
from results.prior import FEWEST, Prior
from results.table import TABLE, TrainedNetwork, load_table
from search.feasible.candidate import Candidate

Floats = NDArray[np.float64]

FOLDS = 10

BAND = 0.1
"""How far apart the parameters of two networks may be that are compared at equal size."""


def expected(learnt: Sequence[TrainedNetwork], asked: Sequence[TrainedNetwork]) -> Floats:
    """Return what a prior of some trainings expects of others, as long as the first of them."""
    first, task = asked[0], parse_task(asked[0].task)
    length = first.steps * first.batch * first.patch_px**2
    prior = Prior(learnt, task.name, task.metric, length, first.pixels)
    candidates = [
        Candidate({**one.choices}, one.architecture, Cost(one.params, one.macs)) for one in asked
    ]
    return prior.predict(candidates)[0]


def by_folds(networks: Sequence[TrainedNetwork]) -> Floats:
    """Return what is expected of every network by those of the other folds, by architecture."""
    ids = sorted({one.architecture.id for one in networks})
    order = np.random.default_rng(0).permutation(len(ids))
    fold_of = {ids[index]: count % FOLDS for count, index in enumerate(order.tolist())}
    folds = np.array([fold_of[one.architecture.id] for one in networks])
    made = np.zeros(len(networks))
    for fold in range(FOLDS):
        learnt = [one for one, number in zip(networks, folds, strict=True) if number != fold]
        asked = [one for one, number in zip(networks, folds, strict=True) if number == fold]
        if asked:
            made[folds == fold] = expected(learnt, asked)
    return made


def mixers(network: TrainedNetwork) -> set[str]:
    """Return the kinds of blocks that a network has."""
    return {block.mixer.word for stage in network.architecture.stages for block in stage.blocks}


def kinds(networks: Sequence[TrainedNetwork]) -> Iterator[tuple[str, list[TrainedNetwork], Floats]]:
    """Yield each kind of block, the networks with it, and what those without it let expect."""
    for kind in sorted(set[str]().union(*map(mixers, networks))):
        learnt = [one for one in networks if kind not in mixers(one)]
        asked = [one for one in networks if kind in mixers(one)]
        if len(learnt) >= FEWEST and len(asked) >= FOLDS:
            yield kind, asked, expected(learnt, asked)


def alike(signals: Sequence[float], scores: Sequence[float], params: Sequence[float]) -> float:
    """Return Kendall's tau over the pairs of about equally many parameters."""
    agreed: list[float] = []
    for one, other in combinations(range(len(scores)), 2):
        if abs(math.log(params[one] / params[other])) <= math.log(1 + BAND):
            signal, score = signals[one] - signals[other], scores[one] - scores[other]
            agreed.append(float(np.sign(signal) * np.sign(score)))
    return float(np.mean(agreed)) if agreed else math.nan


def _cells(
    among: str, networks: Sequence[TrainedNetwork], signals: dict[str, Sequence[float]]
) -> Iterator[list[object]]:
    scores = [one.score for one in networks]
    params = [float(one.params) for one in networks]
    measures: list[tuple[Callable[..., Any], tuple[Sequence[float], ...]]] = [
        (kendall, (scores,)),
        (alike, (scores, params)),
    ]
    for name, signal in signals.items():
        texts: list[str] = []
        for measure, others in measures:
            low, high = bootstrap(signal, *others, statistic=measure)
            texts.append(f"{measure(signal, *others):.2f} ({low:.2f} to {high:.2f})")
        yield [among, len(networks), name, *texts]


def document(networks: Sequence[TrainedNetwork]) -> list[str]:
    """Return how well each signal ranks, as Markdown."""
    begun = time.perf_counter()
    folds = by_folds(networks)
    fitted_s = (time.perf_counter() - begun) / FOLDS
    sizes: dict[str, Sequence[float]] = {
        "parameters": [float(one.params) for one in networks],
        "MACs": [float(one.macs) for one in networks],
    }
    cells = [*_cells("all", networks, {"prior": folds.tolist(), **sizes})]
    for kind, asked, means in kinds(networks):
        cells += _cells(f"{kind}, never seen", asked, {"prior": means.tolist()})
    error = float(np.sqrt(np.mean((folds - [one.score for one in networks]) ** 2)))
    heads = ["networks", "count:", "ranked by", "tau, all:", f"tau within ±{BAND:.0%} parameters:"]
    return [
        f"{len(networks)} trainings of {networks[0].steps} steps on {networks[0].task}; the "
        f"prior's error is {error:.3f} dB (root mean square), one is made in {fitted_s:.1f} s.",
        "",
        *harness.table(heads, cells),
    ]


def prior(
    task: Annotated[str, typer.Option(help="Of the trainings.")] = "sr-x2",
    table: Annotated[Path, typer.Option(help="The table of trained networks.")] = TABLE,
    out: Out = None,
) -> None:
    """How well does the prior rank networks that it has not seen?

    Example:  python -m benchmarks prior
    """
    known = [one for one in load_table(table) if one.task == task and not one.is_diverged]
    if not known:
        raise SearchError(f"{table} holds no trainings on {task}")
    steps = min(one.steps for one in known)
    networks = [one for one in known if one.steps == steps]
    harness.publish(f"## {task}", document(networks), out)
