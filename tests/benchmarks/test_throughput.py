import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import application
from benchmarks.throughput import measure
from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from lightir_core.data.tasks import parse_task

SMALL = Architecture(
    width=4,
    stages=(StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig(), norm="none"),)),),
)


@pytest.mark.parametrize("task", ["denoise", "sr-x2"])
def test_rates_are_measured(tmp_path, folder_of_photographs, task):
    kind = parse_task(task)
    network = Architecture(width=4, stages=SMALL.stages, scale=kind.scale)
    found = measure(kind, folder_of_photographs, network, tmp_path, steps=2, batches=3)
    assert found.keys() == {"folder", "pack", "training"}
    assert min(found.values()) > 0


def test_the_command_prints_a_row_a_task(folder_of_photographs):
    arguments = ("--data", str(folder_of_photographs), "--tasks", "sr-x2,jpeg", "--budget", "30k",
                 "--steps", "1", "--batches", "1")  # fmt: skip
    ended = CliRunner().invoke(application("data"), ["data", *arguments])
    assert ended.exit_code == 0, ended.output
    lines = [line for line in ended.stdout.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [row[0] for row in rows] == ["task", "---", "sr-x2", "jpeg:10-40"]
    assert all(row[-1].endswith(" x") for row in rows[2:])
    assert float(rows[2][1].removesuffix("k")) <= 30
