"""A real objective table: every network of a small space, trained once and kept.

With it a search costs no training, so strategies can be compared over many seeds on scores that
are no formula. It is also the truth for whatever claims to rank networks without training them.
"""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.costs.part import Bench, Part, Row, measure
from budgets.budget import Budget
from budgets.units import Size
from lightir_core.checkpoints import write_text_atomic
from lightir_core.errors import SearchError
from lightir_core.learning.curve import Point
from lightir_core.learning.recipe import PROXY
from lightir_core.seeds import derive
from search.evaluators.train import evaluate_candidate
from search.feasible.space import Candidate, Feasible
from search.jobs import Job, Outcome, Source
from spaces import Choices, Dimension, Space, TaskShape, When, space_from_plain, space_to_plain
from spaces.space import combinations

FORMAT = "lightir-objective-table"
STEPS = 300
REPEATS = 1
"""Trainings of each network, from other weights and on other patches; their mean is the score."""

TASK = "sr-x2"
SHAPE = TaskShape(scale=2)
SIZE = Size(720, 1280)

_WINDOW = When("mixer", ("window",))

SPACE = Space(
    name="table",
    summary="216 networks of 2K to 71K parameters, small enough to train all of them",
    network=(Dimension("width", (8, 16, 24)), Dimension("stages", (1, 2))),
    stage=(
        Dimension("blocks", (1, 3)),
        Dimension("mixer", ("window", "convolution")),
        Dimension("heads", (2,), (_WINDOW,)),
        Dimension("feed_forward", ("mlp", "none"), (_WINDOW,)),
        Dimension("groups", (1, 4), (_WINDOW, When("feed_forward", ("mlp",)))),
        Dimension("closing", ("none",)),
    ),
)


@dataclass(frozen=True)
class Entry:
    """One network of the table.

    Attributes:
        candidate: its choices, architecture and cost.
        scores: in dB, of each training.
        curves: (step, score) of each training.
    """

    candidate: Candidate
    scores: tuple[float, ...]
    curves: tuple[tuple[Point, ...], ...]

    @property
    def score(self) -> float:
        """Mean of the trainings."""
        return statistics.fmean(self.scores)


@dataclass(frozen=True)
class Table:
    """All networks of a space with their scores.

    Attributes:
        feasible: the space, without a limit that binds.
        metric: name of the score.
        entries: by architecture id.
    """

    feasible: Feasible
    metric: str
    entries: dict[str, Entry]

    def look_up(self, job: Job) -> Outcome:
        """What training the job's network gave."""
        entry = self.entries[job.architecture.id]
        return Outcome(number=job.number, scores={self.metric: entry.score}, curve=entry.curves[0])


def points(space: Space) -> Iterator[Choices]:
    """Every point of a space; only for spaces that are small (see `Space.size`)."""
    for skeleton in space.skeletons():
        stages = (
            [
                {f"stage{number}.{name}": made[name] for name in made if name not in skeleton}
                for made in combinations(space.stage, skeleton)
            ]
            for number in range(1, int(skeleton["stages"]) + 1)
        )
        for chosen in itertools.product(*stages):
            yield skeleton | {name: value for stage in chosen for name, value in stage.items()}


def feasible_table(space: Space = SPACE) -> Feasible:
    """The space, its networks priced at the task's usual size and none of them over budget."""
    return Feasible(space, SHAPE, Budget.parse("1M"), SIZE)


def train_table(folder: Path, tell: Callable[[str], None], *, more: bool = True) -> list[Row]:
    """Rows of all trainings, kept in `folder` one by one; goes on where it was stopped.

    Args:
        folder: holds rows and the last weights.
        tell: hears of every new row.
        more: whether to train what is missing.
    """
    part = Part("table", "Objective table", lambda bench: _steps(bench, folder), lambda rows: [])
    return measure(part, Bench(), folder, tell, more=more)[0]


def _steps(bench: Bench, folder: Path) -> Iterator[tuple[str, Callable[[], Row]]]:
    feasible = feasible_table()
    candidates = [feasible.candidate(choices) for choices in points(SPACE)]
    for repeat in range(REPEATS):
        for candidate in candidates:
            key = f"{candidate.architecture.id}-{repeat}"
            yield (
                key,
                lambda c=candidate, r=repeat: _train(c, derive(bench.seed, "table", r), folder),
            )


def _train(candidate: Candidate, seed: int, folder: Path) -> Row:
    job = Job(
        number=0,
        architecture=candidate.architecture,
        recipe=PROXY.lasting(STEPS),
        source=Source(task=TASK),
        seed=seed,
        device="cpu",
        weights=folder / "last.safetensors",
    )
    outcome = evaluate_candidate(job)
    if outcome.reason is not None:
        raise SearchError(f"network {candidate.architecture.id} was not trained: {outcome.reason}")
    [(metric, score)] = outcome.scores.items()
    return {
        "id": candidate.architecture.id,
        "choices": candidate.choices,
        "metric": metric,
        "score": score,
        "curve": [[step, round(value, 4)] for step, value in outcome.curve],
    }


def write_table(file: Path, rows: Sequence[Row]) -> int:
    """Write the networks that were trained, as often as all of them were; how many there are."""
    feasible = feasible_table()
    found = _by_id(rows)
    repeats = min(map(len, found.values()), default=0)
    plain = [
        _plain_entry(feasible.candidate(several[0]["choices"]), several[:repeats])
        for several in found.values()
    ]
    head = {
        "format": FORMAT,
        "command": "python -m search bench table",
        "task": TASK,
        "recipe": PROXY.name,
        "steps": STEPS,
        "metric": rows[0]["metric"] if rows else "",
        "space": space_to_plain(SPACE),
    }
    # one network a line: as short as JSON gets that people and diffs can still read
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in plain)
    text = json.dumps(head)[:-1] + ', "networks": [\n' + lines + "\n]}\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(file, text)
    return len(plain)


def read_table(file: Path) -> Table:
    """The table that `write_table` wrote.

    Raises:
        SearchError: no such file, another file, or one that another version has written.
    """
    try:
        plain: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SearchError(
            f"cannot read the objective table {file}: {error}; make one with "
            f"`python -m search bench table --out {file}`"
        ) from None
    if plain.get("format") != FORMAT:
        raise SearchError(f"{file} is not an objective table: expected format {FORMAT!r}")
    feasible = feasible_table(space_from_plain(plain["space"]))
    entries = [_entry(feasible, row) for row in plain["networks"]]
    for entry, row in zip(entries, plain["networks"], strict=True):
        if entry.candidate.architecture.id != row["id"]:
            raise SearchError(
                f"{file}: {row['choices']} is network {entry.candidate.architecture.id} now, "
                f"not {row['id']}; train the table again"
            )
    by_id = {entry.candidate.architecture.id: entry for entry in entries}
    return Table(feasible, plain["metric"], by_id)


def _entry(feasible: Feasible, row: Row) -> Entry:
    curves = tuple(tuple((int(s), float(v)) for s, v in curve) for curve in row["curves"])
    return Entry(feasible.candidate(row["choices"]), tuple(row["scores"]), curves)


def _plain_entry(candidate: Candidate, rows: Sequence[Row]) -> Row:
    return {
        "id": candidate.architecture.id,
        "choices": candidate.choices,
        "params": candidate.cost.params,
        "macs": candidate.cost.macs,
        "scores": [round(row["score"], 5) for row in rows],
        "curves": [row["curve"] for row in rows],
    }


def _by_id(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["id"], []).append(row)
    return found
