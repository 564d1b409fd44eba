"""A run of three trials, told to a tracker as the pipeline tells them."""

import pytest

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from results.objectives import Objective
from results.run import write_config
from results.study import Record
from search.config import SearchConfig, describe

KINDS = (
    Objective(name="psnr_y", direction="maximise", unit="dB", label="PSNR-Y"),
    Objective(name="macs", direction="minimise", unit="MACs", label="MACs"),
)
ARCHITECTURE = Architecture(
    width=8, stages=(StageConfig(blocks=(BlockConfig(mixer=ResidualConvolutionConfig()),)),)
)


@pytest.fixture
def told(tmp_path):
    """Make a run and tell a tracker, made from its folder, about its trials; the folder."""

    def tell(tracker_of):
        folder = tmp_path / "run"
        with tracker_of(folder) as tracker, Record.create(folder, KINDS) as record:
            write_config(folder, describe(SearchConfig(seed=5)))
            for number in range(3):
                cost = {"params": 1000, "macs": 10**9 * (3 - number)}
                record.begin(number, ARCHITECTURE, {"width": 8}, cost)
                if number == 2:
                    record.fail(number, "loss is NaN")
                else:
                    curve = [(10, 29.0), (20, 30.0 + number)]
                    record.finish(number, {"psnr_y": 30.0 + number}, curve, 1.5)
                tracker.trial(record.trials()[number])
        return folder

    return tell
