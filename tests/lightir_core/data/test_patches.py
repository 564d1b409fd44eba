import numpy as np
import pytest
import torch

from lightir_core.data.datasets import TrainingSet
from lightir_core.data.patches import HeldImages, PatchBlocks
from lightir_core.data.sources import Item, Source
from lightir_core.data.tasks import parse_task

CPU = torch.device("cpu")


def images(task, *sides, pairs=False):
    """Noise of several sizes, degraded beforehand if `pairs`."""
    rng = np.random.default_rng(0)
    task = parse_task(task)
    items = []
    for number, (height, width) in enumerate(sides):
        pixels = rng.integers(256, size=(height, width, task.out_channels), dtype=np.uint8)
        gt = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
        lq = torch.from_numpy(task.degrade(pixels, rng)).permute(2, 0, 1) if pairs else None
        items.append(Item(name=str(number), scene=str(number), gt=gt, lq=lq))
    return TrainingSet(task, Source(tuple(items)))


@pytest.mark.parametrize(
    ("task", "pairs"),
    [("sr-x2", True), ("denoise:15-50", False), ("denoise:25,gray", True), ("jpeg:10", False)],
)
def test_patches_of_many_steps_are_those_of_each(task, pairs):
    data = images(task, (40, 52), (64, 36), pairs=pairs)
    lq, gt = PatchBlocks(data, CPU).block(7, range(3, 9), 5, 8)
    for number, step in enumerate(range(3, 9)):
        alone = data.batch(7, step, 5, 8)
        assert torch.equal(lq[number], alone[0])
        assert torch.equal(gt[number], alone[1])


def test_only_what_needs_the_cpu_is_made_there():
    held = {
        task: PatchBlocks(images(task, (40, 40)), CPU)._gt is not None
        for task in ("denoise:25", "jpeg:10", "derain")
    }
    assert held == {"denoise:25": True, "jpeg:10": False, "derain": False}


def test_any_source_of_patches_will_do():
    data = images("denoise:25", (40, 40))

    class Plain:
        batch = staticmethod(data.batch)

    lq, gt = PatchBlocks(Plain(), CPU).block(5, range(2, 4), 2, 8)
    assert torch.equal(lq[1], data.batch(5, 3, 2, 8)[0])
    assert torch.equal(PatchBlocks(data, CPU).batch(5, 3, 2, 8)[1], gt[1])


def test_a_square_is_cut_where_it_was_asked_for():
    image = torch.arange(3 * 4 * 5, dtype=torch.uint8).view(3, 4, 5)
    held = HeldImages([torch.zeros(3, 2, 2, dtype=torch.uint8), image], CPU)
    [square] = held.cut(torch.tensor([[1, 1, 2, 0]]), 2)
    assert torch.equal(square, image[:, 1:3, 2:4])


@pytest.mark.gpu
@pytest.mark.parametrize("task", ["sr-x2", "denoise:15-50"])
def test_a_gpu_cuts_the_same(task):
    data = images(task, (40, 52), (64, 36), pairs=task == "sr-x2")
    for there, here in zip(
        *(PatchBlocks(data, torch.device(d)).block(7, range(4), 5, 8) for d in ("cuda", "cpu")),
        strict=True,
    ):
        assert torch.equal(there.cpu(), here)
