import pytest
from typer.testing import CliRunner

from benchmarks.throughput import Throughput, measure
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from lightir_core.data.tasks import parse_task
from search.cli.app import app

SMALL = Architecture(
    width=4,
    stages=(StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig(), norm="none"),)),),
)


def test_headroom_is_that_of_the_slower_path():
    found = Throughput(task="jpeg", folder=900.0, pack=600.0, training=30.0)
    assert found.headroom == 20


@pytest.mark.parametrize("task", ["denoise", "sr-x2"])
def test_rates_are_measured(tmp_path, folder_of_photographs, task):
    kind = parse_task(task)
    network = Architecture(width=4, stages=SMALL.stages, scale=kind.scale)
    found = measure(kind, folder_of_photographs, network, tmp_path, steps=2, batches=3)
    assert found.task == kind.name
    assert min(found.folder, found.pack, found.training) > 0


def test_the_command_prints_a_row_a_task(in_process_bench, folder_of_photographs):
    table = in_process_bench(
        "data", "--data", str(folder_of_photographs), "--tasks", "sr-x2,jpeg", "--budget", "30k",
        "--steps", "1", "--batches", "1",
    )  # fmt: skip
    rows = [line.split() for line in table.splitlines()]
    assert [row[0] for row in rows] == ["task", "sr-x2", "jpeg:10-40"]
    assert all(row[-1] == "x" for row in rows[1:])
    assert float(rows[1][1].removesuffix("k")) <= 30


@pytest.fixture
def in_process_bench():
    """`python -m search bench ...` in this process; what it prints."""

    def run(*arguments):
        ended = CliRunner().invoke(app, ["bench", *arguments], env={"COLUMNS": "200"})
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    return run
