"""Networks as ONNX: any height and width, checked against PyTorch; on request quantised to int8.

The libraries come with the extra `[onnx]`. A file is kept only after onnxruntime gave the same
images as PyTorch.
"""

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightir_core.errors import CheckpointError, SearchError
from lightir_core.learning.recipe import PROXY
from lightir_core.learning.step import Batches
from lightir_core.network import Network

OPSET = 20
INPUT, OUTPUT = "image", "restored"
SIZES = ((48, 64), (33, 17), (72, 40))
"""Heights and widths that a file is checked at; no window divides the second."""

TOLERANCE = 1e-4
"""Largest difference to PyTorch on images in [0, 1]."""

CALIBRATION = 128
"""Patches that the ranges of activations are measured on, as large as those of a training."""

NEEDED = ("onnx", "onnxscript", "onnxruntime")


class OnnxNetwork(nn.Module):
    """A file run by onnxruntime, with the interface of a network; on the CPU."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            SearchError: the extra is not installed.
        """
        check_installed()
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H·s, W·s); images of a batch one after another."""
        runs = (self._session.run(None, {INPUT: one[None].numpy()}) for one in image.cpu())
        return torch.cat([torch.from_numpy(np.asarray(run[0])) for run in runs])


def check_installed() -> None:
    """Make sure that the extra is there.

    Raises:
        SearchError: it is not; how to install it is told.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise SearchError(
            f"export needs {', '.join(missing)}; install the extra: pip install 'lightir[onnx]'"
        )


def export_onnx(network: Network, path: Path) -> dict[str, Any]:
    """Write the network as an ONNX file with free height and width; what the check of it gave.

    Args:
        network: on the CPU, in eval mode.
        path: of the file; replaced only by one that agrees with PyTorch.

    Raises:
        SearchError: the extra is not installed.
        CheckpointError: onnxruntime gives other images than PyTorch.
    """
    check_installed()
    free = torch.export.Dim.DYNAMIC
    draft = path.with_name(f".{path.name}")
    with _quiet():
        program = torch.onnx.export(
            network,
            (_example(network, SIZES[0]),),
            dynamo=True,
            dynamic_shapes=({2: free, 3: free},),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            verbose=False,
        )
        assert program is not None
        program.save(draft)
    _strip(draft)
    return _settle(draft, path, network)


def _strip(path: Path) -> None:
    """Leave out where in the source each node came from: most of a small network's file."""
    import onnx

    model = onnx.load(path)
    for holder in (model.graph, *model.graph.node, *model.graph.value_info):
        holder.ClearField("metadata_props")
        holder.ClearField("doc_string")
    onnx.save(model, path)


def _settle(draft: Path, path: Path, network: Network) -> dict[str, Any]:
    """Check a draft and put it in place."""
    try:
        errors = differences(network, OnnxNetwork(draft))
        worst = max(errors.values())
        if not worst <= TOLERANCE:  # NaN is not
            raise CheckpointError(
                f"the ONNX file differs from PyTorch by {worst:.2g}, more than {TOLERANCE:g}; "
                "nothing was written; please report this architecture"
            )
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return {
        "file": path.name,
        "opset": OPSET,
        "precision": "float32",
        "bytes": path.stat().st_size,
        "largest difference to PyTorch": ", ".join(f"{e:.2g} at {s}" for s, e in errors.items()),
    }


@torch.inference_mode()
def differences(network: nn.Module, other: nn.Module) -> dict[str, float]:
    """Return the largest difference of two networks' outputs, by size as "HxW", at all `SIZES`."""
    largest: dict[str, float] = {}
    for size in SIZES:
        image = _example(network, size)
        difference = (network(image) - other(image)).abs().max().item()
        largest[f"{size[0]}x{size[1]}"] = difference
    return largest


def quantise(source: Path, path: Path, network: Network, data: Batches, seed: int) -> None:
    """Write an int8 form of an ONNX file: onnxruntime's static post-training quantisation.

    Convolutions and products with weights run in int8, a scale for each output channel, ranges of
    activations measured on patches. First and last layer, which face the image, stay as they are.

    Args:
        source: what `export_onnx` wrote.
        path: of the new file.
        network: that it was made from; names its first and last layers.
        data: patches to calibrate on.
        seed: decides them.
    """
    import onnx
    from onnxruntime import quantization

    model = onnx.load(source)
    draft = path.with_name(f".{path.name}")
    with _quiet():
        quantization.quantize_static(
            model,
            draft,
            CalibrationPatches(data, seed),  # pyright: ignore[reportArgumentType]  duck-typed
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
            nodes_to_exclude=_edges(model),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # 7 bits: processors with AVX2 and no VNNI add pairs of products in 16 bits, which eight
            # bits overflow without a word
            reduce_range=True,
        )
    draft.replace(path)


def _edges(model: Any) -> list[str]:  # noqa: ANN401  onnx is optional
    """Return names of the nodes that read the weights of the first and last layers."""
    return [
        node.name
        for node in model.graph.node
        if any(name.startswith(("stem.", "tail.")) for name in node.input)
    ]


class CalibrationPatches:
    """Patches to measure ranges on, one at a time, as onnxruntime asks for them."""

    def __init__(self, data: Batches, seed: int) -> None:
        """Begin with the first patch that `seed` decides."""
        self._data, self._seed = data, seed
        self._left = iter(range(CALIBRATION))

    def get_next(self) -> dict[str, Any] | None:
        """Return the next input, or None at the end."""
        step = next(self._left, None)
        if step is None:
            return None
        return {INPUT: self._data.batch(self._seed, step, 1, PROXY.patch_px)[0].numpy()}


def _example(network: nn.Module, size: Sequence[int]) -> Tensor:
    channels = network.architecture.in_channels if isinstance(network, Network) else 3
    generator = torch.Generator().manual_seed(0)
    return torch.rand(1, channels, *size, generator=generator)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep quiet what the exporters tell their own developers."""
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
