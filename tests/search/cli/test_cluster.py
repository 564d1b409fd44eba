import pytest
import torch

from search.cli.cluster import advice
from search.packing import PLAIN, Measured, Variant

GRAPHED = Variant(half=True, launch="graphed", ahead=True)


@pytest.mark.parametrize(
    ("best", "device", "line"),
    [
        (
            Measured(PLAIN, 2, 100),
            "cpu",
            "use: python -m search run … --workers 2  (on a cluster: --cpus-per-trial 1)",
        ),
        (
            Measured(PLAIN, 3, 100),
            "cuda",
            "use: python -m search run … --gpus-per-trial 0.333 --cpus-per-trial 1",
        ),
        (
            Measured(GRAPHED, 8, 100),
            "cuda",
            "use: LIGHTIR_LAUNCH=graphed python -m search run … --gpus-per-trial 0.125 "
            "--cpus-per-trial 1",
        ),
    ],
)
def test_the_advice_can_be_typed(best, device, line):
    assert advice(best, torch.device(device)) == line
