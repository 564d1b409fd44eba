"""What every benchmark shares: rows kept one by one, intervals, tables, sections of documents."""

import contextlib
import json
import shlex
import statistics
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from scipy import stats

from lightir_core.checkpoints import write_text_atomic
from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task
from search.cli.commands import DataFolders
from search.cli.settings import absolute

Row = dict[str, Any]
"""One measurement, in plain values."""

Step = tuple[str, Callable[[], Row]]
"""The key of a row, and what measures it."""

Val = Annotated[Path | None, typer.Option(help="Folder of validation images.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="Put the section into this file, replacing an older.")
]
More = Annotated[
    bool, typer.Option("--more/--so-far", help="Measure, or report only what was measured.")
]

__all__ = ["DataFolders", "More", "Out", "Row", "Step", "Val"]

RESAMPLES = 5000
LEVEL = 0.95


def log(text: str) -> None:
    """Print progress where it does not mix with results."""
    print(text, file=sys.stderr, flush=True)


def measure(
    file: Path, steps: Iterable[Step], log: Callable[[str], None] = log, *, more: bool = True
) -> list[Row]:
    """Return the rows of all steps, in their order; a stopped measurement goes on where it was.

    Args:
        file: JSON lines; rows that are there are not measured again, new ones are appended.
        steps: what is measured; a key stands for everything that its row depends on.
        log: called with the key of every new row.
        more: whether to measure what is missing, or to leave it out.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = dict(_read(file))
    rows: list[Row] = []
    for key, run in steps:
        if key not in kept:
            if not more:
                continue
            kept[key] = run()
            with file.open("a", encoding="utf-8") as stream:
                # a line of its own: an earlier run may have been stopped within one
                stream.write(f"\n{json.dumps([key, kept[key]])}\n")
            log(f"{file.stem} {key}")
        rows.append(kept[key])
    return rows


def _read(file: Path) -> Iterator[tuple[str, Row]]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    for line in filter(None, lines):
        with contextlib.suppress(ValueError):  # the line at which an earlier run was stopped
            key, row = json.loads(line)
            yield key, row


def bootstrap(
    *samples: Sequence[float], statistic: Callable[..., Any] = np.mean
) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a statistic, the same for the same values.

    Args:
        samples: columns of one table, drawn line by line.
        statistic: of such columns; resamples for which it is NaN are left out.
    """
    with warnings.catch_warnings():  # of resamples without a statistic, which are left out
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            samples,
            statistic,
            n_resamples=RESAMPLES if statistic is np.mean else RESAMPLES // 2,
            vectorized=statistic is np.mean,
            paired=len(samples) > 1,
            method="percentile",
            rng=np.random.default_rng(0),
        )
    values = result.bootstrap_distribution
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def student(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and half of its 95 % t interval; infinite for a single value."""
    mean = statistics.fmean(values)
    if len(values) < 2 or len(set(values)) == 1:
        return mean, 0.0 if len(values) > 1 else float("inf")
    interval = stats.ttest_1samp(values, 0).confidence_interval(LEVEL)
    return mean, float(interval.high - interval.low) / 2


def compare(gains: Sequence[float], unit: str = "") -> str:
    """Return in words whether paired differences, as shares, are above 0, with their interval."""
    low, high = bootstrap(gains)
    verdict = "better" if low > 0 else "worse" if high < 0 else "tie"
    return f"{verdict} ({100 * low:+.1f} to {100 * high:+.1f}{unit})"


def kendall(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Kendall's tau-b of two rankings."""
    tau: Any = stats.kendalltau(one, other)  # its type hides the fields
    return float(tau.statistic)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return lines of Markdown; a column whose heading ends in a colon is set to the right."""
    heads = [column.removesuffix(":") for column in columns]
    marks = ["---:" if column.endswith(":") else "---" for column in columns]
    return [f"| {' | '.join(map(str, cells))} |" for cells in (heads, marks, *rows)]


def command() -> str:
    """Return the command that is running, to be pasted; without the document that it writes."""
    typed = iter(sys.argv[1:])
    kept = [word for word in typed if word != "--out" or next(typed, None) is None]
    return f"`python -m benchmarks {shlex.join(kept)}`"


def publish(heading: str, lines: Sequence[str], file: Path | None = None) -> None:
    """Print a section with its command, and put it into a document in place of an older one.

    Args:
        heading: with its number signs; decides which section is replaced.
        lines: of the section.
        file: the document, or None.
    """
    text = "\n".join([heading, "", command(), "", *lines, ""])
    print(text)
    if file is None:
        return
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    head, _, rest = before.partition(f"{heading}\n")
    _, mark, after = rest.partition("\n## ")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(file, f"{head.rstrip()}\n\n{text}{mark}{after}".lstrip())


def source(task: str, data: DataFolders, val: Path | None) -> ImageSource:
    """Return task and images of the command line, independent of the working directory."""
    return ImageSource(
        task=parse_task(task), data=absolute(data or ()), val=str(val.resolve()) if val else None
    )


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Compute on one thread, as workers do; a context, or what decorates a function."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
