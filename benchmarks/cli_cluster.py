"""`python -m search bench cluster`: what Ray costs, how it scales, what a search survives."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks import dispatch, faults
from lightir_core.checkpoints import write_text_atomic
from lightir_core.errors import SearchError
from search.cli.options import wholes

PARTS = ("noop", "scaling", "faults")


def cluster(
    parts: Annotated[str, typer.Option(help="Joined by commas.")] = ",".join(PARTS),
    trials: Annotated[str, typer.Option(help="No-op trials, joined by commas.")] = "40,400",
    workers: Annotated[int, typer.Option(help="Of the no-op trials.", min=1)] = 2,
    limit: Annotated[float, typer.Option(help="Seconds for Ray Tune by itself, each time.")] = 1200,
    scale: Annotated[str, typer.Option(help="Numbers of workers.")] = "1,2,4,8",
    sleep: Annotated[float, typer.Option(help="Seconds of a trial that sleeps.")] = 1.0,
    fault: Annotated[str, typer.Option(help="Joined by commas.")] = ",".join(faults.FAULTS),
    seed: Annotated[int, typer.Option(help="Of the searches that are disturbed.")] = 0,
    keep: Annotated[
        Path | None, typer.Option(help="Folder for the disturbed searches and their logs.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Put the sections into this file, in place of older ones.")
    ] = None,
) -> None:
    """Trials that do nothing, trials that sleep, and searches that something happens to, on Ray.

    The nodes of the last part have a network of their own each, for which it takes root.

    Example:  python -m search bench cluster --parts noop --out results/published/cluster.md
    """
    torch.set_num_threads(1)
    chosen = parts.split(",")
    for part in chosen:
        if part not in PARTS:
            raise SearchError(f"part {part!r} is not known; use some of {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as scratch:
        place = keep or Path(scratch)
        place.mkdir(parents=True, exist_ok=True)
        makers: dict[str, Callable[[], str]] = {
            "noop": lambda: dispatch.rates_document(
                list(dispatch.rates(wholes("--trials", trials), workers, limit, _tell)), workers
            ),
            "scaling": lambda: dispatch.scaling_document(
                list(dispatch.scaling(wholes("--scale", scale), sleep, _tell))
            ),
            "faults": lambda: faults.document(
                list(faults.measure(place, fault.split(","), seed, _tell))
            ),
        }
        for part in PARTS:
            if part in chosen:
                text = f"{makers[part]()}\nMade by `{_command()}`.\n"
                print(text)
                if out is not None:
                    _put(out, text)


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def _command() -> str:
    given = iter(sys.argv[1:])
    kept = [word for word in given if word != "--out" or next(given, None) is None]
    return " ".join(["python -m search", *kept])


def _put(file: Path, text: str) -> None:
    """Write a section into a document, in the place of the one with the same heading."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    heading = text.splitlines()[0] + "\n"
    head, _, rest = before.partition(heading)
    _, mark, after = rest.partition("\n## ")
    write_text_atomic(file, f"{head.rstrip()}\n\n{text}{mark}{after}".lstrip())
