import pytest
import torch

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    MlpConfig,
    StageConfig,
    WindowAttentionConfig,
)
from lightir_core.checkpoints import (
    load_model,
    load_tensors,
    save_model,
    save_tensors,
    write_text_atomic,
)
from lightir_core.errors import CheckpointError
from lightir_core.network import build


def tiny(width=12):
    block = BlockConfig(
        mixer=WindowAttentionConfig(num_heads=2, window_size=(4, 4)),
        feed_forward=MlpConfig(hidden_dim=8),
    )
    return Architecture(width=width, scale=2, stages=(StageConfig(blocks=(block,)),))


def test_model_survives_the_disk_exactly(tmp_path):
    network = build(tiny()).eval()
    save_model(tmp_path / "model", network)
    again = load_model(tmp_path / "model")
    image = torch.rand(1, 3, 9, 7)
    assert again.architecture == network.architecture
    assert torch.equal(again(image), network(image))
    assert not again.training
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "architecture.json",
        "weights.safetensors",
    ]


def test_loading_leaves_the_random_generator_alone(tmp_path):
    save_model(tmp_path, build(tiny()))
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_model(tmp_path)
    assert torch.equal(torch.rand(1), expected)


def test_weights_of_another_network_are_named(tmp_path):
    network = build(tiny())
    save_model(tmp_path, network)
    tensors = dict(network.state_dict())
    del tensors["stem.conv.bias"]
    tensors["stranger"] = torch.zeros(2, 5)
    save_tensors(tmp_path / "weights.safetensors", tensors)
    with pytest.raises(
        CheckpointError, match=r"1 missing, first stem\.conv\.bias \[12\].*first stranger \[2, 5\]"
    ):
        load_model(tmp_path)
    save_model(tmp_path, build(tiny(width=14)))
    write_text_atomic(tmp_path / "architecture.json", tiny().to_json())
    with pytest.raises(CheckpointError, match=r"stem\.conv\.weight \[14, 3, 3, 3\], expected \[12"):
        load_model(tmp_path)


def test_missing_and_damaged_files_are_told_apart(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no architecture\.json"):
        load_model(tmp_path)
    with pytest.raises(CheckpointError, match="no weights file"):
        load_tensors(tmp_path / "none.safetensors")
    save_model(tmp_path, build(tiny()))
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_model(tmp_path)


def test_metadata_and_types_come_back(tmp_path):
    tensors = {"a": torch.arange(6).view(2, 3).t(), "b": torch.rand(3, dtype=torch.float64)}
    save_tensors(tmp_path / "t.safetensors", tensors, {"step": "3"})
    found, metadata = load_tensors(tmp_path / "t.safetensors")
    assert metadata == {"step": "3"}
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert found["b"].dtype == torch.float64


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "note.txt"
    write_text_atomic(path, "old")
    with pytest.raises(UnicodeEncodeError, match="surrogates"):
        write_text_atomic(path, "half \udc80")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]
