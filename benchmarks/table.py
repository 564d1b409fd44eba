"""A real objective table: every network of a small space, trained once and kept.

With it a search costs no training, so strategies can be compared over many seeds on scores that
are no formula. It is also the truth for whatever claims to rank networks without training them.
"""

import itertools
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.harness import More, Row, Step, measure
from budgets.budget import Budget, Size
from lightir_core.checkpoints import write_text_atomic
from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task
from lightir_core.errors import SearchError
from lightir_core.learning.curve import Point
from lightir_core.learning.recipe import PROXY
from lightir_core.seeds import derive
from results.objectives import Objective
from search.evaluators.evaluate import score_candidate
from search.feasible.candidate import Candidate
from search.feasible.space import Feasible
from search.jobs import Job
from spaces import Choices, Dimension, Space, TaskShape, When, space_from_plain, space_to_plain
from spaces.space import combinations

TABLE = Path(__file__).with_name("table.json")
FORMAT = "lightir-objective-table"
STEPS = 300
TASK = "sr-x2"
SIZE = Size(720, 1280)
GENERATION = 8
BUDGET = Budget.parse("40k")
"""Binds: part of the table is over it."""

OBJECTIVES = (
    Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y"),
    Objective(name="macs", direction="minimise", unit="MACs", label="MACs"),
)

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
    """One network of the table, with the score in dB and the curve of each of its trainings."""

    candidate: Candidate
    scores: tuple[float, ...]
    curves: tuple[tuple[Point, ...], ...]

    @property
    def values(self) -> tuple[float, float]:
        """Return its objectives: the mean of the scores, and the MACs."""
        return statistics.fmean(self.scores), float(self.candidate.cost.macs)


@dataclass(frozen=True)
class Table:
    """All networks of a space by architecture id, and the space without a limit that binds."""

    feasible: Feasible
    entries: dict[str, Entry]

    @property
    def within(self) -> Feasible:
        """Return the space within `BUDGET`."""
        return replace(self.feasible, budget=BUDGET)

    @property
    def allowed(self) -> list[Entry]:
        """Return the networks within `BUDGET`."""
        return [one for one in self.entries.values() if BUDGET.allows(one.candidate.cost)]


def points(space: Space) -> Iterator[Choices]:
    """Yield every point of a space; only for spaces that are small (see `Space.size`)."""
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
    """Return the space priced at the task's usual size, none of its networks over budget."""
    return Feasible(space, TaskShape(scale=2), Budget.parse("1M"), SIZE)


def train_table(folder: Path, *, more: bool = True) -> list[Row]:
    """Return rows of all trainings, kept in `folder`."""
    feasible = feasible_table(SPACE)
    candidates = (feasible.candidate(choices) for choices in points(SPACE))
    steps: Iterator[Step] = (
        (one.architecture.id, partial(_train, one, folder)) for one in candidates
    )
    return measure(folder / "table.jsonl", steps, more=more)


def _train(candidate: Candidate, folder: Path) -> Row:
    job = Job(
        number=0,
        architecture=candidate.architecture,
        recipe=PROXY.lasting(STEPS),
        source=ImageSource(task=parse_task(TASK)),
        seed=derive(0, "table", 0),
        device="cpu",
        weights=folder / "last.safetensors",
    )
    outcome = score_candidate(job)
    if outcome.reason is not None:
        raise SearchError(f"network {candidate.architecture.id} was not trained: {outcome.reason}")
    return {
        "id": candidate.architecture.id,
        "choices": candidate.choices,
        "params": candidate.cost.params,
        "macs": candidate.cost.macs,
        "scores": [round(outcome.scores[OBJECTIVES[0].name], 5)],
        "curves": [[[step, round(value, 4)] for step, value in outcome.curve]],
    }


def write_table(file: Path, rows: Sequence[Row]) -> None:
    """Write the networks that were trained."""
    head = {
        "format": FORMAT,
        "command": "python -m benchmarks table",
        "task": TASK,
        "recipe": PROXY.name,
        "steps": STEPS,
        "metric": OBJECTIVES[0].name,
        "space": space_to_plain(SPACE),
    }
    # one network a line: as short as JSON gets that people and diffs can still read
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    write_text_atomic(file, json.dumps(head)[:-1] + ', "networks": [\n' + lines + "\n]}\n")


def read_table(file: Path = TABLE) -> Table:
    """Return the table that `write_table` wrote.

    Raises:
        SearchError: no such file, another file, or one that another version has written.
    """
    try:
        plain: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SearchError(
            f"cannot read the objective table {file}: {error}; make one with "
            f"`python -m benchmarks table --out {file}`"
        ) from None
    if plain.get("format") != FORMAT:
        raise SearchError(f"{file} is not an objective table: expected format {FORMAT!r}")
    feasible = feasible_table(space_from_plain(plain["space"]))
    entries: dict[str, Entry] = {}
    for row in plain["networks"]:
        curves = tuple(tuple((int(s), float(v)) for s, v in curve) for curve in row["curves"])
        entry = Entry(feasible.candidate(row["choices"]), tuple(row["scores"]), curves)
        if entry.candidate.architecture.id != row["id"]:
            raise SearchError(
                f"{file}: {row['choices']} is network {entry.candidate.architecture.id} now, "
                f"not {row['id']}; train the table again"
            )
        entries[row["id"]] = entry
    return Table(feasible, entries)


def table(
    keep: Annotated[Path, typer.Option(help="Where trainings are kept.")] = Path(
        "runs/bench-table"
    ),
    out: Annotated[Path, typer.Option(help="The file to write.")] = TABLE,
    more: More = True,
) -> None:
    """Train every network of a small space, so that searches of it cost nothing; on one core.

    Goes on where it was stopped.

    Example:  nice python -m benchmarks table
    """
    torch.set_num_threads(1)
    rows = train_table(keep, more=more)
    write_table(out, rows)
    print(f"{len(rows)} networks in {out}")
