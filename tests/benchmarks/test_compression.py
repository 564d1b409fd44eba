"""The comparison trains every way equally long, goes on where it stopped, and reports honestly."""

import pytest
import torch
from PIL import Image

from benchmarks import compression
from benchmarks.compression import WAYS, Setting, document, rows_of
from lightir_core.checkpoints import load_model
from lightir_core.data.image_source import ImageSource
from lightir_core.data.tasks import parse_task

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(tmp_path_factory, photograph):
    """A setting that was measured, and its rows; read it only."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "photographs").mkdir()
    for number in range(3):
        Image.fromarray(photograph(number)).save(folder / "photographs" / f"{number}.png")
    source = ImageSource(task=parse_task("sr-x2"), data=(str(folder / "photographs"),))
    setting = Setting(
        source=source, width=8, steps=2, finish=1, cuts=(0.3,), folder=folder / "kept"
    )
    return setting, rows_of(setting, [0], print)


@pytest.fixture
def setting(tmp_path, folder_of_photographs):
    source = ImageSource(task=parse_task("sr-x2"), data=(str(folder_of_photographs),))
    return Setting(source=source, width=8, steps=2, finish=1, cuts=(0.3,), folder=tmp_path / "kept")


def test_every_way_is_there_and_within_its_share(measured):
    setting, rows = measured
    assert [row["way"] for row in rows] == ["parent", *WAYS]
    parent, *others = rows
    for row in others:
        assert 0.65 * parent["params"] < row["params"] <= 0.7 * parent["params"]
    taylor, scratch = others[0], others[1]
    assert taylor["params"] == scratch["params"]
    kept = [load_model(setting.folder / f"0-{way}-0.3") for way in ("taylor", "scratch")]
    assert kept[0].architecture == kept[1].architecture
    assert not torch.equal(kept[0].stem.conv.weight, kept[1].stem.conv.weight)


def test_every_way_trains_equally_long(setting, monkeypatch):
    steps = []
    monkeypatch.setattr(
        compression, "train", lambda network, data, recipe, **_: steps.append(recipe.steps)
    )
    rows_of(setting, [0], print)
    # the parent 3; 2, which what is pruned shares, and 1 more for each; scratch 3
    assert steps == [3, 2, 1, 3, 1, 1]


def test_a_stopped_measurement_goes_on(measured, monkeypatch):
    setting, rows = measured
    monkeypatch.setattr(compression, "train", lambda *_, **__: pytest.fail("trained again"))
    assert rows_of(setting, [0], print) == rows


def test_the_document_takes_differences_seed_by_seed():
    def row(way, cut, seed, params, score):
        return {"way": way, "cut": cut, "seed": seed, "params": params, "score": score}

    rows = [row("parent", 0.0, seed, 1000, 30.0 + seed) for seed in (0, 1)]
    rows += [
        row(way, 0.3, seed, 700, 30.0 + seed - loss)
        for seed in (0, 1)
        for way, loss in zip(WAYS, (0.1, 0.2, 0.3, 0.4), strict=True)
    ]
    parent, _, scratch = document(rows)[2:5]
    assert parent == "| 1,000 | parent | 30.500 ± 6.353 |  |  |"
    assert scratch == (
        "| 700 (−30%, parent 1.43 ×) | scratch | 30.300 ± 6.353 | -0.200 ± 0.000 | +0.100 ± 0.000 |"
    )
