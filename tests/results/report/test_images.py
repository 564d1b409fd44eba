import base64
import io
from dataclasses import replace

import pytest
from PIL import Image

from results.findings import read_findings
from results.report import images
from results.report.images import strips
from results.run import RunFolder


@pytest.fixture(scope="module")
def findings(finished_run):
    return read_findings(finished_run)


def test_strips_hold_the_very_files(findings):
    found, problems = strips(findings)
    assert problems == []
    assert [strip.name for strip in found] == ["astronaut", "coffee", "chelsea"]
    pictures = {picture.label: picture for picture in found[0].pictures}
    crop, folder = (
        findings.models[1].crops[0],
        RunFolder(findings.folder).model(findings.models[1].id),
    )
    data = base64.b64decode(pictures["pruned, trial 17"].uri.partition(",")[2])
    assert data == (folder / crop.output).read_bytes()
    assert Image.open(io.BytesIO(data)).size == (96, 96)
    assert pictures["bicubic"].note == "33.18 dB"
    assert pictures["truth"].note == ""


def test_a_single_network_is_called_so(findings):
    found, _ = strips(replace(findings, models=findings.models[:1]))
    labels = [picture.label for picture in found[0].pictures]
    assert labels == ["degraded", "bicubic", "network, trained", "truth"]


def test_the_best_and_its_family_go_before_others(findings):
    parent, pruned = findings.models
    others = [replace(parent, id=f"other{i}", trial=i, scores={"psnr_y": 1.0}) for i in range(5)]
    found, problems = strips(replace(findings, models=(*others, parent, pruned)))
    shown = [p.label for p in found[0].pictures if "trial" in p.label]
    assert len(shown) <= images.MAX_MODELS
    assert {"trained, trial 17", "pruned, trial 17"} <= set(shown)
    assert all("other" in problem for problem in problems)


def test_pictures_stop_before_the_page_grows_too_large(findings):
    found, problems = strips(findings, room=60_000)
    assert 0 < sum(len(p.uri) for strip in found for p in strip.pictures) < 61_000
    assert any("too large to be shown here" in problem for problem in problems)


def test_no_model_no_strip(findings):
    assert strips(replace(findings, models=())) == ([], [])
