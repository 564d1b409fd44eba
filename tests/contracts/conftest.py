import pytest
import torch


@pytest.fixture(scope="session")
def randomise():
    """Replaces all parameters by random numbers, zero-initialised layers included."""

    def fill(network):
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.normal_(0, 0.2)
                if parameter.ndim == 1 and name.endswith("weight"):  # norms
                    parameter.add_(1)
        return network

    return fill
