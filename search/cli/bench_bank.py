"""`python -m search bench bank`: do inherited weights rank networks as training them does?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from budgets.budget import Budget
from lightir_core.checkpoints import write_text_atomic
from lightir_core.data.tasks import parse_task
from search.bench.inherited import document
from search.cli.options import DataFolders, absolute, wholes
from search.evaluators.job import Source
from search.feasible import Feasible
from search.plan import find_space
from search.terms import reference_size
from spaces import Frame


def bank(
    budget: Annotated[str, typer.Option(help="Limits of the networks.")] = "params=40k,macs=3G",
    space: Annotated[str, typer.Option(help="Where networks come from.")] = "default",
    spread: Annotated[int, typer.Option(help="Networks of all sizes.", min=3)] = 30,
    equal: Annotated[int, typer.Option(help="More networks of one size.", min=0)] = 12,
    steps: Annotated[int, typer.Option(help="Of a stand-alone training.", min=1)] = 300,
    again: Annotated[int, typer.Option(help="Networks trained with a second seed.", min=0)] = 12,
    bank_steps: Annotated[
        str, typer.Option(help="Warm-up steps of each bank, joined by commas.")
    ] = "1500",
    tune: Annotated[
        int, typer.Option(help="Also score after so many steps from inherited weights.", min=0)
    ] = 20,
    task: Annotated[
        str, typer.Option(help="What to restore; short trainings tell networks apart in denoising.")
    ] = "denoise:25",
    data: DataFolders = None,
    val: Annotated[Path | None, typer.Option(help="Folder of validation images.")] = None,
    keep: Annotated[Path, typer.Option(help="Where scores are kept.")] = Path("runs/bench-bank"),
    out: Annotated[Path | None, typer.Option(help="Also write the tables to this file.")] = None,
    seed: Annotated[int, typer.Option(help="Decides networks, weights and patches.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes at the same time.", min=1)] = 2,
) -> None:
    """Do weights inherited from a bank, and zero-cost proxies, rank as stand-alone training?

    Stopped, it goes on where it was.

    Example:  python -m search bench bank --out bank.md
    """
    kind = parse_task(task)
    feasible = Feasible(
        find_space(space),
        Frame(kind.scale, kind.in_channels, kind.out_channels),
        Budget.parse(budget),
        reference_size(kind),
    )
    setting = document.Setting(
        feasible=feasible,
        source=Source(task=task, data=absolute(data), val=str(val.resolve()) if val else None),
        spread=spread,
        equal=equal,
        steps=steps,
        again=again,
        banks=wholes("--bank-steps", bank_steps),
        tune=tune,
        seed=seed,
        folder=keep,
        workers=workers,
    )
    found = document.run(setting, lambda text: print(text, file=sys.stderr, flush=True))
    text = document.report(setting, found, shlex.join(["python", "-m", "search", *sys.argv[1:]]))
    if out is not None:
        write_text_atomic(out, text)
    print(text, end="")
