"""The device that a text means on this machine."""

import torch

from lightir_core.errors import SearchError


def find_device(text: str) -> torch.device:
    """Return the device that ``auto``, ``cpu``, ``cuda`` or ``cuda:1`` means on this machine.

    Raises:
        SearchError: a device that this machine or this torch does not have.
    """
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(text)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise SearchError(f"device {text!r} is not known; use auto, cpu or cuda")
    if device.type == "cuda":
        _check_gpu(text, device.index or 0)
    return device


def _check_gpu(text: str, index: int) -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise SearchError(
            f"device {text!r}: this torch ({torch.__version__}) sees no GPU; use "
            f"--device cpu, or install a CUDA build of torch"
        )
    if index >= count:
        raise SearchError(
            f"device {text!r}: this machine has {count} GPU(s), the last is cuda:{count - 1}"
        )
