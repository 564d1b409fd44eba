import json
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parent


class Golden:
    """Arrays of one file as tensors, its configuration, and the comparison within its tolerance."""

    def __init__(self, name):
        with np.load(FOLDER / f"{name}.npz") as file:
            arrays = dict(file)
        self.config = json.loads(str(arrays.pop("config")))
        self.tensors = {
            key.split("/", 1)[1]: value
            for key, value in arrays.items()
            if key.startswith(("param/", "buffer/"))
        }
        self.arrays = {
            key: torch.as_tensor(value) for key, value in arrays.items() if "/" not in key
        }

    def __getitem__(self, key):
        return self.arrays[key]

    def named(self, prefix):
        return {f"{prefix}{name}": torch.as_tensor(t) for name, t in self.tensors.items()}

    def check(self, compute, key="output", *inputs):
        """`compute(*inputs)` in float32 and, where the file is exact enough, in float64."""
        expected = self[key]
        tolerance = (2e-4 if expected.dtype == torch.float64 else 1e-4) * expected.abs().max()
        with torch.no_grad():
            assert (compute(*inputs) - expected).abs().max() <= tolerance


@pytest.fixture(scope="session")
def golden():
    return Golden
