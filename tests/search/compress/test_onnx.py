"""ONNX files give PyTorch's images at any size; int8 gives nearly them."""

import pytest
import torch

from budgets.budget import Size
from budgets.price import price
from lightir_core import onnx as exporting
from lightir_core.errors import CheckpointError, SearchError
from lightir_core.network import build
from lightir_core.onnx import (
    OPSET,
    SIZES,
    OnnxNetwork,
    differences,
    export_onnx,
    quantise,
)
from lightir_core.published.presets import PRESETS, shrink
from tests.budgets.random_architectures import random_architecture
from tests.search.compress.conftest import ARCHITECTURES

pytest.importorskip("onnxruntime", reason="the extra [onnx] is not installed")
pytest.importorskip("onnxscript", reason="the extra [onnx] is not installed")


def filled(architecture, seed=0):
    """A network that does something: the last layer of some starts at zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(architecture).eval()
        torch.nn.init.normal_(network.tail.last.weight, std=0.02)
    return network


def check(network, path):
    facts = export_onnx(network, path)
    assert facts["opset"] == OPSET
    exported = OnnxNetwork(path)
    assert max(differences(network, exported).values()) <= 1e-4
    image = torch.rand(2, network.architecture.in_channels, 5, 22)  # another size, a batch
    with torch.no_grad():
        assert (network(image) - exported(image)).abs().max() <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cross-layer"])
def test_any_height_and_width_gives_what_pytorch_gives(tmp_path, architectures, name):
    path = tmp_path / "model.onnx"
    check(filled(architectures[name]), path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n != "cross-layer"])
def test_every_kind_of_block_is_exported(tmp_path, architectures, name):
    check(filled(architectures[name]), tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PRESETS if name != "agileir"])  # -light is left
def test_small_forms_of_the_presets_are_exported(tmp_path, name):
    architecture = shrink(name, lambda a: price(a, Size(64, 64)).params <= 10_000)
    check(filled(architecture), tmp_path / "model.onnx")


# the exporter takes minutes for the others
@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(n, marks=pytest.mark.slow if n in (0, 2) else pytest.mark.sweep)
        for n in range(6)
    ],
)
def test_random_architectures_are_exported(tmp_path, seed):
    check(filled(random_architecture(seed), seed), tmp_path / "model.onnx")


def test_int8_gives_nearly_the_same(tmp_path, data, architectures):
    network = filled(architectures["convolution"])
    source, path = tmp_path / "model.onnx", tmp_path / "model-int8.onnx"
    export_onnx(network, source)
    quantise(source, path, network, data, seed=0)
    lq, _ = data.batch(1, 0, 4, 24)
    with torch.no_grad():
        exact, rough = network(lq), OnnxNetwork(path)(lq)
    assert 0 < (exact - rough).abs().mean() < 0.01
    assert b"QuantizeLinear" in path.read_bytes()


def test_a_file_that_differs_is_not_kept(tmp_path, monkeypatch, architectures):
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(CheckpointError, match=r"differs from PyTorch by .*nothing was written"):
        export_onnx(filled(architectures["convolution"]), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_says_how_to_install_it(monkeypatch, tmp_path, architectures):
    monkeypatch.setattr(exporting, "NEEDED", ("onnx", "no_such_library"))
    with pytest.raises(SearchError, match=r"needs no_such_library; .*'lightir\[onnx\]'"):
        export_onnx(filled(architectures["convolution"]), tmp_path / "model.onnx")


def test_no_window_divides_all_the_sizes():
    assert any(side % 2 for size in SIZES for side in size)
