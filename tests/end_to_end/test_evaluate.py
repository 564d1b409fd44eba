"""`evaluate` and `restore` on networks of every kind."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    ChannelBranchConfig,
    StageConfig,
    WindowAttentionConfig,
)
from lightir_core.checkpoints import save_model
from lightir_core.network import build
from lightir_core.published.presets import preset
from lightir_core.published.weights import SYSTEMS

CASA = Architecture(
    width=8,
    stages=(
        StageConfig(
            blocks=(
                BlockConfig(
                    mixer=WindowAttentionConfig(
                        num_heads=2, window_size=(4, 4), channel=ChannelBranchConfig(num_heads=1)
                    )
                ),
            )
        ),
    ),
    scale=2,
)


@pytest.fixture
def casa(tmp_path):
    torch.manual_seed(0)
    save_model(tmp_path / "casa", build(CASA))
    return tmp_path / "casa"


@pytest.fixture
def published(tmp_path):
    """A file as SwinIR's authors publish them, with weights drawn at random."""
    torch.manual_seed(0)
    network = build(preset("swinir-light", "sr-x2"))
    places = SYSTEMS["swinir"].targets(network).items()
    tensors = {name: torch.cat([part.detach() for part in place]) for name, place in places}
    torch.save({"params": tensors}, tmp_path / "weights.pth")
    save_model(tmp_path / "model", network)
    return tmp_path


@pytest.fixture
def small_photographs(tmp_path, photograph):
    (tmp_path / "small").mkdir()
    for number in range(2):
        Image.fromarray(photograph(number, side=32)).save(tmp_path / "small" / f"{number}.png")
    return tmp_path / "small"


def scores(ended):
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


def test_a_presets_published_weights_are_evaluated(in_process, published, small_photographs):
    arguments = ("--data", small_photographs, "--json")
    given = in_process("evaluate", "swinir-light", "--weights", "weights.pth", *arguments)
    as_model = in_process("evaluate", "model", *arguments)
    assert scores(given) == scores(as_model)
    assert set(scores(given)) == {"mean", "images", "bicubic"}
    assert set(scores(given)["images"]) == {"0.png", "1.png"}


def test_a_table_holds_every_image_and_the_mean(in_process, casa, small_photographs):
    ended = in_process("evaluate", casa, "--data", small_photographs)
    lines = [line.split() for line in ended.out.splitlines()]
    assert [line[0] for line in lines] == ["image", "0.png", "1.png", "mean"]
    columns = [float(text) for text in lines[3][1:]]
    assert len(columns) == 4  # PSNR and SSIM, its own and those of bicubic
    for number, mean in enumerate(columns, start=1):
        assert mean == pytest.approx(
            (float(lines[1][number]) + float(lines[2][number])) / 2, abs=1e-4
        )


def test_rain_is_reported_on_luma_and_colour(in_process, tmp_path, small_photographs):
    save_model(tmp_path / "same-size", build(replace(CASA, scale=1)))
    ended = in_process(
        "evaluate", "same-size", "--task", "derain", "--data", small_photographs, "--json"
    )
    assert set(scores(ended)["mean"]) == {"psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"}


def test_the_self_ensemble_is_the_mean_of_eight_views(in_process, published, small_photographs):
    arguments = ("evaluate", "model", "--data", small_photographs, "--json")
    single, ensemble = in_process(*arguments), in_process(*arguments, "--self-ensemble")
    # eight errors of random weights partly cancel out
    assert scores(ensemble)["mean"]["psnr_y"] > scores(single)["mean"]["psnr_y"]


def test_gray_photographs_for_a_colour_network_are_told(in_process, casa, tmp_path, photograph):
    (tmp_path / "gray").mkdir()
    Image.fromarray(photograph()).convert("L").save(tmp_path / "gray" / "a.png")
    ended = in_process("evaluate", casa, "--data", "gray")
    assert ended.status == 0
    assert "note: a.png: grey repeated in three channels" in ended.err


def test_channel_attention_fixes_its_tiles_and_says_so(in_process, casa, tmp_path, photograph):
    pixels = np.tile(photograph(side=96), (3, 3, 1))
    Image.fromarray(pixels).save(tmp_path / "large.png")
    notes = []
    for tile in (40, 256):
        ended = in_process("restore", casa, "large.png", f"{tile}.png", "--tile", tile)
        assert ended.status == 0, ended.err
        notes.append(ended.err)
    assert "note: channel attention pools over the whole input, so its tiles are fixed" in notes[0]
    assert notes[0] == notes[1]
    one, two = (np.asarray(Image.open(tmp_path / f"{tile}.png")) for tile in (40, 256))
    assert np.array_equal(one, two)


def test_other_networks_say_nothing_of_tiles(in_process, published, small_photographs):
    assert in_process("evaluate", "model", "--data", small_photographs).err == ""
