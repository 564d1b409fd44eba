"""Uses a network with the block of `docs/blocks.md` as any other; run by `test_new_block.py`."""

import copy
import sys
from pathlib import Path

import torch

from budgets.assess import CostSettings, Target
from budgets.budget import Budget, Size
from budgets.price import price
from lightir_core.architecture import Architecture, BlockConfig, MlpConfig, StageConfig, from_json
from lightir_core.block_config import NeighbourConvolutionConfig
from lightir_core.blocks import MIXERS
from lightir_core.checkpoints import load_model, save_model
from lightir_core.network import build
from lightir_core.onnx import NEEDED, export_onnx
from lightir_core.pruning.channels import Unit, cut_channels, units
from results.describe import describe_architecture, summarise
from results.report.pictures import diagram
from search.compress.prune import Pruning, prune
from spaces import Dimension, Space, TaskShape

SIZE = Size(32, 48)
MIXER = NeighbourConvolutionConfig(hidden_dim=20)
BLOCK = BlockConfig(mixer=MIXER, feed_forward=MlpConfig(hidden_dim=24))
ARCHITECTURE = Architecture(width=12, scale=2, stages=(StageConfig(blocks=(BLOCK, BLOCK)),))


def check_value_and_build():
    assert from_json(ARCHITECTURE.to_json()) == ARCHITECTURE
    network = build(ARCHITECTURE).eval()
    assert network(torch.rand(1, 3, 7, 5)).shape == (1, 3, 14, 10)
    return network


def check_cost():
    # 2CE + E + C parameters and 2CE·HW multiply-adds: C = 12, E = 20, 16 x 24 pixels
    module = MIXERS[NeighbourConvolutionConfig](MIXER, 12)
    assert sum(p.numel() for p in module.parameters()) == 512
    shorter = Architecture(width=12, scale=2, stages=(StageConfig(blocks=(BLOCK,)),))
    whole, part = price(ARCHITECTURE, SIZE), price(shorter, SIZE)
    others = (2 * 12 * 24 + 24 + 12) + 4 * 12, 2 * 12 * 24 * 16 * 24  # MLP and two norms
    assert whole.params - part.params == 512 + others[0]
    assert whole.macs - part.macs == 2 * 12 * 20 * 16 * 24 + others[1]


def check_words_and_drawing():
    assert "neighbour convolution 20 wide, MLP 24" in describe_architecture(ARCHITECTURE)
    assert summarise(ARCHITECTURE).endswith("of neighbour convolution")
    assert 'class="cell neighbours"' in diagram(ARCHITECTURE)


def check_pruning(network):
    extent = units(ARCHITECTURE)[Unit("inner", 0, 1)]
    assert (extent.lanes, extent.size) == (1, 20)
    kept = torch.arange(20)[None] % 2 == 1
    cut, zeroed = cut_channels(network, {Unit("inner", 0, 1): kept}), copy.deepcopy(network)
    image = torch.rand(1, 3, 9, 8)
    with torch.no_grad():
        zeroed.stages[0].blocks[1].mixer.outward.weight[:, ::2] = 0
        assert torch.allclose(cut(image), zeroed(image), atol=1e-6)
    assert cut.architecture.stages[0].blocks[1].mixer.hidden_dim == 10
    budget = Budget.parse(f"params={price(ARCHITECTURE, SIZE).params // 2}")
    target = Target(budget, CostSettings(sizes=(SIZE,)))
    pruned = prune(network, target, None, Pruning(importance="magnitude"))
    assert target.fits(pruned.architecture)
    return pruned.network


def check_files(network, folder):
    save_model(folder, network)
    image = torch.rand(1, 3, 9, 8)
    with torch.no_grad():
        assert torch.equal(load_model(folder)(image), network(image))
    assert NEEDED
    export_onnx(network, folder / "model.onnx")


def check_space():
    space = Space(
        name="mine",
        summary="",
        network=(Dimension("width", (12,)), Dimension("stages", (1,))),
        stage=(Dimension("mixer", ("window", "neighbours")),),
    )
    point = {"width": 12, "stages": 1, "stage1.mixer": "neighbours"}
    block = space.decode(point, TaskShape(scale=2)).stages[0].blocks[0]
    assert isinstance(block.mixer, NeighbourConvolutionConfig)


if __name__ == "__main__":
    torch.manual_seed(0)
    check_cost()
    check_words_and_drawing()
    check_space()
    check_files(check_pruning(check_value_and_build()), Path(sys.argv[1]))
    Path(sys.argv[1], "adopted").touch()
