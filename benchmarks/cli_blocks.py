"""`python -m search bench blocks`: the blocks beside the formulas they compute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from benchmarks.blocks import Comparison, Saved, cases, compare, saved_bytes
from lightir_core.checkpoints import write_text_atomic
from search.cli.options import wholes

MIB = 2**20
NETWORKS = ("swinir-light", "agileir-light")


def blocks(
    batch: Annotated[int, typer.Option(min=1, help="Images of 64x64 at once.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="How often each form is timed.")] = 9,
    batches: Annotated[
        str, typer.Option(help="Batch sizes for what whole networks keep, joined by commas.")
    ] = "1,16",
    report: Annotated[Path | None, typer.Option(help="Also write the tables to this file.")] = None,
) -> None:
    """Time each block, and what it keeps, beside the papers' formulas written down plainly.

    On one core, both forms in turns, medians of the ratios. Needs a checkout with its tests.

    Example:  python -m search bench blocks --batch 4 --rounds 9
    """
    torch.set_num_threads(1)
    console = Console(stderr=True)
    lines = [
        "| block | forward ms | as fast | training ms | as fast | peak MiB | of plain |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for case in cases():
        lines.append(_block_line(compare(case, batch, rounds)))
        console.print(f"[dim]{case.name} measured[/dim]")
    lines += ["", "| network | batch | plain MiB | ours | recomputed |", "|---|--:|--:|--:|--:|"]
    for size in wholes("--batches", batches):
        for system in NETWORKS:
            lines.append(_network_line(system, size, saved_bytes(system, size)))
            console.print(f"[dim]{system} at batch {size} measured[/dim]")
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if report is not None:
        write_text_atomic(report, text)


def _block_line(found: Comparison) -> str:
    ours = found.ours
    return (
        f"| {found.case.name} | {ours.forward_ms:.1f} | {found.forward_speedup:.2f} "
        f"| {ours.training_ms:.1f} | {found.training_speedup:.2f} "
        f"| {ours.peak_bytes / MIB:.1f} | {found.memory:.2f} |"
    )


def _network_line(system: str, batch: int, found: Saved) -> str:
    kept = (found.plain, found.ours, found.recomputed)
    return f"| {system} | {batch} | " + " | ".join(f"{x / MIB:,.0f}" for x in kept) + " |"
