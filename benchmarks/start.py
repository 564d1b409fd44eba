"""How soon is the command line there? Its processor time, in pairs with loading torch alone."""

import os
import statistics
import subprocess
import sys
from typing import Annotated

import typer

from benchmarks import harness
from benchmarks.harness import Out

LINES = ("", "--help", "rnu", "spaces", "run --help", "run --trails 3", "cost --help")
"""What needs no network: it should take a quarter of what loading torch takes."""


def start(
    line: Annotated[
        list[str] | None, typer.Option(help="A command line to time; repeatable.")
    ] = None,
    pairs: Annotated[int, typer.Option(help="Pairs of each.", min=1)] = 7,
    out: Out = None,
) -> None:
    """Time command lines that need no network, each in pairs with `import torch`.

    Example:  python -m benchmarks start --line "watch runs/mine --once" --pairs 7
    """
    cells: list[list[object]] = []
    for text in line or LINES:
        pairs_s = [
            (_seconds("-m", "search", *text.split()), _seconds("-c", "import torch"))
            for _ in range(pairs)
        ]
        ratio = statistics.median(ours / torchs for ours, torchs in pairs_s)
        ours, torchs = (statistics.median(side) for side in zip(*pairs_s, strict=True))
        cells.append([f"`{text}`", f"{ours:.2f}", f"{torchs:.2f}", f"{ratio:.2f}"])
    columns = ["python -m search", "CPU s:", "import torch, CPU s:", "ratio, median of pairs:"]
    harness.publish("## Start", harness.table(columns, cells), out)


def _seconds(*arguments: str) -> float:
    """Return the processor time of a Python program, whatever it prints."""
    before = os.times()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])
