"""The commands in published documents are understood, and every benchmark is explained."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from benchmarks.__main__ import BENCHMARKS, application

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted((ROOT / "results" / "published").glob("*.md")), ROOT / "README.md"]
NAMES = "|".join(BENCHMARKS)
NAMED = [
    (path.name, line.strip())
    for path in DOCUMENTS
    for line in re.findall(
        rf"python -m benchmarks ((?:{NAMES})\b[^`\n…]*)", path.read_text("utf-8")
    )
]


def test_commands_are_found_at_all():
    assert len(NAMED) > 20


@pytest.mark.parametrize(("name", "line"), NAMED)
def test_a_published_command_is_understood(name, line):
    benchmark, *words = shlex.split(line)
    group = typer.main.get_command(application(benchmark))
    command = group.get_command(
        group.make_context("benchmarks", [], resilient_parsing=True), benchmark
    )
    command.make_parser(command.context_class(command)).parse_args(words)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_published_command_names_a_file_that_no_reader_has(path):
    assert "../shared" not in path.read_text("utf-8")


def test_every_benchmark_is_explained():
    page = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    assert all(f"| `{name}` |" in page for name in BENCHMARKS)
