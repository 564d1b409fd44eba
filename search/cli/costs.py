"""What `cost`, `preset` and `profile` do: what networks cost, and what a budget means."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from budgets.assess import (
    CostSettings,
    assess,
    excess,
    read_budget,
    read_sizes,
    reference_size,
    settings_on,
)
from budgets.breakdown import split_macs, table_params
from budgets.budget import (
    AXES,
    Size,
    format_bytes,
    format_count,
    format_time,
    parse_share,
    parse_size,
)
from budgets.latency import LatencyTable, latency
from budgets.price import price
from lightir_core import checkpoints, devices
from lightir_core.architecture import Architecture, from_json
from lightir_core.data.tasks import parse_task
from lightir_core.errors import ArchitectureError, nearest
from lightir_core.published.presets import PRESETS, shrink
from lightir_core.published.presets import preset as published
from search.cli.printing import print_json, print_table, table
from search.config import SearchConfig, format_size
from search.feasible import profile as profiling
from search.feasible.space import Feasible
from search.plan import torch_device, worker_count
from spaces import TaskShape, find_space

Costs = dict[str, Any]

COSTLY = ("memory", "inference-memory")

ANSWERS = {
    True: "can be met",
    False: "cannot be met: nothing in the space fits",
    None: "was met by nothing that was drawn, though nothing proves that nothing fits",
}


def cost(
    what: str,
    task: str,
    at: Sequence[str] | None,
    budget: str | None,
    batch: int,
    patch: int,
    timed: bool,
    device: str,
    as_json: bool,
) -> None:
    """Print what an architecture costs, and whether it fits a budget."""
    sizes = read_sizes(",".join(at) if at else None, parse_task(task))
    architecture = published(what, task) if what in PRESETS else read_architecture(Path(what))
    settings = settings_on(devices.find_device(device), sizes, batch=batch, patch_px=patch)
    costs = count(architecture, settings)
    if timed:
        for entry, size in zip(costs["sizes"], sizes, strict=True):
            entry["latency_ms"] = latency(architecture, size, settings.times or LatencyTable())
    if budget is not None:
        limits = read_budget(budget, task, settings)
        costs |= {"budget": limits.plain, "over": excess(architecture, limits, settings)}
    costs |= costs["sizes"][0]
    if as_json:
        print_json(costs)
    else:
        print_table((), _cost_rows(costs, batch, patch))


def count(architecture: Architecture, settings: CostSettings) -> Costs:
    """Count everything that can be counted without a clock, as trained and run on a device."""
    costs = {
        size: assess(architecture, ("inference-memory",), replace(settings, sizes=(size,)))
        for size in settings.sizes
    }
    params = costs[settings.sizes[0]].params
    return {
        "id": architecture.id,
        "params": params,
        "params_without_tables": params - table_params(architecture),
        "training_bytes": assess(architecture, ("memory",), settings).training_bytes,
        "sizes": [
            {
                "at": str(size),
                "macs": cost.macs,
                "macs_split": asdict(split_macs(architecture, size)),
                "inference_bytes": cost.inference_bytes,
            }
            for size, cost in costs.items()
        ],
    }


def read_architecture(path: Path) -> Architecture:
    """Read the architecture in a file, or in the architecture.json of a model folder.

    Raises:
        ArchitectureError: nothing there, or not an architecture; the path is named.
    """
    file = path / "architecture.json" if path.is_dir() else path
    try:
        return from_json(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = str(error.strerror) if isinstance(error, OSError) else "not text"
        if not path.suffix and not path.exists():  # meant as a name, not as a file
            reason += nearest(str(path), PRESETS) or f"; presets: {', '.join(PRESETS)}"
        raise ArchitectureError(f"cannot read architecture {file}: {reason}") from None
    except ArchitectureError as error:
        raise ArchitectureError(f"{file}: {error}") from None


def _cost_rows(costs: Costs, batch: int, patch_px: int) -> list[tuple[str, str]]:
    rows = [
        ("architecture", costs["id"]),
        ("parameters", f"{costs['params']:,}"),
        ("  without bias tables", f"{costs['params_without_tables']:,}"),
        (
            f"training memory, batch {batch} of {patch_px}x{patch_px}",
            format_bytes(costs["training_bytes"]),
        ),
    ]
    for entry in costs["sizes"]:
        macs = entry["macs"]
        rows.append((f"MACs, {entry['at']} output", f"{macs:,} ({format_count(macs)})"))
        rows += [
            (f"  {kind.replace('_', '-')}", format_count(some))
            for kind, some in entry["macs_split"].items()
        ]
        rows.append(("inference memory", format_bytes(entry["inference_bytes"])))
        if "latency_ms" in entry:
            rows.append(("latency", format_time(entry["latency_ms"])))
    if "budget" in costs:
        rows.append((f"budget {costs['budget']}", costs["over"] or "fits"))
    return rows


def preset(
    name: str | None, task: str, budget: str | None, at: str | None, out: Path | None, device: str
) -> None:
    """Print published systems, or one, which `out` is written to."""
    size = parse_size(at) if at else reference_size(parse_task(task))
    rows: list[tuple[str, ...]] = []
    for which in PRESETS if name is None else (name,):
        network = fitting(which, task, budget, size, device)
        cost = price(network, size)
        shape = (str(network.width), str(len(network.stages)))
        rows.append((which, network.id, *shape, f"{cost.params:,}", format_count(cost.macs)))
        if out is not None and name is not None:
            checkpoints.write_text_atomic(out, network.to_json())
    print_table(("preset", "id", "width", "stages", "parameters", f"MACs at {size}"), rows)


def fitting(
    name: str, task: str, budget: str | None, size: Size, device: str = "auto"
) -> Architecture:
    """Return the preset at its published size, or the largest of its design within `budget`."""
    if budget is None:
        return published(name, task)
    settings = settings_on(devices.find_device(device), (size,))
    limits = read_budget(budget, task, settings)
    return shrink(name, lambda smaller: excess(smaller, limits, settings) is None, task)


def profile(
    budget: str,
    task: str,
    space: str,
    only: Sequence[str] | None,
    at: Sequence[str] | None,
    fill: str,
    memory: bool,
    device: str,
    seed: int,
    as_json: bool,
) -> None:
    """Print by how much of a space a budget can be met, and what binds."""
    kind = parse_task(task)
    where = SearchConfig(device=device)
    settings = settings_on(torch_device(where), read_sizes(",".join(at) if at else None, kind))
    limits = read_budget(budget, task, settings)
    shape = TaskShape(kind.scale, kind.in_channels, kind.out_channels)
    searched = find_space(space, only or ())
    feasible = Feasible(searched, shape, limits, settings.sizes[0], settings, parse_share(fill))
    print("pricing the parts that the space can contain …", file=sys.stderr)
    new = feasible.region.fill(worker_count(where))
    print(f"{new} of them were new" if new else "all were known", file=sys.stderr)
    shown = {"params", "macs", *dict(limits.limits), *(COSTLY if memory else ())}
    axes = [axis for axis in AXES if axis in shown]
    profiled = profiling.profile(feasible, task, axes, seed)
    if as_json:
        print_json(_profile_plain(feasible, settings, profiled))
    else:
        _show_profile(feasible, settings, profiled, axes)


def _profile_plain(
    feasible: Feasible, settings: CostSettings, profiled: profiling.Profile
) -> dict[str, Any]:
    presets = {
        name: {**cost.to_plain(), "fits": over is None, "over": over}
        for name, (cost, over) in profiled.presets.items()
    }
    return {
        "budget": dict(feasible.budget.limits),
        "fill": feasible.fill,
        "at": [str(size) for size in settings.sizes],
        "space": feasible.space.name,
        "points": str(feasible.space.size),
        **asdict(profiled),
        "presets": presets,
    }


def _show_profile(
    feasible: Feasible, settings: CostSettings, profiled: profiling.Profile, axes: list[str]
) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    sizes = ", ".join(map(str, settings.sizes))
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
    rows: list[tuple[str, ...]] = []
    for title, spans in (("in the space", profiled.space), ("of what fits, drawn", profiled.fits)):
        for axis, span in ((axis, spans[axis]) for axis in axes if axis in spans):
            numbers = (span.smallest, span.median, span.largest)
            rows.append((title, axis, *(AXES[axis].format(number) for number in numbers)))
    return table(("", "axis", "smallest", "median", "largest"), rows)


def _presets(profiled: profiling.Profile, axes: list[str]) -> Table:
    rows = [
        (name, *(AXES[a].format(getattr(cost, AXES[a].field)) for a in axes), over or "yes")
        for name, (cost, over) in profiled.presets.items()
    ]
    return table(("preset", *axes, "fits"), rows)
