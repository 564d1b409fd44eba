"""A space small enough to be known whole, and what a search of it needs."""

import itertools
import math
import random
from functools import cache

import pytest

from budgets.budget import Budget, Cost, Size
from lightir_core.data.tasks import parse_task
from results.objectives import Objective
from results.prior import Prior
from results.table import TrainedNetwork
from search.feasible.candidate import Candidate
from search.feasible.space import Feasible
from search.strategies import Scenario
from spaces import SPACES, Dimension, Space, TaskShape, When

SHAPE = TaskShape(scale=2)
SIZE = Size(64, 64)
USUAL_PIXELS = 1280 * 720

FEW = Space(
    name="few",
    network=(Dimension("width", (8, 16)), Dimension("stages", (1, 2))),
    stage=(
        Dimension("mixer", ("window", "convolution")),
        Dimension("heads", (2, 4), (When("mixer", ("window",)),)),
        Dimension("window", ("4x4",)),
        Dimension("blocks", (1, 2)),
    ),
)
"""84 networks: width 2 x (6 + 36)."""

SMALL = SPACES["small"].restrict(
    {"width": (24, 32), "heads": (2,), "window": ("4x4", "8x8"), "ratio": (1.0, 2.0)}
)
"""Too large to try everything, with few enough blocks to be priced at once."""

PSNR = Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y")
MACS = Objective(name="macs", direction="minimise", unit="MACs", label="MACs")
PARAMS = Objective(name="params", direction="minimise", unit="parameters", label="Parameters")


@pytest.fixture(autouse=True)
def few_attempts(monkeypatch):
    """Draw a few hundred networks together: a space of the tests has run out by then."""
    monkeypatch.setattr("search.feasible.space.ATTEMPTS", 300)


@pytest.fixture(scope="session")
def feasible():
    """(space or its name, budget) -> what fits."""

    @cache
    def fitting(space="few", budget="1M"):
        space = {**SPACES, "few": FEW, "small": SMALL}[space] if isinstance(space, str) else space
        return Feasible(space, SHAPE, Budget.parse(budget), SIZE)

    return fitting


@pytest.fixture(scope="session")
def setting(feasible):
    def settled(space="small", budget="60k", objectives=(PSNR, MACS), generation=4, seed=0):
        return Scenario(feasible(space, budget), objectives, generation, seed)

    return settled


@pytest.fixture(scope="session")
def few_candidates(feasible):
    """Every point of `few` with its architecture and cost."""
    everything = feasible()

    def points(space):
        for width, stages in itertools.product((8, 16), (1, 2)):
            per_stage = [
                {"mixer": mixer, **heads, "window": "4x4", "blocks": blocks}
                for mixer, all_heads in (
                    ("window", ({"heads": 2}, {"heads": 4})),
                    ("convolution", ({},)),
                )
                for heads in all_heads
                for blocks in (1, 2)
            ]
            for chosen in itertools.product(per_stage, repeat=stages):
                point = {"width": width, "stages": stages}
                for number, stage in enumerate(chosen, start=1):
                    point |= {f"stage{number}.{name}": value for name, value in stage.items()}
                yield point

    found = [everything.candidate(point) for point in points(FEW)]
    assert len(found) == FEW.size == 84
    return found


@pytest.fixture(scope="session")
def worth():
    """Candidate -> a score as a training would give: work pays, and some choices do."""

    def score(candidate):
        choices = candidate.choices
        groups = [value for name, value in choices.items() if name.endswith("groups")]
        return 29 + 0.4 * math.log10(candidate.cost.macs) - 0.3 * sum(groups) / len(groups)

    return score


@pytest.fixture(scope="session")
def trained_table(feasible, worth):
    """120 networks of `small`, as if they had been trained."""
    everything, rng, noise = feasible("small", "60k"), random.Random(5), random.Random(6)
    taken, made = set(), []
    for index in range(120):
        candidate = everything.near({}, rng, taken)
        taken.add(candidate.architecture.id)
        score = worth(candidate) + noise.gauss(0, 0.01)
        made.append(
            TrainedNetwork(
                index=index,
                origin="drawn",
                architecture=candidate.architecture,
                task="sr-x2",
                recipe="proxy",
                steps=400,
                batch=8,
                patch_px=16,
                seed=index,
                params=candidate.cost.params,
                # the table has them at the usual size
                macs=round(candidate.cost.macs * USUAL_PIXELS / (SIZE.height * SIZE.width)),
                curve=((200, score - 0.2), (400, score)),
                cpu_s=5 + candidate.cost.macs / 1e7,
                machine="a processor x1, torch 2",
                choices=candidate.choices,
            )
        )
    return made


@pytest.fixture(scope="session")
def candidate_of():
    def made(network):
        macs = round(network.macs / USUAL_PIXELS * SIZE.height * SIZE.width)
        return Candidate(network.choices, network.architecture, Cost(network.params, macs))

    return made


@pytest.fixture(scope="session")
def prior_of():
    """Trainings, task -> what they teach of trainings that are as long."""

    def learnt(networks, task=None):
        task = task or parse_task("sr-x2")
        pixels = SIZE.height * SIZE.width
        return Prior(networks, task.name, task.metric, 400 * 8 * 16**2, pixels)

    return learnt
