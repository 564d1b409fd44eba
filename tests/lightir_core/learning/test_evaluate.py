import math

import numpy as np
import pytest
import torch
from torch import nn

from lightir_core.data.datasets import Pair
from lightir_core.data.tasks import parse_task
from lightir_core.learning.evaluate import evaluate, score, unit

CPU = torch.device("cpu")


class Brighter(nn.Module):
    """Adds a constant, in units of 1/255; another on images wider than 20 pixels."""

    def __init__(self, narrow, wide):
        super().__init__()
        self.narrow, self.wide = narrow, wide

    def forward(self, image):
        return image + (self.wide if image.shape[-1] > 20 else self.narrow) / 255


def flat_pair(name, width, value=100):
    image = torch.full((3, 16, width), value, dtype=torch.uint8)
    return Pair(name, image, image)


def test_scores_by_hand():
    """A constant error e on RGB: 20 log10(255 / e) dB."""
    pairs = (flat_pair("narrow", 16), flat_pair("wide", 24))
    found = evaluate(Brighter(5, 10), pairs, parse_task("denoise"), CPU, ("psnr_rgb",))
    expected = [20 * math.log10(255 / error) for error in (5, 10)]
    assert found.names == ("narrow", "wide")
    assert [scores["psnr_rgb"] for scores in found.images] == pytest.approx(expected)
    assert found.mean == {"psnr_rgb": pytest.approx(sum(expected) / 2)}


def test_outputs_are_clamped_before_they_are_scored():
    pair = flat_pair("bright", 16, value=250)
    found = evaluate(Brighter(200, 200), (pair,), parse_task("denoise"), CPU, ("psnr_rgb",))
    assert found.mean["psnr_rgb"] == pytest.approx(20 * math.log10(255 / 5))


def test_an_output_that_is_no_number_has_no_score():
    pair = flat_pair("x", 16)
    output = unit(pair.gt).clone()
    output[0, 1, 2, 3] = math.nan
    found = score(output, pair, parse_task("denoise"), ("psnr_rgb", "ssim_rgb"))
    assert found.keys() == {"psnr_rgb", "ssim_rgb"}
    assert all(map(math.isnan, found.values()))


def test_an_untrained_network_scores_as_bicubic(built, attention, pairs, task):
    """The interpolated skip is the baseline, up to rounding of the low-quality image's border."""
    network = built(attention).eval()
    mine = evaluate(network, pairs, task, CPU, ("psnr_y",)).mean["psnr_y"]
    [pair] = pairs
    plain = task.baseline(np.ascontiguousarray(pair.lq.permute(1, 2, 0).numpy()))
    bicubic = score(unit(torch.from_numpy(plain).permute(2, 0, 1)), pair, task, ("psnr_y",))
    assert mine == pytest.approx(bicubic["psnr_y"], abs=0.15)


def test_the_border_of_the_task_is_left_out(task):
    truth = torch.zeros(3, 16, 16, dtype=torch.uint8)
    output = unit(truth).clone()
    output[..., :, : task.border_px] = 1.0
    pair = Pair("x", truth[:, ::2, ::2], truth)
    assert score(output, pair, task, ("psnr_y",)) == {"psnr_y": math.inf}


def test_unit_scales_to_one():
    image = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1)
    assert unit(image).shape == (1, 3, 1, 1)
    assert unit(image).flatten().tolist() == pytest.approx([0, 0.2, 1])
