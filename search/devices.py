"""The device that a run's settings mean, and how many trainings share it."""

import torch

from lightir_core.errors import SearchError
from search.config import SearchConfig, cpu_count


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


def torch_device(config: SearchConfig) -> torch.device:
    """Return the device that this process uses; raises as `find_device`."""
    # on a cluster the GPUs are the workers', whatever the driver has
    on_workers = config.machine.engine == "ray" and config.machine.device == "cuda"
    return find_device("auto" if on_workers else config.machine.device)


def job_device(config: SearchConfig) -> str:
    """Return the device that trainings use, be it one of this machine or of another.

    Raises:
        SearchError: as `find_device`; or a GPU of a cluster without a share of it.
    """
    device, share = config.machine.device, config.cluster.gpus_per_trial
    if config.machine.engine == "local":
        return str(torch_device(config))
    if share and device == "cpu":
        raise SearchError(f"--gpus-per-trial {share:g} with --device cpu: leave one of the two out")
    if device not in ("auto", "cpu") and not share:
        raise SearchError(
            f"--device {device} on a cluster needs a share of a GPU for each training; "
            f"add --gpus-per-trial 1, or 0.5 to let two use one"
        )
    return "cuda" if share else "cpu"


def worker_count(config: SearchConfig) -> int:
    """Return how many trainings run at once: as asked, else one per core or one for a GPU."""
    if config.machine.workers:
        return config.machine.workers
    return 1 if torch_device(config).type == "cuda" else cpu_count()


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
