"""Networks as files: plain tensors in safetensors, architectures in JSON, no code.

No pickle anywhere: a file from a stranger can be read without running anything.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lightir_core.architecture import from_json
from lightir_core.errors import ArchitectureError, CheckpointError
from lightir_core.files import replace_file
from lightir_core.network import Network, build


def load_state(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy `tensors` into `network`, all of them and nothing else.

    Args:
        network: receives the tensors.
        tensors: by the names of `network.state_dict()`.
        source: what to call the tensors in an error message, such as their file.

    Raises:
        CheckpointError: names or shapes do not match.
    """
    expected = network.state_dict()
    check_tensors(
        {name: tuple(tensor.shape) for name, tensor in expected.items()},
        {name: tuple(tensor.shape) for name, tensor in tensors.items()},
        source,
    )
    network.load_state_dict(dict(tensors))


def check_tensors(
    expected: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]], source: str
) -> None:
    """Refuse a set of tensors that is not the expected one.

    Raises:
        CheckpointError: names the first missing, unexpected and misshapen tensor with its shape,
            and how many there are of each.
    """
    missing = [f"{name} {list(shape)}" for name, shape in expected.items() if name not in given]
    unexpected = [f"{name} {list(shape)}" for name, shape in given.items() if name not in expected]
    misshapen = [
        f"{name} {list(given[name])}, expected {list(shape)}"
        for name, shape in expected.items()
        if name in given and given[name] != shape
    ]
    complaints = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    problems = [
        f"{len(names)} {kind}, first {names[0]}" for kind, names in complaints.items() if names
    ]
    if problems:
        raise CheckpointError(
            f"{source} does not fit the network: {'; '.join(problems)}; "
            "give the weights of this very architecture"
        )


def save_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors to a safetensors file, atomically."""
    plain = {
        name: tensor.detach().to("cpu", memory_format=torch.contiguous_format).contiguous()
        for name, tensor in tensors.items()
    }

    def write(draft: Path) -> None:
        try:
            save_file(plain, draft, dict(metadata or {}))
        except SafetensorError as error:
            # it writes through memory and words what the system said in its own way
            raise OSError(str(error)) from None

    replace_file(Path(path), write, CheckpointError)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        CheckpointError: there is no such file, or it is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no weights file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({error}); write it again"
        ) from None


def write_text_atomic(path: Path, text: str) -> None:
    """Write UTF-8 text so that a reader sees the old file or the new one, never half of one."""
    replace_file(
        Path(path), lambda draft: draft.write_text(text, encoding="utf-8"), CheckpointError
    )


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
