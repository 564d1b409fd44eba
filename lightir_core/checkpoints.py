"""Networks on disk: `architecture.json` beside `weights.safetensors`, written whole or not at all.

No pickle anywhere: a file from a stranger can be read without running anything.
"""

from pathlib import Path

import torch
from torch import nn

from lightir_core.architecture import from_json
from lightir_core.errors import ArchitectureError, CheckpointError
from lightir_core.network import Network, build
from lightir_core.tensor_files import load_state, load_tensors, save_tensors, write_text_atomic

ARCHITECTURE_FILE = "architecture.json"
WEIGHTS_FILE = "weights.safetensors"


def save_model(folder: Path, network: Network) -> None:
    """Write the network's architecture and weights into `folder`, which is made if needed."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"architecture": network.architecture.id}
    save_tensors(folder / WEIGHTS_FILE, network.state_dict(), metadata)
    write_text_atomic(folder / ARCHITECTURE_FILE, network.architecture.to_json())


def load_model(folder: Path) -> Network:
    """Return the network that `save_model` wrote, on the CPU, in evaluation mode.

    Raises:
        CheckpointError: a file is missing, damaged, or holds weights of another network; the
            message names the first missing and the first unexpected tensor with their shapes.
    """
    folder = Path(folder)
    path = folder / ARCHITECTURE_FILE
    if not path.is_file():
        raise CheckpointError(
            f"{folder} holds no {ARCHITECTURE_FILE}; give a folder that a run or a compression "
            "wrote a model into"
        )
    try:
        architecture = from_json(path.read_text(encoding="utf-8"))
    except (ArchitectureError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: {error}") from None
    with torch.random.fork_rng(devices=[]):
        network = build(architecture)
    load_weights(folder / WEIGHTS_FILE, network)
    return network.eval()


def save_weights(path: Path, network: nn.Module) -> None:
    """Write the network's weights alone to a safetensors file."""
    save_tensors(path, network.state_dict())


def load_weights(path: Path, network: nn.Module) -> None:
    """Read what `save_weights` wrote into a network of the same architecture.

    Raises:
        CheckpointError: there is no such file, it is damaged, or it does not fit the network.
    """
    tensors, _ = load_tensors(path)
    load_state(network, tensors, str(path))
