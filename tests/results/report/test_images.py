import base64
import io
from dataclasses import replace

import pytest
from PIL import Image

from results.report import pictures as images
from results.report.pictures import strips
from results.run import RunFolder
from results.run_view import read_run


@pytest.fixture(scope="module")
def view(finished_run):
    return read_run(finished_run)


def test_strips_hold_the_very_files(view):
    found, problems = strips(view)
    assert problems == []
    assert [strip.name for strip in found] == ["astronaut", "coffee", "chelsea"]
    pictures = {picture.label: picture for picture in found[0].pictures}
    crop, folder = (
        view.models[1].crops[0],
        RunFolder(view.folder).model(view.models[1].id),
    )
    data = base64.b64decode(pictures["pruned, trial 17"].uri.partition(",")[2])
    assert data == (folder / crop.output).read_bytes()
    assert Image.open(io.BytesIO(data)).size == (96, 96)
    assert pictures["bicubic"].note == "33.18 dB"
    assert pictures["truth"].note == ""


def test_a_single_network_is_called_so(view):
    found, _ = strips(replace(view, models=view.models[:1]))
    labels = [picture.label for picture in found[0].pictures]
    assert labels == ["degraded", "bicubic", "network, trained", "truth"]


def test_the_best_and_its_family_go_before_others(view):
    parent, pruned = view.models
    others = [replace(parent, id=f"other{i}", trial=i, scores={"psnr_y": 1.0}) for i in range(5)]
    found, problems = strips(replace(view, models=(*others, parent, pruned)))
    shown = [p.label for p in found[0].pictures if "trial" in p.label]
    assert len(shown) <= images.MAX_MODELS
    assert {"trained, trial 17", "pruned, trial 17"} <= set(shown)
    assert all("other" in problem for problem in problems)


def test_pictures_stop_before_the_page_grows_too_large(view):
    found, problems = strips(view, room=60_000)
    assert 0 < sum(len(p.uri) for strip in found for p in strip.pictures) < 61_000
    assert any("too large to be shown here" in problem for problem in problems)


def test_no_model_no_strip(view):
    assert strips(replace(view, models=())) == ([], [])
