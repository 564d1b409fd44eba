"""`python -m search profile`: what a budget means, before anything is trained."""

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from budgets.assess import read_budget, read_sizes, settings_on
from budgets.budget import AXES, parse_share
from lightir_core.data.tasks import parse_task
from search.cli.options import Json, Sizes
from search.config import SearchConfig, find_space, format_size
from search.feasible import profile as profiling
from search.feasible.space import Feasible
from search.plan import torch_device, worker_count
from spaces import TaskShape

DEFAULT = SearchConfig()
COSTLY = ("memory", "inference-memory")


def profile(
    budget: Annotated[
        str, typer.Option(help="Hard limits: 400k, params=400k,macs=30G or 60%@grformer.")
    ] = DEFAULT.search.budget,
    task: Annotated[str, typer.Option(help="What to restore, such as sr-x2.")] = DEFAULT.data.task,
    space: Annotated[str, typer.Option(help="Search space; see `spaces`.")] = DEFAULT.search.space,
    only: Annotated[
        list[str] | None, typer.Option(help="Cut a dimension down: window=8x8,4x16; repeatable.")
    ] = None,
    at: Sizes = None,
    fill: Annotated[
        str, typer.Option(help="Use the first limit up to this share: 5%; 0 is no lower limit.")
    ] = "0",
    memory: Annotated[
        bool, typer.Option("--memory", help="Also tell memory that the budget does not limit.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = DEFAULT.machine.device,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    as_json: Json = False,
) -> None:
    """Tell whether a budget can be met, by how much of the space, and what binds; train nothing.

    Example:  python -m search profile --budget 400k,macs=30G
    """
    kind = parse_task(task)
    where = SearchConfig(device=device)
    cost_settings = settings_on(torch_device(where), read_sizes(",".join(at) if at else None, kind))
    limits = read_budget(budget, task, cost_settings)
    shape = TaskShape(kind.scale, kind.in_channels, kind.out_channels)
    searched = find_space(space, only or ())
    feasible = Feasible(
        searched, shape, limits, cost_settings.sizes[0], cost_settings, parse_share(fill)
    )
    print("pricing the parts that the space can contain …", file=sys.stderr)
    new = feasible.region.fill(worker_count(where))
    print(f"{new} of them were new" if new else "all were known", file=sys.stderr)
    axes = [a for a in AXES if a in (*("params", "macs"), *dict(limits.limits))]
    if memory:
        axes = [a for a in AXES if a in (*axes, *COSTLY)]
    profiled = profiling.profile(feasible, task, axes, seed)
    if as_json:
        print(json.dumps(_plain(feasible, profiled), indent=2))
    else:
        _show(feasible, profiled, axes)


def _plain(feasible: Feasible, profiled: profiling.Profile) -> dict[str, Any]:
    presets = {
        name: {**cost.to_plain(), "fits": over is None, "over": over}
        for name, (cost, over) in profiled.presets.items()
    }
    return {
        "budget": dict(feasible.budget.limits),
        "fill": feasible.fill,
        "at": [
            str(size) for size in (feasible.cost_settings.sizes if feasible.cost_settings else ())
        ],
        "space": feasible.space.name,
        "points": str(feasible.space.size),
        **asdict(profiled),
        "presets": presets,
    }


ANSWERS = {
    True: "can be met",
    False: "cannot be met: nothing in the space fits",
    None: "was met by nothing that was drawn, though nothing proves that nothing fits",
}


def _show(feasible: Feasible, profiled: profiling.Profile, axes: list[str]) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    sizes = ", ".join(map(str, feasible.cost_settings.sizes if feasible.cost_settings else ()))
    limits = ", ".join(f"{a} <= {AXES[a].format(v)}" for a, v in feasible.budget.limits)
    console.print(f"budget {limits} (at {sizes}) {ANSWERS[profiled.satisfiable]}")
    if feasible.fill:
        console.print(
            f"within {feasible.fill:.3g} below the limit on {feasible.budget.limits[0][0]}"
        )
    console.print(f"space {feasible.space.name}, {format_size(feasible.space.size)} points")
    console.print(f"share that fits: {_share(profiled.share)}")
    for axis, alone in profiled.alone.items():
        of = (
            "of the space" if axis in profiling.ADDITIVE else "of what meets the limits that add up"
        )
        mark = "  <- binds" if axis == profiled.binding else ""
        console.print(f"  {axis} alone is met by {_percent(alone)} {of}{mark}")
    console.print(_spans(profiled, axes))
    console.print(_presets(profiled, axes))


def _share(share: profiling.Share) -> str:
    if share.least == share.most == share.estimate:
        return f"{_percent(share.estimate)} ({share.how})"
    between = f"proved to lie between {_percent(share.least)} and {_percent(share.most)}"
    if not share.estimate:
        return f"{between} ({share.how})"
    return f"{_percent(share.estimate)} ± {_percent(share.error)}, {between} ({share.how})"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _spans(profiled: profiling.Profile, axes: list[str]) -> Table:
    table = Table("", "axis", "smallest", "median", "largest", box=None)
    for title, spans in (("in the space", profiled.space), ("of what fits, drawn", profiled.fits)):
        for axis in axes:
            if axis in spans:
                span = spans[axis]
                numbers = (span.smallest, span.median, span.largest)
                table.add_row(title, axis, *(AXES[axis].format(number) for number in numbers))
    return table


def _presets(profiled: profiling.Profile, axes: list[str]) -> Table:
    table = Table("preset", *axes, "fits", box=None)
    for name, (cost, over) in profiled.presets.items():
        values = (getattr(cost, AXES[axis].field) for axis in axes)
        cells = [AXES[axis].format(value) for axis, value in zip(axes, values, strict=True)]
        table.add_row(name, *cells, over or "yes")
    return table
