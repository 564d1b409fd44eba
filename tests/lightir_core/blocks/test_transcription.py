"""Every block against the formulas written down plainly: outputs and gradients."""

import copy
import importlib.util
from pathlib import Path

import pytest
import torch

from benchmarks.blocks import PLAIN, cases

spec = importlib.util.spec_from_file_location("transcription", PLAIN)
formulas = importlib.util.module_from_spec(spec)
spec.loader.exec_module(formulas)


def test_the_benchmark_reads_these_formulas():
    assert Path(__file__).with_name("transcription.py").samefile(PLAIN)


def outputs_and_gradients(form, module, maps):
    maps = [map_.clone().requires_grad_() for map_ in maps]
    torch.manual_seed(1)  # ACLA's training noise
    y = form(maps[0], maps[1:]) if len(maps) > 1 else form(maps[0])
    (y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum().backward()
    found = {name: p.grad for name, p in module.named_parameters()}
    return [y.detach(), *(map_.grad for map_ in maps)], found


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_block_equals_its_formulas(case, randomise):
    # in double precision: where a sample falls beside a pixel, its gradient jumps with a rounding
    torch.manual_seed(0)
    module = randomise(case.module).double()
    plain = copy.deepcopy(module)
    window = getattr(module, "window_size", (4, 4))
    shape = (2, case.width, 2 * window[0], 2 * window[1])
    maps = [torch.randn(shape, dtype=torch.float64) for _ in range(1 + case.references)]
    maps = [map_.contiguous(memory_format=torch.channels_last) for map_ in maps]
    ours, gradients = outputs_and_gradients(module, module, maps)
    theirs, expected = outputs_and_gradients(
        lambda *args: formulas.TRANSCRIPTIONS[type(plain)](plain, *args), plain, maps
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradients, expected, rtol=1e-9, atol=1e-9)
