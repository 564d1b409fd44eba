"""The measurement from networks to document."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from budgets.latency import device_name
from budgets.units import format_count
from lightir_core.learning.recipe import PROXY
from search.bank.bank import load_bank
from search.bank.sandwich import Sandwich
from search.bank.warmup import Warmup, warm_up
from search.bench.inherited.agreement import agreement
from search.bench.inherited.networks import BAND, MIDDLE, in_band, networks
from search.bench.inherited.series import Row, Series, measure
from search.bench.inherited.steps import StepTimes, step_times
from search.engines.local import LocalEngine
from search.evaluators.candidate import score_candidate
from search.evaluators.choice import parse_evaluator
from search.evaluators.images import open_images
from search.evaluators.job import Job, Outcome, Source
from search.evaluators.proxies import PROXIES
from search.feasible import Candidate, Feasible
from search.loop import Engine

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is measured.

    Attributes:
        feasible: where the networks come from.
        source: task and images.
        spread: networks of all sizes.
        equal: further networks of one size.
        steps: of a stand-alone training.
        again: networks that are trained a second time, with other seeds.
        banks: warm-up steps of each bank.
        tune: steps of training from inherited weights, for a second score by each bank.
        seed: decides everything.
        folder: where scores are kept.
        workers: trainings at the same time.
    """

    feasible: Feasible
    source: Source
    spread: int
    equal: int
    steps: int
    again: int
    banks: tuple[int, ...]
    tune: int
    seed: int
    folder: Path
    workers: int


@dataclass(frozen=True)
class Column:
    """One score of the networks, with its name in words."""

    title: str
    rows: list[Row]

    @property
    def scores(self) -> list[float]:
        """In the order of the networks; NaN where one has none."""
        return [row.score for row in self.rows]


@dataclass(frozen=True)
class Found:
    """All that was measured; `again` holds the networks that were trained twice, by number."""

    candidates: list[Candidate]
    alone: Column
    again: dict[int, Row]
    columns: list[Column]
    steps: StepTimes | None


def run(setting: Setting, tell: Tell) -> Found:
    """Measure what `setting.folder` does not hold yet."""
    with LocalEngine[Job, Outcome](score_candidate, _died, setting.workers) as engine:
        return _run(setting, engine, tell)


def _died(job: Job) -> Outcome:
    return Outcome(number=job.number, reason="its worker process died twice")


def _run(setting: Setting, engine: Engine, tell: Tell) -> Found:
    drawn = networks(setting.feasible, setting.spread, setting.equal, setting.seed)

    def score(
        name: str, evaluator: str, seed: int, chosen: Sequence[Candidate] = drawn
    ) -> list[Row]:
        series = Series(
            name=name,
            source=setting.source,
            evaluator=parse_evaluator(evaluator),
            steps=setting.steps,
            seed=seed,
        )
        return measure(series, chosen, setting.folder, engine, tell)

    alone = Column("stand-alone", score(f"alone-{setting.steps}", "train", setting.seed))
    twice = repeated(len(drawn), setting.again)
    rows = score(
        f"again-{setting.steps}", "train", setting.seed + 1, [drawn[number] for number in twice]
    )
    columns = [Column(proxy, score(proxy, f"zero-cost:{proxy}", setting.seed)) for proxy in PROXIES]
    for steps in setting.banks:
        columns += _inherited(setting, drawn, steps, engine, tell)
    steps = _step_times(setting, drawn) if setting.banks else None
    return Found(drawn, alone, dict(zip(twice, rows, strict=True)), columns, steps)


def _step_times(setting: Setting, drawn: Sequence[Candidate]) -> StepTimes:
    bank, _ = load_bank(setting.folder / f"bank-{setting.banks[-1]}.safetensors")
    data = open_images(setting.source).training
    batch = data.batch(setting.seed, 0, PROXY.batch, PROXY.patch_px)
    return step_times(bank, [candidate.architecture for candidate in drawn], batch)


def repeated(number: int, again: int) -> list[int]:
    """Which of `number` networks are trained twice: evenly over their order."""
    return [index * number // again for index in range(again)] if again else []


def _inherited(
    setting: Setting, drawn: Sequence[Candidate], steps: int, engine: Engine, tell: Tell
) -> list[Column]:
    path = setting.folder / f"bank-{steps}.safetensors"
    warmup = Warmup(
        recipe=PROXY.lasting(steps), seed=setting.seed, device=torch.device("cpu"), path=path
    )
    sandwich = Sandwich(setting.feasible, setting.seed)
    data = open_images(setting.source).training
    told = max(1, steps // 10)
    warm_up(
        warmup,
        sandwich.network,
        data,
        lambda done: tell(f"bank: {done:,} of {steps:,} steps") if done % told == 0 else None,
    )
    columns: list[Column] = []
    for tune in sorted({0, setting.tune}):
        name = f"bank-{steps}" + (f"-tuned-{tune}" if tune else "")
        series = Series(
            name=name,
            source=setting.source,
            evaluator=parse_evaluator(f"bank:{tune}" if tune else "bank"),
            steps=setting.steps,
            seed=setting.seed,
            bank=path,
        )
        title = f"bank of {steps:,} steps" + (f", then {tune} steps" if tune else "")
        rows = measure(series, drawn, setting.folder, engine, tell)
        columns.append(Column(title, rows))
    return columns


def report(setting: Setting, found: Found, command: str) -> str:
    """The numbers as Markdown, without a reading of them."""
    threads = setting.workers
    first = setting.feasible.budget.limits[0]
    intro = (
        f"`{command}`\n\n"
        f"{len(found.candidates)} networks of the space `{setting.feasible.space.name}` within "
        f"{setting.feasible.budget.text} (seed {setting.seed}): {setting.spread} under limits that "
        f"rise from a quarter to the whole, and {setting.equal} more within ±{BAND:.0%} of "
        f"{format_count(MIDDLE * first[1])} parameters. Stand-alone: {setting.steps} steps of the "
        f"`proxy` recipe each, from fresh weights. Task {setting.source.task}, scores on the "
        f"validation crops of a search. {device_name('cpu')}, {os.cpu_count()} cores, {threads} "
        f"at work, torch {torch.__version__}."
    )
    parts = [intro, _agreements(setting, found), _paces(found), _scores(setting, found)]
    if found.steps is not None:
        parts.insert(3, _steps(found.steps))
    return "\n\n".join(parts) + "\n"


def _agreements(setting: Setting, found: Found) -> str:
    alone, drawn = found.alone.scores, found.candidates
    band = [n for n, c in enumerate(drawn) if in_band(c, setting.feasible.budget)]
    costs = [
        ("parameters", [float(c.cost.params) for c in drawn]),
        ("MACs", [float(c.cost.macs) for c in drawn]),
    ]
    lines = [
        "Kendall's tau with the stand-alone PSNR, and its 95 % bootstrap interval over networks:",
        "",
        f"| score | all {len(drawn)} | the {len(band)} of one size |",
        "|---|---:|---:|",
    ]
    for title, scores in [*costs, *((c.title, c.scores) for c in found.columns)]:
        everywhere = agreement(scores, alone, setting.seed)
        inside = agreement([scores[n] for n in band], [alone[n] for n in band], setting.seed)
        lines.append(f"| {title} | {everywhere} | {inside} |")
    return "\n".join([*lines, *_ceiling(setting, found)])


def _ceiling(setting: Setting, found: Found) -> list[str]:
    """The last row: how well the truth agrees with itself."""
    twice = [(found.alone.scores[n], row.score) for n, row in found.again.items()]
    ceiling = agreement([b for _, b in twice], [a for a, _ in twice], setting.seed)
    lines = [f"| stand-alone with another seed, {len(twice)} networks: the ceiling | {ceiling} | |"]
    gaps = [abs(a - b) for a, b in twice]
    if gaps:
        lines += ["", f"Median difference between the two seeds: {statistics.median(gaps):.3f} dB."]
    return lines


def _paces(found: Found) -> str:
    lines = [
        "| score | median seconds a network | networks a minute, one core |",
        "|---|---:|---:|",
    ]
    for column in (*found.columns, found.alone):
        median = statistics.median(row.seconds for row in column.rows)
        lines.append(f"| {column.title} | {median:.2f} | {60 / median:.0f} |")
    return "\n".join(lines)


def _steps(found: StepTimes) -> str:
    return (
        f"Forward and backward of a training step, median over the networks, CPU time: "
        f"{found.alone:.0f} ms with weights of its own, {found.copied:.0f} ms with slices copied "
        f"out of the bank and back, {found.flowing:.0f} ms with a gradient that flows"
        " into it."
    )


def _scores(setting: Setting, found: Found) -> str:
    titles = [column.title for column in found.columns]
    lines = [
        "| network | parameters | MACs | stand-alone | again | " + " | ".join(titles) + " |",
        "|---|" + "---:|" * (4 + len(titles)),
    ]
    for number, candidate in enumerate(found.candidates):
        again = found.again.get(number)
        mark = " =" if in_band(candidate, setting.feasible.budget) else ""
        cells = [
            f"{candidate.architecture.id}{mark}",
            f"{candidate.cost.params:,}",
            format_count(candidate.cost.macs),
            f"{found.alone.rows[number].score:.3f}",
            f"{again.score:.3f}" if again else "",
            *(f"{column.rows[number].score:.3f}" for column in found.columns),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
