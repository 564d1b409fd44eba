from dataclasses import replace
from xml.etree import ElementTree

import pytest

from lightir_core.architecture import (
    Architecture,
    BlockConfig,
    CrossLayerConfig,
    ResidualConvolutionConfig,
    StageConfig,
)
from lightir_core.published.presets import PRESETS, preset
from results.report.pictures import diagram


def parts(architecture):
    """Elements of the picture by their class."""
    found = {}
    for element in ElementTree.fromstring(diagram(architecture)).iter():
        found.setdefault(element.attrib.get("class"), []).append(element)
    return found


def texts(found, css):
    return [element.text for element in found.get(css, [])]


@pytest.mark.parametrize("name", PRESETS)
def test_every_published_system_can_be_drawn_within_its_frame(name):
    architecture = preset(name)
    root = ElementTree.fromstring(diagram(architecture))
    width, height = (float(root.attrib[side]) for side in ("width", "height"))
    boxes = [e for e in root.iter() if e.tag == "rect"]
    assert len([e for e in boxes if e.attrib["class"] == "stage"]) == len(architecture.stages)
    for box in boxes:
        left, top, wide, high = (float(box.attrib[k]) for k in ("x", "y", "width", "height"))
        assert left >= 0
        assert top >= 0
        assert left + wide <= width
        assert top + high <= height


def test_blocks_that_differ_by_their_shift_only_are_one_cell(architecture):
    found = parts(architecture)  # three stages of two grouped blocks, the second shifted
    assert len(found["cell window"]) == 3
    assert "2× GRSA 8×8 6h" in texts(found, "name")
    assert "DW-MLP 96 ⇄" in texts(found, "small")


def test_passes_are_an_arc_over_the_stage():
    block = BlockConfig(mixer=ResidualConvolutionConfig())
    stages = (StageConfig(blocks=(block,), recursions=3, tied=False), StageConfig(blocks=(block,)))
    found = parts(Architecture(width=8, stages=stages))
    assert len(found["wire loop"]) == 1
    assert "×3" in texts(found, "name")
    assert "own weights" in texts(found, "small")


def test_arrows_come_from_the_outputs_that_are_read():
    block = BlockConfig(mixer=ResidualConvolutionConfig())
    plain = StageConfig(blocks=(block,))
    reader = replace(plain, cross_layer=CrossLayerConfig(keys=4, references=2, selection="soft"))
    found = parts(Architecture(width=8, stages=(plain, plain, reader)))
    # two sources, and the arrow that they join
    assert len(found["wire cross"]) == 3
    assert "K=4" in texts(found, "small start")
    sources = {e.attrib["d"].split()[0] for e in found["wire cross"]}
    assert len(sources) == 2


def test_its_words_are_escaped_and_read_out(architecture):
    root = ElementTree.fromstring(diagram(architecture))
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"].startswith("width 48; 3 stages of ")
